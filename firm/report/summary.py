"""What a run came to: one pass over the log, for `summary.json`, the report and the metrics."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import ceil
from typing import Any, Final

from firm.analysis.daily import METHODS
from firm.analysis.plain import plainly
from firm.domain.order import Side
from firm.events import CODEC, Record
from firm.events.risk import PositionChanged
from firm.events.signals import BarrierClosed, LateAnswer, Signal
from firm.events.system import CycleKind, CycleOpened, InstrumentsResolved, RunStarted
from firm.report.book import BookSeries
from firm.report.broker import BrokerSeries
from firm.report.broker_summary import broker_summary
from firm.report.ledger import Ledger
from firm.report.risk_summary import risk_summary
from firm.report.story import Story
from firm.report.times import iso


class Summary:
    """A fold over records, in order. Decodes only what it needs; a signal is counted by its author alone.

    What was never said is None, not zero: a run that was never marked has no equity.
    """

    def __init__(self) -> None:
        self.ledger, self.book, self.story = Ledger(), BookSeries(), Story()
        self.broker = BrokerSeries()
        self.started: RunStarted | None = None
        self.config: Mapping[str, Any] = {}
        self.entries = 0
        self.first_at: int | None = None
        self.last_at: int | None = None
        self.cycles_by_kind: Counter[str] = Counter({kind.value: 0 for kind in CycleKind})
        self.signals_by_agent: Counter[str] = Counter()
        self.barrier_missing = 0
        self.late_answers = 0
        self.positions: dict[int, PositionChanged] = {}

    def note(self, record: Record) -> None:
        """Take in the next record of the log."""
        self.entries += 1
        if record.at:
            self.first_at = self.first_at or record.at
            self.last_at = record.at
        if record.kind == Signal.KIND:
            self.signals_by_agent[record.author] += 1
        elif record.kind in Ledger.KINDS:
            self.ledger.note(CODEC.entry(record))
        elif record.kind in BookSeries.KINDS:
            self.book.note(CODEC.entry(record))
        elif record.kind in BrokerSeries.KINDS:
            self.broker.note(CODEC.entry(record))
        elif record.kind in Story.KINDS:
            self.story.note(record)
        elif record.kind in _OWN_KINDS:
            self._note(record)

    def _note(self, record: Record) -> None:
        match CODEC.event(record):
            case RunStarted() as started:
                self.started, self.config = started, json.loads(started.config)
                self.book.horizon = self.setting("risk", "var", "horizon_bars") or 1
            case InstrumentsResolved(instruments=instruments):
                self.ledger.instruments = instruments
                self.book.multipliers = tuple(instrument.multiplier for instrument in instruments)
            case CycleOpened(kind=kind):
                self.cycles_by_kind[kind.value] += 1
            case BarrierClosed(missing=missing):
                self.barrier_missing += len(missing)
            case LateAnswer():
                self.late_answers += 1
            case PositionChanged() as changed:
                self.positions[changed.instrument] = changed

    def setting(self, *keys: str) -> Any:
        """A value of the logged configuration; None where the log has none."""
        value: Any = self.config
        for key in keys:
            if not isinstance(value, Mapping) or key not in value:
                return None
            value = value[key]
        return value

    @property
    def orders_proposed(self) -> int:
        """How many orders the CIO proposed."""
        return self.ledger.proposed

    @property
    def refusals(self) -> Mapping[tuple[str, str], int]:
        """Refusals by (risk | compliance | execution | broker, name of the limit, rule, gate or code)."""
        return self.ledger.refused

    @property
    def sent_by_algo(self) -> Mapping[str, int]:
        """Children intended for the broker, by the algo that cut them."""
        return self.ledger.sent

    @property
    def fills_by_side(self) -> Mapping[str, int]:
        """Executions by BUY and SELL."""
        return self.ledger.filled

    @property
    def equity(self) -> float | None:
        """Equity at the last mark, account currency."""
        return float(self.book.last.equity) if self.book.last else None

    @property
    def gross_exposure(self) -> float | None:
        """Gross exposure at the last mark, account currency."""
        return float(self.book.last.gross_exposure) if self.book.last else None

    @property
    def drawdown(self) -> float | None:
        """Fraction below the highest equity, at the last mark."""
        return self.book.marks[-1].drawdown if self.book.marks else None

    @property
    def var_by_method(self) -> dict[str, float]:
        """The last VaR by method, positive = loss; a method without figure is not there."""
        measured, run = self.book.measured, self.book.risk_run
        var = {} if run is None else {"monte_carlo": run.var}
        if measured is not None:
            figures = (measured.historical_var, measured.parametric_var, measured.monte_carlo_var)
            var = dict(zip(METHODS, figures, strict=True)) | var
        return var

    @property
    def es_by_method(self) -> dict[str, float]:
        """The last ES by method at its own confidence, positive = loss; see `var_by_method`."""
        measured, run = self.book.measured, self.book.risk_run
        es = {} if run is None else {"monte_carlo": run.es}
        if measured is not None:
            figures = (measured.historical_es, measured.parametric_es, measured.monte_carlo_es)
            es = dict(zip(METHODS, figures, strict=True)) | es
        return es

    @property
    def es_confidence(self) -> float | None:
        """The level of ES: as measured, else as configured."""
        configured: float | None = self.setting("risk", "var", "es_confidence")
        return configured if self.book.measured is None else self.book.measured.es_confidence

    @property
    def confidence(self) -> float | None:
        """The level of VaR: as measured, else as configured."""
        configured: float | None = self.setting("risk", "var", "confidence")
        return configured if self.book.confidence is None else self.book.confidence

    @property
    def realized_pnl(self) -> Decimal:
        """Realised P&L of all closed parts, fees not taken off."""
        return sum((changed.realized_pnl for changed in self.positions.values()), start=Decimal(0))

    def held(self) -> dict[str, Decimal]:
        """The firm's own positions at the end, by symbol, in order of the universe."""
        held = sorted((i, p.quantity) for i, p in self.positions.items() if p.quantity)
        return {self.ledger.symbol(instrument): quantity for instrument, quantity in held}

    def held_at_broker(self) -> dict[str, Decimal] | None:
        """What the broker said it holds when it was last asked; None if it never was."""
        if self.story.reconciled is None:
            return None
        return {
            self.ledger.symbol(instrument): quantity
            for instrument, quantity in self.story.reconciled.positions
        }

    def as_dict(self, head: bytes, latencies_ms: Iterable[float] = ()) -> dict[str, Any]:
        """The content of `summary.json`; JSON numbers for people, `_exact` strings for accountants.

        `latencies_ms` are wall-clock facts, so they are no part of the log: times from tick to order.
        """
        content: dict[str, Any] = {
            "log_head": head.hex(),
            "events": self.entries,
            "data_label": self.started.data_label if self.started else None,
            "code_version": self.started.code_version if self.started else None,
            "first_at": iso(self.first_at),
            "last_at": iso(self.last_at),
            "ended": self.story.ended,
            "cycles": self.cycles_by_kind.total(),
            "decisions": self.cycles_by_kind[CycleKind.DECISION.value],
            "signals": self.signals_by_agent.total(),
            "signals_by_agent": dict(sorted(self.signals_by_agent.items())),
            "barrier_missing": self.barrier_missing,
            "late_answers": self.late_answers,
            **_orders(self),
            **_money(self),
            **risk_summary(self),
            "broker": broker_summary(self.broker, self.last_at, self.ledger.symbol),
            "halts": self.story.halts,
            "halted": self.story.halted,
            "tick_to_order_ms": percentiles(latencies_ms),
        }
        plain: dict[str, Any] = plainly(content)
        return plain


