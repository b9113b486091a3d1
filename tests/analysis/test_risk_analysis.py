import json

import numpy as np
import pytest
from studied import NOW, Log, log_with_options, settings, shares

from firm.analysis.analysis import BookRisk, Question, RiskAnalysis, analyse
from firm.analysis.book import MeasuredBook, last_book
from firm.analysis.methods import Method
from firm.analysis.unknown import Unknown
from firm.risk.measure import VarEs
from firm.risk.parametric import normal_var, parametric_var, student_var
from firm.risk.stress_tester import CompiledStress
from firm.risk.var_calculator import age_weighted_var, delta_gamma, delta_gamma_var, historical_var
from firm.risk_kernels.montecarlo import pnl_from_returns
from firm.roster import recorded_settings


def book_of(log: Log) -> MeasuredBook:
    book = last_book(log.store, recorded_settings(log.store)[1])
    assert isinstance(book, MeasuredBook)
    return book


def risk_of(analysis: RiskAnalysis) -> BookRisk:
    assert isinstance(analysis.risk, BookRisk), analysis.risk
    return analysis.risk


def figures(methods: tuple[Method, ...], name: str) -> VarEs:
    found = next(method.figures for method in methods if method.name == name)
    assert isinstance(found, VarEs), found
    return found


@pytest.fixture(scope="module")
def log() -> Log:
    return log_with_options()


@pytest.fixture(scope="module")
def analysis(log: Log) -> RiskAnalysis:
    return analyse(log.store, Question(horizon_days=5, free_margin=2_000.0))


def test_the_book_is_rebuilt_with_the_very_inputs_of_the_recorded_run(log: Log):
    book = book_of(log)

    assert book.as_requested
    assert book.at == NOW
    assert book.quantities.tolist() == [500, -400, 0, -10]
    assert book.account is not None
    assert book.account.maintenance == 200_000


def test_past_days_are_the_whole_book_revalued_in_each_of_them(log: Log, analysis: RiskAnalysis):
    book = book_of(log)
    history = book.measures.history.returns
    past = pnl_from_returns(np.ascontiguousarray(history.T), book.measures.contracts, book.quantities)
    methods = risk_of(analysis).methods

    assert figures(methods, "historical").var == pytest.approx(historical_var(past, 0.99).var, rel=1e-12)
    assert figures(methods, "historical").es == pytest.approx(historical_var(past, 0.975).es, rel=1e-12)
    by_age = age_weighted_var(past, 0.99, 0.995)
    assert figures(methods, "historical, by age").var == pytest.approx(by_age.var, rel=1e-12)


def test_distributions_are_those_of_the_dollar_deltas_and_the_covariance(log: Log, analysis: RiskAnalysis):
    book, methods = book_of(log), risk_of(analysis).methods
    deltas = book.quantities * book.measures.deltas
    exposures = np.array([deltas[0] + deltas[3], deltas[1], deltas[2], 0.0])
    covariance = book.measures.history.covariance
    deviation = float(np.sqrt(exposures @ covariance @ exposures))

    assert figures(methods, "normal").var == pytest.approx(normal_var(deviation, 0.99).var, rel=1e-12)
    assert figures(methods, "normal").es == pytest.approx(normal_var(deviation, 0.975).es, rel=1e-12)
    student = student_var(deviation, 0.99, 6, "covariance")
    assert figures(methods, "Student-t").var == pytest.approx(student.var, rel=1e-12)


def test_delta_gamma_is_that_of_the_deltas_the_gammas_and_the_day_that_passes(
    log: Log, analysis: RiskAnalysis
):
    book, methods = book_of(log), risk_of(analysis).methods
    decay = pnl_from_returns(np.zeros((4, 1)), book.measures.contracts, book.quantities)[0]
    gamma = np.zeros(4)
    gamma[0] = 100 * book.quantities[3] * book.measures.gammas[3]
    direct = delta_gamma(book.factor_exposures, gamma, book.measures.history.covariance, float(decay))
    found = figures(methods, "delta-gamma")

    assert decay > 0 > gamma[0]  # sold puts: time pays, moves cost
    assert found.var == pytest.approx(delta_gamma_var(direct, 0.99).var, rel=1e-9)
    assert found.es == pytest.approx(delta_gamma_var(direct, 0.975).es, rel=1e-9)
    assert found.var + decay > figures(methods, "normal").var


