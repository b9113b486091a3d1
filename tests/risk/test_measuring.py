"""What a decision measures with: figures of one unit of everything that has a value, zero for the rest."""

import numpy as np
import pytest
from contracts_of import NOW, closes, ns, option, settings, share

from firm import config
from firm.domain.instrument import Instrument
from firm.risk.measures import Measures
from firm.risk.measuring import Measurer
from firm.risk_kernels.black_scholes import european_value

RATE = 0.03
KO, XOM, PEP = share(0, "KO"), share(1, "XOM"), share(2, "PEP")
CALL = option(3, 1, "100")
EVERYTHING = [60.0, 100.0, 180.0, 9.5]


def measured(
    universe: tuple[Instrument, ...] = (KO, XOM, PEP, CALL),
    prices: list[float] = EVERYTHING,
    at: int = NOW,
    holes: tuple[int, ...] = (),
    conf: config.Settings | None = None,
) -> Measures:
    conf = conf or settings()
    measurer = Measurer(conf.risk, conf.universe.reference)
    measurer.resolve(universe)
    past = closes([price or 1.0 for price in prices])
    for hole in holes:
        past[:100, hole] = np.nan
    found = measurer.measures(at, np.array(prices), past)
    assert isinstance(found, Measures), found
    return found


def test_too_short_a_history_is_a_reason_and_no_measures():
    conf = settings()
    measurer = Measurer(conf.risk, conf.universe.reference)
    measurer.resolve((KO, XOM))

    found = measurer.measures(NOW, np.array([60.0, 100.0]), closes([60.0, 100.0], bars=250))

    assert found == "VaR needs 250 returns, found 249"


def test_whoever_has_no_price_or_too_few_returns_is_a_row_of_zeros():
    for prices, holes in (([0.0, 100.0, 180.0, 9.5], ()), (EVERYTHING, (0,))):
        found = measured(prices=prices, holes=holes)

        assert found.valued.tolist() == [False, True, True, True]
        assert found.contracts["unit"][0] == found.contracts["price"][0] == 0.0
        assert found.contracts["factor"].tolist() == [0, 1, 2, 1]
        assert found.deltas[0] == found.gammas[0] == found.vegas[0] == 0.0
        assert np.isnan(found.unit_stress[:, 0]).all()
        assert np.isfinite(found.unit_stress[:, 1:]).all()
        assert found.historical.at(np.array([1e6, 0.0, 0.0, 0.0])).measure().var == 0.0


def test_an_option_is_measured_by_the_returns_of_its_underlying_alone():
    without_its_own = measured(holes=(3,))
    without_its_underlyings = measured(holes=(1,))

    assert without_its_own.valued.tolist() == [True] * 4
    assert without_its_underlyings.valued.tolist() == [True, False, True, False]
    assert without_its_underlyings.deltas[3] == 0.0


def test_the_greeks_of_one_unit_are_money():
    found = measured()
    row = found.contracts[3]
    years = row["years"] + 1 / 252

    def value(spot: float, volatility: float) -> float:
        return float(european_value(spot, 100.0, years, volatility, RATE, 0.0, 1.0))

    h, vol = 0.01, float(row["volatility"])
    up, here, down = (value(100.0 + step, vol) for step in (h, 0.0, -h))
    assert here == pytest.approx(9.5, rel=1e-12)
    assert found.deltas.tolist()[:3] == [60.0, 100.0, 180.0]
    assert found.deltas[3] == pytest.approx(100 * 100 * (up - down) / (2 * h), rel=1e-6)
    assert found.gammas[:3].tolist() == [0.0] * 3
    assert found.gammas[3] == pytest.approx(100 * 100**2 * (up - 2 * here + down) / h**2 / 100, rel=1e-4)
    assert found.vegas[3] == pytest.approx(
        100 * (value(100.0, vol + 1e-5) - value(100.0, vol - 1e-5)) / 2e-5 * 0.01, rel=1e-6
    )


def test_an_option_that_expires_within_the_horizon_shows_the_gamma_it_has_now():
    found = measured(prices=[60.0, 100.0, 180.0, 0.3], at=ns("2023-06-16T18:00:00"))

    assert found.contracts["years"][3] == 0.0
    assert found.deltas[3] == pytest.approx(100 * 100 / 2, rel=0.02)
    assert found.gammas[3] > 1000


def test_the_past_revalues_options_in_full():
    found = measured()
    row, book = found.contracts[3], found.historical.at(np.array([0.0, 0.0, 0.0, -2.0]))
    moved = 100.0 * np.exp(found.history.returns[:, 1])
    fields = (row[name] for name in ("strike", "years", "volatility", "rate", "carry", "sign"))

    expected = -2.0 * 100.0 * (european_value(moved, *fields) - 9.5)

    np.testing.assert_allclose(book.pnl, expected, atol=1e-6)


def test_what_the_stress_does_not_map_is_named_and_costs_no_number():
    conf = settings("universe.reference={KO: {sector: Consumer Staples, average_daily_volume: 1e6}}")
    found = measured((KO, XOM), [60.0, 100.0], conf=conf)

    assert found.unmapped is not None
    assert "sector of XOM" in found.unmapped
    assert np.isfinite(found.unit_stress[:, 0]).all()
    assert np.isnan(found.unit_stress[:, 1]).all()
    assert measured().unmapped is None


def test_nothing_is_unmapped_as_long_as_it_has_no_value_either():
    conf = settings("universe.reference={KO: {sector: Consumer Staples, average_daily_volume: 1e6}}")

    assert measured((KO, XOM), [60.0, 0.0], conf=conf).unmapped is None
