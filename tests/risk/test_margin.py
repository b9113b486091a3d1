"""The margin scan: what offsets, what never does, and what the sum may not fall below."""

from math import exp, log, sqrt

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from firm.errors import DataError
from firm.risk.margin import (
    BROAD_INDEX,
    EQUITY,
    OPTION_MINIMUM,
    MarginEstimate,
    OffsetGroup,
    ScanBook,
    linear_revaluation,
    scan_margin,
    scan_moves,
    scan_pnl,
)
from firm.risk.reg_t import Kind, RulePosition, rule_margin

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

PRICE, RATE, EXPIRY = 100.0, 0.02, 0.25


def book(
    classes: list[int], groups: tuple[OffsetGroup, ...] = (), minimum: list[float] | None = None
) -> ScanBook:
    n = max(classes) + 1
    least = np.zeros(len(classes)) if minimum is None else np.array(minimum)
    return ScanBook(tuple("ABCDEFGH"[:n]), (EQUITY,) * n, np.array(classes), least, groups)


def margin(
    exposures: list[float], classes: list[int], correlation: float = 0.0, groups: tuple[OffsetGroup, ...] = ()
) -> MarginEstimate:
    held = book(classes, groups)
    n = len(held.classes)
    matrix = np.full((n, n), correlation) + (1 - correlation) * np.eye(n)
    return scan_margin(held, scan_pnl(held, linear_revaluation(np.array(exposures)), (0.0,)), matrix)


def black_scholes(price: Matrix, volatility: Vector, strike: float, call: bool) -> Matrix:
    total = volatility * sqrt(EXPIRY)
    d1 = (np.log(price / strike) + (RATE + 0.5 * volatility**2) * EXPIRY) / total
    sign = 1.0 if call else -1.0
    discounted = strike * exp(-RATE * EXPIRY)
    return np.asarray(sign * (price * ndtr(sign * d1) - discounted * ndtr(sign * (d1 - total))))


def options(contracts: list[tuple[float, float, bool]]):
    """Revaluation of shares (strike 0) and options (quantity, strike, call) of a stock at 100, 30 %."""

    def revalue(moves: Matrix, volatilities: Vector) -> Matrix:
        rows = []
        for row, (quantity, strike, call) in zip(moves, contracts, strict=True):
            if strike == 0.0:
                rows.append(quantity * PRICE * row)
                continue
            now = black_scholes(np.array([PRICE]), np.array([0.3]), strike, call)
            later = black_scholes(PRICE * (1 + row), 0.3 * (1 + volatilities), strike, call)
            rows.append(quantity * (later - now))
        return np.array(rows)

    return revalue


def test_one_stock_needs_15_percent_either_way():
    assert margin([10_000.0], [0]).total == pytest.approx(1500.0)
    assert margin([-10_000.0], [0]).total == pytest.approx(1500.0)
    assert margin([10_000.0], [0]).label == "estimate"


def test_a_broad_index_is_scanned_from_minus_8_to_plus_6_percent():
    index = ScanBook(("SPX",), (BROAD_INDEX,), np.array([0]), np.zeros(1))
    for exposure, needed in ((1000.0, 80.0), (-1000.0, 60.0)):
        pnl = scan_pnl(index, linear_revaluation(np.array([exposure])))
        assert scan_margin(index, pnl, np.eye(1)).total == pytest.approx(needed)


def test_the_scenarios_are_ten_points_and_the_price_under_each_volatility():
    prices, volatilities = scan_moves(book([0, 0]))

    assert prices.shape == (2, 33)
    assert sorted(set(prices[0].round(9).tolist())) == pytest.approx(np.arange(-0.15, 0.151, 0.03).tolist())
    assert sorted(set(volatilities.tolist())) == [-0.15, 0.0, 0.15]


def test_the_same_underlying_offsets_in_full_and_another_not_at_all():
    assert margin([1000.0, -1000.0], [0, 0]).total == 0.0
    assert margin([1000.0, -1000.0], [0, 1], correlation=1.0).total == pytest.approx(300.0)


def test_a_covered_call_needs_less_than_the_stock_and_a_put_caps_it():
    held = book([0, 0])
    stock = [(100.0, 0.0, True)]
    for extra, least, most in (((-100.0, 105.0, True), 900.0, 1400.0), ((100.0, 100.0, False), 300.0, 700.0)):
        pnl = scan_pnl(held, options([*stock, extra]))
        assert least < scan_margin(held, pnl, np.eye(1)).total < most


def test_a_short_straddle_is_charged_its_worst_corner():
    held = book([0, 0])
    pnl = scan_pnl(held, options([(-100.0, 100.0, True), (-100.0, 100.0, False)]))

    charge = scan_margin(held, pnl, np.eye(1)).classes[0]

    prices, volatilities = scan_moves(held)
    assert abs(prices[0, charge.scenario]) == pytest.approx(0.15)
    assert volatilities[charge.scenario] == 0.15
    assert charge.loss == pytest.approx(-pnl.sum(axis=0).min())
    assert charge.loss == pytest.approx(769.36, abs=0.01)


