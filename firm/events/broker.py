"""What the firm learns of its link to the broker: account figures, gate, circuit, breaks, data."""

from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from firm.events.base import Event


class CircuitState(StrEnum):
    """Closed lets orders through, open refuses them, half-open lets one through to try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class GateState(StrEnum):
    """How far the broker can be relied on.

    Closed: no connection. Syncing: connected, not everything was reconciled yet. Open: all is well. Degraded:
    orders may go, market data are impaired. Frozen: connected, but nothing that is sent can be trusted to
    arrive.
    """

    CLOSED = "closed"
    SYNCING = "syncing"
    OPEN = "open"
    DEGRADED = "degraded"
    FROZEN = "frozen"

    @property
    def passes_orders(self) -> bool:
        """Whether orders may be sent."""
        return self in {GateState.OPEN, GateState.DEGRADED}


class BreakClass(StrEnum):
    """What differs between the broker's word and the log."""

    POSITION = "position"
    HOLDING_OUTSIDE = "holding outside the universe"
    STRAY_ORDER = "stray order"
    FOREIGN_CLIENT = "order under another client id"
    RISEN_ORDER = "order alive after its end"
    CASH = "cash"
    COMMISSION = "commission missing"
    CONTRACT = "contract"


class Severity(StrEnum):
    """A warning is for people; an alarm stops new risk until it is gone; critical: the books are wrong."""

    WARNING = "warning"
    ALARM = "alarm"
    CRITICAL = "critical"

    @property
    def stops_new_risk(self) -> bool:
        """Whether only what reduces a position may pass while such a break is there."""
        return self is not Severity.WARNING


class DataState(StrEnum):
    """What the quotes of one instrument are worth. Only live ones are quotes; awaited: none came yet.

    Delayed: told late, on purpose. Frozen: the last ones before the close. Stale: live once, and silent for
    too long. Missing: refused, or never begun.
    """

    AWAITED = "awaited"
    LIVE = "live"
    DELAYED = "delayed"
    FROZEN = "frozen"
    STALE = "stale"
    MISSING = "missing"

    @property
    def stops_new_risk(self) -> bool:
        """Whether only what reduces the position may pass. While quotes are awaited there is no price."""
        return self not in {DataState.AWAITED, DataState.LIVE}


class AccountReported(Event, frozen=True, array_like=True):
    """The account's own figures, in its base currency, as the broker counts them.

    `excess_liquidity` is what is left above the maintenance margin; below zero the broker liquidates.
    """

    KIND: ClassVar[int] = 760
    account: str
    cash: Decimal
    net_liquidation: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    excess_liquidity: Decimal


class CircuitChanged(Event, frozen=True, array_like=True):
    """The breaker between the firm and the broker has switched."""

    KIND: ClassVar[int] = 761
    before: CircuitState
    after: CircuitState
    reason: str


class GateChanged(Event, frozen=True, array_like=True):
    """What may be sent to the broker has changed."""

    KIND: ClassVar[int] = 762
    before: GateState
    after: GateState
    reason: str


class BreakFound(Event, frozen=True, array_like=True):
    """The broker and the log differ. `subject` names what (a symbol, an order); `text` has the numbers.

    For people: what the agents act upon are the breaks of the `Reconciled` that follows, all that stop.
    """

    KIND: ClassVar[int] = 763
    kind: BreakClass
    severity: Severity
    subject: str
    text: str


class BreakClosed(Event, frozen=True, array_like=True):
    """A break that was found is there no more."""

    KIND: ClassVar[int] = 764
    kind: BreakClass
    subject: str


class DataStateChanged(Event, frozen=True, array_like=True):
    """The quotes of one instrument are worth something else now; new risk on it needs live ones."""

    KIND: ClassVar[int] = 765
    instrument: int
    before: DataState
    after: DataState
    reason: str


class LoginDue(Event, frozen=True, array_like=True):
    """The gateway must be authenticated again by a person before `by` (ns UTC), or its session ends."""

    KIND: ClassVar[int] = 766
    by: int
    reason: str
