"""Agents that fail, answers that do not come, risk runs that break: the firm goes on and says what it did."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import stage
import whole_firm
from stage import BASE, CLOSE, OPEN, TAPE, ChangedCrew, StageBroker, ill, nursed, play, proposals

from firm.agents.signals.momentum import Momentum
from firm.agents.signals.signal_agent import MarketWindow
from firm.bus.replay import replay
from firm.events import CODEC, Entry, Event, Origin
from firm.events.orders import OrderApproved, OrderCleared, OrderFilled, OrderProposed, OrderSubmitted
from firm.events.risk import BookMarked, RiskRunCompleted, RiskRunFailed
from firm.events.signals import BarrierClosed, LateAnswer, Signal
from firm.events.system import (
    CycleAborted,
    EntrySkipped,
    OperatorRearmRequested,
    TradingHalted,
    TradingRearmed,
)
from firm.local import LocalCrew
from firm.roster import rules
from firm.store.memory import MemoryStore

Fails = Callable[[Entry[Any]], bool]
CONFIG = whole_firm.settings(*BASE)
KO = 9


class Momentary:
    """Fails the n-th time it is asked about an event class, and never again."""

    def __init__(self, cls: type[Event], n: int) -> None:
        self._cls, self._left = cls, n

    def __call__(self, entry: Entry[Any]) -> bool:
        if isinstance(entry.event, self._cls):
            self._left -= 1
        return isinstance(entry.event, self._cls) and self._left == 0


@pytest.mark.parametrize(
    ("agent", "cls", "n"),
    [
        ("bookkeeper", OrderFilled, 3),
        ("risk", OrderProposed, 5),
        ("risk", BookMarked, 2),
        ("cio", BarrierClosed, 2),
        ("cio", Signal, 7),
        ("compliance", OrderApproved, 4),
        ("execution", OrderCleared, 6),
        ("execution", OrderFilled, 2),
    ],
)
def test_an_agent_that_fails_once_leaves_no_trace_in_the_log(agent: str, cls: type[Event], n: int):
    failing = Momentary(cls, n)

    harmed = play(changes={agent: ill(failing)})

    assert failing._left < 0, "the agent never failed"
    assert harmed.head == play().head


def _on(cls: type[Event]) -> Fails:
    """Fails on the first day's decision about KO, or the first barrier."""

    def fails(entry: Entry[Any]) -> bool:
        order = getattr(entry.event, "order", None)
        return (
            isinstance(entry.event, cls)
            and entry.at == CLOSE[0]
            and (order is None or order.instrument == KO)
        )

    return fails


ALWAYS = {
    "cio": (BarrierClosed, 0),
    "risk": (OrderProposed, 17),
    "compliance": (OrderApproved, 17),
    "execution": (OrderCleared, 17),
}


@pytest.mark.parametrize("agent", ALWAYS)
def test_an_agent_that_always_fails_on_an_entry_aborts_the_cycle_and_halts(agent: str):
    cls, proposed = ALWAYS[agent]
    log = play(changes={agent: ill(_on(cls))})
    ((aborted, at),) = [(CODEC.event(r), r.at) for r in log.read(kinds={CycleAborted.KIND})]
    failed = CODEC.event(log.read(since=aborted.failed_seq - 1, limit=1)[0])

    assert (aborted.stage, at) == (agent, CLOSE[0])
    assert aborted.reason == "RuntimeError: feeling unwell"
    assert isinstance(failed, cls)
    assert whole_firm.events(log, TradingHalted) == [
        TradingHalted(f"{agent} failed twice on entry {aborted.failed_seq}: RuntimeError: feeling unwell")
    ]
    assert [len(proposals(log, i)) for i in (0, 1, 2)] == [proposed, 0, 0]
    assert not whole_firm.events(log, OrderSubmitted)
    assert len(whole_firm.events(log, BookMarked)) == 3, "the bookkeeper goes on"


