import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.stattools import adfuller, coint

from firm import config
from firm.agents.signals.cointegration import Spreads, adf, fit_spreads, half_life
from firm.agents.signals.signal_agent import MarketWindow
from firm.agents.signals.stat_arb import StatArb
from firm.errors import ConfigError, UnknownInstrument
from firm.events.signals import Signal

BARS = 250
Vector = npt.NDArray[np.float64]


def setup(**changes: object):
    values = {
        "pairs": "all",
        "lookback_bars": BARS,
        "adf_lags": 1,
        "adf_critical": -3.9,
        "entry_z": 1.0,
        "full_z": 2.0,
    }
    return config.StatArb.model_validate(values | changes)


def window(**closes: npt.ArrayLike):
    matrix = np.column_stack([np.asarray(column, np.float64) for column in closes.values()])
    matrix.flags.writeable = False
    return MarketWindow(tuple(closes), np.arange(len(matrix), dtype=np.int64), matrix)


def tied(seed: int, hedge: float = 1.0, last: float = 0.0, pull: float = 0.5, bars: int = BARS):
    """Log prices of two legs: `b` wanders, `a` follows `hedge * b` with noise that ends at about `last`."""
    print("seed", seed)
    draws = np.random.default_rng(seed).standard_normal((2, bars))
    b = 4 + np.cumsum(0.02 * draws[0])
    noise = np.zeros(bars)
    for i in range(1, bars):
        noise[i] = (1 - pull) * noise[i - 1] + 0.01 * draws[1, i]
    noise[-1] = last
    return 1 + hedge * b + noise, b


def spread_of(a: Vector, b: Vector) -> Spreads:
    return fit_spreads(a[None], b[None])


def opinion(a: Vector, b: Vector, **changes: object):
    return StatArb(setup(**changes)).signals(window(A=np.exp(a), B=np.exp(b)), ["A/B"])[0]


@pytest.mark.filterwarnings("ignore:adfuller currently returns:FutureWarning")
@pytest.mark.parametrize("lags", [0, 1, 2, 5])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_adf_statistic_is_the_one_of_statsmodels(lags: int, seed: int):
    print("seed", seed)
    series = np.cumsum(np.random.default_rng(seed).standard_normal(BARS))

    pull = adf(series[None], lags)

    assert pull.exists.all()
    assert pull.t[0] == pytest.approx(
        adfuller(series, maxlag=lags, autolag=None, regression="n")[0], abs=1e-8
    )


@pytest.mark.parametrize("lags", [0, 1, 4])
@pytest.mark.parametrize("hedge", [0.3, 1.0, 2.5])
def test_the_two_step_test_is_the_one_of_statsmodels(lags: int, hedge: float):
    a, b = tied(4, hedge)

    spread = spread_of(a, b)

    assert spread.exists.all()
    pull = adf(spread.residual, lags)
    assert pull.exists.all()
    assert pull.t[0] == pytest.approx(coint(a, b, trend="c", maxlag=lags, autolag=None)[0], abs=1e-8)


def test_the_hedge_ratio_and_the_residual_are_those_of_least_squares():
    a, b = tied(5, hedge=0.7)
    design = np.column_stack([b, np.ones(BARS)])
    (slope, constant), (squares,) = np.linalg.lstsq(design, a)[:2]

    spread = spread_of(a, b)

    assert spread.exists.all()
    assert spread.hedge[0] == pytest.approx(slope, abs=1e-12)
    assert spread.residual[0] == pytest.approx(a - slope * b - constant, abs=1e-12)
    assert spread.deviation[0] == pytest.approx(math.sqrt(squares / (BARS - 2)), rel=1e-10)


def test_a_half_life_is_told_from_the_pull():
    assert half_life(-0.1) == pytest.approx(6.5788134)
    assert half_life(-0.5) == 1.0
    assert half_life(-1.2) == 1.0
    with pytest.raises(AssertionError, match="no half-life"):
        half_life(0.1)


@pytest.mark.parametrize(("last", "direction"), [(0.2, -1), (-0.2, 1)])
def test_the_dear_leg_is_sold_and_the_cheap_one_bought(last: float, direction: int):
    first, second = opinion(*tied(6, last=last)).views

    assert (first.instrument, first.direction) == (0, direction)
    assert (second.instrument, second.direction) == (1, -direction)


@pytest.mark.parametrize("hedge", [0.4, 2.5])
def test_the_legs_stand_in_the_hedge_ratio_and_the_bigger_has_the_full_conviction(hedge: float):
    a, b = tied(7, hedge, last=0.2)
    spread = spread_of(a, b)
    assert spread.exists.all()

    first, second = opinion(a, b).views

    assert second.conviction / first.conviction == pytest.approx(spread.hedge[0], rel=1e-12)
    assert max(first.conviction, second.conviction) == 1.0


def test_conviction_rises_from_entry_to_full():
    a, b = tied(8, hedge=0.9, last=0.02)
    spread = spread_of(a, b)
    assert spread.exists.all()
    z = float(spread.residual[0, -1] / spread.deviation[0])
    assert 1 < z < 2

    signal = opinion(a, b)

    assert signal.views[0].conviction == pytest.approx(z - 1, rel=1e-12)
    assert opinion(a, b, full_z=1 + 4 * (z - 1)).views[0].conviction == pytest.approx(0.25, rel=1e-9)
    assert signal.reason.startswith(f"z {z:+.3f}, hedge {spread.hedge[0]:.4f}, ADF ")


def test_inside_the_band_it_answers_without_a_view():
    signal = opinion(*tied(9, last=0.001))

    assert signal.views == ()
    assert signal.reason.startswith("inside band of 1.0: z ")


