"""Implied volatilities: there and back over all of the plane, typed refusals, and two real option chains."""

import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firm.risk_kernels.black_scholes import european_greeks, european_value
from firm.risk_kernels.implied_volatility import arbitrage_bounds, implied_volatility

SEED = 20260302
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SPX_CLOSES = {"20151222": 2038.97, "20151223": 2064.29}  # S&P 500 cash closes, from memory
YEAR_S = 365 * 86400


def out_of_the_money(n):
    """Options with prices from 1e-290 up: [price, volatility, spot, strike, years, rate, carry, sign]."""
    g = np.random.default_rng(SEED)
    volatility, years = 10 ** g.uniform(-2.5, 0.6, n), 10 ** g.uniform(-3, 1.3, n)
    rate, carry = g.uniform(-0.02, 0.1, (2, n))
    forward = 100.0 * np.exp((rate - carry) * years)
    strike = forward * np.exp(
        g.normal(0, 4, n) * g.choice([0.01, 0.3, 1, 2], n) * volatility * np.sqrt(years)
    )
    sign = np.where(strike > forward, 1.0, -1.0)
    spot = np.full(n, 100.0)
    price = european_value(spot, strike, years, volatility, rate, carry, sign)
    fine = (price > 1e-290) & (strike > 1e-3) & (strike < 1e6) & (volatility * np.sqrt(years) < 6)
    return (each[fine] for each in (price, volatility, spot, strike, years, rate, carry, sign))


def test_there_and_back_over_the_whole_plane_as_far_as_the_price_knows():
    price, volatility, *rest = out_of_the_money(50_000)
    spot, strike, years, rate, carry, sign = rest

    found = implied_volatility(price, *rest)

    vega = european_greeks(spot, strike, years, volatility, rate, carry, sign).vega
    unknowable = np.spacing(np.maximum(spot, strike)) / vega  # what rounding in the price itself may shift
    error = np.abs(found - volatility)
    assert np.all(error <= 1e-12 * volatility + 8 * unknowable), f"seed {SEED}"
    assert np.median(error / volatility) < 1e-14


def test_repricing_gives_the_price_back():
    price, _, spot, strike, years, rate, carry, sign = out_of_the_money(20_000)
    found = implied_volatility(price, spot, strike, years, rate, carry, sign)

    again = european_value(spot, strike, years, found, rate, carry, sign)

    ordinary = price > 1e-10
    assert np.all(np.abs(again - price)[ordinary] <= 1e-11 * price[ordinary] + 1e-13)


@given(st.floats(0.3, 3.0), st.floats(0.05, 1.0), st.floats(0.05, 3.0), st.sampled_from([1.0, -1.0]))
def test_in_the_money_it_is_as_good_as_the_time_value(strike, volatility, years, sign):
    price = float(european_value(1.0, strike, years, volatility, 0.02, 0.01, sign))
    vega = float(european_greeks(1.0, strike, years, volatility, 0.02, 0.01, sign).vega)
    if vega < 1e-9:
        return

    found = float(implied_volatility(price, 1.0, strike, years, 0.02, 0.01, sign))

    assert abs(found - volatility) <= 1e-12 * volatility + 4e-15 / vega


def test_a_price_at_its_lower_bound_has_no_volatility():
    low, _ = arbitrage_bounds(100.0, [50.0, 200.0], 1.0, 0.05, 0.0, [1, -1])

    assert implied_volatility(low, 100.0, [50.0, 200.0], 1.0, 0.05, 0.0, [1, -1]).tolist() == [0.0, 0.0]
    assert float(implied_volatility(0.0, 100.0, 200.0, 1.0, 0.05, 0.0, 1)) == 0.0


@pytest.mark.parametrize("fraction", [1e-280, 1e-100, 1e-30, 1e-8, 0.3, 0.999, 1 - 1e-12])
@pytest.mark.parametrize("strike", [1e-3, 20.0, 99.999999, 100.0, 100.000001, 500.0, 1e6])
def test_no_price_within_its_bounds_fails(fraction, strike):
    sign = 1.0 if strike >= 100 else -1.0
    low, high = (float(each) for each in arbitrage_bounds(100.0, strike, 0.5, 0.0, 0.0, sign))
    price = low + fraction * (high - low)

    found = float(implied_volatility(price, 100.0, strike, 0.5, 0.0, 0.0, sign))

    assert 0.0 < found < 30.0
    assert float(european_value(100.0, strike, 0.5, found, 0.0, 0.0, sign)) == pytest.approx(
        price, rel=1e-9, abs=1e-13 * max(strike, 100)
    )


