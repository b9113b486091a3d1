"""Faults of orders and executions, over TCP: commanded in JSON, and seen by a client to happen."""

from decimal import Decimal
from typing import Any

import pytest

from tests.gateway_sim.fault_world import FILL, RESTING, order_rows, values_of
from tests.gateway_sim.tcp_world import TcpClient, TcpGateway, tcp_gateway
from tests.gateway_sim.wire_world import ACCOUNT, OPEN, SYMBOLS, Client, gateway

# 2, 3, 29: errors on a live order that have no effect on it


@pytest.mark.parametrize(
    "code", [10349, 161, 10148, 10147, 103, 104, 201, 10318, 10052, 399, 404, 2109, 110, 354, 10197]
)
def test_an_error_can_be_said_of_a_live_order(world: TcpGateway, client: TcpClient, code: int):
    assert client.place(1, "BUY", 10, lmtPrice=Decimal(90)) == RESTING

    world.do("inject", code=code, text="so it is said", req_id=1, client_id=1)

    assert client.short() == [f"error {code}"]
    assert order_rows(world) == [("ref-1", "Submitted", True)]


# 4: cancel against fill


def test_a_cancel_can_come_too_late_and_the_order_fills(world: TcpGateway, client: TcpClient):
    client.place(1, "BUY", 700)
    world.do("refuse_cancel", client_id=1)

    refused = client.ask("cancelOrder", orderId=1)
    world.step()

    assert [v["code"] for v in values_of(refused, "error")] == [161]
    assert "execDetails 100@102" in client.short()
    assert order_rows(world) == [("ref-1", "Filled", False)]
    client.place(2, "BUY", 10, lmtPrice=Decimal(90))
    assert "orderStatus Cancelled 0" in Client.short(client.ask("cancelOrder", orderId=2))


# 5: corrections and busts


def test_an_execution_is_corrected_under_the_next_revision(world: TcpGateway, client: TcpClient):
    client.place(1, "BUY", 10)
    (first,) = world.ask("executions")["executions"]
    assert first["exec_id"] == "0000e0d5.00000001.01.01"

    world.do("correct", exec_id=first["exec_id"], quantity="8", price="100.5")
    (told,) = values_of(client.heard(), "execDetails")
    again = values_of(client.ask("reqExecutions", reqId=9), "execDetails")
    status = world.ask("status")

    assert (told["execId"], told["shares"], told["price"]) == (
        "0000e0d5.00000001.01.02",
        8,
        Decimal("100.5"),
    )
    assert [v["execId"][-2:] for v in again] == ["01", "02"]
    assert status["positions"] == {"AAA": "8"}
    assert Decimal(status["cash"]) == 100_000 - 8 * Decimal("100.5") - Decimal("0.35")
    assert [e["quantity"] for e in world.ask("executions")["executions"]] == ["8"]


def test_an_execution_is_busted_and_the_account_is_as_before(world: TcpGateway, client: TcpClient):
    client.place(1, "BUY", 10)
    world.do("bust", exec_id="0000e0d5.00000001.01.01")

    (told,) = values_of(client.heard(), "execDetails")
    status = world.ask("status")

    assert (told["execId"][-2:], told["shares"]) == ("02", 0)
    assert (status["positions"], status["cash"], status["commissions"]) == ({}, "100000", "0")
    assert world.ask("executions")["executions"] == []
    assert "stands" in world.ask("bust", exec_id="0000e0d5.00000001.01.01")["error"]


# 6: said twice


def test_messages_come_twice(world: TcpGateway, client: TcpClient):
    world.do("double", messages=["execDetails", "commissionReport"], client_id=1, times=1)

    once = client.place(1, "BUY", 10)

    assert [w for w in once if w.startswith("exec")] == ["execDetails 10@101"] * 2
    assert once.count("commissionReport") == 2
    assert client.place(2, "BUY", 10) == FILL


# 7: out of order


def test_a_message_overtakes_another(world: TcpGateway, client: TcpClient):
    world.do("hold", messages=["execDetails"], until="commissionReport")

    heard = client.place(1, "BUY", 10)

    assert [w for w in heard if "Report" in w or "exec" in w] == ["commissionReport", "execDetails 10@101"]


