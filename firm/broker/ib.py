"""The broker's side of the firm: an IB Gateway as a `BrokerGateway`, synchronous outside, one loop inside.

A thread of its own runs the event loop, so heartbeats, reconnections and the kill switch go on while the bus
is busy; all state lives on that loop, and each call waits for its answer from there.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from firm.broker.control import ControlStream
from firm.broker.desk import Desk, GatewayClock, Terms
from firm.broker.recorder import RecordingIB
from firm.broker.universe import DAY_BAR
from firm.bus.gateway import CommandBatch, Page
from firm.config import Broker
from firm.errors import ConfigError
from firm.events import Event, Record

Answer = TypeVar("Answer")


class IbGateway:
    """See `firm.bus.gateway.BrokerGateway`. One at a time for each client id of a gateway."""

    def __init__(
        self,
        broker: Broker,
        symbols: Literal["all"] | tuple[str, ...],
        latch: Path,
        clock: GatewayClock,
        control: tuple[str, int] | None = None,
        history_bars: int = 504,
        bar_size: str = DAY_BAR,
        client: Callable[[Callable[[], None]], RecordingIB] = RecordingIB,
    ) -> None:
        """Prepare; nothing is connected before `open`.

        Parameters
        ----------
        broker
            Address, client id, account, timeouts, and how far the gateway is trusted.
        symbols
            US stocks to trade, in index order; "all" those of a simulated gateway (needs `control`).
        latch
            While this file exists nothing is sent and own working orders are cancelled. The broker's side
            keeps its notebook beside it.
        clock
            Log time is the gateway's, moved by us ("stepped") or by itself ("free"), or the wall clock's.
        control
            Host and port of the simulated gateway's control port; needed unless the clock is "wall".
        history_bars, bar_size
            How much history a new log begins with; sizes in the broker's spelling.
        client
            See `firm.broker.connection.Connection`.
        """
        if control is None and (clock != "wall" or symbols == "all"):
            raise ConfigError(
                f"clock {clock!r} and symbols {symbols!r} need a simulated gateway's control port, found "
                "none. At a real gateway set simulation.clock to wall and list universe.symbols."
            )
        self._terms = Terms(broker, symbols, latch, clock, history_bars, bar_size)
        self._control, self._client = control, client
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._desk: Desk | None = None
        self._page = Page(0, 0, (), done=False)
        self._carried_out = 0

    def open(self, memory: Sequence[Record], run: str) -> Page:
        """See BrokerGateway. A new log begins with the instruments and their history.

        Raises GatewayUnavailable if nobody is there, UnknownInstrument for symbols nobody can resolve.
        """
        self.close()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="broker", daemon=True)
        self._thread.start()
        control = None if self._control is None else ControlStream(*self._control)
        self._desk = Desk(self._terms, control, self._client)
        try:
            at, events = self._await(self._desk.open(memory, run))
        except BaseException:
            self.close()
            raise
        return self._turned(at, events, done=False)

    def turn(self, acked: int, batch: CommandBatch, until: int | None) -> Page:
        """See BrokerGateway. A page that was not acknowledged is returned again.

        Raises GatewayClosed when a simulated gateway goes away and does not come back.
        """
        commands = batch.commands if batch.number > self._carried_out else ()
        self._carried_out = max(self._carried_out, batch.number)
        if acked < self._page.number:
            if commands:
                self._await(self._opened.carry_out(commands))
            return self._page
        at, events, done = self._await(self._opened.turn(commands, until))
        return self._turned(at, events, done=done)

    def reconcile(self) -> tuple[Event, ...]:
        """See BrokerGateway. If the broker cannot be asked, `BrokerDisconnected` says so instead."""
        return self._await(self._opened.reconcile())

    def close(self) -> None:
        """See BrokerGateway."""
        if self._loop is None or self._thread is None:
            return
        self._await(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = self._desk = None

    async def _close(self) -> None:
        if self._desk is not None:
            await self._desk.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    @property
    def account(self) -> str:
        """The account that is traded."""
        assert self._opened.pump is not None, "open the gateway first"
        return self._opened.pump.connection.account

    @property
    def _opened(self) -> Desk:
        assert self._desk is not None, "open the gateway first"
        return self._desk

    def _turned(self, at: int, events: Sequence[Event], *, done: bool) -> Page:
        at = max(at, self._page.at)
        self._page = Page(self._page.number + 1, at, tuple(events), done, self._opened.stopwatch.take())
        return self._page

    def _await(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        assert self._loop is not None, "open the gateway first"
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
