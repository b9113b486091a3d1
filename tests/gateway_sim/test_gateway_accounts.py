"""What clients are told of positions, account values and profit, now and when it changes."""

from decimal import Decimal

from firm.gateway_sim.contracts import con_id_of
from tests.gateway_sim.wire_world import ACCOUNT, MINUTE, OPEN, Client, gateway

AAA = {"symbol": "AAA", "secType": "STK", "exchange": "SMART", "currency": "USD"}


def test_completed_orders_and_executions_are_those_of_today():
    client = Client(gateway())
    client.step()
    client.place(1, "BUY", 10)
    client.place(2, "BUY", 10, lmtPrice=Decimal(90))
    client.ask("cancelOrder", orderId=2)

    today = client.ask("reqCompletedOrders")
    for _ in range(3):
        client.step()
    assert client.short(client.ask("reqCompletedOrders")) == ["completedOrdersEnd"]
    assert client.short(client.ask("reqExecutions", reqId=5)) == ["execDetailsEnd"]

    filled, cancelled, _ = [values for _, values in today]
    assert (filled["status"], filled["totalQuantity"], filled["filledQuantity"]) == ("Filled", 0, 10)
    assert filled["completedStatus"] == "Filled Size: 10"
    assert (cancelled["status"], cancelled["totalQuantity"]) == ("Cancelled", 10)
    assert cancelled["completedStatus"] == "Cancelled by Trader"
    assert (filled["orderRef"], cancelled["orderRef"]) == ("ref-1", "ref-2")


def test_positions_follow_fills_down_to_zero():
    client = Client(gateway())
    client.step()
    client.ask("reqPositions")
    client.send("placeOrder", orderId=1, **AAA, action="BUY", totalQuantity=Decimal(10), orderType="MKT")
    bought = [v["position"] for name, v in client.heard() if name == "position"]
    client.send("placeOrder", orderId=2, **AAA, action="SELL", totalQuantity=Decimal(10), orderType="MKT")
    sold = [v["position"] for name, v in client.heard() if name == "position"]

    assert (bought, sold) == ([10], [0])
    assert client.short(client.ask("reqPositions")) == ["positionEnd"]


def test_the_account_is_told_with_every_margin_tag_and_again_when_it_changes():
    client = Client(gateway())
    client.step()
    heard = client.ask("reqAccountUpdates", account=ACCOUNT)
    values = {
        v["key"]: v["value"] for name, v in heard if name == "updateAccountValue" and v["currency"] != "BASE"
    }
    client.place(1, "BUY", 100)
    summary = client.ask("reqAccountSummary", reqId=4, tags="NetLiquidation,FullInitMarginReq,$LEDGER:ALL")

    assert values["NetLiquidation"] == "100000.00"
    assert {"FullInitMarginReq", "FullMaintMarginReq", "FullAvailableFunds", "BuyingPower"} <= set(values)
    assert heard[-1] == ("accountDownloadEnd", {"version": 1, "account": ACCOUNT})
    told = {(v["tag"], v["currency"]): v["value"] for name, v in summary if name == "accountSummary"}
    assert told["NetLiquidation", "USD"] == "99899.65"
    assert told["FullInitMarginReq", "USD"] == "2500.00"
    assert told["CashBalance", "BASE"] == "89899.65"


def test_profit_is_told_when_it_changes():
    client = Client(gateway())
    client.step()
    client.place(1, "BUY", 100)

    assert client.ask("reqPnL", reqId=3)[0][1] == {
        "reqId": 3,
        "daily": -100.35,
        "unrealized": -100.0,
        "realized": -0.35,
    }
    client.gateway.step(None)
    assert [v["daily"] for name, v in client.heard() if name == "pnl"] == [-0.35]


def test_account_values_are_told_every_three_minutes_of_the_clock():
    client = Client(gateway())
    client.step()
    client.place(1, "BUY", 100)
    client.ask("reqAccountUpdates", account=ACCOUNT)

    told = [client.step(), client.step(), client.step(OPEN + 3 * MINUTE)]

    assert [("updateAccountValue" in words, "updatePortfolio" in words) for words in told] == [
        (False, False),
        (False, False),
        (True, True),
    ]


def test_profit_of_one_position_is_told_by_the_day():
    client = Client(gateway())
    client.step()
    client.place(1, "BUY", 100)
    heard = [client.ask("reqPnLSingle", reqId=3, conId=con_id_of("AAA"))[0][1]["daily"]]
    for _ in range(3):
        client.gateway.step(None)
        heard += [v["daily"] for name, v in client.heard() if name == "pnlSingle"]

    assert heard == [-100.0, 0.0, 100.0, 100.0]
