"""The numbers behind the metrics, copied from a running fold so that nobody reads it while it changes."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Protocol

from firm.events.broker import BreakClass, Severity

LATENCY_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Broke(Protocol):
    """How often the broker's side failed."""

    @property
    def gate_closures(self) -> int:
        """How often the gate took no more orders."""

    @property
    def circuit_openings(self) -> int:
        """How often the circuit breaker opened."""

    @property
    def found(self) -> Mapping[tuple[BreakClass, Severity], int]:
        """Breaks ever found, by class and severity."""


class Gauged(Protocol):
    """Figures of the last risk run and measurement; None: not known."""

    @property
    def worst_stress_loss(self) -> float | None:
        """The loss in the worst scenario of the last run."""

    @property
    def average_correlation(self) -> float | None:
        """Of the last measurement."""

    @property
    def limits_unknown(self) -> int | None:
        """How many limits lack an input, by the last measurement."""


class Counted(Protocol):
    """What must be counted for the metrics; `firm.report.summary.Summary` counts it all."""

    @property
    def entries(self) -> int:
        """Entries of the log."""

    @property
    def cycles_by_kind(self) -> Mapping[str, int]:
        """Cycles by decision and reaction."""

    @property
    def signals_by_agent(self) -> Mapping[str, int]:
        """Signals by agent."""

    @property
    def orders_proposed(self) -> int:
        """Orders the CIO proposed."""

    @property
    def refusals(self) -> Mapping[tuple[str, str], int]:
        """Refusals by (who, name)."""

    @property
    def sent_by_algo(self) -> Mapping[str, int]:
        """Children by algo."""

    @property
    def fills_by_side(self) -> Mapping[str, int]:
        """Executions by side."""

    @property
    def barrier_missing(self) -> int:
        """Signals that missed their barrier."""

    @property
    def equity(self) -> float | None:
        """Equity at the last mark."""

    @property
    def gross_exposure(self) -> float | None:
        """Gross exposure at the last mark."""

    @property
    def drawdown(self) -> float | None:
        """Drawdown at the last mark, a fraction."""

    @property
    def var_by_method(self) -> Mapping[str, float]:
        """The last VaR by method."""

    @property
    def es_by_method(self) -> Mapping[str, float]:
        """The last ES by method."""

    @property
    def book(self) -> Gauged:
        """What else is known of the risk of the book."""

    @property
    def broker(self) -> Broke:
        """What is known of the broker's side."""


@dataclass(frozen=True)
class Latencies:
    """A histogram: values counted up to each bound of `LATENCY_BUCKETS_S` and beyond, and their sum."""

    cumulative: tuple[int, ...]
    total_s: float


class CycleLatency:
    """Collects how long cycles took."""

    def __init__(self) -> None:
        self._counts = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self._total_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one cycle."""
        self._counts[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        self._total_s += seconds

    def view(self) -> Latencies:
        """The histogram now."""
        return Latencies(tuple(accumulate(self._counts)), self._total_s)


@dataclass(frozen=True)
class Figures:
    """See `Counted`; a copy. The defaults are those of a log without entries."""

    entries: int = 0
    cycles_by_kind: Mapping[str, int] = field(default_factory=dict)
    signals_by_agent: Mapping[str, int] = field(default_factory=dict)
    orders_proposed: int = 0
    refusals: Mapping[tuple[str, str], int] = field(default_factory=dict)
    sent_by_algo: Mapping[str, int] = field(default_factory=dict)
    fills_by_side: Mapping[str, int] = field(default_factory=dict)
    barrier_missing: int = 0
    equity: float | None = None
    gross_exposure: float | None = None
    drawdown: float | None = None
    var_by_method: Mapping[str, float] = field(default_factory=dict)
    es_by_method: Mapping[str, float] = field(default_factory=dict)
    worst_stress_loss: float | None = None
    average_correlation: float | None = None
    limits_unknown: int | None = None
    gate_closures: int = 0
    circuit_openings: int = 0
    breaks_found: Mapping[tuple[BreakClass, Severity], int] = field(default_factory=dict)
    latencies: Latencies | None = None

    @classmethod
    def of(cls, counted: Counted, latencies: Latencies | None = None) -> "Figures":
        """Copy what is counted now."""
        return cls(
            counted.entries,
            dict(counted.cycles_by_kind),
            dict(counted.signals_by_agent),
            counted.orders_proposed,
            dict(counted.refusals),
            dict(counted.sent_by_algo),
            dict(counted.fills_by_side),
            counted.barrier_missing,
            counted.equity,
            counted.gross_exposure,
            counted.drawdown,
            dict(counted.var_by_method),
            dict(counted.es_by_method),
            counted.book.worst_stress_loss,
            counted.book.average_correlation,
            counted.book.limits_unknown,
            counted.broker.gate_closures,
            counted.broker.circuit_openings,
            dict(counted.broker.found),
            latencies,
        )
