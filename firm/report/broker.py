"""The broker's side of a run: how often and how long its gate was shut, what broke, whose data failed."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

from firm.domain.session import Sessions
from firm.events import Entry
from firm.events.broker import (
    BreakClass,
    BreakClosed,
    BreakFound,
    CircuitChanged,
    CircuitState,
    DataState,
    DataStateChanged,
    GateChanged,
    GateState,
    LoginDue,
    Severity,
)
from firm.events.scheduled import SessionsLoaded
from firm.report.outage import Outage

KEPT: Final = 200
"""How many switches and breaks are kept one by one, the newest; counts and durations are of all."""


@dataclass(frozen=True, slots=True)
class Switch:
    """The gate or the circuit breaker has moved, at log time `at`."""

    at: int
    what: str
    before: str
    after: str
    reason: str


@dataclass(slots=True)
class BreakRow:
    """One difference between the broker and the log; `text` is the latest, `closed_at` None: still there."""

    at: int
    kind: BreakClass
    severity: Severity
    subject: str
    text: str
    closed_at: int | None = None


@dataclass(slots=True)
class DataRow:
    """One instrument's data: what they are worth, why they last were not live, and for how long."""

    state: DataState
    reason: str = ""
    outage: Outage = field(default_factory=Outage)


class BrokerSeries:
    """A fold of what the broker's side says of itself; `gate` None: it said nothing, as without a gateway."""

    KINDS: Final = frozenset(
        cls.KIND
        for cls in (
            GateChanged,
            CircuitChanged,
            BreakFound,
            BreakClosed,
            DataStateChanged,
            LoginDue,
            SessionsLoaded,
        )
    )

    def __init__(self) -> None:
        self.sessions: Sessions | None = None
        self.gate: GateState | None = None
        self.gate_outage = Outage()
        self.circuit = CircuitState.CLOSED
        self.circuit_outage = Outage()
        self.switches: deque[Switch] = deque(maxlen=KEPT)
        self.switched = 0
        self.breaks: deque[BreakRow] = deque(maxlen=KEPT)
        self.found: Counter[tuple[BreakClass, Severity]] = Counter()
        self.data: dict[int, DataRow] = {}
        self.login_by: int | None = None
        self._open: dict[tuple[BreakClass, str], BreakRow] = {}

    @property
    def open_breaks(self) -> list[BreakRow]:
        """Those that are still there, the gravest first."""
        return sorted(self._open.values(), key=lambda row: -list(Severity).index(row.severity))

    @property
    def gate_closures(self) -> int:
        """How often the gate was open (or degraded) and then took no more orders."""
        return self.gate_outage.times

    @property
    def circuit_openings(self) -> int:
        """How often the breaker has opened."""
        return self.circuit_outage.times

    def note(self, entry: Entry[Any]) -> None:
        """Take in one entry of `KINDS`."""
        at, known = entry.at, self.sessions or Sessions((), ())
        match entry.event:
            case SessionsLoaded(sessions=sessions):
                self.sessions = sessions
            case GateChanged(before=before, after=after, reason=reason):
                self.gate = after
                passes = {"was_well": before.passes_orders, "well": after.passes_orders}
                self.gate_outage.told(at, known, **passes)
                self._switch(Switch(at, "gate", before, after, reason))
            case CircuitChanged(before=before, after=after, reason=reason):
                self.circuit = after
                opened = CircuitState.OPEN
                self.circuit_outage.told(at, known, was_well=before is not opened, well=after is not opened)
                self._switch(Switch(at, "circuit breaker", before, after, reason))
            case BreakFound() as found:
                self._found(at, found)
            case BreakClosed(kind=kind, subject=subject):
                row = self._open.pop((kind, subject), None)
                if row is not None:
                    row.closed_at = at
            case DataStateChanged() as changed:
                self._data(at, known, changed)
            case LoginDue(by=by):
                self.login_by = by

    def _switch(self, switch: Switch) -> None:
        self.switched += 1
        self.switches.append(switch)

    def _found(self, at: int, found: BreakFound) -> None:
        known = self._open.get((found.kind, found.subject))
        if known is not None:
            known.text = found.text
            return
        row = BreakRow(at, found.kind, found.severity, found.subject, found.text)
        self._open[found.kind, found.subject] = row
        self.found[found.kind, found.severity] += 1
        self.breaks.append(row)

    def _data(self, at: int, sessions: Sessions, changed: DataStateChanged) -> None:
        row = self.data.setdefault(changed.instrument, DataRow(changed.after))
        row.state, well = changed.after, not changed.after.stops_new_risk
        if not well:
            row.reason = changed.reason
        row.outage.told(at, sessions, was_well=not changed.before.stops_new_risk, well=well)
