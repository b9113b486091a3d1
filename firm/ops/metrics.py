"""The firm's figures in Prometheus' text format, made from a snapshot each time somebody asks."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from firm.ops.figures import LATENCY_BUCKETS_S, Figures, Latencies
from firm.ops.snapshot import Snapshot

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def exposition(snapshot: Snapshot) -> bytes:
    """All metrics of one snapshot, from a registry of its own: nothing of this process leaks in."""
    registry = CollectorRegistry()
    registry.register(_Once(snapshot))
    return generate_latest(registry)


class _Once(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        yield from _counters(self._snapshot.figures)
        yield from _money(self._snapshot.figures)
        yield from _state(self._snapshot)
        if self._snapshot.figures.latencies is not None:
            yield _histogram(self._snapshot.figures.latencies)


def _counters(figures: Figures) -> Iterator[Metric]:
    yield _count("firm_log_entries", "Entries in the log", figures.entries)
    yield _counts("firm_cycles", "Cycles lived", "kind", figures.cycles_by_kind)
    yield _counts("firm_signals", "Signals heard in time", "agent", figures.signals_by_agent)
    yield _count("firm_orders_proposed", "Orders proposed by the CIO", figures.orders_proposed)
    refused = CounterMetricFamily("firm_orders_refused", "Refusals", labels=("by", "reason"))
    for (by, reason), count in sorted(figures.refusals.items()):
        refused.add_metric((by, reason), count)
    yield refused
    yield _counts("firm_orders_sent", "Orders intended for the broker", "algo", figures.sent_by_algo)
    yield _counts("firm_fills", "Executions", "side", figures.fills_by_side)
    yield _count("firm_barrier_missing", "Signals that missed their barrier", figures.barrier_missing)


def _money(figures: Figures) -> Iterator[Metric]:
    """Figures that are not known are left out: a gap in the series, never a zero."""
    for name, words, value in (
        ("firm_equity_usd", "Equity at the last mark", figures.equity),
        ("firm_gross_exposure_usd", "Gross exposure at the last mark", figures.gross_exposure),
        ("firm_drawdown_ratio", "Drawdown from the highest equity, a fraction", figures.drawdown),
        ("firm_worst_stress_loss_usd", "Loss in the worst stress scenario", figures.worst_stress_loss),
        ("firm_average_correlation_ratio", "Mean correlation of all pairs", figures.average_correlation),
        (
            "firm_limits_without_input",
            "Limits that cannot be measured, and so let no new risk pass",
            figures.limits_unknown,
        ),
    ):
        if value is not None:
            yield GaugeMetricFamily(name, words, _positive_zero(value))
    yield _by_method("firm_var_usd", "Value at risk, positive = loss", figures.var_by_method)
    yield _by_method("firm_es_usd", "Expected shortfall, positive = loss", figures.es_by_method)


def _by_method(name: str, words: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=("method",))
    for method, amount in sorted(values.items()):
        family.add_metric((method,), _positive_zero(amount))
    return family


def _positive_zero(value: float) -> float:
    """The same number; an empty book loses 0, never -0."""
    return value + 0.0


def _state(snapshot: Snapshot) -> Iterator[Metric]:
    status, facts = snapshot.status, snapshot.facts
    health = snapshot.health()
    halted = status.halted is not None or facts.latch != ""
    yield _flag("firm_halted", "1: trading is halted, or nobody can say that it is not", halted)
    yield _flag("firm_broker_connected", "1: the session with the broker is up", status.connected is True)
    yield _flag("firm_ready", "1: new risk may be opened", health.readiness().ready)
    parts = GaugeMetricFamily("firm_component_ok", "1: this part of the firm is well", labels=("component",))
    for name, component in health.components.items():
        parts.add_metric((name,), component.state == "ok")
    yield parts
    if facts.cycle_age_s is not None:
        yield GaugeMetricFamily("firm_cycle_age_seconds", "Since the last cycle", facts.cycle_age_s)


def _histogram(latencies: Latencies) -> Metric:
    bounds = [*(repr(bound) for bound in LATENCY_BUCKETS_S), "+Inf"]
    buckets = list(zip(bounds, latencies.cumulative, strict=True))
    return HistogramMetricFamily(
        "firm_cycle_seconds", "How long a cycle takes", buckets, sum_value=latencies.total_s
    )


def _count(name: str, words: str, value: int) -> Metric:
    return CounterMetricFamily(name, words, value)


def _counts(name: str, words: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, words, labels=(label,))
    for key, count in sorted(values.items()):
        family.add_metric((key,), count)
    return family


def _flag(name: str, words: str, value: bool) -> Metric:
    return GaugeMetricFamily(name, words, float(value))
