"""VaR and ES of one book by every method over the run's horizon; a method that does not hold says why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firm.analysis.book import MeasuredBook
from firm.analysis.simulated import Simulated
from firm.analysis.unknown import Unknown, known
from firm.risk.measure import OutsideDomain
from firm.risk.var_calculator import (
    Convergence,
    Moments,
    VarEs,
    VolatilityFilter,
    age_weighted_var,
    age_weights,
    book_deviation,
    convergence,
    convergence_tail_size,
    cornish_fisher_var,
    delta_gamma,
    delta_gamma_var,
    effective_scenarios,
    filtered_returns,
    fit_garch,
    historical_var,
    normal_var,
    sample_moments,
    student_var,
)
from firm.risk_kernels.sampler import TailEstimate, tail_estimate
from firm.risk_kernels.tail import shard_tail

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
AtLevel = Callable[[float], VarEs]

AGE_DECAY: Final = 0.995
"""Boudoukh, Richardson and Whitelaw's slower decay: half of the weight lies on the last 138 days."""
EWMA_DECAY: Final = 0.94
"""J.P. Morgan/Reuters, RiskMetrics Technical Document (1996), for daily returns."""
GAMMA_MOVES: Final = 100
"""Gamma is the change of delta for a move of 1 %; a second derivative is for a move of 100 %."""


@dataclass(frozen=True, slots=True)
class Method:
    """VaR at the confidence of VaR and ES at its own, account currency, positive = loss; and what to know."""

    name: str
    figures: VarEs | Unknown
    note: str = ""


@dataclass(frozen=True, slots=True)
class MonteCarlo:
    """How certain the simulated figures are: VaR's own run, and ES's at its own confidence.

    `sampled`: as many scenarios, spent where the losses are, if the sampler found a way it can prove.
    `recorded`: the same VaR and ES as in the log, to the bit; None: the run of the log failed.
    """

    var: Convergence
    es: Convergence
    sampled: TailEstimate | Unknown
    recorded: bool | None


def methods(book: MeasuredBook, simulated: Simulated) -> tuple[Method, ...]:
    """Every method over the run's horizon, past days first."""
    history = _past(book)
    return (*_historical(book, history), *_distributions(book, history), _simulated(book, simulated))


def both(book: MeasuredBook, at_level: AtLevel) -> VarEs | Unknown:
    """VaR at the confidence of VaR and ES at that of ES, or why not."""
    var = book.settings.risk.var
    return known(lambda: VarEs(at_level(var.confidence).var, at_level(var.es_confidence).es))


def monte_carlo(book: MeasuredBook, simulated: Simulated) -> MonteCarlo | Unknown:
    """VaR and ES of the run with standard errors and an interval of 95 %."""
    var = book.settings.risk.var

    def at(level: float) -> Convergence:
        size = convergence_tail_size(book.request.scenarios, level)
        return convergence(shard_tail(simulated.pnl, 0, size), level)

    def figures() -> MonteCarlo:
        of_var, of_es = at(var.confidence), at(var.es_confidence)
        run = book.completed
        same = None if run is None else (run.var, run.es) == (of_var.var, of_es.es)
        return MonteCarlo(of_var, of_es, known(lambda: _sampled(book, simulated)), same)

    return known(figures)


def _sampled(book: MeasuredBook, simulated: Simulated) -> TailEstimate:
    var = book.settings.risk.var
    return tail_estimate(
        simulated.law,
        simulated.contracts,
        simulated.quantities,
        simulated.blocks,
        var.confidence,
        var.es_confidence,
        book.request.seed,
        ladders=simulated.ladders,
    )


def _past(book: MeasuredBook) -> Vector:
    """P&L of the book in each past bar, oldest first."""
    return book.pnl(book.measures.history.returns)


