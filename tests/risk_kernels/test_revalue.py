"""Revaluation under given returns: scipy's Black-Scholes, parity, limits, ladders, NaN, and refusals."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from books import mixed_book, options_on, reference_columns

from firm.risk_kernels.contracts import CONTRACT, Ladders, Payoff, linear_contracts
from firm.risk_kernels.montecarlo import columns_from_returns, pnl_from_returns

Array = npt.NDArray[np.float64]
SEED = 5
GRID = np.concatenate([np.linspace(-3.0, 3.0, 1201), [0.0, 1e-12, -1e-12, -12.0, 12.0]])[None, :]


def returns(m: int, scenarios: int) -> Array:
    print("seed", SEED)
    return np.random.default_rng(SEED).normal(0.0, 0.05, (m, scenarios))


@pytest.mark.parametrize("years", [1e-6, 0.01, 0.5, 10.0])
@pytest.mark.parametrize("volatility", [1e-4, 0.05, 0.4, 3.0])
def test_options_agree_with_scipy_at_every_scenario(years: float, volatility: float):
    strikes = [20.0, 90.0, 100.0, 101.0, 500.0]
    options = options_on(
        np.zeros(10, int), strike=strikes * 2, sign=[1.0] * 5 + [-1.0] * 5, years=years, volatility=volatility
    )

    columns = columns_from_returns(GRID, options)

    expected = reference_columns(GRID, options)
    scale = np.maximum(options["spot"][:, None] * np.exp(GRID), options["strike"][:, None])
    assert (np.abs(columns - expected) / scale).max() < 5e-12


def test_in_single_precision_they_agree_to_two_millionths():
    options = options_on(np.zeros(4, int), strike=[80.0, 100.0, 101.0, 150.0], sign=[1.0, 1.0, -1.0, -1.0])
    grid = GRID[:, np.abs(GRID[0]) < 0.5]

    columns = columns_from_returns(grid, options, precision="single")

    expected = reference_columns(grid, options)
    assert np.abs(columns - expected).max() < 2e-6 * 200.0


def test_a_call_less_a_put_is_the_forward():
    pair = options_on([0, 0], sign=[1.0, -1.0], strike=110.0)

    call, put = columns_from_returns(GRID, pair)

    forward = 100.0 * np.exp(GRID[0] - 0.01 * 0.5) - 110.0 * np.exp(-0.04 * 0.5)
    np.testing.assert_allclose(call - put, forward, rtol=1e-11, atol=1e-9)


def test_a_call_rises_and_a_put_falls_with_the_spot():
    call, put = columns_from_returns(
        np.linspace(-1.0, 1.0, 400)[None, :], options_on([0, 0], sign=[1.0, -1.0])
    )

    assert np.all(np.diff(call) > 0.0)
    assert np.all(np.diff(put) < 0.0)


@pytest.mark.parametrize("years", [0.0, -0.25])
@pytest.mark.parametrize("payoff", [Payoff.EUROPEAN, Payoff.AMERICAN])
def test_an_expired_option_is_worth_its_payoff(years: float, payoff: Payoff):
    options = options_on([0, 0], sign=[1.0, -1.0], years=years, payoff=payoff, price=3.0, unit=2.0)

    call, put = columns_from_returns(GRID, options)

    spot = 100.0 * np.exp(GRID[0])
    np.testing.assert_allclose(call, 2.0 * (np.maximum(spot - 100.0, 0.0) - 3.0), rtol=1e-14, atol=1e-9)
    np.testing.assert_allclose(put, 2.0 * (np.maximum(100.0 - spot, 0.0) - 3.0), rtol=1e-14, atol=1e-9)


def test_an_option_without_volatility_is_worth_the_discounted_payoff_of_its_forward():
    options = options_on([0, 0], sign=[1.0, -1.0], volatility=0.0)

    columns = columns_from_returns(GRID, options)

    np.testing.assert_allclose(columns, reference_columns(GRID, options), rtol=1e-14, atol=1e-9)
    assert np.isfinite(columns).all()


def test_just_above_the_least_deviation_nothing_jumps():
    least, just = options_on(0, volatility=0.0), options_on(0, volatility=2e-12, years=1.0)

    off_the_money = GRID[:, np.abs(GRID[0]) > 0.05]
    below, above = (columns_from_returns(off_the_money, option) for option in (least, just))

    least["years"] = just["years"]
    below = columns_from_returns(off_the_money, least)
    np.testing.assert_allclose(above, below, rtol=1e-12, atol=1e-9)


def test_a_linear_contract_earns_unit_times_price_times_the_simple_return():
    contract = linear_contracts(1)
    contract["unit"], contract["price"] = 50.0, 4000.0

    column = columns_from_returns(GRID, contract)[0]

    np.testing.assert_allclose(column, 50.0 * 4000.0 * np.expm1(GRID[0]), rtol=1e-14)
    assert column[GRID[0] == 0.0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("scenarios", [1, 191, 192, 193, 500])
def test_any_number_of_scenarios_is_revalued_each_by_itself(scenarios: int):
    contracts, quantities = mixed_book(5, 20)
    moves = returns(5, 500)

    pnl = pnl_from_returns(moves[:, :scenarios], contracts, quantities)

    assert np.array_equal(pnl, pnl_from_returns(moves, contracts, quantities)[:scenarios])
    backwards = pnl_from_returns(np.ascontiguousarray(moves[:, ::-1]), contracts, quantities)
    assert np.array_equal(backwards[::-1][:scenarios], pnl)


def test_p_and_l_is_the_sum_of_quantity_times_column():
    contracts, quantities = mixed_book(5, 20)
    moves = returns(5, 300)

    columns = columns_from_returns(moves, contracts)

    np.testing.assert_allclose(columns, reference_columns(moves, contracts), rtol=0, atol=2e-9)
    total = np.zeros(300)
    for quantity, column in zip(quantities, columns, strict=True):
        total += quantity * column
    assert np.array_equal(pnl_from_returns(moves, contracts, quantities), total)


def ladder(cells: int = 8, low: float = -0.4, step: float = 0.1) -> tuple[Ladders, Array]:
    """One ladder with random coefficients, for the second of two contracts."""
    coefficients = np.random.default_rng(SEED).normal(10.0, 1.0, (1, cells, 6))
    row = np.array([-1, 0], np.int32)
    return Ladders(row, np.array([low]), np.array([step]), coefficients), coefficients[0]


def share_and_american() -> Any:
    american = options_on(0, payoff=Payoff.AMERICAN, unit=100.0, price=10.0)
    return np.concatenate([linear_contracts(1), american])


@pytest.mark.parametrize("precision", ["double", "single"])
def test_an_american_option_follows_the_polynomial_of_its_cell(precision: Any):
    ladders, coefficients = ladder()
    x = np.linspace(-0.399, 0.399, 1000)

    column = columns_from_returns(x[None, :], share_and_american(), ladders=ladders, precision=precision)[1]

    cell = np.floor((x + 0.4) / 0.1).astype(int)
    t = 2.0 * ((x + 0.4) / 0.1 - cell) - 1.0
    value = (coefficients[cell] * t[:, None] ** np.arange(6)).sum(axis=1)
    if precision == "double":
        np.testing.assert_allclose(column, 100.0 * (value - 10.0), rtol=0, atol=1e-9)
    else:
        far_from_edges = np.abs(np.abs(t) - 1.0) > 1e-3
        error = np.abs(column - 100.0 * (value - 10.0))
        assert error[far_from_edges].max() < 0.02


def test_both_ends_of_a_ladder_belong_to_it_and_beyond_is_not_a_number():
    ladders, coefficients = ladder(low=-0.5, step=0.125)
    x = np.array([-0.5, 0.5, -0.5000001, 0.5000001, 3.0, -3.0])

    column = columns_from_returns(x[None, :], share_and_american(), ladders=ladders)[1]

    first = (coefficients[0] * (-1.0) ** np.arange(6)).sum()
    last = coefficients[-1].sum()
    np.testing.assert_allclose(column[:2], 100.0 * (np.array([first, last]) - 10.0), rtol=1e-12)
    assert np.isnan(column[2:]).all()


def test_a_p_and_l_with_a_contract_outside_its_ladder_is_not_a_number():
    ladders, _ = ladder()
    x = np.array([[0.0, 0.45, 0.1]])

    pnl = pnl_from_returns(x, share_and_american(), np.array([1e6, 1e-9]), ladders=ladders)

    assert np.isnan(pnl).tolist() == [False, True, False]


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_returns_that_are_not_finite_are_refused_with_their_number(poison: float):
    moves = returns(2, 10)
    moves[1, 3] = moves[0, 9] = poison

    with pytest.raises(ValueError, match="returns need finite values, found 2 NaN or infinite of 20"):
        pnl_from_returns(moves, linear_contracts(2), np.ones(2))


@pytest.mark.parametrize(
    "field", ["unit", "price", "spot", "strike", "years", "volatility", "rate", "carry", "sign"]
)
def test_a_field_that_is_not_finite_is_refused_by_name(field: str):
    options = options_on([0, 0])
    options[field][1] = np.nan

    with pytest.raises(
        ValueError, match=f"{field}.*: finite values are needed, found 1 NaN or infinite of 2"
    ):
        columns_from_returns(GRID, options)


def test_fields_that_a_linear_contract_does_not_use_may_hold_anything():
    contract = linear_contracts(1)
    for field in ("spot", "strike", "years", "volatility", "rate", "carry", "sign"):
        contract[field] = np.nan

    assert np.isfinite(columns_from_returns(GRID, contract)).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"spot": 0.0}, "a positive spot, found 0.0 in contract 0"),
        ({"strike": -1.0}, "a positive strike, found -1.0 in contract 0"),
        ({"volatility": -0.1}, "a volatility of 0 or more, found -0.1"),
        ({"sign": 0.5}, r"a sign of \+1 or -1, found 0.5"),
        ({"volatility": 11.0, "years": 1.0}, r"volatility \* sqrt\(years\) of at most 10.0, found 11.0"),
        ({"rate": -1e4}, "terms whose values a double can hold, found inf"),
        ({"payoff": Payoff.AMERICAN}, "a row of the ladders if it is American and has not expired, found -1"),
        ({"payoff": 3}, "a payoff of 0 to 2, found 3 to 3"),
        ({"payoff": -1}, "a payoff of 0 to 2, found -1 to -1"),
    ],
)
def test_an_option_out_of_bounds_is_refused_with_the_number(fields: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        columns_from_returns(GRID, options_on(0, **fields))


@pytest.mark.parametrize("factor", [-1, 2])
def test_a_contract_on_a_factor_that_does_not_exist_is_refused(factor: int):
    with pytest.raises(ValueError, match=rf"factors in 0\.\.1, found {factor} to {factor}"):
        columns_from_returns(returns(2, 5), options_on(factor))


def test_an_empty_book_is_refused():
    with pytest.raises(ValueError, match="at least 1 contract, found none"):
        pnl_from_returns(GRID, np.zeros(0, CONTRACT), np.zeros(0))


def test_a_table_of_another_type_is_refused():
    with pytest.raises(ValueError, match=r"one row of CONTRACT each, found float64 of shape \(3,\)"):
        columns_from_returns(GRID, np.zeros(3))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(3,), (0, 4), (2, 0)])
def test_returns_of_the_wrong_shape_are_refused(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="returns need the shape"):
        columns_from_returns(np.zeros(shape), linear_contracts(1))


def test_quantities_of_the_wrong_shape_or_not_finite_are_refused():
    with pytest.raises(ValueError, match=r"one value for each of 1 contracts, found shape \(2,\)"):
        pnl_from_returns(GRID, linear_contracts(1), np.ones(2))
    with pytest.raises(ValueError, match="quantities: finite values are needed, found 1"):
        pnl_from_returns(GRID, linear_contracts(1), np.array([np.inf]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coefficients": np.zeros((1, 8, 5))}, r"coefficients of the shape \(1, cells, 6\)"),
        (
            {"coefficients": np.full((1, 8, 6), np.nan)},
            "coefficients of the ladders: finite values are needed",
        ),
        ({"row": np.array([-1], np.int32)}, "one row for each of 2 contracts"),
        ({"row": np.array([-1, 1], np.int32)}, r"ladder needs to be -1\.\.0, found -1 to 1"),
        ({"step": np.array([0.0])}, "ladders need positive steps, found 0.0"),
        ({"step": np.array([0.1, 0.1])}, "1 steps, found"),
    ],
)
def test_ladders_that_do_not_fit_are_refused(change: dict[str, Any], message: str):
    ladders = ladder()[0]._replace(**change)

    with pytest.raises(ValueError, match=message):
        columns_from_returns(GRID, share_and_american(), ladders=ladders)
