"""Normals and chi-squares: exact against libm, and in distribution."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import chdtr, ndtr

from firm.risk_kernels.normals import (
    BLOCK,
    direction,
    exponential,
    fill_normals,
    fill_student_scale,
    fill_words,
    lanes,
)
from firm.risk_kernels.philox import FACTORS, IDIOSYNCRATIC, key_words

SEED = 20240607
EDGE_WORDS = [0, 1, 2, 2**30 - 1, 2**30, 2**31 - 1, 2**31, 3 * 2**30, 2**32 - 2, 2**32 - 1]
WORDS = EDGE_WORDS + [(step * 2654435761) % 2**32 for step in range(1, 2000)]


def normals(blocks: int, quad: int = 0, stream: np.uint64 = FACTORS) -> npt.NDArray[np.float64]:
    """float64[4, blocks * BLOCK]: the four dimensions of a quad."""
    print("seed", SEED)
    words, out = np.empty((4, BLOCK), np.uint64), np.empty((blocks, 4, BLOCK))
    for block in range(blocks):
        fill_words(words, np.uint64(block * BLOCK), np.uint64(quad), stream, *key_words(SEED))
        fill_normals(out[block], 0, words, np.ones(4))
    return out.transpose(1, 0, 2).reshape(4, -1)


def kolmogorov_distance(sample: npt.NDArray[np.float64]) -> float:
    """Times the root of the sample size; above 1.95 with a probability of 1 in 1,000."""
    n = len(sample)
    steps = np.arange(n + 1) / n
    ordered = np.sort(sample)
    return float(np.sqrt(n) * max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))


def test_the_exponential_is_minus_the_logarithm_of_the_midpoint():
    uniforms = (np.array(WORDS) + 0.5) / 2**32

    ours = np.array([exponential(np.uint64(word)) for word in WORDS])

    np.testing.assert_allclose(ours, -np.log(uniforms), rtol=4e-12, atol=0)


def test_the_direction_is_a_point_of_the_circle_at_the_angle_of_the_low_bits():
    angles = (np.array(WORDS) % 2**30 + 0.5) / 2**30 * np.pi / 2.0
    signs = np.array([[1 - 2 * (word >> 31), 1 - 2 * (word >> 30 & 1)] for word in WORDS])

    ours = np.array([direction(np.uint64(word)) for word in WORDS])

    expected = np.sqrt(2.0) * signs * np.column_stack([np.cos(angles), np.sin(angles)])
    np.testing.assert_allclose(ours, expected, rtol=0, atol=6e-12)


def test_normals_have_the_moments_of_the_normal_distribution():
    sample = normals(blocks=500).ravel()
    n = len(sample)

    z_scores = [
        sample.mean() * np.sqrt(n),
        ((sample**2).mean() - 1.0) * np.sqrt(n / 2.0),
        (sample**3).mean() * np.sqrt(n / 15.0),
        ((sample**4).mean() - 3.0) * np.sqrt(n / 96.0),
    ]

    assert np.abs(z_scores).max() < 3.5, z_scores


def test_normals_follow_the_normal_distribution_function():
    assert kolmogorov_distance(ndtr(normals(blocks=300).ravel())) < 1.95


def test_dimensions_quads_streams_and_neighbouring_scenarios_are_uncorrelated():
    first, other_quad, other_stream = normals(300), normals(300, quad=1), normals(300, stream=IDIOSYNCRATIC)
    shifted = np.roll(first, 1, axis=1)
    n = first.shape[1]

    correlation = np.corrcoef(np.vstack([first, other_quad, other_stream, shifted]))

    off_diagonal = correlation[~np.eye(16, dtype=bool)]
    assert np.abs(off_diagonal).max() * np.sqrt(n) < 4.0


@pytest.mark.parametrize("nu", [2, 4, 6, 10, 24])
def test_the_student_scale_is_an_inverse_chi_square_of_its_degrees(nu: int):
    words, scale, blocks = np.empty((4, BLOCK), np.uint64), np.empty(BLOCK), 200
    chi_squares = []
    for block in range(blocks):
        fill_student_scale(scale, words, np.uint64(block * BLOCK), nu // 2, *key_words(SEED))
        chi_squares.append(nu / scale**2)

    assert kolmogorov_distance(chdtr(nu, np.concatenate(chi_squares))) < 1.95


def test_normals_are_multiplied_by_the_deviation_of_their_row():
    words, out, plain = np.empty((4, BLOCK), np.uint64), np.empty((8, BLOCK)), np.empty((8, BLOCK))
    fill_words(words, np.uint64(0), np.uint64(0), FACTORS, *key_words(SEED))
    deviations = np.array([9.0, 9.0, 9.0, 9.0, 2.0, 0.5, 0.0, 4.0])

    fill_normals(out, 4, words, deviations)
    fill_normals(plain, 4, words, np.ones(8))

    assert np.array_equal(out[4:], deviations[4:, None] * plain[4:])


def test_lanes_begin_on_a_cache_line():
    for kind in (np.float64, np.float32, np.uint32):
        memory = lanes((3,), kind)

        assert memory.shape == (3, BLOCK)
        assert memory.ctypes.data % 64 == 0
        assert not memory.any()


def test_without_degrees_the_scale_is_one():
    scale = np.empty(BLOCK)

    fill_student_scale(scale, np.empty((4, BLOCK), np.uint64), np.uint64(0), 0, *key_words(SEED))

    assert np.all(scale == 1.0)
