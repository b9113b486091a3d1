"""Stops, trailing stops, auctions, times in force, price grids: each in a short conversation."""

from decimal import Decimal

import msgspec
import pytest

from firm.domain.order import OrderType, Side, TimeInForce
from firm.exchange import (
    Exchange,
    ExchangeState,
    OrderElected,
    OrderExpired,
    OrderRejected,
    OrderTicket,
    Special,
    TickRule,
    TieredFees,
    Trail,
)
from tests.exchange.worlds import (
    CLOSE_1,
    CLOSE_2,
    FIRST,
    FIRST_QUOTE,
    OPEN_1,
    OPEN_2,
    SESSIONS,
    bracket,
    exchange,
    fills,
    frame,
    kinds,
    limit,
    market,
    opened,
    special,
    stock,
    waits,
)


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
    today = x.advance(frame(OPEN_1 + 2, FIRST_QUOTE))
    x.advance_to(CLOSE_1)
    other = x.advance(frame(OPEN_2, (1, 49.0, 51.0, 10.0, 10.0)))
    own = x.advance(frame(OPEN_2 + 1, FIRST_QUOTE))

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
    assert x.advance(frame(OPEN_1 + 4, FIRST_QUOTE)) == []
    assert kinds(x.advance(frame(OPEN_1 + 5, FIRST_QUOTE))) == ["OrderActivated", "OrderFilled"]


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
