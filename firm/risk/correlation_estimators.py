"""Covariances of daily returns by name: exponential weights, shrinkage, missing days, closes hours apart.

Returns are fractions (0.01 is +1 %), float64[days, n], oldest first. Each function says what it assumes; none
repairs what it finds: `firm.risk.nearest_correlation` does, and tells the distance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from firm.errors import DataError, InsufficientHistory
from firm.risk.factor_model import MINIMUM_DAYS, covariance_matrix
from firm.risk.nearest_correlation import with_unit_diagonal

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Target(StrEnum):
    """What a shrunk covariance is pulled towards."""

    CONSTANT_CORRELATION = "constant correlation"
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True, eq=False)
class Shrunk:
    """`covariance` = intensity * target + (1 - intensity) * sample, each float64[n, n]; intensity in 0..1."""

    covariance: Matrix
    intensity: float
    sample: Matrix
    target: Matrix


def ewma_next(covariance: Matrix, latest: Vector, decay: float) -> Matrix:
    """The exponentially weighted covariance a day later: decay * covariance + (1 - decay) * r r'.

    `covariance` float64[n, n] of the day before, `latest` float64[n] the new day's returns, about a mean of
    zero. Started from zeros it is too small by the factor 1 - decay^days: divide by that, as
    `covariance_matrix(returns, decay)` does, for a start without bias.

    Raises
    ------
    DataError
        If a number is NaN or infinite.
    ValueError
        If shapes disagree or decay is not in (0, 1).

    Source
    ------
    J.P. Morgan/Reuters, RiskMetrics Technical Document (1996).

    >>> float(ewma_next(np.array([[0.01**2]]), np.array([0.02]), 0.9)[0, 0].round(6))  # sd 1.14 %
    0.00013
    """
    n = len(latest)
    if latest.ndim != 1 or covariance.shape != (n, n) or not 0.0 < decay < 1.0:
        raise ValueError(
            f"an update needs covariance (n, n), returns (n,) and decay in (0, 1), found {covariance.shape}, "
            f"{latest.shape} and {decay}"
        )
    if not (np.isfinite(covariance).all() and np.isfinite(latest).all()):
        raise DataError("an update of a covariance needs finite numbers, found NaN or infinite ones")
    return np.asarray(decay * covariance + (1.0 - decay) * np.outer(latest, latest))


def ledoit_wolf(returns: Matrix, target: Target) -> Shrunk:
    """The sample covariance pulled towards a simple one, just as far as its noise asks for.

    The intensity minimises the expected squared distance to the true covariance, estimated from the data and
    cut to 0..1. With fewer days than instruments the sample is singular, the result is not. All covariances
    here divide by the number of days, as the sources do.

    Parameters
    ----------
    returns : float64[days, n]
        Daily returns, oldest first; n >= 2.
    target : Target
        CONSTANT_CORRELATION keeps the variances and gives every pair the average correlation; IDENTITY gives
        every instrument the average variance and no correlation.

    Raises
    ------
    DataError, InsufficientHistory
        As `covariance_matrix`.
    ValueError
        If there are fewer than two instruments.

    Source
    ------
    Ledoit and Wolf, Honey, I shrunk the sample covariance matrix, J. Portfolio Management 30 (2004); A
    well-conditioned estimator for large-dimensional covariance matrices, J. Multivariate Analysis 88 (2004).

    >>> days = np.arange(40)
    >>> returns = 0.01 * np.column_stack([np.sin(days), np.sin(days) + np.cos(2 * days), np.cos(3 * days)])
    >>> 0.0 < ledoit_wolf(returns, Target.CONSTANT_CORRELATION).intensity < 1.0
    True
    """
    covariance_matrix(returns)  # refuses what cannot be measured
    days, n = returns.shape
    if n < 2:
        raise ValueError(f"shrinkage needs at least 2 instruments, found {n}")
    centred = returns - returns.mean(axis=0)
    sample = centred.T @ centred / days
    sample = 0.5 * (sample + sample.T)
    noise = (centred**2).T @ (centred**2) / days - sample**2
    if target is Target.IDENTITY:
        shape = np.eye(n) * (np.trace(sample) / n)
        excess = float(noise.sum())
    else:
        shape, common = _constant_correlation(centred, sample)
        excess = float(noise.sum()) - common
    misfit = float(((sample - shape) ** 2).sum())
    intensity = min(max(excess / misfit / days, 0.0), 1.0) if misfit > 0.0 else 1.0
    return Shrunk(intensity * shape + (1.0 - intensity) * sample, intensity, sample, shape)


def _constant_correlation(centred: Matrix, sample: Matrix) -> tuple[Matrix, float]:
    """The target, and how much of the sample's noise it shares (rho of the source)."""
    days, n = centred.shape
    deviation = np.sqrt(np.diag(sample))
    correlation = sample / np.outer(deviation, deviation)
    average = float((correlation.sum() - n) / (n * (n - 1)))
    shape = average * np.outer(deviation, deviation)
    np.fill_diagonal(shape, deviation**2)
    third = (centred**3).T @ centred / days - np.diag(sample)[:, None] * sample
    np.fill_diagonal(third, 0.0)
    own = float(((centred**4).mean(axis=0) - deviation**4).sum())
    return shape, own + average * float((np.outer(1.0 / deviation, deviation) * third).sum())


