"""What correlations do in a crisis: all towards one, towards a matrix of the past, or block by block.

And where they are now: the average correlation of the last days against its own history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np
import numpy.typing as npt

from firm.errors import DataError, InsufficientHistory
from firm.risk.factor_model import require_finite
from firm.risk.nearest_correlation import is_psd, nearest_correlation, require_symmetric

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]


class Regime(StrEnum):
    """How closely instruments move together, against their own past."""

    CALM = "calm"
    NORMAL = "normal"
    CRISIS = "crisis"


_AT_ONCE = 32
"""Windows worked on together: for a few dozen instruments they stay in the second-level cache."""


@dataclass(frozen=True, slots=True, eq=False)
class StressedCorrelation:
    """A correlation matrix after a shock.

    `distance` is the Frobenius norm between what the shock asked for and `matrix`, the nearest correlation
    matrix to it (0: the shock was possible as asked); the averages are of the off-diagonal entries.
    """

    name: str
    matrix: Matrix
    distance: float
    average_before: float
    average_after: float


@dataclass(frozen=True, slots=True)
class BlockShock:
    """Set correlations to `value`: among `first`, or between `first` and `second` if that is not empty.

    Column numbers of the matrix. Weight 1 sets, 0 leaves; between, the entries go that part of the way.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]
    value: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class CorrelationRegime:
    """The average correlation of the last window, and its place in history.

    `quantile` is the share of earlier windows below it (equal ones count half); `calm_below` and
    `crisis_above` are the averages at which the regime changes; `windows` overlap, so they are worth about
    `independent` ones.
    """

    regime: Regime
    average: float
    quantile: float
    calm_below: float
    crisis_above: float
    windows: int
    independent: float


def average_correlation(correlation: Matrix) -> float:
    """Mean of the off-diagonal entries of a correlation float64[n, n], n >= 2.

    >>> average_correlation(np.array([[1.0, 0.25], [0.25, 1.0]]))
    0.25
    """
    n = len(correlation)
    if n < 2:
        raise ValueError(f"an average correlation needs at least 2 instruments, found {n}")
    return float((correlation.sum() - np.trace(correlation)) / (n * (n - 1)))


def blend(correlation: Matrix, towards: Matrix, weight: float, name: str) -> StressedCorrelation:
    """A part of the way to another correlation matrix, e.g. one measured in a crisis.

    (1 - weight) * correlation + weight * towards: positive semi-definite if both are, so nothing is repaired.

    Raises
    ------
    DataError
        If a matrix is not symmetric, not finite, or has a negative eigenvalue.
    ValueError
        If shapes disagree, a diagonal is not 1, or weight is not in 0..1.

    >>> crisis = np.array([[1.0, 0.75], [0.75, 1.0]])
    >>> blend(np.eye(2), crisis, 0.5, "half way to 2008").average_after
    0.375
    """
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"the weight of a blend needs to be in 0..1, found {weight}")
    for what, matrix in (("the correlation", correlation), ("the crisis correlation", towards)):
        _require_correlation(what, matrix)
    if correlation.shape != towards.shape:
        raise ValueError(f"a blend needs matrices of one shape, found {correlation.shape}, {towards.shape}")
    blended = (1.0 - weight) * correlation + weight * towards
    np.fill_diagonal(blended, 1.0)
    before, after = average_correlation(correlation), average_correlation(blended)
    return StressedCorrelation(name, blended, 0.0, before, after)


