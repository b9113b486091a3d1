"""Orders in conversation, without sockets: requests and steps in, messages out."""

from decimal import Decimal

import pytest

from tests.gateway_sim.wire_world import ACCOUNT, CLOSE, DAY, MINUTE, OPEN, Client, gateway

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
