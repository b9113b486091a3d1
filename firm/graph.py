"""The wiring of the firm, read off the type hints: who hears what, who says what."""

from firm.agents.agent import heard_by, said_by
from firm.events import EVENTS, INPUT_AUTHORS, USER_EVENT_TYPES, Event
from firm.events.risk import RiskRunCompleted
from firm.events.signals import Signal
from firm.events.system import TradingHalted, TradingRearmed
from firm.roster import AGENTS

OTHER_SPEAKERS: dict[type[Event], str] = {
    Signal: "signal agents",
    RiskRunCompleted: "risk run",
    TradingHalted: "bus",
    TradingRearmed: "bus",
}


def draw() -> str:
    """A Mermaid flow chart and a table, as Markdown; docs/wiring.md is this, checked by a test."""
    return "\n".join(["# Wiring", "", "```mermaid", *_chart(), "```", "", *_table(), "", *_user_types()])


def speakers(event: type[Event]) -> list[str]:
    """Who may put this event in the log."""
    if event in INPUT_AUTHORS:
        return [INPUT_AUTHORS[event]]
    if event in OTHER_SPEAKERS:
        return [OTHER_SPEAKERS[event]]
    return [agent.name for agent in AGENTS if event in said_by(agent)]


def hearers(event: type[Event]) -> list[str]:
    """Which agents hear this event, in seating order."""
    return [agent.name for agent in AGENTS if event in heard_by(agent)]


def _chart() -> list[str]:
    edges: dict[tuple[str, str], list[str]] = {}
    for event in EVENTS:
        for speaker in speakers(event):
            for hearer in hearers(event):
                if speaker != hearer:
                    edges.setdefault((speaker, hearer), []).append(event.__name__)
    lines = ["flowchart LR"]
    for (speaker, hearer), events in edges.items():
        lines.append(f'    {_node(speaker)} -->|"{"<br/>".join(events)}"| {_node(hearer)}')
    return lines


def _node(name: str) -> str:
    return f'{name.replace(" ", "_")}["{name}"]'


def _table() -> list[str]:
    rows = ["| event | kind | said by | heard by |", "|---|---|---|---|"]
    for event in EVENTS:
        heard = ", ".join(hearers(event)) or "the log only"
        rows.append(f"| {event.__name__} | {event.KIND} | {', '.join(speakers(event))} | {heard} |")
    return rows


def _user_types() -> list[str]:
    rows = ["| event type | classes |", "|---|---|"]
    for name, classes in USER_EVENT_TYPES.items():
        rows.append(f"| {name} | {', '.join(cls.__name__ for cls in classes)} |")
    return rows
