"""What interrupts a gateway by the clock: nightly restarts, daily resets, the weekly logout. Pure.

All in the exchange's local time. A restart ends every connection and takes none for a while; a reset loses
the link to the broker (1100) and restores it (1102); a logout ends every connection until someone logs in.
"""

import re
from datetime import datetime, time, timedelta
from typing import Literal

from msgspec import Struct

from firm.domain.session import NS_PER_SECOND
from firm.errors import ConfigError
from firm.gateway_sim.times import ZONE, local_date

What = Literal["restart", "reset", "logout"]
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
FORM = re.compile(
    r"(restart|reset|logout)@(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun)-)?([01]\d|2[0-3]):([0-5]\d)(?:\+(\d{1,3}))?"
)
MINUTES = {"restart": 2, "reset": 10, "logout": 0}


class Scenario(Struct, frozen=True):
    """An interruption of `minutes` at `hour`:`minute`, on one `weekday` (0: Monday) or every day."""

    what: What
    hour: int
    minute: int
    weekday: int | None
    minutes: int

    def last(self, after: int, until: int) -> int | None:
        """The latest time (ns UTC) in `after < t <= until` at which it happens."""
        day, first = local_date(until), local_date(after)
        while day >= first:
            at = int(datetime.combine(day, time(self.hour, self.minute), ZONE).timestamp()) * NS_PER_SECOND
            if after < at <= until and self.weekday in {None, day.weekday()}:
                return at
            day -= timedelta(days=1)
        return None


def parse_scenario(text: str) -> Scenario:
    """`restart@23:45`, `reset@00:15+10` (minutes) or `logout@Sun-01:00`; ConfigError for anything else."""
    match = FORM.fullmatch(text)
    if match is None:
        raise ConfigError(
            "--schedule must be such as restart@23:45, reset@00:15+10 or logout@Sun-01:00, "
            f"found {text[:40]!r}"
        )
    what, weekday, hour, minute, minutes = match.groups()
    return Scenario(
        what=what,  # type: ignore[arg-type]  # one of the three, by the pattern
        hour=int(hour),
        minute=int(minute),
        weekday=WEEKDAYS.index(weekday) if weekday else None,
        minutes=int(minutes) if minutes else MINUTES[what],
    )


class Interruptions:
    """What is interrupted now. `closed_until` is when connections are taken again; `down_until`, the link."""

    def __init__(self, scenarios: list[Scenario]) -> None:
        self.scenarios = scenarios
        self.logged_out = False
        self._closed_until = self._down_until = 0

    def begin(self, scenario: Scenario, at: int) -> None:
        """It happened at `at`."""
        until = at + scenario.minutes * 60 * NS_PER_SECOND
        match scenario.what:
            case "restart":
                self._closed_until = until
            case "reset":
                self._down_until = until
            case _:
                self.logged_out = True

    def takes_no_one(self, at: int) -> bool:
        """Whether a connection is refused now."""
        return self.logged_out or at < self._closed_until

    def over(self, at: int) -> bool:
        """Whether the link is restored by now; true once for each reset."""
        over = 0 < self._down_until <= at
        if over:
            self._down_until = 0
        return over
