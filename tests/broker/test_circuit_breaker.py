"""The breaker between the firm and the broker: what trips it, what closes it, what it lets through."""

from decimal import Decimal

import pytest
from conversation import log_of
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from trading import settings

from firm.broker.circuit_breaker import TRANSITIONS, CircuitBreaker
from firm.broker.ib_session import IbSession
from firm.broker.memory import remember
from firm.domain.session import NS_PER_MS
from firm.events import Event
from firm.events.broker import CircuitChanged, CircuitState
from firm.events.orders import BrokerRejected, OrderAccepted, OrderNotAccepted, OrderUnknown
from firm.events.system import BrokerDisconnected

CLOSED, OPEN, HALF_OPEN = CircuitState
HALF_OPENED = CircuitChanged(OPEN, HALF_OPEN, "10000 ms have passed")
SECOND = 1000 * NS_PER_MS
LIMITS = {
    "failures_in_a_row": 3,
    "error_rate_max": 0.5,
    "outcomes_min": 6,
    "window_ms": 60_000,
    "cool_down_ms": 10_000,
}


def breaker() -> CircuitBreaker:
    return CircuitBreaker(settings(0, circuit=LIMITS).circuit)


def numbered(*kinds: Event) -> list[Event]:
    """Answers to as many orders, one each."""
    return [replace(e, child_seq=100 + n) if hasattr(e, "child_seq") else e for n, e in enumerate(kinds)]


def moves(circuit: CircuitBreaker, *events: Event, at: int = 0, every: int = 0) -> list[CircuitState]:
    said = [e for n, event in enumerate(events) for e in circuit.hear(event, at + n * every)]
    assert all(isinstance(event, CircuitChanged) for event in said)
    return [event.after for event in said]


def tripped() -> CircuitBreaker:
    circuit = breaker()
    assert moves(circuit, *numbered(*[OrderNotAccepted(1)] * 3)) == [OPEN]
    return circuit


@pytest.mark.parametrize(
    "failure",
    [BrokerRejected(1, 201, "no"), OrderUnknown(1, "?"), OrderNotAccepted(1), BrokerDisconnected("reset")],
    ids=lambda e: type(e).__name__,
)
def test_three_failures_in_a_row_open_it(failure: Event):
    circuit = breaker()

    first, second, third = numbered(failure, failure, failure)
    assert moves(circuit, first, second) == []
    assert circuit.objection(0) is None
    assert moves(circuit, third) == [OPEN]
    assert circuit.objection(4 * SECOND) == "the circuit to the broker is open for another 6000 ms"


def test_a_success_breaks_the_row_and_old_failures_do_not_count():
    bad, good = OrderNotAccepted(1), OrderAccepted(1, 9)

    assert moves(breaker(), *numbered(bad, bad, good, bad, bad)) == []
    assert moves(breaker(), *numbered(*[bad] * 9), every=31 * SECOND) == []


def test_only_the_first_answer_to_an_order_counts():
    answers = [OrderUnknown(1, "?"), OrderNotAccepted(1), OrderAccepted(2, 9), OrderUnknown(2, "161")]

    assert moves(breaker(), *answers, *answers, OrderNotAccepted(3)) == []


def test_orders_the_firm_itself_held_back_are_no_failures_of_the_broker():
    assert moves(breaker(), *numbered(*[BrokerRejected(1, 0, "halted")] * 20)) == []


def test_more_than_half_of_the_answers_failed_opens_it():
    good, bad = OrderAccepted(1, 9), OrderNotAccepted(2)

    assert moves(breaker(), *numbered(bad, good, bad, good, bad, good)) == []
    assert moves(breaker(), *numbered(good, bad, bad, good, bad, bad)) == [OPEN]


def test_after_the_cool_down_one_order_is_tried_and_its_success_closes_it():
    circuit = tripped()

    assert circuit.look(9 * SECOND) == []
    assert [e.after for e in circuit.look(10 * SECOND)] == [HALF_OPEN]
    assert circuit.objection(10 * SECOND) is None
    circuit.sent(7)
    assert circuit.objection(10 * SECOND) == "the circuit to the broker is half-open and order 7 is on trial"
    assert moves(circuit, OrderAccepted(6, 9)) == []
    assert moves(circuit, OrderAccepted(7, 9)) == [CLOSED]
    assert circuit.objection(10 * SECOND) is None


@pytest.mark.parametrize("failure", [OrderUnknown(7, "?"), BrokerDisconnected("reset")])
def test_a_trial_that_fails_opens_it_again_for_a_whole_cool_down(failure: Event):
    circuit = tripped()
    circuit.look(10 * SECOND)
    circuit.sent(7)

    assert moves(circuit, failure, at=12 * SECOND) == [OPEN]
    assert circuit.look(21 * SECOND) == []
    assert [e.after for e in circuit.look(22 * SECOND)] == [HALF_OPEN]


@given(st.lists(st.tuples(st.sampled_from(["good", "bad", "look", "sent"]), st.integers(0, 20)), max_size=60))
def test_it_only_moves_by_its_table_and_tells_every_move(steps: list[tuple[str, int]]):
    circuit, at, state = breaker(), 0, CLOSED
    for seq, (what, seconds) in enumerate(steps):
        at += seconds * SECOND
        said: list[Event] = []
        match what:
            case "look":
                said = circuit.look(at)
            case "sent":
                if circuit.objection(at) is None:
                    circuit.sent(seq)
            case _:
                event = OrderAccepted(seq - 1, 9) if what == "good" else OrderNotAccepted(seq - 1)
                said = circuit.hear(event, at)
        for event in said:
            assert event.before is state
            assert event.after in {to for (start, _), to in TRANSITIONS.items() if start is state}
            state = event.after
        assert circuit.state is state


def test_a_restart_does_not_close_a_circuit_that_was_open():
    told = log_of(
        CircuitChanged(CLOSED, OPEN, "3 failures in a row"),
        HALF_OPENED,
        CircuitChanged(HALF_OPEN, OPEN, "order 7 was refused"),
    )
    found = remember(IbSession("run", 11, Decimal(1)), told)
    circuit = breaker()
    circuit.restore(*found.circuit)

    assert found.circuit == (OPEN, told[-1].at)
    assert circuit.objection(told[-1].at) == "the circuit to the broker is open for another 10000 ms"
    (cooled,) = circuit.look(told[-1].at + 10 * SECOND)
    assert cooled.after is HALF_OPEN
    assert circuit.objection(told[-1].at + 10 * SECOND) is None


def test_a_restart_of_a_half_open_circuit_tries_with_the_next_order():
    circuit = breaker()
    circuit.restore(*remember(IbSession("run", 11, Decimal(1)), log_of(HALF_OPENED)).circuit)
    assert circuit.objection(0) is None
    circuit.sent(7)

    assert circuit.objection(0) == "the circuit to the broker is half-open and order 7 is on trial"
    assert moves(circuit, OrderAccepted(7, 1)) == [CLOSED]


def test_a_log_without_a_word_of_the_circuit_leaves_it_closed():
    found = remember(IbSession("run", 11, Decimal(1)), [])

    assert found.circuit == (CLOSED, 0)