def test_without_options_delta_gamma_is_normal_and_every_figure_is_there():
    plain = Log(settings(), shares("AAPL", "JPM"))
    plain.history([130.0, 90.0])
    plain.decide([130.0, 90.0], [500, 400])
    methods = risk_of(analyse(plain.store, Question())).methods

    assert figures(methods, "delta-gamma").var == pytest.approx(figures(methods, "normal").var, rel=1e-9)
    assert all(isinstance(method.figures, VarEs) for method in methods), methods


def test_cornish_fisher_says_why_where_it_does_not_hold():
    crash = Log(settings(), shares("AAPL", "JPM"))
    crash.history([130.0, 90.0])
    crash.decide([60.0, 90.0], [500, 0])  # one bar of -77 %: a kurtosis beyond the expansion
    method = next(m for m in risk_of(analyse(crash.store, Question())).methods if m.name == "Cornish-Fisher")

    assert isinstance(method.figures, Unknown)
    assert "Cornish-Fisher" in method.figures.unknown


def test_monte_carlo_has_an_interval_around_it_and_an_error(log: Log, analysis: RiskAnalysis):
    risk = risk_of(analysis)
    assert not isinstance(risk.monte_carlo, Unknown)
    var, es = risk.monte_carlo.var, risk.monte_carlo.es

    assert var.var == figures(risk.methods, "Monte Carlo").var
    assert es.es == figures(risk.methods, "Monte Carlo").es
    assert var.var_low < var.var < var.var_high
    assert var.scenarios == book_of(log).request.scenarios == 1920
    assert var.var_error > 0 < es.es_error
    assert risk.monte_carlo.recorded is None  # nobody ran it
    sampled = risk.monte_carlo.sampled
    assert not isinstance(sampled, Unknown), sampled
    assert sampled.low <= sampled.var <= sampled.high
    assert sampled.low < var.var_high
    assert var.var_low < sampled.high


def test_components_add_up_to_the_figures_and_incremental_is_the_book_without(
    log: Log, analysis: RiskAnalysis
):
    risk, book = risk_of(analysis), book_of(log)
    assert not isinstance(risk.positions, Unknown)
    var, es = figures(risk.methods, "Monte Carlo").var, figures(risk.methods, "Monte Carlo").es

    assert [p.symbol for p in risk.positions] == sorted(
        (p.symbol for p in risk.positions),
        key=lambda s: -next(p.es.component for p in risk.positions if p.symbol == s),
    )
    assert sum(p.var.component for p in risk.positions) == pytest.approx(var, rel=1e-9)
    assert sum(p.es.component for p in risk.positions) == pytest.approx(es, rel=1e-9)
    exposures = book.factor_exposures
    normal = parametric_var(book.measures.history.covariance, exposures, 0.99).var
    assert sum(p.normal for p in risk.positions if p.symbol != "PUT120") == pytest.approx(normal, rel=1e-9)


def test_scenarios_that_do_not_fit_leave_incremental_unknown_and_the_rest_the_same(analysis: RiskAnalysis):
    tight = risk_of(analyse(log_with_options("risk.cube_bytes_max=40000").store, Question()))
    wide = risk_of(analysis)
    assert not isinstance(tight.positions, Unknown)
    assert not isinstance(wide.positions, Unknown)

    for few, many in zip(tight.positions, wide.positions, strict=True):
        assert few.symbol == many.symbol
        assert few.es.component == pytest.approx(many.es.component, rel=1e-9)
        assert isinstance(few.es.incremental, Unknown)
        assert isinstance(many.es.incremental, float)


