import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import norm

from firm import config
from firm.agents.signals.momentum import Momentum
from firm.agents.signals.signal_agent import MarketWindow
from firm.errors import ConfigError, UnknownInstrument
from firm.events.signals import Signal, View

SETTINGS = config.Momentum(lookback_bars=24, skip_bars=4, volatility_bars=12)


def window(**closes: npt.ArrayLike):
    matrix = np.column_stack([np.asarray(column, np.float64) for column in closes.values()])
    matrix.flags.writeable = False
    return MarketWindow(tuple(closes), np.arange(len(matrix), dtype=np.int64), matrix)


def walk(seed: int, bars: int = 40, drift: float = 0.0):
    print("seed", seed)
    return 100 * np.exp(np.cumsum(drift + 0.01 * np.random.default_rng(seed).standard_normal(bars)))


def test_a_trend_is_measured_in_the_noise_it_had_to_overcome():
    logs = [0.0, 0.10, 0.05, 0.30, 0.20]
    agent = Momentum(config.Momentum(lookback_bars=4, skip_bars=1, volatility_bars=3))

    (view,) = agent.signals(window(A=np.exp(logs)), ["A"])[0].views

    t = 0.30 / (np.std([-0.05, 0.25, -0.10], ddof=1) * math.sqrt(3))
    assert (view.instrument, view.direction) == (0, 1)
    assert view.conviction == pytest.approx(2 * norm.cdf(t) - 1, abs=1e-12)
    assert view.conviction == pytest.approx(0.6398038666, abs=1e-9)


def test_the_reason_has_the_numbers():
    logs = [0.0, 0.10, 0.05, 0.30, 0.20]
    agent = Momentum(config.Momentum(lookback_bars=4, skip_bars=1, volatility_bars=3))

    signal = agent.signals(window(A=np.exp(logs)), ["A"])[0]

    assert signal.reason == "trend +0.3000 over 3 bars, volatility 0.18930 a bar, t +0.915"


def test_what_falls_is_sold_with_the_conviction_what_rises_is_bought_with():
    rising = walk(1, drift=0.01)
    agent = Momentum(SETTINGS)

    up = agent.signals(window(A=rising), ["A"])[0].views[0]
    down = agent.signals(window(A=1 / rising), ["A"])[0].views[0]

    assert (up.direction, down.direction) == (1, -1)
    assert up.conviction == pytest.approx(down.conviction, rel=1e-9)
    assert 0.5 < up.conviction <= 1


def test_a_price_that_is_back_where_it_was_is_flat():
    closes = [100.0, 110.0] * 20 + [100.0]

    signal = Momentum(SETTINGS).signals(window(A=closes), ["A"])[0]

    assert signal.views == (View(0, 0, 0.0),)


def test_the_last_bars_do_not_count_for_the_trend():
    closes = walk(2, drift=0.01)
    crashed = np.append(closes[:-4], closes[-4:] / 2)

    assert Momentum(SETTINGS).signals(window(A=crashed), ["A"])[0].views[0].direction == 1


def test_one_bar_less_than_needed_says_so_instead_of_guessing():
    agent = Momentum(SETTINGS)

    assert agent.signals(window(A=walk(3, bars=25)), ["A"])[0].views
    assert agent.signals(window(A=walk(3, bars=24)), ["A"])[0] == Signal(
        "momentum", "A", (), 2, "needs 25 closes in a row, found 24 usable"
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_a_close_that_is_not_a_price_is_a_reason_not_a_crash(bad: float):
    closes = walk(4)
    closes[-20] = bad

    signal = Momentum(SETTINGS).signals(window(A=closes), ["A"])[0]

    assert (signal.views, signal.reason) == ((), "needs 25 closes in a row, found 24 usable")


def test_a_hole_before_the_window_does_not_matter():
    closes = walk(5)
    closes[:15] = math.nan

    assert Momentum(SETTINGS).signals(window(A=closes), ["A"])[0].views


def test_a_price_that_does_not_move_has_no_noise_to_measure_by():
    signal = Momentum(SETTINGS).signals(window(A=np.full(40, 100.0)), ["A"])[0]

    assert (signal.views, signal.reason) == ((), "the last 12 returns do not vary, volatility 0")


def test_the_opinion_on_one_symbol_does_not_depend_on_what_else_is_in_the_window():
    a, b = walk(6), walk(7)
    agent = Momentum(SETTINGS)

    alone, together = (agent.signals(window(A=a, **more), ["A"])[0] for more in ({}, {"B": b}))
    longer = agent.signals(window(A=np.append(walk(8), a)), ["A"])[0]

    assert alone == together == longer
    assert agent.signals(window(B=b, A=a), ["A"])[0].views[0].instrument == 1


def test_every_symbol_is_a_unit_and_the_view_lasts_a_twelfth_of_the_lookback():
    agent = Momentum(config.Momentum(lookback_bars=252, skip_bars=21, volatility_bars=60))

    assert agent.units(["A", "B"]) == ("A", "B")
    assert agent.signals(window(A=walk(9, bars=300)), ["A"])[0].horizon_bars == 21


def test_a_symbol_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UnknownInstrument, match="asked about 'Z'; the window has A, B"):
        Momentum(SETTINGS).signals(window(A=walk(10), B=walk(11)), ["Z"])[0]


@pytest.mark.parametrize(("skip", "volatility"), [(24, 12), (4, 1)])
def test_parameters_that_leave_nothing_to_measure_are_refused(skip: int, volatility: int):
    with pytest.raises(
        ConfigError, match=f"found skip_bars {skip}, lookback_bars 24, volatility_bars {volatility}"
    ):
        Momentum(config.Momentum(lookback_bars=24, skip_bars=skip, volatility_bars=volatility))
