"""How the measures of a decision are made: marks and closes in, everything per unit out. Once a bar."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from firm import config
from firm.domain.instrument import Instrument
from firm.risk.greeks import book_greeks
from firm.risk.history import ReturnHistory, return_history
from firm.risk.margin_scan import MarginScan
from firm.risk.measures import Measures, MovingBook
from firm.risk.parametric import Covariance
from firm.risk.stress import compiled_stress
from firm.risk.stress_tester import CompiledStress, PositionNotMapped
from firm.risk.valuation import at_horizon, contracts_at
from firm.risk_kernels.montecarlo import columns_from_returns

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


class Measurer:
    """Keeps what does not change from bar to bar: the settings and the stress scenarios of the universe."""

    def __init__(self, settings: config.Risk, reference: Mapping[str, config.Reference]) -> None:
        self._settings, self._reference = settings, reference
        self._instruments: tuple[Instrument, ...] = ()
        self._stress: CompiledStress | None = None
        self._mapped: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def resolve(self, instruments: tuple[Instrument, ...]) -> None:
        """The universe is known now."""
        self._instruments = instruments
        self._stress = compiled_stress(self._settings.stress, self._reference, instruments)
        each = np.eye(len(instruments), dtype=np.bool_)
        self._mapped = np.array([self._unmapped(alone) is None for alone in each], np.bool_)

    def measures(self, at: int, prices: Vector, closes: Matrix) -> Measures | str:
        """What books are measured with at `at` (ns UTC), or why there is nothing to measure with.

        `prices` float64[n] are the marks (0: none), `closes` float64[bars, n] oldest first, this bar's last.
        """
        var = self._settings.var
        history = return_history(closes, var, self._settings.correlation)
        if isinstance(history, str):
            return history
        days = var.horizon_bars / var.bars_a_day
        rate = self._settings.greeks.interest_rate
        present, valued = contracts_at(self._instruments, prices, at, 0.0, rate)
        valued &= history.measured[present["factor"]]
        present[~valued] = 0
        present["factor"][~valued] = np.flatnonzero(~valued)
        contracts = at_horizon(present, days)
        deltas, gammas, vegas = _sensitivities(present)
        return Measures(
            valued=valued,
            contracts=contracts,
            history=history,
            historical=self._historical(history, contracts),
            covariance=Covariance(history.covariance),
            deltas=deltas,
            gammas=gammas,
            vegas=vegas,
            stress=self._compiled(),
            unit_stress=self._compiled().unit_losses(contracts, valued & self._mapped),
            unmapped=self._unmapped(valued),
            margin=MarginScan(present),
        )

    def _historical(self, history: ReturnHistory, contracts: NDArray[np.void]) -> MovingBook:
        var = self._settings.var
        returns = np.ascontiguousarray(history.returns.T)
        return MovingBook(
            lambda: [columns_from_returns(returns, contracts)], var.confidence, var.es_confidence
        )

    def _unmapped(self, valued: NDArray[np.bool_]) -> str | None:
        try:
            self._compiled().require_mapped(valued)
        except PositionNotMapped as unmapped:
            return str(unmapped)
        return None

    def _compiled(self) -> CompiledStress:
        assert self._stress is not None, "measures were asked for before the universe was known"
        return self._stress


def _sensitivities(contracts: NDArray[np.void]) -> tuple[Vector, Vector, Vector]:
    """Delta, gamma and vega of one unit of each contract."""
    alone = contracts.copy()
    alone["factor"] = np.arange(len(contracts))
    greeks = book_greeks(alone, np.ones(len(contracts)), len(contracts))
    return greeks.delta, greeks.gamma, greeks.vega
