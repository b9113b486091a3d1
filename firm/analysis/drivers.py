"""What moves the book: statistical and sector factors, how closely things move together, and if closer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firm.analysis.book import MeasuredBook
from firm.analysis.unknown import Unknown, known
from firm.errors import DataError
from firm.risk.correlation_stress import CorrelationRegime, blend_to_one
from firm.risk.factor_regression import sector_factors
from firm.risk.risk_factors import (
    RiskFactors,
    factor_exposures,
    pnl_shares,
    statistical_factors,
    variance_shares,
)
from firm.risk.var_calculator import parametric_var

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

REST: Final = "each its own"


@dataclass(frozen=True, slots=True)
class FactorRow:
    """One factor: dollar beta, what one standard deviation of a bar moves, its share of the variance.

    `last_bar`: P&L of today's book in the last bar that this factor explains. The rest has no exposure.
    """

    name: str
    money: float | None
    deviation: float | None
    share: float
    last_bar: float


@dataclass(frozen=True, slots=True)
class Factors:
    """A decomposition of the book by factors that differ from each other in one way."""

    deviation: float
    rows: tuple[FactorRow, ...]


@dataclass(frozen=True, slots=True)
class StressedVar:
    """Delta-normal VaR with correlations `blend` of the way to one."""

    blend: float
    average: float
    var: float


@dataclass(frozen=True, slots=True)
class Correlation:
    """The estimate the figures rest on, its regime, and VaR when everything falls together."""

    summary: str
    average: float
    shrinkage: float
    repaired_by: float
    regime: CorrelationRegime | Unknown
    stressed: tuple[StressedVar, ...]


@dataclass(frozen=True, slots=True)
class Drivers:
    """By principal components, by market and sectors, and the correlations."""

    statistical: Factors | Unknown
    sectors: Factors | Unknown
    correlation: Correlation | Unknown


def drivers(book: MeasuredBook) -> Drivers:
    """Everything that says what moves the book."""
    measured = book.measures.history.measured
    returns = np.expm1(book.measures.history.returns[:, measured])
    count = min(book.settings.risk.var.factors, returns.shape[1])
    return Drivers(
        known(lambda: _factors(book, lambda: statistical_factors(returns, count), returns)),
        known(lambda: _factors(book, lambda: sector_factors(returns, _sectors(book)), returns)),
        known(lambda: _correlation(book)),
    )


def _factors(book: MeasuredBook, model: Callable[[], RiskFactors], returns: Matrix) -> Factors:
    found, exposures = model(), book.factor_exposures[book.measures.history.measured]
    variance = variance_shares(exposures, found)
    shares = variance.shares()
    pnl = pnl_shares(exposures, returns[-1], found, found.factor_returns[-1])
    rows = [
        FactorRow(one.name, one.money, one.deviation, shares[one.name], gained)
        for one, (_, gained) in zip(factor_exposures(exposures, found), pnl.factors, strict=True)
    ]
    rest = FactorRow(
        REST, None, float(variance.idiosyncratic) ** 0.5, shares["idiosyncratic"], pnl.idiosyncratic
    )
    return Factors(float(variance.total) ** 0.5, (*rows, rest))


def _sectors(book: MeasuredBook) -> list[str]:
    reference = book.settings.universe.reference
    symbols = []
    for i in np.flatnonzero(book.measures.history.measured).tolist():
        underlying = book.instruments[i].underlying
        symbols.append(book.symbol(i if underlying < 0 else underlying))
    missing = sorted({symbol for symbol in symbols if symbol not in reference})
    if missing:
        raise DataError(f"sector factors need sectors; universe.reference has none of {', '.join(missing)}")
    return [reference[symbol].sector for symbol in symbols]


def _correlation(book: MeasuredBook) -> Correlation:
    estimate = book.measures.history.correlation
    if estimate is None:
        raise DataError("correlation needs two instruments that can be measured, found one")
    n = len(estimate.matrix)
    blends = sorted({0.0, book.settings.risk.correlation.crisis_blend, 1.0})
    return Correlation(
        estimate.summary(),
        float((estimate.matrix.sum() - n) / (n * (n - 1))),
        estimate.shrinkage,
        estimate.distance,
        Unknown(estimate.regime) if isinstance(estimate.regime, str) else estimate.regime,
        tuple(_stressed(book, estimate.matrix, estimate.volatility, blend) for blend in blends),
    )


def _stressed(book: MeasuredBook, correlation: Matrix, volatility: Vector, blend: float) -> StressedVar:
    var = book.settings.risk.var
    stressed = blend_to_one(correlation, blend)
    covariance = stressed.matrix * np.outer(volatility, volatility) * var.horizon_bars
    exposures = book.factor_exposures[book.measures.history.measured]
    return StressedVar(
        blend, stressed.average_after, parametric_var(covariance, exposures, var.confidence).var
    )
