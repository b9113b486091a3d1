"""What may be sent to the broker: the gate's states and what moves it, as a table. Pure."""

from enum import Enum, auto
from typing import Final

from firm.events import Event
from firm.events.broker import GateChanged, GateState

CLOSED, SYNCING, OPEN, DEGRADED, FROZEN = GateState


class Signal(Enum):
    """What can move the gate."""

    CONNECTED = auto()
    """A socket stands and the account is known."""
    RECONCILED = auto()
    """Executions, orders and positions were asked for and joined."""
    LINK_LOST = auto()
    """The gateway has lost Interactive Brokers: what is sent now may vanish."""
    LINK_BACK = auto()
    """It has found it again; what happened meanwhile is not known yet."""
    DISCONNECTED = auto()
    """The socket is gone, or nobody answers on it."""
    DATA_IMPAIRED = auto()
    """A data farm is down, or the quotes of an instrument are not live."""
    DATA_WELL = auto()
    """All quotes are live again."""
    RESTART_NEAR = auto()
    """The gateway is about to restart: what is sent now may vanish with its session."""
    RESTART_PAST = auto()
    """The time of the restart is over."""


TRANSITIONS: Final[dict[tuple[GateState, Signal], GateState]] = {
    (CLOSED, Signal.CONNECTED): SYNCING,
    (SYNCING, Signal.RECONCILED): OPEN,
    (SYNCING, Signal.LINK_LOST): FROZEN,
    (SYNCING, Signal.DISCONNECTED): CLOSED,
    (SYNCING, Signal.RESTART_NEAR): FROZEN,
    (OPEN, Signal.LINK_LOST): FROZEN,
    (OPEN, Signal.DISCONNECTED): CLOSED,
    (OPEN, Signal.DATA_IMPAIRED): DEGRADED,
    (OPEN, Signal.RESTART_NEAR): FROZEN,
    (DEGRADED, Signal.LINK_LOST): FROZEN,
    (DEGRADED, Signal.DISCONNECTED): CLOSED,
    (DEGRADED, Signal.DATA_WELL): OPEN,
    (DEGRADED, Signal.RESTART_NEAR): FROZEN,
    (FROZEN, Signal.LINK_BACK): SYNCING,
    (FROZEN, Signal.DISCONNECTED): CLOSED,
    (FROZEN, Signal.RESTART_PAST): SYNCING,
}
"""A signal that is not here leaves the gate where it is."""

CANCELS: Final = frozenset({SYNCING, OPEN, DEGRADED})


class Gate:
    """Where the gate stands and why. Facts that outlive a state (data, restart, link) are kept beside it."""

    def __init__(self) -> None:
        self.state = CLOSED
        self.reason = "not connected yet"
        self._link_lost = False
        self._restart_near: str | None = None
        self._data_impaired: str | None = None

    @property
    def orders(self) -> bool:
        """Whether orders may be sent."""
        return self.state.passes_orders

    @property
    def cancels(self) -> bool:
        """Whether a cancel has a way to the broker; before a restart it has one, behind a lost link not."""
        return self.state in CANCELS or (self.state is FROZEN and not self._link_lost)

    def hear(self, signal: Signal, reason: str) -> list[Event]:
        """Take in a signal; each move of the gate that follows, in order."""
        self._keep(signal, reason)
        blocked = signal is Signal.RESTART_PAST and self._link_lost
        events = [] if blocked else self._move(signal, reason)
        if self.state is OPEN and self._restart_near is not None:
            events += self._move(Signal.RESTART_NEAR, self._restart_near)
        if self.state is OPEN and self._data_impaired is not None:
            events += self._move(Signal.DATA_IMPAIRED, self._data_impaired)
        return events

    def _keep(self, signal: Signal, reason: str) -> None:
        match signal:
            case Signal.LINK_LOST:
                self._link_lost = True
            case Signal.LINK_BACK | Signal.CONNECTED | Signal.DISCONNECTED:
                self._link_lost = False
            case Signal.DATA_IMPAIRED:
                self._data_impaired = reason
            case Signal.DATA_WELL:
                self._data_impaired = None
            case Signal.RESTART_NEAR:
                self._restart_near = reason
            case Signal.RESTART_PAST:
                self._restart_near = None
            case Signal.RECONCILED:
                pass

    def _move(self, signal: Signal, reason: str) -> list[Event]:
        to = TRANSITIONS.get((self.state, signal))
        if to is None:
            return []
        before, self.state, self.reason = self.state, to, reason
        return [GateChanged(before, to, reason)]