@pytest.mark.parametrize(
    ("price", "message"),
    [
        (9.99, r"at least 10\.0 and below 110\.0 .*found 9\.99; 1 of 1 prices are below"),
        (110.0, r"found 110\.0; 0 of 1 prices are below their bounds, 1 at or above"),
        (-1.0, r"found -1\.0"),
        (math.nan, "price of an option needs to be a finite number; 1 of 1 are not"),
    ],
)
def test_a_price_outside_its_bounds_is_refused_with_the_bounds(price, message):
    with pytest.raises(ValueError, match=message):
        implied_volatility(price, 110.0, 100.0, 1.0, 0.0, 0.0, 1)


def test_an_expired_option_has_no_implied_volatility():
    with pytest.raises(ValueError, match=r"needs time to expiry, found 0\.0 years \(1 of 2 have expired\)"):
        implied_volatility([5.0, 5.0], 100.0, 100.0, [0.0, 1.0], 0.0, 0.0, 1)


def shared(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"needs {name} in ../shared/data: real option chains are not part of the repository")
    with np.load(path) as data:
        return {key: data[key] for key in data.files}


def expiry_s(data):
    """Seconds since 1970 of four in the afternoon in New York (winter) on each row's expiry day."""
    days = [datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp() for day in data["expiry_table"]]
    return np.array(days)[data["expiry"]] + 21 * 3600


def test_the_volatilities_of_a_real_index_chain_come_out_as_their_vendor_says():
    data = shared("spx_chain_iv_20151222_23.npz")
    sign = np.where(data["right_table"][data["right"]] == "C", 1.0, -1.0)
    price, strike, given_volatility = (
        data[name].astype(np.float64) for name in ("close", "strike", "implied_volatility")
    )
    worst = 0.0
    for day, spot in SPX_CLOSES.items():
        close_s = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp() + 21 * 3600
        at = (data["ts"] // 10**9 // 86400 == int(close_s) // 86400) & (np.abs(data["delta"]) < 0.5)
        at &= np.abs(data["delta"]) > 0.02
        years = (expiry_s(data)[at] - close_s) / YEAR_S
        # the vendor states no rates: a flat 1 % without dividends is what its figures agree with
        found = implied_volatility(price[at], spot, strike[at], years, 0.01, 0.0, sign[at])
        difference = np.abs(found - given_volatility[at])
        assert at.sum() > 50
        assert np.median(difference) < 0.001
        worst = max(worst, float(np.quantile(difference, 0.9)))
    assert worst < 0.005


def test_a_real_share_chain_inverts_to_a_sensible_smile():
    data, share = shared("goog_chain_min_20151224_options.npz"), shared("goog_und_min_20151224.npz")
    quoted = np.isfinite(share["bc"]) & np.isfinite(share["ac"]) & (share["ac"] - share["bc"] < 1.0)
    when = np.intersect1d(share["ts"][quoted], np.unique(data["ts"]))[-30]
    row = np.flatnonzero(quoted & (share["ts"] == when))[0]
    spot = 0.5 * float(share["bc"][row] + share["ac"][row])
    mid = 0.5 * (data["bc"].astype(np.float64) + data["ac"])
    years = (expiry_s(data) - when / 1e9) / YEAR_S
    sign = np.where(data["right_table"][data["right"]] == "C", 1.0, -1.0)
    strike = data["strike"].astype(np.float64)
    at = (data["ts"] == when) & (data["bc"] > 0.5) & (data["ac"] < 1.3 * data["bc"]) & (years > 0.03)
    at &= sign * (strike - spot) > 0.0

    found = implied_volatility(mid[at], spot, strike[at], years[at], 0.005, 0.0, sign[at])

    assert at.sum() > 100
    assert 0.12 < found.min() < found.max() < 0.8
    near = np.abs(np.log(strike[at] / spot)) < 0.05
    assert 0.18 < np.median(found[near]) < 0.35
