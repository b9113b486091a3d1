"""What leaves for the broker and what comes back: orders by rank and pace, cancels at once, and the outbox.

Everything here runs on one event loop. Events collect in the outbox in their order of arrival.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from firm.broker.connection import Connection
from firm.broker.exposure import reduces
from firm.broker.guard import Guard
from firm.broker.ib_session import IbSession
from firm.broker.latch import Latch
from firm.broker.messages import CancelOrder
from firm.broker.pacer import Pacer, Priority
from firm.broker.stopwatch import Stopwatch
from firm.broker.waiting import within
from firm.broker.waiting_orders import WaitingOrders
from firm.config import Broker
from firm.domain.instrument import Instrument
from firm.domain.session import Sessions
from firm.errors import GatewayClosed
from firm.events import Event
from firm.events.orders import Child, CommissionReported, OrderAccepted, OrderFilled

LOG = logging.getLogger("firm.broker")
NEWS = OrderAccepted | OrderFilled | CommissionReported


class Post:
    """One session on one connection. `at` is the newest log time (ns UTC); whoever moves time keeps it.

    `busy`: something was sent or has traded since the last reconciliation.
    """

    def __init__(
        self,
        session: IbSession,
        connection: Connection,
        latch: Latch,
        pacer: Pacer,
        settings: Broker,
        stopwatch: Stopwatch,
    ) -> None:
        self.session, self.connection = session, connection
        self.settings, self.stopwatch = settings, stopwatch
        self.outbox: list[Event] = []
        self.at = 0
        self.busy = False
        self.guard = Guard(settings, session, (), Sessions((), ()))
        self._latch, self._pacer = latch, pacer
        self._instruments: Sequence[Instrument] = ()
        self._waiting = WaitingOrders()
        self._sender: asyncio.Task[None] | None = None
        self._awaited: dict[int, float] = {}

    @property
    def unlogged(self) -> bool:
        """Whether a trade was heard that the log does not have yet."""
        return any(isinstance(event, NEWS) for event in self.outbox)

    def trade(self, instruments: Sequence[Instrument], sessions: Sessions) -> None:
        """The universe of the run, in index order, and when it is quoted."""
        self._instruments = instruments
        self.guard = Guard(self.settings, self.session, instruments, sessions)

    def say(self, events: Iterable[Event]) -> None:
        """Into the outbox, with what the circuit breaker makes of it."""
        said = self.guard.hear(events, self.at)
        self.busy = self.busy or any(isinstance(event, NEWS) for event in said)
        self.outbox += said

    def drain(self) -> None:
        """Hear everything that has been decoded."""
        for message in self.connection.take_inbox():
            self.say(self.session.hear(message))

    def lost(self, reason: str) -> None:
        """The connection is gone, or as good as gone: hang up, so that it is made anew."""
        self.drain()
        self.connection.disconnect()
        self.say(self.session.link.lost(reason))
        self.send_waiting()

    def order(self, seq: int, child: Child) -> None:
        """It is to be sent, or refused, at the next `send_waiting`; never a second time."""
        if seq not in self.session.children and seq not in self._waiting:  # else it was sent before a restart
            rank = Priority.REDUCE if reduces(self.session, child) else Priority.NEW
            self._waiting.push(rank, seq, child)

    async def cancel(self, seq: int, reason: str) -> None:
        """The firm wants the order cancelled; one that still waits is never sent."""
        if seq in self._waiting:
            self.say(self.session.children.refuse(seq, self._waiting.take(seq), reason, cancelled=True))
        else:
            await self.send_cancels(self.session.cancel(seq, reason))

    async def send_cancels(self, cancels: Sequence[CancelOrder]) -> None:
        """Ahead of everything else; what cannot go now is still wanted, and goes when the link is back."""
        for cancel in cancels:
            await self._pacer.take(Priority.CANCEL)
            if not self.session.link.gate.cancels:
                return
            try:
                self.connection.cancel(cancel.order_id)
            except GatewayClosed as error:
                self.lost(str(error))

    def send_waiting(self) -> None:
        """Refuse what may not be sent, send what there is room for, leave the rest to the sender."""
        while self._waiting and (self._obstacle() or self._pacer.try_take(self._waiting.first)):
            self._send(*self._waiting.pop())
        if self._waiting and (self._sender is None or self._sender.done()):
            self._sender = asyncio.create_task(self._keep_sending())

    async def look_at_latch(self) -> bool:
        """When the kill switch comes down: cancel all own live orders, once; whether it just did."""
        reason = self._latch.has_come_down()
        if reason:
            LOG.warning("%s: cancelling all working orders", reason)
            self.send_waiting()
            for child in self.session.children.live():
                await self.send_cancels(self.session.cancel(child.seq, reason))
        return reason is not None

    async def answered(self, arrived: asyncio.Event) -> None:
        """Wait until every order sent was answered to, or its time is up."""
        clock = asyncio.get_running_loop().time
        while self._awaited:
            arrived.clear()
            self.drain()
            self.give_up_waiting()
            if self._awaited:
                left = min(self._awaited.values()) - clock()
                await within(arrived, left)

    def give_up_waiting(self) -> None:
        """Forget orders that were answered to; doubt those whose time is up."""
        now = asyncio.get_running_loop().time()
        for seq, deadline in list(self._awaited.items()):
            if self.session.children[seq].heard_of:
                del self._awaited[seq]
            elif now >= deadline:
                del self._awaited[seq]
                self.say(self.session.unanswered(seq, self.settings.request_timeout_ms))

    def under_way(self) -> frozenset[int]:
        """Orders sent so lately that the broker may not have them yet."""
        now = asyncio.get_running_loop().time()
        return frozenset(seq for seq, deadline in self._awaited.items() if now < deadline)

    async def end(self) -> None:
        """Send nothing more; an order that still waits has not been sent, and will be found nowhere."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)

    async def _keep_sending(self) -> None:
        while self._waiting:
            await self._pacer.take(self._waiting.first)
            if self._waiting:
                self._send(*self._waiting.pop())

    def _send(self, seq: int, child: Child) -> None:
        session = self.session
        if reason := self._obstacle() or self.guard.objection(child, self.at):
            self.say(session.children.refuse(seq, child, reason))
            return
        order_id = self.connection.next_order_id()
        session.submit(seq, child, order_id)
        self.busy = True
        self.guard.breaker.sent(seq)
        self._awaited[seq] = asyncio.get_running_loop().time() + self.settings.request_timeout_ms / 1000
        name = session.children.name(session.children[seq])
        try:
            self.connection.place(order_id, name, self._instruments[child.instrument], child)
            self.stopwatch.sent()
        except GatewayClosed as error:  # it may have been sent: the next reconciliation tells
            self.lost(str(error))

    def _obstacle(self) -> str | None:
        """Why no order at all may be sent."""
        if reason := self._latch.reason():
            return reason
        if not self.connection.up and self.session.link.frozen is None:
            self.drain()
            self.say(self.session.link.lost("the connection is gone"))
        frozen = self.session.link.frozen
        return None if frozen is None else f"not sent, the broker cannot be reached: {frozen}"
