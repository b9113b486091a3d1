"""Intraday bars played at their ends: a bar stamped with its start is known only when it is over."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firm.errors import DataError
from firm.events.market import PRINT, QUOTE
from firm.tape.calendar import nyse_schedule
from firm.tape.columns import Columns, increasing, positive, refuse_crossed, require, symbols_of, timestamps
from firm.tape.daily import HISTORY_ROWS_MAX, SPREAD_BPS, first_played, quotes_around
from firm.tape.tape import Frames, Tape

QUOTE_COLUMNS = ("ts", "symbol_table", "symbol", "bc", "bs", "ac", "as_")
TRADE_COLUMNS = ("ts", "symbol_table", "symbol", "close", "volume")
SECOND_NS = 1_000_000_000
BAR_LENGTHS_NS = tuple(
    s * SECOND_NS for s in (1, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600)
)


class _Rows(NamedTuple):
    """What both bar layouts become, in file order: QUOTE and PRINT rows (prints may be none), and closes."""

    starts: NDArray[np.int64]
    symbols: tuple[str, ...]
    quotes: NDArray[np.void]
    prints: NDArray[np.void]
    closes: NDArray[np.float64]
    bar_ns: int


def quote_bar_tape(columns: Columns, days: int | None, label: str, sha256: str) -> Tape:
    """A tape of the closing bid and ask of each bar, at the bar's end."""
    require(columns, QUOTE_COLUMNS, "quote bars")
    starts, names, symbol = _index(columns)
    quotes = np.empty(len(starts), dtype=QUOTE)
    quotes["instrument"] = symbol
    for field, column in (("bid", "bc"), ("ask", "ac"), ("bid_size", "bs"), ("ask_size", "as_")):
        quotes[field] = positive(columns, column, len(starts))
    refuse_crossed(quotes["bid"], quotes["ask"])
    middle = (quotes["bid"] + quotes["ask"]) / 2
    rows = _Rows(starts, names, quotes, np.empty(0, dtype=PRINT), middle, _bar_length(columns, starts))
    return _tape(rows, days, f"{label}: quotes at the end of each bar", sha256)


def trade_bar_tape(columns: Columns, days: int | None, label: str, sha256: str) -> Tape:
    """A tape of one print a bar (close, volume) at the bar's end, with a synthetic quote around the close."""
    require(columns, TRADE_COLUMNS, "trade bars")
    starts, names, symbol = _index(columns)
    prints = np.empty(len(starts), dtype=PRINT)
    prints["instrument"] = symbol
    prints["price"] = positive(columns, "close", len(starts))
    prints["size"] = positive(columns, "volume", len(starts))
    closes = prints["price"].copy()
    rows = _Rows(starts, names, quotes_around(symbol, closes), prints, closes, _bar_length(columns, starts))
    synthetic = f"prints at the end of each bar, synthetic quotes around the close, spread {SPREAD_BPS:g} bps"
    return _tape(rows, days, f"{label}: {synthetic}", sha256)


def _index(columns: Columns) -> tuple[NDArray[np.int64], tuple[str, ...], NDArray[np.intp]]:
    starts = timestamps(columns)
    names, symbol = symbols_of(columns, len(starts))
    increasing(starts, symbol, names)
    return starts, names, symbol


def _bar_length(columns: Columns, starts: NDArray[np.int64]) -> int:
    """The file's own `bar_ns`, else the largest step that reaches every timestamp.

    Where bars are missing that may be longer than the truth (a quote is then played late, never early).
    """
    if "bar_ns" in columns:
        length = int(positive(columns, "bar_ns", rows=1)[0])
    else:
        steps = np.diff(np.unique(starts))
        length = int(np.gcd.reduce(steps)) if len(steps) else 0
    if length not in BAR_LENGTHS_NS:
        raise DataError(
            f"bars must be between 1 second and 1 hour long, of a usual length; found {length} ns. Put the "
            "length into the file as `bar_ns`, or stamp each bar with its start."
        )
    return length


def _tape(rows: _Rows, days: int | None, label: str, sha256: str) -> Tape:
    schedule = nyse_schedule(int(rows.starts.min()), int(rows.starts.max()))
    ends = rows.starts + rows.bar_ns
    session = np.searchsorted(schedule.opens, rows.starts, side="right") - 1
    inside = (session >= 0) & (ends < schedule.closes[session])
    if not inside.any():
        raise DataError(
            f"none of {len(ends)} bars lies inside a session of the NYSE. Check that ts is UTC nanoseconds "
            "and stamps the start of the bar."
        )
    order = np.flatnonzero(inside)[np.argsort(ends[inside], kind="stable")]
    ends, session = ends[order], session[order]
    played = np.unique(session)
    played = played[first_played(len(played), days) :]
    first = int(np.searchsorted(session, played[0]))
    instrument = rows.quotes["instrument"][order]
    history = _history(ends[:first], instrument[:first], rows.closes[order][:first], len(rows.symbols))
    prints = rows.prints[order][first:] if len(rows.prints) else rows.prints
    dropped = int((~inside).sum())
    return Tape(
        symbols=rows.symbols,
        sessions=schedule.take(played).sessions(),
        label=f"{label}, {dropped} bars outside the session left out" if dropped else label,
        source_sha256=sha256,
        history_times=history[0],
        history_closes=history[1],
        bar_ns=rows.bar_ns,
        frames=Frames(ends[first:], rows.quotes[order][first:], ends[first:][: len(prints)], prints),
        rows_dropped=dropped,
    )


def _history(
    ends: NDArray[np.int64], instrument: NDArray[np.int32], closes: NDArray[np.float64], symbols: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The last known close of every symbol at each bar end, from when all of them have traded."""
    times, row = np.unique(ends, return_inverse=True)
    matrix = np.full((len(times), symbols), np.nan)
    matrix[row, instrument] = closes
    last = np.maximum.accumulate(np.where(np.isnan(matrix), -1, np.arange(len(times))[:, None]), axis=0)
    known = (last >= 0).all(axis=1)
    filled = np.take_along_axis(matrix, np.maximum(last, 0), axis=0)[known]
    return times[known][-HISTORY_ROWS_MAX:], filled[-HISTORY_ROWS_MAX:]
