"""The same book over several days, and sold at its spreads and volumes: what one day's figure leaves out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firm.analysis.book import MeasuredBook
from firm.analysis.methods import EWMA_DECAY, Method, both
from firm.analysis.simulated import Simulated
from firm.analysis.unknown import Unknown, known
from firm.errors import DataError, InsufficientHistory
from firm.risk.var_calculator import (
    VarEs,
    VolatilityFilter,
    days_to_liquidate,
    historical_var,
    independent_windows,
    liquidation_var,
    liquidity_adjusted,
    overlapping_returns,
    spread_cost,
)

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

SPREADS_MIN = 20
"""Fewer decisions with a quote say nothing about how far a spread may widen."""


@dataclass(frozen=True, slots=True)
class LiquidityRow:
    """One position: trading days to sell it at our share of the volume, and its mean relative spread."""

    symbol: str
    days: float
    spread: float | None


@dataclass(frozen=True, slots=True)
class Liquidity:
    """`by_spread`: Monte Carlo with half a bad day's spread paid on everything; `cost` is that half.

    `by_time`: delta-normal, each position held as long as it takes to sell it in equal parts.
    """

    cost: float | Unknown
    by_spread: VarEs | Unknown
    by_time: VarEs | Unknown
    slowest: tuple[LiquidityRow, ...] | Unknown


def horizons(book: MeasuredBook, simulated: Simulated, days: int) -> tuple[Method, ...]:
    """VaR and ES over `days` trading days, by four ways to get there."""
    var, history = book.settings.risk.var, book.measures.history
    bars = days * var.bars_a_day
    past = book.pnl(history.returns)
    apart = independent_windows(len(history.returns), bars)
    memory = _autocorrelation(past)
    kept = "" if isinstance(memory, Unknown) else f" (found {memory:+.3f})"
    return (
        Method(
            "root of time",
            both(book, lambda level: historical_var(past, level).scaled(bars)),
            "historical, one bar, as if bars were independent",
        ),
        Method(
            "root of time, with memory",
            both(book, lambda level: historical_var(past, level).scaled(bars, _number(memory))),
            f"the same, with the autocorrelation of the book's P&L{kept}",
        ),
        Method(
            "overlapping windows",
            both(book, lambda level: historical_var(_windows(book, bars), level)),
            f"every run of {bars} past bars; only {apart} of them share no bar",
        ),
        Method(
            "filtered, replayed",
            both(book, lambda level: historical_var(_replayed(book, bars), level)),
            f"past shocks replayed from today's volatility (EWMA {EWMA_DECAY})",
        ),
        Method(
            "Monte Carlo",
            both(book, lambda level: historical_var(simulated.pnl_over(bars), level)),
            "law grown by the root of time, options revalued then",
        ),
    )


def liquidity(book: MeasuredBook, market: VarEs | Unknown) -> Liquidity:
    """What leaving the book adds to `market`, the Monte Carlo figures at mid prices."""
    var, settings = book.settings.risk.var, book.settings.risk.liquidity
    cost = known(lambda: _spread_cost(book))
    days = known(lambda: days_to_liquidate(book.quantities, _volumes(book), settings.participation))
    by_time: VarEs | Unknown
    slowest: tuple[LiquidityRow, ...] | Unknown
    if isinstance(days, Unknown):
        by_time = slowest = days
    else:
        one_day = book.measures.history.covariance * (var.bars_a_day / var.horizon_bars)
        by_factor = _factor_days(book, days)
        by_time = both(book, lambda level: liquidation_var(one_day, book.factor_exposures, by_factor, level))
        order = sorted(book.held.tolist(), key=lambda i: (-days[i], i))
        slowest = tuple(
            LiquidityRow(book.symbol(i), float(days[i]), _mean(book.spreads[:, i])) for i in order[:5]
        )
    return Liquidity(cost, _with_cost(market, cost), by_time, slowest)


def _with_cost(market: VarEs | Unknown, cost: float | Unknown) -> VarEs | Unknown:
    if isinstance(market, Unknown):
        return market
    return cost if isinstance(cost, Unknown) else liquidity_adjusted(market, cost)


def _autocorrelation(past: Vector) -> float | Unknown:
    """Of successive bars, in the book's P&L."""

    def found() -> float:
        centred = past - past.mean()
        total = float(centred @ centred)
        if total <= 0.0:
            raise DataError("autocorrelation needs a P&L that varies, found none that does")
        return float(centred[1:] @ centred[:-1]) / total

    return known(found)


def _number(found: float | Unknown) -> float:
    if isinstance(found, Unknown):
        raise DataError(found.unknown)
    return found


def _windows(book: MeasuredBook, bars: int) -> Vector:
    simple = np.expm1(book.measures.history.returns)
    return book.pnl(np.log1p(overlapping_returns(simple, bars)))


def _replayed(book: MeasuredBook, bars: int) -> Vector:
    history = book.measures.history
    simple = np.expm1(history.returns[:, history.measured])
    moved = VolatilityFilter.ewma(EWMA_DECAY, simple.shape[1]).horizon_returns(simple, bars)
    if float(moved.min()) <= -1.0:
        raise DataError(f"a replayed return needs to be above -1, found {float(moved.min()):.4f}")
    returns = np.zeros((len(moved), len(book.instruments)))
    returns[:, history.measured] = np.log1p(moved)
    return book.pnl(returns)


def _spread_cost(book: MeasuredBook) -> float:
    spreads = book.spreads[:, book.held]
    seen = np.isfinite(spreads).sum(axis=0)
    few = [book.symbol(i) for i in book.held[seen < SPREADS_MIN].tolist()]
    if few:
        raise InsufficientHistory(
            f"a spread needs quotes at {SPREADS_MIN} decisions, found fewer of {', '.join(few)}"
        )
    contracts = book.measures.contracts[book.held]
    value = book.quantities[book.held] * contracts["unit"] * contracts["price"]
    return spread_cost(value, np.nanmean(spreads, axis=0), np.nanstd(spreads, axis=0, ddof=1))


def _volumes(book: MeasuredBook) -> Vector:
    reference = book.settings.universe.reference
    missing = [book.symbol(i) for i in book.held.tolist() if book.symbol(i) not in reference]
    if missing:
        raise DataError(f"liquidity needs volumes; universe.reference has none of {', '.join(missing)}")
    known_ones = (reference.get(instrument.symbol) for instrument in book.instruments)
    return np.array([0.0 if one is None else one.average_daily_volume for one in known_ones])


def _factor_days(book: MeasuredBook, days: Vector) -> Vector:
    """The slowest position of each factor."""
    slowest = np.zeros(len(book.instruments))
    np.maximum.at(slowest, book.measures.contracts["factor"], days)
    return slowest


def _mean(spreads: Vector) -> float | None:
    seen = spreads[np.isfinite(spreads)]
    return float(seen.mean()) if len(seen) else None
