"""The limits that are figures: each compares a number of the book as it would be with what is allowed."""

from dataclasses import dataclass
from typing import ClassVar, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from firm.domain.summing import plain_sum
from firm.risk.book import Book
from firm.risk.measure import VarEs
from firm.risk.would_be import WouldBe

Vector = NDArray[np.float64]
METHODS: Final = ("simulated", "historical", "parametric")


class Figure(Protocol):
    """One limit. `name` is what a refusal is filed under.

    `whatever_fills`: it looks at the worst of what may fill, so that it has the same answer for the book with
    all approved orders and for the book with none.
    """

    name: ClassVar[str]
    whatever_fills: ClassVar[bool]

    def missing(self, book: Book) -> str | None:
        """Which input was never fed or is stale; None if the figure can be measured."""

    def objection(self, would: WouldBe) -> str | None:
        """Why the order may not pass, with the numbers; None if it may."""

    def level(self, would: WouldBe) -> float:
        """How much of what is limited there would be: an order that reduces its position may not raise it.

        0 for what a smaller position can only lower.
        """


class Plain:
    """A figure that needs only what every order needs, and that a smaller position can only lower."""

    whatever_fills: ClassVar[bool] = True

    def level(self, would: WouldBe) -> float:
        """See Figure."""
        del would
        return 0.0

    def missing(self, book: Book) -> str | None:
        """See Figure."""
        del book
        return None


@dataclass(frozen=True, slots=True)
class PositionWeight(Plain):
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
class PositionVar(Plain):
    """One position alone does not lose more than `limit` at the confidence, by the worst of three methods."""

    name: ClassVar[str] = "position_var"
    limit: float

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        if would.losses.alone <= self.limit:
            return None
        return (
            f"position VaR: would hold {would.position:g} {would.instrument.symbol} with a VaR of "
            f"{would.losses.alone:.2f}, limit is {self.limit:.2f}"
        )


@dataclass(frozen=True, slots=True)
class Leverage(Plain):
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
class NetLeverage(Plain):
    """The sum of signed exposures over equity stays within `limit` either way, whatever fills."""

    name: ClassVar[str] = "net_leverage"
    limit: float

    def level(self, would: WouldBe) -> float:
        """See Figure."""
        return abs(furthest(would.bounds))

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        net = furthest(would.bounds)
        if abs(net) / would.equity <= self.limit:
            return None
        return (
            f"net leverage: net exposure could be {net:.2f}, {net / would.equity:.6f} times the equity of "
            f"{would.equity:.2f}, limit is {self.limit}"
        )


def furthest(bounds: tuple[Vector, Vector]) -> float:
    """The sum that is further from 0: of the least values or of the greatest, with its sign."""
    low, high = (plain_sum(bound.tolist()) for bound in bounds)
    return high if high >= -low else low


@dataclass(frozen=True, slots=True)
class FactorLoss(Plain):
    """One standard deviation of any one statistical factor costs at most `limit` of equity, filled."""

    name: ClassVar[str] = "factor"
    whatever_fills: ClassVar[bool] = False
    limit: float

    def level(self, would: WouldBe) -> float:
        """See Figure."""
        return float(self._moves(would).max())

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

    def _moves(self, would: WouldBe) -> Vector:
        products = would.measures.history.loadings * would.factor_exposures[:, None]
        return np.asarray(np.abs(np.add.reduce(products, axis=0)))


class _PortfolioLoss(Plain):
    """What the book loses by one measure is at most `limit`, by the worst of three methods, filled.

    Most orders are far from the limit: a bound says so, and only where it does not the order is measured.
    """

    whatever_fills: ClassVar[bool] = False
    measure: ClassVar[Literal["VaR", "ES"]]
    limit: float

    def level(self, would: WouldBe) -> float:
        """See Figure."""
        return max(self._loss(getattr(would.losses, method)) for method in METHODS)

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        for method in METHODS:
            if self._loss(getattr(would.losses, f"{method}_at_most")) <= self.limit:
                continue
            loss, what = self._loss(getattr(would.losses, method)), self.measure
            if not loss <= self.limit:
                return f"portfolio {what}: {method} {what} would be {loss:.2f}, limit is {self.limit:.2f}"
        return None

    def _loss(self, figures: VarEs) -> float:
        return figures.var if self.measure == "VaR" else figures.es


@dataclass(frozen=True, slots=True)
class PortfolioVar(_PortfolioLoss):
    """Value-at-Risk at its confidence."""

    name: ClassVar[str] = "portfolio_var"
    measure: ClassVar[Literal["VaR", "ES"]] = "VaR"
    limit: float


@dataclass(frozen=True, slots=True)
class PortfolioEs(_PortfolioLoss):
    """Expected shortfall, the mean loss beyond its confidence."""

    name: ClassVar[str] = "portfolio_es"
    measure: ClassVar[Literal["VaR", "ES"]] = "ES"
    limit: float


@dataclass(frozen=True, slots=True)
class Sensitivity(Plain):
    """One Greek of the whole book stays within `limit` either way, filled."""

    name: ClassVar[str] = "greeks"
    whatever_fills: ClassVar[bool] = False
    greek: str
    limit: float

    def level(self, would: WouldBe) -> float:
        """See Figure."""
        return abs(self._total(would))

    def objection(self, would: WouldBe) -> str | None:
        """See Figure."""
        total = self._total(would)
        if abs(total) <= self.limit:
            return None
        return f"greeks: {self.greek} would be {total:.2f}, limit is {self.limit:.2f}"

    def _total(self, would: WouldBe) -> float:
        return plain_sum((would.quantities * getattr(would.measures, f"{self.greek}s")).tolist())
