"""What Risk, the CIO and Execution make of the broker's word about its gate, its circuit and its data."""

from itertools import pairwise

import pytest
from desk import BUY, RECONCILED, SELL, TIMER, d, history, instrument, quote, resolved
from msgspec.structs import replace
from telling import START, tell
from test_cio import CONVINCED, a_cio, cycle, orders
from test_cio import marked as book_of_the_cio
from test_execution import HOUR, NOON, child, cleared, send, trader
from test_risk import ACCOUNT, CLOSES, QUOTES, STOCKS, ask, decide, fresh, heard_at, marked, officer

from firm.agents.broker_side import BrokerSide
from firm.events import Event
from firm.events.broker import (
    CircuitChanged,
    CircuitState,
    DataState,
    DataStateChanged,
    GateChanged,
    GateState,
)
from firm.events.orders import ExecutionRefused, OrderApproved, OrderSubmitted, RiskRefused

RESTART = "the gateway restarts at 23:45 New York time"
FROZEN = GateChanged(GateState.OPEN, GateState.FROZEN, RESTART)
DEGRADED = GateChanged(GateState.OPEN, GateState.DEGRADED, "market data not live: KO")
AGAIN = (
    GateChanged(GateState.FROZEN, GateState.SYNCING, "the time of the restart is over"),
    GateChanged(GateState.SYNCING, GateState.OPEN, "reconciled"),
)
TRIPPED = CircuitChanged(CircuitState.CLOSED, CircuitState.OPEN, "5 failures in a row")
COOLED = CircuitChanged(CircuitState.OPEN, CircuitState.HALF_OPEN, "60000 ms have passed")
IS_FROZEN = f"the gate is frozen: {RESTART}"
IS_TRIPPED = "the circuit breaker is open: 5 failures in a row"


def data(instrument: int, after: DataState, reason: str = "the gateway gives data of type 3") -> Event:
    return DataStateChanged(instrument, DataState.LIVE, after, reason)


DULL = [DataState.DELAYED, DataState.FROZEN, DataState.STALE, DataState.MISSING]


@pytest.mark.parametrize("state", DULL)
def test_new_risk_is_refused_on_an_instrument_whose_data_are_not_live_and_on_no_other(state: DataState):
    agent = officer()
    decide(agent, marked((10, 0, 0)))
    tell(agent, data(0, state), first=150)

    reason = f"data: KO: its quotes are {state}: the gateway gives data of type 3"
    assert ask(agent, 1) == RiskRefused(200, "data", reason)
    assert type(ask(agent, 1, seq=201, instrument=1)) is OrderApproved
    tell(agent, data(0, DataState.LIVE, "live quotes"), first=202)
    assert type(ask(agent, 1, seq=203)) is OrderApproved


def test_what_only_reduces_passes_without_live_data_and_what_turns_the_position_does_not():
    agent = officer()
    decide(agent, marked((10, -10, 0)))
    tell(agent, data(0, DataState.MISSING), data(1, DataState.DELAYED), first=150)

    assert ask(agent, 11, SELL, seq=200).limit == "data"
    assert ask(agent, 11, BUY, seq=201, instrument=1).limit == "data"
    assert type(ask(agent, 10, BUY, seq=202, instrument=1)) is OrderApproved
    assert type(ask(agent, 6, SELL, seq=203)) is OrderApproved
    assert ask(agent, 5, SELL, seq=204).limit == "data", "with the six that wait it would turn the position"


def test_quotes_that_are_still_awaited_are_no_state_of_their_own_for_risk():
    agent = officer()
    decide(agent, marked())
    tell(agent, DataStateChanged(0, DataState.AWAITED, DataState.LIVE, "live quotes"), first=150)

    assert type(ask(agent, 1)) is OrderApproved


def test_an_option_needs_live_data_of_what_it_is_written_on():
    agent = fresh()
    option = replace(instrument(1, "KO C"), sec_type="OPT", underlying=0, strike=d(100), right="C")
    tell(agent, resolved(instrument(0, "KO"), option), RECONCILED, data(0, DataState.DELAYED))

    reason = "data: KO: its quotes are delayed: the gateway gives data of type 3"
    assert ask(agent, 1, instrument=1) == RiskRefused(200, "data", reason)


@pytest.mark.parametrize(
    ("shut", "reason", "again"),
    [(FROZEN, IS_FROZEN, AGAIN), (TRIPPED, IS_TRIPPED, (COOLED,))],
    ids=["gate", "circuit"],
)
def test_while_nothing_can_be_sent_only_what_reduces_is_approved(
    shut: Event, reason: str, again: tuple[Event, ...]
):
    agent = officer()
    decide(agent, marked((10, 0, 0)))
    tell(agent, shut, first=150)

    assert ask(agent, 1) == RiskRefused(200, "gate", f"gate: nothing new may be sent to the broker: {reason}")
    assert type(ask(agent, 10, SELL, seq=201)) is OrderApproved
    tell(agent, *again, first=202)
    assert type(ask(agent, 1, seq=210)) is OrderApproved


