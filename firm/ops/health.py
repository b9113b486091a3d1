"""Whether the firm is well and may trade: facts from the log and from outside, judged part by part.

Unknown is never ok: a part nobody has heard of is reported as unknown, with what is missing and what to do.
"""

from dataclasses import dataclass
from typing import Final, Literal

from firm.ops import broker_health
from firm.ops.component import Component
from firm.ops.status import StatusView

MINOR: Final = frozenset({"differences", "login", "signals"})
"""The parts that only degrade the firm; all others must be ok before it is ready."""


@dataclass(frozen=True)
class Facts:
    """What the log cannot know, at the moment of asking; None = could not be found out.

    `cycle_age_s`: real seconds since the last cycle was committed. `latch`: the reason in the latch file,
    "" when there is no file. `standby_trouble`: why the standby lacks entries, and `standby_lag` how many;
    None without one.
    """

    cycle_age_s: float | None
    store_writable: bool | None
    bus_alive: bool | None
    latch: str | None
    standby_trouble: str = ""
    standby_lag: int | None = None


@dataclass(frozen=True)
class Tolerances:
    """How old things may be: real seconds since the last cycle; log seconds from the last quote to now."""

    max_cycle_age_s: float
    max_data_age_s: float


@dataclass(frozen=True)
class Readiness:
    """Whether the firm may open new risk; if not, every reason."""

    ready: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Health:
    """The state of each part. `down`: the firm does not work at all; `degraded`: it must not be trusted."""

    components: dict[str, Component]

    @property
    def status(self) -> Literal["ok", "degraded", "down"]:
        """The firm as a whole: ok only if every part is."""
        states = {component.state for component in self.components.values()}
        if "down" in states:
            return "down"
        return "ok" if states == {"ok"} else "degraded"

    def readiness(self) -> Readiness:
        """Ready when every part that is not `MINOR` is ok."""
        needed = [(name, part) for name, part in self.components.items() if name not in MINOR]
        reasons = tuple(f"{name}: {part.reason}" for name, part in needed if part.state != "ok")
        return Readiness(not reasons, reasons)

    def as_dict(self) -> dict[str, object]:
        """The answer of `/health`."""
        parts = {name: {"state": c.state, "reason": c.reason} for name, c in self.components.items()}
        return {"status": self.status, "components": parts}


def assess(status: StatusView, facts: Facts, tolerances: Tolerances) -> Health:
    """Judge every part."""
    return Health(
        {
            "bus": _bus(facts),
            "store": _store(facts),
            "cycles": _cycles(facts, tolerances),
            "broker": broker_health.broker(status),
            "circuit": broker_health.circuit(status),
            "reconciliation": broker_health.reconciliation(status),
            "differences": broker_health.differences(status),
            "data": broker_health.data(status, tolerances.max_data_age_s),
            "login": broker_health.login(status),
            "risk": _risk(status),
            "trading": _trading(status, facts),
            "agents": _agents(status),
            "signals": _signals(status),
        }
    )


def _bus(facts: Facts) -> Component:
    match facts.bus_alive:
        case None:
            return Component("unknown", "nobody could ask the event bus; look whether its process runs")
        case False:
            return Component("down", "the event bus does not run; start the firm again on the same directory")
        case True:
            return Component("ok", "running")


def _store(facts: Facts) -> Component:
    match facts.store_writable:
        case None:
            return Component("unknown", "it is not known whether the log can be written; look at the disk")
        case False:
            return Component("down", "the log cannot be written; free the disk or repair its permissions")
        case True if facts.standby_trouble:
            return Component("degraded", f"{facts.standby_trouble}; it lacks {facts.standby_lag} entries")
        case True:
            return Component("ok", "writable")


def _cycles(facts: Facts, tolerances: Tolerances) -> Component:
    age, limit = facts.cycle_age_s, tolerances.max_cycle_age_s
    if age is None:
        return Component("unknown", "no cycle has finished yet; wait for the broker's first report")
    if age > limit:
        return Component(
            "degraded",
            f"the last cycle finished {age:.0f} s ago, allowed are {limit:g} s (ops.max_cycle_age_s);"
            " look at the broker gateway and the event bus",
        )
    return Component("ok", f"the last cycle finished {age:.1f} s ago")


def _risk(status: StatusView) -> Component:
    if status.risk_failed is not None:
        return Component(
            "degraded", f"the last risk run failed: {status.risk_failed}; no new risk until one succeeds"
        )
    if not status.risk_fed:
        return Component(
            "unknown",
            "no VaR has been measured yet; it needs history of risk.var.min_history_bars and a decision",
        )
    if status.decisions_without_risk:
        return Component(
            "degraded",
            f"VaR was not measured at the last {status.decisions_without_risk} decisions; look whether prices"
            " of all positions and enough history are there",
        )
    if status.risk_unknown:
        return Component(
            "degraded",
            f"limits that lack an input let no new risk pass: {'; '.join(status.risk_unknown)}",
        )
    return Component("ok", "VaR was measured at the last decision")


def _trading(status: StatusView, facts: Facts) -> Component:
    how = "to trade again: firm rearm DIR --by NAME --reason TEXT"
    if status.halted is not None:
        return Component("degraded", f"trading is halted: {status.halted}; {how}")
    if facts.latch is None:
        return Component("unknown", "the latch file could not be looked at; look at the run's directory")
    if facts.latch:
        return Component("degraded", f"the latch file halts all orders: {facts.latch}; {how}")
    return Component("ok", "not halted")


def _agents(status: StatusView) -> Component:
    if status.poisoned:
        listed = "; ".join(f"{name} on entry {seq}" for name, seq in status.poisoned)
        return Component(
            "degraded",
            f"failed and not asked any more: {listed}; to pass over the entry:"
            " firm skip DIR AGENT SEQ --by NAME --reason TEXT",
        )
    return Component("ok", "no agent has failed")


def _signals(status: StatusView) -> Component:
    if status.barrier is None:
        return Component("unknown", "no decision has been taken yet")
    answered, expected = status.barrier
    if answered < expected:
        return Component("degraded", f"{answered} of {expected} signals came in time at the last decision")
    return Component("ok", f"all {expected} signals came in time at the last decision")
