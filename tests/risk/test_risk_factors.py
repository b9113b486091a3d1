"""Factor models against known truths; variance and P&L by factor, which always add up."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firm.errors import DataError, InsufficientHistory
from firm.risk.factor_model import factor_model
from firm.risk.factor_regression import regressed_factors, sector_factors
from firm.risk.risk_factors import (
    RiskFactors,
    exposure_breaches,
    factor_exposures,
    fitted_returns,
    pnl_shares,
    statistical_factors,
    variance_shares,
)
from firm.tape.load import SAMPLE

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

SECTORS = ("tech", "tech", "oil", "oil", "oil", "gold")
KINDS = ("statistical", "named", "sectors")


def market(days: int = 300, n: int = 6, seed: int = 40) -> tuple[Matrix, Matrix, Matrix]:
    """Returns of instruments, of two factors, and the true loadings."""
    print("seed", seed)
    rng = np.random.default_rng(seed)
    factors = rng.normal(0.0003, [0.01, 0.004], (days, 2))
    betas = rng.uniform(-0.5, 1.5, (n, 2))
    return factors @ betas.T + rng.normal(0.0, 0.006, (days, n)), factors, betas


def model(kind: str, returns: Matrix, factors: Matrix) -> RiskFactors:
    if kind == "statistical":
        return statistical_factors(returns, 2)
    if kind == "named":
        return regressed_factors(returns, factors, ["market", "value"])
    return sector_factors(returns, SECTORS)


def test_a_regression_finds_the_loadings():
    returns, factors, betas = market(days=20_000)

    found = regressed_factors(returns, factors, ["market", "value"])

    np.testing.assert_allclose(found.loadings, betas, atol=0.03)
    np.testing.assert_allclose(found.idiosyncratic, 0.006, rtol=0.02)
    np.testing.assert_allclose(np.sqrt(np.diag(found.factor_covariance)), [0.01, 0.004], rtol=0.02)


def test_a_regression_is_the_normal_equations():
    returns, factors, _ = market(days=60)
    x = np.column_stack([np.ones(60), factors])
    beta = np.linalg.solve(x.T @ x, x.T @ returns)
    rest = returns - x @ beta

    found = regressed_factors(returns, factors, ["market", "value"])

    np.testing.assert_allclose(found.loadings, beta[1:].T, rtol=1e-9)
    np.testing.assert_allclose(found.idiosyncratic, np.sqrt((rest**2).sum(axis=0) / 59), rtol=1e-9)
    total = ((returns - returns.mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose(found.r_squared, 1 - (rest**2).sum(axis=0) / total, rtol=1e-9)


def test_an_instrument_keeps_its_variance():
    returns, factors, _ = market()
    variance = returns.var(axis=0, ddof=1)
    for kind in ("statistical", "named"):
        found = model(kind, returns, factors)
        np.testing.assert_allclose(np.diag(found.covariance()), variance, rtol=1e-9)
        np.testing.assert_allclose(found.r_squared, 1 - found.idiosyncratic**2 / variance, rtol=1e-9)


def test_statistical_factors_are_the_factor_model_with_names():
    returns, _, _ = market()

    found = statistical_factors(returns, 3)

    expected = factor_model(returns, 3)
    assert found.names == ("PC1", "PC2", "PC3")
    np.testing.assert_allclose(found.covariance(), expected.covariance(), atol=1e-18)
    strength = (found.loadings**2 / returns.var(axis=0, ddof=1)[:, None]).sum(axis=0)
    assert (np.diff(strength) < 0).all()
    assert (found.loadings[np.abs(found.loadings).argmax(axis=0), range(3)] > 0).all()


def test_statistical_factor_returns_are_standardised_and_uncorrelated():
    returns, _, _ = market()

    found = statistical_factors(returns, 2)

    np.testing.assert_allclose(np.cov(found.factor_returns.T), np.eye(2), atol=1e-9)


def test_all_components_leave_nothing():
    returns, _, _ = market()

    found = statistical_factors(returns, 6)

    np.testing.assert_allclose(found.factor_returns @ found.loadings.T, returns, atol=1e-12)
    np.testing.assert_allclose(found.idiosyncratic, 0.0, atol=1e-9)


def test_sector_factors_are_means():
    returns, _, _ = market()

    found = sector_factors(returns, SECTORS)

    assert found.names == ("market", "gold", "oil", "tech")
    np.testing.assert_allclose(found.factor_returns[:, 0], returns.mean(axis=1))
    np.testing.assert_allclose(
        found.factor_returns[:, 2], returns[:, 2:5].mean(axis=1) - returns.mean(axis=1)
    )
    weighted = found.factor_returns[:, 1:] @ [1, 3, 2]
    np.testing.assert_allclose(weighted, 0.0, atol=1e-16)
    assert found.idiosyncratic[5] < 1e-17


@given(st.sampled_from(KINDS), st.lists(st.floats(-1e7, 1e7), min_size=6, max_size=6))
def test_parts_of_the_variance_sum_to_that_of_the_model(kind: str, amounts: list[float]):
    returns, factors, _ = market()
    found, exposures = model(kind, returns, factors), np.array(amounts)

    parts = variance_shares(exposures, found)

    assert sum(part for _, part in parts.factors) + parts.idiosyncratic == pytest.approx(
        parts.total, abs=1e-9
    )
    expected = exposures @ found.covariance() @ exposures
    scale = np.abs(exposures) @ np.abs(found.covariance()) @ np.abs(exposures)
    assert parts.total == pytest.approx(expected, rel=1e-9, abs=1e-12 * scale)
    assert parts.idiosyncratic >= 0.0
    if parts.total > 0.0:
        assert sum(parts.shares().values()) == pytest.approx(1.0, abs=1e-9)


@given(st.sampled_from(KINDS), st.integers(0, 299), st.lists(st.floats(-1e7, 1e7), min_size=6, max_size=6))
def test_parts_of_the_pnl_sum_to_it(kind: str, day: int, amounts: list[float]):
    returns, factors, _ = market()
    found, exposures = model(kind, returns, factors), np.array(amounts)

    for moves in (found.factor_returns[day], fitted_returns(returns[day], found)):
        parts = pnl_shares(exposures, returns[day], found, moves)
        assert parts.total == pytest.approx(exposures @ returns[day], rel=1e-12, abs=1e-6)
        total = sum(part for _, part in parts.factors) + parts.idiosyncratic
        assert total == pytest.approx(parts.total, rel=1e-9, abs=1e-6)


def test_a_factor_that_hedges_another_has_a_negative_part():
    spread = np.array([[4e-4, 1.8e-4], [1.8e-4, 1e-4]])
    found = RiskFactors(("a", "b"), np.eye(2), spread, np.zeros(2), np.zeros((1, 2)), np.ones(2))

    parts = dict(variance_shares(np.array([100.0, -110.0]), found).factors)

    assert parts["a"] > 0 > parts["b"]


def test_an_empty_book_has_no_variance_and_no_shares():
    returns, factors, _ = market()

    parts = variance_shares(np.zeros(6), model("named", returns, factors))

    assert parts.total == 0.0
    assert set(parts.shares().values()) == {0.0}


def test_factor_exposures_are_dollar_betas_and_limits_bind_on_them():
    returns, factors, _ = market()
    found = model("sectors", returns, factors)
    exposures = np.array([100.0, 50.0, -80.0, 0.0, -20.0, 10.0])

    measured = factor_exposures(exposures, found)

    assert [(e.name, e.money) for e in measured] == [
        ("market", 60.0),
        ("gold", 10.0),
        ("oil", -100.0),
        ("tech", 150.0),
    ]
    assert measured[0].deviation == pytest.approx(60.0 * found.factor_returns[:, 0].std(ddof=1))
    assert exposure_breaches(measured, {"market": 60.0, "oil": 99.0, "tech": 149.5}) == (
        "factor oil: exposure -100.00, limit is 99.00",
        "factor tech: exposure 150.00, limit is 149.50",
    )


def test_a_limit_that_could_never_fire_is_refused():
    returns, factors, _ = market()
    measured = factor_exposures(np.ones(6), model("named", returns, factors))
    with pytest.raises(ValueError, match=r"found \['momentum'\]"):
        exposure_breaches(measured, {"momentum": 1.0})
    for wrong in (-1.0, np.nan):
        with pytest.raises(ValueError, match=r"found others for \['market'\]"):
            exposure_breaches(measured, {"market": wrong})


def test_the_packaged_sample_has_one_strong_market_factor():
    content = np.load(SAMPLE)
    closes = np.column_stack([content[name] for name in content if name != "ts"])
    returns = closes[-750:] / closes[-751:-1] - 1

    found = statistical_factors(returns, 3)

    assert (found.loadings[:, 0] > 0).all()
    shares = variance_shares(np.full(20, 1e5), found).shares()
    assert shares["PC1"] > 0.8
    assert sum(shares.values()) == pytest.approx(1.0)


def test_stocks_load_on_the_market_of_the_shared_factor_data():
    folder = Path(__file__).parents[3] / "shared" / "data"
    stocks, famous = folder / "us20_adjclose_1990_2022.npz", folder / "ff8_daily_1969_2022.npz"
    if not (stocks.exists() and famous.exists()):
        pytest.skip(f"no shared data in {os.path.relpath(folder)}")
    prices, table = np.load(stocks), np.load(famous)
    day = 86_400 * 10**9
    dates = prices["ts"] // day
    _, rows, columns = np.intersect1d(dates[1:], table["ts"] // day, return_indices=True)
    names = [name for name in prices if name != "ts"]
    closes = np.column_stack([prices[name] for name in names]).astype(np.float64)
    returns = (closes[1:] / closes[:-1] - 1)[rows][-2500:]
    factors = np.column_stack([table["Mkt-RF"], table["SMB"], table["HML"]]).astype(np.float64)

    found = regressed_factors(returns, factors[columns][-2500:], ["market", "size", "value"])

    beta = dict(zip(names, found.loadings[:, 0].tolist(), strict=True))
    assert 0.3 < min(beta.values()) < max(beta.values()) < 2.2
    assert beta["AMD"] > beta["JNJ"]
    value = dict(zip(names, found.loadings[:, 2].tolist(), strict=True))
    assert value["BAC"] > 0.5
    assert value["AAPL"] < 0.0


def test_bad_input_is_an_error_with_the_numbers():
    returns, factors, _ = market(days=60)
    names = ["market", "value"]
    with pytest.raises(DataError, match="found a combination of market, twice that does not move"):
        regressed_factors(returns, np.column_stack([factors[:, 0], 2 * factors[:, 0]]), ["market", "twice"])
    with pytest.raises(ValueError, match="found 60 of returns and 59 of factors"):
        regressed_factors(returns, factors[1:], names)
    for wrong in (["market"], ["market", "market"]):
        with pytest.raises(ValueError, match="k different names"):
            regressed_factors(returns, factors, wrong)
    with pytest.raises(InsufficientHistory, match=r"needs 30 daily returns, found 20"):
        regressed_factors(returns[:20], factors[:20], names)
    with pytest.raises(InsufficientHistory, match="4 factors need 40 daily returns, found 35"):
        regressed_factors(returns[:35], returns[:35, :4], ["a", "b", "c", "d"])
    with pytest.raises(DataError, match="found 1 NaN"):
        regressed_factors(np.where(returns == returns[0, 0], np.nan, returns), factors, names)
    with pytest.raises(DataError, match="no change"):
        regressed_factors(returns, factors * [1.0, 0.0], names)
    with pytest.raises(ValueError, match="found 2 for 6"):
        sector_factors(returns, ["a", "b"])
    with pytest.raises(ValueError, match="names other than"):
        sector_factors(returns, ["market"] * 6)


def test_bad_exposures_are_an_error_with_the_numbers():
    returns, factors, _ = market()
    found = model("named", returns, factors)
    for use in (factor_exposures, variance_shares):
        with pytest.raises(ValueError, match=r"found \(5,\) for 6"):
            use(np.zeros(5), found)
        with pytest.raises(DataError, match="found 1 NaN"):
            use(np.array([np.nan, 0, 0, 0, 0, 0]), found)
    with pytest.raises(ValueError, match=r"found \(5,\) and \(2,\)"):
        pnl_shares(np.zeros(6), np.zeros(5), found, np.zeros(2))
    with pytest.raises(DataError, match="factor returns need to be finite"):
        pnl_shares(np.zeros(6), np.zeros(6), found, np.array([np.inf, 0.0]))
    with pytest.raises(ValueError, match=r"found \(5,\) for \(6,\)"):
        fitted_returns(np.zeros(5), found)
