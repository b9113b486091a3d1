"""Which position carries how much of VaR and ES: marginal, component and incremental contributions.

Euler: VaR and ES grow in proportion to the book, so quantity times slope, summed over positions, is the
whole. The slope of ES is the mean loss of one unit over the tail, with the tail's weights. The slope of VaR
is the loss of one unit in one scenario, which is noise; it is averaged over neighbouring order statistics and
rescaled.

Sources: Tasche, Risk contributions and performance measurement (1999); Hull, Risk Management and Financial
Institutions (2015), chapter 12.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import floor
from typing import NamedTuple

import numpy as np

from firm.risk_kernels.contracts import Contracts, FactorLaw, Ladders, Matrix, Vector
from firm.risk_kernels.montecarlo import scenario_columns
from firm.risk_kernels.normals import BLOCK
from firm.risk_kernels.pretrade import Rank, add_column, rounding, stream_var_es
from firm.risk_kernels.tail import (
    Indices,
    merge_tails,
    pairwise_sum,
    shard_tail,
    tail_mass,
)

_WINDOW_SHARE = 0.1
_REPLAYED_BLOCKS = 8


class Contributions(NamedTuple):
    """Of each of n positions to a loss figure of the book: float64[n] each, positive = adds to the loss.

    `marginal` is per unit held (per unit of money for a covariance), `component` is that times what is held
    and sums to the figure, `incremental` is the figure less that of the book without the position.
    """

    marginal: Vector
    component: Vector
    incremental: Vector


class TailContributions(NamedTuple):
    """VaR and ES of a book and the marginal contributions to each: float64[n] a unit, positive = adds."""

    var: float
    es: float
    var_marginal: Vector
    es_marginal: Vector


def tail_contributions(
    columns: Matrix, quantities: Vector, scenarios: int, confidence: float, es_confidence: float
) -> TailContributions:
    """From the worst scenarios alone, for instance replayed ones (`replayed_columns`).

    Parameters
    ----------
    columns : float64[n, k]
        P&L of one unit of each position in the k worst scenarios of the book, worst first; `tail_rows` says
        how many are needed.
    quantities : float64[n]
        Signed units held.
    scenarios : int
        Of the whole run.
    confidence, es_confidence : float
        Of VaR and of ES.

    Raises
    ------
    ValueError
        If there are too few columns or they are not worst first, a value is not finite, or shapes disagree.

    >>> tail = np.array([[-4.0, -1.0], [0.0, -1.0]])
    >>> found = tail_contributions(tail, np.array([2.0, 1.0]), 100, 0.99, 0.99)
    >>> found.var, found.es, (found.es_marginal * [2.0, 1.0]).tolist()
    (3.0, 8.0, [8.0, -0.0])
    """
    needed = tail_rows(scenarios, confidence, es_confidence)
    if columns.ndim != 2 or quantities.shape != columns.shape[:1] or columns.shape[1] < needed:
        raise ValueError(
            f"contributions need columns (n, {needed} or more) and quantities (n,), found {columns.shape} "
            f"and {quantities.shape}"
        )
    losses = -_book_pnl(columns, quantities)
    if np.any(losses[1:] > losses[:-1] + 1e-9 * np.abs(losses[:-1])):
        raise ValueError(
            "the scenarios of a tail need to be worst first, found a milder one before a worse one"
        )
    at, mass = Rank.of(scenarios, confidence).worse, tail_mass(scenarios, es_confidence)
    var, var_marginal = float(losses[at]), _slope_of_var(columns, losses, at)
    weights = np.minimum(np.maximum(mass - np.arange(columns.shape[1]), 0.0), 1.0) / mass
    es_marginal = -pairwise_sum(np.ascontiguousarray((columns * weights).T))
    return TailContributions(var, float(pairwise_sum(losses * weights)), var_marginal, es_marginal)


def tail_rows(scenarios: int, confidence: float, es_confidence: float) -> int:
    """How many of the worst scenarios `tail_contributions` needs.

    >>> tail_rows(1000, 0.99, 0.975)
    26
    """
    at = Rank.of(scenarios, confidence).worse
    return min(scenarios, 1 + max(at + _half_window(at), Rank.of(scenarios, es_confidence).worse))


def scenario_contributions(
    columns: Sequence[Matrix], quantities: Vector, confidence: float, es_confidence: float
) -> tuple[Contributions, Contributions]:
    """Contributions to VaR and to ES from all scenarios.

    Parameters
    ----------
    columns : sequence of float64[n, S_j]
        The shards in order: P&L of one unit of each position, rows contiguous.
    quantities : float64[n]
        Signed units held.

    Returns
    -------
    (Contributions, Contributions)
        The same bits however the scenarios are cut. Incremental figures are exact: every book without one
        position is measured.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, or the tail is empty.
    """
    columns = [shard for shard in columns if shard.shape[1]]
    edges = np.cumsum([0, *(shard.shape[1] for shard in columns)])
    scenarios = int(edges[-1])
    base = np.zeros(scenarios)
    bases = [base[first:end] for first, end in pairwise(edges)]
    for held in np.flatnonzero(quantities).tolist():
        for part, shard in zip(bases, columns, strict=True):
            add_column(part, shard[held], float(quantities[held]))
    rows = tail_rows(scenarios, confidence, es_confidence)
    tails = [shard_tail(part, int(first), rows) for part, first in zip(bases, edges, strict=False)]
    tail = merge_tails(tails, rows)
    found = tail_contributions(
        _rows_of(columns, edges, tail.index), quantities, scenarios, confidence, es_confidence
    )
    without = _without_each(bases, columns, quantities, confidence, es_confidence)
    return (
        Contributions(found.var_marginal, found.var_marginal * quantities, found.var - without[0]),
        Contributions(found.es_marginal, found.es_marginal * quantities, found.es - without[1]),
    )


def covariance_contributions(covariance: Matrix, exposures: Vector, figure: float) -> Contributions:
    """Contributions to VaR or ES of a linear book whose P&L has mean zero: any figure in proportion to sigma.

    Parameters
    ----------
    covariance : float64[n, n]
        Of the returns over the horizon; symmetric, positive semi-definite.
    exposures : float64[n]
        Signed market value in account currency.
    figure : float
        The book's VaR or ES, in account currency.

    Returns
    -------
    Contributions
        component_i = w_i (C w)_i figure / sigma^2. All zero for a book without variance.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, or the book's variance is negative.

    >>> covariance_contributions(np.diag([0.0004, 0.0001]), np.array([1e6, 1e6]), 52_000.0).component.tolist()
    [41600.0, 10400.0]
    """
    n = len(exposures)
    if exposures.ndim != 1 or covariance.shape != (n, n):
        raise ValueError(
            f"covariance (n, n) and exposures (n,) need one n, found {covariance.shape}, {exposures.shape}"
        )
    _require_finite("covariance", covariance)
    _require_finite("exposures", exposures)
    slopes = covariance @ exposures
    variance = float(exposures @ slopes)
    gross = float(np.abs(exposures) @ np.abs(covariance) @ np.abs(exposures))
    if not abs(variance) > 1e-15 * gross:
        return Contributions(np.zeros(n), np.zeros(n), np.zeros(n))
    if variance < 0.0:
        raise ValueError(
            f"a covariance needs to give the book a variance of at least 0, found {variance:.6g}"
        )
    marginal = slopes * (figure / variance)
    without = variance - 2.0 * exposures * slopes + exposures**2 * np.diag(covariance)
    incremental = figure * (1.0 - np.sqrt(np.maximum(without, 0.0) / variance))
    return Contributions(marginal, exposures * marginal, incremental)


def replayed_columns(
    scenarios: Indices, law: FactorLaw, contracts: Contracts, seed: int, ladders: Ladders | None = None
) -> Matrix:
    """P&L of one unit of each contract in scenarios of these numbers, computed again from the seed.

    For a run whose columns were too large to keep: the bits of `montecarlo.scenario_columns`. Whole blocks
    are recomputed, so scenarios all over a run cost up to the run itself, but no memory.

    Parameters
    ----------
    scenarios : int64[k]
        Numbers in the run, in any order.
    law, contracts, seed, ladders
        As the run had.

    Returns
    -------
    float64[n, k]
        In the order asked.
    """
    columns = np.empty((len(contracts), len(scenarios)))
    for first, blocks in _stretches(np.unique(scenarios // BLOCK)):
        start = first * BLOCK
        mine = np.flatnonzero((scenarios >= start) & (scenarios < start + blocks * BLOCK))
        computed = scenario_columns(first, blocks, law, contracts, seed, ladders=ladders)
        columns[:, mine] = computed[:, scenarios[mine] - start]
    return columns


def _stretches(blocks: Indices) -> Iterator[tuple[int, int]]:
    """First block and number of blocks of pieces that together contain these ascending ones."""
    at = 0
    while at < len(blocks):
        first = int(blocks[at])
        end = int(np.searchsorted(blocks, first + _REPLAYED_BLOCKS))
        yield first, int(blocks[end - 1]) - first + 1
        at = end


def _book_pnl(columns: Matrix, quantities: Vector) -> Vector:
    """Summed as a run sums: position after position."""
    _require_finite("quantities", quantities)
    pnl = np.zeros(columns.shape[1])
    for held in np.flatnonzero(quantities).tolist():
        pnl += quantities[held] * columns[held]
    _require_finite("P&L", pnl)
    return pnl


def _slope_of_var(columns: Matrix, losses: Vector, at: int) -> Vector:
    """Mean loss of one unit in the scenarios around VaR, scaled so that the components sum to VaR.

    Where the window's mean is nowhere near VaR, which then is next to nothing, its own scenario stands alone.
    """
    half = min(_half_window(at), columns.shape[1] - 1 - at)
    window = slice(at - half, at + half + 1)
    mean = float(pairwise_sum(losses[window])) / (2 * half + 1)
    if not 0.5 * mean < losses[at] < 2.0 * mean:
        return -columns[:, at]
    slopes = -pairwise_sum(np.ascontiguousarray(columns[:, window].T)) / (2 * half + 1)
    return np.asarray(slopes * (losses[at] / mean))


def _half_window(at: int) -> int:
    return floor(_WINDOW_SHARE * at)


def _rows_of(columns: Sequence[Matrix], edges: Indices, scenarios: Indices) -> Matrix:
    rows = np.empty((len(columns[0]), len(scenarios)))
    for shard, (first, end) in zip(columns, pairwise(edges), strict=True):
        mine = np.flatnonzero((scenarios >= first) & (scenarios < end))
        rows[:, mine] = shard[:, scenarios[mine] - first]
    return rows


def _without_each(
    bases: Sequence[Vector],
    columns: Sequence[Matrix],
    quantities: Vector,
    confidence: float,
    es_confidence: float,
) -> tuple[Vector, Vector]:
    """VaR and ES of the book without each position."""
    scenarios = sum(len(base) for base in bases)
    ranks = [Rank.of(scenarios, value) for value in (confidence, es_confidence)]
    largest = max(float(np.abs(base).max()) for base in bases)
    var, es = np.empty(len(quantities)), np.empty(len(quantities))
    for i, quantity in enumerate(quantities.tolist()):
        parts = [shard[i] for shard in columns] if quantity else list(bases)
        bound = largest + abs(quantity) * max(float(np.abs(part).max()) for part in parts)
        found = stream_var_es(bases, parts, -quantity, ranks, rounding(bound, scenarios))
        var[i], es[i] = found[0][0], found[1][1]
    return var, es


def _require_finite(name: str, values: Matrix | Vector) -> None:
    if bad := int(np.count_nonzero(~np.isfinite(values))):
        raise ValueError(f"{name} need to be finite, found {bad} NaN or infinite of {values.size}")
