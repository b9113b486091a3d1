"""The loops behind `firm.risk_kernels.sampler`: scenarios drawn as ever, then steered to where losses are.

A block is drawn by the firm's one generator; steering changes its log-returns and says by how much a scenario
was made more likely. Everything runs inside a lane and is a function of the scenario's number.

Sources: Glasserman, Heidelberger and Shahabuddin, Variance Reduction Techniques for Estimating Value-at-Risk
(2000); Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.2.23 (first guess of the normal
quantile) and 26.7.4 (Student's distribution of even degrees).
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit

from firm.risk_kernels.elementary import fma, inline, lane_loop, square_root
from firm.risk_kernels.factors import block_draws
from firm.risk_kernels.normal_law import density, exp, log, lower
from firm.risk_kernels.normals import BLOCK
from firm.risk_kernels.philox import MASK_32, philox4x32
from firm.risk_kernels.product import PANEL, TILE_BYTES, add_product_tile
from firm.risk_kernels.revalue import block_revaluation

STRATUM = np.uint64(3)
"""The stream of the place inside a stratum, beside those of `philox`."""

_SHIFT_32 = np.uint64(32)
_TILE = TILE_BYTES // 8
_NEWTON_STEPS = 3
_STEPS_MAX = 100
_CONVERGED = 1e-12


@inline
def _normal_guess(p: float) -> Any:
    """The y >= 0 with N(-y) = p within 5e-4, for 0 < p <= 1/2."""
    t = square_root(-2.0 * log(p))
    top = fma(fma(0.010328, t, 0.802853), t, 2.515517)
    bottom = fma(fma(fma(0.001308, t, 0.189269), t, 1.432788), t, 1.0)
    return t - top / bottom


@inline
def _normal_upper_quantile(p: float) -> Any:
    """The y with N(-y) = p, for 0 < p <= 1/2: the guess, then Newton's steps on ln N(-y)."""
    y = _normal_guess(p)
    for _ in range(_NEWTON_STEPS):
        bell = density(y)
        tail = lower(-y, bell)
        y += log(tail / p) * tail / bell
    return y


@inline
def _student_upper_quantile(p: float, half_nu: int) -> Any:
    """The y >= 0 with P(T > y) = p, for 0 < p <= 1/2 and nu = 2 half_nu degrees.

    With s = y / sqrt(nu + y^2) and c = 1 - s^2, the upper tail is 1/2 - s/2 (1 + c/2 + 3/8 c^2 + ...), of
    half_nu terms, and its slope 1/2 - half_nu times the last of them: convex, so that Newton's steps from the
    left, where the normal quantile is, never overshoot. Relative error 1e-16 / p.
    """
    y = _normal_guess(p) - 1e-3
    s = y / square_root(fma(y, y, 2.0 * half_nu)) if y > 0.0 else 0.0
    for _ in range(_STEPS_MAX):
        c = (1.0 - s) * (1.0 + s)
        series, term = 1.0, 1.0
        for j in range(1, half_nu):
            term *= c * (2.0 * j - 1.0) / (2.0 * j)
            series += term
        step = (0.5 - 0.5 * s * series - p) / (term * (half_nu - 0.5))
        s += step
        if not step > _CONVERGED * (1.0 - s):
            break
    return square_root(2.0 * half_nu / ((1.0 - s) * (1.0 + s))) * s


@lane_loop
def _quantile(p: float, half_nu: int) -> Any:
    """The value that a standard normal, or Student of 2 half_nu degrees, exceeds with probability p."""
    q = 1.0 - p if p > 0.5 else p
    y = _normal_upper_quantile(q) if half_nu == 0 else _student_upper_quantile(q, half_nu)
    return -y if p > 0.5 else y


def _strata(
    targets: Any,
    weights: Any,
    first: Any,
    number: int,
    plain: int,
    steered: int,
    region: float,
    half_nu: int,
    k0: Any,
    k1: Any,
) -> None:
    """targets[i] <- the driver that scenario number + i has to have; its words are those of first + i.

    The `plain` first scenarios take one stratum each of all probability, the `steered` others one each of
    the upper tail of probability `region`; weights[i] is the plain density over that of both together.
    """
    total = plain + steered
    weight_outside = total / plain
    weight_inside = total / (plain + steered / region)
    for i in range(targets.shape[0]):
        scenario = first + np.uint64(i)
        word = philox4x32(scenario & MASK_32, scenario >> _SHIFT_32, np.uint64(0), STRATUM, k0, k1)[0]
        inside = (np.float64(word) + 0.5) / 4294967296.0
        s = number + i
        within_plain = (s + inside) / plain
        p = within_plain if s < plain else region * ((s - plain + inside) / steered)
        targets[i] = _quantile(p, half_nu)
        weights[i] = weight_inside if p < region else weight_outside


@lane_loop
def _add_times(total: Any, row: Any, factor: float) -> None:
    for lane in range(BLOCK):
        total[lane] = fma(factor, row[lane], total[lane])


@lane_loop
def _ratio_and_move(ratio: Any, move: Any, driver: Any, target: Any, scale: Any, nu: float) -> None:
    """How to get from the driver drawn to the one wanted, with the law of all else given the driver.

    Student: driver = t y with t^2 = nu / chi-square. Given the driver d, (nu + d^2) / t^2 is a chi-square of
    nu + 1 degrees: that drawn plus the square of the normal y, which is free, as its place is taken.
    """
    for lane in range(BLOCK):
        d, t = driver[lane], scale[lane]
        if nu > 0.0:
            y = d / t
            goal = target[lane]
            chi = fma(y, y, nu / (t * t))
            r = square_root(fma(goal, goal, nu) / chi) / t
        else:
            r = 1.0
        ratio[lane] = r
        move[lane] = target[lane] - r * d


