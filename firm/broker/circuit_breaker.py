"""Stops sending orders to a broker that keeps failing, and tries with one order before it trusts again. Pure.

The first answer to an order counts: accepted is a success; refused, unknown or lost is a failure, and so is
the end of the link. Cancels are no business of the breaker: they may go whenever the link permits.
"""

from collections import deque
from enum import Enum, auto
from typing import Final, NamedTuple

from firm.config import Circuit
from firm.domain.session import NS_PER_MS
from firm.events import Event
from firm.events.broker import CircuitChanged, CircuitState
from firm.events.orders import BrokerRejected, OrderAccepted, OrderNotAccepted, OrderUnknown
from firm.events.system import BrokerDisconnected


class Signal(Enum):
    """What can move the breaker."""

    TRIPPED = auto()
    COOLED = auto()
    TRIAL_SUCCEEDED = auto()
    TRIAL_FAILED = auto()


TRANSITIONS: Final[dict[tuple[CircuitState, Signal], CircuitState]] = {
    (CircuitState.CLOSED, Signal.TRIPPED): CircuitState.OPEN,
    (CircuitState.OPEN, Signal.COOLED): CircuitState.HALF_OPEN,
    (CircuitState.HALF_OPEN, Signal.TRIAL_SUCCEEDED): CircuitState.CLOSED,
    (CircuitState.HALF_OPEN, Signal.TRIAL_FAILED): CircuitState.OPEN,
}


class Outcome(NamedTuple):
    """One answer of the broker; `at` in ns UTC."""

    at: int
    failed: bool


class CircuitBreaker:
    """Hears what the broker's side reports; `objection` says why an order may not be sent now."""

    def __init__(self, settings: Circuit) -> None:
        self._settings = settings
        self.state = CircuitState.CLOSED
        self._outcomes: deque[Outcome] = deque()
        self._in_a_row: deque[int] = deque()
        self._opened_at = 0
        self._trial: int | None = None
        self._answered: set[int] = set()

    def restore(self, state: CircuitState, at: int) -> None:
        """Stand as the log says it stood since `at`: a restart must not make a bad broker look good."""
        self.state, self._opened_at = state, at

    def objection(self, at: int) -> str | None:
        """Why no order may be sent at log time `at`; None if one may."""
        if self.state is CircuitState.OPEN:
            left_ms = self._settings.cool_down_ms - (at - self._opened_at) // NS_PER_MS
            return f"the circuit to the broker is open for another {max(left_ms, 0)} ms"
        if self._trial is not None:
            return f"the circuit to the broker is half-open and order {self._trial} is on trial"
        return None

    def sent(self, child_seq: int) -> None:
        """An order has left the firm; half-open, it is the one on trial."""
        if self.state is CircuitState.HALF_OPEN:
            self._trial = child_seq

    def look(self, at: int) -> list[Event]:
        """Time has passed: an open circuit that has cooled down is half-open."""
        cooled = at - self._opened_at >= self._settings.cool_down_ms * NS_PER_MS
        if self.state is not CircuitState.OPEN or not cooled:
            return []
        return self._go(Signal.COOLED, f"{self._settings.cool_down_ms} ms have passed")

    def hear(self, event: Event, at: int) -> list[Event]:
        """Take in what was reported at `at`; a switch of the breaker, if it causes one."""
        match event:
            case OrderAccepted(child_seq=seq):
                return self._succeeded(seq, at)
            case BrokerRejected(child_seq=seq, code=code, reason=reason) if code:
                return self._failed(seq, f"order {seq} was refused with {code} ({reason})", at)
            case OrderUnknown(child_seq=seq, reason=reason):
                return self._failed(seq, f"order {seq} is unknown ({reason})", at)
            case OrderNotAccepted(child_seq=seq):
                return self._failed(seq, f"order {seq} never arrived", at)
            case BrokerDisconnected(reason=reason):
                return self._failed(self._trial, f"the link was lost ({reason})", at)
            case _:
                pass
        return []

    def _first_answer(self, child_seq: int | None) -> bool:
        """Whether nothing was heard of the order before; the end of the link is of no order."""
        first = child_seq is None or child_seq not in self._answered
        self._answered |= {child_seq} if child_seq is not None else set()
        return first

    def _succeeded(self, child_seq: int, at: int) -> list[Event]:
        if not self._first_answer(child_seq):
            return []
        self._in_a_row.clear()
        self._outcomes.append(Outcome(at, failed=False))
        self._forget(at)
        if self.state is CircuitState.HALF_OPEN and child_seq == self._trial:
            return self._go(Signal.TRIAL_SUCCEEDED, f"order {child_seq} was accepted")
        return []

    def _failed(self, child_seq: int | None, reason: str, at: int) -> list[Event]:
        if not self._first_answer(child_seq):
            return []
        self._in_a_row.append(at)
        self._outcomes.append(Outcome(at, failed=True))
        self._forget(at)
        if self.state is CircuitState.HALF_OPEN and self._trial is not None and child_seq == self._trial:
            self._opened_at = at
            return self._go(Signal.TRIAL_FAILED, reason)
        if self.state is CircuitState.CLOSED and (why := self._too_many()):
            self._opened_at = at
            return self._go(Signal.TRIPPED, f"{why}; the last: {reason}")
        return []

    def _too_many(self) -> str | None:
        settings = self._settings
        if len(self._in_a_row) >= settings.failures_in_a_row:
            return f"{len(self._in_a_row)} failures in a row"
        failed = sum(outcome.failed for outcome in self._outcomes)
        enough = len(self._outcomes) >= settings.outcomes_min
        if enough and failed > settings.error_rate_max * len(self._outcomes):
            return f"{failed} failures in {len(self._outcomes)} answers"
        return None

    def _forget(self, at: int) -> None:
        """What is older than the window does not count any more."""
        oldest = at - self._settings.window_ms * NS_PER_MS
        while self._outcomes and self._outcomes[0].at < oldest:
            self._outcomes.popleft()
        while self._in_a_row and self._in_a_row[0] < oldest:
            self._in_a_row.popleft()

    def _go(self, signal: Signal, reason: str) -> list[Event]:
        before, self.state = self.state, TRANSITIONS[self.state, signal]
        self._trial = None
        if self.state is CircuitState.CLOSED:
            self._outcomes.clear()
            self._in_a_row.clear()
        return [CircuitChanged(before, self.state, reason)]