def pairwise_correlation(returns: Matrix, days_min: int = MINIMUM_DAYS) -> tuple[Matrix, Counts]:
    """Correlation of each pair over the days both have a return, and how many days those are.

    Each entry is a fair estimate by itself; together they need not be a correlation matrix.

    Parameters
    ----------
    returns : float64[days, n]
        Daily returns, oldest first; NaN where there is none.
    days_min : int
        Fewest common days of a pair, at least 2.

    Returns
    -------
    float64[n, n], int64[n, n]
        Correlations (1 on the diagonal) and common days.

    Raises
    ------
    DataError
        If a return is infinite, or an instrument does not move over the days shared with another.
    InsufficientHistory
        If a pair has fewer common days than days_min; the message names the worst pair.
    ValueError
        If the shape is not (days, n) or days_min < 2.

    >>> returns = np.column_stack([np.tile([0.01, -0.02], 20), np.tile([0.02, -0.04], 20)])
    >>> returns[5:10, 1] = np.nan
    >>> matrix, days = pairwise_correlation(returns)
    >>> float(matrix[0, 1].round(9)), int(days[0, 1])
    (1.0, 35)
    """
    _require_shape(returns)
    if days_min < 2:
        raise ValueError(f"a pair needs at least 2 common days, found a minimum of {days_min}")
    if infinite := int(np.isinf(returns).sum()):
        raise DataError(f"returns need to be finite or missing, found {infinite} infinite of {returns.size}")
    known = np.isfinite(returns)
    present = known.astype(np.float64)
    counts = present.T @ present
    if counts.min() < days_min:
        i, j = np.unravel_index(int(counts.argmin()), counts.shape)
        raise InsufficientHistory(
            f"a correlation needs {days_min} common days of each pair, found {int(counts[i, j])} of columns "
            f"{i} and {j}; load more history or exclude one of them"
        )
    # about each instrument's own mean: sums over common days then lose no digits to a large mean
    values = np.where(known, returns - np.nanmean(returns, axis=0), 0.0)
    sums = values.T @ present  # sums[i, j]: of i over the days of i and j
    squares = (values**2).T @ present - sums**2 / counts
    products = values.T @ values - sums * sums.T / counts
    floor = 1e-14 * (values**2).T @ present
    if bool((squares <= floor).any()):
        i, j = np.unravel_index(int((squares - floor).argmin()), squares.shape)
        raise DataError(
            f"a correlation needs instruments that move, found no change of column {i} over the "
            f"{int(counts[i, j])} days it shares with column {j}; its price is stale: repair or exclude it"
        )
    matrix = np.clip(products / np.sqrt(squares * squares.T), -1.0, 1.0)
    matrix = 0.5 * (matrix + matrix.T)
    np.fill_diagonal(matrix, 1.0)
    return matrix, counts.astype(np.int64)


def lead_lag_covariance(returns: Matrix, lags: int = 1) -> Matrix:
    """Covariance that counts what arrives up to `lags` days later: C_0 + sum over k of (C_k + C_k').

    C_k is the covariance of returns with those k days before. Where markets close at different hours, part of
    a common move shows up a day later in one of them; the sum has it all, for variances as for covariances.

    Parameters
    ----------
    returns : float64[days, n]
        Daily returns, oldest first, complete.
    lags : int
        At least 1; 1 is enough for closes less than a day apart.

    Raises
    ------
    DataError
        As `covariance_matrix`; and if a variance is not positive, which strong reversals (bid-ask bounce) and
        few days can do: use longer returns instead.
    InsufficientHistory
        If there are fewer than MINIMUM_DAYS days or not ten of them a lag.
    ValueError
        If lags < 1.

    Source
    ------
    Scholes and Williams, Estimating betas from nonsynchronous data, J. Financial Economics 5 (1977): their
    beta is a covariance of this sum over the variance of this sum.
    """
    covariance_matrix(returns)  # refuses what cannot be measured
    if lags < 1:
        raise ValueError(f"a lag correction needs at least 1 lag, found {lags}")
    days = len(returns)
    if days < 10 * lags:
        raise InsufficientHistory(
            f"a correction of {lags} lags needs {10 * lags} returns, found {days}; load more history"
        )
    centred = returns - returns.mean(axis=0)
    total = centred.T @ centred / (days - 1)
    for lag in range(1, lags + 1):
        later = centred[lag:].T @ centred[:-lag] / (days - 1)
        total = total + later + later.T
    total = 0.5 * (total + total.T)
    if bool((np.diag(total) <= 0.0).any()):
        column = int(np.diag(total).argmin())
        raise DataError(
            f"a lag-corrected variance needs to be positive, found {total[column, column]:.6g} in column "
            f"{column} with {lags} lags over {days} days; its moves reverse: use returns of several days"
        )
    return np.asarray(total)


def asynchronous_correlation(returns: Matrix, close_groups: Sequence[int] | None, lags: int = 1) -> Matrix:
    """Correlation of instruments whose days end at different hours: see `lead_lag_covariance`.

    Only pairs of different `close_groups` (any numbers; the same number, the same close) are corrected; None
    corrects all. A corrected entry may lie beyond +-1, and the matrix need not be positive semi-definite.

    Raises
    ------
    DataError, InsufficientHistory, ValueError
        As `lead_lag_covariance`; and if there is not one group an instrument.
    """
    corrected = with_unit_diagonal(lead_lag_covariance(returns, lags))
    if close_groups is None:
        return corrected
    if len(close_groups) != returns.shape[1]:
        raise ValueError(
            f"closing groups need one number an instrument, found {len(close_groups)} for {returns.shape[1]}"
        )
    groups = np.asarray(close_groups)
    same = groups[:, None] == groups[None, :]
    return np.where(same, with_unit_diagonal(covariance_matrix(returns)), corrected)


def _require_shape(returns: Matrix) -> None:
    if returns.ndim != 2 or not returns.shape[1]:
        raise ValueError(f"returns need the shape (days, instruments), found {returns.shape}")
