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
        self.book, self.order, self._approved_fill = book, order, approved_fill
        self._levels, self._bars = (confidence, es_confidence), bars

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
        return self.book.expected() if self._approved_fill else self._held

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
    def simulated(self) -> VarEs:
        """Monte Carlo VaR and ES over the horizon, filled: exact in the run's scenarios."""
        return self._with_trade(self._drawn)

    @cached_property
    def simulated_at_most(self) -> VarEs:
        """What `simulated` cannot exceed; much cheaper."""
        return self._drawn.at_most(self.quantities, self._held)

    @cached_property
    def historical(self) -> VarEs:
        """VaR and ES of the past days, scaled to the horizon, filled."""
        return self._with_trade(self.measures.historical).scaled(self._bars)

    @cached_property
    def historical_at_most(self) -> VarEs:
        """What `historical` cannot exceed; much cheaper."""
        return self.measures.historical.at_most(self.quantities, self._held).scaled(self._bars)

    @cached_property
    def parametric(self) -> VarEs:
        """Delta-normal VaR and ES over the horizon, filled; each at its own confidence."""
        deviation = self.measures.covariance.deviation(self.factor_exposures)
        var, es = (normal_var(deviation, level) for level in self._levels)
        return VarEs(var.var, es.es)

    @property
    def parametric_at_most(self) -> VarEs:
        """The same: nothing is cheaper."""
        return self.parametric

    @cached_property
    def factor_exposures(self) -> Vector:
        """Exposures float64[n] added up on the instrument that drives them (an option's underlying)."""
        totals = np.zeros(len(self.exposures))
        for factor, exposure in zip(self.measures.contracts["factor"], self.exposures, strict=True):
            totals[factor] += exposure
        return totals

    @cached_property
    def alone(self) -> float:
        """VaR over the horizon of the position in the ordered instrument alone: the worst of the methods."""
        index, size = self.order.instrument, self.position
        past = self.measures.historical.at(self._held, alone=True).position(index, size).scaled(self._bars)
        drawn = self._drawn.at(self._held, alone=True).position(index, size)
        factor = int(self.measures.contracts["factor"][index])
        variance = float(self.measures.history.covariance[factor, factor])
        deviation = abs(size * float(self.measures.deltas[index])) * sqrt(variance)
        return max(past.var, drawn.var, normal_var(deviation, self._levels[0]).var)

    @cached_property
    def stress(self) -> tuple[str, float]:
        """The worst scenario and the loss in it, filled."""
        losses = self.measures.stress.book_losses(self.measures.unit_stress, self.quantities)
        worst = int(np.argmax(losses))
        return self.measures.stress.scenarios[worst].name, float(losses[worst])

    @cached_property
    def _held(self) -> Vector:
        return self.book.positions()

    @property
    def _drawn(self) -> MovingBook:
        assert self.book.simulated is not None, "a limit asked for simulated scenarios that are not there"
        return self.book.simulated

    def _with_trade(self, scenarios: MovingBook) -> VarEs:
        present = scenarios.at(self.expected, alone=not self._approved_fill)
        return present.with_trade(self.order.instrument, self.trade)
