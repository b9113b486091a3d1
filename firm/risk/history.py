"""The past as risk sees it: returns of the last bars, and the law of the next ones."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from firm import config
from firm.errors import FirmError
from firm.risk.correlation_manager import (
    CorrelationEstimate,
    CorrelationManager,
    CorrelationSettings,
    Method,
)
from firm.risk.factor_model import MINIMUM_DAYS, covariance_matrix, factor_model

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ReturnHistory:
    """Returns of the instruments that can be measured, and what was derived from them once a bar.

    `measured` bool[n] says which instruments are in; the other arrays have a column for each of the n, zero
    where it is not. `returns` float64[bars, n] are one-bar log-returns; of them `covariance` float64[n, n],
    `loadings` float64[n, k] and `idiosyncratic` float64[n] are at the horizon. `correlation` is None where
    only one instrument is measured.
    """

    measured: NDArray[np.bool_]
    returns: Matrix
    covariance: Matrix
    loadings: Matrix
    idiosyncratic: Vector
    correlation: CorrelationEstimate | None


def return_history(
    closes: Matrix, settings: config.Var, correlation: config.Correlation
) -> ReturnHistory | str:
    """The history of `closes` float64[bars, n], oldest first, or why there is none.

    An instrument is measured if it has enough returns in the window and did not stand still (a stale price is
    no safety); bars in which one of those has no return are left out for all, so that every scenario is a
    whole one. Enough is `min_history_bars`, and never less than tail, covariance and factors need.
    """
    tail = ceil(round(1 / (1 - max(settings.confidence, settings.es_confidence)), 6))
    needed = max(settings.min_history_bars, MINIMUM_DAYS, tail, settings.factors + 1)
    window = closes[-settings.history_bars - 1 :]
    prices = np.where(np.isfinite(window) & (window > 0.0), window, np.nan)
    returns = np.diff(np.log(prices), axis=0)
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
    return _derived(measured, complete, settings, correlation)


def _derived(
    measured: NDArray[np.bool_], complete: Matrix, settings: config.Var, correlation: config.Correlation
) -> ReturnHistory | str:
    (bars, count), n, horizon = complete.shape, len(measured), settings.horizon_bars
    factors = min(settings.factors, count)
    model = factor_model(complete, factors, horizon_days=horizon)
    estimate = None
    if count > 1:
        prices = np.exp(np.vstack([np.zeros(count), np.cumsum(complete, axis=0)]))
        try:
            estimate = _manager(correlation, bars).estimate(prices)
        except FirmError as error:
            return f"correlations cannot be estimated: {error}"
    own = covariance_matrix(complete) if estimate is None else estimate.covariance()
    returns, covariance = np.zeros((bars, n)), np.zeros((n, n))
    loadings, idiosyncratic = np.zeros((n, factors)), np.zeros(n)
    returns[:, measured] = complete
    covariance[np.ix_(measured, measured)] = own * horizon
    loadings[measured], idiosyncratic[measured] = model.loadings, model.idiosyncratic
    return ReturnHistory(measured, returns, covariance, loadings, idiosyncratic, estimate)


def _manager(settings: config.Correlation, bars: int) -> CorrelationManager:
    return CorrelationManager(
        CorrelationSettings(
            method=Method(settings.method),
            history_bars=bars,
            min_history_bars=MINIMUM_DAYS,
            decay=settings.decay,
            lags=settings.lags,
            regime_window=settings.regime_window_bars,
            regime_windows_min=settings.regime_windows_min,
            regime_step=settings.regime_step_bars,
            calm_quantile=settings.calm_quantile,
            crisis_quantile=settings.crisis_quantile,
            stress_weights=(settings.crisis_blend,),
        )
    )
