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
from firm.risk_kernels.single import direction_single, exponential_single

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

    Relative error below 4e-12, a fiftieth of the spacing of the uniforms. The uniform is 2**e (1 + f) with
    1 + f in [sqrt(1/2), sqrt(2)); ln(1 + f) is f times a minimax polynomial, odd and even terms beside each
    other.
    """
    bits = bits_of(double_of(word | _INTEGER_BITS) - (_TWO_52 - 0.5))
    exponent = (bits - _HALF_ROOT_HALF_BITS) >> _SHIFT_52
    f = double_of(bits - (exponent << _SHIFT_52) + (np.uint64(1) << _SHIFT_52)) - 1.0
    e = double_of(exponent | _INTEGER_BITS) - (_TWO_52 + 33.0)
    q = f * f
    odd = fma(q, -0.0497058547648244129, -0.0931544605742024012)
    odd = fma(q, odd, -0.0987602766406901161)
    odd = fma(q, odd, -0.125071834916217622)
    odd = fma(q, odd, -0.166664637950706606)
    odd = fma(q, odd, -0.250000025093084995)
    odd = fma(q, odd, -0.499999999908540341)
    even = fma(q, 0.0929271329825976385, 0.0900170780884210832)
    even = fma(q, even, 0.111082091117172309)
    even = fma(q, even, 0.14286123049401134)
    even = fma(q, even, 0.199999882337585866)
    even = fma(q, even, 0.333333334359899048)
    even = fma(q, even, 0.999999999998697849)
    return fma(e, -LN2, -f * fma(f, odd, even))


@inline
def direction(word: int) -> tuple[float, float]:
    """A point at a uniform angle on the circle of radius sqrt(2), from 32 bits; within 6e-12.

    The low 30 bits give an angle pi/4 + w in the first quadrant with |w| < pi/4, the top two bits the signs.
    sqrt(2) cos(pi/4 + w) = cos w - sin w and sqrt(2) sin(pi/4 + w) = cos w + sin w, so both minimax
    polynomials stay short.
    """
    step = double_of((word & _LOW_30) | _INTEGER_BITS) - _TWO_52
    w = fma(step, _ANGLE_STEP, 0.5 * _ANGLE_STEP - _QUARTER_PI)
    q = w * w
    sine = fma(q, 2.71735324413094597e-6, -0.000198392031449971411)
    sine = fma(q, sine, 0.00833332878605544923)
    sine = fma(q, sine, -0.16666666631635544)
    sine = fma(q, sine, 0.999999999995681634) * w
    cosine = fma(q, -2.71734838411570825e-7, 0.0000247989295881271829)
    cosine = fma(q, cosine, -0.00138888803982718022)
    cosine = fma(q, cosine, 0.0416666665440102382)
    cosine = fma(q, cosine, -0.499999999993518786)
    cosine = fma(q, cosine, 0.999999999999944505)
    x = double_of(bits_of(cosine - sine) | ((word & _BIT_31) << _SHIFT_32))
    y = double_of(bits_of(cosine + sine) | ((word & _BIT_30) << _SHIFT_33))
    return x, y


def lanes(shape: tuple[int, ...], kind: Any) -> Any:
    """Zeros of shape (..., BLOCK) that begin on a cache line: a vector that crosses two costs twice."""
    size = int(np.prod(shape)) * BLOCK
    line = 64 // np.dtype(kind).itemsize
    memory = np.zeros(size + line, kind)
    start = -memory.ctypes.data % 64 // memory.itemsize
    return memory[start : start + size].reshape(*shape, BLOCK)


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
def fill_normals(normals: Matrix, row: int, words: Words, deviations: Vector) -> None:
    """normals[row:row+4, lane] <- deviations[row:row+4] times standard normals from words[0:4, lane]."""
    for pair in range(0, 4, 2):
        even, odd = deviations[row + pair], deviations[row + pair + 1]
        for lane in range(BLOCK):
            radius = square_root(exponential(words[pair, lane]))
            x, y = direction(words[pair + 1, lane])
            normals[row + pair, lane] = even * (radius * x)
            normals[row + pair + 1, lane] = odd * (radius * y)


@lane_loop
def fill_normals_single(normals: Any, row: int, words: Any, deviations: Any) -> None:
    """`fill_normals` in single precision, from words of 32 bits."""
    for pair in range(0, 4, 2):
        even, odd = deviations[row + pair], deviations[row + pair + 1]
        for lane in range(BLOCK):
            radius = square_root(exponential_single(words[pair, lane]))
            x, y = direction_single(words[pair + 1, lane])
            normals[row + pair, lane] = even * (radius * x)
            normals[row + pair + 1, lane] = odd * (radius * y)


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
