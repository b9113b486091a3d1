"""The wiring of the firm: who says what, who hears what, and that nobody says what is another's to say."""

import inspect
from typing import Any, get_type_hints

import pytest
import whole_firm

from firm import events
from firm.agents.agent import Agent, answered_by, heard_by, said_by
from firm.bus.halt import HaltLatch
from firm.events import (
    EVENTS,
    INPUT_AUTHORS,
    USER_EVENT_TYPES,
    Event,
    broker,
    external,
    market,
    orders,
    risk,
    scheduled,
    signals,
    system,
)
from firm.roster import AGENTS, agent_names, hire, rules

MODULES = (market, scheduled, external, signals, orders, risk, system, broker)
BUS_ANSWERS = {system.TradingHalted, system.TradingRearmed}
SIGNALS = {signals.Signal}
RISK_RUN = {risk.RiskRunCompleted}


def declared() -> list[type[Event]]:
    """Every event class in the source."""
    return [
        thing
        for module in MODULES
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Event) and thing.__module__ == module.__name__
    ]


def sayers(cls: type[Event]) -> list[str]:
    """Everybody who may put this event in the log."""
    names = [agent.name for agent in AGENTS if cls in said_by(agent)]
    names += [INPUT_AUTHORS[cls]] if cls in INPUT_AUTHORS else []
    names += ["bus"] if cls in BUS_ANSWERS else []
    names += ["signal agents"] if cls in SIGNALS else []
    names += ["risk run"] if cls in RISK_RUN else []
    return names


def test_every_event_class_is_listed_with_a_number_of_its_own():
    assert set(declared()) == set(EVENTS)
    assert len(EVENTS) == len(set(EVENTS))
    kinds = [cls.KIND for cls in EVENTS]
    assert len(set(kinds)) == len(kinds)
    assert all("KIND" in vars(cls) for cls in EVENTS), "a number is never inherited"


@pytest.mark.parametrize("cls", EVENTS, ids=lambda cls: cls.__name__)
def test_every_event_has_exactly_one_author(cls: type[Event]):
    assert len(sayers(cls)) == 1, f"{cls.__name__} is said by {sayers(cls)}"


def test_inputs_come_from_the_bus_the_clock_the_broker_and_the_operator_only():
    assert set(INPUT_AUTHORS.values()) == {"bus", "clock", "broker", "operator"}
    assert not set(INPUT_AUTHORS.values()) & {agent.name for agent in AGENTS}


@pytest.mark.parametrize(
    ("cls", "agent"),
    [
        (orders.OrderProposed, "cio"),
        (orders.OrderApproved, "risk"),
        (orders.RiskRefused, "risk"),
        (orders.OrderCleared, "compliance"),
        (orders.ComplianceRefused, "compliance"),
        (orders.OrderSubmitted, "execution"),
        (orders.OrderCancelRequested, "execution"),
        (risk.PositionChanged, "bookkeeper"),
        (risk.RiskHaltRequested, "risk"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_duties_are_segregated(cls: type[Event], agent: str):
    assert sayers(cls) == [agent]


def test_only_the_bus_halts_and_rearms():
    for cls in BUS_ANSWERS:
        assert sayers(cls) == ["bus"]
    hints = get_type_hints(HaltLatch.answer)["return"]
    assert set(hints.__args__) - {type(None)} == BUS_ANSWERS


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
def test_an_agent_notes_only_what_it_hears_and_hears_only_what_is_said(agent: type[Agent]):
    assert agent.notes <= heard_by(agent)
    assert answered_by(agent) == heard_by(agent) - agent.notes
    assert answered_by(agent), "an agent that answers nothing is never called"
    assert heard_by(agent) | said_by(agent) <= set(EVENTS)


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
def test_what_an_agent_says_concerns_somebody(agent: type[Agent]):
    heard = frozenset().union(*(heard_by(other) for other in AGENTS))
    bus = {CLS for CLS in EVENTS if CLS.KIND in HaltLatch.REQUESTS} | {
        risk.RiskRunRequested,
        scheduled.TimerRequested,
        orders.OrderSubmitted,
        orders.OrderCancelRequested,
    }
    for the_record_only in said_by(agent) - heard - bus:
        assert the_record_only in {orders.RiskRefused, risk.RiskMeasured}


def test_the_ten_event_types_of_the_specification_have_classes_that_exist():
    assert list(USER_EVENT_TYPES) == [
        "market_data",
        "tick",
        "order_submit",
        "order_fill",
        "order_cancel",
        "order_reject",
        "signal",
        "scheduled_tick",
        "kill_switch",
        "shutdown",
    ]
    for classes in USER_EVENT_TYPES.values():
        assert classes
        assert set(classes) <= set(EVENTS)
    refusals = {orders.RiskRefused, orders.ComplianceRefused, orders.BrokerRejected}
    assert set(USER_EVENT_TYPES["order_reject"]) >= refusals


def test_every_agent_can_be_hired_afresh_and_sits_in_the_seat_of_its_class():
    config = whole_firm.settings()
    for name, agent in zip(agent_names(), AGENTS, strict=True):
        first, second = hire(name, config), hire(name, config)
        assert type(first) is type(second) is agent
        assert first is not second
        assert first.name == name
    with pytest.raises(KeyError):
        hire("janitor", config)


def test_the_rules_seat_everybody_and_wait_for_the_configured_signal_agents():
    config = whole_firm.settings()
    made = rules(config)

    assert [seat.name for seat in made.seats] == ["bookkeeper", "risk", "cio", "compliance", "execution"]
    assert [agent.name for agent in made.signals] == ["momentum", "stat_arb"]
    assert (made.barrier_timeout_ms, made.risk_timeout_ms) == (5000, 5000)
    momentum, stat_arb = config.signals.momentum, config.signals.stat_arb
    assert made.window_bars == max(momentum.lookback_bars + momentum.skip_bars + 1, stat_arb.lookback_bars)
    assert [a.name for a in rules(whole_firm.settings("signals.momentum=null")).signals] == ["stat_arb"]


def test_every_event_class_says_in_its_docstring_what_it_means():
    for cls in EVENTS:
        doc: Any = inspect.getdoc(cls)
        assert doc, cls.__name__
        assert len(doc.split()) > 3, cls.__name__
    assert events.CODEC.classes == {cls.KIND: cls for cls in EVENTS}
