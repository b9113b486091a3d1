"""Value-at-Risk and expected shortfall of a book: historical, parametric, and of simulated scenarios.

Conventions, everywhere: losses are positive, money is in account currency, returns are fractions (0.01 is
+1 %), exposures are signed market values, confidence is the probability that the loss stays within VaR.
Pure functions of arrays; the kernels do the counting.
"""

from dataclasses import dataclass
from math import ceil, exp, isfinite, pi, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from firm.errors import DataError, InsufficientHistory
from firm.risk.factor_model import (
    FactorModel,
    covariance_matrix,
    factor_model,
    horizon_factor,
    require_finite,
)
from firm.risk_kernels.tail import QuantileConvention, pairwise_sum, shard_tail, tail_size, var_es

__all__ = [
    "FactorModel",
    "VarEs",
    "covariance_matrix",
    "factor_model",
    "historical_scenarios",
    "historical_var",
    "horizon_factor",
    "normal_var",
    "parametric_var",
]

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class VarEs:
    """Value-at-Risk and expected shortfall in account currency, positive = loss.

    >>> VarEs(var=100.0, es=130.0).scaled(4)
    VarEs(var=200.0, es=260.0)
    """

    var: float
    es: float

    def scaled(self, days: int, autocorrelation: float = 0.0) -> "VarEs":
        """The one-day figures at a horizon of `days`, for P&L of zero mean: see `horizon_factor`."""
        factor = horizon_factor(days, autocorrelation)
        return VarEs(self.var * factor, self.es * factor)


def historical_scenarios(returns: Matrix, exposures: Vector) -> Vector:
    """P&L of today's book in each past day: exposures times that day's simple returns.

    Parameters
    ----------
    returns : float64[days, n]
        Simple returns, oldest first.
    exposures : float64[n]
        Signed market value in account currency.

    Returns
    -------
    float64[days]
        P&L in account currency, gains positive; summed in a fixed tree, not by BLAS.

    Raises
    ------
    DataError
        If a value is NaN or infinite.
    ValueError
        If shapes disagree.

    >>> historical_scenarios(np.array([[0.01, -0.02], [0.0, 0.03]]), np.array([1000.0, -500.0]))
    array([ 20., -15.])
    """
    if returns.ndim != 2 or exposures.shape != returns.shape[1:]:
        raise ValueError(
            f"returns (days, n) and exposures (n,) need the same n, found {returns.shape}, {exposures.shape}"
        )
    require_finite("returns", returns)
    require_finite("exposures", exposures)
    return np.asarray(pairwise_sum(np.ascontiguousarray((returns * exposures).T)))


def historical_var(pnl: Vector, confidence: float, convention: QuantileConvention = "inverted_cdf") -> VarEs:
    """VaR and ES of equally likely scenarios: past days (historical simulation) or simulated ones.

    The empirical quantile itself: no interpolation. Conventions and formulas: `firm.risk_kernels.tail`.

    Parameters
    ----------
    pnl : float64[scenarios]
        P&L in account currency, gains positive.
    confidence : float
        Strictly between 0 and 1, e.g. 0.99.

    Raises
    ------
    DataError
        If a P&L is NaN or infinite.
    InsufficientHistory
        If there are fewer than 1 / (1 - confidence) scenarios: the tail would be less than one scenario.

    Source
    ------
    McNeil, Frey and Embrechts, Quantitative Risk Management (2015), section 9.2.3.

    >>> historical_var(np.array([-0.02, 0.005, -0.01, 0.015]), confidence=0.75)
    VarEs(var=0.01, es=0.02)
    """
    _require_confidence(confidence)
    if pnl.ndim != 1:
        raise ValueError(f"P&L needs to be a vector, one value a scenario, found shape {pnl.shape}")
    require_finite("P&L", pnl)
    needed = ceil(round(1.0 / (1.0 - confidence), 6))
    if len(pnl) < needed:
        raise InsufficientHistory(
            f"VaR at {confidence:.4%} needs {needed} scenarios to see its tail, found {len(pnl)}; "
            "load more history or lower the confidence"
        )
    tail = shard_tail(pnl, 0, tail_size(len(pnl), confidence))
    return VarEs(*var_es(tail, len(pnl), confidence, convention))


