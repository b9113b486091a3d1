"""The candidate's agents: they follow the live firm's state, decide anew at each decision, send nothing."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from firm.bus.crew import FanOut, Memory, RiskAsk, SignalAsk, Unit
from firm.bus.recorded import RecordedCrew
from firm.bus.relay import Relay, Stage
from firm.config import Settings
from firm.domain.position import ZERO
from firm.errors import AgentFault, FirmError
from firm.events import CODEC, Event, Origin, Record, encode
from firm.events.orders import OrderApproved, OrderCleared, OrderDone, OrderProposed, OrderSubmitted
from firm.events.risk import RiskRunFailed
from firm.events.signals import BarrierClosed, LateAnswer
from firm.local import LocalCrew

NOT_FOLLOWED: Final[Mapping[str, frozenset[int]]] = {
    "risk": frozenset({OrderProposed.KIND}),
    "compliance": frozenset({OrderApproved.KIND}),
    "execution": frozenset({OrderCleared.KIND, OrderSubmitted.KIND}),
}
"""What the live firm's own agents answered; for Execution also the names of orders that are not its own."""

MAX_SEQ: Final = 2**63 - 1
NEVER_SENT: Final = "the candidate's orders are not sent"


class Candidate(LocalCrew):
    """A crew in one thread whose agents hear the live log, and are asked about each decision on a copy.

    It decides in cycles of its own (as a Crew) and follows those of the live firm (`follow`). Who missed a
    live barrier, and a live risk run that failed, are facts of the day and so the candidate's as well.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        for listener in self._listeners.values():
            listener.recover(())
        self._heard_to = dict.fromkeys(self._listeners, 0)
        self._asked: set[str] = set()
        self._start = MAX_SEQ
        self._missing: frozenset[Unit] = frozenset()
        self._run_failed: RiskRunFailed | None = None

    def expect(self, cycle: Sequence[Record]) -> None:
        """What the live firm's decision cycle says of timing, before the candidate lives its own."""
        self._start, self._asked = cycle[0].seq, set()
        self._missing, self._run_failed = frozenset(), None
        for record in cycle:
            if record.kind == BarrierClosed.KIND:
                closed = CODEC.event(record)
                assert isinstance(closed, BarrierClosed)
                self._missing = frozenset(closed.missing)
            elif record.kind == RiskRunFailed.KIND:
                failed = CODEC.event(record)
                assert isinstance(failed, RiskRunFailed)
                self._run_failed = failed

    def relay(self, stages: Sequence[Stage], relay: Relay, memory: Memory) -> Relay:
        """See Crew. Execution is asked on a copy, which alone ever works on the candidate's orders."""
        del memory
        for stage in stages:
            listener = self._listeners[stage.name]
            if stage.name == "execution":
                listener = copy.deepcopy(listener)
            else:
                self._asked.add(stage.name)
            inbox = self._news(stage.name, stage.inbox)
            try:
                relay = listener.hear(inbox, relay)
            except AgentFault as fault:
                raise _failed(fault) from fault
        return relay

    def recover(self, name: str, records: Iterable[Record]) -> None:
        """See Crew. Nobody is rebuilt from the live log: it holds another firm's words."""

    def fan_out(self, signals: SignalAsk, risk: RiskAsk | None) -> FanOut:
        """See Crew."""
        heard = tuple(unit for unit in signals.expected if unit not in self._missing)
        failed = self._run_failed
        if risk is None or failed is None:
            return super().fan_out(replace(signals, expected=heard), risk)
        fan = super().fan_out(replace(signals, expected=heard), None)
        return replace(fan, risk=RiskRunFailed(risk.record.seq, failed.reason))

    def decided(self, said: Sequence[Record], barrier_seq: int) -> None:
        """The candidate's own decision is over, and its orders end there, or Risk would count them on.

        What came before the live barrier, those who were asked have heard in their own cycle.
        """
        for record in said:
            match CODEC.event(record):
                case OrderApproved(order_seq=order_seq):
                    self.tell(("risk",), record.seq, record.at, OrderDone(order_seq, ZERO, NEVER_SENT))
                case _:
                    pass
        for name in self._asked:
            self._heard_to[name] = barrier_seq
        self._start, self._asked = MAX_SEQ, set()

    def follow(self, name: str, records: Sequence[Record]) -> None:
        """Take in what the live agent of that name has heard. The CIO does so in its next decision."""
        if name == "cio":
            return
        try:
            self._listeners[name].hear(self._news(name, records), Relay(0, 1, ()))
        except AgentFault as fault:
            raise _failed(fault) from fault

    def tell(self, names: Iterable[str], seq: int, at: int, event: Event) -> None:
        """Let agents hear what only holds for the candidate."""
        record = Record(seq, at, Origin.DERIVED, "bus", 0, 0, event.KIND, encode(event))
        for name in names:
            self._listeners[name].hear([record], Relay(at, seq + 1, ()))

    def _news(self, name: str, records: Iterable[Record]) -> list[Record]:
        dropped, heard_to = NOT_FOLLOWED.get(name, frozenset()), self._heard_to[name]
        return [
            record
            for record in records
            if record.seq > heard_to and (record.seq >= self._start or record.kind not in dropped)
        ]


class Following:
    """A Crew that repeats the live firm's record, and lets the candidate hear what each live agent heard."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self.recorded: RecordedCrew | None = None

    def relay(self, stages: Sequence[Stage], relay: Relay, memory: Memory) -> Relay:
        """See Crew."""
        said = self._record.relay(stages, relay, memory)
        for place, stage in enumerate(stages):
            before = {earlier.name for earlier in stages[:place]}
            heard = [record for record in said.said if record.author in before]
            self._candidate.follow(stage.name, (*stage.inbox, *heard))
        return said

    def recover(self, name: str, records: Iterable[Record]) -> None:
        """See Crew."""

    def begin(self, signals: SignalAsk) -> None:
        """See Crew."""

    def fan_out(self, signals: SignalAsk, risk: RiskAsk | None) -> FanOut:
        """See Crew."""
        return self._record.fan_out(signals, risk)

    def late(self) -> list[LateAnswer]:
        """See Crew."""
        return []

    @property
    def _record(self) -> RecordedCrew:
        assert self.recorded is not None, "a cycle is followed with its record"
        return self.recorded


def _failed(fault: AgentFault) -> FirmError:
    return FirmError(
        f"the candidate's {fault.agent} failed on entry {fault.seq} of the live log ({fault.reason}); its"
        " decisions end there. Correct its configuration or its code; the live firm is not concerned."
    )
