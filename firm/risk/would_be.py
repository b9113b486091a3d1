"""The book as it would be with one more order: everything a limit may ask, worked out when it is asked.

"Filled" is the book with this order and, as asked, every approved one or none of them. Position and bounds of
exposures are the worst over what may fill, whatever is asked.
"""

from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from firm.domain.instrument import Instrument
from firm.events.orders import Proposed
from firm.risk.book import Book
from firm.risk.measures import Measures, MovingBook
from firm.risk.var_calculator import VarEs, normal_var

Vector = NDArray[np.float64]


class WouldBe:
    """Asked only where mark, measures and simulated scenarios are there. Money is account currency."""

    def __init__(
        self,
        book: Book,
        order: Proposed,
        confidence: float,
        es_confidence: float,
        bars: int,
        *,
        approved_fill: bool = True,
    ) -> None:
        """`bars`: the horizon of the VaR figures. Without `approved_fill` the order comes alone."""
        self.book, self.order, self.approved_fill = book, order, approved_fill
        self.levels, self.bars = (confidence, es_confidence), bars

    @property
    def equity(self) -> float:
        """At the mark."""
        return self.book.equity()

    @property
    def instrument(self) -> Instrument:
        """What is ordered."""
        return self.book.instruments[self.order.instrument]

    @property
    def measures(self) -> Measures:
        """What this decision measures with."""
        assert self.book.measures is not None, "a limit asked for measures that are not there"
        return self.book.measures

    @cached_property
    def expected(self) -> Vector:
        """Signed units float64[n] with what fills of the approved orders, without this one."""
        return self.book.expected() if self.approved_fill else self.held

    @cached_property
    def trade(self) -> float:
        """The order in signed units."""
        return self.order.side.sign * float(self.order.quantity)

    @cached_property
    def quantities(self) -> Vector:
        """Signed units float64[n], filled."""
        quantities = self.expected.copy()
        quantities[self.order.instrument] += self.trade
        return quantities

    @cached_property
    def exposures(self) -> Vector:
        """Dollar deltas float64[n], for all but options the signed market value; filled."""
        return self.quantities * self.measures.deltas

    @cached_property
    def bounds(self) -> tuple[Vector, Vector]:
        """The least and the greatest exposure float64[n] of each instrument, whatever fills."""
        low, high = (units * self.measures.deltas for units in self.book.extremes(self.order))
        return np.minimum(low, high), np.maximum(low, high)

    @cached_property
    def position(self) -> float:
        """Signed units of the ordered instrument if its side fills and the other does not."""
        return float(self.book.worst_quantity(self.order))

    @cached_property
    def factor_exposures(self) -> Vector:
        """Exposures float64[n] added up on the instrument that drives them (an option's underlying)."""
        totals = np.zeros(len(self.exposures))
        np.add.at(totals, self.measures.contracts["factor"], self.exposures)
        return totals

    @cached_property
    def held(self) -> Vector:
        """Signed units float64[n] held now."""
        return self.book.positions()

    @cached_property
    def losses(self) -> "Losses":
        """What it could lose."""
        return Losses(self)


class Losses:
    """What the book as it would be could lose, by each method; filled."""

    def __init__(self, would: WouldBe) -> None:
        self._would, self._measures = would, would.measures

    @cached_property
    def simulated(self) -> VarEs:
        """Monte Carlo VaR and ES over the horizon, filled: exact in the run's scenarios."""
        return self._with_trade(self._drawn)

    @cached_property
    def simulated_at_most(self) -> VarEs:
        """What `simulated` cannot exceed; much cheaper."""
        return self._drawn.at_most(self._would.quantities, self._would.held)

    @cached_property
    def historical(self) -> VarEs:
        """VaR and ES of the past days, scaled to the horizon, filled."""
        return self._with_trade(self._measures.historical).scaled(self._would.bars)

    @cached_property
    def historical_at_most(self) -> VarEs:
        """What `historical` cannot exceed; much cheaper."""
        bound = self._measures.historical.at_most(self._would.quantities, self._would.held)
        return bound.scaled(self._would.bars)

    @cached_property
    def parametric(self) -> VarEs:
        """Delta-normal VaR and ES over the horizon, filled; each at its own confidence."""
        deviation = self._measures.covariance.deviation(self._would.factor_exposures)
        var, es = (normal_var(deviation, level) for level in self._would.levels)
        return VarEs(var.var, es.es)

    @property
    def parametric_at_most(self) -> VarEs:
        """The same: nothing is cheaper."""
        return self.parametric

    @cached_property
    def alone(self) -> float:
        """VaR over the horizon of the position in the ordered instrument alone: the worst of the methods."""
        index, size, held = self._would.order.instrument, self._would.position, self._would.held
        past = self._measures.historical.at(held, alone=True).position(index, size)
        drawn = self._drawn.at(held, alone=True).position(index, size)
        factor = int(self._measures.contracts["factor"][index])
        variance = float(self._measures.history.covariance[factor, factor])
        deviation = abs(size * float(self._measures.deltas[index])) * sqrt(variance)
        return max(
            past.scaled(self._would.bars).var, drawn.var, normal_var(deviation, self._would.levels[0]).var
        )

    @cached_property
    def stress(self) -> tuple[str, float]:
        """The worst scenario and the loss in it, filled."""
        losses = self._measures.stress.book_losses(self._measures.unit_stress, self._would.quantities)
        worst = int(np.argmax(losses))
        return self._measures.stress.scenarios[worst].name, float(losses[worst])

    @property
    def _drawn(self) -> MovingBook:
        scenarios = self._would.book.simulated
        assert scenarios is not None, "a limit asked for simulated scenarios that are not there"
        return scenarios

    def _with_trade(self, scenarios: MovingBook) -> VarEs:
        present = scenarios.at(self._would.expected, alone=not self._would.approved_fill)
        return present.with_trade(self._would.order.instrument, self._would.trade)
