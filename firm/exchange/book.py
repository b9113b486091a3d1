"""What the market shows: the last quote of each instrument, and how much of it customers have used up."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.domain.position import ZERO

Quotes = NDArray[np.void]


class DisplayedBook:
    """Bid and ask of each instrument with their remaining displayed sizes; marks for valuation.

    A new quote replenishes both sides of its instrument, nothing else does. `close` takes every quote away
    (a session's quotes do not survive it) but keeps the marks: the last mid, or the last print.
    """

    def __init__(self, instruments: Sequence[Instrument], marks: Sequence[float]) -> None:
        assert len(marks) == len(instruments), "one mark an instrument, NaN where none is known"
        self._instruments = instruments
        self._quotes = np.zeros((len(instruments), 4), dtype=np.float64)  # bid, ask, bid size, ask size
        self._consumed: dict[tuple[int, Side], Decimal] = {}
        self._marks = np.array(marks, dtype=np.float64)

    def show(self, quotes: Quotes) -> None:
        """Replace the quotes named in `quotes` (dtype QUOTE); the last of a repeated instrument stands."""
        index = quotes["instrument"]
        for column, field in enumerate(("bid", "ask", "bid_size", "ask_size")):
            self._quotes[index, column] = quotes[field]
        two_sided = (quotes["bid"] > 0) & (quotes["ask"] > 0)
        self._marks[index[two_sided]] = ((quotes["bid"] + quotes["ask"]) / 2)[two_sided]
        if self._consumed:
            for i in index.tolist():
                self._consumed.pop((i, Side.BUY), None)
                self._consumed.pop((i, Side.SELL), None)

    def printed(self, instrument: int, price: float) -> None:
        """A public trade: the mark of an instrument nobody quotes."""
        if not self._quotes[instrument, 2:].any():
            self._marks[instrument] = price

    def close(self) -> None:
        """The session is over: nothing is displayed any more."""
        self._quotes[:, :] = 0.0
        self._consumed.clear()

    def touch(self, instrument: int, side: Side) -> Decimal | None:
        """The price an order of `side` would take (buyers the ask); None when nothing is shown there."""
        column = 1 if side is Side.BUY else 0
        price, size = self._quotes[instrument, column], self._quotes[instrument, column + 2]
        if not (price > 0 and size > 0):
            return None
        return self._instruments[instrument].round_price(float(price))

    def available(self, instrument: int, side: Side) -> Decimal:
        """Displayed size an order of `side` can still take, on the lot grid."""
        size = float(self._quotes[instrument, 3 if side is Side.BUY else 2])
        shown = self._instruments[instrument].round_quantity(size)
        return shown - self._consumed.get((instrument, side), ZERO)

    def take(self, instrument: int, side: Side, quantity: Decimal) -> None:
        """Use up displayed size; more than is left is a bug."""
        assert 0 < quantity <= self.available(instrument, side), "displayed size over-consumed"
        self._consumed[instrument, side] = self._consumed.get((instrument, side), ZERO) + quantity

    def mark(self, instrument: int) -> Decimal | None:
        """The value of one unit; None when no price was ever known."""
        mark = float(self._marks[instrument])
        return Decimal(repr(mark)) if mark > 0 else None

    def state(
        self,
    ) -> tuple[list[float], list[tuple[float, float, float, float]], list[tuple[Decimal, Decimal]]]:
        """Marks, quotes and used-up sizes (taken by buyers, by sellers), by instrument."""
        consumed = [
            (self._consumed.get((i, Side.BUY), ZERO), self._consumed.get((i, Side.SELL), ZERO))
            for i in range(len(self._instruments))
        ]
        quotes = [(float(b), float(a), float(bs), float(as_)) for b, a, bs, as_ in self._quotes]
        return self._marks.tolist(), quotes, consumed

    def restore(
        self,
        marks: Sequence[float],
        quotes: Sequence[tuple[float, float, float, float]],
        consumed: Sequence[tuple[Decimal, Decimal]],
    ) -> None:
        """Take over what `state` gave."""
        self._marks = np.array(marks, dtype=np.float64)
        self._quotes = np.array(quotes, dtype=np.float64).reshape(-1, 4)
        self._consumed = {
            (i, side): used
            for i, pair in enumerate(consumed)
            for side, used in zip((Side.BUY, Side.SELL), pair, strict=True)
            if used
        }
