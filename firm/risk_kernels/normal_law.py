"""exp, log and the normal distribution function, with the same bits on every CPU, for the option formulas.

Branch-free and inlined, so that a loop over contracts runs in SIMD lanes. The distribution function keeps its
relative accuracy far into the tail, where an option is worth 1e-300 and `1 - erf` would say 0.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from firm.risk_kernels.elementary import bits_of, double_of, fma, inline

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # 33 bits of ln 2: an exponent times it is exact
_LN2_LOW = 1.90821492927058770002e-10
_ROUND_TO_INTEGER = 6755399441055744.0  # 1.5 * 2**52
_EXP_LIMIT = 708.0
_SHIFT_52 = np.uint64(52)
_ONE_BITS = np.uint64(0x3FF0000000000000)
_ROOT_HALF_BITS = np.uint64(0x3FE6A09E667F3BCD)  # sqrt(1/2)
_EXPONENT_OFFSET = np.uint64(1024)  # keeps the shifted exponent positive
_INTEGER_BITS = np.uint64(0x4330000000000000)  # exponent of 2**52
_TWO_52 = 4503599627370496.0
_ROOT_2_PI_INVERSE = 0.3989422804014327
_FARTHEST = 40.0  # exp(-40 * 40 / 2) is 0 in a double


@inline
def exp(x: float) -> Any:
    """e**x within 1 unit in the last place; 0 below -708, limited to e**708 above; NaN stays NaN.

    x = n ln 2 + r with |r| <= ln 2 / 2; the Taylor series of e**r is cut after r**13 (rest below 5e-18).
    """
    low = x < -_EXP_LIMIT
    x = -_EXP_LIMIT if low else x
    x = _EXP_LIMIT if x > _EXP_LIMIT else x  # noqa: FURB136  # this order keeps NaN
    shifted = fma(x, _LOG2_E, _ROUND_TO_INTEGER)
    n = shifted - _ROUND_TO_INTEGER
    r = fma(n, -_LN2_LOW, fma(n, -_LN2_HIGH, x))
    q = r * r
    odd = fma(q, 1 / 6227020800, 1 / 39916800)
    odd = fma(q, odd, 1 / 362880)
    odd = fma(q, odd, 1 / 5040)
    odd = fma(q, odd, 1 / 120)
    odd = fma(q, odd, 1 / 6)
    even = fma(q, 1 / 479001600, 1 / 3628800)
    even = fma(q, even, 1 / 40320)
    even = fma(q, even, 1 / 720)
    even = fma(q, even, 1 / 24)
    even = fma(q, even, 1 / 2)
    p = fma(q, fma(r, odd, even), r)
    power_of_two = double_of((bits_of(shifted) << _SHIFT_52) + _ONE_BITS)
    return 0.0 if low else fma(power_of_two, p, power_of_two)


@inline
def log(x: float) -> Any:
    """The natural logarithm of a positive normal double within 2 units in the last place; nothing is checked.

    x = 2**e m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh(s), s = (m - 1) / (m + 1), whose series in
    s**2 <= 0.0295 is cut after s**21: the rest is below 2e-18.
    """
    bits = bits_of(x)
    exponent = (bits - _ROOT_HALF_BITS + (_EXPONENT_OFFSET << _SHIFT_52)) >> _SHIFT_52
    m = double_of(bits - ((exponent - _EXPONENT_OFFSET) << _SHIFT_52))
    e = double_of(exponent | _INTEGER_BITS) - (_TWO_52 + 1024.0)
    f = m - 1.0
    s = f / (m + 1.0)
    q = s * s
    p = fma(q, 1 / 21, 1 / 19)
    p = fma(q, p, 1 / 17)
    p = fma(q, p, 1 / 15)
    p = fma(q, p, 1 / 13)
    p = fma(q, p, 1 / 11)
    p = fma(q, p, 1 / 9)
    p = fma(q, p, 1 / 7)
    p = fma(q, p, 1 / 5)
    p = fma(q, p, 1 / 3)
    half_square = 0.5 * f * f
    rest = fma(s, fma(2.0 * q, p, half_square), fma(e, _LN2_LOW, -half_square))
    return fma(e, _LN2_HIGH, f + rest)


@inline
def density(x: float) -> Any:
    """The standard normal density, relative error below 1e-15 also where the square of x is rounded."""
    square = x * x
    rounding = fma(x, x, -square)
    value = exp(-0.5 * square)
    return _ROOT_2_PI_INVERSE * fma(value, -0.5 * rounding, value)


@inline
def tail_ratio(y: float) -> Any:
    """N(-y) / n(y), Mills' ratio, for y >= 0: relative error below 1e-15 however far out.

    (1 + y) N(-y) / n(y) is smooth in t = (y - 5) / (y + 5) from -1 to 1; the polynomial of degree 23 through
    its values at the 24 Chebyshev points was computed with 60 digits and is within 3e-17 of it.
    """
    inverse = 1.0 / ((y + 5.0) * (y + 1.0))
    t = (y - 5.0) * ((y + 1.0) * inverse)
    q = t * t
    odd = fma(q, -9.99802240829343e-10, 1.1281645525139734e-08)
    odd = fma(q, odd, -7.821049220473805e-08)
    odd = fma(q, odd, 4.92889412763629e-07)
    odd = fma(q, odd, -3.2780889332747656e-06)
    odd = fma(q, odd, 2.2710081536644496e-05)
    odd = fma(q, odd, -0.00013437445842160464)
    odd = fma(q, odd, 1.9530682704042314e-05)
    odd = fma(q, odd, 0.016348231274349995)
    odd = fma(q, odd, 0.06150504584074597)
    odd = fma(q, odd, 0.02507217930161715)
    odd = fma(q, odd, -0.2294875382521129)
    even = fma(q, -7.077031841982677e-10, 9.094218432472913e-09)
    even = fma(q, even, -6.589393318333421e-08)
    even = fma(q, even, 3.2054886338682205e-07)
    even = fma(q, even, -1.7633721137504215e-07)
    even = fma(q, even, -2.4805835828998953e-05)
    even = fma(q, even, 0.00045704392266072)
    even = fma(q, even, -0.0042012903289861386)
    even = fma(q, even, -0.03802659218586716)
    even = fma(q, even, -0.06617760077909461)
    even = fma(q, even, 0.07778159886873764)
    even = fma(q, even, 1.1568486282918946)
    return fma(t, odd, even) * ((y + 5.0) * inverse)


@inline
def lower(x: float, density_at_x: float) -> Any:
    """N(x), the standard normal distribution function, when its density at x is known already."""
    y = abs(x)
    y = _FARTHEST if y > _FARTHEST else y  # noqa: FURB136  # this order keeps NaN
    tail = density_at_x * tail_ratio(y)
    return 1.0 - tail if x > 0.0 else tail


@inline
def distribution(x: float) -> Any:
    """N(x), the standard normal distribution function; relative error below 2e-15 down to 1e-300."""
    return lower(x, density(x))


def exp_of(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`exp` of every element, in the shape of `x`: numpy's own differs between CPUs in the last bit."""
    out = np.empty(x.shape)
    _compiled_exp()(out.reshape(-1), np.ascontiguousarray(x).reshape(-1))
    return out


def log_of(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`log` of every element, all positive, in the shape of `x`."""
    out = np.empty(x.shape)
    _compiled_log()(out.reshape(-1), np.ascontiguousarray(x).reshape(-1))
    return out


def _fill_exp(out: Any, x: Any) -> None:
    for i in range(x.shape[0]):
        out[i] = exp(x[i])


def _fill_log(out: Any, x: Any) -> None:
    for i in range(x.shape[0]):
        out[i] = log(x[i])


@cache
def _compiled_exp() -> Any:
    return njit(nogil=True, error_model="numpy")(_fill_exp)


@cache
def _compiled_log() -> Any:
    return njit(nogil=True, error_model="numpy")(_fill_log)
