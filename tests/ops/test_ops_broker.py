"""What the endpoints and the metrics say of the broker's side: gate, circuit, breaks, data, login."""

import json
from dataclasses import replace

import pytest
from market_days import CASH, FIRST_CLOSE, Logbook
from msgspec.structs import replace as changed
from test_ops_health import TOLERANCES, WELL, fold, judge, only_bad, trading
from test_ops_metrics import Samples, samples

from firm.events import Event
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
from firm.events.system import BrokerConnected, BrokerDisconnected, CycleKind, Reconciled
from firm.ops.broker_health import BREAK_WAYS_OUT, DATA_WAYS_OUT, GATE_WAYS_OUT
from firm.ops.figures import Figures
from firm.ops.snapshot import Snapshot
from firm.report.summary import Summary

HOUR = 3600 * 10**9
OPENED = GateChanged(GateState.SYNCING, GateState.OPEN, "reconciled")
FROZEN = GateChanged(GateState.OPEN, GateState.FROZEN, "the gateway restarts at 23:45 New York time")
TRIPPED = CircuitChanged(CircuitState.CLOSED, CircuitState.OPEN, "5 failures in a row")
COOLED = CircuitChanged(CircuitState.OPEN, CircuitState.HALF_OPEN, "60000 ms have passed")
POSITION = BreakFound(
    BreakClass.POSITION, Severity.CRITICAL, "KO", "KO: the broker holds 7, the log adds up to 0"
)
STRAY = BreakFound(BreakClass.STRAY_ORDER, Severity.ALARM, "permId 5", "order x is live and not in the log")
MONEY = BreakFound(
    BreakClass.CASH, Severity.WARNING, "cash", "the account has 12 in cash, the log adds up to 10"
)


def data(instrument: int, after: DataState, reason: str = "type 3") -> DataStateChanged:
    return DataStateChanged(instrument, DataState.LIVE, after, reason)


def told(*events: Event) -> Logbook:
    """A firm that trades, with a gate, and then these events."""
    log = trading()
    for event in (OPENED, *events):
        log.say(event)
    return log


def snapshot(log: Logbook) -> Snapshot:
    summary = Summary()
    for record in log.records:
        summary.note(record)
    return Snapshot(fold(log.records), Figures.of(summary), WELL, TOLERANCES)


def metrics(log: Logbook) -> Samples:
    return samples(snapshot(log))


def test_an_open_gate_is_well_and_named():
    health = judge(told())

    assert health.status == "ok"
    assert health.components["broker"].reason == "connected to account DU0000001, the gate is open"


@pytest.mark.parametrize(
    ("events", "part", "words"),
    [
        (
            [FROZEN],
            "broker",
            "the gate is frozen since 2024-01-02 21:00 UTC and no order is sent: the gateway restarts",
        ),
        (
            [FROZEN, GateChanged(GateState.FROZEN, GateState.SYNCING, "past")],
            "broker",
            "the gate is syncing since 2024-01-02 21:00 UTC and no order is sent: past; orders, executions",
        ),
        (
            [TRIPPED],
            "circuit",
            "open since 2024-01-02 21:00 UTC, no order is sent: 5 failures in a row; after broker",
        ),
        (
            [POSITION, STRAY, Reconciled((), CASH, (POSITION.text, STRAY.text))],
            "reconciliation",
            "critical (position) KO: the broker holds 7, the log adds up to 0; alarm (stray order) order x",
        ),
        (
            [Reconciled((), CASH, ("KO 7",))],
            "reconciliation",
            "differs from the broker: KO 7; only what reduces",
        ),
        (
            [
                data(10, DataState.DELAYED),
                data(16, DataState.DELAYED),
                data(19, DataState.MISSING, "354: no"),
            ],
            "data",
            (
                "3 of 20 instruments have no live quotes; only what reduces a position passes on these, the"
                " others trade on. 2 delayed (KO, PEP: type 3): the account lacks a real-time subscription"
            ),
        ),
        (
            [data(i, DataState.STALE, "silent") for i in range(20)],
            "data",
            "20 stale (AAPL, AMD, AMZN, BAC, CVX, DIS, GOOG, IBM, JNJ, JPM and 10 more: silent): the feed is",
        ),
    ],
)
def test_what_stops_new_risk_makes_the_firm_unready_and_says_what_to_do(
    events: list[Event], part: str, words: str
):
    health = judge(told(*events))
    name, state, reason = only_bad(health)

    assert (name, state) == (part, "degraded")
    assert words in reason
    assert health.readiness().reasons == (f"{part}: {reason}",)


@pytest.mark.parametrize(
    ("events", "part", "words"),
    [
        (
            [MONEY, Reconciled((), CASH, ())],
            "differences",
            "this can wait until morning. Cash: look for interest",
        ),
        (
            [LoginDue(FIRST_CLOSE + 4 * HOUR, "log in")],
            "login",
            "log in at IB Gateway again before 2024-01-03 01:00 UTC, in 4.0 h of log time, or its",
        ),
    ],
)
def test_what_only_wants_a_person_degrades_the_firm_and_leaves_it_ready(
    events: list[Event], part: str, words: str
):
    health = judge(told(*events))
    name, state, reason = only_bad(health)

    assert (name, state) == (part, "degraded")
    assert words in reason
    assert health.readiness().ready


