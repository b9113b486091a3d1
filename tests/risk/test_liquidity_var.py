"""What getting out costs: spreads, days, and the impact of our own orders."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firm.errors import DataError
from firm.risk.var_calculator import (
    LIQUIDATION_DAYS_MAX,
    MarketImpact,
    VarEs,
    almgren_chriss,
    days_to_liquidate,
    liquidation_factor,
    liquidation_var,
    liquidity_adjusted,
    parametric_var,
    power_law_impact,
    spread_cost,
)

STOCK = MarketImpact(volatility=0.95, permanent=2.5e-7, temporary=2.5e-6, fixed=0.0625)
COVARIANCE = np.array([[0.0004, 0.0003], [0.0003, 0.0009]])


def test_half_of_a_bad_days_spread_is_added_to_var_and_es():
    exposures, spread = np.array([1e6, -5e5]), np.array([0.001, 0.004])

    cost = spread_cost(exposures, spread, np.array([0.0005, 0.002]), severity=4.0)
    adjusted = liquidity_adjusted(VarEs(46_000.0, 53_000.0), cost)

    assert cost == pytest.approx(0.5 * (1e6 * 0.003 + 5e5 * 0.012))
    assert adjusted == VarEs(46_000.0 + cost, 53_000.0 + cost)


@given(size=st.floats(0.0, 1e4), spread=st.floats(0.0, 0.1))
def test_spread_cost_grows_with_the_book_and_never_pays(size: float, spread: float):
    book, spreads, deviations = np.array([1e5, -3e5]), np.array([spread, 0.01]), np.array([0.002, 0.0])

    one, many = (spread_cost(scale * book, spreads, deviations) for scale in (1.0, size))

    assert many == pytest.approx(size * one)
    assert one >= 0.0


def test_days_to_liquidate_count_our_share_of_the_volume():
    days = days_to_liquidate(np.array([30_000.0, -1e6, 0.0]), np.array([1e6, 1e6, 0.0]), participation=0.1)

    np.testing.assert_allclose(days, [0.3, 10.0, 0.0])


@pytest.mark.parametrize(
    ("days", "whole"), [(0.0, 1), (0.4, 1), (1.0, 1), (1.1, 2), (10.0, 10), (250.0, 250)]
)
def test_the_factor_is_the_root_of_the_squares_of_what_is_held(days: float, whole: int):
    held = [(whole - day) / whole for day in range(whole)]

    assert liquidation_factor(days) == pytest.approx(sum(part**2 for part in held) ** 0.5)


def test_the_factor_tends_to_the_root_of_a_third_of_the_days():
    assert liquidation_factor(2000.0) == pytest.approx((2000.0 / 3.0) ** 0.5, rel=1e-3)


def test_a_book_sold_within_a_day_has_its_plain_var():
    exposures = np.array([1e6, -4e5])

    sold = liquidation_var(COVARIANCE, exposures, np.array([0.2, 1.0]), 0.99)

    assert sold == parametric_var(COVARIANCE, exposures, 0.99)


@given(days=st.floats(0.0, 60.0), value=st.floats(-1e7, 1e7))
def test_one_position_follows_the_factor(days: float, value: float):
    book = np.array([value])

    sold = liquidation_var(COVARIANCE[:1, :1], book, np.array([days]), 0.99)

    one_day = parametric_var(COVARIANCE[:1, :1], book, 0.99).var
    assert sold.var == pytest.approx(one_day * liquidation_factor(days), abs=1e-6)


def test_a_hedge_that_sells_faster_leaves_the_position_bare():
    hedged, same = np.array([1e6, -1e6]), np.full((2, 2), 0.0004)

    together = liquidation_var(same, hedged, np.array([10.0, 10.0]), 0.99)
    apart = liquidation_var(same, hedged, np.array([10.0, 1.0]), 0.99)

    alone = liquidation_var(same[:1, :1], hedged[:1], np.array([10.0]), 0.99).var
    assert together == VarEs(0.0, 0.0)
    assert 0.8 * alone < apart.var < alone


def test_without_aversion_equal_parts_are_sold():
    sale = almgren_chriss(1e6, 5.0, 5, STOCK)

    np.testing.assert_allclose(sale.holdings, [1e6, 8e5, 6e5, 4e5, 2e5, 0.0])
    assert sale.variance == pytest.approx(0.95**2 * (0.64 + 0.36 + 0.16 + 0.04) * 1e12)


@pytest.mark.parametrize("aversion", [1e-9, 1e-7, 1e-6, 1e-5])
def test_the_schedule_is_optimal(aversion: float):
    sale = almgren_chriss(1e6, 5.0, 20, STOCK, aversion)
    tau, effective = 0.25, 2.5e-6 - 0.5 * 2.5e-7 * 0.25

    def cost(holdings: np.ndarray) -> float:
        sold = -np.diff(holdings)
        expected = 0.5 * 2.5e-7 * 1e12 + 0.0625 * 1e6 + effective / tau * float(sold @ sold)
        return expected + aversion * 0.95**2 * tau * float(holdings[1:] @ holdings[1:])

    best = cost(sale.holdings)
    assert best == pytest.approx(sale.expected_cost + aversion * sale.variance)
    for day in range(1, 20):
        for change in (-1000.0, 1000.0):
            other = sale.holdings.copy()
            other[day] += change
            assert cost(other) > best


def test_more_aversion_costs_more_and_risks_less():
    sales = [almgren_chriss(1e6, 5.0, 50, STOCK, aversion) for aversion in (0.0, 1e-7, 1e-6, 1e-4, 1.0)]

    costs, variances = [sale.expected_cost for sale in sales], [sale.variance for sale in sales]
    assert costs == sorted(costs)
    assert variances == sorted(variances, reverse=True)
    assert all(sale.holdings[0] == 1e6 and sale.holdings[-1] == 0.0 for sale in sales)
    assert all(np.all(np.diff(sale.holdings) <= 0.0) for sale in sales)


def test_cost_at_risk_is_the_quantile_of_a_normal_cost():
    sale = almgren_chriss(1e6, 5.0, 5, STOCK, 1e-6)

    assert sale.cost_at_risk(0.5) == pytest.approx(sale.expected_cost)
    assert sale.cost_at_risk(0.95) == pytest.approx(sale.expected_cost + 1.6448536 * sale.variance**0.5)


def test_a_slower_order_costs_less_temporary_impact_and_as_much_permanent():
    fast, slow = (power_law_impact(0.0157, 0.1, days, 263.0) for days in (0.1, 0.5))

    assert fast.permanent == slow.permanent
    assert slow.temporary == pytest.approx(fast.temporary / 5**0.6)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -1.0])
def test_what_nobody_knows_is_not_free(poison: float):
    one, bad = np.ones(1), np.array([poison])
    calls: list[Callable[[], object]] = [
        lambda: spread_cost(one, bad, one),
        lambda: spread_cost(one, one, bad),
        lambda: spread_cost(one, one, one, severity=poison),
        lambda: liquidity_adjusted(VarEs(1.0, 1.0), poison),
        lambda: days_to_liquidate(one, bad, 0.1),
        lambda: liquidation_factor(poison),
        lambda: liquidation_var(np.eye(1), one, bad, 0.99),
        lambda: almgren_chriss(poison, 1.0, 1, STOCK),
        lambda: almgren_chriss(1.0, 1.0, 1, STOCK, poison),
        lambda: almgren_chriss(1.0, 1.0, 1, MarketImpact(poison, 0.0, 1.0)),
        lambda: power_law_impact(poison, 0.1, 0.1, 263.0),
    ]

    for call in calls:
        with pytest.raises(DataError, match="found"):
            call()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: days_to_liquidate(np.ones(1), np.zeros(1), 0.1), DataError, r"found 0 in columns \[0\]"),
        (lambda: days_to_liquidate(np.array([np.nan]), np.ones(1), 0.1), DataError, "1 NaN or infinite"),
        (lambda: days_to_liquidate(np.ones(1), np.ones(2), 0.1), ValueError, r"\(1,\), \(2,\), 0\.1"),
        (lambda: days_to_liquidate(np.ones(1), np.ones(1), 0.0), ValueError, r"participation .* 0\.0"),
        (lambda: spread_cost(np.ones(2), np.ones(1), np.ones(2)), ValueError, r"found \(2,\), \(1,\)"),
        (lambda: liquidation_factor(LIQUIDATION_DAYS_MAX + 1), DataError, "at most 2520 days, found 2521"),
        (lambda: liquidation_var(np.eye(2), np.ones(2), np.ones(3), 0.9), ValueError, r"\(2,\) and \(3,\)"),
        (lambda: almgren_chriss(1e6, 5.0, 5, MarketImpact(1.0, 1e-6, 1e-7)), DataError, "use more periods"),
        (lambda: almgren_chriss(1e6, 0.0, 5, STOCK), DataError, r"found 0\.0 and 5"),
        (lambda: almgren_chriss(1e6, 5.0, 5, STOCK).cost_at_risk(1.0), ValueError, "found 1.0"),
        (lambda: power_law_impact(1.0, 0.1, 0.0, 263.0), DataError, "days above 0, found 0.0"),
    ],
)
def test_what_has_no_answer_is_refused_with_the_numbers(
    call: Callable[[], object], error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        call()
