"""Reverse stress: the least unlikely move of the factors that loses a given amount.

Severity is the Mahalanobis distance, the length of the move in standard deviations of the covariance: among
all moves that lose the amount, the nearest is the likeliest under a normal law.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from firm.errors import DataError
from firm.risk.factor_model import require_finite
from firm.risk.stress_options import option_values
from firm.risk_kernels.contracts import Payoff
from firm.risk_kernels.philox import FACTORS, key_words, philox4x32

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
Pnl = Callable[[Matrix], Vector]
"""P&L float64[m], positive = profit, of the moves float64[m, factors]; deterministic."""

RADIUS = 12.0
"""How many standard deviations away a loss is looked for, by default."""

_STEP = 1e-4
_ROUNDS = 100
_TOLERANCE = 1e-7
_SAME = 1e-3
_MERIT_SLOPE = 1e-4
_HALVINGS = 40
_SHAKE = 0.1
_SHAKES = 4


@dataclass(frozen=True, slots=True, eq=False)
class WorstMove:
    """A move that loses the amount, and nearer than any in its neighbourhood.

    `move` float64[factors]; `loss` what it loses exactly, by full revaluation; `distance` in standard
    deviations; `probability` of a loss at least so large under the normal law: exact where the P&L is linear,
    else of the half-space beyond the move (first order). Not `settled`: the nearest that was found, where the
    search did not come to rest, as at a kink of the P&L.
    """

    move: Vector
    loss: float
    distance: float
    settled: bool = True

    @property
    def probability(self) -> float:
        """See the class."""
        return NormalDist().cdf(-self.distance)


@dataclass(frozen=True, slots=True, eq=False)
class ReverseStress:
    """The distinct local optima found, nearest first, of searches from so many `starts`.

    Empty means that no move along any direction tried within `radius` standard deviations loses the amount: a
    statement about the search, not a proof. Of moves that have not settled, only one nearer than all that
    have is kept.
    """

    optima: tuple[WorstMove, ...]
    starts: int
    radius: float


def linear_reverse_stress(sensitivities: Vector, covariance: Matrix, loss: float) -> WorstMove:
    """The likeliest move that loses `loss`, where P&L = `sensitivities` times the move: in closed form.

    Parameters
    ----------
    sensitivities : float64[n]
        Account currency for a move of 1.00 of each factor.
    covariance : float64[n, n]
        Of the moves, over the horizon that is asked about.
    loss
        Positive, account currency.

    Raises
    ------
    DataError
        If a number is not finite, the loss not positive, or the book does not move under this covariance.

    Source
    ------
    x = -L S d / (d' S d), by minimising x' S^-1 x subject to d' x = -L.

    >>> worst = linear_reverse_stress(np.array([100.0]), np.array([[0.0004]]), 6.0)
    >>> round(float(worst.move[0]), 12), round(worst.distance, 12)
    (-0.06, 3.0)
    """
    _check(covariance, loss)
    require_finite("sensitivities", sensitivities)
    direction = covariance @ sensitivities
    variance = float(sensitivities @ direction)
    if not variance > 0.0:
        raise DataError(
            f"reverse stress needs a book whose P&L varies, found a variance of {variance}; "
            "it has no position in these factors, or they do not move"
        )
    return WorstMove(-loss * direction / variance, loss, loss / sqrt(variance))


def reverse_stress(
    pnl: Pnl, covariance: Matrix, loss: float, *, starts: int = 16, seed: int = 0, radius: float = RADIUS
) -> ReverseStress:
    """The likeliest moves that lose `loss`, for any P&L: local searches from several starts.

    The starts are the steepest descent, both ends of the principal axes, and random directions keyed by
    `seed`, `starts` of each kind at most. Along each, the nearest point that loses the amount is bracketed
    and bisected; from there the nearest point of the surface is found by the improved method of Hasofer,
    Lind, Rackwitz and Fiessler, and shaken, so that a saddle does not pass for an optimum. Deterministic; the
    answer is the best of what was found, not a proof.

    Parameters
    ----------
    pnl
        The book, fully revalued; it is asked for some thousand moves in batches.
    covariance : float64[n, n]
        Of the moves; singular is allowed (moves stay in its range), indefinite is not.
    loss
        Positive, account currency.

    Raises
    ------
    DataError
        If a number is not finite (also of the P&L), the loss not positive or lost without any move, or the
        covariance no covariance.

    Source
    ------
    Zhang and Der Kiureghian, Two improved algorithms for reliability analysis (1995).
    """
    _check(covariance, loss)
    axes = _axes(covariance)

    def gap(points: Matrix) -> Vector:
        found = pnl(points @ axes.T)
        require_finite("P&L in reverse stress", found)
        return found + loss

    at_rest = float(gap(np.zeros((1, axes.shape[1])))[0])
    if at_rest <= 0.0:
        raise DataError(
            f"reverse stress needs a loss that takes a move, found that the book loses {loss - at_rest:g} "
            f"without one, asked for {loss:g}"
        )
    directions = _directions(gap, axes.shape[1], starts, seed)
    shakes = _SHAKE * _normals(_SHAKES, axes.shape[1], seed + 1 if seed < 2**63 else seed - 1)
    reached = [z for direction in directions if (z := _settled(gap, direction, radius, loss)) is not None]
    firm = _distinct([_shaken(gap, z, shakes, radius, loss) for z in _distinct(reached)])
    optima = []
    for i, z in enumerate([z for z in firm if sqrt(float(z @ z)) <= radius]):
        settled = _is_stationary(gap, z)
        if settled or i == 0:
            lost = loss - float(gap(z[None, :])[0])
            optima.append(WorstMove(axes @ z, lost, sqrt(float(z @ z)), settled))
    return ReverseStress(tuple(optima), len(directions), radius)


def contracts_pnl(contracts: npt.NDArray[np.void], quantities: Vector) -> Pnl:
    """The P&L of a book of contracts under log-returns of the factors that their `factor` rows name."""
    require_finite("quantities", quantities)
    used = np.flatnonzero(quantities != 0.0)
    table, signed = contracts[used], quantities[used]
    worth = signed * table["unit"]
    linear = table["payoff"] == Payoff.LINEAR
    options = table[~linear]

    def pnl(moves: Matrix) -> Vector:
        growth = np.expm1(moves[:, table["factor"]])
        total = np.zeros(len(moves))
        for column, value in zip(growth[:, linear].T, (worth * table["price"])[linear], strict=True):
            total += value * column
        if len(options):
            shocked = np.tile(options, (len(moves), 1))
            shocked["spot"] *= 1.0 + growth[:, ~linear]
            gains = option_values(shocked.reshape(-1)).reshape(shocked.shape) - options["price"]
            for column, value in zip(gains.T, worth[~linear], strict=True):
                total += value * column
        return total

    return pnl


def _check(covariance: Matrix, loss: float) -> None:
    if not (isfinite(loss) and loss > 0.0):
        raise DataError(f"reverse stress needs a positive loss, found {loss}")
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise ValueError(f"a covariance needs to be square, found the shape {covariance.shape}")
    require_finite("covariance", covariance)


def _axes(covariance: Matrix) -> Matrix:
    """A with A A' = covariance, one column a principal axis that moves, largest first."""
    if np.abs(covariance - covariance.T).max(initial=0.0) > 1e-9 * np.abs(covariance).max(initial=0.0):
        raise DataError("a covariance needs to be symmetric, found one that is not")
    values, vectors = np.linalg.eigh(covariance)
    largest = float(values[-1]) if values.size else 0.0
    if largest <= 0.0 or float(values[0]) < -1e-9 * largest:
        raise DataError(
            f"a covariance needs eigenvalues that are not negative and not all zero, found {values[0]} to "
            f"{largest}; repair it (firm.risk.nearest_correlation)"
        )
    moving = values > 1e-14 * largest
    signs = np.where(np.take_along_axis(vectors, np.abs(vectors).argmax(0)[None, :], 0) < 0.0, -1.0, 1.0)
    axes: Matrix = (vectors * signs)[:, moving] * np.sqrt(values[moving])
    return axes[:, ::-1]


def _directions(gap: Pnl, dimensions: int, starts: int, seed: int) -> Matrix:
    """Unit vectors float64[., dimensions] to look along."""
    axes = np.eye(dimensions)[:starts]
    slope = _gradient(gap, np.zeros(dimensions))
    steepest = -slope[None, :] if np.any(slope) else np.empty((0, dimensions))
    rows = np.concatenate([steepest, axes, -axes, _normals(starts, dimensions, seed)])
    found: Matrix = rows / np.sqrt((rows**2).sum(1))[:, None]
    return found


def _normals(rows: int, columns: int, seed: int) -> Matrix:
    """Normals float64[rows, columns] that depend on the seed and their place alone."""
    row, column = np.indices((rows, columns)).reshape(2, -1).astype(np.uint64)
    nothing = np.zeros_like(row)
    words = philox4x32.py_func(row, nothing, column, nothing + FACTORS, *key_words(seed))[0]
    quantile = NormalDist().inv_cdf
    normals = [quantile((word + 0.5) / 2.0**32) for word in words.tolist()]
    return np.array(normals).reshape(rows, columns)


def _crossing(gap: Pnl, direction: Vector, radius: float) -> Vector | None:
    """The nearest grid crossing along the direction, bisected; None where the amount is not lost in reach."""
    lengths = np.linspace(0.0, radius, 97)
    below = np.flatnonzero(gap(lengths[:, None] * direction) <= 0.0)
    if not below.size:
        return None
    low, high = float(lengths[below[0] - 1]), float(lengths[below[0]])
    for _ in range(40):
        middle = 0.5 * (low + high)
        if float(gap(middle * direction[None, :])[0]) <= 0.0:
            high = middle
        else:
            low = middle
    return high * direction


def _settled(gap: Pnl, direction: Vector, radius: float, loss: float) -> Vector | None:
    """The nearest point of the surface that the search from this direction ends at; None if there is none."""
    start = _crossing(gap, direction, radius)
    return None if start is None else _nearest(gap, start, 1.5 * radius, loss)


def _shaken(gap: Pnl, z: Vector, shakes: Matrix, radius: float, loss: float) -> Vector:
    """Where the search ends that starts beside z, if that is nearer: z was a saddle then."""
    for shake in shakes:
        direction = z / sqrt(float(z @ z)) + shake
        other = _settled(gap, direction / sqrt(float(direction @ direction)), radius, loss)
        if other is not None and float(other @ other) < float(z @ z) * (1.0 - _SAME):
            z = other
    return z


def _nearest(gap: Pnl, start: Vector, reach: float, loss: float) -> Vector:
    """From a point that loses the amount to one nearest to the origin; the start where that fails."""
    z = start
    for _ in range(_ROUNDS):
        value, slope = float(gap(z[None, :])[0]), _gradient(gap, z)
        steepness = float(slope @ slope)
        if steepness == 0.0:
            break
        step = (float(slope @ z) - value) / steepness * slope - z
        small = sqrt(float(step @ step)) <= _TOLERANCE * max(1.0, sqrt(float(z @ z)))
        if small and abs(value) <= 1e-9 * loss:
            return z
        moved = _searched(gap, z, step, value, sqrt(steepness))
        if moved is None or sqrt(float(moved @ moved)) > reach:
            break
        z = moved
    return z if abs(float(gap(z[None, :])[0])) <= 1e-6 * loss else start


def _searched(gap: Pnl, z: Vector, step: Vector, value: float, steepness: float) -> Vector | None:
    """The point along the step that lessens |z|^2 / 2 + c |gap|; None if none does."""
    weight = 2.0 * sqrt(float(z @ z)) / steepness + 1e-12

    def merit(point: Vector, miss: float) -> float:
        return 0.5 * float(point @ point) + weight * abs(miss)

    before = merit(z, value)
    slope = float(z @ step) - weight * abs(value)
    size = 1.0
    for _ in range(_HALVINGS):
        point = z + size * step
        if merit(point, float(gap(point[None, :])[0])) <= before + _MERIT_SLOPE * size * slope:
            return point
        size *= 0.5
    return None


def _is_stationary(gap: Pnl, z: Vector) -> bool:
    """Whether the move meets the surface at a right angle, to a thousandth."""
    slope = _gradient(gap, z)
    lengths = sqrt(float(z @ z)) * sqrt(float(slope @ slope))
    return lengths > 0.0 and 1.0 + float(z @ slope) / lengths < 1e-6


def _gradient(gap: Pnl, z: Vector) -> Vector:
    """Central differences, all in one batch."""
    steps = _STEP * np.eye(len(z))
    values = gap(np.concatenate([z + steps, z - steps]))
    slope: Vector = (values[: len(z)] - values[len(z) :]) / (2.0 * _STEP)
    return slope


def _distinct(points: list[Vector]) -> list[Vector]:
    """Nearest first, those that only differ by rounding once."""
    kept: list[Vector] = []
    for z in sorted(points, key=lambda z: (round(float(z @ z), 9), *z.tolist())):
        if all(sqrt(float((z - other) @ (z - other))) > _SAME for other in kept):
            kept.append(z)
    return kept
