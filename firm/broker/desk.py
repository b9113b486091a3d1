"""One opened broker's side on one event loop: the session, its connection, and the way it waits.

`firm.broker.ib` puts it on a thread of its own; a simulation drives it on a loop whose time it makes.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from firm.broker.connection import Connection
from firm.broker.control import Control
from firm.broker.ib_session import IbSession
from firm.broker.latch import Latch
from firm.broker.memory import Remembered, remember
from firm.broker.notebook import Notebook
from firm.broker.pacer import Pacer
from firm.broker.post import Post
from firm.broker.pump import Pump
from firm.broker.recorder import RecordingIB
from firm.broker.stopwatch import Stopwatch
from firm.broker.turns import LiveTurns, SteppedTurns, Turns
from firm.broker.universe import DAY_BAR, history, resolve
from firm.config import Broker
from firm.domain.session import Sessions
from firm.errors import GatewayError
from firm.events import Event, Record
from firm.events.system import InstrumentsResolved
from firm.tape.calendar import NS_PER_DAY, nyse_schedule

LOG = logging.getLogger("firm.broker")
NOTEBOOK = "broker.json"
YEAR_NS = 366 * NS_PER_DAY
GatewayClock = Literal["stepped", "free", "wall"]


class Terms(NamedTuple):
    """What a broker's side is opened with; see `firm.broker.ib.IbGateway`."""

    broker: Broker
    symbols: Literal["all"] | tuple[str, ...]
    latch: Path
    clock: GatewayClock
    history_bars: int = 504
    bar_size: str = DAY_BAR


class Desk:
    """Everything between `open` and `close`. One event loop, one caller at a time."""

    def __init__(
        self,
        terms: Terms,
        control: Control | None,
        client: Callable[[Callable[[], None]], RecordingIB] = RecordingIB,
    ) -> None:
        """`client`: see `Connection`."""
        self._terms, self._control, self._client = terms, control, client
        self.stopwatch = Stopwatch()
        self.pump: Pump | None = None
        self._turns: Turns | None = None

    async def open(self, memory: Sequence[Record], run: str) -> tuple[int, list[Event]]:
        """Connect, learn or recall what is traded, reconcile; the log time and what is to be reported."""
        terms, control = self._terms, self._control
        session = IbSession(run, terms.broker.client_id, terms.broker.cash_tolerance)
        found = remember(session, memory)
        arrived = asyncio.Event()

        def news() -> None:
            self.stopwatch.arrived()
            arrived.set()

        pacer = Pacer(on=terms.clock != "stepped")
        notebook = Notebook(terms.latch.with_name(NOTEBOOK))
        paced = terms.clock == "wall"
        connection = Connection(terms.broker, pacer, news, notebook, paced=paced, client=self._client)
        stepped, latch = terms.clock == "stepped", Latch(terms.latch)
        post = Post(session, connection, latch, pacer, terms.broker, self.stopwatch)
        self.pump = pump = Pump(post, stepped=stepped)
        self._turns = _turns(terms.clock, pump, control, arrived, f"{run} {terms.broker.client_id}")
        at = await self._turns.begin()
        await connection.connect()
        _check_account(found, connection)
        instruments = found.instruments
        if not instruments:
            instruments = await resolve(connection, await self._wanted())
            post.say([InstrumentsResolved(instruments)])
        pump.trade(instruments, await self._sessions(at))
        post.guard.breaker.restore(*found.circuit)
        if not found.history:
            bars = (terms.history_bars, terms.bar_size)
            post.say([await history(connection, instruments, *bars)])
        await pump.begin()
        events, post.outbox = post.outbox, []
        return max(at, found.at), events

    async def turn(
        self, commands: Sequence[Record], until: int | None
    ) -> tuple[int, tuple[Event, ...], bool]:
        """Carry out the commands and wait; the log time, what is to be reported, whether the data ended."""
        assert self._turns is not None, "open the gateway first"
        assert self.pump is not None, "open the gateway first"
        at, done = await self._turns.turn(commands, until)
        return at, self.pump.take(), done

    async def carry_out(self, commands: Sequence[Record]) -> None:
        """Only send."""
        assert self.pump is not None, "open the gateway first"
        await self.pump.carry_out(commands)

    async def reconcile(self) -> tuple[Event, ...]:
        """Compare now. If the broker cannot be asked, `BrokerDisconnected` says so."""
        assert self.pump is not None, "open the gateway first"
        try:
            await self.pump.reconcile()
        except GatewayError as error:
            self.pump.post.lost(str(error))
        return self.pump.take()

    async def close(self) -> None:
        """Hang up; a kill that nobody has seen yet is carried out first."""
        if self.pump is not None and self.pump.connection.up:
            await self._last_look(self.pump)
        if self._turns is not None:
            await self._turns.end()
        if self.pump is not None:
            await self.pump.post.end()
            self.pump.connection.disconnect()

    async def _wanted(self) -> Sequence[str]:
        if self._terms.symbols != "all":
            return self._terms.symbols
        assert self._control is not None, "checked when the gateway was made"
        return tuple((await self._control.status())["symbols"])

    async def _sessions(self, at: int) -> Sessions:
        """When quotes are to be expected: the simulated gateway's own sessions, else a year of the NYSE's."""
        if self._control is None:
            return nyse_schedule(at, at + YEAR_NS).sessions()
        status = await self._control.status()
        return Sessions(tuple(status["sessions_opens"]), tuple(status["sessions_closes"]))

    async def _last_look(self, pump: Pump) -> None:
        """A kill that nobody has seen yet must not wait for the next session; what it sends must arrive."""
        if not await pump.post.look_at_latch():
            return
        try:
            await pump.fence()
        except GatewayError as error:
            LOG.warning("hanging up without knowing whether the cancels have arrived: %s", error)


def _turns(
    clock: GatewayClock, pump: Pump, control: Control | None, arrived: asyncio.Event, seed: str
) -> Turns:
    if clock != "stepped":
        return LiveTurns(pump, arrived, control if clock == "free" else None, seed)
    assert control is not None, "checked when the gateway was made"
    return SteppedTurns(pump, control, arrived)


def _check_account(found: Remembered, connection: Connection) -> None:
    """The log and the gateway must mean the same account."""
    if found.account not in {None, connection.account}:
        raise GatewayError(
            f"this log trades account {found.account}, the gateway offers {connection.account}. Connect to "
            "the account of the log, or begin a new log."
        )