@lane_loop
def _steer(row: Any, ratio: Any, move: Any, drift: float, response: float) -> None:
    for lane in range(BLOCK):
        row[lane] = fma(response, move[lane], fma(ratio[lane], row[lane] - drift, drift))


@cache
def stratum_targets() -> Any:
    """The compiled `_strata`."""
    return njit(nogil=True, error_model="numpy")(_strata)


@cache
def stratified_run() -> Any:
    """The compiled kernel that steers along one direction, or only reports the driver it drew.

    total[block, lane] is set to the P&L, drivers[block, lane] to direction . (x - drift) as drawn; with
    `targets` of the same shape, the block is moved so that this becomes the target.
    """
    draw, revalue = block_draws("double"), block_revaluation("double")

    @njit(nogil=True, error_model="numpy")
    def run(
        total: Any,
        drivers: Any,
        targets: Any,
        columns: Any,
        first_block: int,
        direction: Any,
        response: Any,
        draws: Any,
        terms: Any,
        returns: Any,
        draw_scratch: Any,
        scratch: Any,
        k0: Any,
        k1: Any,
    ) -> None:
        ratio, move = np.empty(BLOCK), np.empty(BLOCK)
        nu = float(draws.degrees_of_freedom)
        centre = 0.0
        for f in terms.factors:
            centre -= direction[f] * draws.drift[f]
        for block in range(total.shape[0]):
            draw(returns, np.uint64((first_block + block) * BLOCK), draws, draw_scratch, k0, k1)
            driver = drivers[block]
            driver[:] = centre
            for f in terms.factors:
                _add_times(driver, returns[f], direction[f])
            if block < targets.shape[0]:
                _ratio_and_move(ratio, move, driver, targets[block], draw_scratch.scale, nu)
                for f in terms.factors:
                    _steer(returns[f], ratio, move, draws.drift[f], response[f])
            revalue(total, columns, block, returns, scratch, terms)

    return run


@lane_loop
def _affine(out: Any, k: int, matrix: Any, offset: float, common: Any) -> None:
    """out[k] <- matrix[k] . common + offset."""
    for lane in range(BLOCK):
        out[k, lane] = offset
    for j in range(matrix.shape[1]):
        factor = matrix[k, j]
        for lane in range(BLOCK):
            out[k, lane] = fma(factor, common[j, lane], out[k, lane])


@lane_loop
def _add_squares(total: Any, row: Any, factor: float) -> None:
    for lane in range(BLOCK):
        total[lane] = fma(factor * row[lane], row[lane], total[lane])


@lane_loop
def _likelihood(row: Any) -> None:
    for lane in range(BLOCK):
        row[lane] = exp(row[lane])


@cache
def tilted_run() -> Any:
    """The compiled kernel that draws the common factors from another normal law.

    In the blocks from `tilt_from` on, f becomes matrix f + offset; `ratios` is set to the density of that law
    over the plain one, `forms` to linear . f + f' square f, both at the f that the block ends with.
    """
    draw, revalue = block_draws("double"), block_revaluation("double")

    @njit(nogil=True, error_model="numpy")
    def run(
        total: Any,
        ratios: Any,
        forms: Any,
        columns: Any,
        first_block: int,
        tilt_from: int,
        law: Any,
        draws: Any,
        terms: Any,
        returns: Any,
        draw_scratch: Any,
        scratch: Any,
        k0: Any,
        k1: Any,
    ) -> None:
        size = law.matrix.shape[0]
        common = draw_scratch.common
        other = np.zeros(common.shape)
        for block in range(total.shape[0]):
            draw(returns, np.uint64((first_block + block) * BLOCK), draws, draw_scratch, k0, k1)
            ratio, form = ratios[block], forms[block]
            ratio[:] = -law.log_determinant
            tilted = block >= tilt_from
            for k in range(size):
                if tilted:
                    _affine(other, k, law.matrix, law.offset[k], common)
                    _add_squares(ratio, other[k], 0.5)
                    _add_squares(ratio, common[k], -0.5)
                else:
                    _affine(other, k, law.inverse, law.inverse_offset[k], common)
                    _add_squares(ratio, common[k], 0.5)
                    _add_squares(ratio, other[k], -0.5)
            if tilted:
                for k in range(size):
                    _exchange(other[k], common[k])
                for panel in draws.wanted:
                    for lane in range(0, BLOCK, _TILE):
                        add_product_tile(
                            returns, panel * PANEL, draws.panels, panel, draws.columns[panel], other, lane
                        )
            _likelihood(ratio)
            form[:] = 0.0
            for k in range(size):
                _affine(other, k, law.square, law.linear[k], common)
                _add_product(form, other[k], common[k])
            revalue(total, columns, block, returns, scratch, terms)

    return run


@lane_loop
def _exchange(moved: Any, common: Any) -> None:
    """Common becomes what it moved to, and `moved` by how much."""
    for lane in range(BLOCK):
        by = moved[lane] - common[lane]
        common[lane] = moved[lane]
        moved[lane] = by


@lane_loop
def _add_product(total: Any, a: Any, b: Any) -> None:
    for lane in range(BLOCK):
        total[lane] = fma(a[lane], b[lane], total[lane])
