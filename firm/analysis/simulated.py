"""The Monte Carlo scenarios of a recorded run, computed again: the book in all of them, and each position."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from firm.analysis.book import MeasuredBook
from firm.risk.cube import Scenarios
from firm.risk.valuation import contracts_at
from firm.risk_kernels.contracts import FactorLaw, Ladders
from firm.risk_kernels.montecarlo import BLOCK, scenario_columns, scenario_pnl

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


class Simulated:
    """A book in the scenarios of its run; every array is worked out when it is first asked for."""

    def __init__(self, book: MeasuredBook) -> None:
        self._book = book
        self.scenarios = Scenarios(book.request)
        self.blocks = book.request.scenarios // BLOCK

    @property
    def law(self) -> FactorLaw:
        """Of all the factors of the universe, over the horizon."""
        return self.scenarios.law

    @property
    def contracts(self) -> NDArray[np.void]:
        """Of what is held, in order."""
        return self.scenarios.contracts[self._book.held]

    @property
    def quantities(self) -> Vector:
        """Signed units of what is held."""
        return self._book.quantities[self._book.held]

    @cached_property
    def ladders(self) -> Ladders | None:
        """Of what is held."""
        tables = self.scenarios.ladders
        return None if tables is None else tables._replace(row=tables.row[self._book.held])

    @cached_property
    def pnl(self) -> Vector:
        """The book, float64[scenarios]."""
        return scenario_pnl(
            0,
            self.blocks,
            self.law,
            self.contracts,
            self.quantities,
            self._book.request.seed,
            ladders=self.ladders,
        )

    @property
    def fits(self) -> bool:
        """Whether the columns of what is held stay within the memory that a cube may have."""
        needed = len(self._book.held) * self._book.request.scenarios * 8
        return needed <= self._book.settings.risk.cube_bytes_max

    @cached_property
    def columns(self) -> Matrix:
        """One unit of everything held, float64[held, scenarios]."""
        return self._columns(self.blocks)

    def columns_of(self, scenarios: int) -> Matrix:
        """The same for the first `scenarios` of them, or all; whole blocks."""
        return self._columns(min(self.blocks, max(1, scenarios // BLOCK)))

    def _columns(self, blocks: int) -> Matrix:
        return scenario_columns(
            0, blocks, self.law, self.contracts, self._book.request.seed, ladders=self.ladders
        )

    def pnl_over(self, bars: int) -> Vector:
        """The book after `bars` bars instead of the run's horizon, in the run's own random numbers.

        The law grows with the square root of time (independent bars) and options have that much less left.
        """
        book, var = self._book, self._book.settings.risk.var
        prices = np.array([float(price) for price in book.mark.prices])
        rate = book.settings.risk.greeks.interest_rate
        table, _ = contracts_at(book.instruments, prices, book.at, bars / var.bars_a_day, rate)
        growth = (bars / var.horizon_bars) ** 0.5
        law = replace_law(self.law, growth)
        return scenario_pnl(0, self.blocks, law, table[book.held], self.quantities, book.request.seed)


def replace_law(law: FactorLaw, growth: float) -> FactorLaw:
    """The law with every deviation times `growth`.

    >>> one = FactorLaw(np.ones((1, 1)), np.ones(1), np.zeros(1), 0)
    >>> replace_law(one, 2.0).idiosyncratic.tolist()
    [2.0]
    """
    return law._replace(loadings=law.loadings * growth, idiosyncratic=law.idiosyncratic * growth)
