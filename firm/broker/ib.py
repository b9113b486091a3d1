"""The broker's side of the firm: an IB Gateway as a `BrokerGateway`, synchronous outside, one loop inside.

A thread of its own runs the event loop, so heartbeats, reconnections and the kill switch go on while the bus
is busy; all state lives on that loop, and each call waits for its answer from there.
"""

import asyncio
import logging
import threading
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from firm.broker.connection import Connection
from firm.broker.control import ControlStream
from firm.broker.ib_session import IbSession
from firm.broker.latch import Latch
from firm.broker.memory import remember
from firm.broker.pacer import Pacer
from firm.broker.pump import Pump, check_account
from firm.broker.stopwatch import Stopwatch
from firm.broker.turns import LiveTurns, SteppedTurns, Turns
from firm.broker.universe import DAY_BAR, history, resolve
from firm.bus.gateway import CommandBatch, Page
from firm.config import Broker
from firm.errors import ConfigError, GatewayError
from firm.events import Event, Record
from firm.events.system import InstrumentsResolved

LOG = logging.getLogger("firm.broker")
GatewayClock = Literal["stepped", "free", "wall"]
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
    ) -> None:
        """Prepare; nothing is connected before `open`.

        Parameters
        ----------
        broker
            Address, client id, account and timeouts.
        symbols
            US stocks to trade, in index order; "all" those of a simulated gateway (needs `control`).
        latch
            While this file exists nothing is sent and own working orders are cancelled.
        clock
            Log time is the gateway's, moved by us ("stepped") or by itself ("free"), or the wall clock's.
        control
            Host and port of the simulated gateway's control port; needed unless the clock is "wall".
        history_bars, bar_size
            How much history a new log begins with; sizes in the broker's spelling.
        """
        if control is None and (clock != "wall" or symbols == "all"):
            raise ConfigError(
                f"clock {clock!r} and symbols {symbols!r} need a simulated gateway's control port, found "
                "none. At a real gateway set simulation.clock to wall and list universe.symbols."
            )
        self._broker, self._symbols, self._latch = broker, symbols, latch
        self._clock, self._control = clock, control
        self._history_bars, self._bar_size = history_bars, bar_size
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pump: Pump | None = None
        self._turns: Turns | None = None
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
        try:
            at, events = self._await(self._open(memory, run))
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
                assert self._pump is not None, "open the gateway first"
                self._await(self._pump.carry_out(commands))
            return self._page
        at, events, done = self._await(self._turn(commands, until))
        return self._turned(at, events, done=done)

    def reconcile(self) -> tuple[Event, ...]:
        """See BrokerGateway. If the broker cannot be asked, `BrokerDisconnected` says so instead."""
        return self._await(self._reconcile())

    def close(self) -> None:
        """See BrokerGateway."""
        if self._loop is None or self._thread is None:
            return
        self._await(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = self._pump = self._turns = None

    async def _open(self, memory: Sequence[Record], run: str) -> tuple[int, list[Event]]:
        session = IbSession(run, self._broker.client_id)
        found = remember(session, memory)
        arrived = asyncio.Event()
        pacer = Pacer(on=self._clock != "stepped")
        stopwatch = Stopwatch()

        def news() -> None:
            stopwatch.arrived()
            arrived.set()

        connection = Connection(self._broker, pacer, news)
        answer_ms = self._broker.request_timeout_ms
        stepped = self._clock == "stepped"
        latch = Latch(self._latch)
        self._pump = pump = Pump(session, connection, latch, pacer, answer_ms, stopwatch, stepped=stepped)
        control = None if self._control is None else ControlStream(*self._control)
        self._turns = _turns(self._clock, pump, control, arrived)
        at = await self._turns.begin()
        await connection.connect()
        check_account(found, connection)
        instruments = found.instruments
        if not instruments:
            instruments = await resolve(connection, await self._wanted(control))
            pump.outbox.append(InstrumentsResolved(instruments))
        pump.trade(instruments)
        if not found.history:
            bars = (self._history_bars, self._bar_size)
            pump.outbox.append(await history(connection, instruments, *bars))
        await pump.begin()
        events, pump.outbox = pump.outbox, []
        return max(at, found.at), events

    async def _wanted(self, control: ControlStream | None) -> Sequence[str]:
        if self._symbols != "all":
            return self._symbols
        assert control is not None, "checked when the gateway was made"
        return tuple((await control.status())["symbols"])

    async def _turn(
        self, commands: Sequence[Record], until: int | None
    ) -> tuple[int, tuple[Event, ...], bool]:
        assert self._turns is not None, "open the gateway first"
        assert self._pump is not None, "open the gateway first"
        at, done = await self._turns.turn(commands, until)
        return at, self._pump.take(), done

    async def _reconcile(self) -> tuple[Event, ...]:
        assert self._pump is not None, "open the gateway first"
        try:
            await self._pump.reconcile()
        except GatewayError as error:
            self._pump.lost(str(error))
        return self._pump.take()

    async def _close(self) -> None:
        if self._pump is not None and self._pump.connection.up:
            await self._last_look(self._pump)
        if self._turns is not None:
            await self._turns.end()
        if self._pump is not None:
            self._pump.connection.disconnect()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _last_look(self, pump: Pump) -> None:
        """A kill that nobody has seen yet must not wait for the next session; what it sends must arrive."""
        if not await pump.look_at_latch():
            return
        try:
            await pump.fence()
        except GatewayError as error:
            LOG.warning("hanging up without knowing whether the cancels have arrived: %s", error)

    def _turned(self, at: int, events: Sequence[Event], *, done: bool) -> Page:
        measured = () if self._pump is None else self._pump.stopwatch.take()
        at = max(at, self._page.at)
        self._page = Page(self._page.number + 1, at, tuple(events), done, measured)
        return self._page

    def _await(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        assert self._loop is not None, "open the gateway first"
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _turns(clock: GatewayClock, pump: Pump, control: ControlStream | None, arrived: asyncio.Event) -> Turns:
    if clock != "stepped":
        return LiveTurns(pump, arrived, control if clock == "free" else None)
    assert control is not None, "checked when the gateway was made"
    return SteppedTurns(pump, control, arrived)
