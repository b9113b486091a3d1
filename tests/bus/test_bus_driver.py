"""The loop: inputs in a fixed order, time that never goes back, logs that do not depend on who is called."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest
import stage
import whole_firm
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import BASE, HOUR, MINUTE, OPEN, TAPE, ChangedCrew, StageBroker, play

from firm.bus.gateway import CommandBatch, Page
from firm.errors import ReplayDiverged
from firm.events import CODEC, INPUT_AUTHORS, Event, Origin
from firm.events.external import ExternalEvent, Topic
from firm.events.market import MarketData
from firm.events.orders import OrderFilled
from firm.events.risk import RiskRunCompleted
from firm.events.scheduled import ScheduledTick
from firm.events.signals import LateAnswer
from firm.events.system import (
    CycleOpened,
    OperatorHaltRequested,
    Reconciled,
    RunStarted,
    ShutdownRequested,
)
from firm.store.memory import MemoryStore

CONFIG = whole_firm.settings(*BASE)
NEWS = ExternalEvent(Topic.NEWS, "KO", "dividend raised", "wire")
RECONCILED = Reconciled((), Decimal(1_000_000), ())


class Desk:
    """An operator who says something once, with the first batch after a time of the log."""

    def __init__(self, store: MemoryStore, after: int, *wishes: Event) -> None:
        self._store, self._after, self._wishes = store, after, list(wishes)

    def take(self, halted: str | None) -> list[Event]:
        del halted
        now = self._store.read(since=self._store.last_seq - 1)[0].at
        if now < self._after:
            return []
        wishes, self._wishes = self._wishes, []
        return wishes

    def done(self, halted: str | None) -> None:
        del halted


def last_cycle(store: MemoryStore) -> list[Event]:
    """The inputs of the last cycle, in order."""
    opened = store.read(kinds={CycleOpened.KIND})[-1]
    inputs = store.read(since=opened.seq, limit=CODEC.event(opened).inputs)
    assert {record.origin for record in inputs} == {Origin.INPUT}
    assert [record.author for record in inputs] == [INPUT_AUTHORS[type(CODEC.event(r))] for r in inputs]
    return [CODEC.event(record) for record in inputs]


def test_a_batch_is_ordered_late_operator_broker_scheduled_external_market():
    store = MemoryStore()
    crew = ChangedCrew(CONFIG)
    halt = OperatorHaltRequested("drill")
    firm = whole_firm.driver(
        CONFIG,
        TAPE,
        store=store,
        crew=crew,
        broker=StageBroker(CONFIG, {OPEN[1] + 30 * MINUTE: [RECONCILED]}),
        operator=Desk(store, OPEN[1], NEWS, halt),
    )
    while firm.cycle.at < OPEN[1]:
        firm.step()
    crew._overdue = [LateAnswer("momentum", "KO", 15)]
    firm.step()

    assert [type(event) for event in last_cycle(store)] == [
        LateAnswer,
        OperatorHaltRequested,
        Reconciled,
        ScheduledTick,
        ExternalEvent,
        MarketData,
    ]


def test_a_shutdown_reconciles_first_and_ends_the_firm():
    store = MemoryStore()
    firm = whole_firm.driver(
        CONFIG, TAPE, store=store, operator=Desk(store, OPEN[1], ShutdownRequested("maintenance"))
    )
    steps = 0
    while firm.step():
        steps += 1

    kinds = [type(event) for event in last_cycle(store)]
    assert kinds[0] is Reconciled
    assert ShutdownRequested in kinds
    assert firm.finished
    assert not firm.step()
    assert store.read()[-1].at < OPEN[1] + HOUR


def test_data_that_have_ended_stay_ended_and_an_operators_shutdown_does_not():
    log = play()
    again = whole_firm.driver(CONFIG, TAPE, store=log)
    assert again.finished
    assert whole_firm.events(log, ShutdownRequested) == [ShutdownRequested("end of data")]

    store, broker = MemoryStore(), StageBroker(CONFIG)
    stop = Desk(store, OPEN[1], ShutdownRequested("maintenance"))
    firm = whole_firm.driver(CONFIG, TAPE, store=store, broker=broker, operator=stop)
    while firm.step():
        pass
    resumed = whole_firm.driver(CONFIG, TAPE, store=store, broker=broker)
    while resumed.step():
        pass
    assert len(whole_firm.events(store, OrderFilled)) == len(whole_firm.events(log, OrderFilled))


class Jittery:
    """A broker whose clock is now and then hours behind."""

    def __init__(self, inner: StageBroker) -> None:
        self._inner, self._turns = inner, 0
        self.open, self.reconcile, self.close = inner.open, inner.reconcile, inner.close

    def turn(self, acked: int, batch: CommandBatch, until: int | None) -> Page:
        self._turns += 1
        page = self._inner.turn(acked, batch, until)
        return replace(page, at=page.at - 3 * HOUR) if self._turns % 3 == 0 else page


def test_log_time_never_goes_back_even_if_the_brokers_clock_does():
    store = MemoryStore()
    firm = whole_firm.driver(CONFIG, TAPE, store=store, broker=Jittery(StageBroker(CONFIG)))
    while firm.step():
        pass
    times = [record.at for record in store.read()]

    assert times == sorted(times)
    assert len(whole_firm.events(store, OrderFilled)) > 20
    with pytest.raises(AssertionError, match="log time cannot go back"):
        firm.cycle.run(firm.cycle._log, [], times[-1] - 1)


def test_every_cycle_is_numbered_and_carries_one_time():
    log = play()
    opened = [(r, CODEC.event(r)) for r in log.read(kinds={CycleOpened.KIND})]

    assert [event.cycle for _, event in opened] == list(range(1, len(opened) + 1))
    edges = [*(record.seq for record, _ in opened), log.last_seq + 1]
    for start, end in pairwise(edges):
        assert len({record.at for record in log.read(since=start - 1, limit=end - start)}) == 1


def test_a_log_that_was_changed_stops_the_restart():
    records = play().read()
    wrong = [
        r._replace(payload=r.payload[:-1] + b"\x00") if r.kind == RiskRunCompleted.KIND else r
        for r in records
    ]
    store = MemoryStore()
    store.commit(wrong[:-2])

    with pytest.raises(ReplayDiverged):
        whole_firm.driver(CONFIG, TAPE, store=store)


def called_by(seed: int, share: float) -> MemoryStore:
    """A run in which agents are also called when they have nothing to answer, now and then, or always."""
    store, dice = MemoryStore(), Random(seed)
    firm = whole_firm.driver(CONFIG, TAPE, store=store, broker=StageBroker(CONFIG))
    needed = firm.cycle._inboxes.called

    def called(names: list[str]) -> list[str]:
        must = needed(names)
        return [name for name in names if name in must or dice.random() < share]

    firm.cycle._inboxes.called = called
    while firm.step():
        pass
    return store


def test_calling_every_agent_in_every_cycle_writes_the_same_log():
    assert called_by(0, 1.0).head == play().head


@given(st.integers(0, 10**9), st.floats(0.1, 0.9))
@settings(max_examples=8, deadline=None)
def test_who_is_called_and_who_is_told_later_makes_no_difference(seed: int, share: float):
    assert called_by(seed, share).head == play().head


def test_the_first_entry_is_written_before_anything_else_and_only_once():
    log = play()

    assert len(whole_firm.events(log, RunStarted)) == 1
    first = log.read(limit=1)[0]
    assert (first.seq, first.at, first.author, first.origin) == (1, 0, "bus", Origin.INPUT)
    assert stage.decisions(log)