@pytest.mark.parametrize("agent", ALWAYS)
def test_after_a_named_person_skipped_the_entry_and_rearmed_the_firm_trades_again(agent: str):
    log, story = nursed(agent, _on(ALWAYS[agent][0]))
    aborted_cycle, later = set(proposals(log, 0)), proposals(log, 1)
    sent = stage.submitted(log)

    assert [type(e) for events in story.values() for e in events] == [EntrySkipped, OperatorRearmRequested]
    assert len(whole_firm.events(log, TradingRearmed)) == 1
    assert not sent & aborted_cycle, "orders of the aborted cycle count as refused"
    assert len(later) == 18, "the CIO has forgotten them, and wants all it would want from a flat book"
    assert sent & set(later) == set(later), "Risk has forgotten them: nothing of the new ones is too much"


def test_a_rearm_is_void_while_anyone_is_ill():
    skipped_first, story = nursed("risk", _on(OrderProposed))
    (skip,), (rearm,) = story.values()
    noon = OPEN[1] + 2 * stage.HOUR
    times = {OPEN[1]: [rearm], noon: [skip]}
    changes = {"risk": ill(_on(OrderProposed))}

    rearmed_first = play(changes=changes, story=lambda settings: StageBroker(settings, times))

    assert len(whole_firm.events(skipped_first, TradingRearmed)) == 1
    assert whole_firm.events(rearmed_first, TradingRearmed) == []
    assert len(whole_firm.events(rearmed_first, TradingHalted)) == 1
    assert not stage.submitted(rearmed_first)
    assert replay(rearmed_first, rules(CONFIG), LocalCrew(CONFIG)).head == rearmed_first.head


@pytest.mark.parametrize("agent", [*ALWAYS, "bookkeeper"])
def test_a_log_with_an_abort_replays_with_agents_in_good_health(agent: str):
    fails = _on(ALWAYS[agent][0]) if agent in ALWAYS else _first_fill
    log, _ = nursed(agent, fails)
    assert len(whole_firm.events(log, CycleAborted)) == 1

    healthy = replay(log, rules(CONFIG), LocalCrew(CONFIG))

    assert healthy.head == log.head
    assert healthy.recomputed == healthy.recorded


def _first_fill(entry: Entry[Any]) -> bool:
    return isinstance(entry.event, OrderFilled) and entry.event.exec_id == "0000e0d5.00000001.01"


@pytest.mark.parametrize("healthy", [False, True], ids=["still ill", "repaired"])
def test_a_firm_restarted_with_an_ill_agent_stays_halted_until_a_person_skips(healthy: bool):
    expected, story = nursed("risk", _on(OrderProposed))
    store, broker = MemoryStore(), StageBroker(CONFIG, story)
    changes = {"risk": ill(_on(OrderProposed))}
    firm = whole_firm.driver(CONFIG, TAPE, store=store, broker=broker, crew=ChangedCrew(CONFIG, changes))
    while firm.cycle.halt.reason is None:
        firm.step()

    crew = ChangedCrew(CONFIG, {} if healthy else changes)
    again = whole_firm.driver(CONFIG, TAPE, store=store, broker=broker, crew=crew)

    assert again.cycle.halt.reason == whole_firm.events(store, TradingHalted)[0].reason
    while again.step():
        pass
    assert store.head == expected.head


class MoodyMomentum(Momentum):
    """Momentum that cannot bear some symbols."""

    dislikes: tuple[str, ...] = ()

    def signals(self, window: MarketWindow, units: Sequence[str]) -> list[Signal]:
        for unit in units:
            if unit in self.dislikes:
                raise ZeroDivisionError(unit)
        return super().signals(window, units)


def moody(*dislikes: str) -> ChangedCrew:
    crew = ChangedCrew(CONFIG)
    agent = MoodyMomentum(CONFIG.signals.momentum)
    agent.dislikes = dislikes
    crew._signals = {agent.name: agent}
    return crew


