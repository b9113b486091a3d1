"""Standard normals and chi-squares, one scenario a lane, from the counter-based words.

Box-Muller, because it is branch-free and gives every lane its normals from its own counter. A uniform is the
midpoint (word + 1/2) / 2**32, so 0 and 1 never occur and no normal exceeds 6.77 in size.

Source: Box and Muller, A note on the generation of random normal deviates (1958).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from firm.risk_kernels.elementary import LN2, bits_of, double_of, fma, inline, lane_loop, square_root
from firm.risk_kernels.philox import CHI_SQUARE, MASK_32, philox4x32

BLOCK = 192
"""Scenarios a block: what one pass holds in the first-level cache; a shard is a range of whole blocks."""

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

_SHIFT_32 = np.uint64(32)
_SHIFT_52 = np.uint64(52)
_INTEGER_BITS = np.uint64(0x4330000000000000)  # exponent of 2**52: OR-ing a small integer in adds it exactly
_TWO_52 = 4503599627370496.0
_HALF_ROOT_HALF_BITS = np.uint64(0x3FD6A09E667F3BCD)  # sqrt(1/2) / 2
_LOW_30 = np.uint64(0x3FFFFFFF)
_BIT_31, _BIT_30 = np.uint64(1 << 31), np.uint64(1 << 30)
_SHIFT_33 = np.uint64(33)
_QUARTER_PI = 0.7853981633974483
_ANGLE_STEP = _QUARTER_PI / 536870912.0  # a quadrant in 2**30 steps


@inline
def exponential(word: int) -> Any:
    """`-ln((word + 1/2) / 2**32)`, a standard exponential variate from 32 bits, in [1.1e-10, 22.9].

    The uniform is 2**e m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh(s), s = (m - 1) / (m + 1), whose
    series in s**2 <= 0.0295 is cut after s**21: the rest is below 2e-18.
    """
    bits = bits_of(double_of(word | _INTEGER_BITS) - (_TWO_52 - 0.5))
    exponent = (bits - _HALF_ROOT_HALF_BITS) >> _SHIFT_52
    m = double_of(bits - (exponent << _SHIFT_52) + (np.uint64(1) << _SHIFT_52))
    e = double_of(exponent | _INTEGER_BITS) - (_TWO_52 + 33.0)
    s = (m - 1.0) / (m + 1.0)
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
    return fma(e, -LN2, -2.0 * fma(s * q, p, s))


@inline
def direction(word: int) -> tuple[float, float]:
    """A point at a uniform angle on the circle of radius sqrt(2), from 32 bits.

    The low 30 bits give an angle pi/4 + w in the first quadrant with |w| < pi/4, the top two bits the signs.
    sqrt(2) cos(pi/4 + w) = cos w - sin w and sqrt(2) sin(pi/4 + w) = cos w + sin w, so both series stay
    short; cut after w**15 and w**16, the rest is below 5e-17.
    """
    step = double_of((word & _LOW_30) | _INTEGER_BITS) - _TWO_52
    w = fma(step, _ANGLE_STEP, 0.5 * _ANGLE_STEP - _QUARTER_PI)
    q = w * w
    sine = fma(q, -1 / 1307674368000, 1 / 6227020800)
    sine = fma(q, sine, -1 / 39916800)
    sine = fma(q, sine, 1 / 362880)
    sine = fma(q, sine, -1 / 5040)
    sine = fma(q, sine, 1 / 120)
    sine = fma(q, sine, -1 / 6)
    sine = fma(w * q, sine, w)
    cosine = fma(q, 1 / 20922789888000, -1 / 87178291200)
    cosine = fma(q, cosine, 1 / 479001600)
    cosine = fma(q, cosine, -1 / 3628800)
    cosine = fma(q, cosine, 1 / 40320)
    cosine = fma(q, cosine, -1 / 720)
    cosine = fma(q, cosine, 1 / 24)
    cosine = fma(q, cosine, -1 / 2)
    cosine = fma(q, cosine, 1.0)
    x = double_of(bits_of(cosine - sine) | ((word & _BIT_31) << _SHIFT_32))
    y = double_of(bits_of(cosine + sine) | ((word & _BIT_30) << _SHIFT_33))
    return x, y


@lane_loop
def fill_words(words: Words, first: int, quad: int, stream: int, k0: int, k1: int) -> None:
    """words[0:4, lane] <- the words of scenario `first + lane`, dimensions 4 quad .. 4 quad + 3."""
    for lane in range(BLOCK):
        scenario = first + np.uint64(lane)
        w0, w1, w2, w3 = philox4x32(scenario & MASK_32, scenario >> _SHIFT_32, quad, stream, k0, k1)
        words[0, lane] = w0
        words[1, lane] = w1
        words[2, lane] = w2
        words[3, lane] = w3


@lane_loop
def fill_normals(normals: Matrix, row: int, words: Words) -> None:
    """normals[row:row+4, lane] <- four independent standard normals from words[0:4, lane]."""
    for pair in range(0, 4, 2):
        for lane in range(BLOCK):
            radius = square_root(exponential(words[pair, lane]))
            x, y = direction(words[pair + 1, lane])
            normals[row + pair, lane] = radius * x
            normals[row + pair + 1, lane] = radius * y


@lane_loop
def fill_student_scale(scale: Vector, words: Words, first: int, half_nu: int, k0: int, k1: int) -> None:
    """scale[lane] <- sqrt(nu / chi-square of nu = 2 half_nu degrees), or 1 when half_nu is 0 (normal).

    A chi-square of an even number of degrees is exactly twice a sum of nu / 2 exponentials.
    """
    for lane in range(BLOCK):
        scale[lane] = 0.0 if half_nu > 0 else 1.0
    for term in range(half_nu):
        if term % 4 == 0:
            fill_words(words, first, np.uint64(term // 4), CHI_SQUARE, k0, k1)
        for lane in range(BLOCK):
            scale[lane] += exponential(words[term % 4, lane])
    if half_nu > 0:
        for lane in range(BLOCK):
            scale[lane] = square_root(half_nu / scale[lane])
