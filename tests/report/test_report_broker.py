"""The broker's side of a run in summary.json and in the report."""

import json

import pytest
from market_days import DAY, FIRST_CLOSE, Logbook, year
from msgspec.structs import replace
from test_report_html import read, report
from test_report_summary import HEAD, fold

from firm.domain.session import Sessions
from firm.events import Record
from firm.events.broker import (
    BreakClass,
    BreakClosed,
    BreakFound,
    CircuitChanged,
    CircuitState,
    DataState,
    DataStateChanged,
    GateChanged,
    GateState,
    LoginDue,
    Severity,
)
from firm.events.scheduled import SessionsLoaded
from firm.report.broker import KEPT
from firm.report.outage import Outage, open_within

SECOND, MINUTE, HOUR = 10**9, 60 * 10**9, 3600 * 10**9
OPENS = FIRST_CLOSE - 6 * HOUR - 30 * MINUTE
SESSIONS = Sessions(tuple(OPENS + n * DAY for n in range(4)), tuple(FIRST_CLOSE + n * DAY for n in range(4)))
G, C, D = GateState, CircuitState, DataState
POSITION = BreakFound(
    BreakClass.POSITION, Severity.CRITICAL, "KO", "KO: the broker holds <7>, the log adds up to 0"
)
MONEY = BreakFound(
    BreakClass.CASH, Severity.WARNING, "cash", "the account has 12 in cash, the log adds up to 10"
)


def gate(before: GateState, after: GateState, reason: str = "told") -> GateChanged:
    return GateChanged(before, after, reason)


def data(instrument: int, before: DataState, after: DataState, reason: str = "told") -> DataStateChanged:
    return DataStateChanged(instrument, before, after, reason)


def bad_days() -> Logbook:
    """Two days with a gateway: a link that is lost twice, a tripped circuit, three breaks, data that fail."""
    log = Logbook()
    log.open()
    log.at = OPENS
    log.say(SessionsLoaded(SESSIONS, SESSIONS.closes))
    for move in (gate(G.CLOSED, G.SYNCING, "connected"), gate(G.SYNCING, G.OPEN, "reconciled")):
        log.say(move)
    for index in range(20):
        log.say(data(index, D.AWAITED, D.LIVE, "live quotes"))
    log.cycle(OPENS + 2 * HOUR)
    log.say(data(10, D.LIVE, D.DELAYED, "the gateway gives data of type 3"))
    log.say(data(19, D.LIVE, D.MISSING, "354: not subscribed"))
    log.say(gate(G.OPEN, G.DEGRADED, "market data not live: KO, XOM"))
    log.cycle(OPENS + 3 * HOUR)
    log.say(data(10, D.DELAYED, D.LIVE, "live quotes"))
    log.say(gate(G.DEGRADED, G.FROZEN, "1100: Connectivity between IB and TWS has been lost"))
    log.cycle(OPENS + 3 * HOUR + 10 * MINUTE)
    log.say(gate(G.FROZEN, G.SYNCING, "1102: restored"))
    log.say(POSITION)
    log.say(MONEY)
    log.cycle(OPENS + 3 * HOUR + 12 * MINUTE)
    log.say(gate(G.SYNCING, G.OPEN, "reconciled"))
    log.say(replace(POSITION, text="KO: the broker holds 8, the log adds up to 0"))
    log.say(CircuitChanged(C.CLOSED, C.OPEN, "5 failures in a row; the last: order 31 was refused with 201"))
    log.cycle(OPENS + 3 * HOUR + 13 * MINUTE)
    log.say(CircuitChanged(C.OPEN, C.HALF_OPEN, "60000 ms have passed"))
    log.say(CircuitChanged(C.HALF_OPEN, C.CLOSED, "order 32 was accepted"))
    log.say(BreakClosed(BreakClass.POSITION, "KO"))
    log.cycle(FIRST_CLOSE + HOUR)
    log.say(gate(G.OPEN, G.FROZEN, "the gateway restarts at 17:00 New York time"))
    log.say(LoginDue(FIRST_CLOSE + DAY, "log in at the gateway before TUE 16:00"))
    log.cycle(FIRST_CLOSE + HOUR + 4 * MINUTE)
    log.say(gate(G.FROZEN, G.SYNCING, "the time of the restart is over"))
    log.say(gate(G.SYNCING, G.OPEN, "reconciled"))
    log.say(replace(POSITION, subject="PEP", text="PEP: the broker holds 0, the log adds up to 20"))
    log.cycle(OPENS + DAY)
    return log


def told(records: list[Record]) -> dict[str, object]:
    """The broker's part of summary.json, as it is read back."""
    found: dict[str, object] = json.loads(json.dumps(fold(records).as_dict(HEAD)))["broker"]
    return found


