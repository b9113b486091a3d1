"""The correlations risk works with at a decision: closes in, a matrix that can be relied on out.

Every estimate is a correlation matrix (positive semi-definite, unit diagonal), says which instruments it
covers, how it was made and how much had to be repaired, and in which regime the market is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from firm.errors import DataError, InsufficientHistory
from firm.risk.correlation_estimators import (
    Target,
    asynchronous_correlation,
    ledoit_wolf,
    pairwise_correlation,
)
from firm.risk.correlation_stress import (
    CorrelationRegime,
    StressedCorrelation,
    blend_to_one,
    correlation_regime,
)
from firm.risk.factor_model import MINIMUM_DAYS, covariance_matrix
from firm.risk.nearest_correlation import nearest_correlation, with_unit_diagonal

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Method(StrEnum):
    """How correlations are estimated; all but PAIRWISE use only bars with a return of every instrument."""

    SAMPLE = "sample"
    EWMA = "ewma"
    SHRUNK_CONSTANT = "ledoit-wolf, constant correlation"
    SHRUNK_IDENTITY = "ledoit-wolf, identity"
    LEAD_LAG = "lead-lag"
    PAIRWISE = "pairwise"


@dataclass(frozen=True, slots=True)
class CorrelationSettings:
    """What the manager goes by.

    `history_bars` returns are looked at, an instrument needs `min_history_bars` of them. `decay` is for EWMA
    (RiskMetrics: 0.94), `lags` for LEAD_LAG. Regimes: see `correlation_regime`. `stress_weights` are the
    parts of the way to correlation one that `CorrelationManager.stressed` goes.
    """

    method: Method
    history_bars: int
    min_history_bars: int
    decay: float
    lags: int
    regime_window: int
    regime_windows_min: int
    regime_step: int
    calm_quantile: float
    crisis_quantile: float
    stress_weights: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse settings under which no estimate could be made: ValueError."""
        if not MINIMUM_DAYS <= self.min_history_bars <= self.history_bars:
            raise ValueError(
                f"correlations need {MINIMUM_DAYS} <= min_history_bars <= history_bars, found "
                f"{self.min_history_bars} and {self.history_bars}"
            )
        if not 0.0 < self.decay < 1.0 or self.lags < 1:
            raise ValueError(
                f"correlations need decay in (0, 1) and lags >= 1, found {self.decay} and {self.lags}"
            )
        quantiles = 0.0 < self.calm_quantile < self.crisis_quantile < 1.0
        if not quantiles or self.regime_window < 3 or min(self.regime_windows_min, self.regime_step) < 1:
            raise ValueError(
                "correlations need regimes with 0 < calm < crisis < 1, a window of 3 bars or more and one to "
                f"compare with, found {self.calm_quantile}, {self.crisis_quantile}, {self.regime_window} "
                f"and {self.regime_windows_min}"
            )
        if not all(0.0 <= weight <= 1.0 for weight in self.stress_weights):
            raise ValueError(f"correlations need stress weights in 0..1, found {self.stress_weights}")


@dataclass(frozen=True, slots=True, eq=False)
class CorrelationEstimate:
    """Correlation and volatility of the instruments that could be measured.

    `measured` bool[n] says which of the closes' columns are in; `matrix` float64[m, m] and `volatility`
    float64[m] (of one bar) have those only. `distance` is the Frobenius norm of the repair (0: none was
    needed) of a matrix whose smallest eigenvalue was `smallest_eigenvalue`; `shrinkage` the intensity in 0..1
    (0: the method does not shrink); `condition` largest over smallest eigenvalue of `matrix` (infinite:
    singular), `rank` the eigenvalues above 1e-12 of the largest. `regime` says why where there is none.
    """

    measured: Flags
    matrix: Matrix
    volatility: Vector
    method: Method
    bars: int
    shrinkage: float
    distance: float
    smallest_eigenvalue: float
    projections: int
    condition: float
    rank: int
    regime: CorrelationRegime | str

    def covariance(self) -> Matrix:
        """float64[m, m]: of one bar's returns."""
        return np.asarray(self.matrix * np.outer(self.volatility, self.volatility))

    def summary(self) -> str:
        """One line for the log: method, size, repair, conditioning and regime."""
        regime = self.regime if isinstance(self.regime, str) else f"{self.regime.regime.value}"
        return (
            f"correlation of {len(self.matrix)} instruments, {self.method.value}, {self.bars} bars: repair "
            f"distance {self.distance:.6g} (smallest eigenvalue {self.smallest_eigenvalue:.3g}), condition "
            f"{self.condition:.3g}, rank {self.rank}, regime {regime}"
        )


