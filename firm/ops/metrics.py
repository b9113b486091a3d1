"""The firm's figures in Prometheus' text format, made from a snapshot each time somebody asks."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from firm.domain.session import NS_PER_SECOND
from firm.events.broker import CircuitState, GateState
from firm.ops.broker_state import BrokerView
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
        yield from _broker(self._snapshot.status.broker)
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
    yield _count("firm_gate_closures", "Times the broker's gate took no more orders", figures.gate_closures)
    yield _count("firm_circuit_openings", "Times the circuit breaker opened", figures.circuit_openings)
    found = CounterMetricFamily("firm_breaks_found", "Differences ever found", labels=("class", "severity"))
    for (kind, severity), count in sorted(figures.breaks_found.items()):
        found.add_metric((kind, severity), count)
    yield found


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
    if facts.standby_lag is not None:
        yield GaugeMetricFamily("firm_standby_lag_entries", "Entries the standby lacks", facts.standby_lag)


def _broker(side: BrokerView) -> Iterator[Metric]:
    """What nobody has told is left out; a break that is gone stays as a zero."""
    if side.gate is not None:
        yield _one_of("firm_gate", "1: the gate to the broker is in this state", GateState, side.gate)
        words = "1: the circuit breaker is in this state"
        yield _one_of("firm_circuit", words, CircuitState, side.circuit)
    words = "Differences between the broker and the log that are there now"
    breaks = GaugeMetricFamily("firm_breaks_open", words, labels=("class", "severity"))
    for (kind, severity), count in side.breaks_known.items():
        breaks.add_metric((kind, severity), count)
    yield breaks
    if side.data:
        words = "Instruments by what their quotes are worth; only live and awaited ones take new risk"
        data = GaugeMetricFamily("firm_instruments", words, labels=("data",))
        for state, count in side.data.items():
            data.add_metric((state,), count)
        yield data
    if side.login_by is not None:
        words = "Unix time before which a person must log in at the gateway"
        yield GaugeMetricFamily("firm_login_by_timestamp_seconds", words, side.login_by / NS_PER_SECOND)


def _one_of(name: str, words: str, states: type[StrEnum], state: StrEnum) -> Metric:
    family = GaugeMetricFamily(name, words, labels=("state",))
    for each in states:
        family.add_metric((each,), float(each is state))
    return family


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