def test_an_option_far_out_of_the_money_still_needs_its_minimum():
    held = book([0], minimum=[OPTION_MINIMUM * 100 * 2])
    pnl = scan_pnl(held, options([(-200.0, 300.0, True)]))

    charge = scan_margin(held, pnl, np.eye(1)).classes[0]

    assert charge.loss < 1.0
    assert (charge.minimum, charge.charge) == (75.0, 75.0)


GROUP = (OffsetGroup("banks", (0, 1), cap=0.5, correlation_min=0.6),)


@pytest.mark.parametrize(
    ("correlation", "needed"),
    [(0.9, 150.0), (0.5999, 300.0), (0.0, 300.0), (-0.9, 300.0), (0.6, 150.0), (np.nan, 300.0)],
)
def test_a_group_offsets_up_to_its_cap_while_its_correlation_holds(correlation: float, needed: float):
    found = margin([1000.0, -1000.0], [0, 1], correlation, GROUP)

    assert found.total == pytest.approx(needed)
    assert found.groups[0].joint_loss == 0.0


def test_the_offset_is_never_more_than_the_correlation():
    loose = (OffsetGroup("banks", (0, 1), cap=0.95, correlation_min=0.3),)

    assert margin([1000.0, -1000.0], [0, 1], 0.4, loose).groups[0].offset == pytest.approx(0.4)


def test_two_long_positions_of_a_group_are_charged_in_full():
    assert margin([1000.0, 500.0], [0, 1], 0.9, GROUP).total == pytest.approx(225.0)


def test_one_broken_pair_breaks_the_group_but_only_if_it_is_held():
    three = (OffsetGroup("banks", (0, 1, 2), cap=0.5, correlation_min=0.6),)
    matrix = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.1], [0.1, 0.1, 1.0]])
    held = book([0, 1, 2], three)
    for third, needed in ((0.0, 150.0), (100.0, 315.0)):
        pnl = scan_pnl(held, linear_revaluation(np.array([1000.0, -1000.0, third])))
        assert scan_margin(held, pnl, matrix).total == pytest.approx(needed)


amounts = st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5)


@given(amounts, st.floats(-1.0, 1.0), st.floats(0.0, 0.99), st.floats(0.01, 1.0))
def test_margin_is_never_negative_nor_below_the_joint_loss(
    exposures: list[float], correlation: float, cap: float, correlation_min: float
):
    groups = (OffsetGroup("g", (0, 1), cap, correlation_min),)
    held = book([0, 0, 1, 1, 2], groups)
    pnl = scan_pnl(held, linear_revaluation(np.array(exposures)))
    matrix = np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)

    found = scan_margin(held, pnl, matrix)

    joint = -pnl[:4].sum(axis=0).min()
    assert found.total >= 0.0
    assert found.groups[0].charge >= joint - 1e-9
    assert found.groups[0].charge <= found.groups[0].charges + 1e-9
    assert found.total >= -pnl.sum(axis=0).min() - 1e-6


@given(amounts, st.floats(0.0, 1e3))
def test_margin_grows_with_the_book(exposures: list[float], factor: float):
    one = margin(exposures, [0, 0, 1, 1, 2], 0.8, GROUP).total

    many = margin([factor * e for e in exposures], [0, 0, 1, 1, 2], 0.8, GROUP).total

    assert many == pytest.approx(factor * one, rel=1e-9, abs=1e-6)


@given(amounts, amounts)
def test_two_books_together_need_no_more_than_apart(first: list[float], second: list[float]):
    classes = [0, 0, 1, 1, 2]
    together = margin([a + b for a, b in zip(first, second, strict=True)], classes, 0.8).total

    assert together <= margin(first, classes, 0.8).total + margin(second, classes, 0.8).total + 1e-6


def test_an_empty_book_needs_nothing():
    assert margin([0.0, 0.0], [0, 1], 0.9, GROUP).total == 0.0


def test_a_revaluation_that_cannot_be_right_is_refused():
    held = book([0])
    with pytest.raises(DataError, match="found up to 5; revalue"):
        scan_pnl(held, lambda prices, _: 100 * prices + 5.0)
    with pytest.raises(DataError, match="found 33 NaN"):
        scan_pnl(held, lambda prices, _: prices * np.nan)
    with pytest.raises(ValueError, match=r"shape \(1, 33\), found \(2, 33\)"):
        scan_pnl(held, lambda prices, _: np.vstack([prices, prices]))
    with pytest.raises(ValueError, match="volatility moves"):
        scan_moves(held, (-1.0,))


