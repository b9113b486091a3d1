"""The limits that are figures: each compares a number of the book as it would be with what is allowed."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from firm.domain.summing import plain_sum
from firm.risk.book import Book
from firm.risk.would_be import WouldBe


class Figure(Protocol):
    """One limit. `name` is what a refusal is filed under."""

    name: ClassVar[str]

    def missing(self, book: Book) -> str | None:
        """Which input was never fed or is stale; None if the figure can be measured."""

    def objection(self, would: WouldBe) -> str | None:
        """Why the order may not pass, with the numbers; None if it may."""

    def level(self, would: WouldBe) -> float:
        """How much of what is limited there would be: an order that reduces its position may not raise it.

        0 for what a smaller position can only lower.
        """


class _Fed:
    """A figure that needs nothing but what every order needs."""

    def level(self, would: WouldBe) -> float:
        """See Figure."""
        del would
        return 0.0

    def missing(self, book: Book) -> str | None:
        """See Figure."""
        del book
        return None


@dataclass(frozen=True, slots=True)
class PositionWeight(_Fed):
    """One position is worth at most `limit` times equity: concentration."""

    name: ClassVar[str] = "position_weight"
    limit: float

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        value = abs(would.position) * would.book.unit_value(would.order.instrument)
        if value / would.equity <= self.limit:
            return None
        return (
            f"position weight: would hold {would.position:g} {would.instrument.symbol}, "
            f"{value / would.equity:.6f} of equity, limit is {self.limit}"
        )


@dataclass(frozen=True, slots=True)
class PositionVar(_Fed):
    """One position alone does not lose more than `limit` at the confidence, by the worst of three methods."""

    name: ClassVar[str] = "position_var"
    limit: float

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        if would.alone <= self.limit:
            return None
        return (
            f"position VaR: would hold {would.position:g} {would.instrument.symbol} with a VaR of "
            f"{would.alone:.2f}, limit is {self.limit:.2f}"
        )


@dataclass(frozen=True, slots=True)
class Leverage(_Fed):
    """Gross exposure over equity is at most `limit`, whichever of the approved orders fill."""

    name: ClassVar[str] = "leverage"
    limit: float

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        low, high = would.bounds
        gross = plain_sum(np.maximum(-low, high).tolist())
        if gross / would.equity <= self.limit:
            return None
        return (
            f"leverage: gross exposure would be {gross:.2f}, {gross / would.equity:.6f} times the equity of "
            f"{would.equity:.2f}, limit is {self.limit}"
        )


@dataclass(frozen=True, slots=True)
class NetLeverage(_Fed):
    """The sum of signed exposures over equity stays within `limit` either way, whatever fills."""

    name: ClassVar[str] = "net_leverage"
    limit: float

    def level(self, would: WouldBe) -> float:
        """See Figure."""
        return max(abs(plain_sum(bound.tolist())) for bound in would.bounds)

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        low, high = (plain_sum(bound.tolist()) for bound in would.bounds)
        net = high if high >= -low else low
        if abs(net) / would.equity <= self.limit:
            return None
        return (
            f"net leverage: net exposure could be {net:.2f}, {net / would.equity:.6f} times the equity of "
            f"{would.equity:.2f}, limit is {self.limit}"
        )


@dataclass(frozen=True, slots=True)
class FactorLoss(_Fed):
    """One standard deviation of any one statistical factor costs at most `limit` of equity, all filled."""

    name: ClassVar[str] = "factor"
    limit: float

    def level(self, would: WouldBe) -> float:
        """See Figure."""
        return max(self._moves(would))

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        moves = self._moves(would)
        worst = int(np.argmax(moves))
        if moves[worst] / would.equity <= self.limit:
            return None
        return (
            f"factor: one standard deviation of factor {worst + 1} moves the book by {moves[worst]:.2f}, "
            f"{moves[worst] / would.equity:.6f} of equity, limit is {self.limit}"
        )

    def _moves(self, would: WouldBe) -> list[float]:
        products = would.measures.history.loadings * would.factor_exposures[:, None]
        return [abs(plain_sum(products[:, k].tolist())) for k in range(products.shape[1])]


@dataclass(frozen=True, slots=True)
class PortfolioVar(_Fed):
    """The book does not lose more than `limit` at the confidence, by the worst of three methods."""

    name: ClassVar[str] = "portfolio_var"
    limit: float

    def level(self, would: WouldBe) -> float:
        """See Figure."""
        return max(would.simulated.var, would.historical.var, would.parametric.var)

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        for what in ("simulated", "historical", "parametric"):
            var = getattr(would, what).var
            if not var <= self.limit:
                return f"portfolio VaR: {what} VaR would be {var:.2f}, limit is {self.limit:.2f}"
        return None


@dataclass(frozen=True, slots=True)
class PortfolioEs(_Fed):
    """The mean loss beyond the confidence of ES is at most `limit`, by the worst of three methods."""

    name: ClassVar[str] = "portfolio_es"
    limit: float

    def level(self, would: WouldBe) -> float:
        """See Figure."""
        return max(would.simulated.es, would.historical.es, would.parametric.es)

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        for what in ("simulated", "historical", "parametric"):
            es = getattr(would, what).es
            if not es <= self.limit:
                return f"portfolio ES: {what} ES would be {es:.2f}, limit is {self.limit:.2f}"
        return None


@dataclass(frozen=True, slots=True)
class Sensitivity(_Fed):
    """One Greek of the whole book stays within `limit` either way, all filled."""

    name: ClassVar[str] = "greeks"
    greek: str
    limit: float

    def level(self, would: WouldBe) -> float:
        """See Figure."""
        return abs(plain_sum((would.quantities * getattr(would.measures, f"{self.greek}s")).tolist()))

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        unit = getattr(would.measures, f"{self.greek}s")
        total = plain_sum((would.quantities * unit).tolist())
        if abs(total) <= self.limit:
            return None
        return f"greeks: {self.greek} would be {total:.2f}, limit is {self.limit:.2f}"
