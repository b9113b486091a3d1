"""The whole firm on a stage: agents that fall ill, go deaf or twist words, and a market that surprises."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import whole_firm

from firm.agents.agent import Agent
from firm.bus.crew import FanOut, RiskAsk, SignalAsk, Unit
from firm.bus.gateway import CommandBatch, Page
from firm.bus.relay import Listener
from firm.config import Settings
from firm.events import CODEC, INPUT_AUTHORS, Entry, Event, Record
from firm.events.market import QUOTE, MarketData, market_data
from firm.events.orders import OrderProposed, OrderSubmitted
from firm.events.record import EventStore
from firm.events.risk import RiskRunFailed
from firm.events.signals import LateAnswer
from firm.events.system import (
    CycleAborted,
    CycleKind,
    CycleOpened,
    EntrySkipped,
    InstrumentsResolved,
    OperatorRearmRequested,
)
from firm.local import LocalCrew
from firm.local_broker import LocalBroker
from firm.roster import hire
from firm.store.memory import MemoryStore
from firm.tape.tape import Tape

MINUTE, HOUR = 60 * 10**9, 3600 * 10**9
BASE = (
    *whole_firm.QUICK,
    "schedule.decide=session_close",
    "simulation.cash_usd=1000000",
    "simulation.history_bars=504",
    "signals.momentum={lookback_bars: 126, skip_bars: 5, volatility_bars: 60}",
    "barrier.quorum=0.5",
    "cio.gross_target=1.2",
    "cio.max_weight=0.12",
    "cio.min_trade_usd=10000",
    "risk.max_portfolio_var=60000",
    "risk.max_portfolio_es=70000",
    "risk.max_position_var=12000",
    "risk.max_leverage=1.5",
    "risk.max_net_leverage=1.5",
    "risk.max_position_weight=0.15",
    "risk.max_sector_weight=0.9",
    "risk.max_factor_loss=0.05",
    "risk.greeks={max_delta: 1600000, max_gamma: 20000, max_vega: 5000, interest_rate: 0.03}",
    "risk.stress={max_loss: 0.6, file: null}",
    "risk.liquidity={max_days_to_liquidate: 1, participation: 0.1}",
    "risk.margin={min_headroom: 0.25, max_age_ms: 432000000}",
    "risk.max_drawdown=0.2",
    "risk.max_daily_loss=0.05",
    "risk.var.history_bars=500",
    "risk.var.min_history_bars=250",
    "compliance.restricted=[]",
    "compliance.price_collar=0.1",
    "compliance.max_order_value_usd=150000",
    "compliance.max_order_quantity=20000",
    "compliance.max_quote_age_ms=27000000",
    "compliance.cleared_for_ms=432000000",
    "execution.default_algo=twap",
    "execution.max_slippage_bps=25",
    "execution.twap_slices=2",
    "execution.twap_interval_ms=3600000",
    "execution.max_messages_per_cycle=200",
)
"""A quick firm with figures of its own, which nothing stands in the way of: each test tightens one thing."""
TAPE = whole_firm.sample(3)
OPEN, CLOSE = TAPE.sessions.opens, TAPE.sessions.closes

Change = Callable[[type[Agent]], type[Agent]]
"""How an agent is not itself: its class, with `handle` in other hands."""
Bend = Callable[[int, Event], Event | None]
"""What becomes of something the broker reports at a time (ns UTC); None: it is not reported."""

Story = dict[int, Sequence[Event]]
"""What else is reported, by the time (ns UTC) from which it may be."""


def handled(cls: type[Agent], handle: Callable[[Any, Entry[Any]], Sequence[Event]]) -> type[Agent]:
    """The agent with another `handle`, that hears and says the same classes."""
    handle.__annotations__ = cls.handle.__annotations__
    return type(f"Changed{cls.__name__}", (cls,), {"handle": handle})


def deaf_to(*classes: type[Event]) -> Change:
    """An agent that does not notice these events."""

    def change(cls: type[Agent]) -> type[Agent]:
        return handled(cls, lambda self, e: [] if isinstance(e.event, classes) else cls.handle(self, e))

    return change


def twisted(twist: Callable[[Event], Event]) -> Change:
    """An agent whose every word is twisted on its way out."""

    def change(cls: type[Agent]) -> type[Agent]:
        return handled(cls, lambda self, e: [twist(event) for event in cls.handle(self, e)])

    return change


def ill(fails: Callable[[Entry[Any]], bool]) -> Change:
    """An agent that raises on the entries of which `fails` is true, before it has changed anything."""

    def change(cls: type[Agent]) -> type[Agent]:
        def handle(self: Agent, entry: Entry[Any]) -> Sequence[Event]:
            if fails(entry):
                raise RuntimeError("feeling unwell")
            return cls.handle(self, entry)

        return handled(cls, handle)

    return change


class ChangedCrew(LocalCrew):
    """A local crew in which some agents are not themselves, and some answers do not come."""

    def __init__(
        self,
        settings: Settings,
        changes: Mapping[str, Change] | None = None,
        *,
        missing: Callable[[int], Sequence[Unit]] = lambda _cycle: (),
        risk_fails: Callable[[int], bool] = lambda _cycle: False,
    ) -> None:
        super().__init__(settings)
        self._missing, self._risk_fails = missing, risk_fails
        self._overdue: list[LateAnswer] = []
        self.asked: list[SignalAsk] = []
        self.risk_asked: list[RiskAsk] = []
        for name, change in (changes or {}).items():
            self._listeners[name] = Listener(
                lambda name=name, change=change: _changed(name, change, settings)
            )

    def fan_out(self, signals: SignalAsk, risk: RiskAsk | None) -> FanOut:
        """See Crew: live, those who are missing answer after the barrier."""
        self.asked.append(signals)
        if risk is not None:
            self.risk_asked.append(risk)
        fan = super().fan_out(signals, risk)
        gone = set(self._missing(signals.cycle)) if signals.deadline_ms is not None else set()
        self._overdue += [LateAnswer(*unit, signals.cycle) for unit in fan.answers if unit in gone]
        answers = {unit: answer for unit, answer in fan.answers.items() if unit not in gone}
        if risk is not None and self._risk_fails(signals.cycle):
            return FanOut(answers, RiskRunFailed(risk.record.seq, "the workers are gone"))
        return FanOut(answers, fan.risk)

    def late(self) -> list[LateAnswer]:
        """See Crew."""
        overdue, self._overdue = self._overdue, []
        return overdue


def _changed(name: str, change: Change, settings: Settings) -> Agent:
    agent = hire(name, settings)
    agent.__class__ = change(type(agent))
    return agent


class StageBroker(LocalBroker):
    """The real matching core, with a story: what else is reported, and what is reported otherwise.

    `said` are further inputs (the operator's too), each with the first page at or after its time; `bend`
    changes or drops what is reported; `asleep` is a span in which nobody could be told anything.
    """

    def __init__(
        self,
        settings: Settings,
        said: Mapping[int, Sequence[Event]] | None = None,
        bend: Bend = lambda _at, event: event,
        asleep: tuple[int, int] = (0, 0),
        tape: Tape = TAPE,
    ) -> None:
        self._said = dict(said or {})
        self._bend, self._asleep = bend, asleep
        super().__init__(tape, settings)

    def _hand_out(self, inputs: Sequence[Event], at: int, *, done: bool) -> Page:
        due = [time for time in self._said if time <= at]
        more = [event for time in due for event in self._said.pop(time)]
        bent = [b for event in inputs if (b := self._bend(at, event)) is not None]
        page = super()._hand_out([*more, *bent], at, done=done)
        self._handed_out -= sum(INPUT_AUTHORS[type(event)] != "broker" for event in more)
        return page

    def turn(self, acked: int, batch: CommandBatch, until: int | None) -> Page:
        """See BrokerGateway."""
        page = super().turn(acked, batch, until)
        inputs = list(page.inputs)
        while self._asleep[0] <= page.at < self._asleep[1]:
            page = super().turn(page.number, CommandBatch(page.number + 1, ()), self._asleep[1])
            inputs += page.inputs
        self._page = replace(page, inputs=tuple(inputs))
        return self._page


def unquoted(instrument: int, since: int) -> Bend:
    """The instrument is not quoted any more."""

    def bend(at: int, event: Event) -> Event | None:
        if at < since or not isinstance(event, MarketData):
            return event
        table = event.table()
        rest = table[table["instrument"] != instrument]
        return market_data(rest) if len(rest) else None

    return bend


def reported_without(cls: type[Event]) -> Bend:
    """Nothing of this class is ever reported."""
    return lambda _at, event: None if isinstance(event, cls) else event


def universe_with(instrument: int, **changes: object) -> Bend:
    """One instrument of the universe is another kind of contract, with the same quotes."""

    def bend(_at: int, event: Event) -> Event:
        if not isinstance(event, InstrumentsResolved):
            return event
        universe = list(event.instruments)
        universe[instrument] = msgspec.structs.replace(universe[instrument], **changes)
        return InstrumentsResolved(tuple(universe))

    return bend


def gapped(instrument: int, since: int, factor: float) -> Bend:
    """The instrument's quotes jump by a factor."""

    def bend(at: int, event: Event) -> Event:
        if at < since or not isinstance(event, MarketData):
            return event
        table = event.table().astype(QUOTE).copy()
        rows = table["instrument"] == instrument
        for side in ("bid", "ask"):
            table[side][rows] = (table[side][rows] * factor).round(2)
        return market_data(table)

    return bend


def play(
    *overrides: str,
    changes: Mapping[str, Change] | None = None,
    story: Callable[[Settings], LocalBroker] | None = None,
    crew: LocalCrew | None = None,
    store: MemoryStore | None = None,
) -> MemoryStore:
    """Run the firm of `BASE` and `overrides` to the end of the data; its log."""
    config = whole_firm.settings(*BASE, *overrides)
    log = store or MemoryStore()
    firm = whole_firm.driver(
        config,
        TAPE,
        store=log,
        crew=crew or ChangedCrew(config, changes),
        broker=story(config) if story is not None else StageBroker(config),
    )
    while firm.step():
        pass
    firm.close()
    return log


def nursed(name: str, fails: Callable[[Entry[Any]], bool], *overrides: str) -> tuple[MemoryStore, Story]:
    """A run in which an agent always fails on some entries, and the story a named person adds to it.

    About an hour after each abort the agent may skip the entry, and with the page after that trading is
    re-armed. The story is found by running the firm up to each next abort.
    """
    story: Story = {}
    while True:
        log = play(*overrides, changes={name: ill(fails)}, story=lambda s: StageBroker(s, story))
        aborted = log.read(kinds={CycleAborted.KIND})
        if len(aborted) == len(story) // 2:
            return log, story
        event = CODEC.event(aborted[-1])
        later = aborted[-1].at + 61 * MINUTE
        story[later] = [EntrySkipped(name, event.failed_seq, "Ada Lovelace", "known to be harmless")]
        story[later + 30 * MINUTE] = [OperatorRearmRequested("Ada Lovelace", f"{name} is well again")]


def decisions(log: EventStore) -> list[tuple[int, int]]:
    """The decision cycles as (seq of CycleOpened, seq of the next cycle's)."""
    opened = log.read(kinds={CycleOpened.KIND})
    edges = [*(record.seq for record in opened), log.last_seq + 1]
    return [
        (record.seq, edges[i + 1])
        for i, record in enumerate(opened)
        if CODEC.event(record).kind is CycleKind.DECISION
    ]


def proposals(log: EventStore, decision: int) -> dict[int, OrderProposed]:
    """What the CIO proposed at a decision (0: the first), by order_seq."""
    start, end = decisions(log)[decision]
    found = log.read(since=start, kinds={OrderProposed.KIND})
    return {record.seq: CODEC.event(record) for record in found if record.seq < end}


def submitted(log: EventStore) -> set[int]:
    """The orders of which at least one child was sent."""
    return {event.order_seq for event in whole_firm.events(log, OrderSubmitted)}


def differing(one: Sequence[Record], other: Sequence[Record]) -> int:
    """The seq of the first record in which two logs differ, beyond the very first (the configuration)."""
    for a, b in zip(one[1:], other[1:], strict=False):
        if a != b:
            return a.seq
    assert len(one) != len(other), "the logs do not differ"
    return min(len(one), len(other)) + 1
