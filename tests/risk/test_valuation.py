"""The universe as a table of contracts: what has a value, and which."""

from decimal import Decimal

import numpy as np
import pytest
from contracts_of import NOW, ns, option, share
from numpy.typing import NDArray

from firm.domain.instrument import Instrument
from firm.risk.valuation import at_horizon, contracts_at
from firm.risk_kernels.black_scholes import european_value
from firm.risk_kernels.contracts import CONTRACT, Payoff

KO, XOM = share(0, "KO"), share(1, "XOM")
FUTURE = share(2, "ESH3", sec_type="FUT", multiplier=Decimal(50), expiry="20230317")
RATE = 0.03


def table(
    *instruments: Instrument, prices: list[float], at: int = NOW, days: float = 0.0
) -> tuple[NDArray[np.void], list[bool]]:
    contracts, valued = contracts_at(instruments, np.array(prices), at, days, RATE)
    return contracts, valued.tolist()


def worthless(contracts: NDArray[np.void], row: int) -> bool:
    """All zero, but for a factor of its own."""
    zero = np.zeros(1, CONTRACT)
    zero["factor"] = row
    return bool(contracts[row] == zero[0])


def test_shares_and_futures_are_worth_price_times_multiplier():
    contracts, valued = table(KO, XOM, FUTURE, prices=[60.0, 100.0, 3900.25])

    assert valued == [True, True, True]
    assert contracts["payoff"].tolist() == [Payoff.LINEAR] * 3
    assert contracts["factor"].tolist() == [0, 1, 2]
    assert (contracts["unit"] * contracts["price"]).tolist() == [60.0, 100.0, 195012.5]


@pytest.mark.parametrize("none", [0.0, -1.0, float("nan"), float("inf")])
def test_what_has_no_price_has_no_value(none: float):
    contracts, valued = table(KO, XOM, option(2, 1, "100"), prices=[none, 100.0, none])

    assert valued == [False, True, False]
    assert worthless(contracts, 0)
    assert worthless(contracts, 2)


@pytest.mark.parametrize(
    ("right", "strike", "price"),
    [("C", "100", 9.5), ("P", "100", 6.25), ("C", "80", 24.0), ("P", "60", 0.15)],
)
def test_the_implied_volatility_of_an_option_reproduces_its_price(right: str, strike: str, price: float):
    contracts, valued = table(KO, XOM, option(2, 1, strike, right), prices=[60.0, 100.0, price])
    row = contracts[2]

    assert valued == [True] * 3
    assert (row["factor"], row["payoff"], row["unit"], row["price"]) == (1, Payoff.EUROPEAN, 100.0, price)
    assert (row["spot"], row["strike"], row["sign"]) == (100.0, float(strike), 1.0 if right == "C" else -1.0)
    assert (row["rate"], row["carry"]) == (RATE, 0.0)
    fields = ("spot", "strike", "years", "volatility", "rate", "carry", "sign")
    assert float(european_value(*(row[name] for name in fields))) == pytest.approx(price, rel=1e-12)
    assert 0.1 < row["volatility"] < 0.6


def test_time_runs_to_four_in_the_afternoon_in_new_york_in_winter_and_in_summer():
    summer, winter = option(1, 0, "60"), option(2, 0, "60", expiry="20230120")
    contracts, _ = table(KO, summer, winter, prices=[60.0, 5.0, 3.0])

    expected = [(ns(end) - NOW) / 1e9 / 86_400 / 365 for end in ("2023-06-16T20:00", "2023-01-20T21:00")]
    np.testing.assert_allclose(contracts["years"][1:], expected, rtol=1e-12)


def test_an_option_has_a_value_to_the_last_second_and_none_from_then_on():
    call = option(1, 0, "55")
    before, valued = table(KO, call, prices=[60.0, 5.5], at=ns("2023-06-16T19:59:59"))
    assert valued == [True, True]
    assert before["years"][1] == pytest.approx(1 / 86_400 / 365)
    for over in ("2023-06-16T20:00:00", "2023-06-17T12:00:00"):
        contracts, valued = table(KO, call, prices=[60.0, 5.5], at=ns(over))
        assert valued == [True, False]
        assert worthless(contracts, 1)


@pytest.mark.parametrize("price", [0.5, 4.99, 60.0, 61.0], ids=["far below", "below", "at the spot", "above"])
def test_a_price_that_no_volatility_explains_is_no_value(price: float):
    contracts, valued = table(KO, option(1, 0, "55"), prices=[60.0, price])

    assert valued == [True, False]
    assert worthless(contracts, 1)


def test_an_option_without_the_price_of_its_underlying_has_no_value():
    _, valued = table(KO, option(1, 0, "55"), prices=[0.0, 6.0])
    assert valued == [False, False]


@pytest.mark.parametrize("expiry", ["", "202306", "2023-06-16"])
def test_an_option_that_does_not_say_when_it_expires_has_no_value(expiry: str):
    _, valued = table(KO, option(1, 0, "55", expiry=expiry), prices=[60.0, 7.0])
    assert valued == [True, False]


def test_what_is_in_another_currency_has_no_value_for_there_are_no_rates():
    contracts, valued = table(share(0, "SAP", currency="EUR"), option(1, 0, "55"), prices=[60.0, 7.0])

    assert valued == [False, False]
    assert worthless(contracts, 0)


def test_the_horizon_takes_time_from_options_but_never_more_than_they_have():
    short = option(2, 0, "60", expiry="20221217")
    instruments, prices = (KO, option(1, 0, "60"), short), [60.0, 5.0, 0.5]
    now, _ = table(*instruments, prices=prices)
    later, valued = table(*instruments, prices=prices, days=10.0)

    assert valued == [True] * 3
    assert later["years"].tolist() == [0.0, now["years"][1] - 10 / 252, 0.0]
    assert later["volatility"].tolist() == now["volatility"].tolist()
    assert later.tobytes() == at_horizon(now, 10.0).tobytes()