class CorrelationManager:
    """Estimates by one set of settings; keeps nothing between estimates."""

    def __init__(self, settings: CorrelationSettings, close_groups: Sequence[int] | None = None) -> None:
        """`close_groups`: for LEAD_LAG, a number a column, equal where markets close together."""
        self._settings = settings
        self._close_groups = None if close_groups is None else tuple(close_groups)

    def estimate(self, closes: Matrix) -> CorrelationEstimate:
        """The correlations of `closes` float64[bars, n], oldest first, NaN where there was none.

        An instrument is measured if it has enough returns and does not stand still; for PAIRWISE, also with
        each other one: those with the most pairs of too few common bars are left out.

        Raises
        ------
        DataError
            If a close is not positive, or infinite; or as the method raises.
        InsufficientHistory
            If fewer than two instruments can be measured, or there are too few bars with all of them.
        ValueError
            If the shape is not (bars, n) or there is not one closing group a column.
        """
        settings = self._settings
        if self._close_groups is not None and closes.ndim == 2 and len(self._close_groups) != closes.shape[1]:
            raise ValueError(
                f"closing groups need one number a column, found {len(self._close_groups)} for "
                f"{closes.shape[1]}"
            )
        returns = _returns(closes, settings.history_bars)
        measured, usable = self._usable(returns)
        raw, volatility, shrinkage = self._raw(usable, measured)
        nearest = nearest_correlation(raw)
        values = np.linalg.eigvalsh(nearest.matrix)
        singular = bool(values[0] <= 1e-12 * values[-1])
        return CorrelationEstimate(
            measured=measured,
            matrix=nearest.matrix,
            volatility=volatility,
            method=settings.method,
            bars=len(usable),
            shrinkage=shrinkage,
            distance=nearest.distance,
            smallest_eigenvalue=nearest.smallest_eigenvalue,
            projections=nearest.iterations,
            condition=float("inf") if singular else float(values[-1] / values[0]),
            rank=int(np.count_nonzero(values > 1e-12 * values[-1])),
            regime=self._regime(returns[:, measured]),
        )

    def stressed(self, estimate: CorrelationEstimate) -> tuple[StressedCorrelation, ...]:
        """The estimate with all correlations some of the way to one, by the configured weights in order."""
        return tuple(blend_to_one(estimate.matrix, weight) for weight in self._settings.stress_weights)

    def _usable(self, returns: Matrix) -> tuple[Flags, Matrix]:
        """Which columns can be measured, and their returns: complete bars, or all for PAIRWISE."""
        needed = self._settings.min_history_bars
        known = np.isfinite(returns)
        measured = known.sum(axis=0) >= needed
        measured[measured] = _moves(returns[:, measured])
        complete = returns[known[:, measured].all(axis=1)][:, measured]
        if self._settings.method is Method.PAIRWISE:
            measured[measured] = _overlapping(known[:, measured], needed)
            usable = returns[:, measured]
        else:
            usable = complete
            if len(complete) >= needed:
                moving = _moves(complete)
                measured[measured], usable = moving, complete[:, moving]
        if usable.shape[1] < 2 or len(usable) < needed:
            raise InsufficientHistory(
                f"correlations need {needed} bars with a return of each of at least 2 instruments, found "
                f"{len(usable)} bars for {usable.shape[1]} of {returns.shape[1]} that have enough returns "
                "and move; load more history or exclude the instruments with the fewest"
            )
        return measured, np.ascontiguousarray(usable)

    def _raw(self, usable: Matrix, measured: Flags) -> tuple[Matrix, Vector, float]:
        """Correlations as estimated, volatilities, shrinkage."""
        settings, shrinkage = self._settings, 0.0
        match settings.method:
            case Method.PAIRWISE:
                raw, _ = pairwise_correlation(usable, settings.min_history_bars)
                return raw, np.asarray(np.nanstd(usable, axis=0, ddof=1)), shrinkage
            case Method.LEAD_LAG:
                groups = self._close_groups
                if groups is not None:
                    groups = tuple(group for group, keep in zip(groups, measured, strict=True) if keep)
                raw = asynchronous_correlation(usable, groups, settings.lags)
                return raw, np.asarray(usable.std(axis=0, ddof=1)), shrinkage
            case Method.SHRUNK_CONSTANT | Method.SHRUNK_IDENTITY:
                constant = settings.method is Method.SHRUNK_CONSTANT
                shrunk = ledoit_wolf(usable, Target.CONSTANT_CORRELATION if constant else Target.IDENTITY)
                covariance, shrinkage = shrunk.covariance, shrunk.intensity
            case Method.EWMA:
                covariance = covariance_matrix(usable, settings.decay)
            case Method.SAMPLE:
                covariance = covariance_matrix(usable)
        return with_unit_diagonal(covariance), np.sqrt(np.diag(covariance)), shrinkage

    def _regime(self, returns: Matrix) -> CorrelationRegime | str:
        settings = self._settings
        complete = returns[np.isfinite(returns).all(axis=1)]
        needed = settings.regime_window + settings.regime_windows_min * settings.regime_step
        if len(complete) < needed:
            return f"unknown: a regime needs {needed} complete bars, found {len(complete)}"
        try:
            return correlation_regime(
                complete,
                settings.regime_window,
                settings.calm_quantile,
                settings.crisis_quantile,
                settings.regime_windows_min,
                settings.regime_step,
            )
        except DataError as error:  # some stood still for a whole window: a fact of the market, not a fault
            return f"unknown: {error}"


def _returns(closes: Matrix, bars: int) -> Matrix:
    """Log-returns of the last bars, NaN where a close is missing."""
    if closes.ndim != 2 or not closes.shape[1]:
        raise ValueError(f"closes need the shape (bars, instruments), found {closes.shape}")
    last = closes[-bars - 1 :]
    wrong = np.isinf(last) | (last <= 0.0)
    if wrong.any():
        raise DataError(
            f"closes need to be positive and finite (or missing), found {int(wrong.sum())} others in columns "
            f"{np.flatnonzero(wrong.any(axis=0)).tolist()}; repair or exclude them"
        )
    return np.asarray(np.diff(np.log(last), axis=0))


def _overlapping(known: Flags, needed: int) -> Flags:
    """Which columns of bool[bars, n] to keep so that each pair has `needed` common bars."""
    keep = np.ones(known.shape[1], dtype=np.bool_)
    present = known.astype(np.float64)
    counts = present.T @ present
    while True:
        thin = (counts < needed) & keep[:, None] & keep[None, :]
        if not thin.any():
            return keep
        keep[int(thin.sum(axis=1).argmax())] = False


def _moves(returns: Matrix) -> Flags:
    """Which columns change at all; missing returns aside."""
    if not returns.size:
        return np.zeros(returns.shape[1], dtype=np.bool_)
    return np.asarray(np.nanmax(returns, axis=0) > np.nanmin(returns, axis=0))
