"""European options against published values, the definition in scipy, parity, limits and differences."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from option_oracles import EUROPEAN_HAUG, PUTS_LONGSTAFF_SCHWARTZ
from scipy.special import log_ndtr, ndtr

from firm.risk_kernels.black_scholes import european_greeks, european_value
from firm.risk_kernels.normal_law import density, distribution, exp, log

SEED = 20260301

prices = st.floats(1.0, 1e4)
years_left = st.floats(1e-3, 30.0)
volatilities = st.floats(0.01, 2.0)
rates = st.floats(-0.05, 0.2)
signs = st.sampled_from([1.0, -1.0])
options = st.tuples(prices, prices, years_left, volatilities, rates, rates, signs)


def sample(n=5000):
    g = np.random.default_rng(SEED)
    spot, strike = 100.0 * np.exp(g.normal(0, 0.4, (2, n)))
    rate, carry = g.uniform(-0.03, 0.12, (2, n))
    return spot, strike, g.uniform(0.01, 5, n), g.uniform(0.05, 1, n), rate, carry, g.choice([1.0, -1.0], n)


def by_scipy(spot, strike, years, volatility, rate, carry, sign):
    s = volatility * np.sqrt(years)
    d1 = (np.log(spot / strike) + (rate - carry) * years) / s + s / 2
    a, b = spot * np.exp(-carry * years), strike * np.exp(-rate * years)
    return sign * (a * ndtr(sign * d1) - b * ndtr(sign * (d1 - s)))


@pytest.mark.parametrize(
    ("sign", "strike", "spot", "carry", "rate", "years", "volatility", "published"), EUROPEAN_HAUG
)
def test_the_values_haug_prints(sign, strike, spot, carry, rate, years, volatility, published):
    value = european_value(spot, strike, years, volatility, rate, carry, sign)

    assert float(value) == pytest.approx(published, abs=1e-4)


@pytest.mark.parametrize(("spot", "years", "_american", "european"), PUTS_LONGSTAFF_SCHWARTZ)
def test_the_european_values_longstaff_and_schwartz_print(spot, years, _american, european):
    assert float(european_value(spot, 40.0, years, 0.2, 0.06, 0.0, -1)) == pytest.approx(european, abs=5.1e-4)


def test_many_values_are_those_of_the_definition():
    terms = sample()

    assert np.abs(european_value(*terms) - by_scipy(*terms)).max() < 2e-13


def test_the_normal_law_keeps_its_relative_accuracy_in_the_tail():
    x = np.linspace(-37.0, 9.0, 2001)
    ours = np.array([distribution(each) for each in x])

    assert np.abs(np.log(ours) - log_ndtr(x)).max() < 5e-13  # the log itself is rounded to 1e-13
    assert np.abs(ours[x > -5] / ndtr(x[x > -5]) - 1.0).max() < 1e-14  # scipy errs by 4e-15 itself
    assert math.isnan(distribution(math.nan))
    assert [distribution(-1e9), distribution(1e9), density(1e9)] == [0.0, 1.0, 0.0]


def test_exp_and_log_are_within_two_units_in_the_last_place_of_the_library():
    x = np.concatenate([np.linspace(-700, 700, 3001), np.linspace(-1e-3, 1e-3, 101)])
    assert np.all(np.abs([exp(v) for v in x] - np.exp(x)) <= 2 * np.spacing(np.exp(x)))

    y = np.concatenate([np.geomspace(1e-300, 1e300, 3001), 1 + np.linspace(-1e-9, 1e-9, 11)])
    assert np.all(np.abs([log(v) for v in y] - np.log(y)) <= 2 * np.spacing(np.abs(np.log(y))))
    assert [exp(-1e9), exp(0.0), log(1.0)] == [0.0, 1.0, 0.0]


@given(options)
def test_a_call_less_a_put_is_a_forward(option):
    spot, strike, years, volatility, rate, carry, _ = option
    call, put = european_value(spot, strike, years, volatility, rate, carry, [1, -1])
    a, b = spot * math.exp(-carry * years), strike * math.exp(-rate * years)

    assert call - put == pytest.approx(a - b, abs=1e-13 * (a + b))


@given(options)
def test_a_value_is_within_its_bounds_and_falls_or_rises_with_the_spot(option):
    spot, strike, years, volatility, rate, carry, sign = option
    spots = spot * np.array([0.9, 1.0, 1.1])
    low, middle, high = european_value(spots, strike, years, volatility, rate, carry, sign)
    a, b = spot * math.exp(-carry * years), strike * math.exp(-rate * years)

    assert -1e-13 * (a + b) + max(sign * (a - b), 0.0) <= middle <= (a if sign > 0 else b) * (1 + 1e-13)
    assert sign * (high - low) >= -1e-13 * (a + b)
    assert low + high - 2 * middle >= -1e-13 * (a + b)


@settings(deadline=None)
@given(options)
@example((100.0, 100.0, 1.0, 0.2, 0.03, 0.03, 1.0))
def test_greeks_are_the_differences_of_the_value(option):
    option = np.array(option)
    option[1] = option[0] * math.exp((option[4] - option[5]) * option[2])  # near the money, where they matter
    option[3] = max(option[3], 0.05 / math.sqrt(option[2]))
    if option[3] * math.sqrt(option[2]) > 5:
        return
    greeks = european_greeks(*option)
    scale = option[0] + option[1]

    def difference(row, h):
        up, down = option.copy(), option.copy()
        up[row] += h
        down[row] -= h
        return (european_value(*up) - european_value(*down)) / (2 * h)

    near = {"rel": 1e-4, "abs": 1e-6 * scale}
    assert greeks.delta == pytest.approx(difference(0, 1e-4 * option[0]), abs=1e-6)
    assert greeks.vega == pytest.approx(difference(3, 1e-4 * option[3]), **near)
    assert greeks.theta == pytest.approx(-difference(2, 1e-4 * option[2]), **near)
    assert greeks.rho == pytest.approx(difference(4, 1e-5), **near)
    assert greeks.psi == pytest.approx(difference(5, 1e-5), **near)
    h = 1e-4 * option[0]
    up, down = (european_greeks(option[0] + e, *option[1:]).delta for e in (h, -h))
    assert greeks.gamma * option[0] == pytest.approx((up - down) / (2 * h) * option[0], rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("years", [0.0, -0.5])
def test_at_expiry_and_after_the_value_is_the_payoff_and_only_the_spot_moves_it(years):
    greeks = european_greeks([90.0, 110.0], 100.0, years, 0.2, 0.05, 0.01, [[1], [-1]])

    assert greeks.value.tolist() == [[0.0, 10.0], [10.0, 0.0]]
    assert greeks.delta.tolist() == [[0.0, 1.0], [-1.0, 0.0]]
    for rest in greeks[2:]:
        assert not rest.any()


def test_without_volatility_the_value_is_the_discounted_payoff_of_the_forward():
    value = european_value(100.0, 95.0, 2.0, 0.0, 0.05, 0.01, [1, -1])

    assert value == pytest.approx([100 * math.exp(-0.02) - 95 * math.exp(-0.1), 0.0], rel=1e-14)


def test_on_the_kink_both_sides_count_half():
    greeks = european_greeks(100.0, 100.0, 1.0, 0.0, 0.05, 0.05, 1)

    assert float(greeks.value) == 0.0
    assert float(greeks.delta) == pytest.approx(0.5 * math.exp(-0.05))
    assert float(greeks.gamma) == 0.0
    assert float(greeks.vega) == pytest.approx(100 * math.exp(-0.05) / math.sqrt(2 * math.pi))


def test_an_option_on_a_future_is_black_1976():
    future, strike, years, volatility, rate = 4000.0, 4100.0, 0.5, 0.18, 0.04
    s = volatility * math.sqrt(years)
    d1 = math.log(future / strike) / s + s / 2
    black = math.exp(-rate * years) * (future * ndtr(d1) - strike * ndtr(d1 - s))
    greeks = european_greeks(future, strike, years, volatility, rate, rate, 1)

    assert float(greeks.value) == pytest.approx(black, rel=1e-13)
    assert float(greeks.rho + greeks.psi) == pytest.approx(-years * black, rel=1e-12)


@pytest.mark.parametrize(
    ("place", "bad", "message"),
    [
        (0, math.nan, "spot of an option needs to be a finite number, found nan"),
        (0, 0.0, "spot of an option needs to be a positive price"),
        (1, -5.0, "strike of an option needs to be a positive price"),
        (2, math.inf, "years of an option needs to be a finite number"),
        (3, -0.1, "volatility of an option needs to be 0 or more, found -0.1"),
        (4, math.nan, "rate of an option"),
        (5, -math.inf, "carry of an option"),
        (6, 0.0, "sign of an option needs to be"),
    ],
)
def test_terms_that_make_no_sense_are_refused_with_the_number(place, bad, message):
    terms = [100.0, 100.0, 1.0, 0.2, 0.05, 0.0, 1.0]
    terms[place] = bad

    with pytest.raises(ValueError, match=message):
        european_value(*terms)


def test_no_options_have_no_values():
    assert european_value(np.empty(0), 100.0, 1.0, 0.2, 0.0, 0.0, 1).shape == (0,)
