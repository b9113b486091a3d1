"""Full revaluation: P&L of contracts under given log-returns of their factors, scenario by scenario.

Every kind of scenario comes through here: simulated, historical, filtered historical, stressed. A lane is a
scenario; a pass over BLOCK lanes touches one contract. What does not depend on the scenario is worked out
once, before the first lane, and what a contract is decides which loop runs, never a branch inside it.
"""

from functools import cache
from typing import Any, NamedTuple

from numba import njit

from firm.risk_kernels.elementary import (
    exp_of_negative,
    expm1,
    fma,
    inline,
    lane_loop,
    tail_over_density,
)
from firm.risk_kernels.normals import BLOCK, lanes
from firm.risk_kernels.single import expm1_single, normal_single
from firm.risk_kernels.terms import EUROPEAN, LINEAR, PAYOFF, Precision, real_of


@lane_loop
def _revalue_linear(total: Any, value: Any, growth: Any, f: int, quantity: Any, n: Any, i: int) -> None:
    worth = n[i, 0]
    for lane in range(BLOCK):
        gain = worth * growth[f, lane]
        value[lane] = gain
        total[lane] += quantity * gain


@lane_loop
def _add_four_linear(total: Any, growth: Any, factor: Any, quantities: Any, n: Any, i: int) -> None:
    """What `_revalue_linear` adds for contracts i .. i + 3, in their order, in one pass over the total."""
    f0, f1, f2, f3 = factor[i], factor[i + 1], factor[i + 2], factor[i + 3]
    q0, q1, q2, q3 = quantities[i], quantities[i + 1], quantities[i + 2], quantities[i + 3]
    w0, w1, w2, w3 = n[i, 0], n[i + 1, 0], n[i + 2, 0], n[i + 3, 0]
    for lane in range(BLOCK):
        sum0 = total[lane] + q0 * (w0 * growth[f0, lane])
        sum1 = sum0 + q1 * (w1 * growth[f1, lane])
        sum2 = sum1 + q2 * (w2 * growth[f2, lane])
        total[lane] = sum2 + q3 * (w3 * growth[f3, lane])


@lane_loop
def _revalue_payoff(total: Any, value: Any, growth: Any, f: int, quantity: Any, n: Any, i: int) -> None:
    """n[i]: spot and strike, both discounted and signed; unit; unit times price."""
    spot, strike, unit, paid = n[i, 0], n[i, 1], n[i, 2], n[i, 3]
    nothing = unit - unit
    for lane in range(BLOCK):
        inside = fma(spot, growth[f, lane], spot) - strike
        inside = nothing if inside < nothing else inside  # noqa: FURB136  # this order keeps NaN
        gain = fma(unit, inside, -paid)
        value[lane] = gain
        total[lane] += quantity * gain


@lane_loop
def _revalue_ladder(
    total: Any, value: Any, x: Any, f: int, quantity: Any, n: Any, i: int, coefficients: Any, row: int
) -> None:
    """n[i]: low, cells a unit of log-return, unit, unit times price. In double in either precision."""
    low, density, unit, paid = n[i, 0], n[i, 1], n[i, 2], n[i, 3]
    cells = coefficients.shape[1]
    for lane in range(BLOCK):
        along = (float(x[f, lane]) - low) * density
        inside = (along >= 0.0) & (along <= cells)
        along = along if inside else 0.0
        cell = min(int(along), cells - 1)
        t = 2.0 * (along - cell) - 1.0
        worth = fma(coefficients[row, cell, 5], t, coefficients[row, cell, 4])
        worth = fma(worth, t, coefficients[row, cell, 3])
        worth = fma(worth, t, coefficients[row, cell, 2])
        worth = fma(worth, t, coefficients[row, cell, 1])
        worth = fma(worth, t, coefficients[row, cell, 0])
        gain = fma(unit, worth, -paid) if inside else float("nan")
        value[lane] = gain
        total[lane] += quantity * gain


@inline
def _below(d: Any, density: Any) -> Any:
    """N(d), given exp(-d^2 / 2)."""
    beyond = density * tail_over_density(abs(d))
    return beyond if d < 0.0 else 1.0 - beyond


