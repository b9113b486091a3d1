"""When the New York Stock Exchange was open, right across daylight saving, holidays and half days."""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from firm.domain.session import Sessions
from firm.errors import DataError

NEW_YORK = ZoneInfo("America/New_York")
NS_PER_DAY = 86_400_000_000_000
FIRST_DAY, LAST_DAY = date(1970, 1, 2), date(2100, 1, 1)


class Schedule(NamedTuple):
    """Sessions in order: the New York date of each (datetime64[D]), its open and close in UTC nanoseconds."""

    days: NDArray[np.datetime64]
    opens: NDArray[np.int64]
    closes: NDArray[np.int64]

    def take(self, positions: NDArray[np.intp]) -> "Schedule":
        """The sessions at `positions`."""
        return Schedule(self.days[positions], self.opens[positions], self.closes[positions])

    def sessions(self) -> Sessions:
        """The same as the firm's own value."""
        return Sessions(tuple(map(int, self.opens)), tuple(map(int, self.closes)))


def nyse_schedule(first_at: int, last_at: int) -> Schedule:
    """All sessions from the day before `first_at` to the day after `last_at` (UTC nanoseconds).

    From the XNYS rules of exchange_calendars, which knows early closes and one-off closings.
    """
    days = [datetime.fromtimestamp(at // 1_000_000_000, tz=UTC).date() for at in (first_at, last_at)]
    if days[0] < FIRST_DAY or days[1] > LAST_DAY:
        raise DataError(
            f"timestamps must be UTC nanoseconds between {FIRST_DAY} and {LAST_DAY}; read so, the file runs "
            f"from {days[0]} to {days[1]}. Convert `ts` to nanoseconds since 1970."
        )
    from exchange_calendars import get_calendar  # late: it brings pandas, which readers of a tape do not need

    # The calendar wants some sessions between start and end, so ask for a week more on both sides.
    week = timedelta(days=7)
    calendar = get_calendar("XNYS", start=str(days[0] - week), end=str(days[1] + week))
    opens = _utc_nanoseconds(calendar.opens.array)
    closes = _utc_nanoseconds(calendar.closes.array)
    wanted = (closes >= first_at - NS_PER_DAY) & (opens <= last_at + NS_PER_DAY)
    session_days = calendar.sessions.to_numpy().astype("datetime64[D]")
    return Schedule(session_days[wanted], opens[wanted], closes[wanted])


def stamped_days(times: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """The day each timestamp of a daily file means.

    Midnight UTC is a bare date and means that date; any other instant means its date in New York.
    """
    return np.array([_stamped_day(int(at)) for at in times], dtype="datetime64[D]")


def _stamped_day(at: int) -> date:
    zone = UTC if at % NS_PER_DAY == 0 else NEW_YORK
    return datetime.fromtimestamp(at // 1_000_000_000, tz=zone).date()


def _utc_nanoseconds(times: object) -> NDArray[np.int64]:
    return np.asarray(times, dtype="datetime64[ns]").astype(np.int64)
