"""What Risk says of a book: every method's figures, parts that add up, and what is not known."""

from decimal import Decimal

import numpy as np
import pytest
from contracts_of import NOW, closes, option, settings, share

from firm import config
from firm.events.risk import BookMarked, RiskMeasured, RiskRunCompleted
from firm.risk.book import Book
from firm.risk.measures import Measures
from firm.risk.measuring import Measurer
from firm.risk.parametric import parametric_var
from firm.risk.reporting import risk_report

UNIVERSE = share(0, "KO"), share(1, "XOM"), share(2, "PEP"), option(3, 1, "100")
PRICES = [60.0, 100.0, 180.0, 9.5]
LONG = (1000, 500, 300, 4)
RUN = RiskRunCompleted(
    7, 1920, 2500.0, 2600.0, 9000.0, (("mild", 100.0), ("crash", 30_000.0), ("boom", -5.0))
)


def book(quantities: tuple[int, ...], conf: config.Settings, count: int = 4) -> Book:
    measurer = Measurer(conf.risk, conf.universe.reference)
    measurer.resolve(UNIVERSE[:count])
    measures = measurer.measures(NOW, np.array(PRICES[:count]), closes(PRICES[:count]))
    assert isinstance(measures, Measures)
    zero, held = Decimal(0), tuple(Decimal(quantity) for quantity in quantities)
    prices = tuple(Decimal(str(price)) for price in PRICES[:count])
    mark = BookMarked(zero, Decimal(10**6), zero, zero, zero, zero, zero, held, prices)
    return Book(UNIVERSE[:count], held=dict(enumerate(held)), mark=mark, measures=measures)


def report(
    quantities: tuple[int, ...] = LONG, *overrides: str, unknown: tuple[str, ...] = ()
) -> tuple[RiskMeasured, Book]:
    conf = settings(*overrides)
    held = book(quantities, conf, len(quantities))
    return risk_report(held, RUN, conf.risk, unknown), held


def test_the_components_add_up_to_the_parametric_var():
    for quantities in (LONG, (1000, -500, -300, 4), (0, 0, 0, -9)):
        said, _ = report(quantities)
        assert sum(part for _, part in said.components) == pytest.approx(said.parametric_var, rel=1e-12)


def test_an_option_is_a_part_of_its_underlyings_component():
    assert [factor for factor, _ in report((0, 0, 0, 4))[0].components] == [1]
    assert [factor for factor, _ in report((1000, 0, 0, 4))[0].components] == [0, 1]


def test_a_hedge_has_a_negative_component():
    parts = dict(report((1000, 0, -10, 0))[0].components)
    assert parts[0] > 0 > parts[2]


def test_the_run_is_reported_as_it_came_with_its_worst_scenario():
    said, _ = report()

    assert (said.monte_carlo_var, said.monte_carlo_es) == (2500.0, 2600.0)
    assert (said.worst_stress, said.worst_stress_loss) == ("crash", 30_000.0)
    assert (said.confidence, said.es_confidence) == (0.99, 0.975)


def test_the_figures_of_each_method_are_those_of_its_definition():
    said, held = report()
    assert held.measures is not None
    past = np.sort(-held.measures.historical.at(np.array(LONG, float)).pnl)[::-1]
    exposures = np.array([60_000.0, 50_000.0 + 4 * held.measures.deltas[3], 54_000.0, 0.0])
    covariance = held.measures.history.covariance

    assert said.historical_var == pytest.approx(past[3], rel=1e-12), "1 % of 300 days: the fourth worst"
    expected = (past[:7].sum() + 0.5 * past[7]) / 7.5
    assert said.historical_es == pytest.approx(expected, rel=1e-12), "the mean of 2.5 %: 7.5 days"
    assert said.parametric_var == pytest.approx(parametric_var(covariance, exposures, 0.99).var)
    assert said.parametric_es == pytest.approx(parametric_var(covariance, exposures, 0.975).es)
    assert said.delta == pytest.approx(exposures.sum())
    assert said.gamma == pytest.approx(4 * held.measures.gammas[3])
    assert said.vega == pytest.approx(4 * held.measures.vegas[3])


def test_a_longer_horizon_scales_the_past_with_the_root_of_time():
    one, _ = report((1000, 500, 300))
    four, _ = report((1000, 500, 300), "risk.var.horizon_bars=4")

    assert four.historical_var == pytest.approx(2 * one.historical_var)
    assert four.historical_es == pytest.approx(2 * one.historical_es)
    assert four.parametric_var == pytest.approx(2 * one.parametric_var)
    assert four.stressed_var == pytest.approx(2 * one.stressed_var)


def test_a_long_book_loses_more_when_correlations_go_to_one_and_a_hedged_one_less():
    for quantities, larger in (((1000, 500, 300), True), ((1000, -600, 0), False)):
        said, _ = report(quantities, "risk.correlation.crisis_blend=0.9")
        assert (said.stressed_var > said.parametric_var) is larger


def test_at_correlation_one_a_long_book_is_the_sum_of_its_positions():
    said, held = report((1000, 500, 300), "risk.correlation.crisis_blend=1.0")
    assert held.measures is not None
    alone = [report(tuple(q if i == j else 0 for j, q in enumerate((1000, 500, 300))))[0] for i in range(3)]

    assert said.stressed_var == pytest.approx(sum(one.parametric_var for one in alone), rel=1e-6)


def test_the_regime_is_told_and_so_is_why_there_is_none():
    known, _ = report((1000, 500, 300))
    young, _ = report((1000, 500, 300), "risk.correlation.regime_windows_min=290")
    alone, _ = report((1000,))

    assert known.regime in ("calm", "normal", "crisis")
    assert 0.2 < known.average_correlation < 0.8
    assert young.regime.startswith("unknown: a regime needs")
    assert young.average_correlation == 0.0
    assert alone.regime == "unknown: one instrument has no correlation"
    assert alone.stressed_var == alone.parametric_var


def test_an_empty_book_has_no_risk_and_no_components():
    said, _ = report((0, 0, 0, 0))

    assert said.components == ()
    assert (said.historical_var, said.historical_es, said.parametric_var, said.stressed_var) == (0, 0, 0, 0)
    assert (said.delta, said.gamma, said.vega) == (0, 0, 0)


def test_what_the_limits_lack_is_passed_on():
    assert report(unknown=("margin: nothing reported",))[0].unknown == ("margin: nothing reported",)
