"""Where the broker's side stands, folded from the log: gate, circuit, open breaks, data, the next login."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from firm.domain.session import NS_PER_SECOND
from firm.events import Event
from firm.events.broker import (
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
from firm.events.system import InstrumentsResolved


def utc(at: int) -> str:
    """A log time (ns) for a person.

    >>> utc(1_704_207_600_000_000_000)
    '2024-01-02 15:00 UTC'
    """
    return f"{datetime.fromtimestamp(at // NS_PER_SECOND, UTC):%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class Dull:
    """An instrument whose data are not live."""

    symbol: str
    state: DataState
    reason: str


@dataclass(frozen=True)
class BrokerView:
    """The state after some entry; times are log times in ns UTC.

    `gate` None: the log has no word of a gate. `breaks` are those still there with the time they were found,
    the gravest first; `breaks_known` counts them by class and severity, 0 for those that are gone. `data`
    counts the instruments by state, empty as long as nothing was said of any. `login_by` None: no login was
    announced.
    """

    gate: GateState | None = None
    gate_reason: str = ""
    gate_since: int | None = None
    circuit: CircuitState = CircuitState.CLOSED
    circuit_reason: str = ""
    circuit_since: int | None = None
    breaks: tuple[tuple[int, BreakFound], ...] = ()
    breaks_known: Mapping[tuple[str, str], int] = field(default_factory=dict)
    data: Mapping[DataState, int] = field(default_factory=dict)
    not_live: tuple[Dull, ...] = ()
    login_by: int | None = None

    def as_dict(self) -> dict[str, object]:
        """For `/status`: words and UTC times."""
        return {
            "gate": _switch(self.gate, self.gate_reason, self.gate_since),
            "circuit": _switch(self.circuit, self.circuit_reason, self.circuit_since),
            "breaks": [
                {
                    "class": found.kind,
                    "severity": found.severity,
                    "subject": found.subject,
                    "text": found.text,
                    "since": utc(at),
                }
                for at, found in self.breaks
            ],
            "data": {
                "instruments": {str(state): count for state, count in self.data.items()},
                "not_live": [
                    {"symbol": dull.symbol, "state": dull.state, "reason": dull.reason}
                    for dull in self.not_live
                ],
            },
            "login_by": None if self.login_by is None else utc(self.login_by),
        }


def _switch(state: str | None, reason: str, since: int | None) -> dict[str, object]:
    return {"state": state, "reason": reason or None, "since": None if since is None else utc(since)}


class BrokerState:
    """The fold; what it takes in is `HEARD`."""

    HEARD: Final = (
        InstrumentsResolved,
        GateChanged,
        CircuitChanged,
        BreakFound,
        BreakClosed,
        DataStateChanged,
        LoginDue,
    )

    def __init__(self) -> None:
        self._symbols: tuple[str, ...] = ()
        self._gate: tuple[GateState | None, str, int | None] = (None, "", None)
        self._circuit: tuple[CircuitState, str, int | None] = (CircuitState.CLOSED, "", None)
        self._breaks: dict[tuple[str, str], tuple[int, BreakFound]] = {}
        self._kinds: set[tuple[str, str]] = set()
        self._data: dict[int, tuple[DataState, str]] = {}
        self._login_by: int | None = None

    def note(self, at: int, event: Event) -> None:
        """Take in what was said at log time `at`; everything but `HEARD` is passed over."""
        match event:
            case InstrumentsResolved(instruments=instruments):
                self._symbols = tuple(instrument.symbol for instrument in instruments)
            case GateChanged(after=after, reason=reason):
                self._gate = (after, reason, at)
            case CircuitChanged(after=after, reason=reason):
                self._circuit = (after, reason, at)
            case BreakFound(kind=kind, severity=severity, subject=subject) as found:
                since, _ = self._breaks.get((kind, subject), (at, found))
                self._breaks[kind, subject] = (since, found)
                self._kinds.add((kind, severity))
            case BreakClosed(kind=kind, subject=subject):
                self._breaks.pop((kind, subject), None)
            case DataStateChanged(instrument=instrument, after=after, reason=reason):
                self._data[instrument] = (after, reason)
            case LoginDue(by=by):
                self._login_by = by
            case _:
                pass

    def view(self) -> BrokerView:
        """The state now, as a value that does not change any more."""
        gravity = list(Severity)
        breaks = sorted(self._breaks.values(), key=lambda b: -gravity.index(b[1].severity))
        known = dict.fromkeys(sorted(self._kinds), 0)
        for _, found in breaks:
            known[found.kind, found.severity] += 1
        return BrokerView(
            *self._gate, *self._circuit, tuple(breaks), known, self._counts(), self._dull(), self._login_by
        )

    def _counts(self) -> dict[DataState, int]:
        if not self._data:
            return {}
        counted = Counter(state for state, _ in self._data.values())
        counted[DataState.AWAITED] += max(0, len(self._symbols) - len(self._data))
        return {state: counted[state] for state in DataState}

    def _dull(self) -> tuple[Dull, ...]:
        return tuple(
            Dull(self._symbols[i] if i < len(self._symbols) else f"#{i}", state, reason)
            for i, (state, reason) in sorted(self._data.items())
            if state.stops_new_risk
        )
