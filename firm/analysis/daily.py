"""The firm's daily record: what VaR and ES said before each day, what the measured book then did, and tests.

One observation a day, from forecasts whose horizons do not overlap; a day that was marked but not measured
is unknown, and a day that began without positions says nothing and is not counted. The P&L is that of the
book as it was measured, untouched by later trades: what VaR forecasts.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

from firm.domain.session import NS_PER_SECOND
from firm.events.risk import BookMarked, RiskMeasured
from firm.risk.measure import Vector
from firm.risk.var_calculator import (
    BASEL_DAYS,
    BacktestRecord,
    BacktestReport,
    normal_var,
    p_value,
    simulated_z1,
    simulated_z2,
)

METHODS: Final = ("historical", "parametric", "monte_carlo")
TRIALS: Final = 20_000
SEED: Final = 1

TailVar = Callable[["Day", str], float | None]
"""VaR of a day by a method at the confidence of ES; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day that has ended: P&L of the book marked at `opened_at` (ns UTC), and what Risk had said of it."""

    day: date
    opened_at: int
    pnl: float
    said: RiskMeasured | None


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Acerbi and Szekely's tests at the confidence of ES: statistics, and their chance if ES is right.

    `days` have VaR and ES at that confidence. Z1 is None where no loss was beyond VaR.
    """

    days: int
    exceptions: int
    z1: float | None
    z1_p: float | None
    z2: float
    z2_p: float


@dataclass(frozen=True, slots=True)
class Judged:
    """The record of one method: the tests of VaR, and of ES where VaR is known at ES's confidence as well."""

    method: str
    var: BacktestReport
    es: Shortfall | None


class DailyRecord:
    """A fold of marks and risk figures; keeps the last `window` days."""

    def __init__(self, window: int = BASEL_DAYS) -> None:
        """`horizon` (decisions) and `multipliers` are set when the log tells them."""
        self.horizon = 1
        self.multipliers: tuple[Decimal, ...] = ()
        self.days: deque[Day] = deque(maxlen=window)
        self._open: tuple[int, BookMarked] | None = None
        self._said: RiskMeasured | None = None
        self._decisions = 0

    def mark(self, at: int, mark: BookMarked) -> None:
        """The book at one decision."""
        self._decisions += 1
        if self._open is not None and self._decisions >= self.horizon:
            self._close(at, mark)
        if self._open is None and any(mark.quantities):
            self._open, self._said, self._decisions = (at, mark), None, 0

    def measured(self, at: int, said: RiskMeasured) -> None:
        """What Risk said of the book marked at `at`."""
        if self._open is not None and self._open[0] == at:
            self._said = said

    def _close(self, at: int, mark: BookMarked) -> None:
        assert self._open is not None
        opened_at, book = self._open
        day = _day(at)
        if not self.days or day > self.days[-1].day:
            self.days.append(Day(day, opened_at, static_pnl(book, mark, self.multipliers), self._said))
        self._open = None


def static_pnl(book: BookMarked, later: BookMarked, multipliers: Sequence[Decimal]) -> float:
    """P&L of the very positions of `book` between the prices of both marks, account currency."""
    rows = zip(book.quantities, book.prices, later.prices, multipliers, strict=True)
    return float(sum(quantity * (after - before) * size for quantity, before, after, size in rows))


def judged(days: Sequence[Day], method: str, tail_var: TailVar | None = None) -> Judged | None:
    """The tests of one method; None before the first measurement."""
    last = next((day.said for day in reversed(days) if day.said is not None), None)
    if last is None:
        return None
    of_var = BacktestRecord(last.confidence)
    for day in days:
        of_var = of_var.with_day(day.day, figure(day, method, "var"), None, day.pnl)
    return Judged(
        method, of_var.report(), _shortfall(days, method, last.es_confidence, tail_var or exact_tail_var)
    )


def exact_tail_var(day: Day, method: str) -> float | None:
    """VaR at the confidence of ES as far as the log tells it: the same level, or a normal distribution."""
    said = day.said
    if said is None:
        return None
    var = figure(day, method, "var")
    if said.confidence == said.es_confidence or var is None:
        return var
    if method != "parametric":
        return None
    return var * normal_var(1.0, said.es_confidence).var / normal_var(1.0, said.confidence).var


def figure(day: Day, method: str, what: str) -> float | None:
    """VaR ("var") or ES ("es") that Risk said of a day, by a method."""
    return None if day.said is None else float(getattr(day.said, f"{method}_{what}"))


def _shortfall(days: Sequence[Day], method: str, confidence: float, tail_var: TailVar) -> Shortfall | None:
    record = BacktestRecord(confidence)
    for day in days:
        record = record.with_day(day.day, tail_var(day, method), figure(day, method, "es"), day.pnl)
    found = record.report()
    if found.z2 is None:
        return None
    n = found.es_observations
    first = None if found.z1 is None else p_value(_z1(found.exceptions, confidence), found.z1)
    return Shortfall(n, found.exceptions, found.z1, first, found.z2, p_value(_z2(n, confidence), found.z2))


@lru_cache(maxsize=16)
def _z1(exceptions: int, confidence: float) -> Vector:
    return simulated_z1(exceptions, confidence, TRIALS, SEED)


@lru_cache(maxsize=16)
def _z2(days: int, confidence: float) -> Vector:
    return simulated_z2(days, confidence, TRIALS, SEED)


def _day(at: int) -> date:
    return datetime.fromtimestamp(at // NS_PER_SECOND, UTC).date()
