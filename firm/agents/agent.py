"""What an agent is: it hears some events and says others, and nothing else."""

import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol

from firm.events import Entry, Event


class Agent(Protocol):
    """A pure fold: no I/O, no clock, no randomness, no logging.

    `name` is its seat and its name as an author. The hint of `handle`'s parameter (`Entry[A | B]`) is what it
    hears, the hint of its result (`list[C]`) what it may say. Events in `notes` only change its state: an
    agent that would answer one is refused, and the bus may deliver them late (but always in order).
    """

    name: ClassVar[str]
    notes: ClassVar[frozenset[type[Event]]]

    def handle(self, entry: Entry[Any]) -> Sequence[Event]:
        """Take in one entry; return what there is to say about it."""


@typing.runtime_checkable
class Recalling(Protocol):
    """An agent that can take in its past faster than by hearing it again, to the same state."""

    def recall(self, entries: Iterable[Entry[Any]]) -> None:
        """Take in everything it had heard, oldest first; what it said then is known."""


def _members(hint: Any) -> frozenset[type[Event]]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return frozenset(typing.get_args(hint))
    return frozenset({hint})


def heard_by(agent: type[Agent]) -> frozenset[type[Event]]:
    """The event classes an agent hears, from its type hints."""
    (entry,) = (h for n, h in typing.get_type_hints(agent.handle).items() if n != "return")
    (hint,) = typing.get_args(entry)
    return _members(hint)


def said_by(agent: type[Agent]) -> frozenset[type[Event]]:
    """The event classes an agent may say, from its type hints."""
    (hint,) = typing.get_args(typing.get_type_hints(agent.handle)["return"])
    return _members(hint)


def answered_by(agent: type[Agent]) -> frozenset[type[Event]]:
    """The event classes an agent may answer: what it hears and does not merely note."""
    return heard_by(agent) - agent.notes