def test_factor_shares_add_up_and_the_rest_is_named(analysis: RiskAnalysis):
    drivers = risk_of(analysis).drivers
    for found in (drivers.statistical, drivers.sectors):
        assert not isinstance(found, Unknown), found
        assert sum(row.share for row in found.rows) == pytest.approx(1.0, rel=1e-9)
        assert found.rows[-1].name == "each its own"
    assert not isinstance(drivers.sectors, Unknown)
    names = {row.name for row in drivers.sectors.rows}
    assert {"market", "Financials", "Information Technology"} <= names


def test_correlations_to_one_are_the_sum_of_signed_deviations(log: Log, analysis: RiskAnalysis):
    book, found = book_of(log), risk_of(analysis).drivers.correlation
    assert not isinstance(found, Unknown)
    measured = book.measures.history.measured
    estimate = book.measures.history.correlation
    assert estimate is not None
    together = abs(float(book.factor_exposures[measured] @ estimate.volatility))

    assert [row.blend for row in found.stressed] == [0.0, 0.5, 1.0]
    assert found.stressed[-1].var == pytest.approx(normal_var(together, 0.99).var, rel=1e-6)


def test_stress_is_worst_first_and_the_payers_add_up_to_the_worst(log: Log, analysis: RiskAnalysis):
    book, found = book_of(log), risk_of(analysis).stresses
    assert not isinstance(found, Unknown), found
    compiled: CompiledStress = book.measures.stress
    direct = dict(compiled.losses(book.measures.contracts, book.quantities))
    losses = [row.loss for row in found.rows]

    assert losses == sorted(losses, reverse=True)
    assert {row.scenario: row.loss for row in found.rows} == pytest.approx(direct, rel=1e-12)
    assert sum(payer.loss for payer in found.payers) == pytest.approx(losses[0], rel=1e-12)
    assert {payer.symbol for payer in found.payers} == {"AAPL", "JPM", "PUT120"}


def test_a_reverse_stress_move_loses_the_amount_asked_for(log: Log):
    risk = risk_of(analyse(log.store, Question(loss=10_000.0)))
    assert not isinstance(risk.reverse, Unknown), risk.reverse
    found = risk.reverse

    assert found.target == 10_000.0
    assert found.found
    assert all(one.loss == pytest.approx(10_000.0, rel=1e-5) for one in found.found)
    assert [one.distance for one in found.found] == sorted(one.distance for one in found.found)
    assert isinstance(found.linear_distance, float)
    assert found.found[0].distance < found.linear_distance  # the short puts lose faster than their delta


def test_greeks_add_up_by_underlying(log: Log, analysis: RiskAnalysis):
    book, rows = book_of(log), risk_of(analysis).greeks
    total = rows[-1]

    assert [row.underlying for row in rows] == ["AAPL", "JPM", "total"]
    assert total.delta == pytest.approx(float(book.quantities @ book.measures.deltas), rel=1e-12)
    assert total.vega == pytest.approx(float(book.quantities @ book.measures.vegas), rel=1e-12)
    assert total.gamma < 0 > total.vega
    assert total.theta > 0


def test_margin_has_the_broker_first_and_estimates_beside_it(log: Log, analysis: RiskAnalysis):
    margin = analysis.margin
    assert not isinstance(margin, Unknown)
    assert not isinstance(margin.broker, Unknown)
    assert not isinstance(margin.reg_t, Unknown), margin.reg_t

    assert (margin.broker.initial, margin.broker.maintenance) == (250_000, 200_000)
    assert margin.headroom == pytest.approx(0.8)
    book = book_of(log)
    assert margin.estimate == pytest.approx(book.measures.margin.estimate(book.quantities).total, rel=1e-12)
    assert margin.reg_t.initial > margin.reg_t.maintenance > 0


def test_margin_that_was_never_reported_is_unknown_and_says_so():
    log = Log(settings(), shares("AAPL", "JPM"))
    log.history([130.0, 90.0])
    log.decide([130.0, 90.0], [500, 400], margin=False)
    margin = analyse(log.store, Question()).margin
    assert not isinstance(margin, Unknown)

    assert isinstance(margin.broker, Unknown)
    assert isinstance(margin.headroom, Unknown)
    assert "broker" in margin.headroom.unknown


