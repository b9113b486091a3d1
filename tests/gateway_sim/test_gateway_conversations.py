"""The gateway in conversations, without sockets: requests and steps in, messages out."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firm.errors import StoreError, StoreLocked
from firm.gateway_sim.contracts import con_id_of
from firm.gateway_sim.control import answer
from firm.gateway_sim.journal import Journal
from tests.gateway_sim.wire_world import ACCOUNT, CLOSE, DAY, MINUTE, OPEN, Client, gateway, header, tape

AAA = {"symbol": "AAA", "secType": "STK", "exchange": "SMART", "currency": "USD"}


def test_a_new_client_hears_its_account_its_next_order_id_and_the_farms():
    client = Client(gateway())
    second = Client.__new__(Client)
    second.gateway, second.version = client.gateway, 178
    second.session = client.gateway.connect(178)
    heard = second.ask("startApi", clientId=2)

    assert client.short(heard) == ["managedAccounts", "nextValidId", "error 2104", "error 2106", "error 2158"]
    assert heard[0][1]["accounts"] == ACCOUNT
    assert heard[1][1]["orderId"] == 1


def test_a_client_id_in_use_is_refused_and_the_first_client_is_not_disturbed():
    gw = gateway()
    first = Client(gw, 1)
    second = Client(gw, 1)

    assert second.session.closing
    assert second.session.client_id is None
    assert first.ask("reqCurrentTime")[0][0] == "currentTime"


def test_the_clock_shows_nothing_before_the_first_step():
    gw = gateway()
    client = Client(gw)

    assert gw.brokerage.at == OPEN - 1_000_000
    heard = client.ask("reqMktData", reqId=7, **AAA)
    assert client.short(heard) == ["tickReqParams", "marketDataType", "tickPrice"]
    assert (heard[2][1]["tickType"], heard[2][1]["price"]) == (9, 98.0)


def test_a_step_shows_one_frame_and_says_how_many_are_left():
    gw = gateway()
    client = Client(gw)
    client.ask("reqMktData", reqId=7, **AAA)

    stepped = gw.step(None)
    ticks = [(v["tickType"], v["price"], v["size"]) for _, v in client.heard()]

    assert stepped == (OPEN, "frame", False, 5)
    assert ticks == [(1, 99.0, 500), (2, 101.0, 600)]


def test_a_step_goes_no_further_than_until_and_ends_where_the_tape_ends():
    gw = gateway()

    assert gw.step(OPEN + 1).advanced == "frame"
    assert gw.step(OPEN + MINUTE - 1) == (OPEN + MINUTE - 1, "until", False, 5)
    for _ in range(4):
        assert not gw.step(None).done
    assert gw.step(None).done
    assert gw.step(CLOSE + 2 * DAY) == (CLOSE + 2 * DAY, "until", True, 0)
    with pytest.raises(ValueError, match="time cannot go back"):
        gw.step(OPEN)


def test_a_market_order_is_reported_in_the_recorded_sequence():
    gw = gateway()
    client = Client(gw)
    client.step()

    assert client.place(1, "BUY", 10) == [
        "openOrder PreSubmitted",
        "orderStatus PreSubmitted 0",
        "execDetails 10@101",
        "openOrder Filled",
        "orderStatus Filled 10",
        "openOrder Filled",
        "orderStatus Filled 10",
        "commissionReport",
    ]


def test_a_resting_limit_is_submitted_modified_and_cancelled_under_one_perm_id():
    gw = gateway()
    client = Client(gw)
    client.step()

    assert client.place(1, "BUY", 10, lmtPrice=Decimal(90)) == [
        "openOrder Submitted",
        "orderStatus Submitted 0",
    ]
    modified = client.place(1, "BUY", 20, lmtPrice=Decimal(91))
    (order,) = gw.brokerage.live_orders()
    assert modified == ["openOrder Submitted", "orderStatus Submitted 0"]
    assert (order.ticket.quantity, order.ticket.limit_price, order.modifications) == (20, 91, 1)

    heard = client.ask("cancelOrder", orderId=1)
    assert client.short(heard) == ["orderStatus Cancelled 0", "error 202"]
    assert heard[0][1]["permId"] == order.perm_id
    assert client.short(client.ask("cancelOrder", orderId=1)) == ["error 10148"]
    assert client.short(client.ask("cancelOrder", orderId=9)) == ["error 10147"]


def test_an_order_partly_filled_goes_on_with_the_next_quote():
    client = Client(gateway())
    client.step()

    first = client.place(1, "BUY", 700)
    second = client.step()

    assert first[2:] == [
        "execDetails 600@101",
        "openOrder Submitted",
        "orderStatus Submitted 600",
        "commissionReport",
    ]
    assert second[:3] == ["execDetails 100@102", "openOrder Filled", "orderStatus Filled 700"]


def test_an_order_before_the_open_is_held_with_a_notice_and_fills_with_the_first_frame():
    client = Client(gateway())

    held = client.place(1, "BUY", 10)
    opened = client.step()

    assert held == ["openOrder PreSubmitted", "orderStatus PreSubmitted 0", "error 399"]
    assert opened[:3] == ["openOrder Submitted", "orderStatus Submitted 0", "execDetails 10@101"]


def test_a_day_order_ends_at_the_close():
    client = Client(gateway())
    client.step()
    client.place(1, "BUY", 10, lmtPrice=Decimal(90))

    assert client.step() == []
    assert client.step() == []
    assert client.step(CLOSE - 1) == []
    assert client.step(CLOSE) == ["orderStatus Cancelled 0", "error 202"]


def test_what_cannot_be_traded_is_refused_with_its_code():
    client = Client(gateway())
    client.step()

    assert client.place(1, "BUY", 10, symbol="ZZZ") == ["error 200"]
    assert client.place(1, "BUY", 10, orderType="VOL") == ["error 387"]
    assert client.place(1, "BUY", 10, tif="AUC") == ["error 387"]
    assert client.place(1, "BUY", 10, account="DU2") == ["error 321"]
    assert client.place(0, "BUY", 10) == ["error 321"]
    assert client.place(1, "BUY", 10, parentId=4) == ["error 10006"]
    assert client.place(1, "BUY", 10, hidden=True) == ["error 201"]
    assert client.place(1, "BUY", 10_000) == ["openOrder Inactive", "orderStatus Inactive 0", "error 201"]
    assert client.place(1, "BUY", 10) == ["error 103"]
    assert client.place(2, "BUY", 10, lmtPrice=Decimal("90.001"))[-1] == "error 110"


def test_a_modification_that_changes_the_order_itself_is_refused_and_the_order_stands():
    gw = gateway()
    client = Client(gw)
    client.step()
    client.place(1, "BUY", 10, lmtPrice=Decimal(90))

    assert client.place(1, "SELL", 10, lmtPrice=Decimal(90)) == ["error 105"]
    assert client.place(1, "BUY", 10) == ["error 329"]
    assert client.place(1, "BUY", 10_000_000, lmtPrice=Decimal(90)) == [
        "error 201",
        "openOrder Submitted",
        "orderStatus Submitted 0",
    ]
    assert gw.brokerage.live_orders()[0].ticket.quantity == 10


def test_the_preset_notice_comes_before_the_order_if_asked_for():
    client = Client(gateway(preset_notice=True))
    client.step()

    assert client.place(1, "BUY", 10, tif="")[0] == "error 10349"


def test_what_if_tells_the_margin_and_trades_nothing():
    gw = gateway()
    client = Client(gw)
    client.step()
    heard = client.ask(
        "placeOrder",
        orderId=1,
        **AAA,
        action="BUY",
        totalQuantity=Decimal(100),
        orderType="MKT",
        whatIf=True,
    )

    ((name, values),) = heard
    assert name == "openOrder"
    assert values["whatIf"]
    assert (values["initMarginChange"], values["commission"]) == ("2500.00", 0.35)
    assert gw.brokerage.orders == {}


def test_orders_are_reported_to_their_owner_only_but_seen_by_all_who_ask():
    gw = gateway()
    owner, other = Client(gw, 1), Client(gw, 2)
    owner.step()
    other.heard()
    owner.place(1, "BUY", 10, lmtPrice=Decimal(90))

    assert other.heard() == []
    assert other.short(other.ask("reqOpenOrders")) == ["openOrderEnd"]
    assert other.short(other.ask("reqAllOpenOrders")) == [
        "openOrder Submitted",
        "orderStatus Submitted 0",
        "openOrderEnd",
    ]
    assert other.short(other.ask("cancelOrder", orderId=1)) == ["error 10147"]
    assert other.short(other.ask("reqGlobalCancel")) == []
    assert owner.short(owner.heard()) == ["orderStatus Cancelled 0", "error 202"]


def test_executions_come_with_their_commissions_and_obey_the_filter():
    gw = gateway()
    client = Client(gw)
    client.step()
    client.place(1, "BUY", 10)
    client.place(2, "SELL", 4)

    everything = client.ask("reqExecutions", reqId=5)
    sells = client.ask("reqExecutions", reqId=6, side="SELL")
    later = client.ask("reqExecutions", reqId=7, time="20240102-15:00:00")

    pair = ["execDetails 10@101", "commissionReport"]
    assert client.short(everything) == [*pair, "execDetails 4@99", "commissionReport", "execDetailsEnd"]
    assert everything[0][1]["time"] == "20240102 09:30:00 US/Eastern"
    assert everything[0][1]["exchange"] == "ISLAND"
    assert everything[1][1]["realizedPNL"] is None
    assert everything[3][1]["realizedPNL"] == pytest.approx(-8.35)
    assert client.short(sells) == ["execDetails 4@99", "commissionReport", "execDetailsEnd"]
    assert client.short(later) == ["execDetailsEnd"]


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


def test_contract_details_carry_the_hours_and_the_market_rule():
    client = Client(gateway())
    heard = client.ask("reqContractDetails", reqId=9, **AAA)
    by_id = client.ask("reqContractDetails", reqId=9, conId=con_id_of("AAA"))
    unknown = client.ask("reqContractDetails", reqId=9, symbol="ZZZ", secType="STK")

    details = heard[0][1]
    assert client.short(heard) == ["contractDetails", "contractDetailsEnd"]
    assert heard == by_id
    assert client.short(unknown) == ["error 200"]
    assert details["conId"] == con_id_of("AAA")
    assert details["liquidHours"].split(";")[:3] == [
        "20240102:0930-20240102:1600",
        "20240103:0930-20240103:1600",
        "20240104:CLOSED",
    ]
    assert len(details["marketRuleIds"].split(",")) == len(details["validExchanges"].split(","))
    assert client.ask("reqMarketRule", ruleId=26)[0][1]["increments"] == [{"lowEdge": 0.0, "increment": 0.01}]


def bars(client: Client, **asked: object) -> list[tuple[object, ...]]:
    request = {**AAA, "reqId": 8, "barSize": "1 day", "duration": "10 D", "whatToShow": "TRADES", **asked}
    ((name, values),) = client.ask("reqHistoricalData", **request)
    assert name == "historicalData", values
    return [(b["date"], b["open"], b["high"], b["low"], b["close"], b["volume"]) for b in values["bars"]]


def test_history_ends_at_the_clock():
    client = Client(gateway())
    before = bars(client)
    client.step()
    client.step()

    assert before == [
        ("20231228", 96.0, 96.0, 96.0, 96.0, 0),
        ("20231229", 97.0, 97.0, 97.0, 97.0, 0),
        ("20240101", 98.0, 98.0, 98.0, 98.0, 0),
    ]
    assert bars(client)[-1] == ("20240102", 100.0, 101.0, 100.0, 101.0, 0)
    assert bars(client, endDateTime="20991231 00:00:00 UTC") == bars(client)
    assert bars(client, duration="2 D") == bars(client)[-2:]
    assert [b[4] for b in bars(client, barSize="1 min", duration="1 D")] == [100.0, 101.0]
    assert [b[0] for b in bars(client, barSize="1 min", duration="1 D", formatDate=2)] == [
        str(OPEN // 10**9),
        str((OPEN + MINUTE) // 10**9),
    ]
    assert bars(client, symbol="BBB", barSize="1 min", duration="1 D")[0][1:] == (50.0, 50.0, 50.0, 50.0, 10)
    assert bars(client, barSize="1 month", duration="1 Y")[0] == ("20231228", 96.0, 97.0, 96.0, 97.0, 0)


@pytest.mark.parametrize(
    "odd",
    [
        {"barSize": "7 mins"},
        {"duration": "x"},
        {"duration": "0 D"},
        {"whatToShow": "OPTION_IMPLIED_VOLATILITY"},
        {"endDateTime": "yesterday"},
        {"endDateTime": "20200101 00:00:00 UTC"},
        {"barSize": "1 min", "duration": "60 S"},
    ],
)
def test_history_that_cannot_be_served_is_error_162(odd: dict[str, str]):
    client = Client(gateway())
    request = {**AAA, "reqId": 8, "barSize": "1 day", "duration": "10 D", "whatToShow": "TRADES", **odd}

    assert client.short(client.ask("reqHistoricalData", **request)) == ["error 162"]


def test_bars_kept_up_to_date_grow_with_each_frame_and_five_second_bars_come_when_they_are_over():
    client = Client(gateway())
    client.step()
    request = {**AAA, "reqId": 8, "barSize": "1 day", "duration": "2 D", "whatToShow": "TRADES"}
    client.ask("reqHistoricalData", **request, keepUpToDate=True)
    client.ask("reqRealTimeBars", reqId=9, **AAA, whatToShow="MIDPOINT")
    client.gateway.step(None)
    first = client.heard()
    client.gateway.step(OPEN + MINUTE + 4_999_999_999)
    early = client.heard()
    client.gateway.step(OPEN + MINUTE + 5_000_000_000)

    assert [name for name, _ in first] == ["realtimeBar", "historicalDataUpdate"]
    assert (first[1][1]["open"], first[1][1]["close"]) == (100.0, 101.0)
    assert early == []
    (over,) = client.heard()
    assert (over[1]["time"], over[1]["close"]) == ((OPEN + MINUTE) // 10**9, 101.0)


def test_prints_come_as_last_volume_and_tick_by_tick():
    client = Client(gateway())
    client.ask("reqMktData", reqId=7, symbol="BBB", secType="STK", genericTicks="233")
    client.ask("reqTickByTickData", reqId=8, symbol="BBB", secType="STK", tickType="AllLast")
    client.gateway.step(None)
    payload = client.bytes()

    assert b"46\x006\x007\x0048\x0050.0;10;1704205800000;10;50.000000;true" in payload
    assert b"99\x008\x002\x001704205800\x0050.0\x0010\x000\x00ISLAND\x00\x00" in payload


def test_requests_that_are_not_simulated_are_answered_and_noted():
    gw = gateway()
    client = Client(gw)
    client.raw("82")
    client.raw("80")
    client.raw("79", "4")
    client.raw("88", "5", "whatever")
    client.raw("250", "1")
    client.raw("9", "8", "1")

    assert client.short(client.heard()) == [
        "mktDepthExchanges",
        "familyCodes",
        "softDollarTiers",
        "error 321",
        "error 321",
        "error 320",
    ]
    assert gw.unknown == {
        "reqFamilyCodes": 1,
        "reqSoftDollarTiers": 1,
        "reqHistogramData": 1,
        "message 250": 1,
        "malformed reqContractDetails": 1,
    }


def test_nothing_is_answered_before_start_api():
    gw = gateway()
    client = Client.__new__(Client)
    client.gateway, client.version, client.session = gw, 178, gw.connect(178)

    assert client.short(client.ask("reqPositions")) == ["error 321"]
    assert client.place(1, "BUY", 10) == ["error 321"]
    assert gw.brokerage.orders == {}


NOISE = st.lists(st.sampled_from([str(n) for n in range(105)]) | st.text(max_size=8), min_size=1, max_size=60)


@settings(max_examples=300, deadline=None)
@given(st.lists(NOISE, min_size=1, max_size=4))
def test_no_noise_from_one_client_disturbs_another(noise: list[list[str]]):
    gw = gateway()
    noisy, quiet = Client(gw, 1), Client(gw, 2)
    gw.step(None)
    noisy.session.out.clear()

    for fields in noise:
        noisy.raw(*fields)
    noisy.raw(*noise[0][:1], *(["1"] * 30))

    assert [name for name, _ in quiet.ask("reqCurrentTime")][-1] == "currentTime"
    gw.step(None)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_no_bytes_make_the_gateway_fail(payload: bytes):
    gw = gateway()
    gw.receive(Client(gw).session, payload)


def play(client: Client) -> bytes:
    """A fixed little day; returns every byte the client was sent."""
    heard = client.bytes()
    client.send("reqMktData", reqId=50, **AAA)
    client.send("reqAccountUpdates", account=ACCOUNT)
    for order_id, action, price in ((1, "BUY", None), (2, "SELL", Decimal(104)), (3, "BUY", Decimal(90))):
        client.gateway.step(None)
        order = {"orderId": order_id, **AAA, "action": action, "totalQuantity": Decimal(700), "tif": "GTC"}
        kind = {"orderType": "MKT"} if price is None else {"orderType": "LMT", "lmtPrice": price}
        client.send("placeOrder", **order, **kind)
        heard += client.bytes()
    for _ in range(3):
        client.gateway.step(None)
    client.send("reqExecutions", reqId=51)
    return heard + client.bytes()


def test_the_same_requests_and_steps_give_the_same_bytes():
    assert play(Client(gateway())) == play(Client(gateway()))


def test_a_gateway_restarted_on_its_journal_continues_exactly(tmp_path: Path):
    path = tmp_path / "journal"
    gw = gateway(path)
    client = Client(gw)
    client.step()
    client.place(1, "BUY", 700)
    client.place(2, "BUY", 10, lmtPrice=Decimal(90), tif="GTC")
    before = answer(gw, b'{"cmd":"status"}', stepped=True)
    path.rename(tmp_path / "moved")  # the first gateway keeps its lock; a crash would have released it

    (tmp_path / "journal").write_bytes((tmp_path / "moved").read_bytes())
    again = gateway(path)
    after = answer(again, b'{"cmd":"status"}', stepped=True)
    back = Client.__new__(Client)
    back.gateway, back.version, back.session = again, 178, again.connect(178)
    heard = back.ask("startApi", clientId=1)

    assert {k: v for k, v in after.items() if k != "clients"} == {
        k: v for k, v in before.items() if k != "clients"
    }
    assert heard[1] == ("nextValidId", {"version": 1, "orderId": 3})
    assert back.short(heard)[5:] == [
        "openOrder Submitted",
        "orderStatus Submitted 600",
        "openOrder Submitted",
        "orderStatus Submitted 0",
    ]
    assert again.step(None) == gw.step(None)
    assert again.brokerage.exchange.state() == gw.brokerage.exchange.state()


def test_a_torn_last_line_is_dropped_and_other_damage_is_refused(tmp_path: Path):
    path = tmp_path / "journal"
    gw = gateway(path)
    gw.step(None)
    gw.step(None)
    gw.commit()
    whole = path.read_bytes()

    (tmp_path / "torn").write_bytes(whole[:-5])
    assert gateway(tmp_path / "torn").brokerage.cursor == 1
    (tmp_path / "bent").write_bytes(whole.replace(b'"step"', b'"stop"', 1))
    with pytest.raises(StoreError, match="damaged at line 2 of 3"):
        gateway(tmp_path / "bent")


def test_a_journal_is_locked_and_belongs_to_one_run(tmp_path: Path):
    path = tmp_path / "journal"
    gw = gateway(path)
    gw.commit()

    with pytest.raises(StoreLocked):
        gateway(path)
    (tmp_path / "copy").write_bytes(path.read_bytes())
    short = header(tape(5))
    with pytest.raises(StoreError, match=r"it has frames 6 \(now 5\)"):
        Journal(tmp_path / "copy", short)


def test_the_control_language_explains_its_refusals():
    gw = gateway()

    assert "needed" in answer(gw, b"nonsense\n", stepped=True)["error"]
    assert "needed" in answer(gw, b'{"cmd":"explode"}\n', stepped=True)["error"]
    assert "runs by itself" in answer(gw, b'{"cmd":"step"}\n', stepped=False)["error"]
    assert "cannot go back" in answer(gw, b'{"cmd":"step","until":5}\n', stepped=True)["error"]
    assert answer(gw, b'{"cmd":"step","until":null}\n', stepped=True) == {
        "at": OPEN,
        "advanced": "frame",
        "done": False,
        "frames_left": 5,
    }
    assert answer(gw, b'{"cmd":"orders"}\n', stepped=True) == {"orders": []}


def test_faults_withhold_double_and_inject_for_one_client():
    gw = gateway()
    first, second = Client(gw, 1), Client(gw, 2)
    gw.step(None)

    for line in (
        b'{"cmd":"withhold","client_id":1,"messages":["orderStatus","commissionReport"]}',
        b'{"cmd":"double","client_id":1,"messages":["execDetails"]}',
        b'{"cmd":"inject","client_id":1,"code":1100,"text":"Connectivity has been lost"}',
    ):
        assert answer(gw, line, stepped=True) == {"done": True}

    assert first.short(first.heard()) == ["error 1100"]
    fill = ["execDetails 10@101", "execDetails 10@101"]
    assert first.place(1, "BUY", 10) == [
        "openOrder PreSubmitted",
        *fill,
        "openOrder Filled",
        "openOrder Filled",
    ]
    assert second.place(1, "BUY", 10)[-1] == "commissionReport"
    assert gw.brokerage.exchange.account.positions[0].quantity == 20

    answer(gw, b'{"cmd":"withhold","client_id":1,"messages":["orderStatus"],"on":false}', stepped=True)
    assert "orderStatus Filled 10" in first.place(2, "BUY", 10)
    answer(gw, b'{"cmd":"withhold","messages":["*"]}', stepped=True)
    assert second.ask("reqCurrentTime") == []


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
