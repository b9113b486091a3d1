"""The barrier forgets who was first; the halt latch forgets nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firm.bus.barrier import SignalBarrier
from firm.bus.halt import HaltLatch
from firm.events import Event, Origin, Record, encode
from firm.events.risk import RiskHaltRequested
from firm.events.system import (
    CycleAborted,
    OperatorHaltRequested,
    OperatorRearmRequested,
    TradingHalted,
    TradingRearmed,
)

UNITS = [("momentum", "A"), ("momentum", "B"), ("stat_arb", "A/B"), ("stat_arb", "B/C")]


@given(st.permutations(UNITS), st.integers(0, len(UNITS)))
def test_only_who_has_answered_counts_not_when(order: list[tuple[str, str]], count: int):
    barrier = SignalBarrier(UNITS)

    for unit in order[:count]:
        assert not barrier.complete()
        barrier.answer(unit, repr(unit).encode())

    present = set(order[:count])
    assert barrier.complete() == (count == len(UNITS))
    assert barrier.missing() == tuple(unit for unit in UNITS if unit not in present)
    assert list(barrier.answers().items()) == [(u, repr(u).encode()) for u in UNITS if u in present]


def test_an_answer_nobody_waits_for_is_a_bug():
    barrier = SignalBarrier(UNITS)
    barrier.answer(UNITS[0], b"")

    with pytest.raises(AssertionError, match="has answered already"):
        barrier.answer(UNITS[0], b"")
    with pytest.raises(AssertionError, match="nobody asked"):
        barrier.answer(("momentum", "C"), b"")
    with pytest.raises(AssertionError, match="expected twice"):
        SignalBarrier([UNITS[0], UNITS[0]])


def test_a_barrier_for_nobody_is_complete():
    assert SignalBarrier([]).complete()


REARM = OperatorRearmRequested("Ada", "checked")
HALTS = {
    OperatorHaltRequested("drill"): "operator: drill",
    RiskHaltRequested("drawdown"): "risk: drawdown",
    CycleAborted("cio", 7, "KeyError: 3", 5): "cio failed twice on entry 7: KeyError: 3",
}


def record(event: Event) -> Record:
    return Record(1, 1, Origin.INPUT, "x", 0, 0, event.KIND, encode(event))


@given(st.lists(st.sampled_from([*HALTS, REARM]), max_size=12))
def test_the_first_halt_latches_with_its_reason_until_a_rearm(requests: list[Event]):
    latch, halted = HaltLatch(), None
    for request in requests:
        assert request.KIND in HaltLatch.REQUESTS
        answer = latch.answer(record(request))
        if request is REARM:
            expected = None if halted is None else TradingRearmed("Ada", "checked")
            halted = None
        else:
            expected = TradingHalted(HALTS[request]) if halted is None else None
            halted = halted or HALTS[request]
        assert answer == expected
        if answer is not None:
            assert answer.KIND in HaltLatch.FACTS
            latch.note(record(answer))
        assert latch.reason == halted
