"""What the clock gateway waits for: the moments of decision, and the timers that agents asked for."""

from bisect import bisect_right
from typing import Literal

from firm.domain.session import NS_PER_MS, Sessions
from firm.events import CODEC, Record
from firm.events.scheduled import Occasion, ScheduledTick, SessionsLoaded, TimerRequested


def decision_times(sessions: Sessions, decide: Literal["session_close"] | int) -> tuple[int, ...]:
    """When the firm decides: at each close, or every `decide` milliseconds after each open, to the close.

    >>> decision_times(Sessions((0, 100_000_000), (50_000_000, 150_000_000)), 20)
    (20000000, 40000000, 120000000, 140000000)
    """
    if decide == "session_close":
        return sessions.closes
    step = decide * NS_PER_MS
    times: list[int] = []
    for opened, closed in zip(sessions.opens, sessions.closes, strict=True):
        times.extend(range(opened + step, closed + 1, step))
    return tuple(times)


class Schedule:
    """A fold over the log: what is still awaited. Ticks are due in order of time, decisions before timers."""

    KINDS = frozenset(cls.KIND for cls in (SessionsLoaded, ScheduledTick, TimerRequested))

    def __init__(self) -> None:
        self.sessions = Sessions((), ())
        self._decisions: tuple[int, ...] = ()
        self._timers: dict[int, int] = {}

    def note(self, record: Record) -> None:
        """Take in a record of one of `KINDS`."""
        match CODEC.event(record):
            case SessionsLoaded(sessions=sessions, decisions=decisions):
                self.sessions, self._decisions = sessions, decisions
            case TimerRequested(at=at):
                self._timers[record.seq] = at
            case ScheduledTick(occasion=Occasion.DECIDE):
                self._decisions = self._decisions[bisect_right(self._decisions, record.at) :]
            case ScheduledTick(timer_seq=seq):
                del self._timers[seq]

    def next_at(self) -> int | None:
        """The next moment anybody waits for, in nanoseconds UTC."""
        moments = [*self._decisions[:1], *self._timers.values()]
        return min(moments) if moments else None

    def due(self, at: int) -> list[ScheduledTick]:
        """Everything due at `at`. Decisions that were slept through are one decision, not many."""
        ticks = [ScheduledTick(Occasion.DECIDE)] if self._decisions and self._decisions[0] <= at else []
        timers = sorted((when, seq) for seq, when in self._timers.items() if when <= at)
        return ticks + [ScheduledTick(Occasion.TIMER, seq) for _, seq in timers]