def _orders(summary: Summary) -> dict[str, Any]:
    by_name: dict[str, dict[str, int]] = {"limit": {}, "rule": {}, "gate": {}, "broker": {}}
    total: Counter[str] = Counter()
    word = {"risk": "limit", "compliance": "rule", "execution": "gate", "broker": "broker"}
    for (by, name), count in sorted(summary.refusals.items()):
        by_name[word[by]][name] = count
        total[name] += count
    return {
        "orders_proposed": summary.orders_proposed,
        "orders_refused": dict(sorted(total.items())),
        "orders_refused_by": by_name,
        "orders_sent": sum(summary.sent_by_algo.values()),
        "orders_sent_by_algo": dict(sorted(summary.sent_by_algo.items())),
        "orders_unknown": summary.ledger.doubtful["unknown"],
        "orders_not_accepted": summary.ledger.doubtful["not accepted"],
        "fills": sum(summary.fills_by_side.values()),
        "fills_buy": summary.fills_by_side[Side.BUY.value],
        "fills_sell": summary.fills_by_side[Side.SELL.value],
    }


def _money(summary: Summary) -> dict[str, Any]:
    last, broker = summary.book.last, summary.held_at_broker()
    return {
        "final_equity": summary.equity,
        "final_equity_exact": str(last.equity) if last else None,
        "final_cash": float(last.cash) if last else None,
        "final_cash_exact": str(last.cash) if last else None,
        "final_equity_at": iso(summary.book.last_at),
        "realized_pnl": float(summary.realized_pnl),
        "realized_pnl_exact": str(summary.realized_pnl),
        "unrealized_pnl": float(last.unrealized_pnl) if last else None,
        "commissions": float(summary.ledger.commissions),
        "commissions_exact": str(summary.ledger.commissions),
        "max_drawdown": summary.book.max_drawdown if last else None,
        "positions": _numbers(summary.held()),
        "positions_broker": None if broker is None else _numbers(broker),
        "reconciled_at": iso(summary.story.reconciled_at),
        "breaks": list(summary.story.reconciled.breaks) if summary.story.reconciled else None,
    }


def percentiles(values: Iterable[float]) -> dict[str, float] | None:
    """Median and 99th percentile by nearest rank; None without values.

    >>> percentiles([3.0, 1.0, 2.0])
    {'p50': 2.0, 'p99': 3.0}
    """
    ordered = sorted(values)
    if not ordered:
        return None
    return {f"p{p}": ordered[ceil(p * len(ordered) / 100) - 1] for p in (50, 99)}


def _numbers(positions: Mapping[str, Decimal]) -> dict[str, float]:
    return {symbol: float(quantity) for symbol, quantity in positions.items()}


_OWN_KINDS: Final = frozenset(
    cls.KIND
    for cls in (RunStarted, InstrumentsResolved, CycleOpened, BarrierClosed, LateAnswer, PositionChanged)
)
