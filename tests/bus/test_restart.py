"""A firm restarted between any two cycles goes on as if nothing had happened, also while an agent is ill."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
import stage
import whole_firm
from stage import BASE, MINUTE, OPEN, TAPE, ChangedCrew, StageBroker, ill
from test_crash_points import Crash, Fuse, FusedBroker, FusedCrew, FusedStore

from firm.bus.cycle import Cycle
from firm.bus.log import Log
from firm.bus.recorded import cycle_starts, recorded_batch
from firm.events import Entry, Event
from firm.events.market import MarketData
from firm.events.orders import OrderApproved, OrderCleared, OrderFilled, OrderProposed, OrderSubmitted
from firm.events.scheduled import Occasion, ScheduledTick
from firm.events.signals import BarrierClosed, Signal
from firm.events.system import CycleAborted, TradingHalted, TradingRearmed
from firm.roster import rules
from firm.store.memory import MemoryStore

Fails = Callable[[Entry[Any]], bool]


INTRADAY = ("schedule.decide=1800000", "execution.twap_interval_ms=1800000")


class Illness(NamedTuple):
    """Which agent always fails on which entries, in a firm with which overrides."""

    agent: str
    fails: Fails
    overrides: tuple[str, ...] = ()


def on(cls: type[Event], *instruments: int, until: int = OPEN[2]) -> Fails:
    """Fails on events of a class before a time, about these instruments if any are named."""

    def fails(entry: Entry[Any]) -> bool:
        order = getattr(entry.event, "order", entry.event)
        about = not instruments or getattr(order, "instrument", None) in instruments
        return isinstance(entry.event, cls) and about and entry.at < until

    return fails


def timer(entry: Entry[Any]) -> bool:
    event = entry.event
    ticked = isinstance(event, ScheduledTick) and event.occasion is Occasion.TIMER
    return ticked and entry.at == OPEN[1] + 30 * MINUTE


ILLNESSES = {
    "bookkeeper on two fills": Illness("bookkeeper", on(OrderFilled, 4, 9, until=OPEN[1] + 75 * MINUTE)),
    "risk on two proposals": Illness("risk", on(OrderProposed, 4, 9)),
    "risk on quotes": Illness("risk", lambda e: isinstance(e.event, MarketData) and e.at == OPEN[1]),
    "cio on the barrier": Illness("cio", on(BarrierClosed, until=OPEN[1])),
    "cio on a signal": Illness("cio", lambda e: on(Signal, until=OPEN[1])(e) and e.event.unit == "KO"),
    "compliance on two approvals": Illness("compliance", on(OrderApproved, 4, 9)),
    "execution on a clearance": Illness("execution", on(OrderCleared, 4)),
    "execution in the session": Illness(
        "execution", on(OrderCleared, 9, until=stage.OPEN[0] + 95 * MINUTE), INTRADAY
    ),
    "execution on a timer": Illness("execution", timer),
    "execution on a fill": Illness("execution", on(OrderFilled, 9, until=OPEN[1] + 75 * MINUTE)),
}
every_illness = pytest.mark.parametrize("illness", ILLNESSES.values(), ids=ILLNESSES)


@cache
def nursed(illness: Illness) -> tuple[MemoryStore, stage.Story]:
    return stage.nursed(illness.agent, illness.fails, *illness.overrides)


@every_illness
def test_a_firm_restarted_between_any_two_cycles_lives_the_next_ones_as_recorded(illness: Illness):
    log, _ = nursed(illness)
    records = log.read()
    edges = [*cycle_starts(records), len(records)]
    config = whole_firm.settings(*BASE, *illness.overrides)
    crew = ChangedCrew(config, {illness.agent: ill(illness.fails)})
    assert whole_firm.events(log, CycleAborted)

    for i in range(1, min(len(edges) - 3, 32), 2):
        again = Cycle(rules(config), crew, log)
        again.rebuild(records[: edges[i]])
        rest = Log(None, records[edges[i] :])
        for start, end in pairwise(edges[i : i + 4]):
            again.run(rest, *recorded_batch(records[start:end]))
        assert rest.next_seq == records[edges[i + 3] - 1].seq + 1


@every_illness
def test_nothing_is_proposed_or_sent_from_an_abort_until_trading_is_rearmed(illness: Illness):
    log, _ = nursed(illness)
    halted = False
    sent = {False: 0, True: 0}
    for event in whole_firm.events(log, TradingHalted, TradingRearmed, OrderProposed, OrderSubmitted):
        match event:
            case TradingHalted() | TradingRearmed():
                halted = isinstance(event, TradingHalted)
            case _:
                sent[halted] += 1

    assert sent[True] == 0
    assert sent[False] > 0


@pytest.mark.parametrize("illness", [ILLNESSES["risk on quotes"]], ids=["risk on quotes"])
def test_a_firm_killed_while_an_agent_is_ill_writes_the_same_log(illness: Illness):
    expected, story = nursed(illness)
    config = whole_firm.settings(*BASE, *illness.overrides)
    assert expected.head == _killed(Fuse(), illness, story, config).head

    for at in range(60, 120, 2):  # the abort and the cycles around it
        assert _killed(Fuse(at), illness, story, config).head == expected.head, f"crash point {at}"


def _killed(fuse: Fuse, illness: Illness, story: stage.Story, config: Any) -> MemoryStore:
    store, broker = FusedStore(fuse), StageBroker(config, story)
    for _ in range(2):
        crew = FusedCrew(ChangedCrew(config, {illness.agent: ill(illness.fails)}), fuse)
        fused = FusedBroker(broker, fuse)
        try:
            firm = whole_firm.driver(config, TAPE, store=store, crew=crew, broker=fused)
            while firm.step():
                pass
            break
        except Crash:
            continue
    return store
