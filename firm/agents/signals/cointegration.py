"""Engle and Granger's two steps for many pairs at once: the spread of each pair, and how it is pulled back.

Every array has a row a pair, and no sum runs across rows: a pair's numbers do not depend on its company.

Source: Engle and Granger, Co-Integration and Error Correction, Econometrica 55 (1987).
"""

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.float64]
Vector: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

_STILL = 1e-20  # sum of squared log-price deviations that is rounding, not movement
_SAME = 1e-10  # share of a log price's variation left unexplained that is rounding, not a spread
_SINGULAR = 1e-14  # share of a sum of squares left by elimination that is rounding


class Spreads(NamedTuple):
    """`log A = intercept + hedge log B + residual` by least squares, one row a pair.

    `residual` float64[pairs, bars] has mean zero; `deviation` float64[pairs] is its standard deviation (two
    estimated parameters). Only rows where `exists` mean anything.
    """

    exists: Mask
    hedge: Vector
    residual: Matrix
    deviation: Vector


class Reversions(NamedTuple):
    """`speed` is the pull back to zero a bar (negative pulls); `t` its statistic, the ADF statistic.

    Only rows where `exists` mean anything.
    """

    exists: Mask
    speed: Vector
    t: Vector


def fit_spreads(a: Matrix, b: Matrix) -> Spreads:
    """Ordinary least squares of each row of `a` on that of `b` and a constant, both float64[pairs, bars].

    There is no spread where either did not move, or where they are the same up to rounding.
    """
    bars = a.shape[1]
    da, db = (x - (np.add.reduce(x, axis=1) / bars)[:, None] for x in (a, b))
    aa, bb = _inner(da, da), _inner(db, db)
    moved = (aa > _STILL) & (bb > _STILL)
    hedge = _inner(da, db) / np.where(moved, bb, 1.0)
    residual = da - hedge[:, None] * db
    squares = _inner(residual, residual)
    return Spreads(moved & (squares > _SAME * aa), hedge, residual, np.sqrt(squares / (bars - 2)))


def adf(series: Matrix, lags: int) -> Reversions:
    """Augmented Dickey-Fuller regression without a constant, with a fixed number of lags, of each row.

    Regresses each change on the level before it and the `lags` changes before that. There is none where the
    regression has no unique answer or leaves no noise. The sums of products are eliminated column by column,
    the level last: then its pivot, its right-hand side and the corner hold all that the statistic needs.
    """
    changes = np.diff(series, axis=1)
    columns = [changes[:, lags - i : -i] for i in range(1, lags + 1)]
    columns += [series[:, lags:-1], changes[:, lags:]]
    table = np.array([[_inner(p, q) for q in columns] for p in columns])
    level = lags
    diagonal = [table[i, i].copy() for i in range(level + 1)]
    exists = np.ones(len(series), dtype=bool)
    for k in range(level + 1):
        exists &= table[k, k] > _SINGULAR * diagonal[k]
        if k < level:
            _eliminate(table, k, exists)
    pivot, product = np.where(exists, table[level, level], 1.0), table[level, level + 1]
    noise = table[level + 1, level + 1] - product * product / pivot
    exists &= noise > 0
    freedom = changes.shape[1] - lags - (lags + 1)
    speed = product / pivot
    return Reversions(exists, speed, speed * np.sqrt(pivot) / np.sqrt(np.where(exists, noise, 1.0) / freedom))


def half_life(speed: float) -> float:
    """Bars until half of a deviation is gone, at least one; only a negative speed has one."""
    assert speed < 0, "a spread that is not pulled back has no half-life"
    return 1.0 if speed <= -0.5 else max(1.0, math.log(0.5) / math.log1p(speed))


def _inner(p: Matrix, q: Matrix) -> Vector:
    """Sum of products of each row in numpy's fixed order: unlike BLAS, the same bits on every CPU."""
    products = np.ascontiguousarray(p * q)
    return np.asarray(np.add.reduce(products, axis=1))


def _eliminate(table: Matrix, k: int, exists: Mask) -> None:
    pivot = np.where(exists, table[k, k], 1.0)
    for i in range(k + 1, len(table)):
        table[i, k + 1 :] -= (table[i, k] / pivot) * table[k, k + 1 :]
