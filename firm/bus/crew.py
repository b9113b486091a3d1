"""What the bus asks of those who run the agents: one thread, or actors on a cluster."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from firm.agents.signals.signal_agent import MarketWindow
from firm.bus.relay import Relay, Stage
from firm.domain.instrument import Instrument
from firm.events import Record
from firm.events.risk import RiskRunCompleted, RiskRunFailed
from firm.events.signals import LateAnswer

Unit = tuple[str, str]
"""(agent, unit): one answer a barrier waits for."""

Memory = Callable[[str], Iterable[Record]]
"""What an agent, by name, had heard before the current chain: from it the agent can be rebuilt."""


@dataclass(frozen=True)
class SignalAsk:
    """A question to the signal agents. Without a deadline every expected answer is awaited, however long."""

    cycle: int
    window: MarketWindow
    expected: tuple[Unit, ...]
    deadline_ms: int | None


@dataclass(frozen=True)
class RiskAsk:
    """A Monte Carlo and stress run: the record of its `RiskRunRequested`, and the universe it is about."""

    record: Record
    instruments: tuple[Instrument, ...]
    deadline_ms: int | None


@dataclass
class FanOut:
    """What came back: encoded signals by unit, and the risk run's outcome (None if none was asked)."""

    answers: Mapping[Unit, bytes] = field(default_factory=dict)
    risk: RiskRunCompleted | RiskRunFailed | None = None


class Crew(Protocol):
    """Runs agents. Never decides: same records in, same records out."""

    def relay(self, stages: Sequence[Stage], relay: Relay, memory: Memory) -> Relay:
        """Let the stages hear strictly in sequence; an agent's death is healed from `memory`.

        Raises AgentFault if an agent failed on an entry; the caller recovers before it asks again.
        """

    def recover(self, name: str, records: Iterable[Record]) -> None:
        """Rebuild one agent from what it had heard."""

    def begin(self, signals: SignalAsk) -> None:
        """The question that `fan_out` will ask in this cycle: whoever can, starts on it now."""

    def fan_out(self, signals: SignalAsk, risk: RiskAsk | None) -> FanOut:
        """Ask all signal agents and run the risk tasks at the same time."""

    def late(self) -> list[LateAnswer]:
        """Answers that have come in since after their barrier had closed."""
