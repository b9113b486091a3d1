"""A loop whose time is made, and a wire without a network: real client and real gateway in one process.

Nothing here knows what an order is. Bytes go through the gateway's own framing and the client's own decoder;
time jumps to the next timer as soon as nobody has anything left to do, so a run is a function of its seed.
"""

import asyncio
import selectors
from collections.abc import Callable, Sequence
from typing import Any

from eventkit import Event

from firm.broker.control import Stepped
from firm.broker.recorder import RecordingIB
from firm.errors import GatewayClosed, GatewayUnavailable
from firm.gateway_sim import control
from firm.gateway_sim.brokerage import Command
from firm.gateway_sim.codec.framing import Deframer, Greeter, agreed_version, frame
from firm.gateway_sim.gateway import Gateway
from firm.gateway_sim.session import Session
from firm.gateway_sim.times import execution_time


class _Jump(selectors.DefaultSelector):
    """Never waits: when nothing is ready it moves the loop's time on instead."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits and nothing will ever happen")
            self.loop.seconds += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that takes no time."""

    def __init__(self) -> None:
        selector = _Jump()
        super().__init__(selector)
        selector.loop = self
        self.seconds = 1000.0

    def time(self) -> float:
        return self.seconds


class MemoryJournal:
    """The gateway's journal without a disk: what was committed survives a restart."""

    def __init__(self, commands: Sequence[Command] = ()) -> None:
        self.commands = list(commands)

    def append(self, command: Command) -> None:
        self.commands.append(command)

    def commit(self, *, disk: bool) -> None:
        pass

    def close(self) -> None:
        pass


class Wire:
    """Joins lines to one gateway, which may be away (None)."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None
        self.lines: list[Line] = []

    def start(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def stop(self) -> None:
        """The gateway's process ends: every line breaks."""
        self.gateway = None
        for line in list(self.lines):
            line.broken()

    def flush(self) -> None:
        """Disk before wire, as the server does it; then the lines that are to end."""
        assert self.gateway is not None
        self.gateway.commit()
        for line in list(self.lines):
            line.flush()

    def heal(self) -> None:
        """Every line is as fast as it should be."""
        for line in self.lines:
            line.lag_s = 0.0

    def client(self, arrived: Callable[[], None]) -> RecordingIB:
        """The library's client on a line of this wire; see `Connection`."""
        ib = RecordingIB(arrived)
        line = Line(self)
        line.hasData += ib.client._onSocketHasData
        line.disconnected += ib.client._onSocketDisconnected
        ib.client.conn = line
        return ib


class Line:
    """One connection: what ib_async calls its `Connection`, and the gateway its client."""

    deaf = False
    """The peer is silent and hears nothing, and nobody is told: a half-open link."""
    mute = False
    """What the client sends is lost on the way; it still hears the gateway."""
    lag_s = 0.0
    """How long everything to the client is under way."""
    late = 0
    """Messages of the gateway that it has held back and that are still to come."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.hasData, self.disconnected = Event("hasData"), Event("disconnected")
        self.numBytesSent = self.numMsgSent = 0
        self.alive = False
        self.session: Session | None = None

    async def connectAsync(self, host: str, port: int) -> None:  # noqa: ARG002, N802  the library's name
        if self._wire.gateway is None:
            raise ConnectionRefusedError("the gateway is away")
        self._loop = asyncio.get_running_loop()
        self._greeter, self._deframer = Greeter(), Deframer()
        self.session, self._latest = None, 0.0
        self.deaf, self.mute, self.alive = False, False, True
        self.late = 0
        self._wire.lines.append(self)

    def isConnected(self) -> bool:  # noqa: N802
        return self.alive

    def disconnect(self) -> None:
        if self.alive:
            self._end("")

    def broken(self) -> None:
        """The peer has reset the connection."""
        if self.alive:
            self._end("connection reset by peer")

    def sendMsg(self, data: bytes) -> None:  # noqa: N802
        if self.alive and not self.deaf and not self.mute:
            self._loop.call_soon(self._deliver, data)

    def flush(self) -> None:
        """What the gateway has queued for this client goes on its way, as its server would send it."""
        session = self.session
        if session is None:
            return
        for delay_ms, late in session.delayed:
            self._loop.call_later(delay_ms / 1000, self._send_late, late)
            self.late += 1
        session.delayed.clear()
        data = bytes(session.out)
        session.out.clear()
        if session.cut is not None:
            data = data[: session.cut.after]
            session.cut = session.cut._replace(after=session.cut.after - len(data))
        if data:
            self._send(data)
        if session.cut is not None and session.cut.after <= 0:
            how, session.cut = session.cut.how, None
            if how == "silent":
                self.deaf = session.silent = True
            else:
                self._loop.call_soon(self.broken)
        if session.closing:
            self._loop.call_soon(self.broken)

    def _send_late(self, data: bytes) -> None:
        self.late -= 1
        self._send(data)

    def _send(self, data: bytes) -> None:
        if self.deaf or not self.alive:
            return
        now = self._loop.time()
        self._latest = max(self._latest + 1e-9, now + self.lag_s)  # a stream keeps its order
        self._loop.call_at(self._latest, self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        if self.alive and not self.deaf:
            self.hasData.emit(data)

    def _deliver(self, data: bytes) -> None:
        gateway = self._wire.gateway
        if gateway is None or not self.alive or self.deaf:
            return None
        for payload in self._deframer.feed(self._greeter.feed(data)):
            if self.session is None:
                version = agreed_version(payload)
                if version is None or gateway.interruptions.takes_no_one(gateway.brokerage.at):
                    return self.broken()
                self._send(frame([str(version), execution_time(gateway.brokerage.at, version)]))
                self.session = gateway.connect(version)
            elif not self.session.closing and self.alive:
                self.session.heard_at = self._loop.time()
                gateway.receive(self.session, payload)
        return self._wire.flush()

    def _end(self, reason: str) -> None:
        self.alive = False
        self._wire.lines.remove(self)
        gateway = self._wire.gateway
        if gateway is not None and self.session in gateway.sessions:
            gateway.disconnect(self.session)
        self._loop.call_soon(self.disconnected.emit, reason)


class WireControl:
    """The control port of the gateway on this wire, without the port; `step` moves its clock."""

    def __init__(self, wire: Wire, step: Callable[[Gateway, int | None], Stepped]) -> None:
        self._wire, self._step = wire, step

    async def connect(self) -> None:
        if self._wire.gateway is None:
            raise GatewayUnavailable("the gateway is away")

    async def step(self, until: int | None) -> Stepped:
        return self._step(self._there(), until)

    async def status(self) -> dict[str, Any]:
        return control.status(self._there())

    async def close(self) -> None:
        pass

    def _there(self) -> Gateway:
        if self._wire.gateway is None:
            raise GatewayClosed("the gateway is away")
        return self._wire.gateway
