"""The nearest correlation matrix to one that is not, and how to factorise one that is nearly singular.

A matrix put together from parts (pairwise-complete estimates, lag corrections, shocks) is symmetric with a
unit diagonal, yet may give a portfolio a negative variance. It is replaced by the nearest matrix that does
not, and how far that is, is part of the answer: cutting negative eigenvalues alone changes the variances.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from firm.errors import DataError

Matrix = npt.NDArray[np.float64]

PSD_TOLERANCE: Final = 1e-10
"""An eigenvalue above minus this, relative to the largest, is zero but for rounding."""

SYMMETRY_TOLERANCE: Final = 1e-9
"""Two entries that should be equal and differ by more are a mistake of the caller, not rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class NearestCorrelation:
    """A correlation matrix and its way from the matrix asked about.

    `distance` is the Frobenius norm of the change (0: nothing had to be done), `smallest_eigenvalue` that of
    the matrix asked about, `iterations` the projections it took.
    """

    matrix: Matrix
    distance: float
    smallest_eigenvalue: float
    iterations: int


class Conditioning(StrEnum):
    """How a correlation matrix could be factorised."""

    DEFINITE = "definite"
    JITTERED = "jittered"


@dataclass(frozen=True, slots=True, eq=False)
class Factorised:
    """A lower triangle L float64[n, n] with L L' the correlation, or the correlation shrunk by `jitter`.

    JITTERED means L L' = (C + jitter I) / (1 + jitter): the unit diagonal is kept, no correlation grows.
    `condition` is the largest over the smallest eigenvalue of C (infinite if singular), `rank` the number of
    eigenvalues above the tolerance.
    """

    lower: Matrix
    outcome: Conditioning
    jitter: float
    rank: int
    condition: float