def test_closures_breaks_and_data_are_counted_and_timed():
    assert told(bad_days().records) == {
        "gate": "open",
        "gate_closures": 2,
        "gate_closed_s": 16 * 60.0,
        "gate_closed_in_session_s": 12 * 60.0,
        "circuit": "closed",
        "circuit_openings": 1,
        "circuit_open_s": 60.0,
        "circuit_open_in_session_s": 60.0,
        "breaks_found": {"cash": 1, "position": 2},
        "breaks_by_severity": {"critical": 2, "warning": 1},
        "breaks_open": {"cash": 1, "position": 1},
        "data_not_live": {
            "KO": {"state": "live", "times": 1, "not_live_s": 3600.0, "not_live_in_session_s": 3600.0},
            "XOM": {
                "state": "missing",
                "times": 1,
                "not_live_s": 22 * 3600.0,
                "not_live_in_session_s": 4.5 * 3600,
            },
        },
    }


def test_a_run_without_a_gateway_has_said_nothing_of_it():
    found = told(year(seed=7, days=3))

    assert found["gate"] is None
    assert (found["gate_closures"], found["gate_closed_s"], found["gate_closed_in_session_s"]) == (0, 0, None)
    assert found["breaks_found"] == found["data_not_live"] == {}
    assert "said nothing of a gate" in report(year(seed=7, days=3))


def test_what_goes_on_counts_up_to_the_last_entry():
    log = bad_days()
    log.say(gate(G.OPEN, G.CLOSED, "the gateway has closed the connection"))
    log.cycle(OPENS + DAY + 5 * MINUTE)

    found = told(log.records)

    assert (found["gate"], found["gate_closures"]) == ("closed", 3)
    assert (found["gate_closed_s"], found["gate_closed_in_session_s"]) == (21 * 60, 17 * 60)


def test_a_process_that_starts_again_is_no_closure_but_its_time_counts():
    log = bad_days()
    log.say(gate(G.CLOSED, G.SYNCING, "connected"))
    log.cycle(OPENS + DAY + 5 * MINUTE)
    log.say(gate(G.SYNCING, G.OPEN, "reconciled"))

    found = told(log.records)

    assert found["gate_closures"] == 2
    assert found["gate_closed_s"] == 21 * 60


def test_the_report_has_a_section_with_every_switch_break_and_instrument():
    page = report(bad_days().records)
    text = "\n".join(read(page).text)

    for words in (
        "closed twice, 16 min in all, 12 min of it in sessions",
        "open once, 1 min in all, 1 min of it in sessions",
        "3 found: 2 critical, 1 warning",
        "19 of 20",
        "1 missing",
        "2024-01-03 21:00",
        "1100: Connectivity between IB and TWS has been lost",
        "5 failures in a row; the last: order 31 was refused with 201",
        "KO: the broker holds 8, the log adds up to 0",
        "still there",
        "354: not subscribed",
        "22.0 h",
        "4.5 h",
    ):
        assert words in text, words
    assert "<7>" not in page


def test_words_of_the_broker_cannot_become_markup():
    log = bad_days()
    log.say(gate(G.OPEN, G.CLOSED, "<img src=x>"))
    log.say(replace(POSITION, subject="<b>KO</b>", text="<script>alert(1)</script>"))
    log.say(data(3, D.LIVE, D.STALE, "<i>silent</i>"))
    page = report(log.records)

    read(page)
    for markup in ("<img", "<b>KO", "<script>alert", "<i>silent"):
        assert markup not in page


def test_of_too_many_switches_the_newest_are_shown_and_the_rest_is_counted():
    log = bad_days()
    for n in range(KEPT):
        log.cycle(OPENS + DAY + n * MINUTE)
        log.say(gate(G.OPEN, G.CLOSED, f"number {n}"))
        log.say(gate(G.CLOSED, G.OPEN, "back"))
        log.say(replace(POSITION, subject=f"order {n}"))
        log.say(BreakClosed(BreakClass.POSITION, f"order {n}"))
    summary, page = fold(log.records), report(log.records)

    assert summary.broker.gate_closures == KEPT + 2
    assert (len(summary.broker.switches), len(summary.broker.breaks)) == (KEPT, KEPT)
    assert f"{summary.broker.switched - KEPT:,} older ones are not shown" in page
    assert "3 older ones are not shown" in page
    assert told(log.records)["breaks_found"] == {"cash": 1, "position": 2 + KEPT}


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 5, 0), (5, 15, 5), (12, 18, 6), (15, 35, 10), (20, 30, 0), (0, 100, 20), (40, 90, 0), (15, 15, 0)],
)
def test_only_sessions_count_as_open(start: int, end: int, expected: int):
    assert open_within(Sessions((10, 30), (20, 40)), start, end) == expected


def test_an_outage_that_is_told_again_does_not_begin_anew():
    broken = Outage()
    for at in (10, 20):
        broken.told(at, Sessions((), ()), was_well=at == 10, well=False)
    assert (broken.times, broken.since, broken.lasted(30)) == (1, 10, 20)
    broken.told(40, Sessions((), ()), was_well=False, well=True)

    assert (broken.since, broken.lasted(99)) == (None, 30)
