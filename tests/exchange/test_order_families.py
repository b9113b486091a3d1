"""Groups, brackets, queues, clips, algorithms and conditions: each in a short conversation."""

from decimal import Decimal

import msgspec
import pytest

from firm.domain.order import Side
from firm.exchange import (
    Algo,
    Condition,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
)
from tests.exchange.worlds import (
    CLOSE_1,
    FIRST,
    FIRST_QUOTE,
    NEXT,
    OPEN_1,
    SECOND,
    THIRD,
    bracket,
    exchange,
    fills,
    frame,
    kinds,
    limit,
    market,
    opened,
    special,
    waits,
)


@pytest.mark.parametrize("oca_type", [1, 2, 3])
def test_a_full_fill_cancels_the_rest_of_an_oca_group(oca_type: int):
    x = opened()
    for price in ("95", "96"):
        x.submit(special(limit(Side.BUY, 10, price, ref=price), oca_group="g", oca_type=oca_type), OPEN_1 + 1)

    events = x.advance(frame(OPEN_1 + 2, (0, 94.0, 95.0, 50.0, 60.0)))

    assert kinds(events) == ["OrderFilled", "OrderCancelled"]
    assert fills(events) == [("96", 10, 95)]
    assert x.orders() == []


def test_a_partial_fill_cancels_or_reduces_the_group_by_its_type():
    for oca_type, expected in ((1, []), (2, [5]), (3, [5])):
        x = opened()
        for ref, quantity, price in (("a", 10, "96"), ("b", 7, "90")):
            ticket = limit(Side.BUY, quantity, price, ref=ref)
            x.submit(special(ticket, oca_group="g", oca_type=oca_type), OPEN_1 + 1)
        x.advance(frame(OPEN_1 + 2, (0, 94.0, 95.0, 50.0, 2.0)))

        assert [o.leaves for o in x.orders() if o.ticket.ref == "b"] == expected


def test_two_marketable_orders_of_a_group_fill_once_even_against_one_quote():
    x = exchange()
    for ref in ("a", "b"):
        x.submit(special(market(Side.BUY, 10, ref=ref), oca_group="g", oca_type=1), OPEN_1 - 5)

    events = x.advance(frame(OPEN_1, FIRST_QUOTE))

    assert fills(events) == [("a", 10, 101)]
    assert x.account.positions[0].quantity == 10


def test_a_bracket_waits_for_its_last_member_then_for_the_parent_then_one_child_ends_the_other():
    x = opened()
    x.submit(special(limit(Side.BUY, 10, "98", ref="parent"), transmit=False), OPEN_1 + 1)
    assert x.advance(frame(OPEN_1 + 1, (0, 96.0, 97.0, 50.0, 60.0))) == []
    x = opened()
    bracket(x)
    assert [o.asleep for o in x.orders()] == ["", "child", "child"]

    parent = x.advance(frame(OPEN_1 + 2, (0, 97.0, 98.0, 50.0, 60.0)))
    child = x.advance(frame(OPEN_1 + 3, (0, 104.0, 105.0, 50.0, 60.0)))

    assert kinds(parent) == ["OrderFilled", "OrderActivated", "OrderActivated"]
    assert [waits(e) for e in parent[1:]] == ["", "trigger"]
    assert kinds(child) == ["OrderFilled", "OrderCancelled"]
    assert fills(child) == [("profit", 10, 104)]
    assert x.account.positions[0].quantity == 0
    assert x.orders() == []


def test_cancelling_the_parent_cancels_its_children():
    x = opened()
    bracket(x)

    events = x.cancel(FIRST, OPEN_1 + 2)

    assert [e.perm_id for e in events if isinstance(e, OrderCancelled)] == [FIRST, NEXT, THIRD]
    assert x.orders() == []


def test_children_of_a_partly_filled_parent_that_ends_protect_what_it_bought():
    x = opened()
    bracket(x)
    x.advance(frame(OPEN_1 + 2, (0, 97.0, 98.0, 50.0, 4.0)))

    x.cancel(FIRST, OPEN_1 + 3)

    assert [(o.perm_id, o.leaves, o.asleep) for o in x.orders()] == [(NEXT, 4, ""), (THIRD, 4, "")]


def test_a_child_of_an_order_that_ended_unfilled_is_refused_and_one_of_a_filled_order_works():
    x = opened()
    x.submit(limit(Side.BUY, 10, "90"), OPEN_1 + 1)
    x.cancel(FIRST, OPEN_1 + 2)
    (orphan,) = x.submit(special(limit(Side.SELL, 10, "104"), parent=FIRST), OPEN_1 + 3)
    x.submit(market(Side.BUY, 10), OPEN_1 + 4)
    (child,) = x.submit(special(limit(Side.SELL, 10, "104"), parent=THIRD), OPEN_1 + 5)

    assert isinstance(orphan, OrderRejected)
    assert orphan.code == 10006
    assert waits(child) == ""


def test_a_limit_at_the_bid_fills_when_what_was_shown_before_it_has_traded():
    x = opened()
    x.submit(limit(Side.BUY, 10, "99"), OPEN_1 + 1)
    assert x.orders()[0].ahead == 50

    first = x.advance(frame(OPEN_1 + 2, prints=((0, 99.0, 30.0),)))
    cancelled = x.advance(frame(OPEN_1 + 3, (0, 99.0, 101.0, 15.0, 60.0)))
    second = x.advance(frame(OPEN_1 + 4, prints=((0, 99.0, 21.0),)))

    assert (first, cancelled) == ([], [])
    assert fills(second) == [("l", 6, 99)]


