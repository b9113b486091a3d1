"""The limits that need more than the book and its measures: sectors, scenarios, volumes, the broker's margin.

Each says by `missing` what it was never fed, or what is too old; until it has that, nothing new passes.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from firm import config
from firm.risk.book import Book
from firm.risk.figures import Plain, furthest
from firm.risk.margin import MarginEstimate
from firm.risk.margin_view import MarginView
from firm.risk.stress_tester import PositionNotMapped
from firm.risk.would_be import WouldBe

NS_PER_MS = 1_000_000
NOTHING = MarginEstimate(0.0, (), ())


class SectorWeight(Plain):
    """The net exposure of one sector over equity stays within `limit` either way, whatever fills."""

    name: ClassVar[str] = "sector"

    def __init__(self, limit: float, sectors: dict[str, str]) -> None:
        """`sectors` by symbol; an option counts to the sector of its underlying."""
        self._limit, self._sectors = limit, sectors

    def missing(self, book: Book) -> str | None:
        """See Figure."""
        unknown = [i.symbol for n, i in enumerate(book.instruments) if self._sector(book, n) is None]
        if not unknown:
            return None
        return f"sector: universe.reference has no sector of {', '.join(unknown)}"

    def level(self, would: WouldBe) -> float:
        """See Figure."""
        return abs(self._net(would))

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        book = would.book
        sector = self._sector(book, would.order.instrument)
        if sector is None:
            return f"sector: universe.reference has no sector of {would.instrument.symbol}"
        net = self._net(would)
        if abs(net) / would.equity <= self._limit:
            return None
        return (
            f"sector: {sector} could be {net:.2f}, {net / would.equity:.6f} times the equity of "
            f"{would.equity:.2f}, limit is {self._limit}"
        )

    def _net(self, would: WouldBe) -> float:
        """Of the sector of what is ordered: the exposure that may be furthest from 0."""
        book = would.book
        sector = self._sector(book, would.order.instrument)
        held = [i for i in range(len(book.instruments)) if self._sector(book, i) == sector]
        low, high = would.bounds
        return furthest((low[held], high[held]))

    def _sector(self, book: Book, index: int) -> str | None:
        instrument = book.instruments[index]
        if instrument.underlying >= 0:
            instrument = book.instruments[instrument.underlying]
        return self._sectors.get(instrument.symbol)


@dataclass(frozen=True, slots=True)
class StressLoss(Plain):
    """The worst named scenario costs at most `limit` of equity, filled."""

    name: ClassVar[str] = "stress"
    whatever_fills: ClassVar[bool] = False
    limit: float

    def missing(self, book: Book) -> str | None:
        """See Figure."""
        if book.measures is None or book.measures.unmapped is None:
            return None
        return f"stress: {book.measures.unmapped}"

    def level(self, would: WouldBe) -> float:
        """See Figure: of what is mapped, since what is not can only become less."""
        known = np.nan_to_num(would.measures.unit_stress)
        return float(would.measures.stress.book_losses(known, would.quantities).max())

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        try:
            would.measures.stress.require_mapped(would.quantities != 0)
        except PositionNotMapped as unmapped:
            return f"stress: {unmapped}"
        name, loss = would.losses.stress
        if loss / would.equity <= self.limit:
            return None
        return (
            f"stress: scenario {name!r} would cost {loss:.2f}, {loss / would.equity:.6f} of equity, limit is "
            f"{self.limit}"
        )


class DaysToLiquidate(Plain):
    """A position can be sold within `max_days_to_liquidate` at the share of volume we allow ourselves."""

    name: ClassVar[str] = "liquidity"

    def __init__(self, settings: config.Liquidity, volumes: dict[str, float]) -> None:
        """`volumes`: average daily volume by symbol, units."""
        self._settings, self._volumes = settings, volumes

    def missing(self, book: Book) -> str | None:
        """See Figure."""
        unknown = [i.symbol for i in book.instruments if i.symbol not in self._volumes]
        return f"liquidity: universe.reference has no volume of {', '.join(unknown)}" if unknown else None

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        symbol = would.instrument.symbol
        if symbol not in self._volumes:
            return f"liquidity: universe.reference has no volume of {symbol}"
        share = self._settings.participation * self._volumes[symbol]
        days = abs(would.position) / share
        if days <= self._settings.max_days_to_liquidate:
            return None
        return (
            f"liquidity: would hold {would.position:g} {symbol}, {days:.2f} days to sell at "
            f"{share:g} a day, limit is {self._settings.max_days_to_liquidate}"
        )


class MarginHeadroom(Plain):
    """After the order the excess liquidity over equity is at least `min_headroom`.

    The broker's own figures, less our estimate of what everything approved and this order tie up beyond what
    is held; see `firm.risk.margin_view`.
    """

    name: ClassVar[str] = "margin"
    whatever_fills: ClassVar[bool] = False

    def __init__(self, settings: config.Margin) -> None:
        self._limit, self._age_max_ns = settings.min_headroom, settings.max_age_ms * NS_PER_MS

    def missing(self, book: Book) -> str | None:
        """See Figure."""
        view = MarginView(book.account, NOTHING, book.marked_at, self._age_max_ns)
        headroom = view.headroom()
        return headroom if isinstance(headroom, str) else None

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        book, scan = would.book, would.measures.margin
        held = scan.estimate(book.positions_at_account())
        view = MarginView(book.account, held, book.marked_at, self._age_max_ns)
        after = view.headroom_after(scan.estimate(would.quantities), None)
        if isinstance(after, str):
            return after
        if after.value >= self._limit:
            return None
        return (
            f"margin: headroom would be {after.value:.6f} of equity by {after.source}, at least "
            f"{self._limit} is needed"
        )
