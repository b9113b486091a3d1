"""What the market shows: the last quote of each instrument, and how much of it customers have used up."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.exchange.venues import Offer, Venue, resting_place, routed
from firm.tape.tape import QUOTE

Quotes: TypeAlias = NDArray[np.void]
Shown: TypeAlias = tuple[float, float, float, float]
Taken: TypeAlias = tuple[int, Side, str]  # the column whose next quote brings it back, who took it, where
MARK_PLACES = 8  # a middle of two decimal prices, without the noise of binary halves
FIELDS = ("bid", "ask", "bid_size", "ask_size")


class DisplayedBook:
    """Bid and ask of each instrument with their remaining displayed sizes; marks for valuation.

    A new quote replenishes both sides of its instrument, nothing else does. `close` takes every quote away
    (a session's quotes do not survive it). The mark of an instrument is the middle of its quote; without a
    two-sided quote the last such middle, or a later print. `volumes` and `closes` are what was printed in
    this session, and the marks at the end of the last one. Nothing trades in `halted` instruments. `venues`
    are where an instrument trades, if that is said; used-up size is then of a venue.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        marks: Sequence[float],
        venues: Mapping[int, tuple[Venue, ...]] | None = None,
    ) -> None:
        assert len(marks) == len(instruments), "one mark an instrument, NaN where none is known"
        self._instruments = instruments
        self.venues = dict(venues or {})
        self.halted: set[int] = set()
        self._quotes = np.zeros(len(instruments), dtype=QUOTE)
        self._consumed: dict[Taken, Decimal] = {}
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
            quoted = set(index.tolist())
            self._consumed = {key: used for key, used in self._consumed.items() if key[0] not in quoted}

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
        """Displayed size an order of `side` can still take, at all venues together, on the lot grid."""
        if instrument in self.venues:
            return sum((offer.size for offer in self._at_venues(instrument, side)), start=ZERO)
        return self.shown(instrument, side) - self._consumed.get((instrument, side, ""), ZERO)

    def offers(self, instrument: int, side: Side, route: str) -> list[Offer]:
        """Where an order of `side` sent to `route` (empty: SMART) takes the touch, in that order."""
        venues = self.venues.get(instrument)
        if venues is None:
            return [Offer("", instrument, self.available(instrument, side))]
        return routed(venues, self._at_venues(instrument, side), route)

    def resting_place(self, instrument: int, route: str) -> str:
        """The venue where an order sent to `route` rests; empty where none are told apart."""
        venues = self.venues.get(instrument)
        return "" if venues is None else resting_place(venues, route)

    def venue_fee(self, instrument: int, name: str, *, removed_liquidity: bool) -> Decimal:
        """What one unit costs at the venue beside the commission."""
        for venue in self.venues.get(instrument, ()):
            if venue.name == name:
                return venue.fee(removed_liquidity=removed_liquidity)
        return ZERO

    def at_venue(self, instrument: int, side: Side, name: str) -> tuple[Decimal | None, Decimal]:
        """Price and size an order of `side` sees at one venue, used up or not."""
        venues = self.venues[instrument]
        venue = next(v for v in venues if v.name == name)
        if venue.feed >= 0:
            return self.touch(venue.feed, side), self.shown(venue.feed, side)
        shown, lots = self.shown(instrument, side), self._instruments[instrument]
        size = lots.round_quantity(shown * venue.share)
        if venue is venues[0]:
            size = shown - sum((lots.round_quantity(shown * v.share) for v in venues[1:]), start=ZERO)
        return (self.touch(instrument, side) if size > 0 else None), size

    def _at_venues(self, instrument: int, side: Side) -> list[Offer]:
        best = self.touch(instrument, side)
        offers = []
        for venue in self.venues[instrument]:
            price, size = self.at_venue(instrument, side, venue.name)
            if price is not None and price == best:
                column = venue.feed if venue.feed >= 0 else instrument
                used = self._consumed.get((column, side, venue.name), ZERO)
                offers.append(Offer(venue.name, column, size - used))
        return offers

    def take(self, offer: Offer, side: Side, quantity: Decimal) -> None:
        """Use up displayed size; more than is left is a bug."""
        assert 0 < quantity <= offer.size, "displayed size over-consumed"
        key = (offer.column, side, offer.venue)
        self._consumed[key] = self._consumed.get(key, ZERO) + quantity

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """What is taken within is there again at the end."""
        before = dict(self._consumed)
        try:
            yield
        finally:
            self._consumed = before

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

    def state(self) -> tuple[list[float], list[Shown], list[tuple[int, Side, str, Decimal]]]:
        """Marks and quotes by instrument, and what is used up of them."""
        consumed = [(*key, used) for key, used in self._consumed.items()]
        columns = (self._quotes[field].tolist() for field in FIELDS)
        quotes = [(b, a, bs, as_) for b, a, bs, as_ in zip(*columns, strict=True)]
        return self._marks.tolist(), quotes, consumed

    def restore(
        self,
        marks: Sequence[float],
        quotes: Sequence[Shown],
        consumed: Sequence[tuple[int, Side, str, Decimal]],
    ) -> None:
        """Take over what `state` gave."""
        self._marks = np.array(marks, dtype=np.float64)
        self._quotes = np.array([(i, *shown) for i, shown in enumerate(quotes)], dtype=QUOTE)
        self._consumed = {(column, side, venue): used for column, side, venue, used in consumed}

    def _keep_middles(self, index: NDArray[np.int32] | slice) -> None:
        """Remember the middles of two-sided quotes that are about to go."""
        going = self._quotes[index]
        bid, ask = going["bid"], going["ask"]
        self._marks[index] = np.where((bid > 0) & (ask > 0), (bid + ask) / 2, self._marks[index])
