"""Greeks of a book: money, signs, units, and what a small move really gains."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firm.risk.greeks import BookGreeks, book_greeks
from firm.risk_kernels.american import american_value
from firm.risk_kernels.black_scholes import european_value
from firm.risk_kernels.contracts import CONTRACT, Payoff

FIELDS = ("spot", "strike", "years", "volatility", "rate", "carry", "sign")


def table(*rows):
    contracts = np.zeros(len(rows), CONTRACT)
    for contract, row in zip(contracts, rows, strict=True):
        for name, value in row.items():
            contract[name] = value
    return contracts


def linear(factor=0, unit=1.0, price=100.0):
    return {"factor": factor, "payoff": Payoff.LINEAR, "unit": unit, "price": price}


def option(factor=0, payoff=Payoff.EUROPEAN, **changes):
    plain = {"unit": 100.0, "spot": 100.0, "strike": 105.0, "years": 0.5, "volatility": 0.25, "rate": 0.03}
    return {"factor": factor, "payoff": payoff, **plain, "carry": 0.01, "sign": 1.0, **changes}


def worth(contracts, quantities, **bumps):
    """Money value of a book of options, with some terms of all of them changed."""
    total = 0.0
    for contract, quantity in zip(contracts, quantities, strict=True):
        terms = [float(contract[name]) + bumps.get(name, 0.0) for name in FIELDS]
        terms[0] *= 1.0 + bumps.get("move", 0.0)
        price = american_value if contract["payoff"] == Payoff.AMERICAN else european_value
        total += quantity * contract["unit"] * float(price(*terms))
    return total


BOOK = table(
    option(),
    option(sign=-1.0, strike=95.0),
    option(payoff=Payoff.AMERICAN, sign=-1.0, rate=0.05),
    option(payoff=Payoff.AMERICAN, sign=1.0, carry=0.06),
)
QUANTITIES = np.array([3.0, -5.0, 7.0, -2.0])


def test_a_linear_position_is_all_delta():
    greeks = book_greeks(table(linear(unit=50.0, price=4000.0)), np.array([-2.0]), 1)

    assert greeks.delta.tolist() == [-400_000.0]
    assert not any(row.any() for row in greeks[1:])


def test_each_greek_is_what_the_book_gains_in_its_unit():
    total = book_greeks(BOOK, QUANTITIES, 1).total()

    def change(h, **bump):
        (name,) = bump
        return worth(BOOK, QUANTITIES, **{name: h}) - worth(BOOK, QUANTITIES, **{name: -h})

    assert total.delta == pytest.approx(change(1e-4, move=1) / 2e-4, rel=1e-5)
    assert total.vega == pytest.approx(change(1e-4, volatility=1) / 2e-4 / 100, rel=1e-4)
    assert total.theta == pytest.approx(-change(1e-3, years=1) / 2e-3 / 365, rel=1e-4)
    assert total.rho == pytest.approx(change(1e-4, rate=1) / 2e-4 / 100, rel=1e-3)
    moved = [worth(BOOK, QUANTITIES, move=h) for h in (1e-3, 0.0, -1e-3)]
    assert total.gamma == pytest.approx((moved[0] - 2 * moved[1] + moved[2]) / 1e-6 / 100, rel=1e-3)


def test_a_move_of_one_per_cent_gains_delta_and_half_of_gamma():
    total = book_greeks(BOOK, QUANTITIES, 1).total()

    gain = worth(BOOK, QUANTITIES, move=0.01) - worth(BOOK, QUANTITIES)

    assert gain == pytest.approx(0.01 * total.delta + 0.5 * 0.01 * total.gamma, rel=2e-3)


def test_factors_are_kept_apart_and_add_up_to_the_total():
    contracts = table(linear(0), option(2), linear(2, price=10.0), option(1, sign=-1.0))
    quantities = np.array([1.0, 2.0, 30.0, -4.0])
    greeks = book_greeks(contracts, quantities, 4)
    alone = [book_greeks(contracts[i : i + 1], quantities[i : i + 1], 4) for i in range(4)]

    assert greeks.delta[0] == 100.0
    assert greeks.delta[2] == alone[1].delta[2] + 300.0
    assert greeks.delta[3] == 0.0
    for k, row in enumerate(greeks):
        assert float(greeks.total()[k]) == pytest.approx(row.sum())
        assert row == pytest.approx(sum(each[k] for each in alone))


def test_an_option_on_a_future_loses_time_value_as_rates_rise():
    future = option(spot=4000.0, strike=4100.0, rate=0.04, carry=0.04, unit=50.0)
    value = float(european_value(4000.0, 4100.0, 0.5, 0.25, 0.04, 0.04, 1))

    assert book_greeks(table(future), np.array([1.0]), 1).rho[0] == pytest.approx(-0.5 * value * 50.0 / 100)


@settings(max_examples=30, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_greeks_are_linear_in_the_quantities(first, second):
    each = [book_greeks(BOOK[:2], np.array(q), 1) for q in ([first, 0.0], [0.0, second], [first, second])]

    for a, b, both in zip(*each, strict=True):
        assert both == pytest.approx(a + b, rel=1e-12, abs=1e-6)


def test_expired_options_have_delta_alone():
    greeks = book_greeks(table(option(years=0.0, strike=90.0), option(years=-1.0)), np.ones(2), 1)

    assert greeks.delta.tolist() == [10_000.0]
    assert not any(row.any() for row in greeks[1:])


def test_an_empty_book_has_no_greeks():
    greeks = book_greeks(np.zeros(0, CONTRACT), np.zeros(0), 2)

    assert isinstance(greeks, BookGreeks)
    assert [row.tolist() for row in greeks] == [[0.0, 0.0]] * 5
    assert [float(each) for each in greeks.total()] == [0.0] * 5


@pytest.mark.parametrize(
    ("contracts", "quantities", "message"),
    [
        (table(linear(price=np.nan)), [1.0], "price needs finite values, found 1 NaN or infinite of 1"),
        (table(linear(unit=np.inf)), [1.0], "unit needs finite values"),
        (table(linear()), [np.nan], "quantity needs finite values"),
        (table(linear()), [1.0, 2.0], r"one quantity for each of 1 contracts, found shape \(2,\)"),
        (table(linear(factor=3)), [1.0], r"factor needs to be in 0\.\.0, found 3"),
        (table({**linear(), "payoff": 7}), [1.0], "payoff needs to be a known kind, found 7"),
        (table(option(volatility=np.nan)), [1.0], "volatility of an option needs to be a finite number"),
        (table(option(spot=0.0)), [1.0], "spot of an option needs to be a positive price"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_number(contracts, quantities, message):
    with pytest.raises(ValueError, match=message):
        book_greeks(contracts, np.array(quantities), 1)
