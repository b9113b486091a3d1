"""The elementary functions in single precision: half the bytes and half the time, for limits and drafts.

The same words of the generator give the same scenarios, rounded to 24 bits. Figures of record are double.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from firm.risk_kernels.elementary import fma, inline

_F = np.float32
_U = np.uint32

_LOG2_E = _F(1.44269504)
_LN2_HIGH = _F(0.693145751953125)  # 16 bits of ln 2, so n * _LN2_HIGH is exact
_LN2_LOW = _F(1.42860682030941723212e-6)
_ROUND_TO_INTEGER = _F(12582912.0)  # 1.5 * 2**23: adding it leaves the nearest integer in the low bits
_EXPONENT_SHIFT = _U(23)
_ONE_BITS = _U(0x3F800000)
_LIMIT = _F(87.0)
_ONE = _F(1.0)
_HELD = _F(5.0)


@intrinsic
def bits_of_single(_context: Any, _x: Any) -> Any:
    """The 32 bits of a single as an unsigned integer."""

    def build(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), build


@intrinsic
def single_of(_context: Any, _bits: Any) -> Any:
    """The single with these 32 bits."""

    def build(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), build


@inline
def expm1_single(x: Any) -> Any:
    """`exp(x) - 1` in single precision, relative error below 3e-7; `x` limited to +-87, NaN stays NaN.

    The reduction of `elementary.expm1`, and a minimax polynomial that leaves less than 4e-9.
    """
    x = -_LIMIT if x < -_LIMIT else x  # noqa: FURB136  # this order keeps NaN
    x = _LIMIT if x > _LIMIT else x  # noqa: FURB136
    shifted = fma(x, _LOG2_E, _ROUND_TO_INTEGER)
    n = shifted - _ROUND_TO_INTEGER
    r = fma(n, -_LN2_LOW, fma(n, -_LN2_HIGH, x))
    p = fma(r, _F(0.00139504919300451897), _F(0.00836888935419530646))
    p = fma(r, p, _F(0.0416662057903089118))
    p = fma(r, p, _F(0.166665188396771206))
    p = fma(r, p, _F(0.500000009518825727))
    p = fma(r * r, p, r)
    power_of_two = single_of(_U(_U(bits_of_single(shifted) << _EXPONENT_SHIFT) + _ONE_BITS))
    return fma(power_of_two, p, power_of_two - _ONE)


@inline
def normal_single(d: Any) -> Any:
    """The normal distribution function in single precision, absolute error below 5e-7; NaN stays NaN.

    1/2 plus d times a minimax polynomial in d^2 <= 25, in t = 2 d^2 / 25 - 1; `d` is held at +-5, where the
    function is within 3e-7 of 0 or 1. In double this would take a polynomial three times as long.
    """
    d = -_HELD if d < -_HELD else d  # noqa: FURB136
    d = _HELD if d > _HELD else d  # noqa: FURB136
    t = fma(d * d, _F(2 / 25), -_ONE)
    q = t * t
    even = fma(q, _F(0.000608732482101), _F(0.00172277950651))
    even = fma(q, even, _F(0.00641055858044))
    even = fma(q, even, _F(0.016402120535))
    even = fma(q, even, _F(0.0314421971238))
    even = fma(q, even, _F(0.0515205185214))
    even = fma(q, even, _F(0.141363787715))
    odd = fma(q, _F(-0.0016132683211), _F(-0.00268560390807))
    odd = fma(q, odd, _F(-0.0111642739196))
    odd = fma(q, odd, _F(-0.0232686954835))
    odd = fma(q, odd, _F(-0.0404425981767))
    odd = fma(q, odd, _F(-0.0702962810626))
    return fma(d, fma(t, odd, even), _F(0.5))


@inline
def exponential_single(word: Any) -> Any:
    """`normals.exponential` in single precision: -ln((word + 1/2) / 2**32) from 31 bits of the word.

    The uniform is 2**e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); ln(1 + f) is f times a minimax polynomial
    with a relative error below 3e-8.
    """
    u = _F(np.int32(word >> _U(1))) + _F(0.5)
    bits = bits_of_single(u)
    exponent = _U(_U(bits - _U(0x3E3504F3)) >> _EXPONENT_SHIFT)
    f = single_of(_U(_U(bits - _U(exponent << _EXPONENT_SHIFT)) + _U(0x1000000))) - _ONE
    q = f * f
    odd = fma(q, _F(-0.144822313070307676), _F(-0.165437304256639905))
    odd = fma(q, odd, _F(-0.250029464884247321))
    odd = fma(q, odd, _F(-0.499999777357879049))
    even = fma(q, _F(0.0895996395118665712), _F(0.149173769642441719))
    even = fma(q, even, _F(0.199584165415548454))
    even = fma(q, even, _F(0.333341604722613573))
    even = fma(q, even, _F(0.999999975048421977))
    e = _F(np.int32(exponent) - np.int32(33))
    return fma(e, _F(-0.6931471805599453), -f * fma(f, odd, even))


@inline
def direction_single(word: Any) -> tuple[Any, Any]:
    """`normals.direction` in single precision: a point of the circle of radius sqrt(2)."""
    step = _F(np.int32(word & _U(0x3FFFFFFF)))
    w = fma(step, _F(0.7853981633974483 / 536870912.0), _F(-0.7853981633974483))
    q = w * w
    sine = fma(q, _F(-0.000195040220006280352), _F(0.00833203687528692684))
    sine = fma(q, sine, _F(-0.166666506992102822))
    sine = fma(q, sine, _F(0.999999996926348845)) * w
    cosine = fma(q, _F(-0.00135859085100441235), _F(0.041655026885958045))
    cosine = fma(q, cosine, _F(-0.499998566959543777))
    cosine = fma(q, cosine, _F(0.999999972423404393))
    x = single_of(_U(bits_of_single(cosine - sine) | _U(word & _U(1 << 31))))
    y = single_of(_U(bits_of_single(cosine + sine) | _U(_U(word & _U(1 << 30)) << _U(1))))
    return x, y
