"""The newest quote of each instrument and the prints since the last look, conflated from ticks. Pure.

A quote that makes no sense (one side missing, crossed, not a number) is kept back and counted; the instrument
comes with the next batch in which it makes sense. Delayed data are no quotes at all: dropped and counted.
"""

import logging
from collections import Counter, deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from firm.domain.instrument import Instrument
from firm.events import Event
from firm.events.market import PRINT, QUOTE, market_data, ticks

LOG = logging.getLogger("firm.broker")
BID_SIZE, BID, ASK, ASK_SIZE = 0, 1, 2, 3
RT_VOLUME = 48
LIVE, DELAYED_TYPE = 1, 3
PRINTS_MAX = 100_000
"""Prints kept between two looks (some minutes of a busy day); then the oldest go, and are counted."""

SIDES = np.dtype([("bid", "<f8"), ("ask", "<f8"), ("bid_size", "<f8"), ("ask_size", "<f8")])
DELAYED = frozenset({66, 67, 69, 70})


class QuoteBoard:
    """Written by ticks as they are decoded, read once a page."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._symbols = [i.symbol for i in instruments]
        self._row_of: dict[int, int] = {}
        self._prints: deque[tuple[int, float, float]] = deque(maxlen=PRINTS_MAX)
        self._changed: set[int] = set()
        self._live: set[int] = set()
        self._types: dict[int, int] = {}
        self._refusals: dict[int, str] = {}
        self.kept_back = self.dropped = 0
        self.delayed: Counter[int] = Counter()
        self._quotes = np.full(len(instruments), np.nan, dtype=SIDES)

    @property
    def has_news(self) -> bool:
        """Whether anything has changed since the last `take`."""
        return bool(self._changed or self._prints)

    def subscribed(self, request: int, instrument: int) -> None:
        """Ticks of this request are about that instrument; the quote starts anew."""
        self._row_of[request] = instrument
        self._types[instrument] = LIVE
        self._quotes[instrument] = (np.nan,) * 4

    def unsubscribe_all(self) -> list[int]:
        """Ticks of older requests are ignored from now on; returns those requests."""
        requests = list(self._row_of)
        self._row_of.clear()
        return requests

    def data_type(self, request: int, kind: int) -> None:
        """What the gateway says of this request's data: 1 live, 2 frozen, 3 delayed, 4 delayed and frozen."""
        row = self._row_of.get(request)
        if row is None or self._types[row] == kind:
            return
        self._types[row] = kind
        if kind != LIVE:
            self._quotes[row] = (np.nan,) * 4
            LOG.warning("market data of %s are of type %s (1 is live)", self._symbols[row], kind)

    def signs(self) -> tuple[set[int], dict[int, int], dict[int, str]]:
        """Since the last call: who had live ticks, who has data of another type, who was refused and why."""
        live, self._live = self._live, set()
        refused, self._refusals = self._refusals, {}
        return live, {row: kind for row, kind in self._types.items() if kind != LIVE}, refused

    def price(self, request: int, kind: int, price: float, size: float) -> None:
        """A price tick with its size; size 0 or a negative price: that side is empty."""
        row = self._row_of.get(request)
        if row is None or kind not in {BID, ASK} or self._types[row] != LIVE:
            self._note_delayed(row, kind)
            return
        self._live.add(row)
        side = ("bid", "bid_size") if kind == BID else ("ask", "ask_size")
        shown = price > 0 and size > 0
        self._quotes[side[0]][row] = price if shown else np.nan
        self._quotes[side[1]][row] = size if shown else np.nan
        self._changed.add(row)

    def size(self, request: int, kind: int, size: float) -> None:
        """A size tick of a side whose price stays."""
        row = self._row_of.get(request)
        if row is None or kind not in {BID_SIZE, ASK_SIZE} or self._types[row] != LIVE:
            self._note_delayed(row, kind)
            return
        self._live.add(row)
        field = "bid_size" if kind == BID_SIZE else "ask_size"
        shown = size if size > 0 else np.nan
        if self._quotes[field][row] != shown:
            self._quotes[field][row] = shown
            self._changed.add(row)

    def refused(self, request: int, reason: str) -> None:
        """No (more) data for this request: the instrument has no quote until it is subscribed again."""
        row = self._row_of.get(request)
        if row is not None:
            self._quotes[row] = (np.nan,) * 4
            self._refusals[row] = reason
            LOG.warning("no market data for %s: %s", self._symbols[row], reason)

    def text(self, request: int, kind: int, value: str) -> None:
        """RTVolume, a trade of somebody: `price;size;ms;volume;vwap;single`. No price: no trade."""
        row = self._row_of.get(request)
        if row is not None and kind == RT_VOLUME and self._types[row] == LIVE:
            price, size, *_ = value.split(";")
            if price and float(size) > 0:
                self.dropped += len(self._prints) == self._prints.maxlen
                self._prints.append((row, float(price), float(size)))

    def take(self) -> list[Event]:
        """A `MarketData` of the instruments that changed and a `Ticks` of the prints, where there are any."""
        events: list[Event] = []
        quotes = self._usable()
        if len(quotes):
            events.append(market_data(quotes))
        prints = np.array(list(self._prints), dtype=PRINT)
        self._prints.clear()
        odd = ~((prints["price"] > 0) & np.isfinite(prints["price"]) & np.isfinite(prints["size"]))
        if odd.any():
            self._kept_back(prints[odd])
        if not odd.all():
            events.append(ticks(prints[~odd]))
        return events

    def _usable(self) -> NDArray[np.void]:
        rows = np.array(sorted(self._changed), dtype=np.int64)
        self._changed.clear()
        quotes = np.empty(len(rows), dtype=QUOTE)
        quotes["instrument"] = rows
        for name in ("bid", "ask", "bid_size", "ask_size"):
            quotes[name] = self._quotes[name][rows]
        bid, ask = quotes["bid"], quotes["ask"]
        finite = np.isfinite(bid) & np.isfinite(ask) & np.isfinite(quotes["bid_size"] + quotes["ask_size"])
        good = finite & (bid <= ask)
        two_sided_and_bad = finite & ~good
        if two_sided_and_bad.any():
            self._kept_back(quotes[two_sided_and_bad])
        usable: NDArray[np.void] = quotes[good]
        return usable

    def _note_delayed(self, row: int | None, kind: int) -> None:
        if row is None or (kind not in DELAYED and self._types[row] == LIVE):
            return
        if kind in DELAYED:
            self._types[row] = DELAYED_TYPE
        if row not in self.delayed:
            LOG.warning("delayed market data for %s are dropped: they are no quotes", self._symbols[row])
        self.delayed[row] += 1

    def _kept_back(self, rows: NDArray[np.void]) -> None:
        self.kept_back += len(rows)
        for row in rows:
            LOG.warning("kept back as senseless: %s %s", self._symbols[int(row["instrument"])], row)
