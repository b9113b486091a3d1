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
_ONE, _TWO = _F(1.0), _F(2.0)
_HELD = _F(5.5)


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
def reduced_single(x: Any) -> tuple[Any, Any]:
    """(shifted, r): x = n ln 2 + r with |r| <= ln 2 / 2 and n in the low bits of `shifted`."""
    shifted = fma(x, _LOG2_E, _ROUND_TO_INTEGER)
    n = shifted - _ROUND_TO_INTEGER
    return shifted, fma(n, -_LN2_LOW, fma(n, -_LN2_HIGH, x))


@inline
def series_single(r: Any) -> Any:
    """`exp(r) - 1` for |r| <= ln 2 / 2: a minimax polynomial that leaves less than 4e-9."""
    p = fma(r, _F(0.00139504919300451897), _F(0.00836888935419530646))
    p = fma(r, p, _F(0.0416662057903089118))
    p = fma(r, p, _F(0.166665188396771206))
    p = fma(r, p, _F(0.500000009518825727))
    return fma(r * r, p, r)


@inline
def expm1_single(x: Any) -> Any:
    """`exp(x) - 1` in single precision, relative error below 3e-7; `x` limited to +-87, NaN stays NaN."""
    x = -_LIMIT if x < -_LIMIT else x  # noqa: FURB136  # this order keeps NaN
    x = _LIMIT if x > _LIMIT else x  # noqa: FURB136
    shifted, r = reduced_single(x)
    power_of_two = single_of(_U(_U(bits_of_single(shifted) << _EXPONENT_SHIFT) + _ONE_BITS))
    return fma(power_of_two, series_single(r), power_of_two - _ONE)


@inline
def exp_of_negative_single(x: Any) -> Any:
    """`exp(x)` for x <= 0 in single precision, relative error below 2e-7; zero (1e-38) below -87."""
    x = -_LIMIT if x < -_LIMIT else x  # noqa: FURB136
    shifted, r = reduced_single(x)
    p = series_single(r) + _ONE
    return single_of(_U(bits_of_single(p) + _U(bits_of_single(shifted) << _EXPONENT_SHIFT)))


@inline
def tail_over_density_single(y: Any) -> Any:
    """`tail_over_density` in single precision: the product with exp(-y^2 / 2) is within 4e-7 of N(-y)."""
    t = fma(_HELD if y > _HELD else y, _F(2 / 5.5), -_ONE)  # noqa: FURB136
    q = t * t
    odd = fma(q, _F(-0.0725190632963079493), _F(-0.146910128162810474))
    odd = fma(q, odd, _F(0.00961451244710072592))
    odd = fma(q, odd, _F(-0.0596562722278572617))
    odd = fma(q, odd, _F(-0.108657613516867884))
    even = fma(q, _F(-0.155705945499905), _F(0.000524615460058619164))
    even = fma(q, even, _F(0.0631396499566462418))
    even = fma(q, even, _F(0.0831911324960578425))
    even = fma(q, even, _F(0.130721726755865705))
    return fma(t, odd, even)


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
