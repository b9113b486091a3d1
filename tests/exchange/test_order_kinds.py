"""Every kind of order beyond market and limit, each in a short conversation with the exchange."""

from decimal import Decimal

import msgspec
import pytest

from firm.domain.order import OrderType, Side, TimeInForce
from firm.exchange import (
    Algo,
    Condition,
    Exchange,
    ExchangeEvent,
    ExchangeState,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
    OrderElected,
    OrderExpired,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderTicket,
    Special,
    TickRule,
    TieredFees,
    Trail,
)
from firm.exchange.exchange import FIRST_PERM_ID
from tests.exchange.worlds import (
    CLOSE_1,
    CLOSE_2,
    OPEN_1,
    OPEN_2,
    SESSIONS,
    exchange,
    frame,
    limit,
    market,
    stock,
)

QUOTE = (0, 99.0, 101.0, 50.0, 60.0)
SECOND = 1_000_000_000
FIRST, NEXT, THIRD = FIRST_PERM_ID, FIRST_PERM_ID + 1, FIRST_PERM_ID + 2


def opened(quote: tuple[int, float, float, float, float] = QUOTE) -> Exchange:
    x = exchange()
    x.advance(frame(OPEN_1, quote))
    return x


def special(ticket: OrderTicket, **terms: object) -> OrderTicket:
    return msgspec.structs.replace(ticket, special=Special(**terms))  # type: ignore[arg-type]


