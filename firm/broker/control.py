"""The control port of a simulated gateway: moves its clock and looks at its state, one JSON line each."""

import asyncio
import json
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from firm.errors import GatewayClosed, GatewayError, GatewayUnavailable

TIMEOUT_S = 60.0


class Stepped(NamedTuple):
    """Where a step has led: the gateway's time (ns UTC), and whether its data have ended."""

    at: int
    done: bool


class Control(Protocol):
    """A simulated gateway's clock and state, from inside an event loop."""

    async def connect(self) -> None:
        """Dial, or dial again; GatewayUnavailable if nobody listens there."""

    async def step(self, until: int | None) -> Stepped:
        """See `SimulatorControl.step`."""

    async def status(self) -> dict[str, Any]:
        """See `SimulatorControl.status`."""

    async def close(self) -> None:
        """Hang up."""


class SimulatorControl:
    """A synchronous line to the control port. One call at a time; not for use inside an event loop."""

    def __init__(self, host: str, port: int) -> None:
        """Connect; GatewayUnavailable if nobody listens there."""
        try:
            self._socket = socket.create_connection((host, port), timeout=TIMEOUT_S)
        except OSError as error:
            raise _nobody(host, port, error) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._socket.makefile("rb")
        self._address = f"{host}:{port}"

    def step(self, until: int | None) -> Stepped:
        """Release the next timestamp of the data, but go no further than `until` (ns UTC; None: no bound)."""
        return stepped(self._ask({"cmd": "step", "until": until}))

    def status(self) -> dict[str, Any]:
        """Time, symbols, sessions, account and positions of the simulated gateway."""
        return self._ask({"cmd": "status"})

    def orders(self) -> list[dict[str, Any]]:
        """Every order it ever took, with its order_ref, perm_id, status and filled quantity."""
        found: list[dict[str, Any]] = self._ask({"cmd": "orders"})["orders"]
        return found

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()

    def _ask(self, command: Mapping[str, object]) -> dict[str, Any]:
        try:
            self._socket.sendall(line(command))
            return reply(self._lines.readline(), self._address)
        except OSError as error:
            raise GatewayClosed(f"the control port {self._address} failed: {error}") from error


class ControlStream:
    """The same line for use inside an event loop."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def connect(self) -> None:
        """Dial, or dial again; GatewayUnavailable if nobody listens there."""
        await self.close()
        try:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=2**24)
        except OSError as error:
            raise _nobody(self._host, self._port, error) from error

    async def step(self, until: int | None) -> Stepped:
        """See `SimulatorControl.step`."""
        return stepped(await self._ask({"cmd": "step", "until": until}))

    async def status(self) -> dict[str, Any]:
        """See `SimulatorControl.status`."""
        return await self._ask({"cmd": "status"})

    async def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _ask(self, command: Mapping[str, object]) -> dict[str, Any]:
        address = f"{self._host}:{self._port}"
        if self._streams is None:
            raise GatewayClosed(f"the control port {address} is not connected; open the gateway first")
        reader, writer = self._streams
        try:
            writer.write(line(command))
            async with asyncio.timeout(TIMEOUT_S):
                return reply(await reader.readline(), address)
        except (OSError, TimeoutError) as error:
            raise GatewayClosed(f"the control port {address} failed: {error!r}") from error


def line(command: Mapping[str, object]) -> bytes:
    """A command as it goes over the wire."""
    return json.dumps(command).encode() + b"\n"


def reply(received: bytes, address: str) -> dict[str, Any]:
    """The answer in a received line; GatewayClosed at the end of the stream, GatewayError for a refusal."""
    if not received.endswith(b"\n"):
        raise GatewayClosed(f"the simulated gateway closed its control port {address}")
    answer: dict[str, Any] = json.loads(received)
    if "error" in answer:
        raise GatewayError(f"the simulated gateway at {address} refused a command: {answer['error']}")
    return answer


def stepped(answer: Mapping[str, Any]) -> Stepped:
    """The part of a step's answer that the firm needs."""
    return Stepped(int(answer["at"]), bool(answer["done"]))


def _nobody(host: str, port: int, error: OSError) -> GatewayUnavailable:
    return GatewayUnavailable(
        f"the control port of a simulated gateway was needed at {host}:{port}, found nobody ({error}). Start "
        f"one with `python -m firm.gateway_sim --control-port {port}`."
    )
