"""Venues behind SMART: who gets the order, what it costs there, and what a direct order waits for."""

from decimal import Decimal

import msgspec
import pytest

from firm.domain.order import Side, TimeInForce
from firm.exchange import Exchange, ExchangeEvent, ExchangeState, OrderFilled, Special, Venue
from firm.exchange.auction import Indication, indication
from tests.exchange.worlds import (
    CASH,
    CLOSE_1,
    FREE,
    OPEN_1,
    SESSIONS,
    MarginRules,
    OrderTicket,
    frame,
    kinds,
    limit,
    market,
    stock,
)

D = Decimal
DEAR = Venue("NYSE", D("-0.0020"), D("0.0030"), D("0.5"))
CHEAP = Venue("BATS", D("0.0010"), D("0.0005"), D("0.3"))
LIKE_CHEAP = Venue("IEX", D("0.0010"), D("0.0005"), D("0.2"))
THREE = (DEAR, CHEAP, LIKE_CHEAP)
FEEDS = (Venue("NYSE", D(0), D("0.003"), D(0), 1), Venue("BATS", D(0), D("0.001"), D(0), 2))


def world(venues: tuple[Venue, ...] = THREE) -> Exchange:
    instruments = [stock(0, "AAA"), stock(1, "AAA@NYSE"), stock(2, "AAA@BATS")]
    rules = MarginRules(D(4), shorts_allowed=True)
    marks = [100.0, 100.0, 100.0]
    return Exchange(instruments, CASH, "DU1", SESSIONS, FREE, rules, marks, venues={0: venues})


def at(ticket: OrderTicket, venue: str, **terms: object) -> OrderTicket:
    return msgspec.structs.replace(ticket, venue=venue, special=Special(**terms))  # type: ignore[arg-type]


def fills(events: list[ExchangeEvent]) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    return [(e.venue, e.quantity, e.price, e.commission) for e in events if isinstance(e, OrderFilled)]


def opened() -> Exchange:
    x = world()
    x.advance(frame(OPEN_1, (0, 99.0, 101.0, 50.0, 101.0)))
    return x


def test_smart_goes_to_the_cheapest_venue_then_the_larger_and_splits():
    x = opened()

    events = x.submit(market(Side.BUY, 80), OPEN_1 + 1)

    # 101 shown: 30 at BATS, 20 at IEX, and what rounding leaves, 51, at NYSE
    assert fills(events) == [
        ("BATS", 30, 101, D("0.0150")),
        ("IEX", 20, 101, D("0.0100")),
        ("NYSE", 30, 101, D("0.0900")),
    ]
    assert x.account.purses["USD"].commissions == D("0.1150")
    assert x.account.cash == CASH - 8080 - D("0.1150")


def test_what_a_venue_gave_is_gone_until_the_next_quote():
    x = opened()
    x.submit(at(market(Side.BUY, 30), "BATS"), OPEN_1 + 1)

    assert fills(x.submit(at(market(Side.BUY, 5), "BATS"), OPEN_1 + 2)) == []
    assert fills(x.submit(market(Side.BUY, 5, ref="n"), OPEN_1 + 3)) == [("IEX", 5, 101, D("0.0025"))]
    again = x.advance(frame(OPEN_1 + 4, (0, 99.0, 101.0, 50.0, 101.0)))
    assert fills(again) == [("BATS", 5, 101, D("0.0025"))]


def test_fill_or_kill_at_one_venue_looks_at_that_venue_only():
    x = opened()
    whole = market(Side.BUY, 40, tif=TimeInForce.IOC)

    killed = x.submit(at(whole, "BATS", all_at_once=True), OPEN_1 + 1)
    filled = x.submit(at(whole, "", all_at_once=True), OPEN_1 + 2)

    assert kinds(killed) == ["OrderAccepted", "OrderCancelled"]
    assert [(venue, quantity) for venue, quantity, _, _ in fills(filled)] == [("BATS", 30), ("IEX", 10)]


