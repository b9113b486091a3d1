"""A gateway on real sockets in a thread of the test, on the small hand-made tape, and raw clients of it."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

from firm.gateway_sim.codec.framing import Deframer, fields_of, frame
from firm.gateway_sim.codec.place_order import PLACE_ORDER
from firm.gateway_sim.codec.requests import REQUESTS
from firm.gateway_sim.gateway import Gateway
from firm.gateway_sim.process import ControlLine
from firm.gateway_sim.server import Server
from tests.gateway_sim.wire_world import BY_NUMBER, NUMBERS, Client, gateway, order

DEADLINE = 10.0
HOST = "127.0.0.1"
Heard = list[tuple[str, dict[str, Any]]]


class TcpGateway:
    """A running server; `ask` is a command on its control port."""

    def __init__(self, gw: Gateway) -> None:
        self.gateway = gw
        self.port = self.control_port = 0
        self._ready, self._loop = threading.Event(), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(DEADLINE), "the gateway did not come up"
        self.control = ControlLine(HOST, self.control_port)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self.server = Server(self.gateway, stepped=True, pacing=False)
        self.port, self.control_port = await self.server.listen(HOST, 0, 0)
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        await self.server.close()

    def ask(self, cmd: str, **values: Any) -> dict[str, Any]:
        return self.control.ask({"cmd": cmd, **values})

    def do(self, cmd: str, **values: Any) -> None:
        assert self.ask(cmd, **values) == {"done": True}

    def step(self) -> None:
        assert "at" in self.ask("step")

    def close(self) -> None:
        self.control.close()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "the gateway did not stop"
        assert not self.server.crashed.is_set(), "a connection ended in a bug"
        self._loop.close()


@contextlib.contextmanager
def tcp_gateway(gw: Gateway | None = None) -> Iterator[TcpGateway]:
    running = TcpGateway(gateway() if gw is None else gw)
    try:
        yield running
    finally:
        running.close()


class TcpClient:
    """A client on a socket; speaks like `wire_world.Client`."""

    def __init__(self, world: TcpGateway, client_id: int = 1, version: int = 178) -> None:
        self._connect(HOST, world.port, client_id, version)
        muted = not world.gateway.faults.fate(client_id, "error").times
        self.hello = [] if muted else self._greeted()

    @classmethod
    def dial(cls, host: str, port: int, client_id: int = 1) -> "TcpClient":
        """A client of a gateway in another process."""
        client = cls.__new__(cls)
        client._connect(host, port, client_id, 178)
        client.hello = client._greeted()
        return client

    def _greeted(self) -> Heard:
        """The farms' notices come last, but for the client's open orders; a refusal comes alone."""
        heard = self.until("error")
        while heard[-1][1]["code"] not in {326, 2158}:
            heard += self.until("error")
        return heard

    def _connect(self, host: str, port: int, client_id: int, version: int) -> None:
        self.socket = socket.create_connection((host, port), timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._deframer = Deframer()
        self._pending: Heard = []
        self.bytes_read = 0
        offer = f"v157..{version}"
        self.socket.sendall(b"API\0" + struct.pack(">I", len(offer)) + offer.encode())
        while not (greeting := self._deframer.feed(data := self.socket.recv(4096))):
            if not data:
                raise ConnectionError("the gateway hung up")
        self.version = int(fields_of(greeting[0])[0])
        self.send("startApi", clientId=client_id)

    def send(self, name: str, **values: Any) -> None:
        message = PLACE_ORDER if name == "placeOrder" else REQUESTS[NUMBERS[name]]
        self.socket.sendall(frame(message.encode(self.version, values)))

    def read(self) -> tuple[str, dict[str, Any]]:
        """The next message; ConnectionError when the gateway has hung up."""
        while not self._pending:
            data = self.socket.recv(65_536)
            if not data:
                raise ConnectionError("the gateway hung up")
            self.bytes_read += len(data)
            for payload in self._deframer.feed(data):
                fields = fields_of(payload)
                message = BY_NUMBER[fields[0]]
                self._pending.append((message.name, message.decode(fields[1:], self.version)))
        return self._pending.pop(0)

    def until(self, name: str) -> Heard:
        """Everything up to and with the next message of this name."""
        heard = [self.read()]
        while heard[-1][0] != name:
            heard.append(self.read())
        return heard

    def heard(self) -> Heard:
        """Everything said so far: a request for the time is the fence."""
        self.send("reqCurrentTime")
        return self.until("currentTime")[:-1]

    def ask(self, name: str, **values: Any) -> Heard:
        self.send(name, **values)
        return self.heard()

    def short(self) -> list[str]:
        return Client.short(self.heard())

    def order(self, order_id: int, action: str, quantity: int, **values: Any) -> None:
        self.send("placeOrder", **order(order_id, action, quantity, **values))

    def place(self, order_id: int, action: str, quantity: int, **values: Any) -> list[str]:
        self.order(order_id, action, quantity, **values)
        return self.short()

    def close(self) -> None:
        self.socket.close()
