"""The book over time: equity and exposure at each decision, VaR, and the P&L that followed."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from firm.analysis.daily import METHODS, DailyRecord, Judged, judged, static_pnl
from firm.events import Entry
from firm.events.risk import BookMarked, RiskMeasured, RiskRunCompleted, RiskRunFailed
from firm.risk.backtests import kupiec
from firm.risk.correlation_stress import Regime

POINTS_MAX: Final = 8_192
"""Marks kept for the charts; beyond it every other one is dropped. Extremes and counts are of all."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The book at one decision, account currency; `drawdown` is a fraction of the highest equity so far."""

    at: int
    equity: float
    gross: float
    net: float
    cash: float
    drawdown: float


@dataclass(frozen=True, slots=True)
class VarPoint:
    """VaR and ES by method, positive = loss; and the P&L over the horizon that followed, None if not known.

    `actual` is the change of equity, trades and fees included; `static` is the P&L of the very book that was
    measured, untouched: what VaR forecasts.
    """

    at: int
    var: tuple[float, float, float]
    es: tuple[float, float, float]
    actual: float | None = None
    static: float | None = None


@dataclass(frozen=True, slots=True)
class Backtest:
    """How often the loss was beyond VaR. `p_value`: Kupiec's test that the rate is the promised one."""

    method: str
    days: int
    expected: float
    actual: int
    static: int
    p_value: float | None


class BookSeries:
    """A fold of marks and risk figures. Pairs each VaR with the P&L `horizon` decisions later."""

    KINDS: Final = frozenset(cls.KIND for cls in (BookMarked, RiskMeasured, RiskRunCompleted, RiskRunFailed))

    def __init__(self) -> None:
        self.record = DailyRecord()
        self.marks: list[Mark] = []
        self.points: list[VarPoint] = []
        self.first: BookMarked | None = None
        self.last: BookMarked | None = None
        self.last_at: int | None = None
        self.max_drawdown = 0.0
        self.risk_run: RiskRunCompleted | None = None
        self.risk_runs_failed = 0
        self.measured: RiskMeasured | None = None
        self.compared = 0
        self.exceptions = {method: [0, 0] for method in METHODS}
        self._peak: Decimal | None = None
        self._waiting: deque[tuple[VarPoint, BookMarked, int]] = deque()
        self._number = 0

    @property
    def horizon(self) -> int:
        """Decisions that VaR looks ahead; the log's configuration sets it."""
        return self.record.horizon

    @horizon.setter
    def horizon(self, decisions: int) -> None:
        self.record.horizon = decisions

    @property
    def multipliers(self) -> tuple[Decimal, ...]:
        """Money value of a price point, by instrument; the resolved universe sets it."""
        return self.record.multipliers

    @multipliers.setter
    def multipliers(self, multipliers: tuple[Decimal, ...]) -> None:
        self.record.multipliers = multipliers

    @property
    def confidence(self) -> float | None:
        """The level VaR is measured at, None before the first measurement."""
        return self.measured.confidence if self.measured else None

    @property
    def worst_stress_loss(self) -> float | None:
        """The loss in the worst scenario of the last run, positive = loss; None before the first."""
        run = self.risk_run
        return max((loss for _, loss in run.stress), default=None) if run else None

    @property
    def average_correlation(self) -> float | None:
        """Of the last measurement; None where there was no regime to measure it in."""
        measured = self.measured
        if measured is None or measured.regime not in set(Regime):
            return None
        return measured.average_correlation

    @property
    def limits_unknown(self) -> int | None:
        """How many limits lack an input, by the last measurement; None before the first."""
        return None if self.measured is None else len(self.measured.unknown)

    def note(self, entry: Entry[Any]) -> None:
        """Take in one entry of `KINDS`."""
        match entry.event:
            case BookMarked() as mark:
                self._number += 1
                self._close_points(mark)
                self.record.mark(entry.at, mark)
                self._mark(entry.at, mark)
            case RiskMeasured() as measured:
                self.measured = measured
                self.record.measured(entry.at, measured)
                self._measure(entry.at, measured)
            case RiskRunCompleted() as completed:
                self.risk_run = completed
            case RiskRunFailed():
                self.risk_runs_failed += 1

    def backtests(self) -> list[Backtest]:
        """One row a method; empty before the first measurement."""
        if self.confidence is None:
            return []
        rate = 1 - self.confidence
        return [
            Backtest(
                method,
                self.compared,
                self.compared * rate,
                self.exceptions[method][0],
                self.exceptions[method][1],
                kupiec(self.compared, self.exceptions[method][1], self.confidence).p_value
                if self.compared
                else None,
            )
            for method in METHODS
        ]

    def judged(self) -> list[Judged]:
        """The daily record of the last days, a row a method; empty before the first measurement."""
        found = (judged(self.record.days, method) for method in METHODS)
        return [one for one in found if one is not None]

    def _mark(self, at: int, mark: BookMarked) -> None:
        self.first = self.first or mark
        self.last, self.last_at = mark, at
        self._peak = mark.equity if self._peak is None else max(self._peak, mark.equity)
        drawdown = float(1 - mark.equity / self._peak) if self._peak > 0 else 0.0
        self.max_drawdown = max(self.max_drawdown, drawdown)
        gross, net, cash = float(mark.gross_exposure), float(mark.net_exposure), float(mark.cash)
        self.marks.append(Mark(at, float(mark.equity), gross, net, cash, drawdown))
        if len(self.marks) > POINTS_MAX:
            del self.marks[1:-1:2]

    def _measure(self, at: int, measured: RiskMeasured) -> None:
        """A VaR without a mark of the book it belongs to cannot be compared with anything."""
        m = measured
        point = VarPoint(
            at,
            (m.historical_var, m.parametric_var, m.monte_carlo_var),
            (m.historical_es, m.parametric_es, m.monte_carlo_es),
        )
        if self.last is not None and self.last_at == at:
            self._waiting.append((point, self.last, self._number))
        else:
            self._keep(point)

    def _close_points(self, mark: BookMarked) -> None:
        while self._waiting and self._number - self._waiting[0][2] >= self.horizon:
            point, book, _ = self._waiting.popleft()
            actual, static = float(mark.equity - book.equity), static_pnl(book, mark, self.multipliers)
            self.compared += 1
            for method, var in zip(METHODS, point.var, strict=True):
                self.exceptions[method][0] += actual < -var
                self.exceptions[method][1] += static < -var
            self._keep(VarPoint(point.at, point.var, point.es, actual, static))

    def _keep(self, point: VarPoint) -> None:
        self.points.append(point)
        if len(self.points) > POINTS_MAX:
            del self.points[1:-1:2]

    def pending(self) -> Sequence[VarPoint]:
        """The newest measurements, whose horizon has not passed yet."""
        return [point for point, _, _ in self._waiting]
