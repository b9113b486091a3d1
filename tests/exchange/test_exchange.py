"""The exchange in conversations: frames and orders in, reports out."""

from decimal import Decimal

import msgspec
import pytest

from firm.domain.order import OrderType, Side, TimeInForce
from firm.exchange import (
    ExchangeEvent,
    ExchangeState,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderTicket,
    RequestRefused,
    TieredFees,
)
from firm.exchange.exchange import FIRST_PERM_ID
from tests.exchange.worlds import (
    CASH,
    CLOSE_1,
    CLOSE_2,
    OPEN_1,
    OPEN_2,
    exchange,
    frame,
    limit,
    market,
)

QUOTE = (0, 99.0, 101.0, 50.0, 60.0)


def kinds(events: list[ExchangeEvent]) -> list[type]:
    return [type(event) for event in events]


def test_a_market_order_takes_the_ask_at_once():
    x = exchange()
    x.advance(frame(OPEN_1, QUOTE))

    accepted, fill = x.submit(market(Side.BUY, 10), OPEN_1 + 1)

    assert accepted == OrderAccepted(OPEN_1 + 1, FIRST_PERM_ID, "m", held=False)
    assert (fill.price, fill.quantity, fill.leaves) == (Decimal(101), Decimal(10), Decimal(0))
    assert fill.exec_id == "0000e0d5.00000001.01.01"
    assert fill.removed_liquidity
    assert fill.realized_pnl is None
    assert x.account.cash == CASH - 1010
    assert x.orders() == []


def test_a_market_order_larger_than_the_displayed_size_fills_in_parts():
    x = exchange()
    x.advance(frame(OPEN_1, QUOTE))

    events = x.submit(market(Side.BUY, 100), OPEN_1 + 1)
    waiting = x.advance(frame(OPEN_1 + 2, (1, 49.0, 51.0, 10.0, 10.0)))
    rest = x.advance(frame(OPEN_1 + 3, (0, 99.0, 102.0, 50.0, 60.0)))

    assert kinds(events) == [OrderAccepted, OrderFilled]
    assert events[1].quantity == 60
    assert waiting == []
    assert [(f.price, f.quantity, f.cumulative) for f in rest] == [(Decimal(102), Decimal(40), Decimal(100))]
    assert rest[0].average_price == (60 * Decimal(101) + 40 * Decimal(102)) / 100


def test_used_up_size_comes_back_only_with_a_new_quote():
    x = exchange()
    x.advance(frame(OPEN_1, QUOTE))
    x.submit(market(Side.BUY, 60), OPEN_1 + 1)

    second = x.submit(market(Side.BUY, 5), OPEN_1 + 2)
    after = x.advance(frame(OPEN_1 + 3, QUOTE))

    assert kinds(second) == [OrderAccepted]
    assert [f.quantity for f in after] == [5]


def test_the_better_limit_fills_first_and_equal_limits_by_arrival():
    x = exchange()
    x.advance(frame(OPEN_1, (0, 99.0, 110.0, 50.0, 60.0)))
    for price, ref in (("100", "low"), ("102", "first"), ("102", "second"), ("103", "high")):
        x.submit(limit(Side.BUY, 10, price, ref=ref), OPEN_1 + 1)

    fills = x.advance(frame(OPEN_1 + 2, (0, 99.0, 100.0, 50.0, 35.0)))

    assert [(f.ref, f.quantity, f.price) for f in fills] == [
        ("high", 10, 100),
        ("first", 10, 100),
        ("second", 10, 100),
        ("low", 5, 100),
    ]


def test_a_print_through_a_resting_limit_fills_it_at_its_limit():
    x = exchange()
    x.advance(frame(OPEN_1, QUOTE))
    x.submit(limit(Side.BUY, 10, "99.5"), OPEN_1 + 1)

    above = x.advance(frame(OPEN_1 + 2, prints=((0, 99.6, 100.0),)))
    through = x.advance(frame(OPEN_1 + 3, prints=((0, 99.4, 4.0),)))

    assert above == []
    assert [(f.price, f.quantity, f.removed_liquidity) for f in through] == [
        (Decimal("99.5"), Decimal(4), False)
    ]


