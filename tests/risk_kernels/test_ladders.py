"""Ladders: the table of an option against the option itself, at its bends, and where it ends."""

import numpy as np
import pytest

from firm.risk_kernels.american import american_value, exercised_at
from firm.risk_kernels.contracts import CONTRACT, Payoff
from firm.risk_kernels.ladders import american_ladders

SEED = 20260304


def contract(**changes):
    row = np.zeros(1, CONTRACT)
    plain = {"payoff": Payoff.AMERICAN, "unit": 100.0, "spot": 100.0, "strike": 100.0, "years": 0.5}
    for name, value in {
        **plain,
        "volatility": 0.25,
        "rate": 0.04,
        "carry": 0.01,
        "sign": -1,
        **changes,
    }.items():
        row[name] = value
    return row


def read(ladders, row, x):
    """The value by the definition in `Ladders`."""
    along = (x - ladders.low[row]) / ladders.step[row]
    cell = np.floor(along).astype(int)
    t = 2.0 * (along - cell) - 1.0
    return np.sum(ladders.coefficients[row, cell] * t[:, None] ** np.arange(6), axis=1)


def direct(row, x):
    c = row[0]
    return american_value(
        c["spot"] * np.exp(x),
        *(c[name] for name in ("strike", "years", "volatility", "rate", "carry", "sign")),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sign": 1, "carry": 0.06},
        {"sign": 1, "carry": 0.0},
        {"strike": 80.0},
        {"years": 1 / 252, "volatility": 0.1},
        {"years": 0.0, "strike": 107.0},
        {"years": -0.1, "strike": 93.0, "sign": 1},
        {"volatility": 0.0},
        {"years": 5.0, "volatility": 0.6},
    ],
)
@pytest.mark.parametrize("widest", [0.2, 0.5])
def test_a_table_is_the_option_to_a_hundred_millionth_of_the_strike(changes, widest):
    row = contract(**changes)
    ladders = american_ladders(row, widest)
    x = np.random.default_rng(SEED).uniform(-widest, widest, 4000)

    assert ladders.low[0] <= -widest
    assert ladders.low[0] + ladders.step[0] * ladders.coefficients.shape[1] >= widest
    assert np.abs(read(ladders, 0, x) - direct(row, x)).max() <= 1.1e-8 * row[0]["strike"]


def test_an_ordinary_option_is_much_better_than_the_bound():
    row = contract()
    x = np.random.default_rng(SEED).uniform(-0.5, 0.5, 4000)

    assert np.abs(read(american_ladders(row, 0.5), 0, x) - direct(row, x)).max() < 1e-10 * 100


def test_where_it_is_exercised_lies_an_edge_between_cells():
    ladders = american_ladders(contract(), 0.5)
    bend = np.log(exercised_at(100.0, 0.5, 0.25, 0.04, 0.01, -1) / 100.0)
    cells = (bend - ladders.low[0]) / ladders.step[0]

    assert cells == pytest.approx(round(cells), abs=1e-9)
    x = np.linspace(ladders.low[0] + 1e-9, bend, 50)
    assert read(ladders, 0, x) == pytest.approx(100.0 - 100.0 * np.exp(x), abs=1e-11)


def test_only_american_rows_get_a_table():
    rows = np.concatenate(
        [contract(payoff=Payoff.LINEAR), contract(), contract(payoff=Payoff.EUROPEAN), contract(strike=90)]
    )
    ladders = american_ladders(rows, 0.3)

    assert ladders.row.tolist() == [-1, 0, -1, 1]
    assert ladders.row.dtype == np.int32
    assert ladders.coefficients.shape == (2, 256, 6)


def test_a_book_without_american_options_has_empty_ladders():
    ladders = american_ladders(contract(payoff=Payoff.LINEAR), 0.3)

    assert ladders.row.tolist() == [-1]
    assert ladders.coefficients.shape == (0, 256, 6)


def test_a_sharp_option_gets_more_cells():
    assert american_ladders(contract(years=0.0002, volatility=0.1), 0.5).coefficients.shape[1] == 512


def test_an_option_too_sharp_for_any_table_is_refused_with_its_error():
    with pytest.raises(ValueError, match=r"4096 cells over \+-1\.0 needs to be within 1e-08 .* contract 1 "):
        american_ladders(np.concatenate([contract(), contract(years=1e-8)]), 1.0)


@pytest.mark.parametrize("widest", [0.0, -1.0, 6.0, np.nan])
def test_a_range_that_makes_no_sense_is_refused(widest):
    with pytest.raises(ValueError, match="needs a widest log-return above 0 and at most 5"):
        american_ladders(contract(), widest)
