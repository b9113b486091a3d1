"""The gateway's notices about itself: its link to Interactive Brokers, and its data farms. Pure."""

from firm.broker import codes
from firm.broker.messages import ErrorMessage
from firm.broker.wants import Wants
from firm.events import Event
from firm.events.system import BrokerDisconnected


class LinkState:
    """Whether orders may be sent. `frozen` says why not; None when they may.

    `back`: the link stands again, but not everything was reconciled yet.
    """

    def __init__(self, wants: Wants) -> None:
        self.frozen: str | None = "not connected yet"
        self.back = False
        self._wants = wants
        self._farm_broken = False

    def lost(self, reason: str) -> list[Event]:
        """Nothing may be sent until everything was reconciled again; said once."""
        already, self.frozen, self.back = self.frozen, reason, False
        return [] if already else [BrokerDisconnected(reason)]

    def restored(self) -> None:
        """Everything was reconciled."""
        self.frozen = None

    def hear(self, notice: ErrorMessage) -> list[Event]:
        """A notice that is about no order."""
        code = notice.code
        if code in codes.LINK_LOST:
            return self.lost(f"{code}: {notice.text}")
        if code in {codes.LINK_BACK, codes.LINK_BACK_DATA_LOST}:
            self.back = True
            self._wants.query(f"{code}: {notice.text}")
        farm_back = code == codes.DATA_FARM_OK and self._farm_broken
        if farm_back or code in {codes.LINK_BACK_DATA_LOST, codes.DATA_LOST}:
            self._wants.resubscribe()
        if code in {codes.DATA_FARM_BROKEN, codes.DATA_FARM_OK}:
            self._farm_broken = code == codes.DATA_FARM_BROKEN
        return []
