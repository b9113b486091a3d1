"""The nearest correlation matrix against published results, an independent method, and its own properties."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from firm.errors import DataError
from firm.risk.nearest_correlation import (
    Conditioning,
    factorise,
    is_psd,
    nearest_correlation,
    require_symmetric,
    with_unit_diagonal,
)

Matrix = npt.NDArray[np.float64]


def symmetric(n: int, seed: int, spread: float) -> Matrix:
    entries = np.random.default_rng(seed).uniform(-spread, spread, (n, n))
    matrix = np.triu(entries, 1)
    return np.asarray(matrix + matrix.T + np.eye(n))


def nearest_by_dual(matrix: Matrix) -> Matrix:
    """Malick (2004): the dual of the same projection, by a general-purpose minimiser."""

    def positive_part(y: npt.NDArray[np.float64]) -> Matrix:
        values, vectors = np.linalg.eigh(matrix + np.diag(y))
        return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)

    def dual(y: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        part = positive_part(y)
        return 0.5 * float((part**2).sum()) - float(y.sum()), np.diag(part) - 1.0

    found = minimize(dual, np.zeros(len(matrix)), jac=True, method="BFGS", options={"gtol": 1e-9})
    return positive_part(found.x)


def test_the_tridiagonal_example():
    # Source: Higham (2002), as tested in QuantLib; the distance is printed there as 2.1339, here 2.13373.
    near = nearest_correlation(2.0 * np.eye(4) - np.eye(4, k=1) - np.eye(4, k=-1))

    expected = [1.0, -0.8084124981, 0.1915875019, 0.1067750490]
    np.testing.assert_allclose(near.matrix[0], expected, atol=1e-6)
    assert near.distance == pytest.approx(2.1339, abs=5e-4)


def test_the_three_by_three_example():
    # Source: Higham (2002), section 4, from memory; agrees with the dual method to 1e-7.
    given_matrix = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])

    near = nearest_correlation(given_matrix)

    np.testing.assert_allclose(near.matrix[0], [1.0, 0.7607, 0.1573], atol=5e-5)
    assert near.distance == pytest.approx(0.5278, abs=5e-5)
    np.testing.assert_allclose(near.matrix, nearest_by_dual(given_matrix), atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_with_the_dual_method(seed: int):
    matrix = symmetric(8, seed, 1.0)

    near = nearest_correlation(matrix)

    assert near.smallest_eigenvalue < -0.1
    np.testing.assert_allclose(near.matrix, nearest_by_dual(matrix), atol=1e-6)


def test_dykstra_is_nearer_than_clipping_and_rescaling():
    matrix = symmetric(12, 5, 0.9)
    values, vectors = np.linalg.eigh(matrix)
    clipped = with_unit_diagonal((vectors * np.maximum(values, 1e-12)) @ vectors.T)

    near = nearest_correlation(matrix)

    assert near.distance < 0.98 * np.linalg.norm(clipped - matrix)


def test_clipped_eigenvalues_alone_change_the_variances():
    matrix = symmetric(12, 5, 0.9)
    values, vectors = np.linalg.eigh(matrix)
    clipped = (vectors * np.maximum(values, 0.0)) @ vectors.T

    assert np.diag(clipped).max() > 1.3  # the trap: 30 % more variance than the instrument has
    assert (np.diag(nearest_correlation(matrix).matrix) == 1.0).all()


@given(st.integers(1, 7), st.integers(0, 10_000), st.floats(0.0, 1.5))
def test_the_result_is_a_correlation_matrix_and_stays_what_it_is(n: int, seed: int, spread: float):
    near = nearest_correlation(symmetric(n, seed, spread))

    assert (np.diag(near.matrix) == 1.0).all()
    assert (near.matrix == near.matrix.T).all()
    assert np.abs(near.matrix).max() <= 1.0 + 1e-12
    assert is_psd(near.matrix)
    again = nearest_correlation(near.matrix)
    assert again.distance == 0.0
    assert (again.matrix == near.matrix).all()


@given(st.integers(2, 6), st.integers(0, 10_000))
def test_no_other_correlation_matrix_is_nearer(n: int, seed: int):
    matrix = symmetric(n, seed, 1.0)
    near = nearest_correlation(matrix)
    other = np.corrcoef(np.random.default_rng(seed + 1).normal(size=(n, 2 * n)))
    for part in (0.001, 0.1, 1.0):
        rival = (1 - part) * near.matrix + part * other
        assert near.distance <= np.linalg.norm(rival - matrix) + 1e-6


def test_a_correlation_matrix_comes_back_untouched():
    matrix = np.corrcoef(np.random.default_rng(1).normal(size=(5, 50)))
    matrix = with_unit_diagonal(0.5 * (matrix + matrix.T))

    near = nearest_correlation(matrix)

    assert (near.matrix == matrix).all()
    assert (near.distance, near.iterations) == (0.0, 0)


def test_what_does_not_settle_is_an_error_with_the_numbers():
    with pytest.raises(DataError, match=r"after 3 projections of a matrix with smallest eigenvalue -"):
        nearest_correlation(symmetric(8, 1, 1.0), iterations_max=3)


def test_what_is_no_symmetric_matrix_is_refused():
    with pytest.raises(ValueError, match=r"square matrix .* found shape \(2, 3\)"):
        nearest_correlation(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="at least 1 x 1"):
        nearest_correlation(np.zeros((0, 0)))
    with pytest.raises(DataError, match="found 1 NaN or infinite of 4"):
        nearest_correlation(np.array([[1.0, np.nan], [0.0, 1.0]]))
    with pytest.raises(DataError, match=r"found 0.5 at \(0, 1\) and 0.4 at \(1, 0\)"):
        require_symmetric("it", np.array([[1.0, 0.5], [0.4, 1.0]]))
    with pytest.raises(DataError, match="found 0 in column 1"):
        with_unit_diagonal(np.diag([1.0, 0.0]))


def test_a_definite_matrix_is_factorised_as_it_is():
    matrix = np.array([[1.0, 0.5], [0.5, 1.0]])

    factor = factorise(matrix)

    assert (factor.outcome, factor.jitter, factor.rank) == (Conditioning.DEFINITE, 0.0, 2)
    assert factor.condition == pytest.approx(3.0)
    np.testing.assert_allclose(factor.lower @ factor.lower.T, matrix, atol=1e-15)


def test_500_instruments_and_250_days_are_singular_and_say_so():
    returns = np.random.default_rng(3).normal(size=(250, 500))
    matrix = with_unit_diagonal(np.cov(returns.T))

    factor = factorise(matrix)

    assert factor.outcome is Conditioning.JITTERED
    assert factor.rank == 249
    assert 0.0 < factor.jitter < 1e-9
    product = factor.lower @ factor.lower.T
    np.testing.assert_allclose(np.diag(product), 1.0, atol=1e-12)
    np.testing.assert_allclose(product, matrix, atol=1e-9)


def test_the_jitter_brings_the_condition_to_what_is_allowed():
    factor = factorise(np.ones((4, 4)), condition_max=1e6)

    values = np.linalg.eigvalsh(factor.lower @ factor.lower.T)
    assert values[-1] / values[0] == pytest.approx(1e6, rel=1e-6)
    assert factor.condition > 1e15


def test_what_is_no_correlation_matrix_is_not_factorised():
    with pytest.raises(DataError, match=r"found -0.1; replace it by its nearest"):
        factorise(np.array([[1.0, 1.1], [1.1, 1.0]]))
    with pytest.raises(ValueError, match="found 1 to 2"):
        factorise(np.diag([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"above 1, found 1.0"):
        factorise(np.eye(2), condition_max=1.0)
