"""When the gateway ends its own session: the nightly restart, and the weekly login by a person. Pure."""

from datetime import UTC, datetime, time, timedelta
from typing import Final

from firm.config import Broker
from firm.domain.session import NS_PER_MS, NS_PER_SECOND
from firm.events import Event
from firm.events.broker import LoginDue
from firm.tape.calendar import NEW_YORK

WARN_BEFORE_S: Final = (86_400, 14_400, 3_600, 900)
WEEKDAYS: Final = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


class SessionCalendar:
    """Times are log times in ns UTC; the configured ones are New York's, like the gateway's own settings."""

    def __init__(self, settings: Broker) -> None:
        self._restart = None if settings.restart_at is None else time.fromisoformat(settings.restart_at)
        self._guard_ns = settings.restart_guard_ms * NS_PER_MS
        self._login = settings.login_by
        self._warned: set[tuple[int, int]] = set()

    def restart_near(self, at: int) -> str | None:
        """Why nothing new may be sent now: a restart is so near; None if none is."""
        if self._restart is None:
            return None
        now = datetime.fromtimestamp(at // NS_PER_SECOND, UTC).astimezone(NEW_YORK)
        for day in (now.date() - timedelta(days=1), now.date(), now.date() + timedelta(days=1)):
            restart = round(datetime.combine(day, self._restart, NEW_YORK).timestamp()) * NS_PER_SECOND
            if abs(at - restart) <= self._guard_ns:
                return f"the gateway restarts at {self._restart:%H:%M} New York time"
        return None

    def login_due(self, at: int) -> list[Event]:
        """Warnings that have become due: a day, four hours, one hour and a quarter before the deadline."""
        if self._login is None:
            return []
        deadline = self._deadline(at)
        due = [s for s in WARN_BEFORE_S if deadline - at <= s * NS_PER_SECOND]
        fresh = [s for s in due if (deadline, s) not in self._warned]
        self._warned = {(deadline, s) for s in due}
        return [LoginDue(deadline, f"log in at the gateway before {self._login}")] if fresh else []

    def _deadline(self, at: int) -> int:
        """The next weekly deadline after `at`."""
        assert self._login is not None, "asked only when there is one"
        weekday, _, clock = self._login.partition(" ")
        now = datetime.fromtimestamp(at // NS_PER_SECOND, UTC).astimezone(NEW_YORK)
        ahead = (WEEKDAYS.index(weekday) - now.weekday()) % 7
        for days in (ahead, ahead + 7):
            day = now.date() + timedelta(days=days)
            deadline = datetime.combine(day, time.fromisoformat(clock), NEW_YORK)
            if deadline > now:
                break
        return round(deadline.timestamp()) * NS_PER_SECOND
