"""VaR and ES of a book against the axioms of risk measures, and against each other.

Published figures are reproduced in `test_risk_oracles`.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firm.errors import DataError, InsufficientHistory
from firm.risk.var_calculator import (
    VarEs,
    covariance_matrix,
    factor_model,
    historical_scenarios,
    historical_var,
    horizon_factor,
    normal_var,
    parametric_var,
)
from firm.risk_kernels.contracts import FactorLaw, linear_contracts
from firm.risk_kernels.montecarlo import BLOCK, scenario_pnl

Array = npt.NDArray[np.float64]


def correlated_returns(days: int, n: int, seed: int = 5) -> Array:
    print("seed", seed)
    rng = np.random.default_rng(seed)
    market = rng.normal(0.0, 0.01, (days, 2)) @ rng.normal(0.5, 0.5, (2, n))
    return np.asarray(market + rng.normal(0.0, 0.008, (days, n)))


def test_hull_var_is_not_subadditive_but_es_is():
    # Source: Hull RMFI, exercise 12.5: loss 10 with probability 0.009, else 1; one, and two independent.
    one = -np.repeat([10.0, 1.0], [9, 991])
    two = np.add.outer(one, one).ravel()

    single, both = historical_var(one, 0.99), historical_var(two, 0.99)

    assert (single.var, single.es) == (1.0, pytest.approx(9.1, abs=1e-12))
    assert (both.var, both.es) == (11.0, pytest.approx(11.07, abs=0.005))
    assert both.var > 2 * single.var
    assert both.es < 2 * single.es


def test_hull_four_index_historical_simulation_in_both_conventions():
    # Source: Hull RMFI, four-index example: the worst of 500 scenarios in $000; the milder ones are ours.
    published = [477.841, 345.435, 282.204, 277.041, 253.385]
    losses = np.concatenate([published, np.linspace(217.0, -300.0, 495)])

    hull = historical_var(-losses, 0.99, convention="mth_worst")
    ours = historical_var(-losses, 0.99)

    assert hull.var == pytest.approx(253.385, abs=1e-9)
    assert hull.es == ours.es == pytest.approx(327.181, abs=0.001)
    assert hull.scaled(10).var == pytest.approx(801.274, abs=0.01)
    assert ours.var == 217.0


pnl_vectors = st.lists(st.floats(-1e6, 1e6, width=32), min_size=100, max_size=150).map(np.array)
Measure = Callable[[Array], VarEs]


def at_975(pnl: Array) -> VarEs:
    return historical_var(pnl, 0.975)


@given(pnl=pnl_vectors, cash=st.floats(-1e6, 1e6))
def test_cash_added_to_every_scenario_reduces_risk_by_as_much(pnl: Array, cash: float):
    before, after = at_975(pnl), at_975(pnl + cash)

    assert after.var == pytest.approx(before.var - cash, abs=1e-6)
    assert after.es == pytest.approx(before.es - cash, abs=1e-6)


@given(pnl=pnl_vectors, size=st.floats(0.0, 1e3))
def test_a_book_twice_as_large_has_twice_the_risk(pnl: Array, size: float):
    before, after = at_975(pnl), at_975(size * pnl)

    assert after.var == pytest.approx(size * before.var, rel=1e-9, abs=1e-6)
    assert after.es == pytest.approx(size * before.es, rel=1e-9, abs=1e-6)


@given(pnl=pnl_vectors, confidence=st.sampled_from([0.5, 0.9, 0.975, 0.99]))
def test_es_is_at_least_var(pnl: Array, confidence: float):
    risk = historical_var(pnl, confidence)

    assert risk.es >= risk.var


@given(pnl=pnl_vectors, data=st.data())
def test_es_of_two_books_together_is_at_most_the_sum(pnl: Array, data: st.DataObject):
    other = np.array(data.draw(st.lists(st.floats(-1e6, 1e6), min_size=len(pnl), max_size=len(pnl))))

    assert at_975(pnl + other).es <= at_975(pnl).es + at_975(other).es + 1e-6


@given(pnl=pnl_vectors, gains=st.floats(0.0, 1e6))
def test_a_book_that_is_never_worse_has_no_more_risk(pnl: Array, gains: float):
    better = pnl + gains * (np.arange(len(pnl)) % 3)

    assert at_975(better).var <= at_975(pnl).var
    assert at_975(better).es <= at_975(pnl).es + 1e-9


def test_historical_scenarios_are_exposures_times_returns():
    returns, exposures = correlated_returns(250, 13), np.linspace(-1e6, 2e6, 13)

    np.testing.assert_allclose(historical_scenarios(returns, exposures), returns @ exposures, rtol=1e-10)


def test_a_short_position_loses_when_the_price_rises():
    risk = historical_var(historical_scenarios(np.full((100, 1), 0.05), np.array([-1000.0])), 0.99)

    assert risk == VarEs(var=50.0, es=50.0)


def test_simulated_var_converges_to_the_parametric_for_small_moves():
    returns = 0.1 * correlated_returns(500, 8)
    exposures = np.array([1e6, -5e5, 3e5, 2e5, -4e5, 1e5, 6e5, -2e5])
    model, scenarios = factor_model(returns, factors=3), 1500 * BLOCK

    law = FactorLaw(model.loadings, model.idiosyncratic, np.zeros(8), degrees_of_freedom=0)
    pnl = scenario_pnl(0, 1500, law, linear_contracts(8), exposures, seed=42)
    simulated = historical_var(pnl, 0.99)

    expected = parametric_var(model.covariance(), exposures, 0.99)
    assert len(pnl) == scenarios
    assert simulated.var == pytest.approx(expected.var, rel=0.015)
    assert simulated.es == pytest.approx(expected.es, rel=0.015)


@pytest.mark.parametrize("decay", [None, 0.97])
@pytest.mark.parametrize("factors", [1, 3, 10])
def test_a_factor_model_keeps_every_total_variance(factors: int, decay: float | None):
    returns = correlated_returns(300, 10)

    model = factor_model(returns, factors, decay)

    expected = np.diag(covariance_matrix(returns, decay))
    np.testing.assert_allclose(np.diag(model.covariance()), expected, rtol=1e-13)
    assert model.loadings.shape == (10, factors)
    assert np.all(model.idiosyncratic >= 0.0)


def test_a_factor_model_with_all_factors_is_the_covariance():
    returns = correlated_returns(300, 6)

    model = factor_model(returns, factors=6)

    np.testing.assert_allclose(model.covariance(), np.cov(returns.T), rtol=1e-9, atol=1e-18)


def test_more_factors_come_closer_to_the_covariance():
    returns = correlated_returns(300, 10)
    distances = [np.linalg.norm(factor_model(returns, k).covariance() - np.cov(returns.T)) for k in (1, 2, 5)]

    assert distances == sorted(distances, reverse=True)


def test_eigenvectors_are_signed_by_their_largest_component():
    model = factor_model(correlated_returns(300, 10), factors=4)

    standard = model.loadings / np.sqrt(np.diag(model.covariance()))[:, None]
    assert np.all(standard[np.abs(standard).argmax(axis=0), range(4)] > 0.0)


def test_returns_turned_around_give_the_same_model():
    returns = correlated_returns(300, 10)

    np.testing.assert_allclose(
        factor_model(-returns, 3).loadings, factor_model(returns, 3).loadings, rtol=1e-9, atol=1e-15
    )


def test_a_model_over_ten_days_has_ten_times_the_variance():
    returns = correlated_returns(300, 4)

    one, ten = factor_model(returns, 2), factor_model(returns, 2, horizon_days=10)

    assert ten.horizon_days == 10
    np.testing.assert_allclose(ten.covariance(), 10.0 * one.covariance(), rtol=1e-12)
    with pytest.raises(ValueError, match="starts from a one-day model, found one of 10 days"):
        ten.scaled(2)


def test_the_sample_covariance_is_that_of_numpy_and_the_weighted_one_follows_its_recursion():
    returns = correlated_returns(400, 3)
    decay, recursive = 0.94, np.zeros((3, 3))
    for day in returns:
        recursive = decay * recursive + (1.0 - decay) * np.outer(day, day)

    np.testing.assert_allclose(covariance_matrix(returns), np.cov(returns.T), rtol=1e-12)
    np.testing.assert_allclose(covariance_matrix(returns, decay), recursive / (1.0 - decay**400), rtol=1e-10)


def test_read_only_arrays_are_accepted():
    returns, exposures = correlated_returns(100, 3), np.ones(3)
    returns.flags.writeable = exposures.flags.writeable = False
    model = factor_model(returns, 2)

    pnl = historical_scenarios(returns, exposures)
    pnl.flags.writeable = False

    assert historical_var(pnl, 0.99).var > 0.0
    assert parametric_var(model.covariance(), exposures, 0.99).var > 0.0


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_with_its_count(poison: float):
    returns = correlated_returns(100, 3)
    returns[5, 1] = poison
    spoiled = np.array([1.0, poison, 1.0])
    calls: list[Callable[[], object]] = [
        lambda: historical_scenarios(returns, np.ones(3)),
        lambda: historical_scenarios(correlated_returns(100, 3), spoiled),
        lambda: historical_var(returns[:, 1], 0.99),
        lambda: parametric_var(np.eye(3), spoiled, 0.99),
        lambda: parametric_var(np.diag(spoiled), np.ones(3), 0.99),
        lambda: covariance_matrix(returns),
        lambda: factor_model(returns, 2),
    ]

    for call in calls:
        with pytest.raises(DataError, match="found 1 NaN or infinite of"):
            call()


def test_a_tail_of_less_than_one_scenario_is_refused():
    with pytest.raises(InsufficientHistory, match=r"VaR at 99\.0000% needs 100 scenarios .* found 99; load"):
        historical_var(np.zeros(99), 0.99)

    assert historical_var(np.zeros(100), 0.99) == VarEs(0.0, 0.0)


def test_a_covariance_of_too_few_days_is_refused():
    with pytest.raises(InsufficientHistory, match="needs 30 daily returns, found 29; load more history"):
        covariance_matrix(correlated_returns(29, 2))
    with pytest.raises(InsufficientHistory, match="40 factors need more than 40 daily returns, found 40"):
        factor_model(correlated_returns(40, 50), factors=40)


def test_an_instrument_that_never_moves_is_refused_as_stale():
    returns = correlated_returns(60, 4)
    returns[:, 2] = 0.0

    with pytest.raises(
        DataError, match=r"found no change in 60 days in columns \[2\]; their prices are stale"
    ):
        factor_model(returns, 2)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, 0.5], [0.4, 1.0]], "to be symmetric"),
        ([[1.0, 1.2], [1.2, 1.0]], "correlations within -1..1"),
        ([[-1.0, 0.0], [0.0, 1.0]], "variances of at least 0, found -1"),
    ],
)
def test_a_matrix_that_cannot_be_a_covariance_is_refused(matrix: list[list[float]], message: str):
    with pytest.raises(DataError, match=message):
        parametric_var(np.array(matrix), np.array([1.0, 1.0]), 0.99)


def test_a_negative_variance_of_the_book_is_refused_not_taken_for_no_risk():
    impossible = np.array([[1.0, -0.9, -0.9], [-0.9, 1.0, -0.9], [-0.9, -0.9, 1.0]])

    with pytest.raises(
        DataError, match=r"variance of at least 0, found -2\.4; it is not positive semi-definite"
    ):
        parametric_var(impossible, np.ones(3), 0.99)


def test_a_perfect_hedge_has_no_risk():
    assert parametric_var(np.full((2, 2), 0.0003), np.array([1e6, -1e6]), 0.99) == VarEs(0.0, 0.0)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 99.0, np.nan])
def test_a_confidence_that_is_no_probability_is_refused(confidence: float):
    calls: list[Callable[[], object]] = [
        lambda: historical_var(np.zeros(500), confidence),
        lambda: normal_var(1.0, confidence),
    ]

    for call in calls:
        with pytest.raises(ValueError, match=f"strictly between 0 and 1, found {confidence}"):
            call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: historical_scenarios(np.ones((5, 3)), np.ones(2)), r"the same n, found \(5, 3\), \(2,\)"),
        (lambda: historical_var(np.ones((5, 3)), 0.9), r"P&L needs to be a vector, .* found shape \(5, 3\)"),
        (lambda: parametric_var(np.eye(3), np.ones(2), 0.9), r"need one n, found \(3, 3\), \(2,\)"),
        (lambda: covariance_matrix(np.ones(50)), r"\(days, instruments\), found \(50,\)"),
        (lambda: covariance_matrix(correlated_returns(50, 2), 1.0), "decay needs .* found 1.0"),
        (lambda: factor_model(correlated_returns(50, 2), 3), r"factors need to be in 1\.\.2, .* found 3"),
        (lambda: normal_var(-1.0, 0.99), "deviation >= 0, found mean 0.0, deviation -1.0"),
        (lambda: horizon_factor(0), "days >= 1 and autocorrelation in .* found 0"),
    ],
)
def test_shapes_and_bounds_are_checked_with_the_numbers(call: Callable[[], object], message: str):
    with pytest.raises(ValueError, match=message):
        call()
