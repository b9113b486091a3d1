"""A halt stops the whole firm, whoever asked for it, and only a named person lets it trade again."""

from decimal import Decimal

import pytest
import stage
import whole_firm
from stage import CLOSE, MINUTE, OPEN, TAPE, ChangedCrew, StageBroker, gapped, play

from firm.bus.relay import Listener, Relay
from firm.events import CODEC, Event, Record, encode
from firm.events.orders import OrderCanceled, OrderCancelRequested, OrderSubmitted
from firm.events.risk import RiskHaltRequested
from firm.events.scheduled import Occasion, ScheduledTick
from firm.events.system import (
    OperatorHaltRequested,
    OperatorRearmRequested,
    ShutdownRequested,
    TradingHalted,
    TradingRearmed,
)
from firm.roster import hire
from firm.store.memory import MemoryStore

KILL = OperatorHaltRequested("fat finger at the desk")
REARM = OperatorRearmRequested("Ada Lovelace", "checked every position")
WORKING = OPEN[1] + 31 * MINUTE
"""The first slices, of 10:00 in New York, are at the broker."""
LATER = CLOSE[1] - 31 * MINUTE
KO = 9


def said(log: MemoryStore, *classes: type[Event]) -> list[tuple[Record, Event]]:
    return [(r, CODEC.event(r)) for r in log.read(kinds={cls.KIND for cls in classes})]


def seqs(log: MemoryStore, *classes: type[Event]) -> list[int]:
    return [record.seq for record, _ in said(log, *classes)]


def told(*overrides: str, bend: stage.Bend = lambda _at, e: e, **story: tuple[int, list[Event]]):
    times = dict(story.values())
    return play(*overrides, story=lambda settings: StageBroker(settings, times, bend))


def test_a_kill_cancels_what_works_and_nothing_is_sent_until_a_named_person_rearms():
    low = gapped(KO, OPEN[1], 0.97)  # the firm bids too little for KO, so that order waits in the book
    log = told(bend=low, kill=(WORKING, [KILL]), rearm=(LATER, [REARM]))
    ((halt, halted),) = said(log, TradingHalted)
    ((rearm, rearmed),) = said(log, TradingRearmed)
    sent = seqs(log, OrderSubmitted)
    before = {seq for seq in sent if seq < halt.seq}
    (waiting,) = (r.seq for r, e in said(log, OrderSubmitted) if r.seq in before and e.child.instrument == KO)

    assert halted == TradingHalted("operator: fat finger at the desk")
    assert rearmed == TradingRearmed("Ada Lovelace", "checked every position")
    assert (halt.author, halt.at, rearm.author) == ("bus", rearm.at - 5 * 60 * MINUTE, "bus")
    cancels = said(log, OrderCancelRequested)
    assert {event.child_seq for _, event in cancels} == before
    assert {record.at for record, _ in cancels} == {halt.at}
    assert [e for _, e in said(log, OrderCanceled)] == [
        OrderCanceled(waiting, Decimal(0), "cancelled by customer")
    ]
    assert not [seq for seq in sent if halt.seq < seq < rearm.seq]
    assert [seq for seq in sent if seq > rearm.seq]


def test_a_halt_over_a_decision_leaves_it_without_proposals():
    log = told(kill=(WORKING, [KILL]), rearm=(OPEN[2], [REARM]))

    assert [len(stage.proposals(log, decision)) for decision in (0, 1, 2)] == [17, 0, 16]


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (
            "risk.max_drawdown=0.0002",
            "drawdown: equity 999799.0785 is 0.0002 below 1000000.00, limit is 0.0002",
        ),
        (
            "risk.max_daily_loss=0.0002",
            "daily loss: equity 999799.0785 is 0.0002 below 1000000.00, limit is 0.0002",
        ),
    ],
    ids=["drawdown", "daily loss"],
)
def test_losses_halt_the_firm_until_a_named_person_accepts_them(limit: str, reason: str):
    free, halted = play(), told(limit)
    rearmed = told(limit, rearm=(OPEN[2], [REARM]))

    assert whole_firm.events(halted, RiskHaltRequested) == [RiskHaltRequested(reason)]
    assert whole_firm.events(halted, TradingHalted) == [TradingHalted(f"risk: {reason}")]
    assert [len(stage.proposals(free, i)) for i in (0, 1, 2)] == [17, 10, 7]
    assert [len(stage.proposals(halted, i)) for i in (0, 1, 2)] == [17, 0, 0]
    assert max(seqs(halted, OrderSubmitted)) < seqs(halted, TradingHalted)[0]
    # The third day loses 0.8 % of the equity at which the losses were accepted: a second halt.
    assert len(whole_firm.events(rearmed, TradingHalted)) == 2
    assert " below 999799.0785," in whole_firm.events(rearmed, TradingHalted)[1].reason


