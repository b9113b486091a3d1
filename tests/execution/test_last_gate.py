from decimal import Decimal
from typing import Any

import pytest

from firm.domain.order import OrderType, Side, TimeInForce
from firm.events.orders import Child, Cleared
from firm.execution.last_gate import Moment, gates

D = Decimal
MS = 1_000_000
ORDER = Cleared(0, Side.BUY, D(100), D(100), D(97), D(103), valid_until=5_000 * MS)


def child(quantity: str = "10", price: str | None = "100", order_type: OrderType = OrderType.LIMIT):
    limit = None if price is None else D(price)
    return Child(0, 1000, Side.BUY, D(quantity), order_type, limit, TimeInForce.DAY)


def moment(**changes: Any):
    content = {
        "at": 2_000 * MS,
        "halted": None,
        "broker": None,
        "session_open": True,
        "touch": D(100),
        "quoted_at": 2_000 * MS,
        "left": D(100),
        "messages": 0,
    }
    return Moment(**{**content, **changes})


def objections(a_child: Child, a_moment: Moment):
    asked = [(gate.name, gate.objection(a_child, ORDER, a_moment)) for gate in gates(1000, 200)]
    return {name: reason for name, reason in asked if reason is not None}


@pytest.mark.parametrize(
    ("a_child", "a_moment"),
    [
        (child(), moment()),
        (child(), moment(at=5_000 * MS, quoted_at=5_000 * MS)),
        (child(), moment(quoted_at=1_000 * MS)),
        (child("100"), moment(left=D(100))),
        (child(price="97"), moment()),
        (child(price="103"), moment()),
        (child(price=None, order_type=OrderType.MARKET), moment(touch=D(103))),
        (child(), moment(messages=199)),
    ],
)
def test_at_the_boundary_a_child_passes(a_child: Child, a_moment: Moment):
    assert objections(a_child, a_moment) == {}


@pytest.mark.parametrize(
    ("a_child", "a_moment", "gate", "reason"),
    [
        (child(), moment(halted="kill"), "halt", "trading is halted: kill"),
        (child(), moment(broker="disconnected: rst"), "broker", "broker: disconnected: rst"),
        (
            child(),
            moment(at=5_000 * MS + 1, quoted_at=5_000 * MS),
            "validity",
            "validity: the clearance ran out 1e-06 ms ago",
        ),
        (child(), moment(session_open=False), "session", "session: the market is closed"),
        (
            child(),
            moment(touch=None, quoted_at=None),
            "quote",
            "quote: the instrument was never quoted",
        ),
        (
            child(),
            moment(quoted_at=1_000 * MS - MS),
            "quote",
            "quote: the last quote is 1001 ms old, limit is 1000 ms",
        ),
        (
            child("51"),
            moment(left=D(50)),
            "quantity",
            "quantity: 51 wanted, 50 of the cleared 100 are left",
        ),
        (child("0"), moment(), "quantity", "quantity: 0 wanted, 100 of the cleared 100 are left"),
        (
            child(price="103.01"),
            moment(),
            "price",
            "price: the limit price 103.01 is outside the cleared 97 to 103",
        ),
        (
            child(price="96.99"),
            moment(),
            "price",
            "price: the limit price 96.99 is outside the cleared 97 to 103",
        ),
        (child(price=None), moment(), "price", "price: the limit price is not known"),
        (
            child(price=None, order_type=OrderType.MARKET),
            moment(touch=D("103.01")),
            "price",
            "price: the touch 103.01 is outside the cleared 97 to 103",
        ),
        (
            child(),
            moment(messages=200),
            "message_rate",
            "message rate: 200 messages in this cycle already, limit is 200",
        ),
    ],
)
def test_one_step_beyond_one_gate_objects_with_the_numbers(
    a_child: Child, a_moment: Moment, gate: str, reason: str
):
    assert objections(a_child, a_moment) == {gate: reason}