def kinds(events: list[ExchangeEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def fills(events: list[ExchangeEvent]) -> list[tuple[str, Decimal, Decimal]]:
    return [(e.ref, e.quantity, e.price) for e in events if isinstance(e, OrderFilled)]


def waits(event: ExchangeEvent) -> str:
    assert isinstance(event, OrderAccepted | OrderActivated | OrderModified)
    return event.waits


def test_a_buy_stop_waits_for_the_bid_and_then_takes_the_ask():
    x = opened()
    (accepted,) = x.submit(special(market(Side.BUY, 10), stop=Decimal(103)), OPEN_1 + 1)
    below = x.advance(frame(OPEN_1 + 2, (0, 102.0, 104.0, 50.0, 60.0)))
    reached = x.advance(frame(OPEN_1 + 3, (0, 103.0, 105.0, 50.0, 60.0)))

    assert waits(accepted) == "trigger"
    assert below == []
    assert kinds(reached) == ["OrderElected", "OrderFilled"]
    assert fills(reached) == [("m", 10, 105)]


def test_a_print_elects_a_stop_and_the_order_takes_the_touch_not_the_print():
    x = opened()
    x.submit(special(market(Side.SELL, 10), stop=Decimal(98)), OPEN_1 + 1)

    events = x.advance(frame(OPEN_1 + 2, prints=((0, 97.5, 5.0),)))

    assert fills(events) == [("m", 10, 99)]


def test_a_stop_that_looks_at_prints_only_is_not_elected_by_a_quote():
    x = opened()
    x.submit(special(market(Side.SELL, 10), stop=Decimal(98), trigger=2), OPEN_1 + 1)

    assert x.advance(frame(OPEN_1 + 2, (0, 90.0, 91.0, 50.0, 60.0))) == []
    assert kinds(x.advance(frame(OPEN_1 + 3, prints=((0, 97.0, 1.0),)))) == ["OrderElected", "OrderFilled"]


def test_a_stop_limit_rests_at_its_limit_once_elected():
    x = opened()
    x.submit(special(limit(Side.BUY, 10, "104"), stop=Decimal(103)), OPEN_1 + 1)

    elected = x.advance(frame(OPEN_1 + 2, (0, 104.0, 106.0, 50.0, 60.0)))
    filled = x.advance(frame(OPEN_1 + 3, (0, 102.0, 104.0, 50.0, 60.0)))

    assert elected == [OrderElected(OPEN_1 + 2, FIRST, "l", Decimal(104))]
    assert fills(filled) == [("l", 10, 104)]


def test_a_stop_behind_the_market_is_elected_on_arrival():
    x = opened()

    events = x.submit(special(market(Side.SELL, 10), stop=Decimal(105)), OPEN_1 + 1)

    assert kinds(events) == ["OrderAccepted", "OrderElected", "OrderFilled"]


def test_a_trailing_stop_follows_the_market_and_never_turns_back():
    x = opened()
    x.submit(special(market(Side.SELL, 10), trail=Trail(Decimal(5), None, None)), OPEN_1 + 1)
    stops = [x.orders()[0].stop]
    for n, bid in enumerate((104.0, 102.0, 110.0, 107.0)):
        assert x.advance(frame(OPEN_1 + 2 + n, (0, bid, bid + 1, 50.0, 60.0))) == []
        stops.append(x.orders()[0].stop)
    events = x.advance(frame(OPEN_1 + 9, (0, 103.0, 104.0, 50.0, 60.0)))

    assert stops == [94, 99, 99, 105, 105]
    assert fills(events) == [("m", 10, 103)]


def test_a_trailing_stop_by_percentage_becomes_a_limit_with_its_offset():
    x = opened((0, 99.99, 100.0, 50.0, 60.0))
    trail = Trail(None, Decimal(1), Decimal("0.05"))
    x.submit(special(market(Side.BUY, 10), trail=trail), OPEN_1 + 1)
    assert x.orders()[0].stop == Decimal("101.00")

    elected = x.advance(frame(OPEN_1 + 2, (0, 101.0, 101.5, 50.0, 60.0)))
    filled = x.advance(frame(OPEN_1 + 3, (0, 100.5, 101.02, 50.0, 60.0)))

    assert elected == [OrderElected(OPEN_1 + 2, FIRST, "m", Decimal("101.05"))]
    assert fills(filled) == [("m", 10, Decimal("101.02"))]


def test_a_market_on_close_order_takes_the_last_quote_and_no_more_than_it_shows():
    x = opened()
    events = x.submit(special(market(Side.BUY, 70), auction="close"), OPEN_1 + 1)
    assert kinds(events) == ["OrderAccepted"]
    assert x.advance(frame(OPEN_1 + 2, (0, 99.0, 100.5, 50.0, 60.0))) == []

    closing = x.advance_to(CLOSE_1 + 5)

    assert fills(closing) == [("m", 60, Decimal("100.5"))]
    assert closing[0].at == CLOSE_1
    assert closing[1] == OrderExpired(CLOSE_1, FIRST, "m", Decimal(60))


def test_a_limit_on_close_order_that_is_not_marketable_ends_unfilled():
    x = opened()
    x.submit(special(limit(Side.BUY, 10, "100"), auction="close"), OPEN_1 + 1)

    assert kinds(x.advance_to(CLOSE_1)) == ["OrderExpired"]


def test_an_order_for_the_opening_has_one_chance_when_its_instrument_is_first_quoted():
    x = opened()
    (accepted,) = x.submit(special(limit(Side.BUY, 70, "101"), auction="open"), OPEN_1 + 1)
    today = x.advance(frame(OPEN_1 + 2, QUOTE))
    x.advance_to(CLOSE_1)
    other = x.advance(frame(OPEN_2, (1, 49.0, 51.0, 10.0, 10.0)))
    own = x.advance(frame(OPEN_2 + 1, QUOTE))

    assert accepted.held
    assert (today, other) == ([], [])
    assert kinds(own) == ["OrderActivated", "OrderFilled", "OrderCancelled"]
    assert own[2].cumulative == 60


def test_fill_or_kill_is_all_or_nothing():
    x = opened()

    killed = x.submit(special(limit(Side.BUY, 61, "101", tif=TimeInForce.IOC), all_at_once=True), OPEN_1 + 1)
    filled = x.submit(special(limit(Side.BUY, 60, "101", tif=TimeInForce.IOC), all_at_once=True), OPEN_1 + 2)

    assert kinds(killed) == ["OrderAccepted", "OrderCancelled"]
    assert fills(filled) == [("l", 60, 101)]


def test_a_good_till_date_order_ends_at_its_date_and_outlives_the_session():
    x = opened()
    ticket = special(limit(Side.BUY, 10, "90", tif=TimeInForce.GTC), good_till=OPEN_2 + 5)
    x.submit(ticket, OPEN_1 + 1)
    (late,) = x.submit(special(ticket, good_till=OPEN_1), OPEN_1 + 1)

    assert x.advance_to(OPEN_2) == []
    assert x.advance_to(OPEN_2 + 5) == [OrderExpired(OPEN_2 + 5, FIRST, "l", Decimal(0))]
    assert (late.code, type(late)) == (334, OrderRejected)


def test_a_good_after_time_order_enters_at_its_time():
    x = opened()
    (accepted,) = x.submit(special(market(Side.BUY, 10), good_after=OPEN_1 + 5), OPEN_1 + 1)

    assert accepted.held
    assert x.advance(frame(OPEN_1 + 4, QUOTE)) == []
    assert kinds(x.advance(frame(OPEN_1 + 5, QUOTE))) == ["OrderActivated", "OrderFilled"]


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

    events = x.advance(frame(OPEN_1, QUOTE))

    assert fills(events) == [("a", 10, 101)]
    assert x.account.positions[0].quantity == 10


def bracket(x: Exchange, quantity: int = 10) -> None:
    x.submit(special(limit(Side.BUY, quantity, "98", ref="parent"), transmit=False), OPEN_1 + 1)
    profit = special(limit(Side.SELL, quantity, "104", ref="profit"), parent=FIRST, transmit=False)
    x.submit(profit, OPEN_1 + 1)
    x.submit(special(market(Side.SELL, quantity, ref="loss"), parent=FIRST, stop=Decimal(95)), OPEN_1 + 1)


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


def test_a_stop_woken_by_the_closing_auction_waits_for_the_next_session():
    x = opened()
    x.submit(special(market(Side.BUY, 10, ref="moc"), auction="close"), OPEN_1 + 1)
    stop = special(market(Side.SELL, 10, ref="stop", tif=TimeInForce.GTC), parent=FIRST, stop=Decimal(105))
    x.submit(stop, OPEN_1 + 1)

    closing = x.advance_to(CLOSE_1)
    opening = x.advance(frame(OPEN_2, (0, 99.0, 101.0, 50.0, 60.0)))

    assert kinds(closing) == ["OrderFilled", "OrderActivated"]
    assert waits(closing[1]) == "trigger"
    assert kinds(opening) == ["OrderElected", "OrderFilled"]


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
    x.advance(frame(OPEN_1 + 50, QUOTE, prints=((0, 100.0, 200.0),)))
    assert x.account.positions[0].quantity == 0
    x.advance(frame(OPEN_1 + 60, QUOTE))

    assert x.account.positions[0].quantity == 20


def test_adaptive_waits_at_the_near_touch_and_then_takes_the_far():
    x = opened()
    patient = Algo("Adaptive", None, None, past_end=False, volume_max=None, patience_ns=10 * SECOND)
    x.submit(special(market(Side.BUY, 10), algo=patient), OPEN_1 + 1)
    through = x.advance(frame(OPEN_1 + 2, prints=((0, 98.5, 4.0),)))
    waiting = x.advance(frame(OPEN_1 + 5 * SECOND, QUOTE))
    taken = x.advance(frame(OPEN_1 + 11 * SECOND, QUOTE))

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
        (condition(3, str(OPEN_1 + 3)), frame(OPEN_1 + 3, QUOTE)),
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


def test_a_short_sale_waits_for_shares_to_borrow():
    x = opened()
    x.lend(0, Decimal(5))
    (accepted,) = x.submit(market(Side.SELL, 10), OPEN_1 + 1)
    found = x.lend(0, Decimal(10))

    assert waits(accepted) == "locate"
    assert kinds(found) == ["OrderActivated", "OrderFilled"]


def test_prices_off_a_banded_grid_are_refused():
    rule = TickRule(1, ((Decimal(0), Decimal("0.0001")), (Decimal(1), Decimal("0.01"))))
    traits = msgspec.structs.replace(stock(0, "AAA"), tick_size=Decimal("0.0001"))
    template = exchange()
    x = Exchange(
        [traits], Decimal(10**5), "DU1", SESSIONS, TieredFees(), template._admission._rules, [0.9], {0: rule}
    )

    codes = []
    for price in ("0.9001", "1.0001", "1.01"):
        (event,) = x.submit(limit(Side.BUY, 10, price), OPEN_1)
        codes.append(event.code if isinstance(event, OrderRejected) else 0)
    assert codes == [0, 110, 0]


@pytest.mark.parametrize(
    ("ticket", "code"),
    [
        (special(market(Side.BUY, 1), stop=Decimal("90.005")), 110),
        (special(market(Side.BUY, 1), stop=Decimal(90), trigger=3), 201),
        (special(market(Side.BUY, 1), trail=Trail(None, None, None)), 201),
        (special(market(Side.BUY, 1), trail=Trail(Decimal(1), Decimal(1), None)), 201),
        (special(market(Side.BUY, 1, tif=TimeInForce.GTC), auction="close"), 113),
        (special(market(Side.BUY, 1), auction="open", stop=Decimal(90)), 111),
        (special(limit(Side.BUY, 10, "90"), display=Decimal("0.5")), 201),
        (OrderTicket(0, Side.BUY, Decimal(1), OrderType.LIMIT, None, TimeInForce.DAY, ""), 201),
    ],
)
def test_terms_that_do_not_fit_together_are_rejected(ticket: OrderTicket, code: int):
    (rejected,) = exchange().submit(ticket, OPEN_1)

    assert isinstance(rejected, OrderRejected)
    assert rejected.code == code


def test_a_modified_stop_stands_at_its_new_price():
    x = opened()
    x.submit(special(market(Side.SELL, 10), stop=Decimal(90)), OPEN_1 + 1)

    events = x.modify(FIRST, Decimal(10), None, OPEN_1 + 2, Special(stop=Decimal(100)))

    assert kinds(events) == ["OrderModified"]
    assert kinds(x.advance(frame(OPEN_1 + 3, (0, 99.0, 100.0, 50.0, 60.0)))) == [
        "OrderElected",
        "OrderFilled",
    ]


def test_all_of_it_survives_a_restart():
    x = opened()
    bracket(x)
    x.submit(special(market(Side.SELL, 10), trail=Trail(Decimal(5), None, None)), OPEN_1 + 1)
    x.lend(1, Decimal(3))
    y = exchange()
    y.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(x.state()), type=ExchangeState))

    for at, bid in ((OPEN_1 + 2, 97.0), (OPEN_1 + 3, 104.0), (CLOSE_2, 90.0)):
        if at == CLOSE_2:
            assert x.advance_to(at) == y.advance_to(at)
            continue
        quote = frame(at, (0, bid, bid + 1, 50.0, 60.0))
        assert x.advance(quote) == y.advance(quote)
    assert x.state() == y.state()
