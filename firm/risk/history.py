"""The past as risk sees it: returns of the last bars, and the VaR that follows from them for any book."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from firm import config
from firm.risk.factor_model import MINIMUM_DAYS
from firm.risk.var_calculator import (
    FactorModel,
    VarEs,
    covariance_matrix,
    factor_model,
    historical_scenarios,
    historical_var,
    parametric_var,
)

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ReturnHistory:
    """Returns of the instruments that can be measured, and what was derived from them once a bar.

    `measured` bool[n] says which instruments are in; the arrays below have a column for each of those only.
    `simple` float64[bars, m] are simple one-bar returns; `covariance` and `model` are at the horizon.
    `unit_loss` float64[2, m] is the VaR of a position worth +1 and of one worth -1, at the horizon.
    """

    measured: NDArray[np.bool_]
    simple: Matrix
    covariance: Matrix
    model: FactorModel
    unit_loss: Matrix
    confidence: float
    horizon_bars: int

    def historical(self, exposures: Vector) -> VarEs:
        """Historical VaR and ES of signed market values float64[n]; those not measured must be zero."""
        pnl = historical_scenarios(self.simple, exposures[self.measured])
        return historical_var(pnl, self.confidence).scaled(self.horizon_bars)

    def parametric(self, exposures: Vector) -> VarEs:
        """Delta-normal VaR and ES of signed market values float64[n]; those not measured must be zero."""
        return parametric_var(self.covariance, exposures[self.measured], self.confidence)

    def position_var(self, instrument: int, value: float) -> float:
        """VaR of one position alone, the larger of historical and parametric; `value` is signed."""
        column = int(np.count_nonzero(self.measured[:instrument]))
        return abs(value) * float(self.unit_loss[0 if value > 0 else 1, column])

    def loadings(self) -> tuple[Matrix, Vector]:
        """Factor loadings float64[n, k] and idiosyncratic deviations float64[n]; zero where not measured."""
        loadings = np.zeros((len(self.measured), self.model.loadings.shape[1]))
        idiosyncratic = np.zeros(len(self.measured))
        loadings[self.measured] = self.model.loadings
        idiosyncratic[self.measured] = self.model.idiosyncratic
        return loadings, idiosyncratic


def return_history(closes: Matrix, settings: config.Var) -> ReturnHistory | str:
    """The history of `closes` float64[bars, n], oldest first, or why there is none.

    An instrument is measured if it has enough returns in the window and did not stand still (a stale price is
    no safety); bars in which one of those has no return are left out for all, so that every scenario is a
    whole one. Enough is `min_history_bars`, and never less than tail, covariance and factors need.
    """
    tail = ceil(round(1 / (1 - settings.confidence), 6))
    needed = max(settings.min_history_bars, MINIMUM_DAYS, tail, settings.factors + 1)
    returns = np.diff(np.log(closes[-settings.history_bars - 1 :]), axis=0)
    if len(returns) < needed:
        return f"VaR needs {needed} returns, found {len(returns)}"
    known = np.isfinite(returns)
    measured = known.sum(axis=0) >= needed
    complete = returns[known[:, measured].all(axis=1)][:, measured]
    if len(complete) >= needed:
        moving = np.ptp(complete, axis=0) > 0.0
        measured[measured], complete = moving, np.ascontiguousarray(complete[:, moving])
    if not measured.any() or len(complete) < needed:
        return (
            f"VaR needs {needed} bars with a return of every instrument, found {len(complete)} for "
            f"{int(measured.sum())} of {closes.shape[1]} instruments that can be measured"
        )
    return _derived(measured, complete, settings)


def _derived(measured: NDArray[np.bool_], log_returns: Matrix, settings: config.Var) -> ReturnHistory:
    horizon, confidence = settings.horizon_bars, settings.confidence
    simple = np.expm1(log_returns)
    covariance = covariance_matrix(simple) * horizon
    factors = min(settings.factors, log_returns.shape[1])
    unit_loss = np.empty((2, log_returns.shape[1]))
    for column in range(log_returns.shape[1]):
        normal = parametric_var(covariance[column : column + 1, column : column + 1], np.ones(1), confidence)
        for row, sign in enumerate((1.0, -1.0)):
            past = historical_var(sign * simple[:, column], confidence).scaled(horizon)
            unit_loss[row, column] = max(past.var, normal.var)
    return ReturnHistory(
        measured=measured,
        simple=simple,
        covariance=covariance,
        model=factor_model(log_returns, factors, horizon_days=horizon),
        unit_loss=unit_loss,
        confidence=confidence,
        horizon_bars=horizon,
    )
