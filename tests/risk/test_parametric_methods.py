"""Student-t and Cornish-Fisher against the integrals they stand for, and where they are refused."""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from firm.errors import DataError, InsufficientHistory
from firm.risk.var_calculator import (
    Moments,
    OutsideDomain,
    VarEs,
    book_deviation,
    cornish_fisher_holds,
    cornish_fisher_var,
    normal_var,
    sample_moments,
    student_var,
)

Array = npt.NDArray[np.float64]
confidences = st.floats(0.6, 0.999)
valid_moments = st.tuples(st.floats(-0.8, 0.8), st.floats(0.0, 4.0)).filter(
    lambda m: cornish_fisher_holds(*m)
)


def tail_mean(quantile: Callable[[Array], Array], confidence: float) -> float:
    """The mean of a quantile function over confidence..1, by Gauss-Legendre in the normal deviate."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    z0 = NormalDist().inv_cdf(confidence)
    z = z0 + 0.5 * (14.0 - z0) * (nodes + 1.0)
    return float(np.sum(weights * quantile(z) * stats.norm.pdf(z)) * 0.5 * (14.0 - z0) / (1.0 - confidence))


@pytest.mark.parametrize("nu", [2.5, 3, 4, 7.3, 30])
@pytest.mark.parametrize("confidence", [0.9, 0.975, 0.99, 0.999])
def test_student_figures_are_those_of_the_distribution(nu: float, confidence: float):
    risk = student_var(1.0, confidence, nu, "scale", mean=0.25)
    shortfall = stats.t.expect(lambda x: x, args=(nu,), lb=stats.t.ppf(confidence, nu)) / (1.0 - confidence)

    assert risk.var == pytest.approx(stats.t.ppf(confidence, nu) - 0.25, rel=1e-9)
    assert risk.es == pytest.approx(shortfall - 0.25, rel=1e-6)


def test_matching_the_covariance_or_the_scale_is_a_stated_difference():
    by_scale = student_var(1.0, 0.99, 4, "scale")
    by_covariance = student_var(2.0**0.5, 0.99, 4, "covariance")

    assert by_covariance.var == pytest.approx(by_scale.var)
    assert by_covariance.es == pytest.approx(by_scale.es)


def test_a_student_of_many_degrees_is_normal():
    student, normal = student_var(20.0, 0.99, 1e7, "covariance"), normal_var(20.0, 0.99)

    assert student.var == pytest.approx(normal.var, rel=1e-6)
    assert student.es == pytest.approx(normal.es, rel=1e-6)


@given(confidence=confidences, nu=st.floats(2.1, 200.0), mean=st.floats(-10, 10), size=st.floats(0, 1e6))
def test_student_risk_is_homogeneous_and_moves_with_cash(
    confidence: float, nu: float, mean: float, size: float
):
    one = student_var(1.0, confidence, nu, "covariance")
    many = student_var(size, confidence, nu, "covariance", mean)

    assert many.var == pytest.approx(size * one.var - mean, rel=1e-9, abs=1e-9)
    assert many.es == pytest.approx(size * one.es - mean, rel=1e-9, abs=1e-9)
    assert one.es >= one.var


@given(moments=valid_moments, confidence=confidences)
def test_cornish_fisher_es_is_the_mean_of_its_own_tail(moments: tuple[float, float], confidence: float):
    skewness, kurtosis = moments

    def quantile(z: Array) -> Array:
        return (
            z
            - (z**2 - 1) * skewness / 6
            + (z**3 - 3 * z) * kurtosis / 24
            - (2 * z**3 - 5 * z) * skewness**2 / 36
        )

    risk = cornish_fisher_var(Moments(3.0, 10.0, skewness, kurtosis), confidence)

    assert risk.var == pytest.approx(
        10 * float(quantile(np.array(stats.norm.ppf(confidence)))) - 3.0, abs=1e-9
    )
    assert risk.es == pytest.approx(10 * tail_mean(quantile, confidence) - 3.0, abs=1e-6)
    assert risk.es >= risk.var


@given(moments=valid_moments, low=confidences, high=confidences)
def test_inside_the_domain_more_confidence_is_never_less_var(
    moments: tuple[float, float], low: float, high: float
):
    book = Moments(0.0, 1.0, *moments)
    low, high = sorted((low, high))

    assert cornish_fisher_var(book, low).var <= cornish_fisher_var(book, high).var + 1e-12


@given(skewness=st.floats(-3, 3), kurtosis=st.floats(-2, 12))
def test_the_domain_is_where_the_quantile_rises_everywhere(skewness: float, kurtosis: float):
    z = np.linspace(-60.0, 60.0, 48_001)
    slope = (
        (kurtosis / 8 - skewness**2 / 6) * z**2 + skewness / 3 * z + 1 - kurtosis / 8 + 5 * skewness**2 / 36
    )

    if cornish_fisher_holds(skewness, kurtosis):
        assert float(slope.min()) >= -1e-9
    elif float(slope.min()) > 1e-3:
        # what falls outside the grid: a leading coefficient below 0, or a dip between or beyond its points
        assert kurtosis / 8 - skewness**2 / 6 < 1e-3


def test_the_ends_of_the_domain_are_maillards():
    # Source: Maillard (2012): kurtosis up to 8 without skewness, skewness up to 6 (sqrt 2 - 1).
    edge = 6.0 * (2.0**0.5 - 1.0)

    assert cornish_fisher_holds(0.0, 8.0)
    assert not cornish_fisher_holds(0.0, 8.001)
    assert not cornish_fisher_holds(0.0, -0.001)
    assert any(cornish_fisher_holds(edge - 0.01, k) for k in np.linspace(0, 12, 2401))
    assert not any(cornish_fisher_holds(edge + 0.01, k) for k in np.linspace(0, 12, 2401))


def test_normal_moments_are_the_normal_case():
    risk, normal = cornish_fisher_var(Moments(2.0, 10.0, 0.0, 0.0), 0.99), normal_var(10.0, 0.99, 2.0)

    assert (risk.var, risk.es) == (pytest.approx(normal.var), pytest.approx(normal.es))


def test_losses_that_lean_to_one_side_raise_risk():
    lean = cornish_fisher_var(Moments(0.0, 1.0, -0.5, 1.0), 0.99)
    other = cornish_fisher_var(Moments(0.0, 1.0, 0.5, 1.0), 0.99)

    assert lean.var > normal_var(1.0, 0.99).var > other.var


def test_moments_of_a_sample_are_those_of_scipy():
    print("seed 21")
    pnl = np.random.default_rng(21).standard_t(5, 500)

    found = sample_moments(pnl)

    assert found.deviation == pytest.approx(pnl.std(ddof=1))
    assert found.skewness == pytest.approx(stats.skew(pnl))
    assert found.excess_kurtosis == pytest.approx(stats.kurtosis(pnl))


def test_no_volatility_is_the_documented_limit():
    assert normal_var(0.0, 0.99, mean=5.0) == VarEs(-5.0, -5.0)
    assert student_var(0.0, 0.99, 4, "scale") == VarEs(0.0, 0.0)
    assert cornish_fisher_var(Moments(5.0, 0.0, 0.0, 0.0), 0.99) == VarEs(-5.0, -5.0)
    assert book_deviation(np.zeros((2, 2)), np.ones(2)) == 0.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: cornish_fisher_var(Moments(0, 1, -1.5, 2.0), 0.99),
            OutsideDomain,
            r"skewness -1\.5 .* kurtosis 2;",
        ),
        (
            lambda: cornish_fisher_var(Moments(0, 1, np.nan, 2.0), 0.99),
            DataError,
            "finite skewness, found nan",
        ),
        (lambda: cornish_fisher_var(Moments(0, 1, 0, np.inf), 0.99), DataError, "excess kurtosis, found inf"),
        (lambda: cornish_fisher_var(Moments(0, -1, 0, 1), 0.99), DataError, "at least 0, found -1"),
        (lambda: cornish_fisher_var(Moments(0, 1, 0, 1), 99), ValueError, "found 99"),
        (lambda: student_var(1.0, 0.99, 2.0, "covariance"), OutsideDomain, "above 2, found 2.0"),
        (lambda: student_var(1.0, 0.99, 1.0, "scale"), OutsideDomain, "above 1, found 1.0"),
        (lambda: student_var(1.0, 0.99, np.nan, "scale"), OutsideDomain, "found nan"),
        (lambda: student_var(np.nan, 0.99, 4, "scale"), ValueError, "deviation nan"),
        (lambda: student_var(1.0, 1.0, 4, "scale"), ValueError, "found 1.0"),
        (lambda: sample_moments(np.ones(3)), InsufficientHistory, r"found shape \(3,\)"),
        (lambda: sample_moments(np.ones(9)), DataError, "varies, found 9 times 1.0"),
        (lambda: sample_moments(np.array([1.0, np.nan, 2.0, 3.0])), DataError, "1 NaN or infinite of 4"),
    ],
)
def test_what_has_no_answer_is_refused_with_the_numbers(
    call: Callable[[], object], error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        call()
