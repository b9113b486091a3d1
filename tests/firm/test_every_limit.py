"""Every control of Risk, Compliance and Execution stops an order in the whole firm; loosened, it does not."""

import re
from decimal import Decimal
from types import ModuleType
from typing import TypeAlias

import pytest
import whole_firm
from case import KO, Case
from controls import CASES
from stage import decisions, proposals, submitted

from firm.compliance import pretrade
from firm.events import CODEC
from firm.events.orders import ComplianceRefused, ExecutionRefused, OrderSubmitted, RiskRefused
from firm.events.risk import RiskMeasured
from firm.execution import last_gate
from firm.ops.health import Component, Facts, Tolerances, assess
from firm.ops.status import Status
from firm.risk import fed_figures, figures, limits, opening_rules
from firm.store.memory import MemoryStore

Refusal: TypeAlias = RiskRefused | ComplianceRefused | ExecutionRefused

FLOORS: dict[str, tuple[tuple[ModuleType, ...], type[Refusal]]] = {
    "risk": ((limits, opening_rules, figures, fed_figures), RiskRefused),
    "compliance": ((pretrade,), ComplianceRefused),
    "execution": ((last_gate,), ExecutionRefused),
}


def controls_of(floor: str) -> set[str]:
    """The names of all controls in a floor's source: every class that can object, but the protocol."""
    return {
        f"{floor}.{cls.name}"
        for module in FLOORS[floor][0]
        for cls in vars(module).values()
        if isinstance(cls, type)
        and cls.__module__ == module.__name__
        and hasattr(cls, "objection")
        and "name" in vars(cls)
    }


def refusals_of(log: MemoryStore, orders: set[int]) -> list[Refusal]:
    found = whole_firm.events(log, RiskRefused, ComplianceRefused, ExecutionRefused)
    return [refusal for refusal in found if refusal.order_seq in orders]


def filed_under(refusal: Refusal) -> str:
    match refusal:
        case RiskRefused(limit=name) | ComplianceRefused(rule=name) | ExecutionRefused(gate=name):
            return name


def sent(log: MemoryStore, order_seq: int) -> Decimal:
    """How much of an order went to the broker."""
    children = [event for event in whole_firm.events(log, OrderSubmitted) if event.order_seq == order_seq]
    return sum((event.child.quantity for event in children), start=Decimal(0))


def refused(refusals: list[Refusal], order_seq: int, whole: Decimal) -> Decimal:
    """How much of an order was refused: Execution refuses slice by slice, the others all."""
    mine = [refusal for refusal in refusals if refusal.order_seq == order_seq]
    parts = [refusal.quantity if isinstance(refusal, ExecutionRefused) else whole for refusal in mine]
    return sum(parts, start=Decimal(0))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.control} {case.title}".strip())
def test_the_control_stops_the_order_with_the_numbers_and_lets_it_go_when_loosened(case: Case):
    floor, name = case.control.split(".")
    log = case.run(tight=True)
    asked = {
        seq: proposal.order
        for seq, proposal in proposals(log, case.decision).items()
        if case.only in (None, proposal.order.instrument)
    }
    refusals = refusals_of(log, set(asked))

    assert refusals, f"{case.control} did not fire"
    assert {(type(refusal), filed_under(refusal)) for refusal in refusals} == {(FLOORS[floor][1], name)}
    pattern = re.escape(case.reason).replace(r"\#", r"[-\w.+]+")
    for refusal in refusals:
        assert re.fullmatch(pattern, refusal.reason), refusal.reason
    stopped = {refusal.order_seq: asked[refusal.order_seq] for refusal in refusals}
    for seq, order in stopped.items():
        assert sent(log, seq) + refused(refusals, seq, order.quantity) == order.quantity

    loosened = case.run(tight=False)
    passed = [p.order for s, p in proposals(loosened, case.decision).items() if s in submitted(loosened)]
    if case.same:
        assert set(stopped.values()) <= set(passed)
    else:
        assert (case.only if case.only in range(20) else KO) in {order.instrument for order in passed}


def risk_health(log: MemoryStore, decision: int) -> tuple[Component, tuple[str, ...]]:
    """How the firm's health saw risk right after a decision, and why it was not ready."""
    status = Status()
    for record in log.read(limit=decisions(log)[decision][1]):
        status.note(record)
    well = Facts(cycle_age_s=0.5, store_writable=True, bus_alive=True, latch="")
    health = assess(status.view(), well, Tolerances(max_cycle_age_s=60, max_data_age_s=27_000))
    return health.components["risk"], health.readiness().reasons


BLIND = [case for case in CASES if case.blind]


@pytest.mark.parametrize("case", BLIND, ids=lambda case: f"{case.control} {case.title}".strip())
def test_a_limit_without_its_input_is_named_and_the_firm_is_not_ready(case: Case):
    log, loosened = case.run(tight=True), case.run(tight=False)
    start, end = decisions(log)[case.decision]
    said = log.read(since=start, kinds={RiskMeasured.KIND})
    measured = [CODEC.event(record) for record in said if record.seq < end]

    part, reasons = risk_health(log, case.decision)
    well, others = risk_health(loosened, case.decision)

    assert part.state in ("degraded", "unknown")
    assert f"risk: {part.reason}" in reasons
    for report in measured:
        assert case.reason in report.unknown
        assert case.reason in part.reason
    assert well == Component("ok", "VaR was measured at the last decision")
    assert not [reason for reason in others if reason.startswith("risk: ")]


@pytest.mark.parametrize("floor", FLOORS)
def test_no_control_is_without_a_case_that_trips_it(floor: str):
    names = controls_of(floor)

    assert len(names) > 5
    assert names == {case.control for case in CASES if case.control.startswith(f"{floor}.")}