def test_halting_twice_adds_nothing_and_rearming_without_a_halt_changes_nothing():
    once = told(kill=(WORKING, [KILL]))
    twice = told(kill=(WORKING, [KILL, OperatorHaltRequested("me too")]), again=(LATER, [KILL]))
    rearmed = told(rearm=(WORKING, [REARM]))
    both = told(both=(WORKING, [KILL, REARM]))

    assert whole_firm.events(twice, TradingHalted) == whole_firm.events(once, TradingHalted)
    assert len(whole_firm.events(twice, OperatorHaltRequested)) == 3
    assert len(whole_firm.events(twice, OrderCancelRequested)) == 17
    assert whole_firm.events(rearmed, TradingHalted, TradingRearmed) == []
    assert [e.child for e in whole_firm.events(rearmed, OrderSubmitted)] == [
        e.child for e in whole_firm.events(play(), OrderSubmitted)
    ]
    assert [type(e) for e in whole_firm.events(both, TradingHalted, TradingRearmed)] == [
        TradingHalted,
        TradingRearmed,
    ]


@pytest.mark.parametrize("cycles", [1, 2, 9], ids=lambda n: f"{n} cycles later")
def test_a_halt_survives_the_restart_of_the_firm(cycles: int):
    config = whole_firm.settings(*stage.BASE)
    expected = told(kill=(WORKING, [KILL]), rearm=(LATER, [REARM]))
    store, broker = MemoryStore(), StageBroker(config, {WORKING: [KILL], LATER: [REARM]})
    firm = whole_firm.driver(config, TAPE, store=store, broker=broker)
    while firm.cycle.halt.reason is None:
        firm.step()
    for _ in range(cycles - 1):
        firm.step()

    again = whole_firm.driver(config, TAPE, store=store, broker=broker, crew=ChangedCrew(config))

    assert again.cycle.halt.reason == "operator: fat finger at the desk"
    while again.step():
        pass
    assert store.head == expected.head


def test_a_slice_that_is_due_in_the_very_cycle_of_a_halt_is_not_sent():
    # Decisions every half hour meet the timers of the slices.
    overrides = ("schedule.decide=1800000", "execution.twap_interval_ms=1800000")
    free, log = told(*overrides), told(*overrides, "risk.max_daily_loss=0.00022")
    ((halt, _),) = said(log, TradingHalted)

    assert [r.at for r, tick in said(log, ScheduledTick) if tick.occasion is Occasion.TIMER][-1] == halt.at
    assert halt.at in {record.at for record, _ in said(free, OrderSubmitted)}
    assert max(record.at for record, _ in said(log, OrderSubmitted)) < halt.at


def test_a_child_that_gets_its_name_only_after_a_halt_is_cancelled_then():
    log = told()
    listener = Listener(lambda: hire("execution", whole_firm.settings(*stage.BASE)))
    (tick, _), *_ = [(r, t) for r, t in said(log, ScheduledTick) if t.occasion is Occasion.TIMER]
    halt = tick._replace(kind=TradingHalted.KIND, payload=encode(TradingHalted("drill")))
    listener.recover(log.read(limit=tick.seq - 1))

    sent = listener.hear([tick, halt], Relay(tick.at, tick.seq + 1, ()))
    named = listener.hear(sent.said, Relay(tick.at, sent.next_seq, ()))

    children = [record.seq for record in sent.said if record.kind == OrderSubmitted.KIND]
    assert len(children) == 17
    assert [CODEC.event(record) for record in named.said] == [
        OrderCancelRequested(child, "drill") for child in children
    ]


def test_a_kill_in_the_very_turn_of_a_shutdown_still_cancels_what_works():
    low = gapped(KO, OPEN[1], 0.97)  # the firm bids too little for KO, so that order waits in the book
    log = told(bend=low, end=(WORKING, [KILL, ShutdownRequested("end of the day")]))
    (waiting,) = (r.seq for r, e in said(log, OrderSubmitted) if e.child.instrument == KO)

    assert waiting in {event.child_seq for _, event in said(log, OrderCancelRequested)}
    assert [event.child_seq for _, event in said(log, OrderCanceled)] == [waiting]