def test_a_print_is_shared_not_counted_twice():
    x = exchange()
    x.advance(frame(OPEN_1, QUOTE))
    for ref in ("a", "b"):
        x.submit(limit(Side.SELL, 10, "100.5", ref=ref), OPEN_1 + 1)

    fills = x.advance(frame(OPEN_1 + 2, prints=((0, 100.6, 15.0),)))

    assert [(f.ref, f.quantity) for f in fills] == [("a", 10), ("b", 5)]


def test_an_order_outside_a_session_is_held_until_its_first_frame():
    x = exchange()

    (accepted,) = x.submit(market(Side.SELL, 10), OPEN_1 - 5)
    at_open = x.advance_to(OPEN_1)
    first = x.advance(frame(OPEN_1 + 1, QUOTE))

    assert accepted.held
    assert at_open == []
    assert kinds(first) == [OrderActivated, OrderFilled]
    assert first[1].price == 99


def test_a_day_order_expires_at_the_close_and_a_gtc_order_does_not():
    x = exchange()
    x.advance(frame(OPEN_1, QUOTE))
    x.submit(limit(Side.BUY, 10, "90", ref="day"), OPEN_1 + 1)
    x.submit(limit(Side.BUY, 10, "90", ref="gtc", tif=TimeInForce.GTC), OPEN_1 + 1)

    expired = x.advance_to(CLOSE_1)
    next_day = x.advance(frame(OPEN_2, (0, 88.0, 89.0, 50.0, 60.0)))

    assert expired == [OrderExpired(CLOSE_1, FIRST_PERM_ID, "day", Decimal(0))]
    assert [(f.ref, f.price) for f in next_day] == [("gtc", 89)]


def test_a_held_day_order_lives_to_the_close_of_the_next_session():
    x = exchange()
    x.advance(frame(OPEN_1, QUOTE))
    x.submit(limit(Side.BUY, 10, "90"), CLOSE_1 + 1)

    assert x.advance_to(OPEN_2) == []
    assert x.advance_to(CLOSE_2) == [OrderExpired(CLOSE_2, FIRST_PERM_ID, "l", Decimal(0))]


def test_quotes_do_not_outlive_their_session():
    x = exchange()
    x.advance(frame(OPEN_1, QUOTE))
    x.submit(market(Side.BUY, 10), CLOSE_1 + 1)

    other = x.advance(frame(OPEN_2, (1, 49.0, 51.0, 10.0, 10.0)))
    own = x.advance(frame(OPEN_2 + 1, (0, 94.0, 95.0, 10.0, 10.0)))

    assert kinds(other) == [OrderActivated]
    assert [f.price for f in own] == [95]


def test_the_rest_of_an_immediate_or_cancel_order_is_cancelled():
    x = exchange()
    x.advance(frame(OPEN_1, QUOTE))

    events = x.submit(limit(Side.BUY, 100, "101", tif=TimeInForce.IOC), OPEN_1 + 1)

    assert kinds(events) == [OrderAccepted, OrderFilled, OrderCancelled]
    assert events[2].cumulative == 60
    assert x.orders() == []


def test_a_cancelled_order_is_gone_and_a_second_cancel_is_refused():
    x = exchange()
    x.advance(frame(OPEN_1, QUOTE))
    x.submit(limit(Side.BUY, 10, "90"), OPEN_1 + 1)

    (cancelled,) = x.cancel(FIRST_PERM_ID, OPEN_1 + 2)
    (done,) = x.cancel(FIRST_PERM_ID, OPEN_1 + 3)
    (unknown,) = x.cancel(FIRST_PERM_ID + 7, OPEN_1 + 3)

    assert kinds([cancelled]) == [OrderCancelled]
    assert (done.code, unknown.code) == (10148, 10147)


