"""History weighed by age, rescaled to today's volatility, and in overlapping windows."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firm.errors import DataError, InsufficientHistory
from firm.risk.var_calculator import (
    OutsideDomain,
    VarEs,
    VolatilityFilter,
    age_weighted_var,
    age_weights,
    covariance_matrix,
    days_until_weight,
    effective_scenarios,
    filtered_returns,
    fit_ewma,
    fit_garch,
    historical_scenarios,
    historical_var,
    independent_windows,
    log_likelihood,
    overlapping_returns,
    weighted_var,
)

Array = npt.NDArray[np.float64]

pnl_vectors = st.lists(st.floats(-1e6, 1e6, width=32), min_size=100, max_size=160).map(np.array)
decays = st.floats(0.9, 0.999)


def garch_returns(days: int, omega: float, alpha: float, beta: float, seed: int) -> Array:
    print("seed", seed)
    shocks = np.random.default_rng(seed).standard_normal(days)
    variance, returns = omega / (1.0 - alpha - beta), np.empty(days)
    for day in range(days):
        returns[day] = np.sqrt(variance) * shocks[day]
        variance = omega + alpha * returns[day] ** 2 + beta * variance
    return returns[:, None]


def at_975(pnl: Array, decay: float) -> VarEs:
    return age_weighted_var(pnl, 0.975, decay)


@given(days=st.integers(1, 2000), decay=st.floats(0.5, 0.9999))
def test_age_weights_rise_to_the_newest_day_and_sum_to_one(days: int, decay: float):
    weights = age_weights(days, decay)

    assert float(weights.sum()) == pytest.approx(1.0, abs=1e-9)
    assert np.all(np.diff(weights) >= 0.0)


@given(pnl=pnl_vectors, confidence=st.sampled_from([0.5, 0.9, 0.95, 0.975, 0.99]))
def test_equal_weights_are_plain_historical_simulation(pnl: Array, confidence: float):
    weighed = weighted_var(pnl, np.full(len(pnl), 1.0 / len(pnl)), confidence)
    plain = historical_var(pnl, confidence)

    assert weighed.var == plain.var
    assert weighed.es == pytest.approx(max(plain.es, plain.var), rel=1e-9, abs=1e-6)


@given(pnl=pnl_vectors, decay=decays, cash=st.floats(-1e6, 1e6))
def test_cash_moves_age_weighted_risk_by_as_much(pnl: Array, decay: float, cash: float):
    before, after = at_975(pnl, decay), at_975(pnl + cash, decay)

    assert after.var == pytest.approx(before.var - cash, abs=1e-6)
    assert after.es == pytest.approx(before.es - cash, abs=1e-6)


@given(pnl=pnl_vectors, decay=decays, size=st.floats(0.0, 1e3))
def test_age_weighted_risk_grows_with_the_book(pnl: Array, decay: float, size: float):
    before, after = at_975(pnl, decay), at_975(size * pnl, decay)

    assert after.var == pytest.approx(size * before.var, rel=1e-9, abs=1e-6)
    assert after.es == pytest.approx(size * before.es, rel=1e-9, abs=1e-6)


@given(pnl=pnl_vectors, decay=decays, gains=st.floats(0.0, 1e6))
def test_a_book_that_is_never_worse_has_no_more_age_weighted_risk(pnl: Array, decay: float, gains: float):
    worse, better = at_975(pnl, decay), at_975(pnl + gains * (np.arange(len(pnl)) % 3), decay)

    assert better.var <= worse.var
    assert better.es <= worse.es + 1e-6


@given(pnl=pnl_vectors, decay=decays, data=st.data())
def test_age_weighted_es_is_at_least_var_and_subadditive(pnl: Array, decay: float, data: st.DataObject):
    other = np.array(data.draw(st.lists(st.floats(-1e6, 1e6), min_size=len(pnl), max_size=len(pnl))))
    one, two, both = (at_975(book, decay) for book in (pnl, other, pnl + other))

    assert one.es >= one.var
    assert both.es <= one.es + two.es + 1e-6


def test_a_loss_of_yesterday_counts_more_than_one_of_long_ago():
    old, new = np.ones(250), np.ones(250)
    old[:3], new[-3:] = -100.0, -100.0

    assert age_weighted_var(old, 0.95, 0.98).var == -1.0
    assert age_weighted_var(new, 0.95, 0.98).var == 100.0


def test_a_tail_met_exactly_ends_at_its_last_loss_or_the_next():
    pnl, weights = np.array([-5.0, -4.0, -3.0, -2.0, -1.0]), np.full(5, 0.2)

    assert weighted_var(pnl, weights, 0.6) == VarEs(3.0, 4.5)
    assert weighted_var(pnl, weights, 0.6, "reaches") == VarEs(4.0, 4.5)
    assert weighted_var(pnl, weights, 0.7).var == weighted_var(pnl, weights, 0.7, "reaches").var == 4.0


def test_effective_scenarios_count_what_decay_leaves():
    # (1 + l) / (1 - l) (1 - l^n) / (1 + l^n), of a geometric series
    decay, power = 0.995, 0.995**500

    assert effective_scenarios(age_weights(500, decay)) == pytest.approx(399 * (1 - power) / (1 + power))
    assert effective_scenarios(np.full(77, 1 / 77)) == pytest.approx(77.0)


def test_a_constant_volatility_leaves_history_as_it_was():
    returns = garch_returns(300, 1e-4, 0.0, 0.0, seed=1)

    np.testing.assert_allclose(filtered_returns(returns, np.full((301, 1), 0.013)), returns, rtol=1e-14)


def test_history_is_rescaled_to_the_volatility_of_tomorrow():
    calm, wild = garch_returns(400, 1e-5, 0.0, 0.0, seed=2), garch_returns(100, 9e-4, 0.0, 0.0, seed=3)
    returns, exposure = np.concatenate([calm, wild]), np.array([1e6])
    deviations = VolatilityFilter.ewma(0.94, 1).deviations(returns)

    plain = historical_var(historical_scenarios(returns, exposure), 0.95)
    filtered = historical_var(historical_scenarios(filtered_returns(returns, deviations), exposure), 0.95)

    assert deviations[-1, 0] == pytest.approx(0.03, rel=0.3)
    assert filtered.var == pytest.approx(1.645 * 1e6 * deviations[-1, 0], rel=0.25)
    assert filtered.var > 1.3 * plain.var


def test_a_day_stays_a_day_for_all_factors():
    hedge = garch_returns(300, 2e-6, 0.1, 0.88, seed=4) @ np.ones((1, 2))
    rescaled = filtered_returns(hedge, VolatilityFilter.ewma(0.94, 2).deviations(hedge))

    assert np.abs(historical_scenarios(rescaled, np.array([1e6, -1e6]))).max() <= 1e-6


def test_ewma_deviations_follow_the_weighted_covariance():
    returns = garch_returns(600, 2e-6, 0.1, 0.88, seed=5)

    tomorrow = VolatilityFilter.ewma(0.94, 1).deviations(returns)[-1, 0]

    assert tomorrow**2 == pytest.approx(covariance_matrix(returns, decay=0.94)[0, 0], rel=1e-9)


def test_a_forecast_is_made_before_its_day():
    returns = garch_returns(50, 2e-6, 0.1, 0.88, seed=6)
    shocked = returns.copy()
    shocked[30] *= 10.0
    filter_ = VolatilityFilter.ewma(0.94, 1)
    first = np.array([0.01])

    calm, wild = filter_.deviations(returns, first), filter_.deviations(shocked, first)

    np.testing.assert_array_equal(calm[:31], wild[:31])
    assert np.all(calm[31:] < wild[31:])


def test_garch_parameters_are_found_again():
    returns = garch_returns(6000, 2e-6, 0.08, 0.90, seed=7)

    found = fit_garch(returns)

    assert float(found.alpha[0]) == pytest.approx(0.08, abs=0.02)
    assert float(found.beta[0]) == pytest.approx(0.90, abs=0.03)
    assert float(found.long_run_variance()[0]) == pytest.approx(1e-4, rel=0.2)
    parameters = (float(found.omega[0]), float(found.alpha[0]), float(found.beta[0]))
    true = log_likelihood(returns[:, 0], 2e-6, 0.08, 0.90)
    assert log_likelihood(returns[:, 0], *parameters) > true


def test_the_fit_does_not_depend_on_the_scale_of_returns():
    returns = garch_returns(800, 2e-6, 0.1, 0.85, seed=8)

    small, large = fit_garch(returns), fit_garch(100.0 * returns)

    np.testing.assert_allclose(large.alpha, small.alpha, rtol=1e-6)
    np.testing.assert_allclose(large.omega, 1e4 * small.omega, rtol=1e-6)


def test_no_neighbour_of_the_fitted_decay_is_likelier():
    returns = garch_returns(3000, 0.0 + 1e-7, 0.06, 0.9399, seed=9)
    decay = float(fit_ewma(returns).beta[0])

    best = log_likelihood(returns[:, 0], 0.0, 1.0 - decay, decay)
    assert 0.85 < decay < 0.99
    for other in (decay - 0.01, decay - 0.001, decay + 0.001, decay + 0.005):
        assert log_likelihood(returns[:, 0], 0.0, 1.0 - other, other) <= best


def test_the_term_structure_tends_to_the_long_run():
    filter_ = VolatilityFilter(np.array([2e-6]), np.array([0.1]), np.array([0.88]))
    calm, wild = np.array([0.005]), np.array([0.03])

    assert filter_.horizon_deviation(calm, 1)[0] == pytest.approx(0.005)
    for start in (calm, wild):
        closed = 1e-4 * 250 + (start[0] ** 2 - 1e-4) * (1 - 0.98**250) / (1 - 0.98)
        assert filter_.horizon_deviation(start, 250)[0] ** 2 == pytest.approx(closed)
    assert filter_.horizon_deviation(calm, 10)[0] > 0.005 * 10**0.5
    assert filter_.horizon_deviation(wild, 10)[0] < 0.03 * 10**0.5
    assert VolatilityFilter.ewma(0.94, 1).horizon_deviation(wild, 10)[0] == pytest.approx(0.03 * 10**0.5)


def test_windows_compound_their_days():
    returns = garch_returns(100, 1e-4, 0.0, 0.0, seed=10)

    windows = overlapping_returns(returns, 5)

    assert windows.shape == (96, 1)
    np.testing.assert_allclose(windows[7], np.prod(1.0 + returns[7:12], axis=0) - 1.0, rtol=1e-12)
    np.testing.assert_allclose(overlapping_returns(returns, 1), returns, atol=1e-15)
    assert independent_windows(len(returns), 5) == 20


def test_windows_of_independent_days_follow_the_square_root_of_time():
    returns = garch_returns(20_000, 1e-4, 0.0, 0.0, seed=11)

    one = historical_var(returns[:, 0], 0.95)
    ten = historical_var(overlapping_returns(returns, 10)[:, 0], 0.95)

    assert ten.var == pytest.approx(one.scaled(10).var, rel=0.06)


def test_shocks_replayed_over_one_day_are_the_filtered_returns():
    returns = garch_returns(400, 2e-6, 0.1, 0.88, seed=12)
    filter_ = VolatilityFilter(np.array([2e-6]), np.array([0.1]), np.array([0.88]))

    np.testing.assert_allclose(
        filter_.horizon_returns(returns, 1),
        filtered_returns(returns, filter_.deviations(returns)),
        atol=1e-15,
    )


def test_shocks_replayed_over_days_have_the_variance_of_the_term_structure():
    returns = garch_returns(20_000, 2e-6, 0.05, 0.90, seed=13)
    filter_ = VolatilityFilter(np.array([2e-6]), np.array([0.05]), np.array([0.90]))
    tomorrow = filter_.deviations(returns)[-1]

    replayed = filter_.horizon_returns(returns, 10)

    assert replayed.shape == (19_991, 1)
    assert float(replayed.std()) == pytest.approx(float(filter_.horizon_deviation(tomorrow, 10)[0]), rel=0.03)


@settings(max_examples=25)
@given(poison=st.sampled_from([np.nan, np.inf, -np.inf]), at=st.integers(0, 299))
def test_what_is_not_finite_is_refused(poison: float, at: int):
    returns, weights = np.full((300, 1), 0.01), np.full(300, 1 / 300)
    spoiled, lopsided = returns.copy(), weights.copy()
    spoiled[at], lopsided[at] = poison, poison
    calls: list[Callable[[], object]] = [
        lambda: weighted_var(spoiled[:, 0], weights, 0.95),
        lambda: weighted_var(returns[:, 0], lopsided, 0.95),
        lambda: filtered_returns(spoiled, np.full((301, 1), 0.01)),
        lambda: filtered_returns(returns, np.concatenate([spoiled, spoiled[:1]])),
        lambda: overlapping_returns(spoiled, 3),
        lambda: VolatilityFilter.ewma(0.94, 1).deviations(spoiled),
        lambda: fit_garch(spoiled),
        lambda: fit_ewma(spoiled),
        lambda: VolatilityFilter(np.array([poison]), np.zeros(1), np.zeros(1)),
    ]

    for call in calls:
        with pytest.raises(DataError, match="NaN or infinite of"):
            call()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: weighted_var(np.zeros(99), np.full(99, 1 / 99), 0.99), InsufficientHistory, "needs 100"),
        (
            lambda: weighted_var(np.zeros(3), np.full(3, 0.5), 0.5),
            DataError,
            r"a sum of 1\.5",
        ),
        (lambda: weighted_var(np.zeros(2), np.array([1.5, -0.5]), 0.5), DataError, r"lowest of -0\.5"),
        (lambda: weighted_var(np.zeros(3), np.full(2, 0.5), 0.5), ValueError, r"found \(2,\) and \(3,\)"),
        (lambda: weighted_var(np.zeros(2), np.full(2, 0.5), 1.0), ValueError, "found 1.0"),
        (lambda: weighted_var(np.zeros(2), np.full(2, 0.5), 0.5, "linear"), ValueError, "found linear"),
        (lambda: age_weights(0, 0.9), ValueError, "found 0 and 0.9"),
        (lambda: age_weights(10, 1.0), ValueError, "found 10 and 1.0"),
        (
            lambda: overlapping_returns(np.zeros((5, 1)), 6),
            InsufficientHistory,
            "6 days .* found 5",
        ),
        (lambda: overlapping_returns(np.full((5, 1), -1.5), 2), DataError, r"at least -1, found -1\.5"),
        (
            lambda: filtered_returns(np.ones((3, 1)), np.zeros((4, 1))),
            DataError,
            r"found 0\.0 in .* \[0\]",
        ),
        (
            lambda: filtered_returns(np.ones((3, 1)), np.ones((3, 1))),
            ValueError,
            r"found \(3, 1\) and \(3, 1\)",
        ),
        (
            lambda: fit_garch(np.ones((249, 1))),
            InsufficientHistory,
            "needs 250 .* found 249",
        ),
        (lambda: fit_garch(np.full((300, 1), 0.01)), DataError, r"move, found none in columns \[0\]"),
        (lambda: VolatilityFilter.ewma(1.0, 1), ValueError, "found 1.0"),
        (lambda: VolatilityFilter.ewma(0.94, 1).long_run_variance(), OutsideDomain, "below 1, found 1"),
        (lambda: VolatilityFilter(np.zeros(1), np.ones(1), np.ones(1)), DataError, "at most 1, found 2.0"),
        (lambda: VolatilityFilter.ewma(0.94, 2).deviations(np.ones((5, 1))), ValueError, r"found \(5, 1\)"),
        (lambda: VolatilityFilter.ewma(0.9, 1).horizon_deviation(np.ones(1), 0), ValueError, "found 0"),
        (
            lambda: VolatilityFilter.ewma(0.9, 1).horizon_returns(np.zeros((9, 1)), 2),
            DataError,
            "found 0; a price",
        ),
        (lambda: days_until_weight(0.94, 1.0), ValueError, "found 0.94 and 1.0"),
    ],
)
def test_what_has_no_answer_is_refused_with_the_numbers(
    call: Callable[[], object], error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        call()
