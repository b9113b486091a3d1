"""While the broker's side is in trouble the firm opens nothing, gets out of what it has, and goes on after.

Replays, restarts and deaths in the middle of it leave no trace in the log.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
import stage
import whole_firm
from controls import COOLED, FROZEN, REOPENED, SYNCING, TRIPPED
from stage import BASE, CLOSE, MINUTE, OPEN, TAPE, ChangedCrew, StageBroker, deaf_to, ill, play, proposals

from firm.bus.replay import replay
from firm.domain.order import Side
from firm.events import CODEC, Entry, Event
from firm.events.broker import (
    BreakClass,
    BreakClosed,
    BreakFound,
    CircuitChanged,
    DataState,
    DataStateChanged,
    GateChanged,
    Severity,
)
from firm.events.orders import OrderApproved, OrderProposed, OrderSubmitted, RiskRefused
from firm.events.risk import BookMarked
from firm.events.system import Reconciled
from firm.local import LocalCrew
from firm.roster import rules
from firm.store.memory import MemoryStore

CONFIG = whole_firm.settings(*BASE)
KO = 9
BEFORE = CLOSE[1] - MINUTE
"""Just before the second decision, when the firm holds something."""
AFTER = OPEN[2] - MINUTE
"""Just before the orders of that decision are sent."""
Story = Mapping[int, Sequence[Event]]


def marked(log: MemoryStore, decision: int = 1) -> tuple[Decimal, ...]:
    start = stage.decisions(log)[decision][0]
    quantities: tuple[Decimal, ...] = CODEC.event(
        log.read(since=start, kinds={BookMarked.KIND})[0]
    ).quantities
    return quantities


def blind(before: DataState, after: DataState) -> list[Event]:
    return [DataStateChanged(i, before, after, "told") for i in range(len(TAPE.symbols))]


def disagreement() -> tuple[list[Event], list[Event]]:
    """The broker has one KO more than the firm; and how that is over."""
    held = [(i, quantity) for i, quantity in enumerate(marked(play())) if quantity]
    more = tuple((i, quantity + (i == KO)) for i, quantity in held)
    text = f"KO: the broker holds {dict(more)[KO]}, the log adds up to {dict(held)[KO]}"
    found = BreakFound(BreakClass.POSITION, Severity.CRITICAL, "KO", text)
    return [found, Reconciled(more, Decimal(0), (text,))], [
        BreakClosed(BreakClass.POSITION, "KO"),
        Reconciled(tuple(held), Decimal(0), ()),
    ]


def trouble(name: str) -> tuple[list[Event], list[Event]]:
    """What is said when it begins, and when it is over."""
    match name:
        case "data":
            lost, found = DataState.DELAYED, DataState.LIVE
            return blind(DataState.LIVE, lost), blind(lost, found)
        case "gate":
            return [FROZEN], [SYNCING, REOPENED]
        case "circuit":
            return [TRIPPED], [COOLED]
        case _:
            return disagreement()


TROUBLES = {
    "data": ("data", deaf_to(DataStateChanged)),
    "gate": ("gate", deaf_to(GateChanged)),
    "circuit": ("gate", deaf_to(CircuitChanged)),
    "break": ("reconciliation", deaf_to(Reconciled)),
}


def lived(story: Story, changes: Mapping[str, stage.Change] | None = None) -> MemoryStore:
    return play(changes=changes, story=lambda settings: StageBroker(settings, dict(story)))


def reduces(proposal: OrderProposed, held: Sequence[Decimal]) -> bool:
    order = proposal.order
    signed = held[order.instrument] * (-1 if order.side is Side.BUY else 1)
    return order.quantity <= signed


@pytest.mark.parametrize("name", TROUBLES)
def test_risk_lets_reductions_pass_and_nothing_else_while_there_is_trouble(name: str):
    begins, ends = trouble(name)
    limit, deaf = TROUBLES[name]
    log = lived({BEFORE: begins, AFTER: ends}, {"cio": deaf})
    held, asked = marked(log), proposals(log, 1)
    approved = {event.order_seq for event in whole_firm.events(log, OrderApproved)}
    refused = {event.order_seq: event.limit for event in whole_firm.events(log, RiskRefused)}
    out = {seq for seq, proposal in asked.items() if reduces(proposal, held)}
    into = set(asked) - out

    assert out
    assert into
    assert out <= approved
    assert {refused.get(seq) for seq in into} == {limit}
    assert out <= stage.submitted(log), "once it is over what was approved is sent"
    assert not into & stage.submitted(log)


@pytest.mark.parametrize("name", TROUBLES)
def test_the_cio_proposes_only_reductions_while_there_is_trouble_and_more_when_it_is_over(name: str):
    begins, ends = trouble(name)
    log = lived({BEFORE: begins, CLOSE[2] - MINUTE: ends})
    held = marked(log)
    second, third = proposals(log, 1), proposals(log, 2)

    assert second
    assert all(reduces(proposal, held) for proposal in second.values())
    assert all("only reducing: " in proposal.rationale for proposal in second.values())
    assert not all(reduces(proposal, marked(log, 2)) for proposal in third.values())
    assert set(second) & {event.order_seq for event in whole_firm.events(log, RiskRefused)} == set()


@pytest.mark.parametrize("name", ["gate", "circuit"])
def test_nothing_leaves_the_firm_while_the_broker_takes_no_orders(name: str):
    begins, ends = trouble(name)
    log = lived({OPEN[1]: begins, OPEN[1] + 45 * MINUTE: ends})
    sent = [record.at for record in log.read(kinds={OrderSubmitted.KIND}) if record.at < OPEN[2]]

    assert sent
    assert min(sent) > OPEN[1] + 45 * MINUTE, (
        "the first slices, of 30 minutes after the opening, are not sent"
    )


EVERYTHING: Story = {
    OPEN[1]: [*blind(DataState.AWAITED, DataState.LIVE), TRIPPED],
    OPEN[1] + 45 * MINUTE: [COOLED],
    BEFORE: [DataStateChanged(KO, DataState.LIVE, DataState.MISSING, "354"), FROZEN],
    AFTER: [SYNCING, REOPENED],
    CLOSE[2] - MINUTE: [DataStateChanged(KO, DataState.MISSING, DataState.LIVE, "live quotes")],
}


def test_a_replay_of_all_of_it_is_identical():
    log = lived(EVERYTHING)

    outcome = replay(log, rules(CONFIG), LocalCrew(CONFIG))

    assert outcome.head == log.head
    assert outcome.recorded == outcome.recomputed


@pytest.mark.parametrize("moment", [OPEN[1] + MINUTE, BEFORE + 1, CLOSE[1], AFTER + 1, CLOSE[2] - 1])
def test_a_restart_in_the_middle_of_it_leaves_no_trace(moment: int):
    store, broker = MemoryStore(), StageBroker(CONFIG, dict(EVERYTHING))
    firm = whole_firm.driver(CONFIG, TAPE, store=store, broker=broker)
    while store.read()[-1].at < moment:
        assert firm.step()

    again = whole_firm.driver(CONFIG, TAPE, store=store, broker=broker, crew=ChangedCrew(CONFIG))
    while again.step():
        pass

    assert store.head == lived(EVERYTHING).head


class Once:
    """Fails on the first event of a class at or after a time (ns UTC), and never again."""

    def __init__(self, at: int, cls: type[Event]) -> None:
        self._at, self._cls, self.done = at, cls, False

    def __call__(self, entry: Entry[Any]) -> bool:
        fails = not self.done and isinstance(entry.event, self._cls) and entry.at >= self._at
        self.done |= fails
        return fails


@pytest.mark.parametrize(
    ("agent", "cls"), [("risk", OrderProposed), ("cio", BookMarked), ("execution", OrderSubmitted)]
)
def test_an_agent_that_dies_in_the_middle_of_it_knows_all_of_it_again(agent: str, cls: type[Event]):
    fails = Once(CLOSE[1], cls)

    harmed = lived(EVERYTHING, {agent: ill(fails)})

    assert fails.done
    assert harmed.head == lived(EVERYTHING).head
