"""The past as risk sees it: which returns count, who can be measured, and the law that comes of them."""

import numpy as np
import pytest
from contracts_of import settings
from numpy.typing import NDArray

from firm.risk.factor_model import covariance_matrix, factor_model
from firm.risk.history import ReturnHistory, return_history

SEED = 20260101


def closes(bars: int = 301, n: int = 3) -> NDArray[np.float64]:
    steps = np.random.default_rng(SEED).normal(0, [0.01, 0.02, 0.03][:n], (bars, n))
    return 100 * np.exp(np.cumsum(steps, axis=0))


def history(past: NDArray[np.float64], *overrides: str) -> ReturnHistory | str:
    risk = settings("risk.var.factors=2", *overrides).risk
    return return_history(past, risk.var, risk.correlation)


def known(past: NDArray[np.float64], *overrides: str) -> ReturnHistory:
    found = history(past, *overrides)
    assert not isinstance(found, str), found
    return found


def correlations(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each pair."""
    deviations = np.sqrt(np.diag(covariance))
    return (covariance / np.outer(deviations, deviations))[np.triu_indices(len(covariance), 1)]


def test_enough_returns_make_a_history_and_one_less_does_not():
    assert known(closes(251)).returns.shape == (250, 3)
    assert history(closes(250)) == "VaR needs 250 returns, found 249"
    assert history(np.empty((0, 3))) == "VaR needs 250 returns, found 0"


def test_the_tail_and_the_covariance_raise_what_is_enough():
    least = "risk.var.min_history_bars=1"
    assert known(closes(101), least).returns.shape == (100, 3)
    assert history(closes(100), least) == "VaR needs 100 returns, found 99"
    wide = (least, "risk.var.confidence=0.9", "risk.var.es_confidence=0.9")
    assert history(closes(30), *wide) == "VaR needs 30 returns, found 29"


def test_only_the_last_bars_count():
    found = known(closes(400))

    np.testing.assert_allclose(found.returns, np.diff(np.log(closes(400)[-301:]), axis=0), atol=1e-15)


def test_the_law_is_estimated_from_the_returns():
    found = known(closes(), "risk.correlation.method=sample")
    model = factor_model(found.returns, 2)

    np.testing.assert_allclose(found.covariance, covariance_matrix(found.returns), rtol=1e-9)
    np.testing.assert_array_equal(found.loadings, model.loadings)
    np.testing.assert_array_equal(found.idiosyncratic, model.idiosyncratic)


def test_correlations_are_estimated_as_configured_and_volatilities_are_kept():
    sample, shrunk = (
        known(closes(), f"risk.correlation.method={method}").covariance
        for method in ("sample", "'ledoit-wolf, constant correlation'")
    )

    np.testing.assert_allclose(np.diag(shrunk), np.diag(sample), rtol=0.01)
    assert np.ptp(correlations(shrunk)) < np.ptp(correlations(sample))


def test_the_law_grows_with_the_horizon_and_the_returns_stay_those_of_a_bar():
    one, four = known(closes()), known(closes(), "risk.var.horizon_bars=4")

    np.testing.assert_array_equal(four.returns, one.returns)
    np.testing.assert_allclose(four.covariance, 4 * one.covariance)
    np.testing.assert_allclose(four.loadings, 2 * one.loadings)
    np.testing.assert_allclose(four.idiosyncratic, 2 * one.idiosyncratic)


def test_an_instrument_without_enough_returns_is_zero_everywhere_and_the_others_are_measured():
    holes = closes()
    holes[:60, 1] = np.nan
    found = known(holes)

    assert found.measured.tolist() == [True, False, True]
    assert found.returns.shape == (300, 3)
    assert not found.returns[:, 1].any()
    assert not found.covariance[1].any()
    assert not found.covariance[:, 1].any()
    assert not found.loadings[1].any()
    assert found.idiosyncratic[1] == 0
    assert found.covariance[2, 2] > found.covariance[0, 0] > 0
    assert found.correlation is not None
    assert found.correlation.matrix.shape == (2, 2)


def test_bars_in_which_one_instrument_has_no_return_are_left_out_for_all():
    holes = closes()
    holes[100, 1] = np.nan

    assert known(holes).returns.shape == (298, 3)


def test_too_few_common_bars_are_no_history():
    holes = closes()
    for instrument in range(3):
        holes[instrument * 25 : instrument * 25 + 25, instrument] = np.nan

    assert history(holes) == (
        "VaR needs 250 bars with a return of every instrument, found 225 for 3 of 3 instruments that can be "
        "measured"
    )


def test_a_price_that_never_moves_is_stale_and_not_measured():
    stale = closes()
    stale[:, 1] = 100.0

    assert known(stale).measured.tolist() == [True, False, True]
    assert isinstance(history(np.full((301, 3), 100.0)), str)


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.inf])
def test_a_price_that_is_no_price_makes_no_return(wrong: float):
    bad = closes()
    bad[:60, 1] = wrong

    with np.errstate(divide="raise", invalid="raise"):
        assert known(bad).measured.tolist() == [True, False, True]


def test_one_instrument_alone_has_a_variance_and_no_correlation():
    found = known(closes(n=1))

    assert found.correlation is None
    np.testing.assert_allclose(found.covariance, covariance_matrix(found.returns))
    assert found.loadings.shape == (1, 1)


def test_there_are_never_more_factors_than_instruments():
    assert known(closes(), "risk.var.factors=5").loadings.shape == (3, 3)