@pytest.mark.parametrize(
    "over",
    [
        [FROZEN, OPENED],
        [GateChanged(GateState.OPEN, GateState.DEGRADED, "market data not live: KO")],
        [TRIPPED, COOLED],
        [
            TRIPPED,
            COOLED,
            CircuitChanged(CircuitState.HALF_OPEN, CircuitState.CLOSED, "order 5 was accepted"),
        ],
        [POSITION, BreakClosed(BreakClass.POSITION, "KO"), Reconciled((), CASH, ())],
        [MONEY, BreakClosed(BreakClass.CASH, "cash")],
        [data(0, DataState.MISSING), data(0, DataState.LIVE)],
        [LoginDue(FIRST_CLOSE - HOUR, "log in")],
    ],
    ids=["gate", "degraded", "half-open", "closed", "position", "cash", "data", "login"],
)
def test_what_is_over_is_well_again(over: list[Event]):
    health = judge(told(*over))

    assert health.status == "ok", only_bad(health)


def test_a_login_that_ran_out_is_named_beside_the_lost_connection():
    log = told(LoginDue(FIRST_CLOSE + HOUR, "log in"))
    log.cycle(FIRST_CLOSE + 2 * HOUR)
    assert judge(log).components["login"].reason == "the login that was due by 2024-01-02 22:00 UTC is done"
    log.say(BrokerDisconnected("the gateway has closed the connection"))

    assert "ran out at 2024-01-02 22:00 UTC and it is away" in judge(log).components["login"].reason
    log.say(BrokerConnected("DU0000001", CASH))
    assert judge(log).components["login"].state == "ok"


def test_there_is_something_to_do_for_whatever_can_be_told():
    assert BREAK_WAYS_OUT.keys() == set(BreakClass)
    assert DATA_WAYS_OUT.keys() == {state for state in DataState if state.stops_new_risk}
    assert GATE_WAYS_OUT.keys() == {state for state in GateState if not state.passes_orders}


def test_the_metrics_say_how_the_gate_the_circuit_and_the_data_stand():
    log = told(FROZEN, TRIPPED, data(10, DataState.DELAYED), data(11, DataState.LIVE))
    log.say(LoginDue(FIRST_CLOSE + HOUR, "log in"))

    found = metrics(log)

    gate = {state: found["firm_gate", (("state", state),)] for state in GateState}
    circuit = {state: found["firm_circuit", (("state", state),)] for state in CircuitState}
    assert [state for state, is_it in gate.items() if is_it] == [GateState.FROZEN]
    assert [state for state, is_it in circuit.items() if is_it] == [CircuitState.OPEN]
    counts = {state: found["firm_instruments", (("data", state),)] for state in DataState}
    assert counts == dict.fromkeys(DataState, 0) | {"delayed": 1, "live": 1, "awaited": 18}
    assert found["firm_login_by_timestamp_seconds", ()] == (FIRST_CLOSE + HOUR) / 10**9
    assert found["firm_gate_closures_total", ()] == 1
    assert found["firm_circuit_openings_total", ()] == 1
    assert found["firm_component_ok", (("component", "circuit"),)] == 0


def test_the_metrics_count_breaks_by_class_and_severity_down_to_zero_again():
    log = told(POSITION, changed(POSITION, subject="PEP"), MONEY)
    position = (("class", "position"), ("severity", "critical"))
    cash = (("class", "cash"), ("severity", "warning"))

    found = metrics(log)
    assert (found["firm_breaks_open", position], found["firm_breaks_open", cash]) == (2, 1)
    log.say(BreakClosed(BreakClass.POSITION, "KO"))
    log.say(BreakClosed(BreakClass.POSITION, "PEP"))
    after = metrics(log)

    assert (after["firm_breaks_open", position], after["firm_breaks_open", cash]) == (0, 1)
    assert after["firm_breaks_found_total", position] == 2


def test_what_the_broker_never_said_is_no_metric():
    names = {name for name, _ in metrics(trading())}

    assert not names & {"firm_gate", "firm_circuit", "firm_instruments", "firm_breaks_open"}
    assert "firm_login_by_timestamp_seconds" not in names


def test_the_status_has_every_break_and_every_instrument_that_is_not_live():
    log = told(FROZEN, POSITION, STRAY, MONEY, data(10, DataState.DELAYED), LoginDue(FIRST_CLOSE, "log in"))
    log.cycle(FIRST_CLOSE + HOUR, CycleKind.REACTION)
    log.say(changed(POSITION, text="KO: the broker holds 8, the log adds up to 0"))

    told_of = json.loads(json.dumps(snapshot(log).as_dict()))
    side = told_of["broker"]

    assert (told_of["ready"], told_of["at"], side["connected"]) == (False, "2024-01-02 22:00 UTC", True)
    assert side["gate"] == {"state": "frozen", "reason": FROZEN.reason, "since": "2024-01-02 21:00 UTC"}
    assert side["circuit"] == {"state": "closed", "reason": None, "since": None}
    assert [each["severity"] for each in side["breaks"]] == ["critical", "alarm", "warning"]
    assert side["breaks"][0] == {
        "class": "position",
        "severity": "critical",
        "subject": "KO",
        "text": "KO: the broker holds 8, the log adds up to 0",
        "since": "2024-01-02 21:00 UTC",
    }
    assert side["data"]["not_live"] == [{"symbol": "KO", "state": "delayed", "reason": "type 3"}]
    assert side["data"]["instruments"]["delayed"] == 1
    assert side["login_by"] == "2024-01-02 21:00 UTC"


def test_a_view_of_the_broker_does_not_change_when_the_fold_goes_on():
    log = told(FROZEN, data(10, DataState.DELAYED), POSITION)
    before = fold(log.records)
    again = replace(before)
    log.say(OPENED)
    log.say(data(10, DataState.LIVE))

    assert before == again == fold(log.records[: before.seq])
    assert fold(log.records).broker.gate is GateState.OPEN
