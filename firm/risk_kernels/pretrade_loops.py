"""The loops behind `firm.risk_kernels.pretrade`: the tail of base + q * column, from sorted rows or from all.

All rows are visited in lanes without a branch; what is summed is split so that every partial sum is exact.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types

from firm.risk_kernels.elementary import lane_loop
from firm.risk_kernels.tail import Vector

LANES = 64

_In = types.Array(types.float64, 1, "C", readonly=True)
_Out = types.float64[::1]
_Number, _Count = types.float64, types.int64
_VarEs = types.UniTuple(types.float64, 2)


@lane_loop
def _tail_var_es(
    base: Vector, column: Vector, q: float, rows: int, value: float, mass: float, coarse: float, fine: float
) -> tuple[float, float]:
    """VaR and ES when `value` is the order statistic that VaR is: sums the rows that are worse."""
    high, low, worse = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    for first in range(0, rows - rows % LANES, LANES):
        b, c = base[first : first + LANES], column[first : first + LANES]
        for lane in range(LANES):
            t = b[lane] + q * c[lane]
            inside = t < value
            x = t if inside else 0.0
            coarse_part = (x + coarse) - coarse
            high[lane] += coarse_part
            low[lane] += ((x - coarse_part) + fine) - fine
            worse[lane] += 1.0 if inside else 0.0
    for row in range(rows - rows % LANES, rows):
        t = base[row] + q * column[row]
        if t < value:
            coarse_part = (t + coarse) - coarse
            high[0] += coarse_part
            low[0] += ((t - coarse_part) + fine) - fine
            worse[0] += 1.0
    for lane in range(1, LANES):
        high[0] += high[lane]
        low[0] += low[lane]
        worse[0] += worse[lane]
    shortfall = -((high[0] + low[0]) + (mass - worse[0]) * value) / mass
    return -value, max(shortfall, -value)  # rounding may not bring ES below its VaR


@lane_loop
def _select(values: Vector, count: int, rank: int) -> Any:
    """The value of this rank (0 the smallest) among the first `count`; no larger ones stay before it."""
    low, high = 0, count - 1
    while low < high:
        pivot = values[(low + high) >> 1]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return values[rank]


@lane_loop
def _moved(key: Any, steps: Vector, count: int) -> Any:
    for step in range(count):
        key += steps[step]
    return key


@lane_loop
def _rows_below(key: Vector, steps: Vector, count: int, bound: float, or_equal: bool) -> int:
    """How many leading rows, moved by the steps, are below the bound: keys ascend, and so do moved keys."""
    low, high = 0, key.shape[0]
    while low < high:
        middle = (low + high) >> 1
        moved = _moved(key[middle], steps, count)
        if moved < bound or (or_equal and moved == bound):
            low = middle + 1
        else:
            high = middle
    return low


@lane_loop
def _rows_and_value(
    key: Vector,
    now: Vector,
    column: Vector,
    q: float,
    whole: bool,
    lows: Vector,
    highs: Vector,
    steps: int,
    worse: int,
    buffer: Vector,
) -> tuple[int, float]:
    """How many rows can be in the tail, and its order statistic; 0 rows if more may be than are here.

    Every row's P&L is now at least its key moved by `lows` and at most its key moved by `highs`. So of the
    order statistic v: the rows from `worse` on cannot be below lower(key[worse]), hence v is not; what is
    below that for certain (`settled` rows) need not be sorted. Any rank among some of the rows bounds v from
    above: rows that cannot come down to that bound are out, and if that holds for the last key here, it
    holds for the rows that are not here. (Where the last key can come down to where the tail was before, that
    is not tried: it would hardly ever hold.)
    """
    last = key.shape[0] - 1
    if not whole and _moved(key[last], lows, steps) <= key[worse]:
        return 0, np.nan
    settled = _rows_below(key, highs, steps, _moved(key[worse], lows, steps), False)
    rank = worse - settled
    seen = min(key.shape[0], worse + 1 + rank // 8 + 16)
    b, c = now[settled:seen], column[settled:seen]
    for row in range(seen - settled):
        buffer[row] = b[row] + q * c[row]
    value = _select(buffer, seen - settled, rank)
    rows = _rows_below(key, lows, steps, value, True)
    if rows == key.shape[0] and not whole:
        return 0, value
    count = rank + 1
    for row in range(seen, rows):
        t = now[row] + q * column[row]
        if t < value:
            buffer[count] = t
            count += 1
    if count > rank + 1:
        value = _select(buffer, count, rank)
    return rows, value


def _pruned(
    key: Vector,
    now: Vector,
    column: Vector,
    q: float,
    whole: bool,
    lows: Vector,
    highs: Vector,
    steps: int,
    worse: int,
    mass: float,
    coarse: float,
    fine: float,
    buffer: Vector,
) -> tuple[float, float, int]:
    rows, value = _rows_and_value(key, now, column, q, whole, lows, highs, steps, worse, buffer)
    if not rows:
        return np.nan, np.nan, 0
    var, es = _tail_var_es(now, column, q, rows, value, mass, coarse, fine)
    return var, es, rows


def _collect(base: Vector, column: Vector, q: float, threshold: float, out: Vector, count: int) -> int:
    """Append to out[count:] what is at most the threshold; counts on where `out` is full."""
    rows = base.shape[0]
    for first in range(0, rows, 32):
        b, c = base[first : first + 32], column[first : first + 32]
        hits = 0
        for lane in range(b.shape[0]):
            hits += b[lane] + q * c[lane] <= threshold
        if hits:
            for lane in range(b.shape[0]):
                t = b[lane] + q * c[lane]
                if t <= threshold:
                    if count < out.shape[0]:
                        out[count] = t
                    count += 1
    return count


def _candidates_var_es(
    candidates: Vector, worse: int, mass: float, coarse: float, fine: float, buffer: Vector
) -> Any:
    rows = candidates.shape[0]
    buffer[:rows] = candidates
    value = _select(buffer, rows, worse)
    return _tail_var_es(candidates, candidates, 0.0, rows, value, mass, coarse, fine)


def _add(base: Vector, column: Vector, q: float) -> None:
    for row in range(base.shape[0]):
        base[row] += q * column[row]


class Loops(NamedTuple):
    """What is called from Python."""

    pruned: Any
    collect: Any
    candidates_var_es: Any
    add: Any


@cache
def compiled() -> Loops:
    """The loops in machine code, made once a process at the first call."""
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    steps = (_In, _In, _Count)
    split = (_Number, _Number)
    pruned = types.Tuple((types.float64, types.float64, types.int64))(
        _In, _In, _In, _Number, types.boolean, *steps, _Count, _Number, *split, _Out
    )
    collect = types.int64(_In, _In, _Number, _Number, _Out, _Count)
    candidates = _VarEs(_In, _Count, _Number, *split, _Out)
    return Loops(
        pruned=njit(pruned, **options)(_pruned),
        collect=njit(collect, **options)(_collect),
        candidates_var_es=njit(candidates, **options)(_candidates_var_es),
        add=njit(types.void(_Out, _In, _Number), **options)(_add),
    )