def test_a_resting_order_rests_where_adding_is_cheapest_and_is_paid_there():
    x = opened()
    x.submit(limit(Side.BUY, 10, "100"), OPEN_1 + 1)
    x.submit(at(limit(Side.BUY, 10, "100", ref="d"), "IEX"), OPEN_1 + 2)

    events = x.advance(frame(OPEN_1 + 3, prints=((0, 99.5, 20.0),)))

    assert fills(events) == [("NYSE", 10, 100, D("-0.0200")), ("IEX", 10, 100, D("0.0100"))]
    assert x.account.purses["USD"].commissions == D("-0.0100")


def test_quotes_of_venues_from_the_tape_and_an_order_sent_to_the_worse_one_waits():
    x = world(FEEDS)
    nyse, bats = (1, 99.0, 101.0, 10.0, 10.0), (2, 98.0, 100.5, 10.0, 10.0)
    x.advance(frame(OPEN_1, nyse, bats, (0, 99.0, 100.5, 10.0, 10.0)))

    waiting = x.submit(at(market(Side.BUY, 5), "NYSE"), OPEN_1 + 1)
    smart = x.submit(market(Side.BUY, 4, ref="s"), OPEN_1 + 2)
    better = x.advance(frame(OPEN_1 + 3, (1, 99.0, 100.5, 10.0, 8.0), (0, 99.0, 100.5, 10.0, 18.0)))

    assert fills(waiting) == []
    assert fills(smart) == [("BATS", 4, D("100.5"), D("0.004"))]
    assert fills(better) == [("NYSE", 5, D("100.5"), D("0.015"))]
    assert x.book.available(0, Side.BUY) == 3 + 6  # BATS was not quoted anew


def test_what_venues_have_given_survives_a_restart():
    x = opened()
    x.submit(market(Side.BUY, 60), OPEN_1 + 1)
    y = world()
    y.restore(msgspec.json.decode(msgspec.json.encode(x.state()), type=ExchangeState))

    assert y.book.offers(0, Side.BUY, "") == x.book.offers(0, Side.BUY, "")
    assert y.state() == x.state()


AUCTION = {
    "at one venue": ([(40, "BATS", False)], 30),
    "at two": ([(40, "BATS", False), (60, "IEX", False)], 50),
    "smart after a direct one": ([(30, "BATS", False), (60, "", False)], 90),
    "more than there is": ([(80, "", False), (80, "", False)], 101),
    "all or none, and there is not all": ([(30, "IEX", True), (5, "IEX", False)], 5),
    "all or none": ([(20, "IEX", True), (1, "IEX", False)], 20),
}


@pytest.mark.parametrize(("orders", "paired"), AUCTION.values(), ids=AUCTION.keys())
def test_the_close_pairs_what_was_indicated(orders: list[tuple[int, str, bool]], paired: int):
    x = opened()
    for quantity, venue, whole in orders:
        x.submit(at(market(Side.BUY, quantity), venue, auction="close", all_at_once=whole), OPEN_1 + 1)

    before = x.state()
    found = indication(x.orders(), 0, x.book)
    assert x.state() == before
    crossed = fills(x.advance_to(CLOSE_1))

    wanted = sum(quantity for quantity, _, _ in orders)
    assert found == Indication(D(101), D(paired), D(wanted - paired))
    assert sum(quantity for _, quantity, _, _ in crossed) == paired


def test_a_halted_instrument_has_no_indication_and_no_closing_cross():
    x = opened()
    x.submit(at(market(Side.BUY, 10), "", auction="close"), OPEN_1 + 1)
    x.book.halted.add(0)

    assert indication(x.orders(), 0, x.book) is None
    assert fills(x.advance_to(CLOSE_1)) == []


@pytest.mark.parametrize("size", [0.0, 1.0, 2.0, 3.0, 7.0, 100.0, 101.0])
def test_the_parts_of_the_venues_are_all_that_is_displayed(size: float):
    x = world()
    x.advance(frame(OPEN_1, (0, 99.0, 101.0, 50.0, size)))

    parts = [x.book.at_venue(0, Side.BUY, venue.name)[1] for venue in THREE]

    assert sum(parts) == D(repr(size))
    assert x.book.available(0, Side.BUY) == D(repr(size))
