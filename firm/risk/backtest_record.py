"""The daily record that judges the firm's VaR: forecasts made, results seen, and what they say together.

A pure fold: `record = record.with_day(...)` once a day, `record.report()` whenever somebody asks. What was
not forecast or not measured is unknown; it is counted as unknown and never as a day without exception.
"""

from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from math import isfinite

from firm.errors import DataError
from firm.risk.backtests import (
    BASEL_CONFIDENCE,
    BASEL_DAYS,
    LikelihoodRatio,
    TrafficLight,
    basel_multiplier,
    christoffersen,
    conditional_coverage,
    kupiec,
    traffic_light,
)
from firm.risk.measure import require_confidence
from firm.risk.shortfall_tests import Forecast, z1, z2


@dataclass(frozen=True, slots=True)
class ExceptionRecord:
    """One day: VaR and ES forecast for it before it began, and its P&L (gain positive); None is unknown."""

    day: date
    var: float | None
    es: float | None
    pnl: float | None

    @property
    def exception(self) -> bool | None:
        """Whether the loss was larger than VaR; None if forecast or result is unknown."""
        return None if self.var is None or self.pnl is None else -self.pnl > self.var


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """What the days of the window say; a test is None where too little is known for it to say anything.

    `observations` are days with VaR and P&L, `unknown` those without; `exceptions` among the former.
    `multiplier` is Basel's, only for 250 observations at 99 %. `es_observations` are days with ES too.
    """

    observations: int
    unknown: int
    exceptions: int
    expected_exceptions: float
    kupiec: LikelihoodRatio | None
    independence: LikelihoodRatio | None
    conditional_coverage: LikelihoodRatio | None
    traffic_light: TrafficLight | None
    multiplier: float | None
    es_observations: int
    z1: float | None
    z2: float | None


@dataclass(frozen=True, slots=True)
class BacktestRecord:
    """The last `window` days at one confidence, oldest first.

    >>> from datetime import date, timedelta
    >>> record = BacktestRecord(confidence=0.99)
    >>> for n in range(250):
    ...     pnl = None if n == 7 else -120.0 if n % 50 == 0 else 10.0
    ...     record = record.with_day(date(2025, 1, 1) + timedelta(n), var=100.0, es=115.0, pnl=pnl)
    >>> report = record.report()
    >>> report.observations, report.unknown, report.exceptions, report.traffic_light.zone.value
    (249, 1, 5, 'yellow')
    """

    confidence: float
    window: int = BASEL_DAYS
    days: tuple[ExceptionRecord, ...] = ()

    def __post_init__(self) -> None:
        require_confidence(self.confidence)
        if self.window < 1:
            raise ValueError(f"a record needs a window of at least 1 day, found {self.window}")

    def with_day(self, day: date, var: float | None, es: float | None, pnl: float | None) -> "BacktestRecord":
        """The record with one day more; the oldest falls out of the window.

        Raises
        ------
        DataError
            If a number is NaN or infinite (say None for what is not known), or the day is not after the last.
        """
        for name, value in (("VaR", var), ("ES", es), ("P&L", pnl)):
            if value is not None and not isfinite(value):
                raise DataError(f"a backtest needs a finite {name}, or None for unknown; found {value}")
        if self.days and day <= self.days[-1].day:
            raise DataError(f"a backtest needs days in order, found {day} after {self.days[-1].day}")
        days = (*self.days, ExceptionRecord(day, var, es, pnl))
        return replace(self, days=days[-self.window :])

    def report(self) -> BacktestReport:
        """Every test of the days in the window."""
        marks = [day.exception for day in self.days]
        known = [mark for mark in marks if mark is not None]
        observations, exceptions = len(known), sum(known)
        successive = any(a is not None and b is not None for a, b in pairwise(marks))
        basel = observations == BASEL_DAYS and self.confidence == BASEL_CONFIDENCE
        forecasts = [
            Forecast(day.var, day.es, -day.pnl)
            for day in self.days
            if day.var is not None and day.es is not None and day.pnl is not None
        ]
        return BacktestReport(
            observations=observations,
            unknown=len(marks) - observations,
            exceptions=exceptions,
            expected_exceptions=observations * (1.0 - self.confidence),
            kupiec=kupiec(observations, exceptions, self.confidence) if observations else None,
            independence=christoffersen(marks) if successive else None,
            conditional_coverage=conditional_coverage(marks, self.confidence) if successive else None,
            traffic_light=traffic_light(observations, exceptions, self.confidence) if observations else None,
            multiplier=basel_multiplier(exceptions) if basel else None,
            es_observations=len(forecasts),
            z1=z1(forecasts),
            z2=z2(forecasts, self.confidence) if forecasts else None,
        )
