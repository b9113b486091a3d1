"""Moves messages from the connection into the session, and the session's wants and the firm's orders out.

Everything here runs on one event loop. Events collect in the outbox in their order of arrival.
"""

import asyncio
import logging
from collections.abc import Sequence

from firm.broker.connection import Connection
from firm.broker.ib_session import IbSession
from firm.broker.latch import Latch
from firm.broker.memory import Remembered
from firm.broker.messages import CancelOrder, Query, Resubscribe
from firm.broker.pacer import Pacer
from firm.broker.quotes import QuoteBoard
from firm.broker.stopwatch import Stopwatch
from firm.broker.waiting import within
from firm.domain.instrument import Instrument
from firm.errors import GatewayClosed, GatewayError
from firm.events import CODEC, Event, Record
from firm.events.orders import Child, OrderCancelRequested, OrderSubmitted
from firm.events.system import BrokerConnected

LOG = logging.getLogger("firm.broker")
QUERIES_IN_A_ROW = 3
ROUNDS_OF_WANTS = 5
PAUSE_S, LOOKS_AT_LATCH = 1.0, 10


class Pump:
    """One session on one connection."""

    def __init__(
        self,
        session: IbSession,
        connection: Connection,
        latch: Latch,
        pacer: Pacer,
        answer_ms: int,
        stopwatch: Stopwatch,
        *,
        stepped: bool,
    ) -> None:
        """Prepare.

        Parameters
        ----------
        answer_ms
            An order that nothing was heard of for so long is unknown.
        stepped
            The gateway's clock stands still and every order is awaited: nothing is ever under way.
        """
        self.session, self.connection, self.latch = session, connection, latch
        self.stopwatch = stopwatch
        self.outbox: list[Event] = []
        self.board = QuoteBoard(())
        self._instruments: Sequence[Instrument] = ()
        self._pacer, self._answer_ms = pacer, answer_ms
        self._awaited: dict[int, float] = {}
        self._stepped = stepped
        self._asking = asyncio.Lock()

    def trade(self, instruments: Sequence[Instrument]) -> None:
        """The universe of the run, in index order."""
        self._instruments = instruments
        self.session.positions.know(instruments)
        self.board = QuoteBoard(instruments)

    def drain(self) -> None:
        """Hear everything that has been decoded."""
        for message in self.connection.take_inbox():
            self.outbox += self.session.hear(message)

    def take(self) -> tuple[Event, ...]:
        """Reports in order of arrival, then the market; the outbox is empty afterwards."""
        self.drain()
        events = (*self.outbox, *self.board.take())
        self.stopwatch.taken()
        self.outbox.clear()
        return events

    async def begin(self, *, connect: bool = False) -> None:
        """On a fresh connection (`connect`: one made now): reconcile, subscribe, catch up with cancels.

        Nobody asks anything between the connection and the reconciliation.
        """
        async with self._asking:
            if connect:
                await self.connection.connect()
            self.session.new_connection()
            await self._reconcile()
        await self.connection.subscribe(self._instruments, self.board)
        await self.fence()
        await self.answer_wants()

    async def fence(self, timeout_s: float | None = None) -> None:
        """See `Connection.fence`."""
        async with self._asking:
            await self.connection.fence(timeout_s)

    async def carry_out(self, commands: Sequence[Record]) -> None:
        """Send orders and cancels strictly in order; what cannot be sent is refused or kept as a wish."""
        for record in commands:
            match CODEC.event(record):
                case OrderSubmitted(child=child):
                    await self._submit(record.seq, child)
                case OrderCancelRequested(child_seq=child_seq, reason=reason):
                    await self._send_cancels(self.session.cancel(child_seq, reason))

    async def look_at_latch(self) -> bool:
        """When the kill switch comes down: cancel all own live orders, once; whether it just did."""
        reason = self.latch.has_come_down()
        if reason:
            LOG.warning("%s: cancelling all working orders", reason)
            for child in self.session.children.live():
                await self._send_cancels(self.session.cancel(child.seq, reason))
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
                self.outbox += self.session.unanswered(seq, self._answer_ms)

    async def answer_wants(self) -> None:
        """Ask and send what the session wants, until it wants nothing more."""
        for _ in range(ROUNDS_OF_WANTS):
            self.drain()
            await self._send_cancels(self.session.cancels_due())
            wants = self.session.wants()
            if not wants:
                return
            for want in wants:
                match want:
                    case Query(reason=reason):
                        LOG.info("reconciling: %s", reason)
                        await self.reconcile()
                    case Resubscribe():
                        await self.connection.subscribe(self._instruments, self.board)
                    case CancelOrder():
                        await self._send_cancels([want])
        LOG.warning("the broker's answers still raise questions after %s rounds", ROUNDS_OF_WANTS)

    async def reconcile(self) -> None:
        """Ask for everything, twice if something is missing, and report what it comes to.

        While the gateway has lost its own link nothing it says is new, so nothing is asked. One at a time:
        requests must not overlap, nor may the answers to one query settle another.
        """
        async with self._asking:
            await self._reconcile()

    def lost(self, reason: str) -> None:
        """The connection is gone."""
        self.drain()
        self.outbox += self.session.link.lost(reason)

    async def _reconcile(self) -> None:
        session, connection = self.session, self.connection
        frozen = session.link.frozen is not None
        if frozen and not session.link.back:
            return
        if frozen:
            self.outbox.append(BrokerConnected(connection.account, await connection.cash()))
        for asked in range(QUERIES_IN_A_ROW):
            if asked:
                await self._pause()
            self.drain()
            session.begin_query(self._under_way())
            await connection.query()
            self.drain()
            events, again = session.end_query()
            self.outbox += events
            if not again:
                break
        cash = await connection.cash()
        self.drain()
        if frozen:
            session.link.restored()
        self.outbox.append(session.reconciled(cash))
        await self._send_cancels(session.cancels_due())

    async def _pause(self) -> None:
        """Let the broker catch up with itself before it is asked again; a kill does not wait for that."""
        if not self._stepped:
            for _ in range(LOOKS_AT_LATCH):
                await asyncio.sleep(PAUSE_S / LOOKS_AT_LATCH)
                await self.look_at_latch()

    def _under_way(self) -> frozenset[int]:
        """Orders sent so lately that the broker may not have them yet."""
        now = asyncio.get_running_loop().time()
        awaited = {} if self._stepped else self._awaited
        return frozenset(seq for seq, deadline in awaited.items() if now < deadline)

    async def _submit(self, seq: int, child: Child) -> None:
        session = self.session
        if seq in session.children:
            return  # sent before a restart, or settled since
        await self._pacer.take()
        if reason := self._obstacle():
            self.outbox += session.refuse(seq, child, reason)
            return
        order_id = self.connection.next_order_id()
        session.submit(seq, child, order_id)
        self._awaited[seq] = asyncio.get_running_loop().time() + self._answer_ms / 1000
        name = session.children.name(session.children[seq])
        try:
            self.connection.place(order_id, name, self._instruments[child.instrument], child)
            self.stopwatch.sent()
        except GatewayClosed as error:  # it may have been sent: the next reconciliation tells
            self.lost(str(error))

    def _obstacle(self) -> str | None:
        if reason := self.latch.reason():
            return reason
        if not self.connection.up:
            self.lost("the connection is gone")
        frozen = self.session.link.frozen
        return None if frozen is None else f"not sent, the broker cannot be reached: {frozen}"

    async def _send_cancels(self, cancels: Sequence[CancelOrder]) -> None:
        for cancel in cancels:
            await self._pacer.take(urgent=True)
            try:
                self.connection.cancel(cancel.order_id)
            except GatewayClosed as error:  # wanted all the same: sent again after the reconnection
                self.lost(str(error))


def check_account(found: Remembered, connection: Connection) -> None:
    """The log and the gateway must mean the same account."""
    if found.account not in {None, connection.account}:
        raise GatewayError(
            f"this log trades account {found.account}, the gateway offers {connection.account}. Connect to "
            "the account of the log, or begin a new log."
        )
