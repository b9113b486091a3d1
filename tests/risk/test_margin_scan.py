"""The margin estimate of any book: never below what the book loses in the scan's own scenarios."""

import numpy as np
import pytest
from contracts_of import NOW, option, share
from numpy.typing import NDArray

from firm.risk.margin_scan import MarginScan
from firm.risk.valuation import contracts_at
from firm.risk_kernels.black_scholes import european_value

INSTRUMENTS = (
    share(0, "KO"),
    share(1, "XOM"),
    option(2, 1, "100"),
    option(3, 1, "100", "P"),
    option(4, 1, "120"),
    option(5, 0, "55", "P"),
)
PRICES = np.array([60.0, 100.0, 9.5, 8.0, 3.0, 2.0])
STEPS = np.arange(-5, 6) * 0.03


def contracts(prices: NDArray[np.float64] = PRICES) -> NDArray[np.void]:
    return contracts_at(INSTRUMENTS, prices, NOW, 0.0, 0.03)[0]


def lost(quantities: NDArray[np.float64], moves: NDArray[np.float64], volatility: float) -> float:
    """What a book loses when KO and XOM move by `moves` and all volatilities by a share of themselves."""
    total = 0.0
    for quantity, row in zip(quantities, contracts(), strict=True):
        moved = 1.0 + moves[row["factor"]]
        value = row["price"] * moved
        if row["strike"] > 0:
            terms = (row[name] for name in ("rate", "carry", "sign"))
            value = european_value(
                row["spot"] * moved, row["strike"], row["years"], row["volatility"] * (1 + volatility), *terms
            )
        total -= quantity * row["unit"] * (float(value) - row["price"])
    return total


def test_a_share_ties_up_fifteen_per_cent_of_its_value_long_or_short():
    scan = MarginScan(contracts())
    for quantity in (200.0, -200.0):
        book = np.zeros(6)
        book[1] = quantity
        assert scan.estimate(book).total == pytest.approx(0.15 * 200 * 100.0)


def test_the_empty_book_ties_up_nothing():
    assert MarginScan(contracts()).estimate(np.zeros(6)).total == 0.0


def test_positions_on_one_underlying_offset_and_on_two_do_not():
    scan = MarginScan(contracts())
    alone = [scan.estimate(q * row).total for q, row in zip((100.0, -60.0), np.eye(6)[:2], strict=True)]

    assert scan.estimate(np.array([100.0, -60.0, 0, 0, 0, 0])).total == pytest.approx(sum(alone))
    covered = scan.estimate(np.array([0.0, 100.0, -1.0, 0, 0, 0])).total
    assert covered < scan.estimate(np.array([0.0, 100.0, 0.0, 0, 0, 0])).total


@pytest.mark.parametrize("seed", range(5))
def test_no_book_is_charged_less_than_it_loses_in_any_scenario_of_the_scan(seed: int):
    dice = np.random.default_rng(seed)
    book = np.round(dice.normal(0.0, [300, 200, 5, 5, 8, 4]))

    charged = MarginScan(contracts()).estimate(book).total

    worst = max(
        lost(book, np.array([ko, xom]), volatility)
        for ko in STEPS
        for xom in STEPS
        for volatility in (-0.15, 0.0, 0.15)
    )
    assert charged >= worst - 1e-6 * abs(worst), f"seed {seed}: charged {charged}, loses {worst}"


def test_a_short_straddle_is_charged_where_it_hurts_with_volatility_up():
    book = np.array([0.0, 0.0, -1.0, -1.0, 0.0, 0.0])

    expected = max(lost(book, np.array([0.0, move]), 0.15) for move in (-0.15, 0.15))

    assert MarginScan(contracts()).estimate(book).total == pytest.approx(expected, rel=1e-9)


def test_what_has_no_value_ties_up_nothing_and_disturbs_nothing():
    prices = PRICES.copy()
    prices[0] = 0.0
    book = np.array([1000.0, 200.0, -3.0, 0.0, 0.0, 7.0])
    without = np.where([False, True, True, True, True, False], book, 0.0)

    blind, seeing = MarginScan(contracts(prices)), MarginScan(contracts())

    assert blind.estimate(book).total == seeing.estimate(without).total