def require_symmetric(name: str, matrix: Matrix) -> None:
    """Refuse what is no finite symmetric matrix: ValueError for the shape, DataError for the numbers."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"{name} needs to be a square matrix of at least 1 x 1, found shape {matrix.shape}")
    if bad := int(np.count_nonzero(~np.isfinite(matrix))):
        raise DataError(
            f"{name} needs finite numbers, found {bad} NaN or infinite of {matrix.size}; repair or exclude "
            "the instruments concerned"
        )
    gap = np.abs(matrix - matrix.T)
    i, j = np.unravel_index(int(gap.argmax()), gap.shape)
    if gap[i, j] > SYMMETRY_TOLERANCE * max(1.0, float(np.abs(matrix).max())):
        raise DataError(
            f"{name} needs to be symmetric, found {matrix[i, j]:.9g} at ({i}, {j}) and {matrix[j, i]:.9g} at "
            f"({j}, {i})"
        )


def is_psd(matrix: Matrix, tolerance: float = PSD_TOLERANCE) -> bool:
    """Whether no eigenvalue is below -tolerance times the largest (at least 1): no negative variance.

    >>> is_psd(np.array([[1.0, 0.9], [0.9, 1.0]])), is_psd(np.array([[1.0, 1.1], [1.1, 1.0]]))
    (True, False)
    """
    require_symmetric("a matrix checked for negative variances", matrix)
    values = np.linalg.eigvalsh(matrix)
    return bool(values[0] >= -tolerance * max(1.0, float(values[-1])))


def nearest_correlation(
    matrix: Matrix, tolerance: float = 1e-9, iterations_max: int = 20_000
) -> NearestCorrelation:
    """The correlation matrix nearest to a symmetric one in the Frobenius norm.

    Alternating projections onto the positive semi-definite matrices and those of unit diagonal, with
    Dykstra's correction, without which the limit would be some correlation matrix but not the nearest. The
    last iterate is scaled to an exactly unit diagonal. A correlation matrix comes back unchanged.

    Parameters
    ----------
    matrix : float64[n, n]
        Symmetric and finite; the diagonal may be anything.
    tolerance : float
        Stop when an iteration changes the matrix by less than this, relative to its norm.
    iterations_max : int
        Give up after so many.

    Raises
    ------
    DataError
        If a value is NaN or infinite, the matrix is not symmetric, or the iteration did not settle.
    ValueError
        If it is not square.

    Source
    ------
    Higham, Computing the nearest correlation matrix: a problem from finance, IMA J. Numer. Anal. 22 (2002).

    >>> near = nearest_correlation(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]))
    >>> near.matrix.round(4).tolist()[0], round(near.distance, 4)
    ([1.0, 0.7607, 0.1573], 0.5278)
    """
    require_symmetric("a correlation matrix", matrix)
    given = 0.5 * (matrix + matrix.T)
    values = np.linalg.eigvalsh(given)
    smallest = float(values[0])
    is_correlation = bool((np.diag(given) == 1.0).all())
    if is_correlation and smallest >= -PSD_TOLERANCE * max(1.0, float(values[-1])):
        return NearestCorrelation(given, 0.0, smallest, 0)
    unit = given.copy()
    correction = np.zeros_like(given)
    for iteration in range(1, iterations_max + 1):
        corrected = unit - correction
        semidefinite = _without_negative_eigenvalues(corrected)
        correction = semidefinite - corrected
        former = unit
        unit = semidefinite.copy()
        np.fill_diagonal(unit, 1.0)
        change = max(_relative(unit - former, unit), _relative(unit - semidefinite, unit))
        if change <= tolerance:
            result = with_unit_diagonal(semidefinite)
            return NearestCorrelation(result, float(np.linalg.norm(result - given)), smallest, iteration)
    raise DataError(
        f"the nearest correlation matrix needs a change below {tolerance:g}, found {change:.3g} after "
        f"{iterations_max} projections of a matrix with smallest eigenvalue {smallest:.3g}; its entries are "
        "far from correlations: check how it was put together"
    )


def with_unit_diagonal(covariance: Matrix) -> Matrix:
    """A covariance float64[n, n] as correlation: exactly symmetric, exactly 1 on the diagonal.

    Raises DataError if a variance is not positive.
    """
    variance = np.diag(covariance)
    if not bool((variance > 0.0).all()):
        raise DataError(
            f"a correlation needs positive variances, found {variance.min():.6g} in column "
            f"{int(variance.argmin())}; a price that stands still is stale: repair or exclude it"
        )
    scale = np.sqrt(variance)
    correlation = covariance / np.outer(scale, scale)
    correlation = 0.5 * (correlation + correlation.T)
    np.fill_diagonal(correlation, 1.0)
    return np.ascontiguousarray(correlation)


def factorise(correlation: Matrix, condition_max: float = 1e12) -> Factorised:
    """The Cholesky factor of a correlation matrix, jittered and saying so where it is singular.

    500 instruments and 250 days leave 251 eigenvalues of zero; whether LAPACK notices is chance, so the
    eigenvalues decide, never a failed factorisation. The jitter is the smallest that brings the condition
    number to `condition_max`.

    Parameters
    ----------
    correlation : float64[n, n]
        Positive semi-definite with a unit diagonal; see `nearest_correlation`.
    condition_max : float
        Above this condition number the matrix counts as singular; more than 1.

    Raises
    ------
    DataError
        If the matrix is not positive semi-definite (or not symmetric, or not finite).
    ValueError
        If it is not square, the diagonal is not 1, or condition_max <= 1.

    >>> factorise(np.ones((2, 2))).outcome, factorise(np.eye(2)).outcome
    (<Conditioning.JITTERED: 'jittered'>, <Conditioning.DEFINITE: 'definite'>)
    """
    require_symmetric("a correlation matrix", correlation)
    if not condition_max > 1.0:
        raise ValueError(f"the largest condition number needs to be above 1, found {condition_max}")
    diagonal = np.diag(correlation)
    if float(np.abs(diagonal - 1.0).max()) > SYMMETRY_TOLERANCE:
        low, high = float(diagonal.min()), float(diagonal.max())
        raise ValueError(f"a correlation matrix needs 1 on its diagonal, found {low:.9g} to {high:.9g}")
    values = np.linalg.eigvalsh(correlation)
    smallest, largest = float(values[0]), float(values[-1])
    if smallest < -PSD_TOLERANCE * max(1.0, largest):
        raise DataError(
            f"a correlation matrix needs eigenvalues of at least 0, found {smallest:.6g}; replace it by its "
            "nearest correlation matrix first"
        )
    rank = int(np.count_nonzero(values > largest / condition_max))
    condition = largest / smallest if smallest > 0.0 else float("inf")
    if condition <= condition_max:
        return Factorised(_cholesky(correlation), Conditioning.DEFINITE, 0.0, rank, condition)
    jitter = (largest - condition_max * min(smallest, 0.0)) / (condition_max - 1.0)
    jitter = max(jitter, len(values) * 4.0 * float(np.finfo(np.float64).eps) * largest)
    shrunk = (correlation + jitter * np.eye(len(values))) / (1.0 + jitter)
    return Factorised(_cholesky(shrunk), Conditioning.JITTERED, jitter, rank, condition)


def _without_negative_eigenvalues(symmetric: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh(symmetric)
    kept = values > 0.0
    root = vectors[:, kept] * np.sqrt(values[kept])
    return np.asarray(root @ root.T)


def _cholesky(definite: Matrix) -> Matrix:
    return np.asarray(np.linalg.cholesky(definite), dtype=np.float64)


def _relative(change: Matrix, to: Matrix) -> float:
    return float(np.linalg.norm(change) / np.linalg.norm(to))
