"""The gateway's notices about itself: its link to Interactive Brokers, and its data farms. Pure."""

from firm.broker import codes
from firm.broker.gate import Gate, Signal
from firm.broker.messages import ErrorMessage
from firm.broker.wants import Wants
from firm.events import Event
from firm.events.system import BrokerDisconnected


class LinkState:
    """The gate, and what the notices do to it.

    `frozen` says why the broker cannot be relied on; None: it can. What was sent just before the link was
    lost may be lost too: `came_back` says that cancels must be sent again, until somebody clears it.
    """

    def __init__(self, wants: Wants) -> None:
        self.gate = Gate()
        self.frozen: str | None = "not connected yet"
        self.came_back = False
        self._wants = wants
        self._broken_farms: set[str] = set()

    def connected(self) -> list[Event]:
        """A fresh connection stands; its farms are well until told otherwise."""
        self._broken_farms.clear()
        well = self.gate.hear(Signal.DATA_WELL, "a fresh connection")
        return well + self.gate.hear(Signal.CONNECTED, "connected")

    def lost(self, reason: str) -> list[Event]:
        """The connection is gone; said once."""
        return self._unreliable(Signal.DISCONNECTED, reason)

    def restored(self) -> list[Event]:
        """Everything was reconciled."""
        self.frozen = None
        return self.gate.hear(Signal.RECONCILED, "reconciled")

    @property
    def farms(self) -> str | None:
        """Which market data farms are down; None if all are well."""
        return f"down: {', '.join(sorted(self._broken_farms))}" if self._broken_farms else None

    def hear(self, notice: ErrorMessage) -> list[Event]:
        """A notice that is about no order."""
        code, text = notice.code, f"{notice.code}: {notice.text}"
        if code in codes.LINK_LOST:
            return self._unreliable(Signal.LINK_LOST, text)
        events: list[Event] = []
        if code in {codes.LINK_BACK, codes.LINK_BACK_DATA_LOST}:
            events = self.gate.hear(Signal.LINK_BACK, text)
            self.came_back = True
            self._wants.query(text)
        elif code == codes.PACING:
            self._wants.query(text)
        if code in {codes.LINK_BACK_DATA_LOST, codes.DATA_LOST}:
            self._wants.resubscribe()
        self._hear_farm(code, notice.text)
        return events

    def _hear_farm(self, code: int, text: str) -> None:
        """2103 `Market data farm connection is broken:usfarm` and its like."""
        farm = text.rpartition(":")[2].strip() or "market data"
        if code in codes.FARM_BROKEN:
            self._broken_farms.add(farm)
        elif code in codes.FARM_OK and farm in self._broken_farms:
            self._broken_farms.discard(farm)
            self._wants.resubscribe()

    def _unreliable(self, signal: Signal, reason: str) -> list[Event]:
        already, self.frozen = self.frozen, reason
        said: list[Event] = [] if already else [BrokerDisconnected(reason)]
        return said + self.gate.hear(signal, reason)
