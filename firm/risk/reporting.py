"""What Risk says of a book before the cycle's orders: the figures of every method, and what is unknown."""

import numpy as np
from numpy.typing import NDArray

from firm import config
from firm.domain.summing import plain_sum
from firm.events.risk import RiskMeasured, RiskRunCompleted
from firm.risk.book import Book
from firm.risk.correlation_stress import blend_to_one
from firm.risk.measures import Measures
from firm.risk.parametric import parametric_var

Vector = NDArray[np.float64]


def risk_report(
    book: Book, run: RiskRunCompleted, settings: config.Risk, unknown: tuple[str, ...]
) -> RiskMeasured:
    """The report of the positions held; `unknown` are the limits that lack an input."""
    var = settings.var
    measures = book.measures
    assert measures is not None, "a book was reported that could not be measured"
    quantities = book.positions()
    past = measures.historical.at(quantities).measure().scaled(var.horizon_bars)
    exposures = _by_factor(measures, quantities * measures.deltas)
    covariance = measures.history.covariance
    worst, loss = max(run.stress, key=lambda named: named[1], default=("", 0.0))
    average, regime = _regime(measures)
    parametric = parametric_var(covariance, exposures, var.confidence).var
    return RiskMeasured(
        historical_var=past.var + 0.0,  # -0.0 of an empty book is 0
        historical_es=past.es + 0.0,
        parametric_var=parametric,
        parametric_es=parametric_var(covariance, exposures, var.es_confidence).es,
        monte_carlo_var=run.var,
        monte_carlo_es=run.es,
        confidence=var.confidence,
        es_confidence=var.es_confidence,
        worst_stress=worst,
        worst_stress_loss=loss,
        delta=plain_sum((quantities * measures.deltas).tolist()),
        gamma=plain_sum((quantities * measures.gammas).tolist()),
        vega=plain_sum((quantities * measures.vegas).tolist()),
        stressed_var=_stressed_var(measures, exposures, settings),
        average_correlation=average,
        regime=regime,
        components=_components(measures, exposures, parametric),
        unknown=unknown,
    )


def _by_factor(measures: Measures, exposures: Vector) -> Vector:
    totals = np.zeros(len(exposures))
    for factor, exposure in zip(measures.contracts["factor"].tolist(), exposures.tolist(), strict=True):
        totals[factor] += exposure
    return totals


def _stressed_var(measures: Measures, exposures: Vector, settings: config.Risk) -> float:
    """Parametric VaR with all correlations part of the way to one: what diversification is worth."""
    estimate, measured = measures.history.correlation, measures.history.measured
    if estimate is None:
        return parametric_var(measures.history.covariance, exposures, settings.var.confidence).var
    stressed = blend_to_one(estimate.matrix, settings.correlation.crisis_blend).matrix
    covariance = stressed * np.outer(estimate.volatility, estimate.volatility) * settings.var.horizon_bars
    return parametric_var(covariance, exposures[measured], settings.var.confidence).var


def _regime(measures: Measures) -> tuple[float, str]:
    estimate = measures.history.correlation
    if estimate is None:
        return 0.0, "unknown: one instrument has no correlation"
    if isinstance(estimate.regime, str):
        return 0.0, estimate.regime
    return estimate.regime.average, estimate.regime.regime.value


def _components(measures: Measures, exposures: Vector, deviations: float) -> tuple[tuple[int, float], ...]:
    """Euler parts of the parametric VaR by risk factor: they add up to it."""
    products = measures.history.covariance * exposures[None, :]
    marginal = [plain_sum(row) for row in products.tolist()]
    variance = plain_sum([e * m for e, m in zip(exposures.tolist(), marginal, strict=True)])
    if variance <= 0:
        return ()
    scale = deviations / variance
    return tuple(
        (i, e * m * scale)
        for i, (e, m) in enumerate(zip(exposures.tolist(), marginal, strict=True))
        if e != 0
    )