def normal_var(deviation: float, confidence: float, mean: float = 0.0) -> VarEs:
    """VaR and ES of a normal P&L with this mean (gain positive) and standard deviation, in account currency.

    VaR = z sigma - mean; ES = sigma phi(z) / (1 - confidence) - mean, z the confidence quantile.

    Raises
    ------
    ValueError
        If the deviation is negative, a number is not finite, or confidence is not in (0, 1).

    Source
    ------
    McNeil, Frey and Embrechts, Quantitative Risk Management (2015), section 2.3.

    >>> risk = normal_var(deviation=20.0, confidence=0.99)
    >>> round(risk.var, 1), round(risk.es, 1)
    (46.5, 53.3)
    """
    _require_confidence(confidence)
    if not (isfinite(mean) and isfinite(deviation) and deviation >= 0.0):
        raise ValueError(
            f"a normal P&L needs a finite mean and deviation >= 0, found mean {mean}, deviation {deviation}"
        )
    z = NormalDist().inv_cdf(confidence)
    density = exp(-0.5 * z * z) / sqrt(2.0 * pi)
    return VarEs(z * deviation - mean, deviation * density / (1.0 - confidence) - mean)


def parametric_var(covariance: Matrix, exposures: Vector, confidence: float) -> VarEs:
    """VaR and ES of a linear book under jointly normal returns of zero mean (delta-normal).

    Parameters
    ----------
    covariance : float64[n, n]
        Of the returns over the horizon; symmetric.
    exposures : float64[n]
        Signed market value in account currency.
    confidence : float
        Strictly between 0 and 1.

    Raises
    ------
    DataError
        If a value is NaN or infinite, or the matrix cannot be a covariance (asymmetric, a correlation beyond
        1, a negative variance of the book).
    ValueError
        If shapes disagree.

    Source
    ------
    McNeil, Frey and Embrechts, Quantitative Risk Management (2015), section 9.2.2.

    >>> round(parametric_var(np.array([[0.0004]]), np.array([-1e6]), 0.99).var)
    46527
    """
    return normal_var(_book_deviation(covariance, exposures), confidence)


def _book_deviation(covariance: Matrix, exposures: Vector) -> float:
    """Standard deviation of the P&L, after refusing what cannot be a covariance."""
    n = len(exposures)
    if exposures.ndim != 1 or covariance.shape != (n, n):
        raise ValueError(
            f"covariance (n, n) and exposures (n,) need one n, found {covariance.shape}, {exposures.shape}"
        )
    require_finite("covariance", covariance)
    require_finite("exposures", exposures)
    variances = np.diag(covariance)
    if (lowest := float(variances.min(initial=0.0))) < 0.0:
        raise DataError(f"a covariance needs variances of at least 0, found {lowest}")
    bound = np.sqrt(np.outer(variances, variances))
    tolerance = _ROUNDING * bound + np.finfo(np.float64).tiny
    if np.any(np.abs(covariance - covariance.T) > tolerance):
        raise DataError(
            "a covariance needs to be symmetric, found entries that differ from their mirror image"
        )
    if np.any(np.abs(covariance) > bound + tolerance):
        raise DataError("a covariance needs correlations within -1..1, found one beyond; repair the estimate")
    book_variance = float(exposures @ covariance @ exposures)
    gross_variance = float(np.abs(exposures) @ bound @ np.abs(exposures))
    if book_variance < -_ROUNDING * gross_variance:
        raise DataError(
            f"a covariance needs to give the book a variance of at least 0, found {book_variance:.6g}; "
            "it is not positive semi-definite: use the nearest correlation matrix or a factor model"
        )
    return sqrt(max(book_variance, 0.0))


def _require_confidence(confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence needs to be strictly between 0 and 1, found {confidence}")
