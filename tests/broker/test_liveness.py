"""What quotes are worth: types of data, refusals, silence; and when the gateway ends its own session."""

from datetime import datetime
from decimal import Decimal

import pytest
from conversation import APPLE
from trading import settings

from firm.broker.calendar import SessionCalendar
from firm.broker.contracts import ContractBook, ContractFacts
from firm.broker.liveness import Liveness
from firm.broker.quotes import QuoteBoard
from firm.domain.session import NS_PER_SECOND, Sessions
from firm.events.broker import DataState, DataStateChanged
from firm.tape.calendar import NEW_YORK

AWAITED, LIVE, DELAYED, FROZEN, STALE, MISSING = DataState
MINUTE = 60 * NS_PER_SECOND
SESSIONS = Sessions((100 * MINUTE, 1000 * MINUTE), (490 * MINUTE, 1390 * MINUTE))
IBM = APPLE.__class__(1, "IBM", 2, "STK", "NYSE", "USD", Decimal(1), Decimal("0.01"), Decimal(1))


def watch() -> Liveness:
    liveness = Liveness((APPLE, IBM), 120_000, SESSIONS)
    liveness.subscribed(90 * MINUTE)
    return liveness


def changes(events: list) -> list[tuple[int, DataState]]:
    assert all(isinstance(event, DataStateChanged) for event in events)
    return [(event.instrument, event.after) for event in events]


def test_live_ticks_make_an_instrument_live_once():
    liveness = watch()

    assert changes(liveness.heard({0, 1}, {}, {}, 100 * MINUTE)) == [(0, LIVE), (1, LIVE)]
    assert liveness.heard({0}, {}, {}, 101 * MINUTE) == []
    assert liveness.objection(0) is None
    assert liveness.impaired is None


@pytest.mark.parametrize(("kind", "state"), [(2, FROZEN), (3, DELAYED), (4, DELAYED)])
def test_other_types_of_data_are_states_that_stop_new_risk(kind: int, state: DataState):
    liveness = watch()

    assert changes(liveness.heard(set(), {0: kind}, {}, 100 * MINUTE)) == [(0, state)]
    assert liveness.objection(0) == f"market data of AAPL are {state}"
    assert liveness.objection(1) is None
    assert liveness.impaired == "not live: AAPL"


def test_refused_data_are_missing_until_a_live_tick_comes():
    liveness = watch()

    assert changes(liveness.heard(set(), {}, {1: "354: not subscribed"}, 100 * MINUTE)) == [(1, MISSING)]
    assert changes(liveness.heard({1}, {}, {}, 101 * MINUTE)) == [(1, LIVE)]


def test_an_instrument_that_falls_silent_in_a_session_is_stale_and_asked_for_again_now_and_then():
    liveness = watch()
    liveness.heard({0, 1}, {}, {}, 100 * MINUTE)
    liveness.heard({1}, {}, {}, 102 * MINUTE)

    assert liveness.look(102 * MINUTE) == ([], False)
    events, again = liveness.look(102 * MINUTE + 1)
    assert changes(events) == [(0, STALE)]
    assert again
    liveness.subscribed(102 * MINUTE + 1)
    assert liveness.look(103 * MINUTE) == ([], False)
    assert liveness.look(105 * MINUTE)[1]
    assert changes(liveness.heard({0}, {}, {}, 106 * MINUTE)) == [(0, LIVE)]


def test_the_night_makes_nothing_stale_and_the_age_counts_from_the_opening():
    liveness = watch()
    liveness.heard({0, 1}, {}, {}, 489 * MINUTE)

    assert liveness.look(700 * MINUTE) == ([], False)
    assert liveness.look(1001 * MINUTE) == ([], False)
    assert changes(liveness.look(1003 * MINUTE)[0]) == [(0, STALE), (1, STALE)]


def test_quotes_that_never_come_are_missing_but_only_after_their_time():
    liveness = watch()

    assert liveness.look(101 * MINUTE) == ([], False)
    assert changes(liveness.look(103 * MINUTE)[0]) == [(0, MISSING), (1, MISSING)]


