"""What time did: sessions and ticks of the clock. Waiting is asking for a tick."""

from enum import StrEnum
from typing import ClassVar

from firm.domain.session import Sessions
from firm.events.base import Event


class Occasion(StrEnum):
    """Why the clock ticked."""

    DECIDE = "decide"
    TIMER = "timer"


class SessionsLoaded(Event, frozen=True, array_like=True):
    """The trading calendar of the run, and the moments at which the firm decides."""

    KIND: ClassVar[int] = 201
    sessions: Sessions
    decisions: tuple[int, ...]


class ScheduledTick(Event, frozen=True, array_like=True):
    """A moment that somebody waited for. `timer_seq` is the seq of the `TimerRequested` it answers, or 0."""

    KIND: ClassVar[int] = 202
    occasion: Occasion
    timer_seq: int = 0


class TimerRequested(Event, frozen=True, array_like=True):
    """Execution wants to be woken at `at` (nanoseconds UTC, log time) or at the first chance after."""

    KIND: ClassVar[int] = 203
    at: int
    parent_seq: int