def test_messages_held_back_are_released_in_either_order(world: TcpGateway, client: TcpClient):
    world.do("hold", messages=["orderStatus"], client_id=1)
    quiet = client.place(1, "BUY", 10, lmtPrice=Decimal(90)) + client.place(
        2, "BUY", 10, lmtPrice=Decimal(91)
    )
    world.do("release", client_id=1, order="reverse")

    assert quiet == ["openOrder Submitted"] * 2
    assert [v["orderId"] for v in values_of(client.heard(), "orderStatus")] == [2, 1]


# 8: trades nobody's program asked for


@pytest.mark.parametrize(("liquidation", "order_id"), [(False, 0), (True, -1)])
def test_a_manual_trade_moves_the_position_and_is_no_clients_order(
    world: TcpGateway, client: TcpClient, liquidation: bool, order_id: int
):
    zero = TcpClient(world, 0)
    zero.heard()
    client.ask("reqPositions")

    world.do("manual", symbol="AAA", side="SELL", quantity="7", liquidation=liquidation)

    mine, hand = client.heard(), zero.heard()
    assert values_of(mine, "execDetails") == []
    assert [v["position"] for v in values_of(mine, "position")] == [-7]
    (fill,) = values_of(hand, "execDetails")
    assert (fill["orderId"], fill["clientId"], fill["liquidation"]) == (order_id, 0, int(liquidation))
    zero.close()


# 9: a modification that leaves two live orders


def test_a_modified_order_leaves_a_twin(world: TcpGateway, client: TcpClient):
    client.place(1, "BUY", 10, lmtPrice=Decimal(90))
    world.do("link", up=False)
    world.do("twin", client_id=1)
    client.order(1, "BUY", 10, lmtPrice=Decimal(91))
    world.do("link", up=True)
    client.until("error")
    found = values_of(client.ask("reqAllOpenOrders"), "openOrder")

    assert [(v["orderId"], v["orderRef"], v["lmtPrice"]) for v in found] == [
        (1, "ref-1", 90),
        (1, "ref-1", 91),
    ]
    assert len({v["permId"] for v in found}) == 2
    for left in (1, 0):
        client.ask("cancelOrder", orderId=1)
        assert sum(live for _, _, live in order_rows(world)) == left


# 10, 25: fields that say something else


def test_fields_of_a_message_say_something_else(world: TcpGateway, client: TcpClient):
    world.do("rewrite", message="openOrder", values={"permId": 0, "status": "ApiPending"}, times=1)
    world.do("rewrite", message="execDetails", values={"time": "20240102-14:30:00"}, client_id=1)

    client.order(1, "BUY", 10)
    heard = client.heard()

    first, second, *_ = values_of(heard, "openOrder")
    assert (first["permId"], first["status"]) == (0, "ApiPending")
    assert second["permId"] > 0
    assert values_of(heard, "execDetails")[0]["time"] == "20240102-14:30:00"
    assert "has no price" in world.ask("rewrite", message="openOrder", values={"price": 1})["error"]
    assert "is not an integer" in world.ask("rewrite", message="openOrder", values={"permId": "x"})["error"]
    assert "no message" in world.ask("rewrite", message="nonsense", values={})["error"]


# 13: a what-if that is refused


def test_a_what_if_that_is_refused_is_an_error_alone(client: TcpClient):
    assert client.place(1, "BUY", 100_000, whatIf=True) == ["error 201"]


# 18: orders of others


def test_an_order_of_another_client_is_seen_and_cannot_be_cancelled(world: TcpGateway, client: TcpClient):
    other = TcpClient(world, 2)
    other.place(5, "BUY", 10, lmtPrice=Decimal(90))

    assert [v["clientId"] for v in values_of(client.ask("reqAllOpenOrders"), "openOrder")] == [2]
    assert [v["code"] for v in values_of(client.ask("cancelOrder", orderId=5), "error")] == [10147]
    other.close()


# 19, 21, 22, 30: refusals


def test_a_refused_order_is_inactive_and_a_refused_change_changes_nothing(client: TcpClient):
    assert client.place(1, "BUY", 100_000) == ["openOrder Inactive", "orderStatus Inactive 0", "error 201"]
    client.place(2, "BUY", 10, lmtPrice=Decimal(90))
    assert client.place(2, "BUY", 10, lmtPrice=Decimal("90.001"))[0] == "error 110"
    assert [v["lmtPrice"] for v in values_of(client.ask("reqOpenOrders"), "openOrder")] == [90]
    assert client.place(3, "BUY", 10, totalQuantity=Decimal("0.5"))[-1] == "error 10318"