def test_a_modification_keeps_the_name_and_may_fill():
    x = exchange()
    x.advance(frame(OPEN_1, QUOTE))
    x.submit(limit(Side.BUY, 10, "90"), OPEN_1 + 1)

    modified, fill = x.modify(FIRST_PERM_ID, Decimal(20), Decimal(101), OPEN_1 + 2)

    assert modified == OrderModified(OPEN_1 + 2, FIRST_PERM_ID, "l", Decimal(20), Decimal(101), held=False)
    assert (fill.perm_id, fill.quantity) == (FIRST_PERM_ID, 20)


def test_a_price_change_goes_to_the_end_of_the_queue_and_a_smaller_quantity_does_not():
    x = exchange()
    x.advance(frame(OPEN_1, QUOTE))
    for ref in ("a", "b", "c"):
        x.submit(limit(Side.BUY, 10, "95", ref=ref), OPEN_1 + 1)
    x.modify(FIRST_PERM_ID, Decimal(10), Decimal(94), OPEN_1 + 2)
    x.modify(FIRST_PERM_ID, Decimal(10), Decimal(95), OPEN_1 + 3)
    x.modify(FIRST_PERM_ID + 1, Decimal(9), Decimal(95), OPEN_1 + 4)

    fills = x.advance(frame(OPEN_1 + 5, (0, 94.0, 95.0, 10.0, 100.0)))

    assert [f.ref for f in fills] == ["b", "c", "a"]


def test_a_modification_below_what_is_filled_is_refused_and_changes_nothing():
    x = exchange()
    x.advance(frame(OPEN_1, QUOTE))
    x.submit(limit(Side.BUY, 100, "101"), OPEN_1 + 1)

    (refused,) = x.modify(FIRST_PERM_ID, Decimal(60), Decimal(101), OPEN_1 + 2)

    assert isinstance(refused, RequestRefused)
    assert refused.reason == "quantity 60 is not more than the 60 already filled"
    assert x.orders()[0].ticket.quantity == 100


def test_an_order_beyond_the_leverage_cap_is_rejected_with_the_numbers():
    x = exchange(leverage=2)
    x.advance(frame(OPEN_1, QUOTE))

    (rejected,) = x.submit(market(Side.BUY, 2001), OPEN_1 + 1)

    assert isinstance(rejected, OrderRejected)
    assert rejected.code == 201
    assert rejected.reason == (
        "insufficient funds: gross exposure with all working orders would be 200100.00 USD, the limit is "
        "200000.00 USD (2 times equity 100000.00)"
    )


def test_working_orders_count_against_the_cap():
    x = exchange(leverage=2)
    x.advance(frame(OPEN_1, QUOTE))
    x.submit(limit(Side.BUY, 1500, "90"), OPEN_1 + 1)

    (rejected,) = x.submit(limit(Side.BUY, 501, "90"), OPEN_1 + 1)

    assert isinstance(rejected, OrderRejected)


def test_an_order_that_reduces_exposure_passes_beyond_the_cap():
    x = exchange(leverage=2)
    x.advance(frame(OPEN_1, (0, 99.0, 101.0, 5000.0, 5000.0)))
    x.submit(market(Side.BUY, 1900), OPEN_1 + 1)
    x.advance(frame(OPEN_1 + 2, (0, 59.0, 61.0, 5000.0, 5000.0)))

    more = x.submit(market(Side.BUY, 1), OPEN_1 + 3)
    less = x.submit(market(Side.SELL, 1900), OPEN_1 + 3)

    assert kinds(more) == [OrderRejected]
    assert kinds(less) == [OrderAccepted, OrderFilled]


def test_short_selling_can_be_forbidden():
    x = exchange(shorts=False)
    x.advance(frame(OPEN_1, QUOTE))
    x.submit(market(Side.BUY, 10), OPEN_1 + 1)

    (rejected,) = x.submit(market(Side.SELL, 11), OPEN_1 + 2)

    assert rejected.reason == ("short selling is not allowed in this account; the orders would sell 1 short")


