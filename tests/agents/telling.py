"""Conversations with an agent: tell it what happened, get back all it says, each turn checked."""

from typing import Any

from firm.agents.agent import Agent, answered_by, heard_by, said_by
from firm.events import INPUT_AUTHORS, Entry, Event, Origin

START = 1_000_000_000

Line = Event | tuple[int, Event] | Entry[Any]


def entries(*lines: Line, first: int = 1) -> list[Entry[Any]]:
    """Number `lines` from `first` and stamp them.

    A line is an event, `(at, event)` (time stands still from there until the next pair), or an entry that
    already has its place (numbering goes on behind it).
    """
    numbered, at = [], START
    for line in lines:
        if isinstance(line, Entry):
            entry = line
        else:
            at, event = line if isinstance(line, tuple) else (at, line)
            author = INPUT_AUTHORS.get(type(event))
            origin = Origin.DERIVED if author is None else Origin.INPUT
            entry = Entry(first, at, origin, author or "another agent", 0, 0, event)
        first, at = entry.seq + 1, entry.at
        numbered.append(entry)
    return numbered


def tell(agent: Agent, *lines: Line, first: int = 1) -> list[Event]:
    """Let the agent hear `lines` (see `entries`) in order, and return everything it said."""
    said: list[Event] = []
    for entry in entries(*lines, first=first):
        said += hear(agent, entry)
    return said


def hear(agent: Agent, entry: Entry[Any]) -> list[Event]:
    """One turn, checked: it hears only what it declares, says only what it declares, answers no note."""
    heard = type(entry.event)
    assert heard in heard_by(type(agent)), f"{agent.name} does not hear {heard.__name__}"
    answers = list(agent.handle(entry))
    for answer in answers:
        assert type(answer) in said_by(type(agent)), f"{agent.name} may not say {type(answer).__name__}"
    assert not answers or heard in answered_by(type(agent)), f"{agent.name} answered a note: {heard.__name__}"
    return answers