def test_quotes_of_frozen_data_are_no_quotes_although_they_come_as_live_ticks():
    quotes = QuoteBoard((APPLE,))
    quotes.subscribed(5, 0)
    quotes.data_type(5, 2)
    quotes.price(5, 1, 99, 100)
    quotes.price(5, 2, 101, 100)

    assert quotes.take() == []
    assert quotes.signs() == (set(), {0: 2}, {})
    quotes.data_type(5, 1)
    quotes.price(5, 1, 99, 100)
    quotes.price(5, 2, 101, 100)
    assert len(quotes.take()) == 1
    assert quotes.signs() == ({0}, {}, {})


def new_york(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * NS_PER_SECOND


@pytest.mark.parametrize(
    ("at", "near"),
    [
        ("2026-03-04T23:42:59", False),
        ("2026-03-04T23:43:00", True),
        ("2026-03-04T23:47:00", True),
        ("2026-03-04T23:47:01", False),
        ("2026-03-07T23:44:00", True),  # the night in which the clocks go forward
        ("2026-03-05T12:00:00", False),
    ],
)
def test_two_minutes_around_the_restart_nothing_new_is_sent(at: str, near: bool):
    calendar = SessionCalendar(settings(0, restart_at="23:45"))

    assert (calendar.restart_near(new_york(at)) is not None) is near
    assert SessionCalendar(settings(0)).restart_near(new_york(at)) is None


def test_a_restart_at_midnight_has_its_guard_on_both_days():
    calendar = SessionCalendar(settings(0, restart_at="00:00"))

    assert calendar.restart_near(new_york("2026-03-04T23:59:00"))
    assert calendar.restart_near(new_york("2026-03-05T00:01:00"))
    assert not calendar.restart_near(new_york("2026-03-05T00:03:00"))


def test_the_weekly_login_is_announced_four_times_and_each_time_once():
    calendar = SessionCalendar(settings(0, login_by="SUN 01:00"))
    deadline = new_york("2026-03-08T01:00:00")
    told = []
    for hours in range(60, -2, -1):
        told += [(hours, e.by) for e in calendar.login_due(deadline - hours * 3600 * NS_PER_SECOND)]
    told += [(0.25, e.by) for e in calendar.login_due(deadline - 900 * NS_PER_SECOND)]

    assert told == [(24, deadline), (4, deadline), (1, deadline), (0.25, deadline)]
    assert SessionCalendar(settings(0)).login_due(deadline) == []


def facts(**changes: object) -> ContractFacts:
    return ContractFacts(APPLE.con_id, "AAPL", "STK", "USD", Decimal(1), "")._replace(**changes)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ([facts(multiplier=Decimal(100))], "multiplier was 1 and is 100"),
        ([facts(expiry="20260320")], "expiry was none and is 20260320"),
        (
            [facts(currency="EUR", sec_type="FUT")],
            "security type was STK and is FUT; currency was USD and is EUR",
        ),
        ([], "must be one contract at the broker, found 0"),
        ([facts(), facts(con_id=9)], "must be one contract at the broker, found 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_contract_that_is_not_what_it_was_is_a_break_and_may_not_be_traded(told: list, text: str):
    book = ContractBook()
    book.check((APPLE,), [told], "20260304")

    assert len(book.breaks) == 1
    assert text in book.breaks[0].text
    assert text in str(book.objection(0))
    assert book.breaks[0].stops


def test_a_contract_as_it_was_passes_and_an_expired_one_does_not():
    book = ContractBook()
    future = APPLE.__class__(
        0, "MES", 7, "FUT", "CME", "USD", Decimal(5), Decimal("0.25"), Decimal(1), expiry="20260320"
    )
    told = [[ContractFacts(7, "MES", "FUT", "USD", Decimal(5), "20260320")]]

    book.check((future,), told, "20260320")
    assert (book.breaks, book.objection(0)) == ((), None)
    book.check((future,), told, "20260321")
    assert (book.breaks, book.objection(0)) == ((), "MES expired on 20260320")
