"""How the gateway writes and reads times: exchange local time, as Interactive Brokers spells it. Pure."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from firm.domain.session import NS_PER_SECOND

ZONE_NAME = "US/Eastern"
ZONE = ZoneInfo("America/New_York")


def local(at: int) -> datetime:
    """`at` (ns UTC) in the exchange's time zone, whole seconds."""
    return datetime.fromtimestamp(at // NS_PER_SECOND, tz=ZONE)


def local_date(at: int) -> date:
    """The exchange's calendar day at `at`."""
    return local(at).date()


def execution_time(at: int, version: int) -> str:
    """`20240102 09:30:00 US/Eastern`; without the zone and with two spaces before version 174."""
    if version < 174:
        return local(at).strftime("%Y%m%d  %H:%M:%S")
    return local(at).strftime("%Y%m%d %H:%M:%S ") + ZONE_NAME


def bar_time(at: int, *, daily: bool, format_date: int) -> str:
    """A bar's date: a day for daily bars, else local time (format 1) or epoch seconds (format 2)."""
    if daily:
        return local(at).strftime("%Y%m%d")
    if format_date == 2:
        return str(at // NS_PER_SECOND)
    return execution_time(at, 174)


def parse_moment(text: str, at: int) -> int:
    """Like `parse_time`, and `09:30:00 US/Eastern` for that time on the exchange's day of `at`.

    >>> parse_moment("09:30:00 US/Eastern", parse_time("20240102")) == parse_time("20240102-14:30:00")
    True
    """
    if ":" in text.split(" ", maxsplit=1)[0] and "-" not in text:
        return parse_time(f"{local(at):%Y%m%d} {text}")
    return parse_time(text)


def parse_time(text: str) -> int:
    """Nanoseconds UTC of a time as clients write it; ValueError says what was expected.

    >>> parse_time("20240102 09:30:00 US/Eastern") == parse_time("20240102-14:30:00")
    True
    """
    parts = text.split()
    try:
        if len(parts) == 1 and len(text) == 8:
            moment = datetime.strptime(text, "%Y%m%d").replace(tzinfo=ZONE)
        elif len(parts) == 1:
            moment = datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
        else:
            zone = ZoneInfo(parts[2]) if len(parts) == 3 else ZONE
            moment = datetime.strptime(f"{parts[0]} {parts[1]}", "%Y%m%d %H:%M:%S").replace(tzinfo=zone)
    except (ValueError, KeyError, IndexError, OSError):
        raise ValueError(
            f"a time such as '20240102 16:00:00 {ZONE_NAME}' or '20240102-21:00:00' (UTC) is needed, "
            f"found {text[:60]!r}"
        ) from None
    return int(moment.timestamp()) * NS_PER_SECOND
