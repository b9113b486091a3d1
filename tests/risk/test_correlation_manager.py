"""The correlations of a decision: what is measured, how it is repaired, and what is refused."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from firm.errors import DataError, InsufficientHistory
from firm.risk.correlation_manager import CorrelationManager, CorrelationSettings, Method
from firm.risk.correlation_stress import CorrelationRegime, Regime
from firm.risk.nearest_correlation import is_psd
from firm.tape.load import SAMPLE

Matrix = npt.NDArray[np.float64]


def settings(method: Method = Method.SAMPLE, **changes: object) -> CorrelationSettings:
    content = {
        "history_bars": 250,
        "min_history_bars": 60,
        "decay": 0.94,
        "lags": 1,
        "regime_window": 40,
        "regime_windows_min": 100,
        "regime_step": 1,
        "calm_quantile": 0.1,
        "crisis_quantile": 0.9,
        "stress_weights": (0.5, 1.0),
    }
    return CorrelationSettings(method=method, **{**content, **changes})


def closes(bars: int = 251, n: int = 6, seed: int = 30) -> Matrix:
    print("seed", seed)
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.01, (bars, 1)) + rng.normal(0, 0.01, (bars, n))
    return np.asarray(100 * np.exp(np.cumsum(steps, axis=0)))


@pytest.mark.parametrize("method", Method)
def test_every_method_gives_a_correlation_matrix_near_the_truth(method: Method):
    estimate = CorrelationManager(settings(method)).estimate(closes())

    assert is_psd(estimate.matrix)
    assert (np.diag(estimate.matrix) == 1.0).all()
    off = estimate.matrix[~np.eye(6, dtype=bool)]
    assert off.mean() == pytest.approx(0.5, abs=0.2)
    assert estimate.volatility == pytest.approx(np.full(6, 0.0141), rel=0.35)
    assert estimate.measured.all()
    assert (estimate.bars, estimate.rank) == (250, 6)
    assert isinstance(estimate.regime, CorrelationRegime)
    np.testing.assert_allclose(np.sqrt(np.diag(estimate.covariance())), estimate.volatility)
    assert method.value in estimate.summary()


def test_the_sample_method_is_the_sample_correlation():
    prices = closes(400)

    estimate = CorrelationManager(settings()).estimate(prices)

    returns = np.diff(np.log(prices[-251:]), axis=0)
    np.testing.assert_allclose(estimate.matrix, np.corrcoef(returns.T), atol=1e-12)
    assert (estimate.distance, estimate.shrinkage, estimate.projections) == (0.0, 0.0, 0)


def test_only_the_shrinking_methods_shrink():
    for method in Method:
        estimate = CorrelationManager(settings(method)).estimate(closes())
        assert (estimate.shrinkage > 0.0) == method.value.startswith("ledoit")


def test_what_has_too_few_returns_or_stands_still_is_not_measured():
    prices = closes()
    prices[:-30, 1] = np.nan
    prices[:, 4] = 7.0

    for method in Method:
        estimate = CorrelationManager(settings(method)).estimate(prices)
        assert estimate.measured.tolist() == [True, False, True, True, False, True]
        assert estimate.matrix.shape == (4, 4)
        assert estimate.bars == 250


def test_bars_with_a_hole_are_left_out_but_pairwise_keeps_them():
    prices = closes()
    prices[10:110, 0] = np.nan
    prices[150, 3] = np.nan

    complete = CorrelationManager(settings()).estimate(prices)
    pairwise = CorrelationManager(settings(Method.PAIRWISE)).estimate(prices)

    assert (complete.bars, pairwise.bars) == (250 - 101 - 2, 250)
    assert complete.measured.all()


def test_a_matrix_that_is_no_correlation_is_repaired_and_says_how_far():
    prices = closes(n=40)
    holes = np.random.default_rng(31).random(prices.shape) < 0.25
    prices[holes] = np.nan

    estimate = CorrelationManager(settings(Method.PAIRWISE, min_history_bars=40)).estimate(prices)

    assert estimate.measured.all()
    assert estimate.smallest_eigenvalue < -0.01
    assert estimate.distance > 0.01
    assert estimate.projections > 1
    assert is_psd(estimate.matrix)
    assert estimate.rank < 40
    assert estimate.condition == np.inf
    assert "repair distance 0 " not in estimate.summary()
    assert isinstance(estimate.regime, str)  # no bar has all forty
    assert "needs 140 complete bars" in estimate.regime


def test_an_instrument_that_overlaps_with_none_is_left_out_alone():
    prices = closes()
    prices[:170, 1] = np.nan
    prices[120:, 4] = np.nan
    prices[200:, 5] = np.nan

    estimate = CorrelationManager(settings(Method.PAIRWISE)).estimate(prices)

    assert estimate.measured.tolist() == [True, False, True, True, True, True]


def test_more_instruments_than_bars_are_singular_but_not_when_shrunk():
    prices = closes(n=300)

    sample = CorrelationManager(settings()).estimate(prices)
    shrunk = CorrelationManager(settings(Method.SHRUNK_CONSTANT)).estimate(prices)

    assert (sample.rank, sample.condition) == (249, np.inf)
    assert shrunk.rank == 300
    assert shrunk.condition < 1e4


def test_lead_lag_corrects_the_groups_that_were_measured():
    rng = np.random.default_rng(32)
    steps = rng.normal(0, 0.01, (5001, 1)) + rng.normal(0, 0.0075, (5001, 3))
    steps[1:, 1] = 0.35 * steps[1:, 1] + 0.65 * steps[:-1, 1]
    prices = 100 * np.exp(np.cumsum(np.column_stack([steps, np.zeros(5001)]), axis=0))

    wide = settings(Method.LEAD_LAG, history_bars=5000)
    estimate = CorrelationManager(wide, close_groups=[0, 1, 0, 0]).estimate(prices)

    assert estimate.measured.tolist() == [True, True, True, False]
    np.testing.assert_allclose(estimate.matrix[[0, 0, 1], [1, 2, 2]], 0.64, atol=0.06)


def test_the_stresses_are_those_of_the_settings():
    manager = CorrelationManager(settings())
    estimate = manager.estimate(closes())

    half, one = manager.stressed(estimate)

    assert half.average_after == pytest.approx(0.5 + 0.5 * half.average_before)
    assert one.average_after == 1.0


def test_the_same_closes_give_the_same_bits():
    for method in Method:
        first, second = (CorrelationManager(settings(method)).estimate(closes()) for _ in range(2))
        assert (first.matrix == second.matrix).all()


@pytest.mark.parametrize("method", Method)
def test_the_packaged_sample_needs_no_repair(method: Method):
    content = np.load(SAMPLE)
    prices = np.column_stack([content[name] for name in content if name != "ts"])

    estimate = CorrelationManager(settings(method)).estimate(prices)

    assert estimate.measured.sum() == 20
    assert estimate.distance == 0.0
    assert estimate.rank == 20
    assert 0.1 < estimate.matrix[~np.eye(20, dtype=bool)].mean() < 0.7


def test_autumn_2008_was_a_crisis_of_correlation_in_the_shared_etf_data():
    path = Path(__file__).parents[3] / "shared" / "data" / "etf18_returns_2006_2022.npz"
    if not path.exists():
        pytest.skip(f"no shared data in {os.path.relpath(path)}")
    table = np.load(path)
    returns = np.column_stack([table[name] for name in table if name != "ts"]).astype(np.float64)
    prices = np.vstack([np.ones(returns.shape[1]), np.cumprod(1.0 + returns, axis=0)])
    day = int(np.searchsorted(table["ts"], np.datetime64("2008-12-01", "ns").astype(np.int64)))
    manager = CorrelationManager(settings(Method.SHRUNK_CONSTANT, history_bars=500))

    estimate = manager.estimate(prices[:day])

    assert isinstance(estimate.regime, CorrelationRegime)
    assert estimate.regime.regime is Regime.CRISIS
    assert estimate.distance == 0.0
    names = [name for name in table if name != "ts"]
    stocks, bonds = names.index("VTI"), names.index("TLT")
    assert estimate.matrix[stocks, names.index("XLI")] > 0.85
    assert estimate.matrix[stocks, bonds] < 0.0


def test_bad_closes_are_an_error_with_the_numbers():
    manager = CorrelationManager(settings())
    with pytest.raises(DataError, match=r"found 1 others in columns \[2\]"):
        manager.estimate(np.where(closes() == closes()[200, 2], -1.0, closes()))
    with pytest.raises(DataError, match="found 1 others"):
        manager.estimate(np.where(closes() == closes()[200, 2], np.inf, closes()))
    with pytest.raises(ValueError, match="shape"):
        manager.estimate(closes()[:, 0])
    for few in (closes(60), closes()[:, :1], closes() * np.nan, closes(1), closes(0)):
        with pytest.raises(InsufficientHistory, match="correlations need 60 bars"):
            manager.estimate(few)
    with pytest.raises(ValueError, match="found 2 for 6"):
        CorrelationManager(settings(), close_groups=[0, 1]).estimate(closes())


def test_settings_that_allow_no_estimate_are_refused():
    for changes in (
        {"min_history_bars": 20},
        {"min_history_bars": 300},
        {"decay": 1.0},
        {"lags": 0},
        {"calm_quantile": 0.95},
        {"regime_window": 2},
        {"regime_windows_min": 0},
        {"stress_weights": (0.5, 1.5)},
    ):
        with pytest.raises(ValueError, match="correlations need"):
            settings(**changes)