def test_a_limit_behind_the_touch_does_not_fill_by_a_print_at_it():
    x = opened()
    x.submit(limit(Side.BUY, 10, "98"), OPEN_1 + 1)

    assert x.advance(frame(OPEN_1 + 2, prints=((0, 98.0, 1000.0),))) == []


def test_an_iceberg_loses_its_place_with_every_clip():
    x = opened((0, 99.0, 101.0, 0.0, 60.0))
    x.submit(special(limit(Side.BUY, 20, "99", ref="ice"), display=Decimal(5)), OPEN_1 + 1)
    x.submit(limit(Side.BUY, 10, "99", ref="plain"), OPEN_1 + 1)
    for order in x.orders():
        order.ahead = Decimal(0)

    events = x.advance(frame(OPEN_1 + 2, prints=((0, 99.0, 8.0),)))
    later = x.advance(frame(OPEN_1 + 3, prints=((0, 98.9, 100.0),)))

    assert fills(events) == [("ice", 5, 99), ("plain", 3, 99)]
    assert fills(later) == [("plain", 7, 99), ("ice", 15, 99)]


def test_twap_releases_its_quantity_evenly_to_the_close():
    x = opened((0, 99.0, 101.0, 5000.0, 5000.0))
    twap = Algo("Twap", None, None, past_end=False, volume_max=None, patience_ns=0)
    x.submit(special(market(Side.BUY, 100), algo=twap), OPEN_1 + 0)
    span = CLOSE_1 - OPEN_1
    done = []
    for part in (4, 2, 1):
        at = OPEN_1 + span // 4 * (5 - part) if part > 1 else CLOSE_1 - 1
        x.advance(frame(at, (0, 99.0, 101.0, 5000.0, 5000.0)))
        done.append(x.account.positions[0].quantity)

    assert done == [26, 78, 100]


def test_vwap_never_takes_more_than_its_share_of_the_printed_volume():
    x = opened((0, 99.0, 101.0, 5000.0, 5000.0))
    vwap = Algo("Vwap", OPEN_1, OPEN_1 + 100, past_end=False, volume_max=Decimal("0.1"), patience_ns=0)
    x.submit(special(market(Side.BUY, 100), algo=vwap), OPEN_1)
    x.advance(frame(OPEN_1 + 50, FIRST_QUOTE, prints=((0, 100.0, 200.0),)))
    assert x.account.positions[0].quantity == 0
    x.advance(frame(OPEN_1 + 60, FIRST_QUOTE))

    assert x.account.positions[0].quantity == 20


def test_adaptive_waits_at_the_near_touch_and_then_takes_the_far():
    x = opened()
    patient = Algo("Adaptive", None, None, past_end=False, volume_max=None, patience_ns=10 * SECOND)
    x.submit(special(market(Side.BUY, 10), algo=patient), OPEN_1 + 1)
    through = x.advance(frame(OPEN_1 + 2, prints=((0, 98.5, 4.0),)))
    waiting = x.advance(frame(OPEN_1 + 5 * SECOND, FIRST_QUOTE))
    taken = x.advance(frame(OPEN_1 + 11 * SECOND, FIRST_QUOTE))

    assert fills(through) == [("m", 4, 99)]
    assert waiting == []
    assert fills(taken) == [("m", 6, 101)]


def condition(
    kind: int, value: str, *, more: bool = True, instrument: int = 1, and_next: bool = True
) -> Condition:
    return Condition(kind, more, Decimal(value), instrument, and_next)


@pytest.mark.parametrize(
    ("wanted", "met_by"),
    [
        (condition(1, "55"), frame(OPEN_1 + 3, (1, 54.9, 55.1, 9.0, 9.0))),
        (condition(3, str(OPEN_1 + 3)), frame(OPEN_1 + 3, FIRST_QUOTE)),
        (condition(6, "100"), frame(OPEN_1 + 3, prints=((1, 50.0, 100.0),))),
        (condition(7, "10"), frame(OPEN_1 + 3, (1, 54.9, 55.1, 9.0, 9.0))),
    ],
)
def test_a_conditional_order_waits_for_its_condition(wanted: Condition, met_by: object):
    x = opened()
    (accepted,) = x.submit(special(market(Side.BUY, 10), conditions=(wanted,)), OPEN_1 + 1)
    early = x.advance(frame(OPEN_1 + 2, (1, 49.9, 50.1, 9.0, 9.0)))
    events = x.advance(met_by)  # type: ignore[arg-type]

    assert waits(accepted) == "condition"
    assert early == []
    assert fills(events) == [("m", 10, 101)]


def test_conditions_are_joined_by_and_and_or():
    x = opened()
    cheap, dear = condition(1, "40", more=False), condition(1, "60", and_next=False)
    for ref, joined in (
        ("and", (cheap, dear)),
        ("or", (msgspec.structs.replace(cheap, and_next=False), dear)),
    ):
        x.submit(special(market(Side.BUY, 10, ref=ref), conditions=joined), OPEN_1 + 1)

    events = x.advance(frame(OPEN_1 + 2, (1, 60.0, 61.0, 9.0, 9.0)))

    assert [e.ref for e in events if isinstance(e, OrderFilled)] == ["or"]


def test_a_condition_can_cancel_instead_of_start():
    x = opened()
    ticket = special(limit(Side.BUY, 10, "90"), conditions=(condition(1, "60"),), conditions_cancel=True)
    x.submit(ticket, OPEN_1 + 1)

    assert x.advance(frame(OPEN_1 + 2, (1, 50.0, 51.0, 9.0, 9.0))) == []
    assert kinds(x.advance(frame(OPEN_1 + 3, (1, 60.0, 61.0, 9.0, 9.0)))) == ["OrderCancelled"]
