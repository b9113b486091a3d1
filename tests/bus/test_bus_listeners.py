"""How an agent is heard: its words are numbered, what it may not say is refused, half a state is no state."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import deaf_to, handled, twisted

from firm.agents.agent import Agent
from firm.agents.bookkeeper import Bookkeeper
from firm.agents.compliance import Compliance
from firm.agents.execution import Execution
from firm.bus.inbox import Inboxes
from firm.bus.relay import Listener, Relay, Seat, Stage, seat_of
from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.errors import AgentFault, AgentStale
from firm.events import CODEC, Event, Origin, Record, encode
from firm.events.orders import OrderFilled
from firm.events.risk import PositionChanged
from firm.events.scheduled import Occasion, ScheduledTick
from firm.events.system import (
    BrokerConnected,
    CycleAborted,
    EntrySkipped,
    InstrumentsResolved,
    Reconciled,
    TradingHalted,
)
from firm.store.memory import MemoryStore

KO = Instrument(0, "KO", 1, "STK", "SIM", "USD", Decimal(1), Decimal("0.01"), Decimal(1))
OPENING = (
    InstrumentsResolved((KO,)),
    BrokerConnected("DU1", Decimal(1000)),
    Reconciled((), Decimal(1000), ()),
)


def fill(number: int) -> OrderFilled:
    return OrderFilled(5, f"exec-{number}", 1, 0, Side.BUY, Decimal(number), Decimal(10), "SIM")


def numbered(events: Sequence[Event], first: int = 1, author: str = "broker") -> tuple[Record, ...]:
    return tuple(
        Record(seq, 50, Origin.INPUT, author, 0, 0, event.KIND, encode(event))
        for seq, event in enumerate(events, first)
    )


def listening(change: Callable[[type[Agent]], type[Agent]] = lambda cls: cls) -> Listener:
    listener = Listener(lambda: change(Bookkeeper)(60_000))
    listener.recover(())
    return listener


def test_what_is_said_is_numbered_on_with_its_cause_and_place():
    inbox = numbered([*OPENING, fill(1)])
    before = Relay(60, 11, numbered([fill(2)], first=10))

    after = listening().hear(inbox, before)

    assert after.next_seq == 13
    assert after.said[:1] == before.said
    assert [(r.seq, r.at, r.origin, r.author, r.cause, r.index) for r in after.said[1:]] == [
        (11, 60, Origin.DERIVED, "bookkeeper", 4, 0),
        (12, 60, Origin.DERIVED, "bookkeeper", 10, 0),
    ]
    assert [CODEC.event(r).quantity for r in after.said[1:]] == [1, 3]


def test_what_an_agent_does_not_listen_to_is_not_told_to_it():
    halted = numbered([TradingHalted("drill")], author="bus")

    assert listening().hear(halted, Relay(60, 2, ())) == Relay(60, 2, ())


def test_undeclared_speech_is_refused():
    talkative = listening(twisted(lambda event: OPENING[1] if isinstance(event, PositionChanged) else event))

    with pytest.raises(
        AgentFault, match=r"bookkeeper failed on entry 4: .*BrokerConnected, which it may not say"
    ):
        talkative.hear(numbered([*OPENING, fill(1)]), Relay(60, 5, ()))


def test_answering_what_one_only_notes_is_refused():
    def eager(cls: type[Agent]) -> type[Agent]:
        return handled(cls, lambda _self, _entry: [PositionChanged(0, *[Decimal(0)] * 4)])

    with pytest.raises(AgentFault, match=r"failed on entry 1: .*answered what it only notes"):
        listening(eager).hear(numbered(OPENING), Relay(60, 4, ()))


def test_a_new_agent_and_one_that_has_failed_are_stale_until_they_recover():
    listener = Listener(lambda: Bookkeeper(60_000))
    with pytest.raises(AgentStale, match="bookkeeper"):
        listener.hear((), Relay(60, 1, ()))
    listener.recover(())

    with pytest.raises(AgentFault, match="on entry 1: AssertionError: the broker reported before") as fault:
        listener.hear(numbered([fill(1)]), Relay(60, 2, ()))
    assert (fault.value.agent, fault.value.seq) == ("bookkeeper", 1)
    with pytest.raises(AgentStale):
        listener.hear(numbered(OPENING), Relay(60, 2, ()))

    listener.recover(numbered(OPENING))
    assert len(listener.hear(numbered([fill(1)], first=4), Relay(60, 5, ())).said) == 1


@given(st.integers(0, 8), st.lists(st.integers(1, 9), max_size=8))
def test_recovered_at_any_point_an_agent_goes_on_as_if_it_had_heard_all_along(at: int, fills: list[int]):
    inbox = numbered([*OPENING, *map(fill, fills)])
    at = min(at, len(inbox))
    relay = Relay(60, len(inbox) + 1, ())
    listener = listening()

    whole = listening().hear(inbox, relay).said
    first = listener.hear(inbox[:at], relay).said
    listener.recover(inbox[:at])
    second = listener.hear(inbox[at:], relay).said

    assert [r.payload for r in (*first, *second)] == [r.payload for r in whole]


def test_a_seat_is_read_off_the_type_hints():
    seat = seat_of(Bookkeeper)

    assert seat.name == "bookkeeper"
    assert {OrderFilled.KIND, ScheduledTick.KIND, Reconciled.KIND} == seat.answers
    assert seat.answers < seat.hears
    assert seat_of(deaf_to(OrderFilled)(Bookkeeper)) == seat


A, B, C = BrokerConnected.KIND, Reconciled.KIND, PositionChanged.KIND
SEATS = (
    Seat("keeper", frozenset({A, B}), frozenset({B}), frozenset({C})),
    Seat("clerk", frozenset({A, C}), frozenset({C}), frozenset()),
    Seat("idler", frozenset({A}), frozenset(), frozenset()),
)


class Told:
    """Inboxes over a log that grows, and what everybody should have heard."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.inboxes = Inboxes(SEATS, self.store)

    def route(self, event: Event) -> int:
        seq = self.store.last_seq + 1
        (record,) = numbered([event], seq)
        self.store.commit([record])
        self.inboxes.route(record)
        return seq

    def waiting(self, name: str) -> list[int]:
        return [record.seq for record in self.inboxes.stage(name).inbox]

    def heard(self, name: str) -> list[int]:
        return [record.seq for record in self.inboxes.memory(name)]