def test_a_unit_whose_agent_raises_is_missing_and_the_others_are_used(capfd: pytest.CaptureFixture[str]):
    log = play(crew=moody("KO", "MRK"))
    free = play()

    assert (
        whole_firm.events(log, BarrierClosed)
        == [BarrierClosed(20, 18, (("momentum", "KO"), ("momentum", "MRK")))] * 3
    )
    assert "ZeroDivisionError: KO" in capfd.readouterr().err
    ordered = {p.order.instrument: p.order for p in proposals(log, 0).values()}
    wanted = {p.order.instrument: p.order for p in proposals(free, 0).values()}
    assert set(wanted) - set(ordered) == {KO, 11}
    assert len(ordered) == 15
    for i in (0, 1, 2):
        assert not {KO, 11} & {p.order.instrument for p in proposals(log, i).values()}


def test_below_the_quorum_only_reducing_orders_are_proposed():
    symbols = TAPE.symbols
    crew = ChangedCrew(
        CONFIG, missing=lambda cycle: [("momentum", s) for s in symbols[:12]] if cycle > 20 else []
    )
    log, free = play(crew=crew), play()
    start = stage.decisions(log)[1][0]
    marked = CODEC.event(log.read(since=start, limit=1, kinds={BookMarked.KIND})[0])

    assert whole_firm.events(log, BarrierClosed)[1].answered == 8
    orders = [p.order for p in proposals(log, 1).values()]
    assert orders
    for order in orders:
        held = marked.quantities[order.instrument]
        assert held * order.side.sign < 0
        assert order.quantity <= abs(held)
    assert any(
        marked.quantities[p.order.instrument] * p.order.side.sign >= 0 for p in proposals(free, 1).values()
    )


def test_late_answers_are_recorded_unused_and_nobody_is_asked_again_in_replay():
    late = ("momentum", "KO")
    log = play(crew=ChangedCrew(CONFIG, missing=lambda _cycle: [late]))
    first = stage.decisions(log)[0]
    (cycle,) = {CODEC.event(r).cycle for r in log.read(since=first[0] - 1, limit=1)}
    record = log.read(kinds={LateAnswer.KIND})[0]

    assert CODEC.event(record) == LateAnswer("momentum", "KO", cycle)
    assert (record.origin, record.author, record.seq) == (Origin.INPUT, "bus", first[1] + 1)
    assert whole_firm.events(log, BarrierClosed)[0].missing == (late,)
    assert not [s for s in whole_firm.events(log, Signal) if s.unit == "KO"]
    assert KO not in {p.order.instrument for p in proposals(log, 0).values()}

    asked = ChangedCrew(CONFIG)
    assert replay(log, rules(CONFIG), asked).head == log.head
    assert [len(ask.expected) for ask in asked.asked] == [19, 19, 19]
    assert {ask.deadline_ms for ask in asked.asked} == {None}


def test_without_a_risk_run_there_is_no_new_risk_in_that_cycle_and_the_record_is_used_in_replay():
    crew = ChangedCrew(CONFIG, risk_fails=lambda cycle: cycle < 20)
    log = play(crew=crew)
    ((failed, event),) = [(r, CODEC.event(r)) for r in log.read(kinds={RiskRunFailed.KIND})]

    assert (failed.origin, failed.author, event.reason) == (Origin.INPUT, "bus", "the workers are gone")
    assert [len(proposals(log, i)) for i in (0, 1, 2)] == [0, 18, 8]
    assert len(whole_firm.events(log, RiskRunCompleted)) == 2

    asked = ChangedCrew(CONFIG)
    assert replay(log, rules(CONFIG), asked).head == log.head
    assert len(asked.risk_asked) == 2, "the run that failed is not run again"
    recorded = ChangedCrew(CONFIG)
    assert replay(log, rules(CONFIG, recompute_risk=False), recorded).head == log.head
    assert recorded.risk_asked == []
