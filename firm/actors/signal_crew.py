"""Fan-out to the signal seats, and the wait at the barrier."""

import logging
import time
from collections import deque
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import ray

from firm.actors.lost import LOST
from firm.actors.signal_seat import WindowDelta
from firm.agents.signals.signal_agent import MarketWindow
from firm.bus.barrier import SignalBarrier
from firm.bus.crew import SignalAsk, Unit
from firm.events.signals import LateAnswer

REBASE_BARS = 64
"""The shared base of the window is put anew after so many bars; until then only the new ones are sent."""

LOG = logging.getLogger(__name__)
RETRY_S = 0.05
"""Pause before a lost call is made again: the actor is being restarted."""


class SharedWindow:
    """Keeps the base of the market window in the object store, and cuts each cycle's delta against it."""

    def __init__(self) -> None:
        self._base: MarketWindow | None = None
        self._refs: deque[Any] = deque(maxlen=2)

    def share(self, window: MarketWindow) -> tuple[Any, WindowDelta]:
        """A ref to the base and what is new since; the base is put again when it no longer fits."""
        base = self._base
        if base is not None and base.symbols == window.symbols and len(window.times):
            skip = int((base.times < window.times[0]).sum())
            shared = len(base.times) - skip
            new = len(window.times) - shared
            if shared > 0 and 0 <= new <= REBASE_BARS and window.times[shared - 1] == base.times[-1]:
                return self._refs[-1], WindowDelta(skip, window.times[shared:], window.closes[shared:])
        self._base = window
        self._refs.append(ray.put(window))
        return self._refs[-1], WindowDelta(0, window.times[:0], window.closes[:0])


class SignalCrew:
    """Spreads units over seats; a seat that still works on an old question is not asked a new one."""

    def __init__(self, seats: Sequence[Any]) -> None:
        self._seats = list(seats)
        self._window = SharedWindow()
        self._shared: tuple[Any, ...] = ()
        self._busy: dict[int, dict[Any, tuple[int, list[Unit]]]] = {i: {} for i in range(len(seats))}
        self._late: list[LateAnswer] = []
        self._pending: dict[Any, tuple[int, list[Unit]]] = {}

    def ask(self, ask: SignalAsk) -> None:
        """Let every seat that is free begin; `answers` to the same question collects."""
        self._shared = self._window.share(ask.window)
        self.collect_late()
        self._pending = {}
        for seat in range(len(self._seats)):
            if ask.deadline_ms is None or not self._busy[seat]:
                units = _share(ask.expected, seat, len(self._seats))
                if units:
                    self._pending[self._call(seat, units)] = (seat, units)

    def answers(self, ask: SignalAsk) -> dict[Unit, bytes]:
        """Answers by unit, of those that come before the deadline, from now. Without a deadline: of all."""
        started = time.monotonic()
        barrier = SignalBarrier(ask.expected)
        pending = self._pending
        while pending:
            left = _left(started, ask.deadline_ms)
            done, _ = ray.wait(list(pending), num_returns=1, timeout=left)
            if not done:
                break
            for ref in done:
                seat, units = pending.pop(ref)
                try:
                    answers = ray.get(ref)
                except LOST:
                    if left is None or left > RETRY_S:
                        time.sleep(RETRY_S)
                        pending[self._call(seat, units)] = (seat, units)
                    continue
                except ray.exceptions.RayTaskError as error:
                    LOG.warning("signal seat %s failed, its units are missing: %s", seat, error)
                    continue
                for unit, payload in zip(units, answers, strict=True):
                    if payload is not None:
                        barrier.answer(unit, payload)
        for ref, (seat, units) in pending.items():
            self._busy[seat][ref] = (ask.cycle, units)
        return barrier.answers()

    def collect_late(self) -> None:
        """Note who has answered since its barrier closed; those seats may be asked again."""
        for waiting in self._busy.values():
            done, _ = ray.wait(list(waiting), num_returns=len(waiting), timeout=0) if waiting else ([], [])
            for ref in done:
                cycle, units = waiting.pop(ref)
                try:
                    answers = ray.get(ref)
                except (*LOST, ray.exceptions.RayTaskError):
                    continue  # the seat is free again, but this was no answer
                heard = [unit for unit, payload in zip(units, answers, strict=True) if payload is not None]
                self._late += [LateAnswer(agent, unit, cycle) for agent, unit in heard]

    def late(self) -> list[LateAnswer]:
        """The late answers that have come in, each once."""
        self.collect_late()
        late, self._late = self._late, []
        return late

    def _call(self, seat: int, units: Sequence[Unit]) -> Any:
        asked = [(agent, [unit for _, unit in its]) for agent, its in groupby(units, key=itemgetter(0))]
        return self._seats[seat].answer.remote(asked, *self._shared)


def _share(expected: Sequence[Unit], seat: int, seats: int) -> list[Unit]:
    """The seat's share of each agent's units: every `seats`-th one."""
    agents = dict.fromkeys(agent for agent, _ in expected)
    return [u for agent in agents for u in [unit for unit in expected if unit[0] == agent][seat::seats]]


def _left(started: float, deadline_ms: int | None) -> float | None:
    if deadline_ms is None:
        return None
    return max(0.0, started + deadline_ms / 1000 - time.monotonic())
