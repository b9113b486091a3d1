"""Moves messages from the connection into the session, and the session's wants and the firm's orders out.

Everything here runs on one event loop. Events collect in the outbox in their order of arrival.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from firm.broker.connection import Connection
from firm.broker.guard import Guard
from firm.broker.ib_session import IbSession
from firm.broker.latch import Latch
from firm.broker.messages import CancelOrder, Query, Resubscribe
from firm.broker.pacer import Pacer, Priority
from firm.broker.quotes import QuoteBoard
from firm.broker.stopwatch import Stopwatch
from firm.broker.universe import described
from firm.broker.waiting import within
from firm.broker.waiting_orders import WaitingOrders
from firm.config import Broker
from firm.domain.instrument import Instrument
from firm.domain.session import NS_PER_SECOND, Sessions
from firm.errors import GatewayClosed, GatewayError
from firm.events import CODEC, Event, Record
from firm.events.orders import Child, OrderAccepted, OrderCancelRequested, OrderFilled, OrderSubmitted
from firm.events.system import BrokerConnected
from firm.tape.calendar import NEW_YORK

LOG = logging.getLogger("firm.broker")
QUERIES_IN_A_ROW = 3
ROUNDS_OF_WANTS = 5
PAUSE_S, LOOKS_AT_LATCH = 1.0, 10


class Pump:
    """One session on one connection. Whoever moves it keeps `at`, the newest log time (ns UTC)."""

    def __init__(
        self,
        session: IbSession,
        connection: Connection,
        latch: Latch,
        pacer: Pacer,
        settings: Broker,
        stopwatch: Stopwatch,
        *,
        stepped: bool,
    ) -> None:
        """`stepped`: the gateway's clock stands still and every order is awaited, none is under way."""
        self.session, self.connection, self.latch = session, connection, latch
        self.stopwatch, self.settings = stopwatch, settings
        self.outbox: list[Event] = []
        self.board = QuoteBoard(())
        self.at = 0
        self.guard = Guard(settings, session, (), Sessions((), ()))
        self._instruments: Sequence[Instrument] = ()
        self._pacer = pacer
        self._awaited: dict[int, float] = {}
        self._stepped = stepped
        self._asking = asyncio.Lock()
        self._waiting = WaitingOrders()
        self._sender: asyncio.Task[None] | None = None
        self._reconciled_on = self._checked_on = ""
        self._busy = False

    def trade(self, instruments: Sequence[Instrument], sessions: Sessions) -> None:
        """The universe of the run, in index order, and when it is quoted."""
        self._instruments = instruments
        self.session.knows(instruments)
        self.board = QuoteBoard(instruments)
        self.guard = Guard(self.settings, self.session, instruments, sessions)

    def say(self, events: Iterable[Event]) -> None:
        """Into the outbox, with what the circuit breaker makes of it."""
        said = self.guard.hear(events, self.at)
        self._busy = self._busy or any(isinstance(event, OrderAccepted | OrderFilled) for event in said)
        self.outbox += said

    def look(self) -> None:
        """Time has passed: what it and the quotes have changed."""
        self.say(self.guard.look(self.at, self.board))

    def drain(self) -> None:
        """Hear everything that has been decoded."""
        for message in self.connection.take_inbox():
            self.say(self.session.hear(message))

    def take(self) -> tuple[Event, ...]:
        """Reports in order of arrival, then the market; the outbox is empty afterwards."""
        self.drain()
        self.look()
        events = (*self.outbox, *self.connection.figures.news(self.at), *self.board.take())
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
            self.say(self.session.new_connection())
            await self._reconcile()
        await self.subscribe()
        await self.fence()
        await self.answer_wants()

    async def subscribe(self) -> None:
        """Ask for the quotes of all instruments, in place of all earlier subscriptions."""
        await self.connection.subscribe(self._instruments, self.board)
        self.guard.liveness.subscribed(self.at)

    @property
    def close_to_reconcile_at(self) -> int | None:
        """The close of the session (ns UTC) if there is anything that a reconciliation could settle.

        The gateway tells executions of its own day only: what was missed must be found before midnight.
        """
        open_question = self._busy or any(child.doubted for child in self.session.children.working())
        return self.guard.sessions.close_of(self.at) if open_question else None

    async def fence(self, timeout_s: float | None = None) -> None:
        """See `Connection.fence`."""
        async with self._asking:
            await self.connection.fence(timeout_s)

    async def carry_out(self, commands: Sequence[Record]) -> None:
        """Send orders and cancels strictly in order, as far as the pace allows.

        What must wait is overtaken by cancels and by orders that reduce risk; an order that is cancelled
        while it waits is never sent. Before the first order of a day everything is reconciled.
        """
        if any(r.kind == OrderSubmitted.KIND for r in commands) and self._reconciled_on != self._today:
            await self._reconcile_or_hang_up()
        for record in commands:
            match CODEC.event(record):
                case OrderSubmitted(child=child):
                    self._order(record.seq, child)
                case OrderCancelRequested(child_seq=child_seq, reason=reason):
                    await self._cancel(child_seq, reason)

    async def look_at_latch(self) -> bool:
        """When the kill switch comes down: cancel all own live orders, once; whether it just did."""
        reason = self.latch.has_come_down()
        if reason:
            LOG.warning("%s: cancelling all working orders", reason)
            self._send_waiting()
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
                self.say(self.session.unanswered(seq, self.settings.request_timeout_ms))

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
                        await self.subscribe()
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

    async def end(self) -> None:
        """Send nothing more; orders that still wait are not in the log as sent, so they are found nowhere."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)

    async def _reconcile_or_hang_up(self) -> None:
        """The commands that wait for this must be carried out or refused, whatever comes of it."""
        try:
            await self.reconcile()
        except GatewayError as error:
            self.lost(str(error))

    def lost(self, reason: str) -> None:
        """The connection is gone, or as good as gone: hang up, so that it is made anew."""
        self.drain()
        self.connection.disconnect()
        self.say(self.session.link.lost(reason))
        self._send_waiting()

    async def _reconcile(self) -> None:
        session, connection = self.session, self.connection
        if not self._can_ask():
            return
        if session.link.frozen is not None:
            figures = await connection.account_figures()
            self.say([BrokerConnected(connection.account, figures.cash)])
        for asked in range(QUERIES_IN_A_ROW):
            if asked:
                await self._pause()
            self.drain()
            session.begin_query(self._under_way())
            await connection.query()
            self.drain()
            events, again = session.end_query()
            self.say(events)
            if not again:
                break
        await self._check_contracts()
        figures = await connection.account_figures()
        self.drain()
        if not self._can_ask():  # lost again meanwhile: what was told may be old
            return
        self.say(session.reconciled(figures.cash))
        self.say([connection.figures.told(figures, self.at)])
        self.say(session.link.restored())
        self._reconciled_on, self._busy = self._today, False
        await self._send_cancels(session.cancels_due())

    def _can_ask(self) -> bool:
        """While the gateway has lost its own link nothing it says is new."""
        return self.session.link.gate.cancels

    async def _check_contracts(self) -> None:
        """Once a day, whether every instrument is still the contract that it was."""
        if self._checked_on != self._today:
            told = await described(self.connection, self._instruments)
            self.session.books.contracts.check(self._instruments, told, self._today)
            self._checked_on = self._today

    @property
    def _today(self) -> str:
        """The date in New York at the newest log time."""
        return f"{datetime.fromtimestamp(self.at // NS_PER_SECOND, NEW_YORK):%Y%m%d}"

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

    def _order(self, seq: int, child: Child) -> None:
        if seq not in self.session.children and seq not in self._waiting:  # else it was sent before a restart
            rank = Priority.REDUCE if self.session.reduces(child) else Priority.NEW
            self._waiting.push(rank, seq, child)
            self._send_waiting()

    async def _cancel(self, seq: int, reason: str) -> None:
        if seq in self._waiting:
            self.say(self.session.withdraw(seq, self._waiting.take(seq), reason))
        else:
            await self._send_cancels(self.session.cancel(seq, reason))

    def _send_waiting(self) -> None:
        """Refuse what may not be sent, send what there is room for, leave the rest to the sender."""
        while self._waiting and (self._obstacle() or self._pacer.try_take(self._waiting.first)):
            self._send(*self._waiting.pop())
        if self._waiting and (self._sender is None or self._sender.done()):
            self._sender = asyncio.create_task(self._keep_sending())

    async def _keep_sending(self) -> None:
        while self._waiting:
            await self._pacer.take(self._waiting.first)
            if self._waiting:
                self._send(*self._waiting.pop())

    def _send(self, seq: int, child: Child) -> None:
        session = self.session
        if reason := self._obstacle() or self.guard.objection(child, self.at):
            self.say(session.refuse(seq, child, reason))
            return
        order_id = self.connection.next_order_id()
        session.submit(seq, child, order_id)
        self._busy = True
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
        if reason := self.latch.reason():
            return reason
        if not self.connection.up and self.session.link.frozen is None:
            self.drain()
            self.say(self.session.link.lost("the connection is gone"))
        frozen = self.session.link.frozen
        return None if frozen is None else f"not sent, the broker cannot be reached: {frozen}"

    async def _send_cancels(self, cancels: Sequence[CancelOrder]) -> None:
        for cancel in cancels:
            await self._pacer.take(Priority.CANCEL)
            if not self.session.link.gate.cancels:
                return  # wanted all the same: sent again when the link is back
            try:
                self.connection.cancel(cancel.order_id)
            except GatewayClosed as error:
                self.lost(str(error))
