import numpy as np
import pytest
from numpy.typing import NDArray

from firm.config import Var
from firm.risk.history import ReturnHistory, return_history
from firm.risk.var_calculator import historical_var, parametric_var

SEED = 20260101


def var(**changes: float) -> Var:
    content = {
        "confidence": 0.99,
        "horizon_bars": 1,
        "history_bars": 300,
        "min_history_bars": 250,
        "factors": 2,
        "scenarios": 192,
        "degrees_of_freedom": 6,
        "seed": 1,
        "run_timeout_ms": 1000,
    }
    return Var(**{**content, **changes})


def closes(bars: int = 301, n: int = 3) -> NDArray[np.float64]:
    steps = np.random.default_rng(SEED).normal(0, [0.01, 0.02, 0.03][:n], (bars, n))
    return 100 * np.exp(np.cumsum(steps, axis=0))


def known(history: ReturnHistory | str) -> ReturnHistory:
    assert not isinstance(history, str), history
    return history


def test_enough_returns_make_a_history_and_one_less_does_not():
    assert known(return_history(closes(251), var())).simple.shape == (250, 3)
    assert return_history(closes(250), var()) == "VaR needs 250 returns, found 249"
    assert return_history(np.empty((0, 3)), var()) == "VaR needs 250 returns, found 0"


def test_the_tail_and_the_factors_raise_what_is_enough():
    assert return_history(closes(101), var(min_history_bars=1)).simple.shape == (100, 3)
    assert return_history(closes(100), var(min_history_bars=1)) == "VaR needs 100 returns, found 99"
    short = var(min_history_bars=1, confidence=0.9)
    assert return_history(closes(30), short) == "VaR needs 30 returns, found 29"


def test_only_the_last_bars_count():
    history = known(return_history(closes(400), var()))

    expected = closes(400)[-300:] / closes(400)[-301:-1] - 1
    np.testing.assert_allclose(history.simple, expected, atol=1e-15)


def test_var_of_a_book_is_that_of_the_returns_and_the_covariance():
    history = known(return_history(closes(), var()))
    exposures = np.array([1000.0, -500.0, 200.0])
    pnl = history.simple @ exposures

    assert history.historical(exposures).var == pytest.approx(historical_var(pnl, 0.99).var)
    expected = parametric_var(np.cov(history.simple.T), exposures, 0.99)
    assert history.parametric(exposures).var == pytest.approx(expected.var)
    assert history.parametric(exposures).es == pytest.approx(expected.es)


def test_longer_horizons_scale_with_the_root_of_time():
    one, four = (known(return_history(closes(), var(horizon_bars=h))) for h in (1, 4))
    exposures = np.array([1000.0, -500.0, 200.0])

    assert four.historical(exposures).var == pytest.approx(2 * one.historical(exposures).var)
    assert four.parametric(exposures).var == pytest.approx(2 * one.parametric(exposures).var)
    assert four.position_var(1, 100.0) == pytest.approx(2 * one.position_var(1, 100.0))
    np.testing.assert_allclose(four.loadings()[0], 2 * one.loadings()[0])


def test_the_var_of_a_position_is_the_larger_of_both_methods_on_its_own_side():
    history = known(return_history(closes(), var()))
    for instrument in range(3):
        for value in (1000.0, -1000.0):
            exposures = np.zeros(3)
            exposures[instrument] = value
            expected = max(history.historical(exposures).var, history.parametric(exposures).var)
            assert history.position_var(instrument, value) == pytest.approx(expected)


def test_an_instrument_without_enough_returns_is_left_out_and_the_others_are_measured():
    holes = closes()
    holes[:60, 1] = np.nan
    history = known(return_history(holes, var()))

    assert history.measured.tolist() == [True, False, True]
    assert history.simple.shape == (300, 2)
    loadings, idiosyncratic = history.loadings()
    assert (loadings[1] == 0).all()
    assert idiosyncratic[1] == 0
    assert history.historical(np.array([10.0, 0.0, 10.0])).var > 0
    assert history.position_var(2, 100.0) > history.position_var(0, 100.0) > 0


def test_bars_in_which_one_instrument_has_no_return_are_left_out_for_all():
    holes = closes()
    holes[100, 1] = np.nan

    assert known(return_history(holes, var())).simple.shape == (298, 3)


def test_too_few_common_bars_are_no_history():
    holes = closes()
    for instrument in range(3):
        holes[instrument * 25 : instrument * 25 + 25, instrument] = np.nan

    assert return_history(holes, var()) == (
        "VaR needs 250 bars with a return of every instrument, found 225 for 3 of 3 instruments that can be "
        "measured"
    )


def test_a_price_that_never_moves_is_stale_and_not_measured():
    stale = closes()
    stale[:, 1] = 100.0

    assert known(return_history(stale, var())).measured.tolist() == [True, False, True]
    assert isinstance(return_history(np.full((301, 3), 100.0), var()), str)


def test_there_are_never_more_factors_than_instruments():
    assert known(return_history(closes(), var(factors=5))).loadings()[0].shape == (3, 3)
