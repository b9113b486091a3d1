"""What one decision measures any book with: contracts, scenarios and sensitivities of one unit of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firm.risk.greeks import book_greeks
from firm.risk.history import ReturnHistory
from firm.risk.margin_scan import MarginScan
from firm.risk.parametric import Covariance
from firm.risk.scenario_book import ScenarioBook
from firm.risk.stress_tester import CompiledStress
from firm.risk.var_calculator import VarEs
from firm.risk_kernels.contracts import linear_contracts
from firm.risk_kernels.montecarlo import columns_from_returns

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


def warm_up() -> None:
    """Compile what measures books (a few seconds a process), so that no decision pays for it."""
    contracts = linear_contracts(1)
    columns = columns_from_returns(np.linspace(-0.1, 0.1, 2000)[None, :], contracts)
    book = MovingBook(lambda: [columns], 0.99, 0.975)
    for quantity in (1.0, 1.0001):
        book.at(np.array([quantity])).with_trade(0, 1e-9)
        book.at(np.array([quantity])).with_trade(0, 10.0)
    book_greeks(contracts, np.ones(1), 1)


class MovingBook:
    """A scenario book that follows the firm's: made when it is first asked for, then moved by trades.

    The moves depend on what is asked and in which order, and so on the log alone.
    """

    def __init__(
        self, columns: Callable[[], Sequence[Matrix]], confidence: float, es_confidence: float
    ) -> None:
        self._columns = columns
        self._levels = confidence, es_confidence
        self._shards: Sequence[Matrix] | None = None
        self._made: dict[bool, tuple[ScenarioBook, Vector]] = {}

    def at(self, quantities: Vector, *, alone: bool = False) -> ScenarioBook:
        """The scenario book of these signed units, float64[n].

        Two are kept, so that none is moved back and forth: with approvals, and (`alone`) without.
        """
        if alone not in self._made:
            self._shards = self._columns() if self._shards is None else self._shards
            book = ScenarioBook(self._shards, quantities, *self._levels)
        else:
            book, before = self._made[alone]
            for i in np.flatnonzero(quantities != before).tolist():
                book.apply(i, float(quantities[i] - before[i]))
        self._made[alone] = book, quantities.copy()
        return book

    def at_most(self, quantities: Vector, held: Vector) -> VarEs:
        """No less than VaR and ES of a book of `quantities`, by those of what is `held` and of each trade.

        `held` float64[n] is measured once; see `ScenarioBook.at_most`.
        """
        return self.at(held, alone=True).at_most(quantities - held)


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """Of one decision. Arrays have one entry an instrument; money is account currency.

    `valued` bool[n]: has returns (an option: its underlying has) and a value; whoever is not has a row of
    zeros. `contracts` CONTRACT[n]; `deltas`, `gammas`, `vegas` float64[n] are those of one unit, see
    `firm.risk.greeks`; `unit_stress` float64[scenarios, n] is what one unit loses in each scenario of
    `stress`, NaN for what has no value or is not mapped (`unmapped`: the first reason, if there is one);
    `historical` holds the past days as scenarios, `covariance` is the history's, checked; `margin` estimates
    what a book ties up.
    """

    valued: NDArray[np.bool_]
    contracts: NDArray[np.void]
    history: ReturnHistory
    historical: MovingBook
    covariance: Covariance
    deltas: Vector
    gammas: Vector
    vegas: Vector
    stress: CompiledStress
    unit_stress: Matrix
    unmapped: str | None
    margin: MarginScan
