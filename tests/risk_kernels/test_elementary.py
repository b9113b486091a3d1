"""The elementary functions against libm, at the edges, and with NaN."""

import math

import numpy as np
import pytest
from numba import njit
from scipy.special import ndtr

from firm.risk_kernels.elementary import (
    bits_of,
    double_of,
    exp_of_negative,
    expm1,
    fma,
    square_root,
    tail_over_density,
)


def test_expm1_is_within_two_units_in_the_last_place_of_the_library():
    tiny = np.geomspace(1e-300, 1e-3, 400)
    moves = np.concatenate([np.linspace(-40.0, 40.0, 4001), np.linspace(-700.0, 700.0, 999), tiny, -tiny])

    ours = np.array([expm1(x) for x in moves])

    assert np.all(np.abs(ours - np.expm1(moves)) <= 2.0 * np.spacing(np.abs(np.expm1(moves))))


def test_expm1_of_zero_is_zero_and_of_a_crash_is_minus_one():
    assert [expm1(0.0), expm1(-750.0), expm1(-math.inf)] == [0.0, -1.0, -1.0]


def test_expm1_is_limited_before_it_overflows():
    assert expm1(1e6) == expm1(math.inf) == pytest.approx(math.exp(708.0), rel=1e-14)


def test_expm1_keeps_nan():
    assert math.isnan(expm1(math.nan))


def test_a_fused_multiply_add_rounds_once():
    @njit
    def fused(a: float, b: float, c: float) -> float:
        return fma(a, b, c)

    a = 1.0 + 2.0**-30

    assert fused(a, a, -(a * a)) == 2.0**-60


def test_the_compiler_does_not_fuse_a_plain_product_and_sum():
    plain = njit(lambda a, b, c: a * b + c, error_model="numpy")
    a = 1.0 + 2.0**-30

    assert plain(a, a, -(a * a)) == 0.0


def test_bits_and_doubles_are_the_same_thing():
    there_and_back = njit(lambda x: double_of(bits_of(x)))

    assert there_and_back(-1234.5) == -1234.5


def test_the_square_root_is_that_of_the_library():
    @njit
    def root(x: float) -> float:
        return square_root(x)

    assert root(2.0) == math.sqrt(2.0)


def test_the_exponential_of_what_is_negative_is_within_3e_14():
    x = -np.concatenate([np.linspace(0.0, 1.0, 2001), np.geomspace(1e-300, 700.0, 2001)])

    ours = np.array([exp_of_negative(value) for value in x])

    assert np.abs(ours - np.exp(x)).max() < 3e-14
    assert exp_of_negative(-1e300) == exp_of_negative(-math.inf) == pytest.approx(math.exp(-708.0), rel=1e-9)
    assert math.isnan(exp_of_negative(math.nan))


def test_the_tail_times_the_density_is_the_normal_distribution_function():
    y = np.concatenate([np.linspace(0.0, 9.0, 4001), [37.0, 1e3, math.inf]])

    tails = np.array([tail_over_density(value) for value in y]) * np.exp(-0.5 * y * y)

    assert np.abs(tails - ndtr(-y)).max() < 1.4e-12
    assert math.isnan(tail_over_density(math.nan))
