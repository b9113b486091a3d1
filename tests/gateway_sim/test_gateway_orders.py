"""Orders of every kind over the wire: what a client hears of them, and how wrong ones are refused."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from firm.gateway_sim.contracts import con_id_of
from tests.gateway_sim.wire_world import CLOSE, DAY, MINUTE, OPEN, Client, gateway, order

CANCELLED = ["orderStatus Cancelled 0", "error 202"]
FILLED = ["openOrder Filled", "orderStatus Filled 10"] * 2


def started() -> Client:
    """AAA is at 99/101 and rises by 1 a minute."""
    client = Client(gateway())
    client.step()
    return client


def stated(client: Client, order_id: int, action: str, quantity: int, **values: Any) -> dict[str, Any]:
    """Place the order and return the values of the first openOrder and of its status together."""
    heard = dict(reversed(client.ask("placeOrder", **order(order_id, action, quantity, **values))))
    assert "openOrder" in heard, heard
    return {**heard["orderStatus"], **heard["openOrder"]}


def test_a_stop_is_presubmitted_until_it_triggers():
    client = started()

    found = stated(client, 1, "BUY", 10, orderType="STP", auxPrice=Decimal(100))
    triggered = client.step()

    assert (found["status"], found["whyHeld"]) == ("PreSubmitted", "trigger")
    assert (found["orderType"], found["auxPrice"]) == ("STP", 100)
    assert triggered == [
        "openOrder Submitted",
        "orderStatus Submitted 0",
        "execDetails 10@102",
        *FILLED,
        "commissionReport",
    ]


def test_a_stop_limit_and_a_trailing_stop_say_all_their_terms():
    client = started()

    stop_limit = stated(
        client, 1, "BUY", 10, orderType="STP LMT", auxPrice=Decimal(105), lmtPrice=Decimal(106)
    )
    trail = stated(client, 2, "SELL", 10, orderType="TRAIL", auxPrice=Decimal(3))
    client.step()
    (_, restated), *_ = [m for m in client.ask("reqOpenOrders") if m[1].get("orderId") == 2]

    assert (stop_limit["orderType"], stop_limit["lmtPrice"], stop_limit["auxPrice"]) == ("STP LMT", 106, 105)
    assert (trail["orderType"], trail["auxPrice"], trail["status"]) == ("TRAIL", 3, "PreSubmitted")
    assert restated["trailStopPrice"] == 97.0


def test_a_trailing_limit_becomes_a_limit_and_can_be_sent_with_both_prices():
    client = started()
    stated(
        client, 1, "BUY", 10, orderType="TRAIL LIMIT", auxPrice=Decimal(1), trailStopPrice=100.0,
        lmtPrice=Decimal("100.5"),
    )  # fmt: skip

    triggered = client.step()
    (_, order), *_ = client.ask("reqOpenOrders")

    assert triggered == ["openOrder Submitted", "orderStatus Submitted 0"]
    assert (order["lmtPrice"], order["status"]) == (Decimal("100.5"), "Submitted")


def test_a_bracket_as_clients_send_it():
    client = started()

    parent = client.place(1, "BUY", 10, lmtPrice=Decimal(100), transmit=False)
    profit = client.place(2, "SELL", 10, lmtPrice=Decimal(101), parentId=1, transmit=False)
    loss = stated(client, 3, "SELL", 10, orderType="STP", auxPrice=Decimal(90), parentId=1)

    assert parent == profit == ["openOrder PreSubmitted", "orderStatus PreSubmitted 0"]
    assert (loss["parentId"], loss["whyHeld"]) == (1, "child")
    filled = client.place(1, "BUY", 10, lmtPrice=Decimal(101))
    client.heard()
    ended = client.step()
    last = client.step()
    assert filled[2:4] == ["execDetails 10@101", "openOrder Filled"]
    assert filled[-4:] == [
        "openOrder Submitted",
        "orderStatus Submitted 0",
        *["openOrder PreSubmitted", "orderStatus PreSubmitted 0"],
    ]
    assert ended == []
    assert last[:1] == ["execDetails 10@101"]
    assert last[-2:] == CANCELLED
    assert client.short(client.ask("reqOpenOrders")) == ["openOrderEnd"]


def test_cancelling_a_parent_cancels_its_children_and_a_missing_parent_is_refused():
    client = started()
    client.place(1, "BUY", 10, lmtPrice=Decimal(90))
    client.place(2, "SELL", 10, lmtPrice=Decimal(110), parentId=1)

    assert client.short(client.ask("cancelOrder", orderId=1)) == CANCELLED * 2
    assert client.place(3, "SELL", 10, parentId=1) == ["error 10006"]


def test_an_oca_group_is_told_and_ends_together():
    client = started()
    client.place(1, "BUY", 10, lmtPrice=Decimal(90), ocaGroup="one", ocaType=1)
    found = client.place(2, "BUY", 10, lmtPrice=Decimal(101), ocaGroup="one", ocaType=1)

    assert found[-2:] == CANCELLED
    assert client.short(client.ask("reqOpenOrders")) == ["openOrderEnd"]


def test_auction_orders_are_filled_at_the_close_and_the_open():
    client = started()
    client.place(1, "BUY", 10, orderType="MOC")
    client.place(2, "BUY", 10, tif="OPG", lmtPrice=Decimal(110))

    during = client.step() + client.step() + client.step(CLOSE - 1)
    at_close = client.step(CLOSE)
    opening = client.step()

    assert during == []
    assert at_close[0] == "execDetails 10@103"
    assert "execDetails 10@104" in opening


def test_orders_with_a_date_come_and_go_by_it():
    client = started()
    good_after = "20240102 09:31:30 US/Eastern"
    good_till = "20240103 09:31:00 US/Eastern"

    held = client.place(1, "BUY", 10, goodAfterTime=good_after)
    client.place(2, "BUY", 10, lmtPrice=Decimal(90), tif="GTD", goodTillDate=good_till)
    early, later = client.step(), client.step()
    night = client.step(OPEN + DAY)
    ended = client.step(OPEN + DAY + MINUTE)

    assert held[-1] == "error 399"
    assert early == []
    assert later[2] == "execDetails 10@103"
    assert night == []
    assert ended[-2:] == CANCELLED
    assert client.place(3, "BUY", 10, tif="GTD") == ["error 334"]
    assert client.place(3, "BUY", 10, tif="GTD", goodTillDate="tomorrow") == ["error 337"]
    assert (
        client.place(3, "BUY", 10, lmtPrice=Decimal(90), tif="GTD", goodTillDate="20200101 10:00:00 UTC")[-1]
        == "error 334"
    )


def test_fill_or_kill_and_all_or_none():
    client = started()

    assert client.place(1, "BUY", 700, lmtPrice=Decimal(101), tif="FOK")[-2:] == CANCELLED
    assert client.place(2, "BUY", 700, lmtPrice=Decimal(101), allOrNone=True) == [
        "openOrder Submitted",
        "orderStatus Submitted 0",
    ]
    assert "execDetails 10@101" in client.place(3, "BUY", 10, lmtPrice=Decimal(101), tif="FOK")


def test_an_iceberg_echoes_its_display_size():
    found = stated(started(), 1, "BUY", 100, orderType="LMT", lmtPrice=Decimal(90), displaySize=10)

    assert found["displaySize"] == 10


def test_algorithms_are_taken_with_their_parameters_and_refused_without_sense():
    client = started()
    tags = [
        {"tag": "startTime", "value": "09:30:00 US/Eastern"},
        {"tag": "endTime", "value": "09:40:00 US/Eastern"},
    ]
    found = stated(client, 1, "BUY", 100, orderType="MKT", algoStrategy="Twap", algoParams=tags)
    work = client.step()

    assert (found["algoStrategy"], found["algoParams"]) == ("Twap", tags)
    assert work[0] == "execDetails 10@102"
    for strategy, asked, code in (
        ("Dark", [], 439),
        ("Twap", [{"tag": "speed", "value": "1"}], 443),
        ("Twap", [{"tag": "startTime", "value": "noon"}], 441),
        ("Vwap", [{"tag": "maxPctVol", "value": "7"}], 441),
        ("Vwap", [{"tag": "noTakeLiq", "value": "1"}], 441),
        ("Adaptive", [{"tag": "adaptivePriority", "value": "Now"}], 441),
    ):
        assert client.place(2, "BUY", 10, algoStrategy=strategy, algoParams=asked) == [f"error {code}"]
    assert client.place(2, "BUY", 10, algoStrategy="Vwap", tif="GTC")[-1] == "error 111"


def test_conditions_are_validated_echoed_and_obeyed():
    client = started()
    price = {
        "condType": 1, "conjunction": "a", "isMore": True, "condPrice": 101.0,
        "condConId": con_id_of("AAA"), "condExchange": "SMART", "condTriggerMethod": 0,
    }  # fmt: skip
    found = stated(client, 1, "BUY", 10, orderType="MKT", conditions=[price])
    first, second = client.step(), client.step()

    assert found["status"] == "PreSubmitted"
    assert found["conditions"] == [price]
    assert first[-6:-5] == ["execDetails 10@102"] or "execDetails 10@102" in first
    assert second == []
    assert client.place(2, "BUY", 10, conditions=[{**price, "condConId": 5}]) == ["error 200"]
    time = {"condType": 3, "conjunction": "a", "isMore": True, "condTime": "noon"}
    assert client.place(2, "BUY", 10, conditions=[time]) == ["error 337"]


def test_a_stop_price_off_the_grid_and_an_odd_trigger_are_refused():
    client = started()

    assert client.place(1, "BUY", 10, orderType="STP", auxPrice=Decimal("99.999"))[-1] == "error 110"
    assert (
        client.place(2, "BUY", 10, orderType="STP", auxPrice=Decimal(99), triggerMethod=3)[-1] == "error 201"
    )
    assert client.place(3, "BUY", 10, orderType="MOC", tif="GTC")[-1] == "error 113"
    assert client.place(4, "BUY", 10, orderType="TRAIL LIMIT", auxPrice=Decimal(1)) == ["error 321"]


def test_a_stop_can_be_modified_and_keeps_its_name():
    client = started()
    first = stated(client, 1, "SELL", 10, orderType="STP", auxPrice=Decimal(90))
    second = stated(client, 1, "SELL", 10, orderType="STP", auxPrice=Decimal(91))

    assert second["permId"] == first["permId"]
    assert second["auxPrice"] == 91
    assert client.place(1, "SELL", 10, lmtPrice=Decimal(91)) == ["error 329"]
    assert client.place(1, "SELL", 10, orderType="STP", auxPrice=Decimal(91), ocaGroup="g") == ["error 105"]


@pytest.mark.parametrize("version", [157, 166, 178])
def test_special_orders_come_back_from_the_journal(tmp_path: Path, version: int):
    journal = tmp_path / "journal"
    gw = gateway(journal)
    client = Client(gw, version=version)
    client.step()
    client.place(1, "BUY", 10, lmtPrice=Decimal(100), transmit=False)
    client.place(2, "SELL", 10, orderType="STP", auxPrice=Decimal(90), parentId=1)
    client.place(3, "BUY", 10, orderType="TRAIL", auxPrice=Decimal(2))
    client.place(4, "BUY", 10, tif="OPG")
    client.step()
    before = gw.brokerage.exchange.state()
    gw._journal.close()  # type: ignore[union-attr]

    again = gateway(journal)

    assert again.brokerage.exchange.state() == before
    assert [o.status for o in again.brokerage.orders.values()] == [
        o.status for o in gw.brokerage.orders.values()
    ]
