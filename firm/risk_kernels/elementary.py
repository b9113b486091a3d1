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
def fma(_context: Any, _a: Any, _b: Any, _c: Any) -> Any:
    """`fma(a, b, c)` is a * b + c with one rounding on every CPU, in software where the hardware has none."""

    def build(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), build


@intrinsic
def square_root(_context: Any, _x: Any) -> Any:
    """IEEE square root: correctly rounded, hence the same everywhere."""

    def build(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        instruction = builder.module.declare_intrinsic("llvm.sqrt", [ir.DoubleType()])
        return builder.call(instruction, arguments)

    return types.float64(types.float64), build


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
    x = n ln 2 + r with |r| <= ln 2 / 2, then 2**n (e**r - 1) + (2**n - 1). The Taylor series of e**r - 1
    is cut after r**13 (the rest is below 5e-18) and its odd and even terms run beside each other.
    """
    x = -_EXP_LIMIT if x < -_EXP_LIMIT else x  # noqa: FURB136  # this order keeps NaN
    x = _EXP_LIMIT if x > _EXP_LIMIT else x  # noqa: FURB136
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
    power_of_two = double_of((bits_of(shifted) << _EXPONENT_SHIFT) + _ONE_BITS)
    return fma(power_of_two, p, power_of_two - 1.0)
