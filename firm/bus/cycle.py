"""One cycle of the firm: inputs numbered, heard, answered, in rounds that do not depend on who ran them.

See docs/ARCHITECTURE.md, "Cycles". The same code lives a cycle for the first time, lives it again after a
crash, and replays it: the `Log` knows which part is already recorded, and the record decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from firm.agents.market import Market
from firm.agents.signals.signal_agent import MarketWindow, SignalAgent
from firm.bus.crew import Crew, FanOut, RiskAsk, SignalAsk, Unit
from firm.bus.halt import HaltLatch
from firm.bus.inbox import Inboxes
from firm.bus.log import Log
from firm.bus.recorded import Input, RecordedCrew, cycle_starts, recorded_batch
from firm.bus.relay import Relay, Seat
from firm.bus.schedule import Schedule
from firm.errors import AgentFault
from firm.events import CODEC, Event, Origin, Record, encode
from firm.events.market import HistoryLoaded, MarketData
from firm.events.orders import OrderCancelRequested, OrderSubmitted
from firm.events.record import LogReader
from firm.events.risk import RiskRunCompleted, RiskRunFailed, RiskRunRequested
from firm.events.scheduled import Occasion, ScheduledTick
from firm.events.signals import BarrierClosed, Signal
from firm.events.system import (
    CycleAborted,
    CycleKind,
    CycleOpened,
    EntrySkipped,
    InstrumentsResolved,
    OperatorRearmRequested,
    TradingHalted,
)

BEFORE_SIGNALS = ("bookkeeper", "risk")
CHAIN = ("cio", "risk", "compliance", "execution")
REACTION = ("bookkeeper", "risk", "compliance", "execution")

_MARKET_KINDS = frozenset(cls.KIND for cls in (InstrumentsResolved, HistoryLoaded, MarketData, ScheduledTick))
_COMMAND_KINDS = frozenset({OrderSubmitted.KIND, OrderCancelRequested.KIND})


_E = TypeVar("_E", bound=Event)


def _decoded(record: Record, cls: type[_E]) -> _E:
    event = CODEC.event(record)
    assert isinstance(event, cls)
    return event


def _first(records: Sequence[Record], cls: type[_E]) -> _E | None:
    return next((_decoded(record, cls) for record in records if record.kind == cls.KIND), None)


@dataclass(frozen=True)
class Rules:
    """What a cycle needs to know of the firm: its seats, its signal agents, its barrier."""

    seats: tuple[Seat, ...]
    signals: tuple[SignalAgent, ...]
    barrier_timeout_ms: int
    risk_timeout_ms: int
    window_bars: int
    recompute_risk: bool = True

    def expected(self, symbols: tuple[str, ...]) -> tuple[Unit, ...]:
        """Whose answers a barrier waits for, in the order in which they enter the log."""
        return tuple((agent.name, unit) for agent in self.signals for unit in agent.units(symbols))


class Cycle:
    """Runs cycles one after another. State: the inboxes, the market window, the halt latch, the schedule."""

    def __init__(self, rules: Rules, crew: Crew, history: LogReader) -> None:
        """`history` is where the log is read again when an agent must be rebuilt."""
        self._rules = rules
        self._crew = crew
        self._log = Log(None)
        self._inboxes = Inboxes(rules.seats, history)
        self._commands: list[Record] = []
        self._requests: list[Record] = []
        self._decide_seq = 0
        self._risk_request: Record | None = None
        self.market = Market()
        self.halt = HaltLatch()
        self.schedule = Schedule()
        self.number = 0
        self.at = 0

    def rebuild(self, records: Sequence[Record]) -> None:
        """Live the finished cycles of the log again as recorded, then let each agent fold what it had heard.

        Who had not yet heard what (being ill, or not called) comes out as it was: it is the same code.
        """
        starts = cycle_starts(records)
        for record in records[: starts[0] if starts else None]:
            self._fold(record)
            self._inboxes.route(record)
        log = Log(None, records[starts[0] :] if starts else ())
        live, self._crew = self._crew, RecordedCrew(log)
        for start, end in pairwise([*starts, len(records)]):
            self.run(log, *recorded_batch(records[start:end]))
        assert not log.beyond, "a finished cycle came out longer than its record"
        self._crew = live
        for name in self._inboxes.names:
            self._crew.recover(name, self._inboxes.memory(name))

    def run(self, log: Log, batch: Sequence[Input], at: int) -> list[Record]:
        """Live one cycle with `batch` at log time `at` (ns UTC); the new orders and cancels, for the broker.

        Everything said is durable when this returns, and nothing has left the firm.
        """
        assert at >= self.at, f"log time cannot go back from {self.at} to {at}"
        self._log, self.at, self._commands = log, at, []
        deciding = any(
            isinstance(item.event, ScheduledTick) and item.event.occasion == Occasion.DECIDE for item in batch
        )
        self._open(batch, CycleKind.DECISION if deciding else CycleKind.REACTION)
        self._log.commit()
        if deciding:
            asked = self._ask_signals()
            self._relay(BEFORE_SIGNALS)
            self._hear_signals(asked)
            self._log.commit()
            self._relay(CHAIN)
        else:
            self._relay(REACTION)
        self._log.commit()
        return self._commands

    def _open(self, batch: Sequence[Input], kind: CycleKind) -> None:
        self._decide_seq, self._risk_request = 0, None
        self._input("bus", CycleOpened(self.number + 1, kind, len(batch)))
        for item in batch:
            self._input(item.author, item.event)
        self._answer_requests()

    def _relay(self, names: Sequence[str]) -> None:
        """Let the named agents hear, strictly in sequence; whoever has nothing to answer is not called."""
        called = self._inboxes.called(names)
        recorded = self._recorded_abort(called)
        if recorded is not None:
            self._abort(called, recorded)
        elif called:
            self._relay_live(called)
        self._answer_requests()

    def _relay_live(self, called: Sequence[str]) -> None:
        try:
            relay = self._ask(called)
        except AgentFault:
            self._recover(called)
            try:
                relay = self._ask(called)
            except AgentFault as fault:
                heard_to = self._inboxes.heard_to(fault.agent)
                self._abort(called, CycleAborted(fault.agent, fault.seq, fault.reason, heard_to))
                return
        self._accept(called, relay)

    def _ask(self, called: Sequence[str]) -> Relay:
        stages = [self._inboxes.stage(name) for name in called]
        return self._crew.relay(stages, Relay(self.at, self._log.next_seq, ()), self._inboxes.memory)

    def _recover(self, names: Sequence[str]) -> None:
        for name in names:
            self._crew.recover(name, self._inboxes.memory(name))

    def _abort(self, called: Sequence[str], fact: CycleAborted) -> None:
        """Keep what was said before the fault; the failing agent is not asked again until it may skip."""
        self._recover(called)
        before = called[: called.index(fact.stage)]
        if before:
            self._accept(before, self._ask(before))
        self._input("bus", fact)

    def _recorded_abort(self, called: Sequence[str]) -> CycleAborted | None:
        """The abort the log holds for this chain: the record decides, nobody is made to fail again."""
        for record in self._log.recorded_in_cycle():
            if record.kind == BarrierClosed.KIND:
                return None
            if record.kind == CycleAborted.KIND:
                aborted = _decoded(record, CycleAborted)
                return aborted if aborted.stage in called else None
        return None

    def _ask_signals(self) -> SignalAsk:
        """The question to the signal agents, who may begin: they need nothing that the state agents say.

        Live it has a deadline; where the barrier is recorded, whoever was heard is asked and awaited.
        """
        symbols = tuple(instrument.symbol for instrument in self.market.instruments)
        expected, bars = self._rules.expected(symbols), self._rules.window_bars
        window = MarketWindow(symbols, self.market.times(bars), self.market.closes(bars))
        asked = SignalAsk(self.number, window, expected, self._rules.barrier_timeout_ms)
        closed = _first(self._log.recorded_in_cycle(), BarrierClosed)
        if closed is not None:
            absent = set(closed.missing)
            heard = tuple(unit for unit in expected if unit not in absent)
            asked = replace(asked, expected=heard, deadline_ms=None)
        self._crew.begin(asked)
        return asked

    def _hear_signals(self, asked: SignalAsk) -> None:
        """Fan out, wait at the barrier, and write down who was heard: before the CIO hears a thing."""
        expected = self._rules.expected(asked.window.symbols)
        fan = self._fan_out(asked)
        for agent in self._rules.signals:
            mine = [unit for unit in expected if unit[0] == agent.name and unit in fan.answers]
            for index, unit in enumerate(mine):
                self._derived(agent.name, self._decide_seq, index, Signal.KIND, fan.answers[unit])
        match fan.risk:
            case RiskRunCompleted() as completed:
                self._derived("risk_run", completed.request_seq, 0, completed.KIND, encode(completed))
            case RiskRunFailed() as failed:
                self._input("bus", failed)
            case None:
                pass
        missing = tuple(unit for unit in expected if unit not in fan.answers)
        self._input("bus", BarrierClosed(len(expected), len(expected) - len(missing), missing))

    def _fan_out(self, signals: SignalAsk) -> FanOut:
        """Run the risk request, if there is one, beside the signals; a recorded outcome decides."""
        live = signals.deadline_ms is not None
        known = None if live else self._known_risk()
        request, risk_ms = self._risk_request, self._rules.risk_timeout_ms if live else None
        asked = None
        if request is not None and known is None:
            asked = RiskAsk(request, self.market.instruments, risk_ms)
        fan = self._crew.fan_out(signals, asked)
        return fan if known is None else FanOut(fan.answers, known)

    def _known_risk(self) -> RiskRunCompleted | RiskRunFailed | None:
        recorded = self._log.recorded_in_cycle()
        failed = _first(recorded, RiskRunFailed)
        if failed is not None or self._rules.recompute_risk:
            return failed
        return _first(recorded, RiskRunCompleted)

    def _input(self, author: str, event: Event) -> None:
        seq = self._log.next_seq
        self._append(Record(seq, self.at, Origin.INPUT, author, 0, 0, event.KIND, encode(event)))

    def _derived(self, author: str, cause: int, index: int, kind: int, payload: bytes) -> None:
        self._append(Record(self._log.next_seq, self.at, Origin.DERIVED, author, cause, index, kind, payload))

    def _accept(self, called: Sequence[str], relay: Relay) -> None:
        """Check what a chain brought back, number by number, and append it."""
        self._inboxes.heard(called)
        for seq, record in enumerate(relay.said, self._log.next_seq):
            author = record.author
            assert (record.seq, record.at) == (seq, self.at), f"{author} misnumbered {record}"
            assert author in called, f"{author} spoke out of turn"
            assert self._inboxes.may_say(author, record.kind), f"{author} may not say kind {record.kind}"
            self._append(record, called[called.index(author) + 1 :])

    def _append(self, record: Record, heard_already: Sequence[str] = ()) -> None:
        new = self._log.append(record)
        self._fold(record)
        self._inboxes.route(record, heard_already)
        if record.kind in HaltLatch.REQUESTS:
            self._requests.append(record)
        if new and record.kind in _COMMAND_KINDS:
            self._commands.append(record)

    def _answer_requests(self) -> None:
        """Halt and re-arm. While an agent is ill a re-arm is void: first skip, then re-arm."""
        requests, self._requests = self._requests, []
        for record in requests:
            void = record.kind == OperatorRearmRequested.KIND and self._inboxes.anyone_ill
            said = None if void else self.halt.answer(record)
            if said is not None:
                self._derived("bus", record.seq, 0, said.KIND, encode(said))

    def _fold(self, record: Record) -> None:
        """The bus's own memory of one record."""
        if record.kind in _MARKET_KINDS:
            self.market.note(record.at, CODEC.event(record))  # type: ignore[arg-type]
        if record.kind in Schedule.KINDS:
            self.schedule.note(record)
        if record.kind in HaltLatch.FACTS:
            self.halt.note(record)
        match record.kind:
            case CycleOpened.KIND:
                self.number, self.at = _decoded(record, CycleOpened).cycle, record.at
            case ScheduledTick.KIND if _decoded(record, ScheduledTick).occasion == Occasion.DECIDE:
                self._decide_seq = record.seq
            case RiskRunRequested.KIND:
                self._risk_request = record
            case CycleAborted.KIND:
                self._inboxes.poison(_decoded(record, CycleAborted))
            case EntrySkipped.KIND:
                self._inboxes.skip(_decoded(record, EntrySkipped))
            case TradingHalted.KIND:
                self._inboxes.halt()