def test_books_that_could_be_charged_wrongly_are_refused():
    with pytest.raises(ValueError, match="one range a class"):
        ScanBook(("A",), (), np.array([0]), np.zeros(1))
    with pytest.raises(ValueError, match=r"classes \[1\]"):
        ScanBook(("A",), (EQUITY,), np.array([1]), np.zeros(1))
    with pytest.raises(ValueError, match="down < 0 < up"):
        ScanBook(("A",), (EQUITY._replace(down=0.1),), np.array([0]), np.zeros(1))
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="minimum charges"):
            book([0], minimum=[wrong])
    for group in (OffsetGroup("g", (0, 1), 1.0, 0.5), OffsetGroup("g", (0, 1), 0.5, 0.0)):
        with pytest.raises(ValueError, match="offset group g needs a cap"):
            book([0, 1], (group,))
    with pytest.raises(ValueError, match="each in one"):
        book([0, 1], (*GROUP, OffsetGroup("again", (1,), 0.5, 0.5)))
    held = book([0, 1])
    with pytest.raises(ValueError, match=r"found \(3, 11\)"):
        scan_margin(held, np.zeros((3, 11)), np.eye(2))
    with pytest.raises(DataError, match=r"found up to 1\.5"):
        scan_margin(held, np.zeros((2, 11)), np.full((2, 2), 1.5))
    with pytest.raises(DataError, match="found 22 NaN"):
        scan_margin(held, np.full((2, 11), np.nan), np.eye(2))


@pytest.mark.parametrize(
    ("position", "initial", "maintenance"),
    [
        (RulePosition(Kind.STOCK, 100, 40.0), 2000.0, 1000.0),
        (RulePosition(Kind.STOCK, -100, 40.0), 2000.0, 1200.0),
        (RulePosition(Kind.STOCK, -100, 8.0), 500.0, 500.0),  # 5 a share is more than 30 %
        (RulePosition(Kind.STOCK, -100, 4.0), 400.0, 400.0),  # below 5: all of it
        (RulePosition(Kind.STOCK, -100, 1.0), 250.0, 250.0),  # and 2.50 a share at least
        (RulePosition(Kind.OPTION, 2, 3.0, 100, 100.0, 105.0, "C"), 600.0, 600.0),
        (RulePosition(Kind.OPTION, -2, 3.0, 100, 100.0, 105.0, "C"), 3000.0, 3000.0),  # 20 % less 5 away
        (RulePosition(Kind.OPTION, -1, 0.1, 100, 100.0, 150.0, "C"), 1000.0, 1000.0),  # 10 % of the stock
        (RulePosition(Kind.OPTION, -1, 0.1, 100, 100.0, 60.0, "P"), 600.0, 600.0),  # 10 % of the strike
        (RulePosition(Kind.OPTION, -1, 12.0, 100, 100.0, 110.0, "P"), 2000.0, 2000.0),
        (RulePosition(Kind.RATED, -2, 4000.0, 50, initial_rate=0.06, maintenance_rate=0.05), 24e3, 20e3),
    ],
)
def test_margin_by_rule(position: RulePosition, initial: float, maintenance: float):
    found = rule_margin([position])

    assert (found.initial, found.maintenance) == (pytest.approx(initial), pytest.approx(maintenance))


@pytest.mark.parametrize(
    "position",
    [
        RulePosition(Kind.STOCK, 100, 0.0),
        RulePosition(Kind.STOCK, np.nan, 10.0),
        RulePosition(Kind.STOCK, 100, 10.0, multiplier=0.0),
        RulePosition(Kind.OPTION, 1, 3.0, 100, 100.0, 105.0, ""),
        RulePosition(Kind.OPTION, 1, 3.0, 100, 0.0, 105.0, "C"),
        RulePosition(Kind.RATED, 1, 4000.0),
        RulePosition(Kind.RATED, 1, 4000.0, initial_rate=0.01, maintenance_rate=0.02),
    ],
)
def test_a_position_without_its_numbers_has_no_margin_by_rule(position: RulePosition):
    with pytest.raises(DataError, match="margin by rule needs"):
        rule_margin([position])


def test_the_option_helper_of_this_file_is_right():
    # Source: Haug (1998) via QuantLib's tests: call 60, strike 65, T .25, r .08, volatility .30 is 2.1334.
    d1 = (log(60 / 65) + (0.08 + 0.045) * 0.25) / 0.15
    assert 60 * ndtr(d1) - 65 * exp(-0.02) * ndtr(d1 - 0.15) == pytest.approx(2.1334, abs=1e-4)
    value = black_scholes(np.array([60.0]), np.array([0.3]), 65.0, call=True)[0]
    put = black_scholes(np.array([60.0]), np.array([0.3]), 65.0, call=False)[0]
    assert value - put == pytest.approx(60 - 65 * exp(-RATE * EXPIRY))