def test_a_proposal_frees_what_was_asked_without_more_es(analysis: RiskAnalysis):
    trims = risk_of(analysis).trims
    assert trims is not None
    assert not isinstance(trims, Unknown), trims

    assert trims.reached
    assert trims.margin_before - trims.margin_after >= 2_000.0 - 1e-6
    assert trims.es_after <= trims.es_before
    for row in trims.trades:
        assert row.quantity * row.held < 0, "a trade makes its position smaller"
        assert abs(row.quantity) <= abs(row.held)


def test_spreads_that_nobody_saw_often_enough_leave_liquidity_unknown(analysis: RiskAnalysis):
    liquidity = risk_of(analysis).liquidity

    assert isinstance(liquidity.cost, Unknown)
    assert "20 decisions" in liquidity.cost.unknown
    assert isinstance(liquidity.by_time, Unknown)
    assert "PUT120" in liquidity.by_time.unknown


def test_half_a_bad_spread_is_added_to_monte_carlo():
    log = Log(settings(), shares("AAPL", "JPM"))
    log.history([130.0, 90.0])
    day = 86_400 * 10**9
    for n in range(25):
        log.decide([130.0 + n % 3, 90.0 - n % 2], [500, -400], at=NOW + n * day)
    risk = risk_of(analyse(log.store, Question()))
    book = book_of(log)
    cost, by_spread = risk.liquidity.cost, risk.liquidity.by_spread
    assert isinstance(cost, float), cost
    assert isinstance(by_spread, VarEs)
    spreads = book.spreads
    value = np.abs(book.quantities * np.array([float(p) for p in book.mark.prices]))
    direct = float(value @ (spreads.mean(axis=0) + 3 * spreads.std(axis=0, ddof=1)) / 2)

    assert len(spreads) == 25
    assert cost == pytest.approx(direct, rel=1e-9)
    assert by_spread.var == pytest.approx(figures(risk.methods, "Monte Carlo").var + cost, rel=1e-12)
    assert isinstance(risk.liquidity.by_time, VarEs)


def test_a_longer_horizon_costs_more_by_every_way_there(analysis: RiskAnalysis):
    risk = risk_of(analysis)
    one = figures(risk.methods, "historical").var

    assert risk.horizon_days == 5
    assert figures(risk.horizons, "root of time").var == pytest.approx(one * 5**0.5, rel=1e-12)
    for method in risk.horizons:
        assert isinstance(method.figures, VarEs), method
        assert method.figures.var > one


def test_an_empty_book_is_said_to_be_empty():
    log = Log(settings(), shares("AAPL", "JPM"))
    log.history([130.0, 90.0])
    log.decide([130.0, 90.0], [0, 0])
    analysis = analyse(log.store, Question())

    assert isinstance(analysis.risk, Unknown)
    assert analysis.risk.unknown.startswith("the book is empty")
    assert "-0.0" not in json.dumps(analysis.as_dict(), allow_nan=False)


def test_a_book_that_could_not_be_measured_says_why():
    short = Log(settings(), shares("AAPL", "JPM"))
    short.history([130.0, 90.0], bars=40)
    short.decide([130.0, 90.0], [500, 400])
    never = Log(settings(), shares("AAPL", "JPM"))

    assert analyse(short.store, Question()).about == Unknown("VaR needs 250 returns, found 40")
    about = analyse(never.store, Question()).about
    assert isinstance(about, Unknown)
    assert about.unknown.startswith("the book was never marked")


def test_the_same_log_and_question_give_the_same_answer(log: Log, analysis: RiskAnalysis):
    again = analyse(log.store, Question(horizon_days=5, free_margin=2_000.0))

    assert again.as_dict() == analysis.as_dict()
    assert json.loads(json.dumps(again.as_dict(), allow_nan=False)) == again.as_dict()
