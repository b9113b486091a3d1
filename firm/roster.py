"""Who works here: how to hire each agent from the configuration, and what the bus must know of them."""

import json
from collections.abc import Callable, Sequence

from firm.agents.agent import Agent
from firm.agents.bookkeeper import Bookkeeper
from firm.agents.cio import Cio
from firm.agents.compliance import Compliance
from firm.agents.execution import Execution
from firm.agents.risk import Risk
from firm.agents.signals.momentum import Momentum
from firm.agents.signals.signal_agent import SignalAgent
from firm.agents.signals.stat_arb import StatArb
from firm.bus.cycle import Rules
from firm.bus.relay import seat_of
from firm.config import Settings, parse_settings
from firm.errors import StoreError
from firm.events import CODEC
from firm.events.record import LogReader
from firm.events.system import RunStarted
from firm.risk.cube import Cubes, KeptCubes

AGENTS: tuple[type[Agent], ...] = (Bookkeeper, Risk, Cio, Compliance, Execution)
"""The state agents, in seating order."""


def hire(name: str, settings: Settings, cubes: Cubes | None = None) -> Agent:
    """A fresh agent, as on its first day. Risk takes its scenarios from `cubes`; None: it computes them."""
    cubes = KeptCubes() if cubes is None else cubes
    hires: dict[str, Callable[[], Agent]] = {
        Bookkeeper.name: lambda: Bookkeeper(settings.compliance.max_quote_age_ms),
        Risk.name: lambda: Risk(settings.risk, settings.universe.reference, cubes),
        Cio.name: lambda: Cio(settings.cio, settings.barrier.quorum),
        Compliance.name: lambda: Compliance(settings.compliance),
        Execution.name: lambda: Execution(settings.execution, settings.compliance.max_quote_age_ms),
    }
    return hires[name]()


def hire_signals(settings: Settings) -> tuple[SignalAgent, ...]:
    """The signal agents that the configuration asks for, in the order their signals enter the log."""
    signals = settings.signals
    hired: list[SignalAgent] = []
    if signals.momentum is not None:
        hired.append(Momentum(signals.momentum))
    if signals.stat_arb is not None:
        hired.append(StatArb(signals.stat_arb))
    return tuple(hired)


def window_bars(settings: Settings) -> int:
    """How many bars the most far-sighted signal agent looks back on."""
    needs = [1]
    if (momentum := settings.signals.momentum) is not None:
        needs.append(momentum.lookback_bars + momentum.skip_bars + 1)
        needs.append(momentum.volatility_bars + 1)
    if (stat_arb := settings.signals.stat_arb) is not None:
        needs.append(stat_arb.lookback_bars)
    return max(needs)


def rules(settings: Settings, *, recompute_risk: bool = True) -> Rules:
    """What a cycle needs to know of the firm."""
    return Rules(
        seats=tuple(seat_of(agent) for agent in AGENTS),
        signals=hire_signals(settings),
        barrier_timeout_ms=settings.barrier.timeout_ms,
        risk_timeout_ms=settings.risk.var.run_timeout_ms,
        window_bars=window_bars(settings),
        recompute_risk=recompute_risk,
    )


def agent_names() -> Sequence[str]:
    """The state agents' names, in seating order."""
    return [agent.name for agent in AGENTS]


def recorded_settings(store: LogReader) -> tuple[RunStarted, Settings]:
    """What a log was run with: its first entry, and the settings in it (those that decisions depend on)."""
    records = store.read(limit=1)
    if not records:
        raise StoreError("a log needs a first entry, found none; the run was never started")
    started = CODEC.event(records[0])
    if not isinstance(started, RunStarted):
        raise StoreError(
            f"a log opens with RunStarted, found {type(started).__name__}; this is not a run's log"
        )
    content = json.loads(started.config)
    return started, parse_settings(content | _SEATING, "in the log")


_SEATING = {
    "broker": {
        "gateway_host": "127.0.0.1",
        "gateway_port": 4002,
        "client_id": 0,
        "account": None,
        "connect_timeout_ms": 1,
        "request_timeout_ms": 1,
        "heartbeat_ms": 1,
        "reconcile_every_ms": 1,
        "data_stale_ms": 1,
        "cash_tolerance": 1,
        "restart_at": None,
        "restart_guard_ms": 1,
        "login_by": None,
        "circuit": {
            "failures_in_a_row": 1,
            "error_rate_max": 1.0,
            "outcomes_min": 1,
            "window_ms": 1,
            "cool_down_ms": 1,
        },
    },
    "cluster": {
        "address": None,
        "namespace": "firm-replay",
        "signal_replicas": 1,
        "co_seated": False,
        "num_cpus": 2,
        "object_store_mb": 256,
        "dashboard": False,
        "shutdown_timeout_s": 30,
    },
    "standby": {"mode": "local", "address": None, "timeout_ms": 1, "gateway_is_fenced": False},
    "ops": {"host": "127.0.0.1", "port": 0, "max_cycle_age_s": 60},
}
"""Where a replay is seated: no decision depends on it, so the log does not hold it."""
