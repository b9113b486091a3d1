"""How an agent is heard: records in, numbered records out. The same code in one thread and in an actor."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from firm.agents.agent import Agent, Recalling, answered_by, heard_by, said_by
from firm.errors import AgentFault, AgentStale
from firm.events import CODEC, Origin, Record, encode


class Seat(NamedTuple):
    """What the bus must know of an agent: its name, and the kinds it hears, may answer, and may say."""

    name: str
    hears: frozenset[int]
    answers: frozenset[int]
    says: frozenset[int]


class Relay(NamedTuple):
    """What was said so far in a chain of agents; `next_seq` is the number of the next thing said."""

    at: int
    next_seq: int
    said: tuple[Record, ...]


class Stage(NamedTuple):
    """One agent's turn in a chain, with what it has not yet heard from before the chain."""

    name: str
    inbox: tuple[Record, ...]


def seat_of(agent: type[Agent]) -> Seat:
    """The seat of an agent class, read off its type hints."""

    def kinds(classes: Iterable[type]) -> frozenset[int]:
        return frozenset(cls.KIND for cls in classes)  # type: ignore[attr-defined]

    return Seat(agent.name, kinds(heard_by(agent)), kinds(answered_by(agent)), kinds(said_by(agent)))


class Listener:
    """Hosts one agent: lets it hear what it listens to, numbers what it says, rebuilds it from the log.

    A new agent, and one that has raised, is stale until `recover`: half a state is no state.
    """

    def __init__(self, hire: Callable[[], Agent]) -> None:
        self._hire = hire
        self._agent = hire()
        self._seat = seat_of(type(self._agent))
        self._stale = True

    def hear(self, inbox: Sequence[Record], relay: Relay) -> Relay:
        """Tell the agent its inbox, then what was said before it in this chain; add what it says.

        Raises AgentFault naming the entry on which the agent failed, AgentStale if it must recover first.
        """
        if self._stale:
            raise AgentStale(self._seat.name)
        said: list[Record] = []
        for record in (*inbox, *relay.said):
            if record.kind in self._seat.hears:
                self._answer(record, relay, said)
        return Relay(relay.at, relay.next_seq + len(said), relay.said + tuple(said))

    def _answer(self, record: Record, relay: Relay, said: list[Record]) -> None:
        try:
            events = self._agent.handle(CODEC.entry(record))
            assert not events or record.kind in self._seat.answers, "answered what it only notes"
            for index, event in enumerate(events):
                assert event.KIND in self._seat.says, f"said {type(event).__name__}, which it may not say"
                seq = relay.next_seq + len(said)
                said.append(
                    Record(
                        seq,
                        relay.at,
                        Origin.DERIVED,
                        self._seat.name,
                        record.seq,
                        index,
                        event.KIND,
                        encode(event),
                    )
                )
        except Exception as error:
            self._stale = True
            raise AgentFault(self._seat.name, record.seq, f"{type(error).__name__}: {error}") from error

    def recover(self, records: Iterable[Record]) -> None:
        """Forget everything and fold the records the agent had heard; what it says again is already known."""
        self._agent = self._hire()
        heard = (CODEC.entry(record) for record in records if record.kind in self._seat.hears)
        if isinstance(self._agent, Recalling):
            self._agent.recall(heard)
        else:
            for entry in heard:
                self._agent.handle(entry)
        self._stale = False
