"""Fan-out to the signal seats, and the wait at the barrier."""

import time
from collections import deque
from collections.abc import Sequence
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
        self._busy: dict[int, dict[Any, tuple[int, list[Unit]]]] = {i: {} for i in range(len(seats))}
        self._late: list[LateAnswer] = []

    def ask(self, ask: SignalAsk) -> dict[Unit, bytes]:
        """Answers by unit, of those that came before the deadline. Without a deadline: of all."""
        started = time.monotonic()
        barrier = SignalBarrier(ask.expected)
        base, delta = self._window.share(ask.window)
        self.collect_late()
        pending: dict[Any, tuple[int, list[Unit]]] = {}
        for seat in range(len(self._seats)):
            if ask.deadline_ms is None or not self._busy[seat]:
                for units in _by_agent(ask.expected, seat, len(self._seats)):
                    pending[self._call(seat, units, base, delta)] = (seat, units)
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
                        pending[self._call(seat, units, base, delta)] = (seat, units)
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
                except LOST:
                    continue  # the seat is free again, but this was no answer
                heard = [unit for unit, payload in zip(units, answers, strict=True) if payload is not None]
                self._late += [LateAnswer(agent, unit, cycle) for agent, unit in heard]

    def late(self) -> list[LateAnswer]:
        """The late answers that have come in, each once."""
        self.collect_late()
        late, self._late = self._late, []
        return late

    def _call(self, seat: int, units: Sequence[Unit], base: Any, delta: WindowDelta) -> Any:
        names = [unit for _, unit in units]
        return self._seats[seat].answer.remote(units[0][0], names, base, delta)


def _by_agent(expected: Sequence[Unit], seat: int, seats: int) -> list[list[Unit]]:
    """The seat's share of each agent's units: every `seats`-th one."""
    agents = dict.fromkeys(agent for agent, _ in expected)
    shares = ([unit for unit in expected if unit[0] == agent][seat::seats] for agent in agents)
    return [share for share in shares if share]


def _left(started: float, deadline_ms: int | None) -> float | None:
    if deadline_ms is None:
        return None
    return max(0.0, started + deadline_ms / 1000 - time.monotonic())
