"""What the log says of a cycle: its batch, and a crew that repeats what was said instead of asking anyone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from firm.bus.crew import FanOut, Memory, RiskAsk, SignalAsk, Unit
from firm.bus.log import Log
from firm.bus.relay import Relay, Stage
from firm.events import CODEC, Event, Record
from firm.events.risk import RiskRunCompleted, RiskRunFailed
from firm.events.signals import LateAnswer, Signal
from firm.events.system import CycleOpened


@dataclass(frozen=True)
class Input:
    """What a gateway hands over: who says it, and what."""

    author: str
    event: Event


def recorded_batch(records: Sequence[Record]) -> tuple[list[Input], int]:
    """The inputs of a recorded cycle, given its records from `CycleOpened` on, and its log time."""
    opened = CODEC.event(records[0])
    assert isinstance(opened, CycleOpened)
    given = records[1 : 1 + opened.inputs]
    return [Input(record.author, CODEC.event(record)) for record in given], records[0].at


def cycle_starts(records: Sequence[Record]) -> list[int]:
    """Where the cycles begin: the places of `CycleOpened` among `records`."""
    return [i for i, record in enumerate(records) if record.kind == CycleOpened.KIND]


class RecordedCrew:
    """A crew that runs nobody: its agents say what `log` holds next. For cycles that are finished."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def relay(self, stages: Sequence[Stage], relay: Relay, memory: Memory) -> Relay:
        """See Crew."""
        del memory
        names = {stage.name for stage in stages}
        said = tuple(takewhile(lambda record: record.author in names, self._log.recorded_in_cycle()))
        return Relay(relay.at, relay.next_seq + len(said), relay.said + said)

    def recover(self, name: str, records: Iterable[Record]) -> None:
        """See Crew."""

    def begin(self, signals: SignalAsk) -> None:
        """See Crew."""

    def fan_out(self, signals: SignalAsk, risk: RiskAsk | None) -> FanOut:
        """See Crew."""
        del signals, risk
        answers: dict[Unit, bytes] = {}
        run: RiskRunCompleted | RiskRunFailed | None = None
        for record in self._log.recorded_in_cycle():
            match CODEC.event(record):
                case Signal(unit=unit):
                    answers[record.author, unit] = record.payload
                case RiskRunCompleted() | RiskRunFailed() as outcome:
                    run = outcome
        return FanOut(answers, run)

    def late(self) -> list[LateAnswer]:
        """See Crew."""
        return []
