"""American options against published values, trees, the European ones, limits, and differences."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from option_oracles import (
    CALLS_BARONE_ADESI_WHALEY,
    PUTS_JU,
    PUTS_LONGSTAFF_SCHWARTZ,
    smooth_tree,
    tree,
)

from firm.risk_kernels.american import american_greeks, american_value, exercised_at
from firm.risk_kernels.black_scholes import european_greeks, european_value

SEED = 20260303

options = st.tuples(
    st.floats(60.0, 160.0),
    st.just(100.0),
    st.floats(0.02, 5.0),
    st.floats(0.08, 0.8),
    st.floats(0.0, 0.12),
    st.floats(0.0, 0.12),
    st.sampled_from([1.0, -1.0]),
)
few = settings(max_examples=40, deadline=None)


@pytest.mark.parametrize(("spot", "years", "bermudan", "_european"), PUTS_LONGSTAFF_SCHWARTZ)
def test_the_values_longstaff_and_schwartz_print_with_what_50_dates_a_year_leave_out(
    spot, years, bermudan, _european
):
    terms = (spot, 40.0, years, 0.2, 0.06, 0.0, -1.0)
    value = float(american_value(*terms))

    assert tree(terms, int(2000 * years), exercise_every=40) == pytest.approx(bermudan, abs=0.001)
    assert 0.002 < value - bermudan < 0.012
    assert value == pytest.approx(smooth_tree(terms, 2000), abs=2e-4)


@pytest.mark.parametrize(("strike", "years", "published", "recomputed"), PUTS_JU)
def test_the_values_ju_prints(strike, years, published, recomputed):
    value = float(american_value(40.0, strike, years, 0.2, 0.0488, 0.0, -1))

    assert value == pytest.approx(published, abs=0.02)
    assert value == pytest.approx(recomputed, abs=5e-4)


@pytest.mark.parametrize(
    ("spot", "years", "volatility", "published", "recomputed"), CALLS_BARONE_ADESI_WHALEY
)
def test_the_values_barone_adesi_and_whaley_print(spot, years, volatility, published, recomputed):
    value = float(american_value(spot, 100.0, years, volatility, 0.1, 0.1, 1))

    assert value == pytest.approx(published, abs=0.06)
    assert value == pytest.approx(recomputed, abs=5e-4)


def test_random_options_agree_with_a_tree():
    g = np.random.default_rng(SEED)
    for _ in range(25):
        rate, carry = g.uniform(0.0, 0.12, 2)
        terms = (100 * math.exp(g.normal(0, 0.15)), 100.0, 10 ** g.uniform(-1.5, 0.7), g.uniform(0.1, 0.7))
        terms = (*terms, rate, carry, float(g.choice([1, -1])))
        assert float(american_value(*terms)) == pytest.approx(smooth_tree(terms, 800), abs=0.01), terms


@pytest.mark.parametrize(
    "terms",
    [
        (100.0, 100.0, 1.0, 0.05, 0.15, 0.0, -1.0),  # drift far larger than volatility
        (100.0, 100.0, 10.0, 0.1, 0.1, 0.02, -1.0),
        (100.0, 100.0, 3.0, 0.2, 0.0, -0.02, -1.0),  # no rate, but a spot that costs to hold
        (100.0, 100.0, 3.0, 0.2, -0.02, 0.0, 1.0),  # the call of that
        (100.0, 100.0, 30.0, 0.3, 0.05, 0.02, -1.0),
        (100.0, 100.0, 0.5, 2.0, 0.05, 0.05, 1.0),
        (100.0, 100.0, 1.0, 0.2, 0.02, 0.3, 1.0),
    ],
)
def test_unusual_terms_agree_with_a_tree(terms):
    assert float(american_value(*terms)) == pytest.approx(smooth_tree(terms, 3000), abs=0.01)


@few
@given(options)
def test_it_is_worth_at_least_the_european_and_the_payoff_and_at_most_the_strike_or_spot(option):
    spot, strike, *_, sign = option
    value = float(american_value(*option))

    assert value >= float(european_value(*option)) >= 0.0
    assert sign * (spot - strike) <= value <= (spot if sign > 0 else strike)


@few
@given(options)
def test_it_is_monotone_and_convex_in_the_spot_and_grows_with_time_and_volatility(option):
    spot, strike, years, volatility, rate, carry, sign = option
    spots = np.linspace(0.7, 1.3, 41) * spot
    values = american_value(spots, strike, years, volatility, rate, carry, sign)
    slope = np.diff(values) / np.diff(spots)
    value = values[20]

    assert np.all(sign * slope >= -1e-8)
    assert np.all(np.abs(slope) <= 1.0 + 1e-8)
    assert np.all(np.diff(slope) >= -1e-7)
    assert american_value(spot, strike, 1.1 * years, volatility, rate, carry, sign) >= value - 1e-7
    assert american_value(spot, strike, years, 1.1 * volatility, rate, carry, sign) >= value - 1e-7


@few
@given(options)
def test_a_call_is_a_put_with_everything_exchanged(option):
    spot, strike, years, volatility, rate, carry, sign = option

    mirrored = american_value(strike, spot, years, volatility, carry, rate, -sign)

    assert float(american_value(*option)) == pytest.approx(float(mirrored), rel=1e-11, abs=1e-11)


@few
@given(options)
def test_greeks_are_the_differences_of_the_value(option):
    option = np.array(option)
    greeks = american_greeks(*option)

    def difference(row, h):
        up, down = option.copy(), option.copy()
        up[row] += h
        down[row] -= h
        return float(american_value(*up) - american_value(*down)) / (2 * h)

    edge = exercised_at(*option[1:])
    assert greeks.value == american_value(*option)
    if edge is not None and abs(math.log(option[0] / edge)) < 0.02:
        return  # gamma jumps there
    assert greeks.delta == pytest.approx(difference(0, 0.01), abs=2e-5)
    assert greeks.vega == pytest.approx(difference(3, 1e-3 * option[3]), rel=1e-4, abs=1e-4)
    assert greeks.theta == pytest.approx(-difference(2, 1e-3 * option[2]), rel=1e-3, abs=1e-3)
    up, down = (american_greeks(option[0] + h, *option[1:]).delta for h in (0.01, -0.01))
    assert greeks.gamma == pytest.approx((up - down) / 0.02, rel=1e-3, abs=1e-6)
    if option[4] > 1e-3 and option[5] > 1e-3:
        assert greeks.rho == pytest.approx(difference(4, 3e-4), rel=1e-3, abs=1e-2)
        assert greeks.psi == pytest.approx(difference(5, 3e-4), rel=1e-3, abs=1e-2)


def test_where_it_is_exercised_value_and_slope_join_without_a_step():
    edge = exercised_at(100.0, 0.75, 0.25, 0.05, 0.01, -1)
    below, above = (
        american_greeks(edge * k, 100.0, 0.75, 0.25, 0.05, 0.01, -1) for k in (0.999999, 1.000001)
    )

    assert below.value == pytest.approx(100.0 - 0.999999 * edge, abs=1e-12)
    assert above.value == pytest.approx(100.0 - 1.000001 * edge, abs=1e-8)
    assert [float(below.delta), float(below.gamma), float(below.vega), float(below.theta)] == [-1, 0, 0, 0]
    assert above.delta == pytest.approx(-1.0, abs=1e-5)
    # just above it what is earned by exercise balances the gamma: rate K - carry S = variance S**2 gamma / 2
    assert 0.5 * 0.0625 * edge**2 * above.gamma == pytest.approx(5.0 - 0.01 * edge, rel=1e-4)


@pytest.mark.parametrize(("rate", "carry", "sign"), [(0.05, 0.0, 1), (0.0, 0.03, -1), (-0.01, -0.01, -1)])
def test_an_option_never_exercised_early_is_the_european_one(rate, carry, sign):
    terms = (95.0, 100.0, 1.5, 0.3, rate, carry, sign)

    assert exercised_at(*terms[1:]) is None
    assert american_value(*terms) == pytest.approx(float(european_value(*terms)), abs=1e-13)
    for ours, european in zip(american_greeks(*terms), european_greeks(*terms), strict=True):
        assert float(ours) == pytest.approx(float(european), abs=1e-12)


@pytest.mark.parametrize("years", [0.0, -1.0])
def test_at_expiry_it_is_the_payoff(years):
    greeks = american_greeks([90.0, 110.0], 100.0, years, 0.2, 0.05, 0.01, -1)

    assert greeks.value.tolist() == [10.0, 0.0]
    assert greeks.delta.tolist() == [-1.0, 0.0]
    assert not any(np.any(rest) for rest in greeks[2:])


def test_without_volatility_it_is_worth_its_best_exercise():
    # a spot that falls faster than the strike is discounted: best exercised neither now nor at expiry
    spot, strike, years, rate, carry = 100.0, 110.0, 3.0, 0.1, 0.2
    times = np.linspace(0.0, years, 300_001)
    best = (strike * np.exp(-rate * times) - spot * np.exp(-carry * times)).max()

    assert float(american_value(spot, strike, years, 0.0, rate, carry, -1)) == pytest.approx(best, abs=1e-8)
    assert float(american_value(100.0, 110.0, 3.0, 0.0, 0.05, 0.0, -1)) == 10.0
    assert float(american_value(100.0, 90.0, 1.0, 0.0, 0.05, 0.0, 1)) == pytest.approx(
        100 - 90 * math.exp(-0.05)
    )


@pytest.mark.parametrize(("rate", "carry", "sign"), [(-0.01, -0.02, -1), (-0.02, -0.01, 1)])
def test_two_boundaries_are_refused_with_the_rates(rate, carry, sign):
    with pytest.raises(ValueError, match=rf"exercised on one side only, found rate {rate} and carry {carry}"):
        american_value(100.0, 100.0, 1.0, 0.2, rate, carry, sign)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="volatility of an option needs to be a finite number, found nan"):
        american_value(100.0, 100.0, 1.0, math.nan, 0.05, 0.0, -1)


def test_the_order_and_company_of_options_do_not_change_a_bit():
    g = np.random.default_rng(SEED)
    spot, strike = g.uniform(80, 120, (2, 60))
    years, volatility, sign = (g.choice(v, 60) for v in ([0.1, 1.0], [0.2, 0.4], [1.0, -1.0]))

    together = american_value(spot, strike, years, volatility, 0.05, 0.03, sign)
    alone = [
        american_value(*row, 0.05, 0.03, w)
        for *row, w in zip(spot, strike, years, volatility, sign, strict=True)
    ]

    assert together.tolist() == [float(each) for each in alone]
