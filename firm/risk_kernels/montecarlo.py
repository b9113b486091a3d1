"""Monte Carlo P&L of a linear book under a factor model: the same bits for every split over a cluster.

Scenario s of a run is a pure function of (seed, s): its random words come from the counter (s, dimension,
stream), and every sum runs inside its own lane, in the order of factors and instruments. So any shards of
whole blocks, on any number of workers and any x86 level, put together the same vector.

Source: McNeil, Frey and Embrechts, Quantitative Risk Management (2015), chapters 6 (normal variance
mixtures, factor models) and 9 (Monte Carlo).
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from firm.risk_kernels.elementary import expm1, fma, lane_loop
from firm.risk_kernels.normals import (
    BLOCK,
    Matrix,
    Vector,
    fill_normals,
    fill_student_scale,
    fill_words,
)
from firm.risk_kernels.philox import FACTORS, IDIOSYNCRATIC, key_words

__all__ = ["BLOCK", "scenario_columns", "scenario_pnl", "warm_up"]

_BLOCKS_MAX = 2**40
_DEGREES_MAX = 200
_Input1 = types.Array(types.float64, 1, "C", readonly=True)
_Input2 = types.Array(types.float64, 2, "C", readonly=True)
_SIGNATURE = types.void(
    types.float64[:, ::1],  # out: total, zero on entry
    types.float64[:, :, ::1],  # out: columns
    types.int64,  # first block
    _Input2,
    _Input1,
    _Input1,
    _Input1,
    types.int64,  # half the degrees of freedom
    types.uint64,
    types.uint64,
)
"""Read-only inputs: what comes out of an object store cannot be written, and a writable array passes too."""


@lane_loop
def _factor_returns(x: Matrix, q: int, deviation: float, loadings: Matrix, i: int, f: Matrix) -> None:
    """x[q] <- deviation x[q] + loadings[i] f, one factor after the other, four in a pass over the lanes."""
    for lane in range(BLOCK):
        x[q, lane] *= deviation
    for k in range(0, f.shape[0], 4):
        l0, l1, l2, l3 = loadings[i, k], loadings[i, k + 1], loadings[i, k + 2], loadings[i, k + 3]
        for lane in range(BLOCK):
            s = fma(l0, f[k, lane], x[q, lane])
            s = fma(l1, f[k + 1, lane], s)
            s = fma(l2, f[k + 2, lane], s)
            x[q, lane] = fma(l3, f[k + 3, lane], s)


@lane_loop
def _add_pnl(
    total: Matrix, block: int, x: Matrix, q: int, scale: Vector, drift: float, exposure: float
) -> None:
    """x[q] <- the P&L of the instrument, and total[block] += it."""
    for lane in range(BLOCK):
        value = exposure * expm1(fma(scale[lane], x[q, lane], drift))
        x[q, lane] = value
        total[block, lane] += value


@lane_loop
def _store_column(columns: Any, i: int, block: int, x: Matrix, q: int) -> None:
    for lane in range(BLOCK):
        columns[i, block, lane] = x[q, lane]


def _pnl_blocks(
    total: Matrix,
    columns: Any,
    first_block: int,
    loadings: Matrix,
    idiosyncratic: Vector,
    drift: Vector,
    exposures: Vector,
    half_nu: int,
    k0: int,
    k1: int,
) -> None:
    """Add to total[block, lane], and fill columns[instrument, block, lane] as far as it has instruments.

    Instruments and factors come in multiples of four (padded with zeros): four normals a counter.
    """
    n, factors = loadings.shape
    words = np.empty((4, BLOCK), np.uint64)
    f = np.empty((factors, BLOCK))
    x = np.empty((4, BLOCK))
    scale = np.empty(BLOCK)
    for block in range(total.shape[0]):
        first = np.uint64((first_block + block) * BLOCK)
        for k in range(0, factors, 4):
            fill_words(words, first, np.uint64(k // 4), FACTORS, k0, k1)
            fill_normals(f, k, words)
        fill_student_scale(scale, words, first, half_nu, k0, k1)
        for i in range(0, n, 4):
            fill_words(words, first, np.uint64(i // 4), IDIOSYNCRATIC, k0, k1)
            fill_normals(x, 0, words)
            for q in range(4):
                _factor_returns(x, q, idiosyncratic[i + q], loadings, i + q, f)
                _add_pnl(total, block, x, q, scale, drift[i + q], exposures[i + q])
                if i + q < columns.shape[0]:
                    _store_column(columns, i + q, block, x, q)


@cache
def _compiled() -> Any:
    """The kernel in machine code, made once a process at the first call (`warm_up`)."""
    return njit(_SIGNATURE, nogil=True, error_model="numpy")(_pnl_blocks)


def warm_up() -> None:
    """Compile the kernel now (about three seconds a process), so that no run pays for it."""
    one = np.ones(1)
    scenario_pnl(0, 1, np.ones((1, 1)), one, one, one, seed=0)


def scenario_pnl(
    first_block: int,
    blocks: int,
    loadings: Matrix,
    idiosyncratic: Vector,
    drift: Vector,
    exposures: Vector,
    seed: int,
    degrees_of_freedom: int = 0,
) -> Vector:
    """P&L of a linear book in scenarios first_block * BLOCK .. (first_block + blocks) * BLOCK - 1.

    The log-return of instrument i in scenario s is x = drift_i + t_s (sum_j loadings_ij f_sj +
    idiosyncratic_i e_si) with independent standard normal f, e; the P&L is the sum of
    exposures_i (exp(x) - 1). With `degrees_of_freedom` 0, t_s is 1. With nu, t_s is the square root of
    nu over a chi-square of nu degrees, one draw for all instruments: x is multivariate Student-t whose
    *dispersion* is loadings loadings' + idiosyncratic^2 and whose covariance is nu / (nu - 2) times that.
    To keep a covariance, scale both by sqrt((nu - 2) / nu) first.

    Parameters
    ----------
    first_block, blocks : int
        The shard: whole blocks of BLOCK scenarios, numbered from 0 over the whole run.
    loadings : float64[n, k]
        Log-return of the horizon per unit of each standardised factor.
    idiosyncratic : float64[n]
        Standard deviation of the log-return that no factor explains; not negative.
    drift : float64[n]
        Mean (for Student-t: centre) of the log-return of the horizon.
    exposures : float64[n]
        Signed market value in account currency; shorts are negative.
    seed : int
        0 .. 2**64 - 1; same seed, same scenarios.
    degrees_of_freedom : int
        0 for normal, or an even number up to 200 for Student-t. The expected loss of a short position is then
        infinite (exp of a Student-t has no mean): its sample ES is finite but does not converge.

    Returns
    -------
    float64[blocks * BLOCK]
        P&L in account currency, gains positive, in the order of scenarios. The same bits for every split.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, or a number is out of its bounds.

    >>> calm = scenario_pnl(0, 1, np.zeros((1, 1)), np.zeros(1), np.zeros(1), np.ones(1), seed=1)
    >>> calm.shape, float(calm.max())
    ((192,), 0.0)
    """
    book = _checked_book(loadings, idiosyncratic, drift, exposures)
    return _run(first_block, blocks, book, seed, degrees_of_freedom, columns=0)[0]


def scenario_columns(
    first_block: int,
    blocks: int,
    loadings: Matrix,
    idiosyncratic: Vector,
    drift: Vector,
    exposures: Vector,
    seed: int,
    degrees_of_freedom: int = 0,
) -> Matrix:
    """P&L of each instrument in the scenarios of `scenario_pnl`, same parameters and errors.

    Returns
    -------
    float64[n, blocks * BLOCK]
        Row i is the contiguous column of P&L of instrument i. Adding the rows in order gives the bits of
        `scenario_pnl`. With exposures of 1 these are simple returns: scale a row to try a trade.

    >>> one = np.ones(2)
    >>> columns = scenario_columns(3, 1, np.ones((2, 1)), 0 * one, 0 * one, one, seed=1)
    >>> columns.shape, bool((columns[0] == columns[1]).all())
    ((2, 192), True)
    """
    book = _checked_book(loadings, idiosyncratic, drift, exposures)
    return _run(first_block, blocks, book, seed, degrees_of_freedom, columns=len(book[0]))[1]


def _run(
    first_block: int,
    blocks: int,
    book: tuple[Matrix, Vector, Vector, Vector],
    seed: int,
    degrees_of_freedom: int,
    columns: int,
) -> tuple[Vector, Matrix]:
    if first_block < 0 or blocks < 1 or first_block + blocks > _BLOCKS_MAX:
        raise ValueError(
            f"a shard needs 1 or more blocks within 0..{_BLOCKS_MAX}, found {blocks} from block {first_block}"
        )
    if degrees_of_freedom % 2 or not 0 <= degrees_of_freedom <= _DEGREES_MAX:
        raise ValueError(
            f"degrees of freedom need to be 0 (normal) or even and at most {_DEGREES_MAX}, "
            f"found {degrees_of_freedom}"
        )
    k0, k1 = key_words(seed)
    total = np.zeros((blocks, BLOCK))
    each = np.empty((columns, blocks, BLOCK))
    padded = [_padded(values) for values in book]
    _compiled()(total, each, first_block, *padded, degrees_of_freedom // 2, k0, k1)
    return total.reshape(-1), each.reshape(columns, blocks * BLOCK)


def _checked_book(
    loadings: Matrix, idiosyncratic: Vector, drift: Vector, exposures: Vector
) -> tuple[Matrix, Vector, Vector, Vector]:
    if loadings.ndim != 2 or 0 in loadings.shape:
        raise ValueError(f"loadings need the shape (instruments, factors), found {loadings.shape}")
    n = len(loadings)
    vectors = {"idiosyncratic": idiosyncratic, "drift": drift, "exposures": exposures}
    for name, values in {"loadings": loadings, **vectors}.items():
        if name in vectors and values.shape != (n,):
            raise ValueError(
                f"{name} needs one value for each of {n} instruments, found shape {values.shape}"
            )
        if bad := int(np.count_nonzero(~np.isfinite(values))):
            raise ValueError(f"{name} needs finite values, found {bad} NaN or infinite of {values.size}")
    if (lowest := float(idiosyncratic.min())) < 0.0:
        raise ValueError(f"idiosyncratic needs standard deviations of at least 0, found {lowest}")
    return loadings, idiosyncratic, drift, exposures


def _padded(values: Matrix | Vector) -> Matrix | Vector:
    """The values as float64, filled with zeros up to multiples of four: they add exactly nothing."""
    missing = [(0, -size % 4) for size in values.shape]
    return np.ascontiguousarray(np.pad(values, missing), dtype=np.float64)
