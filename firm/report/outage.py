"""How often and how long something was out of order, and how much of that while the market was open."""

from bisect import bisect_right

from firm.domain.session import Sessions


def open_within(sessions: Sessions, start: int, end: int) -> int:
    """How much of the span from `start` to `end` the market was open; all in ns.

    >>> open_within(Sessions((10, 30), (20, 40)), 15, 32)
    7
    """
    total = 0
    for i in range(max(bisect_right(sessions.opens, start) - 1, 0), len(sessions.opens)):
        if sessions.opens[i] >= end:
            break
        total += max(0, min(end, sessions.closes[i]) - max(start, sessions.opens[i]))
    return total


class Outage:
    """One thing that is well or not; times are log times in ns UTC.

    `times` counts how often it broke. What was out of order from the start on, or is so because its process
    was started again, did not break in the log, but its time counts.
    """

    def __init__(self) -> None:
        self.times = 0
        self.since: int | None = None
        self._lasted = self._in_session = 0

    def told(self, at: int, sessions: Sessions, *, was_well: bool, well: bool) -> None:
        """It was said at `at` how it is, and how it was just before."""
        self.times += was_well and not well
        if well:
            self._lasted, self._in_session = self.lasted(at), self.in_session(at, sessions)
            self.since = None
        elif self.since is None:
            self.since = at

    def lasted(self, now: int) -> int:
        """How long in all (ns), with what goes on `now`."""
        return self._lasted + (0 if self.since is None else now - self.since)

    def in_session(self, now: int, sessions: Sessions) -> int:
        """How much of that (ns) the market was open."""
        going_on = 0 if self.since is None else open_within(sessions, self.since, now)
        return self._in_session + going_on
