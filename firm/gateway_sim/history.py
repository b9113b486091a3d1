"""Bars and recent quotes up to now, from the tape's history and the frames played so far. Pure.

A frame's trades are its prints where it has any, else the middle of its quote (with no volume): a tape of
quotes alone still has prices. Nothing later than the gateway's clock is ever looked at.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firm.domain.session import NS_PER_SECOND, Sessions
from firm.tape.tape import PRINT, QUOTE, Frame, Tape

NS_PER_DAY = 86_400 * NS_PER_SECOND

Prices = NDArray[np.float64]
Times = NDArray[np.int64]


class Bar(NamedTuple):
    """One bar. `start` (ns UTC) is where its interval begins; daily bars begin with their session."""

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    average: float
    trades: int


class Observed(NamedTuple):
    """What happened to one instrument, in time order: a price, and the volume traded at it."""

    times: Times
    prices: Prices
    volumes: Prices


class _Column:
    """Rows of one dtype with their times; added in chunks, melted into one table when read."""

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self._times: Times = np.empty(0, dtype=np.int64)
        self._rows: NDArray[np.void] = np.empty(0, dtype=dtype)
        self._new: list[tuple[int, NDArray[np.void]]] = []

    def add(self, at: int, rows: NDArray[np.void]) -> None:
        if len(rows):
            self._new.append((at, rows))

    def of(self, instrument: int) -> tuple[Times, NDArray[np.void]]:
        if self._new:
            at = np.array([at for at, _ in self._new], dtype=np.int64)
            times = np.repeat(at, [len(rows) for _, rows in self._new])
            self._times = np.concatenate((self._times, times))
            self._rows = np.concatenate([self._rows, *(rows for _, rows in self._new)])
            self._new.clear()
        mine = self._rows["instrument"] == instrument
        return self._times[mine], self._rows[mine]


class Memory:
    """The frames played so far, by column; `extend` is cheap, reading gathers what was added since."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._quotes, self._prints = _Column(QUOTE), _Column(PRINT)

    def extend(self, frame: Frame) -> None:
        """Remember a frame that has just been played."""
        self._quotes.add(frame.at, frame.quotes)
        self._prints.add(frame.at, frame.prints)

    def rows(self, instrument: int, *, trades: bool) -> tuple[Times, NDArray[np.void]]:
        """The prints, or the quotes, of one instrument in the frames played so far, with their times."""
        return (self._prints if trades else self._quotes).of(instrument)

    def observed(self, instrument: int, what: str, step: int) -> Observed:
        """Everything known, for `what` of TRADES, MIDPOINT, BID or ASK and bars of `step` ns.

        The tape's history takes part if its spacing is not wider than `step`. Its closes are trades or
        middles; nobody knows their bids and asks.
        """
        played = self._played_quotes(instrument, what)
        if what == "TRADES":
            traded = self._played_prints(instrument)
            silent = ~np.isin(played.times, traded.times)
            quoted = Observed(played.times[silent], played.prices[silent], played.volumes[silent])
            played = _merge(traded, quoted)
        if what in {"BID", "ASK"} or self._tape.bar_ns > step:
            return played
        return _merge(self._before(instrument), played)

    def _before(self, instrument: int) -> Observed:
        closes = self._tape.history_closes[:, instrument]
        known = np.isfinite(closes)
        times = self._tape.history_times[known] - 1  # a close belongs to the interval it ended
        return Observed(times, closes[known], np.zeros(int(known.sum())))

    def _played_quotes(self, instrument: int, what: str) -> Observed:
        times, rows = self._quotes.of(instrument)
        price = {
            "BID": rows["bid"],
            "ASK": rows["ask"],
        }.get(what, np.round((rows["bid"] + rows["ask"]) / 2, 6))
        shown = (rows["bid"] > 0) & (rows["ask"] > 0)
        return Observed(times[shown], price[shown], np.zeros(int(shown.sum())))

    def _played_prints(self, instrument: int) -> Observed:
        times, rows = self._prints.of(instrument)
        return Observed(times, rows["price"].copy(), rows["size"].copy())


def intraday_bars(seen: Observed, start: int, end: int, step: int) -> list[Bar]:
    """Bars of `step` ns aligned to the epoch, from what was seen in `start <= t < end`."""
    inside = (seen.times >= start) & (seen.times < end)
    times = seen.times[inside]
    return _bars(times // step * step, seen.prices[inside], seen.volumes[inside])


def daily_bars(seen: Observed, start: int, end: int, sessions: Sessions) -> list[Bar]:
    """One bar a trading day from what was seen in `start <= t < end`.

    Days before the tape's first session are one bar for each recorded close. An interval with only a close
    has open, high and low equal to it.
    """
    inside = (seen.times >= start) & (seen.times < end)
    times = seen.times[inside]
    opens = np.array(sessions.opens, dtype=np.int64)
    session = np.searchsorted(opens, times, side="right") - 1
    starts = np.where(session >= 0, opens[np.maximum(session, 0)], _day_of(times))
    return _bars(starts, seen.prices[inside], seen.volumes[inside])


def grouped(bars: Sequence[Bar], keys: Sequence[int]) -> list[Bar]:
    """Weekly or monthly bars: daily ones with equal `keys` put together."""
    if not bars:
        return []
    result: list[Bar] = []
    last_key: int | None = None
    for bar, key in zip(bars, keys, strict=True):
        result[-1:] = [_joined(result[-1], bar)] if key == last_key else [*result[-1:], bar]
        last_key = key
    return result


def _joined(a: Bar, b: Bar) -> Bar:
    volume = a.volume + b.volume
    average = (
        (a.average * a.volume + b.average * b.volume) / volume if volume else (a.average + b.average) / 2
    )
    return Bar(
        a.start, a.open, max(a.high, b.high), min(a.low, b.low), b.close, volume, average, a.trades + b.trades
    )


def _day_of(times: Times) -> Times:
    """One interval for each UTC day: US sessions close before midnight UTC."""
    return times // NS_PER_DAY * NS_PER_DAY + NS_PER_DAY // 2


def _bars(starts: Times, prices: Prices, volumes: Prices) -> list[Bar]:
    if not len(starts):
        return []
    edges = np.flatnonzero(np.diff(starts, prepend=starts[0] - 1))
    volume = np.add.reduceat(volumes, edges)
    value = np.add.reduceat(volumes * prices, edges)
    counts = np.diff(np.append(edges, len(starts)))
    mean = np.add.reduceat(prices, edges) / counts
    average = np.where(volume > 0, value / np.where(volume > 0, volume, 1.0), mean)
    columns = (
        starts[edges],
        prices[edges],
        np.maximum.reduceat(prices, edges),
        np.minimum.reduceat(prices, edges),
        prices[np.append(edges[1:], len(starts)) - 1],
        volume,
        np.round(average, 6),
        counts,
    )
    return [Bar(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _merge(a: Observed, b: Observed) -> Observed:
    order = np.argsort(np.concatenate((a.times, b.times)), kind="stable")
    return Observed(
        np.concatenate((a.times, b.times))[order],
        np.concatenate((a.prices, b.prices))[order],
        np.concatenate((a.volumes, b.volumes))[order],
    )