def test_a_degraded_gate_takes_orders():
    agent = officer()
    decide(agent, marked())
    tell(agent, DEGRADED, first=150)

    assert type(ask(agent, 1)) is OrderApproved


def test_gate_and_circuit_are_kept_apart():
    side = BrokerSide()
    seen = []
    for fact in (FROZEN, TRIPPED, *AGAIN, COOLED):
        side.note(fact)
        seen.append(side.shut)

    syncing = "the gate is syncing: the time of the restart is over"
    assert seen == [IS_FROZEN, IS_FROZEN, syncing, IS_TRIPPED, None]


def test_after_a_death_risk_recalls_what_the_broker_said():
    told = [STOCKS, history(CLOSES), QUOTES, RECONCILED, ACCOUNT]
    said = [data(0, DataState.DELAYED), data(1, DataState.STALE), data(1, DataState.LIVE), FROZEN]
    lived = fresh()
    heard = [heard_at(1 + n, START, event) for n, event in enumerate([*told, *said])]
    for entry in heard:
        lived.handle(entry)
    recalled = fresh()

    recalled.recall(heard)

    for number, agent in enumerate((lived, recalled)):
        decide(agent, marked())
        assert ask(agent, 1, seq=200 + number).reason.endswith(IS_FROZEN)
        tell(agent, *AGAIN, first=300)
        assert ask(agent, 1, seq=310).limit == "data"
        assert type(ask(agent, 1, seq=311, instrument=1)) is OrderApproved


def test_the_cio_only_reduces_where_data_are_not_live_and_trades_the_others():
    cio = a_cio(book_of_the_cio(500, 300, 0))
    tell(cio, data(1, DataState.DELAYED))

    said = cycle(cio, *CONVINCED)

    assert orders(said) == [("A", "SELL", 100, "100.00"), ("B", "SELL", 300, "50.00")]
    words = "; only reducing: its quotes are delayed: the gateway gives data of type 3; target 0, held 300"
    assert said[1].rationale.endswith(words)
    assert "only reducing" not in said[0].rationale
    tell(cio, data(1, DataState.LIVE))
    assert orders(cycle(cio, *CONVINCED))[1] == ("B", "SELL", 800, "50.00")


@pytest.mark.parametrize(("shut", "reason"), [(FROZEN, IS_FROZEN), (TRIPPED, IS_TRIPPED)])
def test_the_cio_opens_nothing_that_cannot_be_sent(shut: Event, reason: str):
    cio = a_cio(book_of_the_cio(500, 0, 0))
    tell(cio, shut)

    said = cycle(cio, *CONVINCED)

    assert orders(said) == [("A", "SELL", 100, "100.00")]
    assert f"only reducing: nothing new may be sent to the broker: {reason}" in said[0].rationale
    tell(cio, *AGAIN, COOLED)
    assert len(cycle(cio, *CONVINCED)) == 2


@pytest.mark.parametrize(("shut", "reason"), [(FROZEN, IS_FROZEN), (TRIPPED, IS_TRIPPED)])
def test_execution_sends_no_slice_while_the_broker_takes_none_and_the_next_ones_after(
    shut: Event, reason: str
):
    agent = trader("twap")
    said = send(agent, cleared(8))
    tell(agent, shut, first=600)

    held = tell(agent, (NOON + HOUR, TIMER), first=610)
    tell(agent, *AGAIN, COOLED, first=620)
    quoted = (NOON + 2 * HOUR, quote((0, 99.99, 100.01)))
    later = tell(agent, quoted, TIMER, first=630)

    assert OrderSubmitted(7, "twap", child(2)) in said
    assert held == [ExecutionRefused(7, d(2), "broker", f"broker: {reason}")]
    assert later == [OrderSubmitted(7, "twap", child(2))]


def test_every_move_of_the_gate_leaves_the_three_of_one_mind():
    path = [GateState.CLOSED, GateState.SYNCING, GateState.OPEN, GateState.DEGRADED, GateState.FROZEN]
    risk, cio, execution = officer(), a_cio(book_of_the_cio(0, 0, 0)), trader()
    decide(risk, marked())
    for number, (before, after) in enumerate(pairwise([*path, GateState.SYNCING, GateState.OPEN])):
        moved = GateChanged(before, after, "told")
        for agent in (risk, cio, execution):
            tell(agent, moved, first=1000 + 10 * number)
        verdict = ask(risk, 1, seq=1001 + 10 * number)
        said = tell(execution, (NOON, cleared(order_seq=1002 + 10 * number)), first=1003 + 10 * number)
        opens = after in (GateState.OPEN, GateState.DEGRADED)

        assert after.passes_orders == opens
        assert (type(verdict) is OrderApproved) == opens
        assert bool(cycle(cio, *CONVINCED)) == opens
        assert (type(said[0]) is OrderSubmitted) == opens
