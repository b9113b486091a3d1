"""Log times (nanoseconds UTC) as days and words."""

from datetime import UTC, date, datetime
from typing import Final

from firm.domain.session import NS_PER_SECOND

NS_PER_DAY: Final = 86_400 * NS_PER_SECOND
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()


def day_of(at: int) -> date:
    """The UTC day of a log time."""
    return date.fromordinal(_EPOCH_ORDINAL + at // NS_PER_DAY)


def moment(at: int) -> datetime:
    """A log time to the microsecond, in UTC."""
    return datetime.fromtimestamp(at // NS_PER_SECOND, UTC).replace(microsecond=at % NS_PER_SECOND // 1000)


def iso(at: int | None) -> str | None:
    """A log time as ISO 8601 in UTC, to the microsecond where it has one."""
    return None if at is None else moment(at).isoformat().replace("+00:00", "Z")


def minute(at: int) -> str:
    """A log time for a table: day, hour and minute, UTC.

    >>> minute(1_704_207_600_000_000_000)
    '2024-01-02 15:00'
    """
    return moment(at).strftime("%Y-%m-%d %H:%M")


def duration(ns: int) -> str:
    """A span of time in the unit that suits it.

    >>> duration(45 * 10**9), duration(14 * 60 * 10**9), duration(7_000 * 10**9), duration(3 * 10**15)
    ('45 s', '14 min', '1.9 h', '34.7 days')
    """
    seconds = ns / NS_PER_SECOND
    if seconds < 60:
        return f"{seconds:.3g} s"
    if seconds < 3_600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"