EVENTS = {"note": OPENING[1], "question": OPENING[2], "answer": PositionChanged(0, *[Decimal(0)] * 4)}


def test_who_has_only_notes_is_not_called_and_who_may_be_answered_is():
    told = Told()
    names = ["keeper", "clerk", "idler"]

    told.route(EVENTS["note"])
    assert told.inboxes.called(names) == []
    told.route(EVENTS["question"])
    assert told.inboxes.called(names) == ["keeper", "clerk"], "the keeper may say what the clerk answers"
    assert told.inboxes.called(["clerk", "keeper"]) == ["keeper"]
    assert told.inboxes.stage("keeper") == Stage("keeper", tuple(told.store.read()))


def test_what_was_said_in_the_own_chain_is_not_told_again():
    told = Told()
    (record,) = numbered([EVENTS["answer"]])

    told.inboxes.route(record, heard_already=["clerk"])

    assert told.waiting("clerk") == []


def test_an_agent_that_is_ill_is_not_called_and_hears_on_where_it_stopped_after_the_skip():
    told = Told()
    told.route(EVENTS["note"])
    told.inboxes.heard(["keeper"])
    failed = told.route(EVENTS["question"])
    other = told.route(EVENTS["question"])
    told.inboxes.poison(CycleAborted("keeper", failed, "KeyError", failed - 1))
    later = told.route(EVENTS["note"])

    assert told.inboxes.called(["keeper"]) == []
    told.inboxes.skip(EntrySkipped("keeper", other, "Ada", "the wrong one"))
    told.inboxes.skip(EntrySkipped("clerk", failed, "Ada", "the wrong agent"))
    assert told.inboxes.called(["keeper"]) == []
    assert told.waiting("keeper") == [failed, other, later]
    told.inboxes.skip(EntrySkipped("keeper", failed, "Ada", "harmless"))
    assert told.inboxes.called(["keeper"]) == ["keeper"]
    assert told.waiting("keeper") == [other, later]
    told.inboxes.heard(["keeper"])
    assert told.heard("keeper") == [1, other, later]


@given(st.lists(st.sampled_from([*EVENTS, "keeper", "clerk", "idler", "ill", "skip"]), max_size=30))
def test_heard_and_waiting_are_always_all_there_is_in_order_but_for_what_was_skipped(steps: list[str]):
    told, failed, skipped = Told(), 0, set()
    for step in steps:
        if step in EVENTS:
            told.route(EVENTS[step])
        elif step == "ill" and not failed and told.waiting("keeper"):
            failed = told.waiting("keeper")[0]
            told.inboxes.poison(CycleAborted("keeper", failed, "KeyError", failed - 1))
        elif step == "skip" and failed:
            told.inboxes.skip(EntrySkipped("keeper", failed, "Ada", "harmless"))
            skipped.add(failed)
            failed = 0
        elif step in {"keeper", "clerk", "idler"} and not (step == "keeper" and failed):
            told.inboxes.heard([step])
        for seat in SEATS:
            everything = [record.seq for record in told.store.read(kinds=seat.hears)]
            left = [seq for seq in everything if seat.name != "keeper" or seq not in skipped]
            assert told.heard(seat.name) + told.waiting(seat.name) == left


@pytest.mark.parametrize("agent", [Execution, Compliance])
def test_a_halt_passes_over_the_moments_of_those_who_send_and_of_nobody_else(agent: type[Any]):
    store = MemoryStore()
    inboxes = Inboxes([seat_of(agent), seat_of(Bookkeeper)], store)
    tick, decide, halted = numbered(
        [ScheduledTick(Occasion.TIMER, 1), ScheduledTick(Occasion.DECIDE), TradingHalted("drill")]
    )
    for record in (tick, decide):
        inboxes.route(record)

    inboxes.halt()
    inboxes.route(halted)

    assert inboxes.stage(agent.name).inbox == (halted,)
    assert inboxes.stage("bookkeeper").inbox == (tick, decide)


def test_an_inbox_that_is_full_is_heard_though_there_is_nothing_to_answer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("firm.bus.inbox.INBOX_MAX", 3)
    inboxes = Inboxes(SEATS, MemoryStore())
    called = []

    for record in numbered([BrokerConnected("DU1", Decimal(1))] * 3):
        inboxes.route(record)
        called.append(inboxes.called([seat.name for seat in SEATS]))
    inboxes.heard(called[-1])

    assert called == [[], [], ["keeper", "clerk", "idler"]]
    assert inboxes.called([seat.name for seat in SEATS]) == []