# 23: what happened while the client was away


def test_a_partial_fill_and_a_cancel_while_away_are_found_afterwards(world: TcpGateway, client: TcpClient):
    client.place(1, "BUY", 700, lmtPrice=Decimal(101))
    client.close()
    other = TcpClient(world, 2)
    other.ask("reqGlobalCancel")
    back = TcpClient(world, 1)
    (done,) = values_of(back.ask("reqCompletedOrders"), "completedOrder")
    fills = values_of(back.ask("reqExecutions", reqId=3), "execDetails")

    assert (done["status"], done["filledQuantity"], done["orderRef"]) == ("Cancelled", 600, "ref-1")
    assert [v["shares"] for v in fills] == [600]
    for each in (other, back):
        each.close()


# 26: orders lost in flight


def test_orders_are_lost_in_flight_and_their_ids_are_given_out_again(world: TcpGateway, client: TcpClient):
    client.place(1, "BUY", 10)
    world.do("lose", client_id=1, count=3)
    for order_id in (2, 3, 4):
        client.order(order_id, "BUY", 10)
    with pytest.raises(ConnectionError):
        client.read()
    back = TcpClient(world)

    assert values_of(back.hello, "nextValidId")[0]["orderId"] == 2
    assert [ref for ref, _, _ in order_rows(world)] == ["ref-1"]
    back.close()


# 28: yesterday is gone


def test_executions_of_yesterday_are_not_told(world: TcpGateway, client: TcpClient):
    client.place(1, "BUY", 10)
    for _ in range(3):
        world.step()

    assert [name for name, _ in client.ask("reqExecutions", reqId=3)] == ["execDetailsEnd"]


def test_shares_to_borrow_run_out_and_come_back(world: TcpGateway, client: TcpClient):
    world.do("lend", symbol="AAA", quantity="5")
    held = client.place(1, "SELL", 10)
    world.do("lend", symbol="AAA", quantity=None)

    assert held == ["openOrder PreSubmitted", "orderStatus PreSubmitted 0", "error 404"]
    assert "execDetails 10@99" in client.short()


@pytest.mark.parametrize(
    "line",
    [
        {"cmd": "nonsense"},
        {"cmd": "cut", "how": "gently"},
        {"cmd": "delay", "messages": ["position"], "ms": 0},
        {"cmd": "withhold"},
        {"cmd": "status", "more": 1},
        {"cmd": "manual", "symbol": "ZZZ", "side": "BUY", "quantity": "1"},
        {"cmd": "entitle", "symbol": "ZZZ", "level": "none"},
        {"cmd": "correct", "exec_id": "no.such.01"},
        {"cmd": "manual", "symbol": "AAA", "side": "BUY", "quantity": "NaN"},
        {"cmd": "dividend", "symbol": "AAA", "amount": "-1"},
        {"cmd": "lend", "symbol": "AAA", "quantity": "1e99"},
    ],
)
def test_a_command_that_makes_no_sense_is_answered_with_an_error(world: TcpGateway, line: dict[str, Any]):
    assert "error" in world.control.ask(line)
    assert world.ask("status")["account"] == ACCOUNT


def test_what_was_commanded_survives_a_restart(tmp_path: Any):
    journal = tmp_path / "journal"
    gw = gateway(journal)
    with tcp_gateway(gw) as world:
        world.step()
        client = TcpClient(world)
        client.place(1, "BUY", 10)
        client.place(2, "BUY", 10, lmtPrice=Decimal(90))
        world.do("twin", client_id=1)
        client.place(2, "BUY", 10, lmtPrice=Decimal(91))
        world.do("correct", exec_id="0000e0d5.00000001.01.01", quantity="9")
        world.do("manual", symbol="BBB", side="BUY", quantity="3")
        world.do("lend", symbol="AAA", quantity="5")
        before = [world.ask(what) for what in ("status", "orders", "executions")]
        client.close()
    gw._journal.close()  # type: ignore[union-attr]

    with tcp_gateway(gateway(journal)) as world:
        after = [world.ask(what) for what in ("status", "orders", "executions")]

    assert [{**b, "clients": []} for b in before] == [{**a, "clients": []} for a in after]
    assert before[0]["positions"] == {SYMBOLS[0]: "9", SYMBOLS[1]: "3"}
    assert before[0]["at"] == OPEN
