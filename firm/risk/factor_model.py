"""How the instruments move together: covariance of their returns, and few factors that explain most of it.

Returns are daily fractions (0.01 is +1 %), oldest first. A model is estimated once and shipped as numbers,
because the bits of LAPACK depend on the CPU.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from firm.domain.summing import plain_sum
from firm.errors import DataError, InsufficientHistory

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

MINIMUM_DAYS = 30
"""Fewest daily returns for a covariance: below, a volatility is off by more than 13 % (1 / sqrt(2 days))."""


@dataclass(frozen=True, slots=True, eq=False)
class FactorModel:
    """Log-returns as `loadings` times standardised factors plus independent `idiosyncratic` noise.

    `loadings` float64[n, k] and `idiosyncratic` float64[n] (standard deviations) are per square root of
    `horizon_days`; the covariance is loadings loadings' + diag(idiosyncratic^2).
    """

    loadings: Matrix
    idiosyncratic: Vector
    horizon_days: int = 1

    def covariance(self) -> Matrix:
        """float64[n, n]: the covariance of log-returns the model stands for."""
        return np.asarray(self.loadings @ self.loadings.T + np.diag(self.idiosyncratic**2))

    def scaled(self, days: int) -> "FactorModel":
        """The model of a one-day model at a horizon of `days`, for independent days (square root of time)."""
        if self.horizon_days != 1:
            raise ValueError(f"scaling starts from a one-day model, found one of {self.horizon_days} days")
        factor = horizon_factor(days)
        return FactorModel(self.loadings * factor, self.idiosyncratic * factor, days)


def covariance_matrix(returns: Matrix, decay: float | None = None) -> Matrix:
    """Daily covariance of returns float64[days, n], oldest first: float64[n, n], exactly symmetric.

    Without `decay`, the unbiased sample covariance about the mean. With it, exponential weights
    (1 - decay) decay^age, normalised to 1, about zero (RiskMetrics uses 0.94).

    Raises
    ------
    DataError
        If a return is NaN or infinite, or an instrument never moves (a stale price, no safety).
    InsufficientHistory
        If there are fewer than MINIMUM_DAYS days.
    ValueError
        If the shape is not (days, n) or decay is not in (0, 1).

    Source
    ------
    J.P. Morgan/Reuters, RiskMetrics Technical Document (1996).

    >>> rise_and_fall = np.tile([[0.02], [-0.02]], (20, 1))
    >>> float(covariance_matrix(rise_and_fall, decay=0.94)[0, 0].round(12))
    0.0004
    """
    _require_history(returns)
    if decay is None:
        centred = returns - returns.mean(axis=0)
        weights = np.full(len(returns), 1.0 / (len(returns) - 1))
    elif 0.0 < decay < 1.0:
        centred = returns
        weights = decay ** np.arange(len(returns) - 1, -1, -1, dtype=np.float64)
        weights /= weights.sum()
    else:
        raise ValueError(f"decay needs to be strictly between 0 and 1, found {decay}")
    weighted = centred * np.sqrt(weights)[:, None]
    covariance = weighted.T @ weighted
    return np.asarray(0.5 * (covariance + covariance.T))


def factor_model(
    returns: Matrix, factors: int, decay: float | None = None, horizon_days: int = 1
) -> FactorModel:
    """The few principal components of the correlation of returns, and what they leave to each instrument.

    The `factors` largest eigenvectors of the correlation matrix become loadings (volatility times eigenvector
    times root of eigenvalue); the idiosyncratic variance is what is missing on the diagonal, so every
    instrument keeps its total variance and the model is positive semi-definite by construction. Each
    eigenvector is signed so that its largest component is positive, hence the same input, the same model.

    Parameters
    ----------
    returns : float64[days, n]
        Daily log-returns, oldest first.
    factors : int
        1 .. n, and fewer than the days.
    decay : float, optional
        See `covariance_matrix`.
    horizon_days : int
        Days the model is scaled to by the square root of time.

    Raises
    ------
    DataError, InsufficientHistory, ValueError
        As `covariance_matrix`; and if `factors` is out of its bounds.

    Source
    ------
    McNeil, Frey and Embrechts, Quantitative Risk Management (2015), section 6.4.

    >>> days = np.arange(60)
    >>> market, own = np.sin(days), np.cos(3 * days)
    >>> returns = 0.01 * np.column_stack([market + 0.1 * own, 2 * market])
    >>> factor_model(returns, factors=1).loadings.shape
    (2, 1)
    """
    covariance = covariance_matrix(returns, decay)
    days, n = returns.shape
    if not 1 <= factors <= n:
        raise ValueError(f"factors need to be in 1..{n}, the number of instruments; found {factors}")
    if days <= factors:
        raise InsufficientHistory(
            f"{factors} factors need more than {factors} daily returns, found {days}; load more history or "
            "ask for fewer factors"
        )
    volatility = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(volatility, volatility)
    eigenvalues, eigenvectors = np.linalg.eigh(correlation)
    largest = eigenvectors[:, ::-1][:, :factors]
    strongest = np.abs(largest).argmax(axis=0)
    largest = largest * np.sign(largest[strongest, np.arange(factors)])
    standard = largest * np.sqrt(np.maximum(eigenvalues[::-1][:factors], 0.0))
    unexplained = np.maximum(1.0 - (standard**2).sum(axis=1), 0.0)  # negative only by rounding
    model = FactorModel(
        loadings=np.ascontiguousarray(volatility[:, None] * standard),
        idiosyncratic=volatility * np.sqrt(unexplained),
    )
    return model.scaled(horizon_days)


def horizon_factor(days: int, autocorrelation: float = 0.0) -> float:
    """Standard deviation of a move of `days` days over that of one day: sqrt(days) for uncorrelated days.

    With autocorrelation rho at lag i of rho^i: sqrt(T + 2 sum_{i=1}^{T-1} (T - i) rho^i).

    Raises
    ------
    ValueError
        If days < 1 or the autocorrelation is not strictly between -1 and 1.

    Source
    ------
    Hull, Risk Management and Financial Institutions (2015), chapter 12.

    >>> horizon_factor(4), round(horizon_factor(5, autocorrelation=0.1), 4)
    (2.0, 2.4216)
    """
    if days < 1 or not -1.0 < autocorrelation < 1.0:
        raise ValueError(
            f"a horizon needs days >= 1 and autocorrelation in (-1, 1), found {days} and {autocorrelation}"
        )
    return sqrt(days + 2.0 * plain_sum((days - lag) * autocorrelation**lag for lag in range(1, days)))


def require_finite(name: str, values: Matrix | Vector) -> None:
    """Refuse NaN and infinity, which would make a risk figure silently mild: DataError with the count."""
    if bad := int(np.count_nonzero(~np.isfinite(values))):
        raise DataError(
            f"{name} need to be finite numbers, found {bad} NaN or infinite of {values.size}; "
            "repair or exclude the instruments concerned"
        )


def _require_history(returns: Matrix) -> None:
    if returns.ndim != 2 or not returns.shape[1]:
        raise ValueError(f"returns need the shape (days, instruments), found {returns.shape}")
    if len(returns) < MINIMUM_DAYS:
        raise InsufficientHistory(
            f"a covariance needs {MINIMUM_DAYS} daily returns, found {len(returns)}; load more history"
        )
    require_finite("returns", returns)
    still = np.flatnonzero(np.ptp(returns, axis=0) == 0.0)
    if len(still):
        raise DataError(
            f"a covariance needs instruments that move, found no change in {len(returns)} days in columns "
            f"{still.tolist()}; their prices are stale: repair or exclude them"
        )
