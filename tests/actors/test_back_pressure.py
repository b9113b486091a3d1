"""Queues in front of an actor that does not answer stay as short as they are said to be."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import ray
import whole_firm

from firm.actors.signal_crew import SignalCrew
from firm.actors.signal_seat import SignalSeat
from firm.actors.staff import PENDING_CALLS_MAX, _actor
from firm.actors.supervisor import Question, stop_actors
from firm.agents.signals.signal_agent import MarketWindow
from firm.bus.crew import SignalAsk
from firm.risk_kernels.fingerprint import array_fingerprint

pytestmark = [pytest.mark.ray, pytest.mark.process, pytest.mark.usefixtures("ray_cluster")]

SYMBOLS = ("KO", "PEP")
EXPECTED = tuple(("momentum", symbol) for symbol in SYMBOLS)


def asked(cycle: int, deadline_ms: int | None) -> SignalAsk:
    times = np.arange(400, dtype=np.int64)
    return SignalAsk(cycle, MarketWindow(SYMBOLS, times, np.full((400, 2), 50.0)), EXPECTED, deadline_ms)


@contextmanager
def stopped(actor: Any) -> Iterator[None]:
    """Its process does nothing meanwhile."""
    pid = ray.get(actor.pid.remote())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def seat() -> Iterator[Any]:
    """A signal seat as the firm makes it."""
    made = _actor(SignalSeat, "signals-pressed", whole_firm.settings().model_dump_json(), array_fingerprint())
    yield made
    ray.kill(made)


def test_a_seat_that_hangs_is_asked_once_however_many_questions_come(seat: Any):
    crew = SignalCrew([seat])
    with stopped(seat):
        for cycle in range(1, 21):
            crew.ask(asked(cycle, 20))
            assert crew.answers(asked(cycle, 20)) == {}
        assert crew.late() == []

    ask = asked(21, None)
    crew.ask(ask)
    assert set(crew.answers(ask)) == set(EXPECTED)
    assert [(late.cycle, late.unit) for late in crew.late()] == [(1, symbol) for symbol in SYMBOLS]


@pytest.mark.usefixtures("seat")
def test_a_caller_that_does_not_wait_for_answers_is_refused():
    handle = ray.get_actor("signals-pressed")
    with stopped(handle):
        taken = [handle.pid.remote() for _ in range(PENDING_CALLS_MAX)]
        with pytest.raises(ray.exceptions.PendingCallsLimitExceeded):
            handle.pid.remote()

    assert len(set(ray.get(taken))) == 1


def test_who_is_slow_to_answer_is_asked_again_only_after_the_answer(seat: Any):
    question, times = Question(), PENDING_CALLS_MAX + 20

    async def watch(within_s: float) -> Any:
        return await question.answer(seat.pid.remote, within_s)

    async def watch_often() -> list[Any]:
        return [await watch(0.005) for _ in range(times)]

    async def watched() -> tuple[list[Any], Any]:
        with stopped(seat):
            meanwhile = await watch_often()
            assert seat.pid.remote() is not None, "there is room for other calls"
        return meanwhile, await watch(60)

    meanwhile, after = asyncio.run(watched())

    assert meanwhile == [None] * times
    assert after == ray.get(seat.pid.remote())


def test_an_actor_with_a_full_queue_does_not_keep_the_others_from_being_stopped(seat: Any):
    other = _actor(SignalSeat, "signals-free", whole_firm.settings().model_dump_json(), array_fingerprint())
    ray.get(other.pid.remote())
    with stopped(seat):
        taken = [seat.pid.remote() for _ in range(PENDING_CALLS_MAX)]
        asyncio.run(stop_actors([seat, other], 1.0))
        assert len(taken) == PENDING_CALLS_MAX
    ray.kill(other)
