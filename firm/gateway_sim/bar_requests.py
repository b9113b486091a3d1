"""Reads a historical data request (bar size, duration, end) and cuts the bars for it. Pure."""

from datetime import timedelta
from typing import NamedTuple

from firm.domain.instrument import Instrument
from firm.domain.session import NS_PER_SECOND
from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.history import NS_PER_DAY, Bar, daily_bars, grouped, intraday_bars
from firm.gateway_sim.times import bar_time, local, parse_time

SECONDS = {
    "1 secs": 1,
    "5 secs": 5,
    "10 secs": 10,
    "15 secs": 15,
    "30 secs": 30,
    "1 min": 60,
    "2 mins": 120,
    "3 mins": 180,
    "5 mins": 300,
    "10 mins": 600,
    "15 mins": 900,
    "20 mins": 1200,
    "30 mins": 1800,
    "1 hour": 3600,
    "2 hours": 7200,
    "3 hours": 10_800,
    "4 hours": 14_400,
    "8 hours": 28_800,
}
DAYS = {"1 day": "day", "1 week": "week", "1W": "week", "1 month": "month", "1M": "month"}
SHOWN = {"TRADES": "TRADES", "ADJUSTED_LAST": "TRADES", "MIDPOINT": "MIDPOINT", "BID": "BID", "ASK": "ASK"}
DURATION_MAX = 100_000


class Window(NamedTuple):
    """`start <= t < end`, ns UTC."""

    start: int
    end: int


def bars_for(brokerage: Brokerage, instrument: Instrument, asked: Values) -> tuple[list[Bar], Window]:
    """The bars asked for, none later than the gateway's clock; ValueError says what cannot be served."""
    what = SHOWN.get(asked["whatToShow"])
    if what is None:
        raise ValueError(f"no {asked['whatToShow'][:40]} data here, only {', '.join(SHOWN)}")
    size = asked["barSize"]
    if size not in SECONDS and size not in DAYS:
        raise ValueError(f"unknown bar size {size[:40]!r}; known are {', '.join([*SECONDS, *DAYS])}")
    end = min(parse_time(asked["endDateTime"]) if asked["endDateTime"] else brokerage.at, brokerage.at) + 1
    step = SECONDS[size] * NS_PER_SECOND if size in SECONDS else NS_PER_DAY
    seen = brokerage.memory.observed(instrument.index, what, step)
    days = daily_bars(
        brokerage.memory.observed(instrument.index, "TRADES", NS_PER_DAY), 0, end, brokerage.tape.sessions
    )
    start = _start(asked["duration"], end, [bar.start for bar in days])
    if size in SECONDS:
        return intraday_bars(seen, start, end, step), Window(start, end)
    daily = daily_bars(seen, start, end, brokerage.tape.sessions)
    return _grouped(daily, DAYS[size]), Window(start, end)


def bar_values(bar: Bar, asked: Values) -> Values:
    """A bar in the words of historicalData; only trades have volume."""
    traded = SHOWN[asked["whatToShow"]] == "TRADES"
    daily = asked["barSize"] in DAYS
    return {
        "date": bar_time(bar.start, daily=daily, format_date=asked["formatDate"] or 1),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": _shares(bar.volume) if traded else -1,
        "average": bar.average if traded else -1.0,
        "count": bar.trades if traded else -1,
    }


def _shares(volume: float) -> int | float:
    return int(volume) if volume.is_integer() else volume


def _start(duration: str, end: int, day_starts: list[int]) -> int:
    """Where a duration such as `30 D` begins, in 1970 at the earliest. Days are trading days, as in TWS."""
    count_text, _, unit = duration.partition(" ")
    if not count_text.isdecimal() or not 0 < int(count_text) <= DURATION_MAX or unit not in set("SDWMY"):
        raise ValueError(
            f"duration {duration[:40]!r} must be a number and one of S, D, W, M, Y, such as '30 D'"
        )
    count = int(count_text)
    if unit == "S":
        return max(0, end - count * NS_PER_SECOND)
    if unit == "D":
        return day_starts[max(0, len(day_starts) - count)] if day_starts else end
    days = {"W": 7, "M": 30.4375, "Y": 365.25}[unit] * count
    return max(0, end - int(days * NS_PER_DAY))


def _grouped(daily: list[Bar], unit: str) -> list[Bar]:
    if unit == "day":
        return daily
    dates = [local(bar.start).date() for bar in daily]
    if unit == "week":
        return grouped(daily, [(day - timedelta(days=day.weekday())).toordinal() for day in dates])
    return grouped(daily, [day.year * 12 + day.month for day in dates])