def blend_to_one(correlation: Matrix, weight: float) -> StressedCorrelation:
    """All correlations a part of the way to 1: what diversification is worth when everything falls together.

    Raises as `blend`. At weight 1 the matrix is singular (rank 1): factorise it with a jitter.

    >>> blend_to_one(np.eye(2), 0.5).matrix.tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    return blend(correlation, np.ones_like(correlation), weight, f"correlations {weight:g} of the way to 1")


def block_shock(correlation: Matrix, shocks: Sequence[BlockShock], name: str) -> StressedCorrelation:
    """Shocked blocks, and the nearest correlation matrix to what they ask for.

    Raising two sectors to 0.9 with each other but not with the rest may be impossible; then every entry
    moves a little, and `distance` says how much in all.

    Raises
    ------
    DataError
        As `blend`; and if the projection did not settle.
    ValueError
        If a column does not exist or is in both blocks, a value is not in -1..1, a weight not in 0..1, or a
        block names no pair.

    >>> block_shock(np.eye(3), [BlockShock((0, 1), (), 0.5)], "pair").matrix[0].tolist()
    [1.0, 0.5, 0.0]
    """
    _require_correlation("the correlation", correlation)
    wanted = correlation.copy()
    for shock in shocks:
        for i, j in _pairs(shock, len(correlation)):
            entry = (1.0 - shock.weight) * wanted[i, j] + shock.weight * shock.value
            wanted[i, j] = wanted[j, i] = entry
    nearest = nearest_correlation(wanted)
    before, after = average_correlation(correlation), average_correlation(nearest.matrix)
    return StressedCorrelation(name, nearest.matrix, nearest.distance, before, after)


def rolling_average_correlation(returns: Matrix, window: int, step: int = 1) -> Vector:
    """Average correlation of windows of days, oldest first: the last one, and one every `step` days before.

    By the variance of the sum of standardised returns, so no window needs its n x n matrix. An instrument
    that stands still in a window is left out of it.

    Parameters
    ----------
    returns : float64[days, n]
        Complete daily returns, oldest first.
    window : int
        Days a window, at least 3.
    step : int
        With 1 the result is float64[days - window + 1]: every window.

    Raises
    ------
    DataError
        If a return is NaN or infinite, or fewer than two instruments move in a window.
    InsufficientHistory
        If there are fewer days than one window.
    ValueError
        If the shape is not (days, n) with n >= 2, window < 3, or step < 1.

    >>> days = np.arange(10.0)
    >>> rolling_average_correlation(np.column_stack([days % 3, -(days % 3)]), 9).round(9).tolist()
    [-1.0, -1.0]
    """
    if returns.ndim != 2 or returns.shape[1] < 2 or window < 3 or step < 1:
        raise ValueError(
            "an average correlation needs returns (days, 2 or more), a window of 3 days or more and a step "
            f"of 1 or more, found {returns.shape}, {window} and {step}"
        )
    require_finite("returns", returns)
    if len(returns) < window:
        raise InsufficientHistory(f"a window of {window} days needs as many returns, found {len(returns)}")
    windows = np.lib.stride_tricks.sliding_window_view(returns, window, axis=0)
    windows = windows[(len(windows) - 1) % step :: step]
    parts = [_averages(windows[i : i + _AT_ONCE], i) for i in range(0, len(windows), _AT_ONCE)]
    return np.concatenate(parts)


def correlation_regime(
    returns: Matrix,
    window: int,
    calm_quantile: float,
    crisis_quantile: float,
    windows_min: int,
    step: int = 1,
) -> CorrelationRegime:
    """Calm, normal or crisis: where the last window's average correlation lies among those before it.

    The window is compared with the earlier ones, those that overlap it included, one every `step` days. Not
    above and not below is normal, so a history of equal averages is normal.

    Parameters
    ----------
    returns : float64[days, n]
        Complete daily returns, oldest first, n >= 2.
    window : int
        Days of one average, at least 3.
    calm_quantile, crisis_quantile : float
        0 < calm < crisis < 1: below the average at the first is calm, above that at the second is crisis.
    windows_min : int
        Fewest earlier windows to compare with, at least 1.

    Raises
    ------
    DataError, ValueError
        As `rolling_average_correlation`; ValueError if the quantiles or windows_min are out of bounds.
    InsufficientHistory
        If there are fewer earlier windows than windows_min.
    """
    if not 0.0 < calm_quantile < crisis_quantile < 1.0 or windows_min < 1:
        raise ValueError(
            f"a regime needs 0 < calm < crisis < 1 and at least 1 window to compare with, found "
            f"{calm_quantile}, {crisis_quantile} and {windows_min}"
        )
    if len(returns) < window + windows_min * step:
        raise InsufficientHistory(
            f"a regime needs {window + windows_min * step} returns ({windows_min} windows of {window} days "
            f"before the last), found {len(returns)}; load more history"
        )
    averages = rolling_average_correlation(returns, window, step)
    past, now = averages[:-1], float(averages[-1])
    calm, crisis = (float(np.quantile(past, q)) for q in (calm_quantile, crisis_quantile))
    rounding = 1e-12  # averages of the same correlations differ in the last bits
    below = np.count_nonzero(past < now - rounding)
    equal = np.count_nonzero(np.abs(past - now) <= rounding)
    regime = Regime.NORMAL
    if now > crisis + rounding:
        regime = Regime.CRISIS
    elif now < calm - rounding:
        regime = Regime.CALM
    quantile = (below + 0.5 * equal) / len(past)
    independent = len(returns) / window - 1.0
    return CorrelationRegime(regime, now, float(quantile), calm, crisis, len(past), independent)


def _averages(windows: npt.NDArray[np.float64], first: int) -> Vector:
    """Average correlation in each of `windows` float64[count, n, days]; the first has number `first`."""
    moving = np.ptp(windows, axis=2) > 0.0
    n = moving.sum(axis=1)
    if (n < 2).any():
        start = first + int(np.argmax(n < 2))
        raise DataError(
            f"an average correlation needs 2 instruments that move, found {int(n.min())} in days {start} to "
            f"{start + windows.shape[2] - 1}; their prices are stale"
        )
    centred = windows - windows.mean(axis=2, keepdims=True)
    deviations = np.sqrt((centred * centred).mean(axis=2, keepdims=True))
    standard = np.where(moving[:, :, None], centred / np.where(moving[:, :, None], deviations, 1.0), 0.0)
    total = standard.sum(axis=1)
    return np.asarray(((total * total).mean(axis=1) - n) / (n * (n - 1)))


def _pairs(shock: BlockShock, n: int) -> list[tuple[int, int]]:
    columns = (*shock.first, *shock.second)
    known = all(0 <= column < n for column in columns)
    if not known or len(set(columns)) < len(columns) or not abs(shock.value) <= 1.0:
        raise ValueError(
            f"a block shock needs different columns in 0..{n - 1} and a value in -1..1, found {columns} and "
            f"{shock.value}"
        )
    if not 0.0 <= shock.weight <= 1.0:
        raise ValueError(f"the weight of a block shock needs to be in 0..1, found {shock.weight}")
    if shock.second:
        pairs = [(i, j) for i in shock.first for j in shock.second]
    else:
        pairs = list(combinations(shock.first, 2))
    if not pairs:
        raise ValueError(f"a block shock needs at least one pair, found columns {columns}")
    return pairs


def _require_correlation(what: str, matrix: Matrix) -> None:
    require_symmetric(what, matrix)
    diagonal = np.diag(matrix)
    if float(np.abs(diagonal - 1.0).max()) > 1e-9:
        low, high = float(diagonal.min()), float(diagonal.max())
        raise ValueError(f"{what} needs 1 on its diagonal, found {low:.9g} to {high:.9g}")
    if not is_psd(matrix):
        raise DataError(
            f"{what} needs eigenvalues of at least 0, found {np.linalg.eigvalsh(matrix)[0]:.6g}; take its "
            "nearest correlation matrix first"
        )