def test_two_walks_that_have_nothing_to_do_with_each_other_get_no_view():
    print("seed", 12)
    a, own = np.cumsum(0.01 * np.random.default_rng(12).standard_normal((2, BARS)), axis=1)
    b = own + 0.5 * a

    signal = opinion(a, b)

    assert signal.views == ()
    statistic = coint(a, b, trend="c", maxlag=1, autolag=None)[0]
    assert signal.reason == f"not cointegrated: ADF {statistic:+.3f}, needed below -3.9"


def test_prices_that_mirror_each_other_are_not_a_pair_to_hold():
    a, b = tied(10, hedge=-1.0, last=0.2)

    signal = opinion(a, b)

    assert signal.views == ()
    assert signal.reason.startswith("hedge ratio -1.")
    assert signal.reason.endswith("is not positive: not a pair to hold")


@pytest.mark.parametrize("which", ["still first", "still second", "the same"])
def test_legs_without_a_spread_get_a_reason(which: str):
    a, b = tied(11)
    still = np.full(BARS, 3.0)
    legs = {"still first": (still, b), "still second": (a, still), "the same": (a, a + 0.1)}

    signal = opinion(*legs[which])

    assert signal.reason == f"a leg did not move in {BARS} bars, or both are one price: no spread"
    assert signal.views == ()


def test_a_residual_without_noise_has_no_statistic():
    assert not adf((np.zeros(50))[None], 1).exists
    assert not adf((0.5 ** np.arange(50.0))[None], 1).exists
    assert not adf((np.array([1.0, -1.0] * 20))[None], 0).exists


def test_a_spread_that_alternates_exactly_has_no_statistic_and_so_no_view():
    b = 4 + np.repeat([0.0, 1.0, 0.0, 1.0], 2)[np.arange(BARS) % 8]
    a = b + 0.01 * np.array([1.0, -1.0])[np.arange(BARS) % 2]

    signal = opinion(a, b, adf_lags=0)

    assert signal.views == ()
    assert signal.reason == "not cointegrated: ADF undefined, needed below -3.9"


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -5.0])
@pytest.mark.parametrize("leg", ["A", "B"])
def test_a_close_that_is_not_a_price_is_a_reason_not_a_crash(bad: float, leg: str):
    a, b = tied(13)
    closes = {"A": np.exp(a), "B": np.exp(b)}
    closes[leg][100] = bad

    signal = StatArb(setup()).signals(window(**closes), ["A/B"])[0]

    assert signal == Signal("stat_arb", "A/B", (), 1, "needs 250 closes in a row of both, found 249 usable")


def test_too_short_a_history_is_a_reason():
    a, b = tied(14, bars=249)

    assert opinion(a, b).reason == "needs 250 closes in a row of both, found 249 usable"


def test_the_opinion_on_a_pair_does_not_depend_on_what_else_is_asked_or_known():
    a, b = (np.exp(leg) for leg in tied(15, last=0.2))
    agent = StatArb(setup())
    alone = agent.signals(window(A=a, B=b), ["A/B"])[0]

    crowded = window(A=a, B=b, C=b + 1, D=a + 1)
    agent.signals(crowded, ["C/D"])
    older = np.full(30, 77.0)
    longer = window(A=np.append(older, a), B=np.append(older, b))

    assert alone.views
    assert agent.signals(crowded, ["A/B"])[0] == alone
    assert agent.signals(crowded, ["C/D", "A/B", "A/C"])[1] == alone
    assert agent.signals(longer, ["A/B"])[0] == alone


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.1, 4), st.floats(-0.3, 0.3), st.integers(0, 3))
def test_convictions_are_between_nothing_and_everything_and_the_legs_are_opposed(
    seed: int, hedge: float, last: float, lags: int
):
    signal = opinion(*tied(seed, hedge, last), adf_lags=lags)

    assert len(signal.views) in (0, 2)
    assert signal.reason
    assert signal.horizon_bars >= 1
    assert all(0 <= view.conviction <= 1 for view in signal.views)
    assert sum(view.direction for view in signal.views) == 0


def test_all_means_every_pair_once_in_the_order_of_the_universe():
    assert StatArb(setup()).units(["B", "A", "C"]) == ("B/A", "B/C", "A/C")
    assert len(StatArb(setup()).units([f"S{i}" for i in range(20)])) == 190


def test_listed_pairs_are_the_units_and_a_stranger_is_refused_with_what_exists():
    agent = StatArb(setup(pairs=("KO/PEP", "CVX/XOM")))

    assert agent.units(["CVX", "KO", "PEP", "XOM"]) == ("KO/PEP", "CVX/XOM")
    with pytest.raises(UnknownInstrument, match="found no 'XOM'; there are CVX, KO, PEP"):
        agent.units(["CVX", "KO", "PEP"])


@pytest.mark.parametrize("pairs", [("KO",), ("KO/",), ("/KO",), ("KO/KO",), ("KO/PEP", "KO/PEP")])
def test_what_is_not_a_pair_is_refused(pairs: tuple[str, ...]):
    with pytest.raises(ConfigError, match=f"found '{pairs[0]}' in"):
        StatArb(setup(pairs=pairs))


@pytest.mark.parametrize("changes", [{"full_z": 1.0}, {"lookback_bars": 13, "adf_lags": 2}])
def test_parameters_that_leave_nothing_to_decide_are_refused(changes: object):
    with pytest.raises(ConfigError, match="stat_arb needs full_z above entry_z"):
        StatArb(setup(**changes))
