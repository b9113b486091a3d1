"""What the market shows: the last quote of each instrument, and how much of it customers have used up."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.tape.tape import QUOTE

Quotes: TypeAlias = NDArray[np.void]
Shown: TypeAlias = tuple[float, float, float, float]
MARK_PLACES = 8  # a middle of two decimal prices, without the noise of binary halves
FIELDS = ("bid", "ask", "bid_size", "ask_size")


class DisplayedBook:
    """Bid and ask of each instrument with their remaining displayed sizes; marks for valuation.

    A new quote replenishes both sides of its instrument, nothing else does. `close` takes every quote away
    (a session's quotes do not survive it). The mark of an instrument is the middle of its quote; without a
    two-sided quote the last such middle, or a later print. `volumes` and `closes` are what was printed in
    this session, and the marks at the end of the last one.
    """

    def __init__(self, instruments: Sequence[Instrument], marks: Sequence[float]) -> None:
        assert len(marks) == len(instruments), "one mark an instrument, NaN where none is known"
        self._instruments = instruments
        self._quotes = np.zeros(len(instruments), dtype=QUOTE)
        self._consumed: dict[tuple[int, Side], Decimal] = {}
        self._marks = np.array(marks, dtype=np.float64)
        self.closes = self._marks.tolist()
        self.volumes = [0.0] * len(instruments)

    def show(self, quotes: Quotes) -> None:
        """Replace the quotes named in `quotes` (dtype QUOTE); the last of a repeated instrument stands."""
        index = quotes["instrument"]
        if not ((quotes["bid"] > 0) & (quotes["ask"] > 0)).all():
            self._keep_middles(index)
        self._quotes[index] = quotes
        if self._consumed:
            for i in index.tolist():
                self._consumed.pop((i, Side.BUY), None)
                self._consumed.pop((i, Side.SELL), None)

    def printed(self, instrument: int, price: float, size: float) -> None:
        """A public trade: the mark of an instrument nobody quotes on both sides."""
        self._marks[instrument] = price
        self.volumes[instrument] += size

    def close(self) -> None:
        """The session is over: nothing is displayed any more."""
        self._keep_middles(slice(None))
        for field in FIELDS:
            self._quotes[field] = 0.0
        self._consumed.clear()
        self.closes = self._marks.tolist()
        self.volumes = [0.0] * len(self._instruments)

    def touch(self, instrument: int, side: Side) -> Decimal | None:
        """The price an order of `side` would take (buyers the ask); None when nothing is shown there."""
        _, bid, ask, bid_size, ask_size = self._quotes[instrument].item()
        price, size = (ask, ask_size) if side is Side.BUY else (bid, bid_size)
        if not (price > 0 and size > 0):
            return None
        return self._instruments[instrument].round_price(price)

    def shown(self, instrument: int, side: Side) -> Decimal:
        """Displayed size of the price an order of `side` would take, on the lot grid, used up or not."""
        size = self._quotes[instrument]["ask_size" if side is Side.BUY else "bid_size"]
        return self._instruments[instrument].round_quantity(float(size))

    def available(self, instrument: int, side: Side) -> Decimal:
        """Displayed size an order of `side` can still take, on the lot grid."""
        return self.shown(instrument, side) - self._consumed.get((instrument, side), ZERO)

    def take(self, instrument: int, side: Side, quantity: Decimal) -> None:
        """Use up displayed size; more than is left is a bug."""
        assert 0 < quantity <= self.available(instrument, side), "displayed size over-consumed"
        self._consumed[instrument, side] = self._consumed.get((instrument, side), ZERO) + quantity

    def mark(self, instrument: int) -> Decimal | None:
        """The value of one unit; None when no price was ever known."""
        _, bid, ask, _, _ = self._quotes[instrument].item()
        mark = (bid + ask) / 2 if bid > 0 and ask > 0 else float(self._marks[instrument])
        return Decimal(repr(round(mark, MARK_PLACES))) if mark > 0 else None

    def rescale(self, instrument: int, factor: float) -> None:
        """Prices are `factor` times what they were (a split); the quote is gone until the next one."""
        self._keep_middles(slice(instrument, instrument + 1))
        self._marks[instrument] *= factor
        self.closes[instrument] *= factor
        for field in FIELDS:
            self._quotes[instrument][field] = 0.0

    def state(self) -> tuple[list[float], list[Shown], list[tuple[Decimal, Decimal]]]:
        """Marks, quotes and used-up sizes (taken by buyers, by sellers), by instrument."""
        consumed = [
            (self._consumed.get((i, Side.BUY), ZERO), self._consumed.get((i, Side.SELL), ZERO))
            for i in range(len(self._instruments))
        ]
        columns = (self._quotes[field].tolist() for field in FIELDS)
        quotes = [(b, a, bs, as_) for b, a, bs, as_ in zip(*columns, strict=True)]
        return self._marks.tolist(), quotes, consumed

    def restore(
        self,
        marks: Sequence[float],
        quotes: Sequence[Shown],
        consumed: Sequence[tuple[Decimal, Decimal]],
    ) -> None:
        """Take over what `state` gave."""
        self._marks = np.array(marks, dtype=np.float64)
        self._quotes = np.array([(i, *shown) for i, shown in enumerate(quotes)], dtype=QUOTE)
        self._consumed = {
            (i, side): used
            for i, pair in enumerate(consumed)
            for side, used in zip((Side.BUY, Side.SELL), pair, strict=True)
            if used
        }

    def _keep_middles(self, index: NDArray[np.int32] | slice) -> None:
        """Remember the middles of two-sided quotes that are about to go."""
        going = self._quotes[index]
        bid, ask = going["bid"], going["ask"]
        self._marks[index] = np.where((bid > 0) & (ask > 0), (bid + ask) / 2, self._marks[index])
