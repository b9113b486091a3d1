"""Quadratic P&L against exact distributions, simulation and each other."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from firm.errors import DataError
from firm.risk.var_calculator import (
    OutsideDomain,
    QuadraticPnl,
    VarEs,
    cornish_fisher_var,
    delta_gamma,
    delta_gamma_var,
    normal_var,
    parametric_var,
)

Array = npt.NDArray[np.float64]


def book_of(n: int, seed: int) -> tuple[Array, Array, Array]:
    """Deltas, a full gamma matrix and a covariance, in account currency and fractions."""
    print("seed", seed)
    rng = np.random.default_rng(seed)
    loadings = rng.normal(0.0, 0.01, (n, n + 2))
    gamma = rng.normal(0.0, 2e6, (n, n))
    return rng.normal(0.0, 1e5, n), 0.5 * (gamma + gamma.T), loadings @ loadings.T


@pytest.mark.parametrize("offset", [0.0, 0.3, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("probability", [1e-6, 1e-3, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_one_factor_is_a_noncentral_chi_square(offset: float, probability: float):
    # (Z + offset)^2
    book = QuadraticPnl(offset**2, np.array([2.0 * offset]), np.ones(1))
    quantile = float(stats.ncx2.ppf(probability, 1, offset**2) if offset else stats.chi2.ppf(probability, 1))

    assert book.probability_below(quantile) == pytest.approx(probability, rel=1e-6, abs=1e-10)


@pytest.mark.parametrize("factors", [1, 2, 3, 10, 50])
def test_equal_curvatures_are_a_chi_square(factors: int):
    book = QuadraticPnl(0.0, np.zeros(factors), np.full(factors, -1.0))

    risk = delta_gamma_var(book, 0.99)

    quantile = stats.chi2.ppf(0.99, factors)
    # the mean beyond a quantile of chi-square: n P(chi-square of n + 2 > q) / (1 - confidence)
    assert risk.var == pytest.approx(quantile, rel=1e-9)
    assert risk.es == pytest.approx(factors * stats.chi2.sf(quantile, factors + 2) / 0.01, rel=1e-7)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99, 0.9999])
def test_without_curvature_it_is_the_normal(confidence: float):
    book = QuadraticPnl(1.5, np.array([3.0, -4.0]), np.zeros(2))

    risk, normal = delta_gamma_var(book, confidence), normal_var(5.0, confidence, mean=1.5)

    assert risk.var == pytest.approx(normal.var, rel=1e-9, abs=1e-9)
    assert risk.es == pytest.approx(normal.es, rel=1e-9, abs=1e-9)


def test_without_gamma_a_book_is_delta_normal():
    delta, gamma, covariance = book_of(6, seed=31)

    risk = delta_gamma_var(delta_gamma(delta, 0.0 * gamma, covariance), 0.99)
    linear = parametric_var(covariance, delta, 0.99)

    assert (risk.var, risk.es) == (pytest.approx(linear.var), pytest.approx(linear.es))


@pytest.mark.parametrize("n", [1, 3, 12])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_book_agrees_with_its_simulation(n: int, sign: float):
    delta, gamma, covariance = book_of(n, seed=40 + n)
    moves = np.random.default_rng(50 + n).multivariate_normal(np.zeros(n), covariance, 400_000, method="eigh")
    pnl = 100.0 + moves @ delta + 0.5 * sign * np.einsum("si,ij,sj->s", moves, gamma, moves, optimize=True)
    book = delta_gamma(delta, sign * gamma, covariance, constant=100.0)

    risk = delta_gamma_var(book, 0.99)

    worst = -np.sort(pnl)[:4000]
    assert book.moments().mean == pytest.approx(pnl.mean(), abs=5 * pnl.std() / 400_000**0.5)
    assert book.moments().deviation == pytest.approx(pnl.std(), rel=0.02)
    assert risk.var == pytest.approx(worst[-1], abs=0.03 * pnl.std())
    assert risk.es == pytest.approx(worst.mean(), abs=0.04 * pnl.std())


def test_moments_are_those_of_the_simulation():
    book = QuadraticPnl(2.0, np.array([1.0, -2.0, 0.0]), np.array([0.5, -0.3, 0.8]))
    print("seed 61")
    z = np.random.default_rng(61).standard_normal((2_000_000, 3))
    pnl = 2.0 + z @ book.linear + z**2 @ book.curvature

    moments = book.moments()

    assert moments.mean == pytest.approx(3.0)
    assert moments.deviation**2 == pytest.approx(5.0 + 2.0 * 0.98)
    assert moments.skewness == pytest.approx(stats.skew(pnl), abs=0.02)
    assert moments.excess_kurtosis == pytest.approx(stats.kurtosis(pnl), abs=0.1)


def test_a_hedged_short_gamma_book_has_risk_that_delta_normal_does_not_see():
    covariance = np.diag([0.0004, 0.0009])
    book = delta_gamma(np.array([100.0, 0.0]), np.array([-1e7, -2e7]), covariance)

    risk = delta_gamma_var(book, 0.99)

    assert parametric_var(covariance, np.array([100.0, 0.0]), 0.99).var < 0.01 * risk.var
    with pytest.raises(OutsideDomain, match="quantiles rise with the confidence"):
        cornish_fisher_var(book.moments(), 0.99)


def test_cornish_fisher_is_close_for_a_mildly_curved_book():
    delta, _, covariance = book_of(8, seed=71)
    book = delta_gamma(delta, np.full(8, -8e4), covariance)

    assert abs(book.moments().skewness) < 0.5
    assert cornish_fisher_var(book.moments(), 0.99).var == pytest.approx(
        delta_gamma_var(book, 0.99).var, rel=0.01
    )


def test_a_diagonal_of_gammas_is_the_matrix_with_it():
    delta, gamma, covariance = book_of(5, seed=81)
    diagonal = np.diag(gamma).copy()

    short, full = delta_gamma(delta, diagonal, covariance), delta_gamma(delta, np.diag(diagonal), covariance)

    assert delta_gamma_var(short, 0.99) == delta_gamma_var(full, 0.99)


def test_a_singular_covariance_is_fine():
    one = delta_gamma(np.array([1e5]), np.array([-1e6]), np.array([[0.0004]]))
    twice = delta_gamma(np.array([4e4, 6e4]), np.diag([-1e6, 0.0]), np.full((2, 2), 0.0004))

    assert delta_gamma_var(twice, 0.99).var == pytest.approx(delta_gamma_var(one, 0.99).var, rel=1e-8)


coefficient = st.floats(-1e3, 1e3).filter(lambda x: x == 0.0 or abs(x) > 1e-3)
books = st.lists(st.tuples(coefficient, coefficient), min_size=1, max_size=6).map(
    lambda rows: QuadraticPnl(0.0, np.array([b for b, _ in rows]), np.array([c for _, c in rows]))
)


@settings(max_examples=60, deadline=None)
@given(book=books, confidence=st.floats(0.8, 0.995), cash=st.floats(-1e3, 1e3), size=st.floats(0.01, 100.0))
def test_the_axioms_hold(book: QuadraticPnl, confidence: float, cash: float, size: float):
    larger = QuadraticPnl(size * cash, size * book.linear, size * book.curvature)

    risk, scaled = delta_gamma_var(book, confidence), delta_gamma_var(larger, confidence)

    tolerance = 1e-7 * size * (book.moments().deviation + abs(cash) + 1e-9)
    assert scaled.var == pytest.approx(size * (risk.var - cash), abs=tolerance)
    assert scaled.es == pytest.approx(size * (risk.es - cash), abs=10 * tolerance)
    assert risk.es >= risk.var


@settings(max_examples=40, deadline=None)
@given(book=books, low=st.floats(0.01, 0.99), high=st.floats(0.01, 0.99))
def test_probabilities_rise_and_stay_within_bounds(book: QuadraticPnl, low: float, high: float):
    moments = book.moments()
    below, above = sorted((low, high))
    points = [moments.mean + moments.deviation * stats.norm.ppf(level) for level in (below, above)]

    first, second = (book.probability_below(float(point)) for point in points)

    assert -1e-9 <= first <= second + 1e-9 <= 1.0 + 2e-9


def test_coefficients_of_very_different_sizes_are_no_obstacle():
    print("seed 92")
    rng = np.random.default_rng(92)
    for _ in range(20):
        k = int(rng.integers(1, 9))
        linear, curvature = (rng.normal(size=k) * 10.0 ** rng.uniform(-9, 9, k) for _ in range(2))
        book = QuadraticPnl(0.0, linear, curvature)
        step = 1e-11 * book.moments().deviation
        for tail in (1e-6, 0.01, 0.5, 0.999):
            quantile = -delta_gamma_var(book, 1.0 - tail).var

            assert book.probability_below(quantile - step) <= tail * (1.0 + 1e-9)
            assert book.probability_below(quantile + step) >= tail * (1.0 - 1e-9)


def test_a_bounded_book_stops_at_its_bound():
    long_gamma = QuadraticPnl(-10.0, np.array([2.0, 0.0]), np.array([1.0, 4.0]))  # (Z + 1)^2 + 4 Z^2 - 11

    assert long_gamma.ends() == (-11.0, np.inf)
    assert long_gamma.probability_below(-11.0) == 0.0
    assert long_gamma.shortfall_below(-11.0) == 0.0
    assert delta_gamma_var(long_gamma, 0.9999).es <= 11.0


def test_a_book_that_cannot_move_is_the_documented_limit():
    still = QuadraticPnl(-7.0, np.zeros(3), np.zeros(3))

    assert delta_gamma_var(still, 0.99) == VarEs(7.0, 7.0)
    assert (still.probability_below(-7.1), still.probability_below(-7.0)) == (0.0, 1.0)
    assert delta_gamma_var(delta_gamma(np.zeros(2), np.zeros(2), np.eye(2)), 0.99) == VarEs(0.0, 0.0)


def test_hundreds_of_factors_of_all_sizes_are_within_reach():
    print("seed 91")
    rng = np.random.default_rng(91)
    book = QuadraticPnl(0.0, rng.normal(0, 1e4, 300), rng.normal(size=300) * 10.0 ** rng.uniform(-6, 4, 300))
    z = rng.standard_normal((60_000, 300))
    pnl = z @ book.linear + z**2 @ book.curvature

    risk = delta_gamma_var(book, 0.99)

    assert risk.var == pytest.approx(-np.sort(pnl)[600], rel=0.03)
    assert risk.es == pytest.approx(-np.sort(pnl)[:600].mean(), rel=0.03)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: QuadraticPnl(np.nan, np.zeros(1), np.zeros(1)), DataError, "finite constant, found nan"),
        (lambda: QuadraticPnl(0.0, np.array([np.inf]), np.zeros(1)), DataError, "1 NaN or infinite of 1"),
        (lambda: QuadraticPnl(0.0, np.zeros(2), np.zeros(1)), DataError, r"found \(2,\) and \(1,\)"),
        (
            lambda: delta_gamma(np.array([np.nan]), np.ones(1), np.eye(1)),
            DataError,
            "deltas need to be",
        ),
        (
            lambda: delta_gamma(np.ones(1), np.array([np.nan]), np.eye(1)),
            DataError,
            "gammas need to be",
        ),
        (lambda: delta_gamma(np.ones(2), np.ones(3), np.eye(2)), ValueError, r"\(2,\), \(3,\), \(2, 2\)"),
        (lambda: delta_gamma(np.ones(2), np.triu(np.ones((2, 2))), np.eye(2)), DataError, "to be symmetric"),
        (lambda: delta_gamma(np.ones(1), np.ones(1), -np.eye(1)), DataError, "at least 0, found -1"),
        (
            lambda: delta_gamma(np.ones(3), np.ones(3), 1.9 * np.eye(3) - 0.9),
            DataError,
            "eigenvalue of -0.8",
        ),
        (lambda: delta_gamma_var(QuadraticPnl(0.0, np.ones(1), np.ones(1)), 1.0), ValueError, "found 1.0"),
        (lambda: QuadraticPnl(0.0, np.ones(1), np.ones(1)).cumulant(0), ValueError, "found 0"),
    ],
)
def test_what_has_no_answer_is_refused_with_the_numbers(
    call: Callable[[], object], error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        call()
