"""Arithmetic the kernels are built from, with the same bits on every CPU.

The C library's `exp`, `log`, `sin` differ in the last bit between platforms and cannot run in SIMD lanes
here, so the kernels bring their own: branch-free, series with provable truncation, every fused multiply-add
written out. Nothing is compiled with `fastmath`: the compiler may not reassociate, fuse or assume away NaN.

Source of the range reductions: Muller, Elementary Functions: Algorithms and Implementation (2016).
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

_INSIDE = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}

inline = njit(forceinline=True, **_INSIDE)
"""Compiles a function that is always merged into its caller: a call inside a lane loop would stop SIMD."""

lane_loop = njit(**_INSIDE)
"""Compiles one loop over the lanes of a block, once for all callers: small pieces compile fast."""

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # 33 bits of ln 2, so n * _LN2_HIGH is exact
_LN2_LOW = 1.90821492927058770002e-10
LN2 = 0.6931471805599453
_ROUND_TO_INTEGER = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits
_ONE_BITS = np.uint64(0x3FF0000000000000)
_EXPONENT_SHIFT = np.uint64(52)
_EXP_LIMIT = 708.0


@intrinsic
def fma(_context: Any, a: Any, b: Any, c: Any) -> Any:
    """`fma(a, b, c)` is a * b + c with one rounding on every CPU, in software where the hardware has none.

    In single precision if all three are, else in double.
    """

    def build(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    real = types.float32 if a == b == c == types.float32 else types.float64
    return real(real, real, real), build


@intrinsic
def square_root(_context: Any, x: Any) -> Any:
    """IEEE square root in the precision of `x`: correctly rounded, hence the same everywhere."""

    def build(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        instruction = builder.module.declare_intrinsic("llvm.sqrt", [arguments[0].type])
        return builder.call(instruction, arguments)

    real = types.float32 if x == types.float32 else types.float64
    return real(real), build


@intrinsic
def bits_of(_context: Any, _x: Any) -> Any:
    """The 64 bits of a double as an unsigned integer."""

    def build(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.uint64(types.float64), build


@intrinsic
def double_of(_context: Any, _bits: Any) -> Any:
    """The double with these 64 bits."""

    def build(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.uint64), build


@inline
def expm1(x: float) -> Any:
    """`exp(x) - 1` without cancellation: relative error below 4e-16 also for a move of a millionth.

    `x` is limited to +-708, beyond which a double overflows; NaN stays NaN.
    x = n ln 2 + r with |r| <= ln 2 / 2, then 2**n (e**r - 1) + (2**n - 1). The minimax polynomial of
    (e**r - 1 - r) / r**2 leaves less than 6e-20, its odd and even terms run beside each other.
    """
    x = -_EXP_LIMIT if x < -_EXP_LIMIT else x  # noqa: FURB136  # this order keeps NaN
    x = _EXP_LIMIT if x > _EXP_LIMIT else x  # noqa: FURB136
    shifted = fma(x, _LOG2_E, _ROUND_TO_INTEGER)
    n = shifted - _ROUND_TO_INTEGER
    r = fma(n, -_LN2_LOW, fma(n, -_LN2_HIGH, x))
    q = r * r
    odd = fma(q, 2.51122393743397488e-8, 2.75572342393471998e-6)
    odd = fma(q, odd, 0.000198412698970547621)
    odd = fma(q, odd, 0.00833333333331674116)
    odd = fma(q, odd, 0.166666666666666838)
    even = fma(q, 2.09269815801448463e-9, 2.7557233212166997e-7)
    even = fma(q, even, 0.0000248015873739463043)
    even = fma(q, even, 0.00138888888888583192)
    even = fma(q, even, 0.0416666666666667248)
    even = fma(q, even, 0.5)
    p = fma(q, fma(r, odd, even), r)
    power_of_two = double_of((bits_of(shifted) << _EXPONENT_SHIFT) + _ONE_BITS)
    return fma(power_of_two, p, power_of_two - 1.0)


@inline
def exp_of_negative(x: float) -> Any:
    """`exp(x)` for x <= 0: absolute error below 3e-14, 3e-308 below -708, NaN stays NaN.

    The reduction of `expm1` with ln 2 in one piece, and a minimax polynomial that leaves less than 2e-14.
    """
    x = -_EXP_LIMIT if x < -_EXP_LIMIT else x  # noqa: FURB136  # this order keeps NaN
    shifted = fma(x, _LOG2_E, _ROUND_TO_INTEGER)
    r = fma(shifted - _ROUND_TO_INTEGER, -LN2, x)
    q = r * r
    odd = fma(q, 2.76439880332037642e-6, 0.000198411624166666024)
    odd = fma(q, odd, 0.0083333333890860408)
    odd = fma(q, odd, 0.166666666665668055)
    even = fma(q, 0.0000248822739050974562, 0.00138888075910001751)
    even = fma(q, even, 0.0416666669889398714)
    even = fma(q, even, 0.499999999996043169)
    p = fma(q, fma(r, odd, even), r) + 1.0
    return double_of(bits_of(p) + (bits_of(shifted) << _EXPONENT_SHIFT))


@inline
def tail_over_density(y: float) -> Any:
    """N(-y) exp(y^2 / 2) for y >= 0, N the normal distribution function: times exp(-y^2 / 2) it is N(-y).

    That product has an absolute error below 1.4e-12 for every y (above 7 the ratio is held, and N(-7) is
    1.3e-12). No division: the weighted minimax polynomial of degree 18 in t = 2 y / 7 - 1 that
    `tools/fit_kernel_polynomials.py` finds, odd and even terms beside each other.
    """
    t = fma(7.0 if y > 7.0 else y, 2.0 / 7.0, -1.0)  # noqa: FURB136
    q = t * t
    even = fma(q, 0.00719415630079498013, 0.0571150757649009798)
    even = fma(q, even, -0.0227060510728710391)
    even = fma(q, even, -0.0261363273045027875)
    even = fma(q, even, 0.0185030148112668418)
    even = fma(q, even, 0.0110706222077845044)
    even = fma(q, even, 0.0252989586703790854)
    even = fma(q, even, 0.0480567144097073387)
    even = fma(q, even, 0.0782485980675995045)
    even = fma(q, even, 0.106345153461813984)
    odd = fma(q, 0.0320709031856629143, 0.0359243821249181679)
    odd = fma(q, odd, -0.0549137389015572461)
    odd = fma(q, odd, 0.00347691219648535734)
    odd = fma(q, odd, -0.00328335951967060538)
    odd = fma(q, odd, -0.0186159865953539312)
    odd = fma(q, odd, -0.0355390900077027693)
    odd = fma(q, odd, -0.0625602406869281496)
    odd = fma(q, odd, -0.0935698664776281173)
    return fma(t, odd, even)
