"""Where the broker and the log differ: each difference with its class, and how grave it is. Pure."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from firm.events import Event
from firm.events.broker import BreakClass, BreakClosed, BreakFound, Severity

SEVERITY: Final = {
    BreakClass.POSITION: Severity.CRITICAL,
    BreakClass.HOLDING_OUTSIDE: Severity.CRITICAL,
    BreakClass.STRAY_ORDER: Severity.ALARM,
    BreakClass.FOREIGN_CLIENT: Severity.ALARM,
    BreakClass.RISEN_ORDER: Severity.ALARM,
    BreakClass.CONTRACT: Severity.CRITICAL,
    BreakClass.CASH: Severity.WARNING,
    BreakClass.COMMISSION: Severity.WARNING,
}
"""Cash moves for reasons that are no orders (interest, dividends, deposits), so it only warns."""


class Break(NamedTuple):
    """One difference. `subject` names what (a symbol, an order, a currency), `text` has the numbers."""

    kind: BreakClass
    subject: str
    text: str

    @property
    def stops(self) -> bool:
        """Whether no new risk may be opened while it is there."""
        return SEVERITY[self.kind].stops_new_risk


class BreakBook:
    """The breaks that have been told and are not closed yet."""

    def __init__(self) -> None:
        self._open: dict[tuple[BreakClass, str], str] = {}

    def remember(self, event: BreakFound | BreakClosed) -> None:
        """Take in what is in the log."""
        match event:
            case BreakFound(kind=kind, subject=subject, text=text):
                self._open[kind, subject] = text
            case BreakClosed(kind=kind, subject=subject):
                self._open.pop((kind, subject), None)

    def compared(self, found: Iterable[Break]) -> list[Event]:
        """What is new, changed or closed, given all breaks of a complete reconciliation."""
        now = {(b.kind, b.subject): b.text for b in found}
        events: list[Event] = [
            BreakFound(kind, SEVERITY[kind], subject, text)
            for (kind, subject), text in now.items()
            if self._open.get((kind, subject)) != text
        ]
        events += [BreakClosed(kind, subject) for kind, subject in self._open if (kind, subject) not in now]
        self._open = now
        return events
