"""Stressed correlations stay correlations, and regimes come with the numbers they were judged by."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firm.errors import DataError, InsufficientHistory
from firm.risk.correlation_stress import (
    BlockShock,
    Regime,
    average_correlation,
    blend,
    blend_to_one,
    block_shock,
    correlation_regime,
    rolling_average_correlation,
)
from firm.risk.nearest_correlation import is_psd, with_unit_diagonal
from firm.tape.load import SAMPLE

Matrix = npt.NDArray[np.float64]


def correlation(n: int, seed: int) -> Matrix:
    returns = np.random.default_rng(seed).normal(size=(3 * n, n)) + np.random.default_rng(seed + 1).normal(
        size=(3 * n, 1)
    )
    return with_unit_diagonal(np.cov(returns.T))


def regime_returns(*blocks: tuple[int, float], seed: int = 20) -> Matrix:
    """Days of ten instruments with these correlations, one after the other."""
    print("seed", seed)
    rng = np.random.default_rng(seed)
    parts = [
        np.sqrt(rho) * rng.normal(size=(days, 1)) + np.sqrt(1 - rho) * rng.normal(size=(days, 10))
        for days, rho in blocks
    ]
    return 0.01 * np.concatenate(parts)


@given(st.integers(2, 10), st.integers(0, 1000), st.floats(0.0, 1.0))
def test_a_blend_is_between_its_ends_and_stays_a_correlation(n: int, seed: int, weight: float):
    calm, crisis = correlation(n, seed), correlation(n, seed + 50)

    blended = blend(calm, crisis, weight, "half way")

    assert is_psd(blended.matrix)
    assert (np.diag(blended.matrix) == 1.0).all()
    np.testing.assert_allclose(blended.matrix, (1 - weight) * calm + weight * crisis, atol=1e-15)
    assert blended.distance == 0.0


def test_all_the_way_to_one_is_all_ones():
    shocked = blend_to_one(correlation(4, 1), 1.0)

    assert (shocked.matrix == 1.0).all()
    assert shocked.average_after == 1.0
    assert shocked.name == "correlations 1 of the way to 1"


def test_a_book_without_diversification_loses_the_sum_of_its_parts():
    deviations = np.array([1.0, 2.0, 3.0])

    one = blend_to_one(correlation(3, 2), 1.0).matrix

    assert np.sqrt(deviations @ one @ deviations) == pytest.approx(6.0)


def test_a_block_shock_that_is_possible_is_done_as_asked():
    shocked = block_shock(np.eye(4), [BlockShock((0, 1), (), 0.8), BlockShock((2,), (3,), -0.5)], "two pairs")

    assert shocked.distance == 0.0
    assert (shocked.matrix[0, 1], shocked.matrix[2, 3], shocked.matrix[0, 2]) == (0.8, -0.5, 0.0)
    assert (shocked.average_before, shocked.average_after) == (0.0, pytest.approx(0.05))


def test_half_a_block_shock_goes_half_the_way():
    shocked = block_shock(np.eye(2), [BlockShock((0, 1), (), 0.8, weight=0.5)], "half")

    assert shocked.matrix[0, 1] == pytest.approx(0.4)


def test_a_block_shock_that_is_impossible_is_projected_and_says_how_far():
    # 0 moves with 1 and 1 with 2, but 0 against 2: no such three instruments exist.
    shocks = [BlockShock((0,), (1,), 0.9), BlockShock((1,), (2,), 0.9), BlockShock((0,), (2,), -0.9)]

    shocked = block_shock(np.eye(3), shocks, "impossible")

    assert shocked.distance > 0.9
    assert is_psd(shocked.matrix)
    assert (np.diag(shocked.matrix) == 1.0).all()


@given(st.integers(4, 9), st.integers(0, 1000), st.floats(-1.0, 1.0))
def test_any_block_shock_ends_in_a_correlation_matrix(n: int, seed: int, value: float):
    shocked = block_shock(correlation(n, seed), [BlockShock((0, 1), (2, 3), value)], "cross")

    assert is_psd(shocked.matrix)
    assert (np.diag(shocked.matrix) == 1.0).all()


def test_the_rolling_average_is_that_of_each_window():
    returns = regime_returns((60, 0.3))

    averages = rolling_average_correlation(returns, 20)

    expected = [average_correlation(np.corrcoef(returns[i : i + 20].T)) for i in range(41)]
    np.testing.assert_allclose(averages, expected, atol=1e-12)


def test_an_instrument_that_stands_still_is_left_out_of_the_average():
    returns = regime_returns((30, 0.3))
    still = np.column_stack([returns, np.zeros(30)])

    np.testing.assert_allclose(
        rolling_average_correlation(still, 30), rolling_average_correlation(returns, 30), atol=1e-12
    )


@pytest.mark.parametrize(
    ("last", "regime"), [(0.8, Regime.CRISIS), (0.02, Regime.CALM), (0.4, Regime.NORMAL)]
)
def test_the_regime_is_where_the_last_window_lies(last: float, regime: Regime):
    history = [(150, 0.2), (150, 0.4), (150, 0.6), (150, 0.4)]

    found = correlation_regime(regime_returns(*history, (40, last)), 40, 0.1, 0.9, 200)

    assert found.regime is regime
    assert found.average == pytest.approx(last, abs=0.12)
    assert found.windows == 600
    assert found.independent == pytest.approx(15.0)
    assert found.calm_below < found.crisis_above
    if regime is Regime.CRISIS:
        assert found.quantile > 0.99


def test_equal_averages_are_normal():
    days = np.tile([[0.01, 0.02], [-0.01, 0.01], [0.0, -0.03], [0.02, 0.01]], (40, 1))

    found = correlation_regime(days, 4, 0.2, 0.8, 50)

    assert (found.regime, found.quantile) == (Regime.NORMAL, 0.5)


def test_2020_was_a_crisis_of_correlation_in_the_packaged_sample():
    content = np.load(SAMPLE)
    closes = np.column_stack([content[name] for name in content if name != "ts"])
    end = int(np.searchsorted(content["ts"], np.datetime64("2020-04-01", "ns").astype(np.int64)))
    returns = np.diff(np.log(closes[:end]), axis=0)

    before = correlation_regime(returns[-1060:-60], 60, 0.1, 0.95, 250)
    after = correlation_regime(returns[-1000:], 60, 0.1, 0.95, 250)

    assert before.regime is not Regime.CRISIS
    assert after.regime is Regime.CRISIS
    assert after.average > 0.6 > before.average


def test_bad_stress_is_an_error_with_the_numbers():
    eye = np.eye(3)
    for weight in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=r"in 0..1, found"):
            blend_to_one(eye, weight)
    with pytest.raises(ValueError, match=r"one shape, found \(3, 3\), \(2, 2\)"):
        blend(eye, np.eye(2), 0.5, "x")
    with pytest.raises(ValueError, match="found 2 to 2"):
        blend(2 * eye, eye, 0.5, "x")
    with pytest.raises(DataError, match=r"crisis correlation needs eigenvalues of at least 0, found -0.5"):
        blend(np.eye(2), np.array([[1.0, 1.5], [1.5, 1.0]]), 0.5, "x")
    for shock, match in (
        (BlockShock((0, 3), (), 0.5), r"columns in 0..2"),
        (BlockShock((0, 1), (1,), 0.5), "different columns"),
        (BlockShock((0, 1), (), 1.5), "and 1.5"),
        (BlockShock((0, 1), (), np.nan), "and nan"),
        (BlockShock((0,), (), 0.5), "at least one pair"),
        (BlockShock((0, 1), (), 0.5, weight=2.0), r"in 0..1, found 2.0"),
    ):
        with pytest.raises(ValueError, match=match):
            block_shock(eye, [shock], "x")
    with pytest.raises(ValueError, match="at least 2 instruments, found 1"):
        average_correlation(np.eye(1))


def test_bad_history_is_an_error_with_the_numbers():
    returns = regime_returns((50, 0.3))
    with pytest.raises(InsufficientHistory, match=r"needs 60 returns .* found 50"):
        correlation_regime(returns, 20, 0.1, 0.9, 40)
    with pytest.raises(ValueError, match="0 < calm < crisis < 1"):
        correlation_regime(returns, 20, 0.9, 0.1, 10)
    with pytest.raises(InsufficientHistory, match="60 days needs as many returns, found 50"):
        rolling_average_correlation(returns, 60)
    with pytest.raises(ValueError, match="window of 3 days or more"):
        rolling_average_correlation(returns, 2)
    with pytest.raises(DataError, match="found 1 NaN"):
        rolling_average_correlation(np.where(returns == returns[4, 4], np.nan, returns), 20)
    with pytest.raises(DataError, match="found 1 in days 0 to 19"):
        rolling_average_correlation(returns * ([1.0] + [0.0] * 9), 20)
