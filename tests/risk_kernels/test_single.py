"""The functions in single precision against their doubles, at the edges, and with NaN."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import ndtr

from firm.risk_kernels.normals import BLOCK, fill_normals, fill_normals_single, fill_words
from firm.risk_kernels.philox import FACTORS, key_words
from firm.risk_kernels.single import (
    direction_single,
    expm1_single,
    exponential_single,
    normal_single,
)

EDGE_WORDS = [0, 1, 2, 2**30 - 1, 2**30, 2**31 - 1, 2**31, 3 * 2**30, 2**32 - 2, 2**32 - 1]
WORDS = EDGE_WORDS + [(step * 2654435761) % 2**32 for step in range(1, 1000)]


def singles(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.asarray(values, np.float32)


def test_expm1_is_within_3e_7_of_the_library():
    x = singles(np.concatenate([np.linspace(-80.0, 80.0, 2001), np.geomspace(1e-30, 1e-2, 200)]))

    ours = np.array([expm1_single(value) for value in x])

    np.testing.assert_allclose(ours, np.expm1(x.astype(float)), rtol=3e-7)


def test_expm1_is_limited_before_it_overflows_and_keeps_nan():
    assert expm1_single(np.float32(1e6)) == pytest.approx(math.exp(87.0), rel=1e-5)
    assert expm1_single(np.float32(-1e6)) == -1.0
    assert math.isnan(expm1_single(np.float32(math.nan)))


def test_the_normal_distribution_function_is_within_5e_7():
    d = singles(np.concatenate([np.linspace(-9.0, 9.0, 4001), [-1e30, 1e30, -math.inf, math.inf]]))

    ours = np.array([normal_single(value) for value in d])

    assert np.abs(ours - ndtr(d.astype(float))).max() < 5e-7
    assert math.isnan(normal_single(np.float32(math.nan)))


def test_the_exponential_variate_is_minus_the_logarithm_of_the_midpoint():
    midpoints = (np.array(WORDS) // 2 + 0.5) / 2**31

    ours = np.array([exponential_single(np.uint32(word)) for word in WORDS])

    np.testing.assert_allclose(ours, -np.log(midpoints), rtol=2e-7, atol=6e-8)
    assert ours.min() >= 0.0


def test_the_direction_is_a_point_of_the_circle_at_the_angle_of_the_low_bits():
    angles = (np.array(WORDS) % 2**30 + 0.5) / 2**30 * np.pi / 2.0
    signs = np.array([[1 - 2 * (word >> 31), 1 - 2 * (word >> 30 & 1)] for word in WORDS])

    ours = np.array([direction_single(np.uint32(word)) for word in WORDS])

    expected = np.sqrt(2.0) * signs * np.column_stack([np.cos(angles), np.sin(angles)])
    np.testing.assert_allclose(ours, expected, rtol=0, atol=4e-7)


def test_single_normals_are_the_double_ones_rounded():
    words, double = np.empty((4, BLOCK), np.uint64), np.empty((4, BLOCK))
    short, single = np.empty((4, BLOCK), np.uint32), np.empty((4, BLOCK), np.float32)
    for quad in range(50):
        fill_words(words, np.uint64(7 * BLOCK), np.uint64(quad), FACTORS, *key_words(3))
        fill_words(short, np.uint64(7 * BLOCK), np.uint64(quad), FACTORS, *key_words(3))
        fill_normals(double, 0, words, np.ones(4))
        fill_normals_single(single, 0, short, np.ones(4, np.float32))

        assert np.array_equal(words, short)
        np.testing.assert_allclose(single, double, rtol=0, atol=4e-6)