@pytest.mark.parametrize(
    ("ticket", "code"),
    [
        (limit(Side.BUY, 10, "90.005"), 110),
        (limit(Side.BUY, 10, "-1"), 110),
        (market(Side.BUY, 0), 434),
        (OrderTicket(0, Side.BUY, Decimal("1.5"), OrderType.MARKET, None, TimeInForce.DAY, ""), 10318),
        (OrderTicket(9, Side.BUY, Decimal(1), OrderType.MARKET, None, TimeInForce.DAY, ""), 200),
        (OrderTicket(0, Side.BUY, Decimal(1), OrderType.LIMIT, None, TimeInForce.DAY, ""), 201),
    ],
)
def test_malformed_orders_are_rejected_with_their_code(ticket: OrderTicket, code: int):
    (rejected,) = exchange().submit(ticket, OPEN_1)

    assert isinstance(rejected, OrderRejected)
    assert rejected.code == code


def test_an_instrument_without_any_price_cannot_be_traded():
    (rejected,) = exchange(marks=(float("nan"), 50.0)).submit(market(Side.BUY, 1), OPEN_1)

    assert rejected.reason == "no price is known for AAA"


def test_no_order_is_taken_after_the_last_session():
    (rejected,) = exchange().submit(market(Side.BUY, 1), CLOSE_2)

    assert rejected.reason == "no further session is known"


def test_closing_realises_the_difference_and_commissions_are_counted_over_the_order():
    x = exchange(fees=TieredFees())
    x.advance(frame(OPEN_1, (0, 99.0, 100.0, 50.0, 60.0)))
    buys = x.submit(market(Side.BUY, 200), OPEN_1 + 1)[1:]
    buys += x.advance(frame(OPEN_1 + 2, (0, 99.0, 100.0, 50.0, 140.0)))
    sells = x.advance(frame(OPEN_1 + 3, (0, 110.0, 111.0, 500.0, 60.0)))
    sells += x.submit(market(Side.SELL, 200), OPEN_1 + 4)[1:]

    assert [f.commission for f in buys] == [Decimal("0.35"), Decimal("0.35")]
    assert [f.realized_pnl for f in sells] == [2000]
    assert x.account.cash == CASH + 2000 - Decimal("1.40")
    assert x.account.equity == x.account.cash


def test_a_what_if_tells_margin_and_commission_and_changes_nothing():
    x = exchange(fees=TieredFees())
    x.advance(frame(OPEN_1, QUOTE))
    before = x.state()

    effect = x.what_if(limit(Side.BUY, 1000, "99"))

    assert (effect.requirement_before, effect.requirement_after) == (0, 25_000)
    assert effect.commission == Decimal("3.5000")
    assert effect.objection is None
    assert x.state() == before


def test_a_restored_exchange_continues_as_the_original():
    x = exchange(fees=TieredFees())
    x.advance(frame(OPEN_1, QUOTE))
    x.submit(market(Side.BUY, 50), OPEN_1 + 1)
    x.submit(limit(Side.SELL, 20, "102", tif=TimeInForce.GTC), OPEN_1 + 2)
    stored = msgspec.msgpack.encode(x.state())

    y = exchange(fees=TieredFees())
    y.restore(msgspec.msgpack.decode(stored, type=ExchangeState))
    later = [
        (z.submit(market(Side.BUY, 20), OPEN_1 + 3), z.advance(frame(OPEN_2, (0, 102.0, 103.0, 9.0, 9.0))))
        for z in (x, y)
    ]

    assert later[0] == later[1]
    assert x.state() == y.state()


def test_time_cannot_go_back():
    x = exchange()
    x.advance_to(OPEN_1)

    with pytest.raises(AssertionError, match="time cannot go back"):
        x.advance_to(OPEN_1 - 1)
