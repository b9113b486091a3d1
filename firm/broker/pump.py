"""Moves messages from the connection into the session, and answers what the session wants to know.

Everything here runs on one event loop; orders and events go through the `Post`.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime

from firm.broker.messages import CancelOrder, Query, Resubscribe
from firm.broker.post import Post
from firm.broker.quotes import QuoteBoard
from firm.broker.universe import described
from firm.domain.instrument import Instrument
from firm.domain.session import NS_PER_SECOND, Sessions
from firm.errors import GatewayError
from firm.events import CODEC, Event, Record
from firm.events.orders import OrderCancelRequested, OrderSubmitted
from firm.events.system import BrokerConnected
from firm.tape.calendar import NEW_YORK

LOG = logging.getLogger("firm.broker")
QUERIES_IN_A_ROW = 3
ROUNDS_OF_WANTS = 5
PAUSE_S, LOOKS_AT_LATCH = 1.0, 10


class Pump:
    """Keeps one session and the broker of one mind: hears, asks, compares, subscribes."""

    def __init__(self, post: Post, *, stepped: bool) -> None:
        """`stepped`: the gateway's clock stands still and every order is awaited, none is under way."""
        self.post = post
        self.session, self.connection, self.settings = post.session, post.connection, post.settings
        self.board = QuoteBoard(())
        self._instruments: Sequence[Instrument] = ()
        self._stepped = stepped
        self._asking = asyncio.Lock()
        self._reconciled_on = self._checked_on = ""

    @property
    def has_news(self) -> bool:
        """Whether there is anything to report."""
        return bool(self.post.outbox) or self.board.has_news

    def trade(self, instruments: Sequence[Instrument], sessions: Sessions) -> None:
        """The universe of the run, in index order, and when it is quoted."""
        self._instruments = instruments
        self.session.books.know(instruments)
        self.board = QuoteBoard(instruments)
        self.post.trade(instruments, sessions)

    def look(self) -> None:
        """Time has passed: what it and the quotes have changed."""
        self.post.say(self.post.guard.look(self.post.at, self.board))

    def take(self) -> tuple[Event, ...]:
        """Reports in order of arrival, then the market; the outbox is empty afterwards."""
        post = self.post
        post.drain()
        self.look()
        figures = () if self.session.link.frozen else self.connection.figures.news(post.at)
        events = (*post.outbox, *figures, *self.board.take())
        post.stopwatch.taken()
        post.outbox.clear()
        return events

    async def begin(self, *, connect: bool = False) -> None:
        """On a fresh connection (`connect`: one made now): reconcile, subscribe, catch up with cancels.

        Nobody asks anything between the connection and the reconciliation.
        """
        async with self._asking:
            if connect:
                await self.connection.connect()
            self.post.say(self.session.new_connection())
            await self._reconcile()
        await self.subscribe()
        await self.fence()
        await self.answer_wants()

    async def subscribe(self) -> None:
        """Ask for the quotes of all instruments, in place of all earlier subscriptions."""
        await self.connection.subscribe(self._instruments, self.board)
        self.post.guard.liveness.subscribed(self.post.at)

    @property
    def settle_at(self) -> int | None:
        """When to reconcile next (ns UTC), if there is anything that a reconciliation could settle.

        The gateway tells executions of its own day only, so what was missed must be found, and what was heard
        must be in the log, before midnight: at the close, or now if the close is past.
        """
        post = self.post
        close = self._close
        if close is not None:
            return close if post.busy or post.unlogged or self.session.questionable else None
        return post.at if post.unlogged or (post.busy and self._can_ask()) else None

    async def ask_before_night(self) -> None:
        """To be called where time may move on to another day: what is not settled is asked for once more."""
        if self._close is None and self.session.questionable:
            await self.reconcile()

    async def fence(self, timeout_s: float | None = None) -> None:
        """See `Connection.fence`."""
        async with self._asking:
            await self.connection.fence(timeout_s)

    async def carry_out(self, commands: Sequence[Record]) -> None:
        """Send cancels at once and orders as the pace allows, those that reduce risk first, else in order.

        An order that is cancelled before it was sent never is. Before the first order of a day everything is
        reconciled.
        """
        if any(r.kind == OrderSubmitted.KIND for r in commands) and self._reconciled_on != self._today:
            await self._reconcile_or_hang_up()
        for record in commands:
            match CODEC.event(record):
                case OrderSubmitted(child=child):
                    self.post.order(record.seq, child)
                case OrderCancelRequested(child_seq=child_seq, reason=reason):
                    await self.post.cancel(child_seq, reason)
        self.post.send_waiting()

    async def answer_wants(self) -> None:
        """Ask and send what the session wants, until it wants nothing more."""
        for _ in range(ROUNDS_OF_WANTS):
            self.post.drain()
            await self.post.send_cancels(self.session.cancels_due())
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
                        await self.post.send_cancels([want])
        LOG.warning("the broker's answers still raise questions after %s rounds", ROUNDS_OF_WANTS)

    async def reconcile(self) -> None:
        """Ask for everything, twice if something is missing, and report what it comes to.

        While the gateway has lost its own link nothing it says is new, so nothing is asked. One at a time:
        requests must not overlap, nor may the answers to one query settle another.
        """
        async with self._asking:
            await self._reconcile()

    async def _reconcile_or_hang_up(self) -> None:
        """The commands that wait for this must be carried out or refused, whatever comes of it."""
        try:
            await self.reconcile()
        except GatewayError as error:
            self.post.lost(str(error))

    async def _reconcile(self) -> None:
        session, connection = self.session, self.connection
        if not self._can_ask():
            return
        if session.link.frozen is not None:
            figures = await connection.account_figures()
            self.post.say([BrokerConnected(connection.account, figures.cash)])
        for asked in range(QUERIES_IN_A_ROW):
            if asked:
                await self._pause()
            self.post.drain()
            session.begin_query(() if self._stepped else self.post.under_way())
            await connection.query()
            self.post.drain()
            events, again = session.end_query()
            self.post.say(events)
            if not again:
                break
        await self._check_contracts()
        figures = await connection.account_figures()
        self.post.drain()
        if not self._can_ask():  # lost again meanwhile: what was told may be old
            return
        self.post.say(session.reconciled(figures.cash))
        self.post.say([connection.figures.told(figures, self.post.at)])
        self.post.say(session.link.restored())
        self._reconciled_on, self.post.busy = self._today, False
        await self.post.send_cancels(session.cancels_due())

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
    def _close(self) -> int | None:
        """The close that is still to come today (ns UTC), if any."""
        close = self.post.guard.sessions.close_of(self.post.at)
        return close if close is not None and _day(close) == self._today else None

    @property
    def _today(self) -> str:
        """The date in New York at the newest log time."""
        return _day(self.post.at)

    async def _pause(self) -> None:
        """Let the broker catch up with itself before it is asked again; a kill does not wait for that."""
        if not self._stepped:
            for _ in range(LOOKS_AT_LATCH):
                await asyncio.sleep(PAUSE_S / LOOKS_AT_LATCH)
                await self.post.look_at_latch()


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at // NS_PER_SECOND, NEW_YORK):%Y%m%d}"
