"""One client's connection to an IB Gateway through ib_async: connect, ask, send. Keeps no state of orders."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from ib_async import Contract, ExecutionFilter, Order, StartupFetchNONE
from ib_async.wrapper import RequestError

from firm.broker.account import TAGS, AccountFigures
from firm.broker.backoff import Backoff
from firm.broker.history_rules import HistoryRequest, HistoryRules
from firm.broker.messages import Message
from firm.broker.notebook import Notebook
from firm.broker.pacer import Pacer, Priority
from firm.broker.quotes import QuoteBoard
from firm.broker.recorder import Recorder, RecordingIB
from firm.config import Broker
from firm.domain.instrument import Instrument
from firm.domain.session import NS_PER_SECOND
from firm.errors import GatewayClosed, GatewayError, GatewayUnavailable
from firm.events.broker import AccountReported
from firm.events.orders import Child

LOG = logging.getLogger("firm.broker")
SAME_CLIENT_ID_AGAIN_S, LONGEST_WAIT_S = 0.25, 2.0
SAME_CLIENT_ID_TRIES = 5
TRADES_TOO = "233"
Answer = TypeVar("Answer")


class Connection:
    """Connects as one fixed client id, as often as needed. `arrived` is called after each read."""

    def __init__(
        self,
        settings: Broker,
        pacer: Pacer,
        arrived: Callable[[], None],
        notebook: Notebook,
        *,
        paced: bool = True,
        client: Callable[[Callable[[], None]], RecordingIB] = RecordingIB,
    ) -> None:
        """Prepare.

        Parameters
        ----------
        paced
            The broker's rules for historical data hold; not so at a simulated gateway.
        client
            Makes the library's end of each connection; another one may speak over another wire.
        """
        self.paced = paced
        self._settings, self._pacer, self._arrived = settings, pacer, arrived
        self._notebook, self._client = notebook, client
        self._used = self._reserved = notebook.mark(settings.client_id)
        self._history = HistoryRules(notebook.history)
        self._ib: RecordingIB | None = None
        self.account = ""
        self.figures = AccountFigures()
        self._summary: int | None = None

    @property
    def up(self) -> bool:
        """Whether the socket stands."""
        return self._ib is not None and bool(self._ib.isConnected())

    @property
    def ib(self) -> RecordingIB:
        """The library's client; GatewayClosed when there is none."""
        if self._ib is None or not self._ib.isConnected():
            raise GatewayClosed(f"the connection to the gateway at {self._address} is gone")
        return self._ib

    def take_inbox(self) -> list[Message]:
        """What was said about orders and the account since the last time, in order."""
        if self._ib is None:
            return []
        recorder: Recorder = self._ib.wrapper
        taken, recorder.inbox = recorder.inbox, []
        return taken

    async def connect(self) -> None:
        """Connect and choose the account.

        GatewayUnavailable if nobody answers or the client id stays in use; GatewayError if the account cannot
        be chosen.
        """
        backoff = Backoff(SAME_CLIENT_ID_AGAIN_S, LONGEST_WAIT_S, f"client {self._settings.client_id}")
        while backoff.attempts < SAME_CLIENT_ID_TRIES:
            self.disconnect()
            if await self._connected():
                wanted = self._settings.account or self.account or None  # the same again on a new connection
                self.account = _account(wanted, list(self.ib.managedAccounts()), self._address)
                self.ib.wrapper.account = self.account
                self.ib.client.updateReqId(self._used + 1)
                return
            wait = backoff.next()
            LOG.warning("client id %s is in use, waiting %.1f s", self._settings.client_id, wait)
            await asyncio.sleep(wait)
        raise GatewayUnavailable(
            f"client id {self._settings.client_id} was needed at {self._address}, found it in use by another "
            f"session, {SAME_CLIENT_ID_TRIES} times. Orders belong to their client id, so no "
            "other is taken. End the other program, or give this firm its own broker.client_id."
        )

    def disconnect(self) -> None:
        """Hang up; working orders stay where they are."""
        if self._ib is not None:
            self._ib.disconnect()

    async def fence(self, timeout_s: float | None = None) -> None:
        """Wait until everything that the gateway has sent so far is decoded."""
        await self.ask(lambda ib: ib.reqCurrentTimeAsync(), "the time", timeout_s)

    async def time(self) -> int:
        """The gateway's clock in ns UTC, to the second below."""
        now: datetime = await self.ask(lambda ib: ib.reqCurrentTimeAsync(), "the time")
        return round(now.timestamp()) * NS_PER_SECOND

    async def query(self) -> None:
        """Ask for executions, open orders of all clients, completed orders and positions, into the inbox."""
        mine = ExecutionFilter(acctCode=self.account)
        await self.ask(lambda ib: ib.reqExecutionsAsync(mine), "executions")
        await self.ask(lambda ib: ib.reqAllOpenOrdersAsync(), "open orders")
        await self.ask(lambda ib: ib.reqCompletedOrdersAsync(apiOnly=False), "completed orders")
        await self.ask(lambda ib: ib.reqPositionsAsync(), "positions")

    async def account_figures(self) -> AccountReported:
        """The account's figures now; changes to them keep coming into `figures`."""
        if self._summary is not None:
            await self._pacer.take()
            self._send("cancelAccountSummary", self._summary)
        self.figures.clear()
        request = self._summary = self.next_order_id()

        def figures_of(ib: RecordingIB) -> Awaitable[None]:
            waiting: Awaitable[None] = ib.wrapper.startReq(request)
            ib.client.reqAccountSummary(request, "All", ",".join(TAGS))
            return waiting

        await self.ask(figures_of, "account figures")
        return self.figures.report(self.account)

    async def market_rule(self, rule: int) -> Sequence[Any]:
        """The price bands of a market rule."""

        def bands_of(ib: RecordingIB) -> Awaitable[Sequence[Any]]:
            waiting: Awaitable[Sequence[Any]] = ib.wrapper.startReq(f"marketRule-{rule}")
            ib.client.reqMarketRule(rule)
            return waiting

        return await self.ask(bands_of, f"market rule {rule}")

    async def history_turn(self, con_id: int, what: str, terms: str) -> None:
        """Wait until the broker's rules allow this historical request, and count it."""
        request = HistoryRequest(time.time(), con_id, what, terms)
        while (wait := self._history.wait_s(request)) > 0:
            LOG.info("history of conId %s must wait %.1f s", con_id, wait)
            await asyncio.sleep(wait)
            request = request._replace(at=time.time())
        self._history.asked(request)
        self._notebook.asked(self._history.recent())

    async def ask(
        self,
        request: Callable[[RecordingIB], Awaitable[Answer]],
        what: str,
        timeout_s: float | None = None,
        priority: Priority = Priority.DATA,
    ) -> Answer:
        """The answer to a request; GatewayClosed if none comes in time: no answer is never an empty one.

        GatewayError, caused by the library's RequestError with the code, if the gateway refuses. Two requests
        without ids of their own (time, orders, positions) must not overlap.
        """
        limit = timeout_s or self._settings.request_timeout_ms / 1000
        await self._pacer.take(priority)
        try:
            async with asyncio.timeout(limit):
                return await request(self.ib)
        except RequestError as error:
            raise GatewayError(f"the gateway refused to tell {what}: {error}") from error
        except (ConnectionError, TimeoutError) as error:
            self.disconnect()
            raise GatewayClosed(
                f"{what} were asked of {self._address}, no answer within {limit:g} s ({error!r})"
            ) from error

    def next_order_id(self) -> int:
        """A number for an order or request, never used before by this client id, in any connection."""
        self._used = int(self.ib.client.getReqId())
        if self._used > self._reserved:
            self._reserved = self._notebook.reserve(self._settings.client_id, self._used)
        return self._used

    def place(self, order_id: int, name: str, instrument: Instrument, child: Child) -> None:
        """Send the order. After a GatewayClosed it may or may not have been sent."""
        order = Order(
            action=child.side.value,
            totalQuantity=f"{child.quantity:f}",
            orderType=child.order_type.value,
            tif=child.time_in_force.value,
            account=self.account,
            orderRef=name,
            outsideRth=False,
            transmit=True,
        )
        if child.limit_price is not None:
            order.lmtPrice = f"{child.limit_price:f}"
        self._send("placeOrder", order_id, contract_of(instrument), order)

    def cancel(self, order_id: int) -> None:
        """Send a cancel."""
        self._send("cancelOrder", order_id, "")

    async def subscribe(self, instruments: Sequence[Instrument], board: QuoteBoard) -> None:
        """Ask for quotes and trades of all instruments, in place of all earlier subscriptions."""
        self.ib.wrapper.board = board
        for request in board.unsubscribe_all():
            await self._pacer.take()
            self._send("cancelMktData", request)
        for instrument in instruments:
            await self._pacer.take()
            request = self.next_order_id()
            board.subscribed(request, instrument.index)
            contract = contract_of(instrument)
            self._send("reqMktData", request, contract, TRADES_TOO, False, False, [])

    @property
    def _address(self) -> str:
        return f"{self._settings.gateway_host}:{self._settings.gateway_port}"

    def _send(self, request: str, *values: Any) -> None:
        try:
            getattr(self.ib.client, request)(*values)
        except ConnectionError as error:
            raise GatewayClosed(f"the connection to the gateway at {self._address} broke: {error}") from error

    async def _connected(self) -> bool:
        """One attempt; False if the client id is in use."""
        settings, in_use = self._settings, asyncio.Event()
        ib = self._client(self._arrived)
        ib.wrapper.client_id_in_use = in_use.set
        ib.wrapper.figures = self.figures
        ib.disconnectedEvent += self._arrived
        timeout = settings.connect_timeout_ms / 1000
        connecting = asyncio.ensure_future(
            ib.connectAsync(
                settings.gateway_host,
                settings.gateway_port,
                settings.client_id,
                timeout=timeout,
                raiseSyncErrors=True,
                fetchFields=StartupFetchNONE,
            )
        )
        refused = asyncio.ensure_future(in_use.wait())
        try:
            await asyncio.wait({connecting, refused}, return_when=asyncio.FIRST_COMPLETED)
            if in_use.is_set():
                return False
            await connecting
            self._ib = ib  # not before: nothing may be sent on half a connection
            self._summary = None
        except (OSError, TimeoutError) as error:
            raise GatewayUnavailable(
                f"an IB Gateway was needed at {self._address}, found none ready within {timeout:g} s "
                f"({error!r}). Start IB Gateway and enable its API on that port (paper: 4002), or start the "
                f"simulated one: python -m firm.gateway_sim --port {settings.gateway_port}"
            ) from error
        finally:
            refused.cancel()
            if not connecting.done():
                connecting.cancel()
                await asyncio.gather(connecting, return_exceptions=True)
            if self._ib is not ib:
                ib.disconnect()
        return True


def _account(wanted: str | None, managed: Sequence[str], address: str) -> str:
    """The account to trade: the one wanted, else the only one there is."""
    if wanted is None and len(managed) == 1:
        return managed[0]
    if wanted in managed:
        return str(wanted)
    needed = "one account" if wanted is None else f"account {wanted}"
    raise GatewayError(
        f"{needed} was needed at {address}, found {', '.join(managed) or 'none'}. Set broker.account to one "
        "of these."
    )


def contract_of(instrument: Instrument) -> Contract:
    """The contract by its conId, smart-routed if it is a stock."""
    return Contract(
        conId=instrument.con_id,
        symbol=instrument.symbol,
        secType=instrument.sec_type,
        exchange="SMART" if instrument.sec_type == "STK" else instrument.venue,
        currency=instrument.currency,
    )
