"""Where to put marks on a time axis, and how to word them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from firm.domain.session import NS_PER_SECOND
from firm.report.times import moment

_CLOCK_STEPS_S: Final = (1, 5, 15, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200)
_DAY_STEPS: Final = (1, 2, 7, 14)
_MONTH_STEPS: Final = (1, 2, 3, 6, 12, 24, 60, 120)
_DAY_S: Final = 86_400


def time_ticks(first: int, last: int, wanted: int) -> list[tuple[int, str]]:
    """Marks between two log times (ns UTC), at most about `wanted`, at round moments of the calendar."""
    seconds = (last - first) / NS_PER_SECOND
    if seconds == 0:
        return [(first, f"{moment(first).day} {moment(first):%b %Y}")]
    if seconds <= 2 * _DAY_S:
        return list(_clock_ticks(first, last, wanted))
    days = seconds / _DAY_S
    if days <= 14 * wanted:
        step = next((step for step in _DAY_STEPS if days / step <= wanted), 14)
        return list(_day_ticks(moment(first), moment(last), step))
    months = days / 30.4
    step = next((step for step in _MONTH_STEPS if months / step <= wanted), 120)
    return list(_month_ticks(moment(first), moment(last), step))


def _ns(at: datetime) -> int:
    return int(at.timestamp()) * NS_PER_SECOND


def _clock_ticks(first: int, last: int, wanted: int) -> Iterator[tuple[int, str]]:
    seconds = (last - first) / NS_PER_SECOND
    step = next((step for step in _CLOCK_STEPS_S if seconds / step <= wanted), _CLOCK_STEPS_S[-1])
    at = -(-first // (step * NS_PER_SECOND)) * step * NS_PER_SECOND
    while at <= last:
        yield at, moment(at).strftime("%H:%M:%S" if step < 60 else "%H:%M")
        at += step * NS_PER_SECOND


def _day_ticks(first: datetime, last: datetime, step: int) -> Iterator[tuple[int, str]]:
    day = datetime(first.year, first.month, first.day, tzinfo=UTC)
    while day <= last:
        if day >= first:
            yield _ns(day), f"{day.day} {day:%b}"
        day += timedelta(days=step)


def _month_ticks(first: datetime, last: datetime, step: int) -> Iterator[tuple[int, str]]:
    months = first.year * 12 + (first.month - 1) // step * step
    named = 0
    while (day := datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)) <= last:
        if day >= first:
            yield (
                _ns(day),
                f"{day:%b %Y}"
                if day.year != named and step < 12
                else f"{day:%Y}"
                if step >= 12
                else f"{day:%b}",
            )
            named = day.year
        months += step