@inline
def _both_below(d1: Any, d2: Any, ratio: Any) -> tuple[Any, Any]:
    """N(d1) and N(d2) with one exponential, because density(d2) = density(d1) forward / strike."""
    density = exp_of_negative(-0.5 * d1 * d1)
    return _below(d1, density), _below(d2, density * ratio)


@inline
def _both_below_single(d1: Any, d2: Any, _ratio: Any) -> tuple[Any, Any]:
    return normal_single(d1), normal_single(d2)


def _european_loop(both_below: Any) -> Any:
    """Black-Scholes for one precision, with the sign of the option folded in: puts and calls are one formula.

    n[i], with w the sign and s = volatility sqrt(years): w d1 = n0 x + n1, w d2 = w d1 - n2, forward over
    strike = n3 exp(x), n4 = w unit strike exp(-rate years), n5 = unit price.
    """

    @lane_loop
    def revalue_european(
        total: Any, value: Any, growth: Any, x: Any, f: int, quantity: Any, n: Any, i: int
    ) -> None:
        n0, n1, n2, n3, n4, n5 = n[i, 0], n[i, 1], n[i, 2], n[i, 3], n[i, 4], n[i, 5]
        for lane in range(BLOCK):
            d1 = fma(x[f, lane], n0, n1)
            ratio = fma(n3, growth[f, lane], n3)
            below1, below2 = both_below(d1, d1 - n2, ratio)
            gain = fma(n4, fma(ratio, below1, -below2), -n5)
            value[lane] = gain
            total[lane] += quantity * gain

    return revalue_european


def _growth_loop(expm1_: Any) -> Any:
    @lane_loop
    def grow(growth: Any, returns: Any, f: int) -> None:
        for lane in range(BLOCK):
            growth[f, lane] = expm1_(returns[f, lane])

    return grow


@lane_loop
def _keep_total(totals: Any, block: int, total: Any) -> None:
    for lane in range(BLOCK):
        totals[block, lane] = total[lane]


@lane_loop
def _keep_column(columns: Any, i: int, block: int, value: Any) -> None:
    for lane in range(BLOCK):
        columns[i, block, lane] = value[lane]


class Scratch(NamedTuple):
    """What a block is worked out in; one a thread."""

    total: Any
    value: Any
    growth: Any


def revalue_scratch(factors: int, precision: Precision) -> Scratch:
    """Memory to revalue contracts on factors 0 .. `factors` - 1."""
    real = real_of(precision)
    return Scratch(lanes((), real), lanes((), real), lanes((factors,), real))


@cache
def block_revaluation(precision: Precision) -> Any:
    """The compiled function (total, columns, block, returns, scratch, terms) that revalues one block.

    total[block, lane] is set to the sum over contracts, in their order, of quantity times P&L;
    columns[contract, block, lane] to the P&L of one unit, where `columns` has that block.
    """
    single = precision == "single"
    grow = _growth_loop(expm1_single if single else expm1)
    european = _european_loop(_both_below_single if single else _both_below)

    @njit(nogil=True, error_model="numpy")
    def revalue(totals: Any, columns: Any, block: int, x: Any, scratch: Any, terms: Any) -> None:
        total, value, growth = scratch.total, scratch.value, scratch.growth
        kind, n, quantities, factor = terms.kind, terms.numbers, terms.quantities, terms.factor
        coefficients, ladder, four = terms.coefficients, terms.ladder, terms.four
        total[:] = 0.0
        for f in terms.factors:
            grow(growth, x, f)
        kept = block < columns.shape[1]
        i = 0
        while i < len(kind):
            if four[i] and not kept:
                _add_four_linear(total, growth, factor, quantities, n, i)
                i += 4
                continue
            f, q = factor[i], quantities[i]
            if kind[i] == LINEAR:
                _revalue_linear(total, value, growth, f, q, n, i)
            elif kind[i] == EUROPEAN:
                european(total, value, growth, x, f, q, n, i)
            elif kind[i] == PAYOFF:
                _revalue_payoff(total, value, growth, f, q, n, i)
            else:
                _revalue_ladder(total, value, x, f, q, n, i, coefficients, ladder[i])
            if kept:
                _keep_column(columns, i, block, value)
            i += 1
        _keep_total(totals, block, total)

    return revalue
