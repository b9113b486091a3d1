"""Tables of American options over the log-return of the underlying, for the Monte Carlo kernel.

A table is a polynomial of degree 5 a cell, through the values at both ends and four points between (the
Chebyshev extrema), so that it is continuous. The value of an American option bends where it is exercised:
there, and at the strike of an option that expires, an edge between two cells is laid, and both sides are
smooth. Evaluating a table costs the same whatever the option, and nothing is ever extrapolated.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import cache

import numpy as np
import numpy.typing as npt

from firm.risk_kernels.american import american_value, exercised_at
from firm.risk_kernels.contracts import Ladders, Payoff
from firm.risk_kernels.normal_law import exp_of, log_of

Array = npt.NDArray[np.float64]

LADDER_ERROR_MAX = 1e-8
"""Of the strike: the largest difference between table and direct value between the points of a cell."""

_CELLS, _CELLS_MAX = 256, 4096
_TERMS = 6
_EXTREMA = (-1.0, -0.8090169943749475, -0.30901699437494745, 0.30901699437494745, 0.8090169943749475, 1.0)
_BETWEEN = (-0.9045084971874737, -0.5590169943749475, 0.0, 0.5590169943749475, 0.9045084971874737)


def american_ladders(contracts: npt.NDArray[np.void], widest: float) -> Ladders:
    """A table for every AMERICAN row of `contracts`, over log-returns of at least -widest .. widest.

    Parameters
    ----------
    contracts : CONTRACT[n]
        The table to be revalued; rows of other payoffs get none: -1.
    widest : float
        The largest log-return that must be inside, in (0, 5]; beyond the table the kernel says NaN. The
        wider, the wider the cells.

    Returns
    -------
    Ladders
        Values in price points, not multiplied by `unit`, not relative to `price`. All tables have the same
        number of cells, 256 or a power of two up to 4096: as many as the sharpest option needs to be within
        `LADDER_ERROR_MAX` of its strike (about 1e-10 for a month or more to expiry). Every cell is checked
        at 5 points between those that made it. A few milliseconds an option; the same bits on every CPU.

    Raises
    ------
    ValueError
        If `widest` is out of bounds, an option's terms are refused by `american_value`, or 4096 cells do not
        reach the bound: volatility sqrt(years) is then far below widest / 1000, but not 0.
    """
    if not 0.0 < widest <= 5.0:
        raise ValueError(f"a ladder needs a widest log-return above 0 and at most 5, found {widest}")
    at = np.flatnonzero(contracts["payoff"] == Payoff.AMERICAN)
    index = np.full(contracts.size, -1, dtype=np.int32)
    index[at] = np.arange(at.size, dtype=np.int32)
    cells = _CELLS
    while True:
        tables = [_table(contracts[i], widest, cells) for i in at]
        worst = max((error for *_, error in tables), default=0.0)
        if worst <= LADDER_ERROR_MAX:
            break
        if cells == _CELLS_MAX:
            sharp = int(at[int(np.argmax([error for *_, error in tables]))])
            raise ValueError(_too_sharp(contracts[sharp], sharp, widest, worst))
        cells *= 2
    low, step = (np.array([table[k] for table in tables], dtype=np.float64) for k in (0, 1))
    coefficients = np.empty((at.size, cells, _TERMS))
    for row, (_, _, table, _) in enumerate(tables):
        coefficients[row] = table
    return Ladders(index, low, step, coefficients)


def _too_sharp(contract: np.void, row: int, widest: float, error: float) -> str:
    return (
        f"a ladder of {_CELLS_MAX} cells over +-{widest} needs to be within {LADDER_ERROR_MAX} of the "
        f"strike, found {error:.1e} for contract {row} (volatility {contract['volatility']}, "
        f"{contract['years']} years to expiry); take a narrower range, or count it as expired"
    )


def _table(contract: np.void, widest: float, cells: int) -> tuple[float, float, Array, float]:
    """(low, step, coefficients[cells, 6], largest error over the strike) of one option."""
    value = _value_by_return(contract)
    low, step = _grid(_bend(contract), widest, cells)
    edges = np.arange(cells, dtype=np.float64)[:, None]
    at_points = value(low + step * (edges + _halves(_EXTREMA[:-1])))
    last = value(np.array([[low + step * cells]]))
    y = np.hstack([at_points, np.vstack([at_points[1:, :1], last])])
    coefficients = np.zeros((cells, _TERMS))
    for power, weights in enumerate(_from_values()):
        for column, weight in enumerate(weights):  # in order: a matrix product may add in any
            coefficients[:, power] += y[:, column] * weight
    t = np.array(_BETWEEN)
    table = np.zeros((cells, t.size))
    for power in range(_TERMS - 1, -1, -1):
        table = table * t + coefficients[:, power : power + 1]
    error = np.abs(table - value(low + step * (edges + _halves(_BETWEEN)))).max()
    return low, step, coefficients, float(error / contract["strike"])


def _value_by_return(contract: np.void) -> Callable[[Array], Array]:
    spot, sign = float(contract["spot"]), float(contract["sign"])
    strike, years, volatility = (float(contract[name]) for name in ("strike", "years", "volatility"))
    rate, carry = float(contract["rate"]), float(contract["carry"])
    return lambda x: american_value(spot * exp_of(x), strike, years, volatility, rate, carry, sign)


def _bend(contract: np.void) -> float | None:
    """The log-return at which the value bends: where the option is exercised, or an expired one's strike."""
    names = ("strike", "years", "volatility", "rate", "carry", "sign")
    edge = exercised_at(*(float(contract[name]) for name in names))
    return None if edge is None else float(log_of(np.array([edge / contract["spot"]]))[0])


def _grid(bend: float | None, widest: float, cells: int) -> tuple[float, float]:
    """(low, step): one cell more than the range needs, and moved so that the bend is an edge."""
    step = 2.0 * widest / (cells - 1)
    if bend is None or not -widest < bend < widest:
        return -widest, step
    return bend - step * float(np.ceil((bend + widest) / step)), step


def _halves(t: tuple[float, ...]) -> Array:
    return 0.5 + 0.5 * np.array(t)


@cache
def _from_values() -> tuple[tuple[float, ...], ...]:
    """Row k: the coefficient of t^k in each Lagrange polynomial of the six points, from exact fractions."""
    points = [Fraction(t) for t in _EXTREMA]
    columns = []
    for j, own in enumerate(points):
        polynomial = [Fraction(1)]
        for i, other in enumerate(points):
            if i != j:
                shifted = [Fraction(0), *polynomial]
                polynomial = [
                    (up - other * same) / (own - other)
                    for up, same in zip(shifted, [*polynomial, Fraction(0)], strict=True)
                ]
        columns.append([float(c) for c in polynomial])
    return tuple(zip(*columns, strict=True))