def _historical(book: MeasuredBook, past: Vector) -> tuple[Method, ...]:
    bars = book.settings.risk.var.horizon_bars
    scaled = "" if bars == 1 else f", one bar times the root of {bars}"
    effective = effective_scenarios(age_weights(len(past), AGE_DECAY))
    return (
        Method(
            "historical",
            both(book, lambda level: historical_var(past, level).scaled(bars)),
            f"{len(past)} past bars, equally likely{scaled}",
        ),
        Method(
            "historical, by age",
            both(book, lambda level: age_weighted_var(past, level, AGE_DECAY).scaled(bars)),
            f"decay {AGE_DECAY}: worth {effective:.0f} equal bars{scaled}",
        ),
        Method(
            "filtered historical",
            both(book, lambda level: historical_var(_filtered(book), level).scaled(bars)),
            f"past bars at today's volatility (EWMA {EWMA_DECAY}){scaled}",
        ),
    )


def _filtered(book: MeasuredBook) -> Vector:
    history = book.measures.history
    returns = history.returns[:, history.measured]
    deviations = VolatilityFilter.ewma(EWMA_DECAY, returns.shape[1]).deviations(returns)
    now = np.zeros_like(history.returns)
    now[:, history.measured] = filtered_returns(returns, deviations)
    return book.pnl(now)


def _distributions(book: MeasuredBook, past: Vector) -> tuple[Method, ...]:
    var, covariance = book.settings.risk.var, book.measures.history.covariance
    exposures, freedom = book.factor_exposures, book.settings.risk.var.degrees_of_freedom
    estimate = book.measures.history.correlation
    source = "one instrument's own variance" if estimate is None else str(estimate.method.value)

    def student(level: float) -> VarEs:
        if freedom == 0:
            raise OutsideDomain("risk.var.degrees_of_freedom is 0: the configuration asks for normal tails")
        return student_var(book_deviation(covariance, exposures), level, freedom, "covariance")

    return (
        Method(
            "normal",
            both(book, lambda level: normal_var(book_deviation(covariance, exposures), level)),
            f"dollar deltas, covariance by {source}",
        ),
        Method(
            "normal, GARCH",
            both(book, lambda level: normal_var(_garch(past, var.horizon_bars), level)),
            "GARCH(1,1) of the book's own past P&L",
        ),
        Method("Student-t", both(book, student), f"{freedom} degrees of freedom, the same covariance"),
        Method(
            "Cornish-Fisher",
            both(book, lambda level: cornish_fisher_var(_moments(past, var.horizon_bars), level)),
            "skewness and kurtosis of the past P&L",
        ),
        Method(
            "delta-gamma",
            both(book, lambda level: _quadratic(book, level)),
            "quadratic in normal factors, time value included",
        ),
    )


def _garch(past: Vector, bars: int) -> float:
    scale = float(np.abs(past).max())
    if scale == 0.0:
        return 0.0
    returns = (past / scale)[:, None]
    fitted = fit_garch(returns)
    tomorrow = fitted.deviations(returns)[-1]
    return float(fitted.horizon_deviation(tomorrow, bars)[0]) * scale


def _moments(past: Vector, bars: int) -> Moments:
    """Of the sum of `bars` independent bars, mean zero as in the other methods."""
    one = sample_moments(past)
    return Moments(0.0, one.deviation * bars**0.5, one.skewness / bars**0.5, one.excess_kurtosis / bars)


def _quadratic(book: MeasuredBook, level: float) -> VarEs:
    n, measures = len(book.instruments), book.measures
    gamma = np.zeros(n)
    np.add.at(gamma, measures.contracts["factor"], GAMMA_MOVES * book.quantities * measures.gammas)
    unmoved = float(book.pnl(np.zeros((1, n)))[0])
    return delta_gamma_var(
        delta_gamma(book.factor_exposures, gamma, measures.history.covariance, unmoved), level
    )


def _simulated(book: MeasuredBook, simulated: Simulated) -> Method:
    freedom = book.request.degrees_of_freedom
    tails = "normal" if freedom == 0 else f"Student-t({freedom}) {_widened(freedom)}"
    return Method(
        "Monte Carlo",
        both(book, lambda level: historical_var(simulated.pnl, level)),
        f"{book.request.scenarios:,} scenarios, full revaluation, {tails}",
    )


def _widened(freedom: int) -> str:
    """What a Student-t whose dispersion is the covariance does to deviations."""
    if freedom <= 2:
        return "without a variance"
    return f"of deviations {(freedom / (freedom - 2)) ** 0.5:.2f} times the estimate"
