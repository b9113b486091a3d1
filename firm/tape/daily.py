"""Daily closes played as synthetic sessions: half-hourly quotes around each day's own close.

Nobody knows the path of a day from its close alone, and inventing one that ends there would tell a
strategy the future. So every quote of a day is the same: the day's close with a stated spread.
"""

import numpy as np
from numpy.typing import NDArray

from firm.errors import DataError
from firm.events.market import PRINT, QUOTE
from firm.tape.calendar import NS_PER_DAY, Schedule, nyse_schedule, stamped_days
from firm.tape.columns import Columns, increasing, positive, timestamps
from firm.tape.tape import Frames, Tape

HALF_HOUR_NS = 1_800_000_000_000
HISTORY_ROWS_MAX = 1500
TICK = 0.01
TICKS_PER_UNIT = 100
SPREAD_BPS = 2.0
QUOTE_SIZE = 5000.0


def daily_tape(columns: Columns, days: int | None, label: str, sha256: str) -> Tape:
    """A tape of the last `days` days (None: all) of a matrix of closes, `ts` plus one column a symbol."""
    times = timestamps(columns)
    symbols = tuple(name for name in columns if name != "ts")
    if not symbols:
        raise DataError("a file of daily closes needs a column for each symbol beside ts, found none.")
    increasing(times, np.zeros(len(times), dtype=np.intp), ("the file",))
    closes = np.column_stack([positive(columns, symbol, len(times)) for symbol in symbols])
    schedule = _sessions_of(times)
    first = first_played(len(times), days)
    known = slice(max(0, first - HISTORY_ROWS_MAX), first)
    played = schedule.take(np.arange(first, len(times)))
    quote_times, day_of_quote = _half_hours(played)
    return Tape(
        symbols=symbols,
        sessions=played.sessions(),
        label=f"{label}: synthetic half-hourly quotes around each day's own close, spread {SPREAD_BPS:g} bps "
        "and at least one tick each side",
        source_sha256=sha256,
        history_times=schedule.closes[known],
        history_closes=closes[known],
        bar_ns=NS_PER_DAY,
        frames=Frames(
            np.repeat(quote_times, len(symbols)),
            _day_quotes(closes[first:])[day_of_quote].reshape(-1),
            np.empty(0, dtype=np.int64),
            np.empty(0, dtype=PRINT),
        ),
    )


def first_played(available: int, days: int | None) -> int:
    """Which of `available` days is the first to be played if the last `days` (None: all) are."""
    if days is None:
        return 0
    if not 1 <= days <= available:
        raise DataError(
            f"days must be 1 to {available}, the days in the file; asked for {days}. Ask for fewer, or load "
            "a longer file."
        )
    return available - days


def quotes_around(
    instrument: NDArray[np.integer], price: NDArray[np.float64], size: float = QUOTE_SIZE
) -> NDArray[np.void]:
    """Quotes of `SPREAD_BPS` (at least one tick each side) around `price`, on the 0.01 grid.

    A price too small to stand one tick above zero after rounding is refused.
    """
    middle = np.rint(price * TICKS_PER_UNIT)
    half = np.maximum(1.0, np.ceil(middle * (SPREAD_BPS / 20_000)))
    if (bad := middle <= half).any():
        at = int(np.argmax(bad))
        raise DataError(
            f"a synthetic quote needs a price of at least {2 * TICK}, found {price[at]} of "
            f"instrument {instrument[at]}. Leave these days or this symbol out."
        )
    quotes = np.empty(len(price), dtype=QUOTE)
    quotes["instrument"] = instrument
    quotes["bid"] = (middle - half) / TICKS_PER_UNIT
    quotes["ask"] = (middle + half) / TICKS_PER_UNIT
    quotes["bid_size"] = quotes["ask_size"] = size
    return quotes


def _sessions_of(times: NDArray[np.int64]) -> Schedule:
    """The session each row's day was; a row on a day without one is refused."""
    schedule = nyse_schedule(int(times[0]), int(times[-1]))
    days = stamped_days(times)
    position = np.searchsorted(schedule.days, days)
    found = schedule.days[np.minimum(position, len(schedule.days) - 1)] == days
    if not found.all():
        row = int(np.argmin(found))
        raise DataError(
            f"daily closes must fall on days the NYSE was open; {int((~found).sum())} do not, first row "
            f"{row} ({days[row]}). Remove these rows, or stamp each with its New York date."
        )
    if (twice := np.diff(position) == 0).any():
        raise DataError(f"one close a day is needed, found two on {days[int(np.argmax(twice))]}. Keep one.")
    return schedule.take(position)


def _half_hours(played: Schedule) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Quote times from each open in half hours until before the close (13 on a full day), and their day."""
    count = (played.closes - played.opens) // HALF_HOUR_NS
    day = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(day)) - np.repeat(np.cumsum(count) - count, count)
    return played.opens[day] + step * HALF_HOUR_NS, day


def _day_quotes(closes: NDArray[np.float64]) -> NDArray[np.void]:
    """QUOTE[days, symbols] around `closes`."""
    days, symbols = closes.shape
    return quotes_around(np.tile(np.arange(symbols), days), closes.reshape(-1)).reshape(days, symbols)
