"""The gateway's sockets: the API port, the control port, and the rule that disk comes before wire."""

import asyncio
import json
import logging
import socket
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from firm.errors import GatewayProtocol, GatewayUnavailable
from firm.gateway_sim import control
from firm.gateway_sim.codec.framing import Deframer, Greeter, agreed_version, frame
from firm.gateway_sim.gateway import Gateway, Stepped
from firm.gateway_sim.session import Session
from firm.gateway_sim.times import execution_time

LOG = logging.getLogger("firm.gateway_sim")
Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
READ_BYTES = 65_536
UNSENT_BYTES_MAX = 64 * 1024 * 1024
DRAIN_SECONDS = 5.0
HANDSHAKE_SECONDS = 30.0
CONTROL_LINE_MAX = 65_536
MESSAGES_PER_SECOND_MAX = 50
PACE_STRIKES = 3
CLIENTS_MAX = 32
TURN_SECONDS, TURN_BYTES = 0.01, 1024 * 1024
GREETING_BYTES_MAX, REQUEST_BYTES_MAX = 4096, 1024 * 1024
NO_LINGER = struct.pack("ii", 1, 0)


class Server:
    """Serves one gateway. Everything runs on one event loop, one turn at a time.

    `crashed` is set when a connection ended in a bug: memory may be half changed, so the process must end and
    come back from its journal.
    """

    def __init__(self, gateway: Gateway, *, stepped: bool, pacing: bool) -> None:
        """`pacing` answers error 100 to a client that sends more than 50 messages a second."""
        self.gateway = gateway
        self.crashed = asyncio.Event()
        self._stepped, self._pacing = stepped, pacing
        self._writers: dict[Session, asyncio.StreamWriter] = {}
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int, control_port: int) -> tuple[int, int]:
        """Open both ports (0: any free one) and return them; `GatewayUnavailable` if one is taken."""
        api = await self._open(self._serve_client, host, port)
        steering = await self._open(self._serve_control, host, control_port)
        return api, steering

    async def step(self, until: int | None) -> Stepped:
        """One step of the clock, with everything it causes sent."""
        stepped = self.gateway.step(until)
        await self._flush()
        return stepped

    async def close(self) -> None:
        """Close every connection and both ports."""
        for server in self._servers:
            server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _open(self, serve: Serve, host: str, port: int) -> int:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None, "connections are served by tasks"
            self._connections.add(task)
            understood = False
            try:
                await serve(reader, writer)
                understood = True
            except (ConnectionError, asyncio.CancelledError, TimeoutError):
                LOG.info("connection ended")
                understood = True
            finally:
                self._connections.discard(task)
                writer.close()
                if not understood:
                    self.crashed.set()

        try:
            server = await asyncio.start_server(connected, host, port, limit=CONTROL_LINE_MAX)
        except OSError as error:
            raise GatewayUnavailable(
                f"cannot listen on {host}:{port}: {error.strerror}. Is another gateway running there? Stop "
                "it, or choose another port (0 takes a free one)."
            ) from error
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    # clients

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeter, deframer = Greeter(), Deframer(GREETING_BYTES_MAX)
        session: Session | None = None
        recent: deque[float] = deque()
        try:
            while True:
                limit = HANDSHAKE_SECONDS if session is None or session.client_id is None else None
                data = await asyncio.wait_for(reader.read(READ_BYTES), limit)
                if not data:
                    return
                began = time.monotonic()
                for payload in deframer.feed(greeter.feed(data)):
                    if session is None:
                        session = self._agree(payload, writer)
                        if session is None:
                            return
                        continue
                    if session.closing:
                        break
                    if not self._paced(session, recent):
                        continue
                    if session.silent or (session.cut is not None and session.cut.after <= 0):
                        continue
                    session.heard_at = recent[-1]
                    self.gateway.receive(session, payload)
                    if time.monotonic() - began > TURN_SECONDS or len(session.out) > TURN_BYTES:
                        await self._pass_on(session, writer)
                        began = time.monotonic()
                if session is not None and session.client_id is not None:
                    deframer.limit = REQUEST_BYTES_MAX
                await self._flush()
                if session is not None and session.closing:
                    return
        except GatewayProtocol as reason:
            LOG.warning("closing a connection: %s", reason)
        finally:
            if session is not None:
                self.gateway.disconnect(session)
                self._writers.pop(session, None)

    async def _pass_on(self, session: Session, writer: asyncio.StreamWriter) -> None:
        """Let the others have their turn: one client's many requests must not keep them waiting."""
        await self._flush()
        session.closing = session.closing or writer.is_closing()
        await asyncio.sleep(0)

    def _agree(self, payload: bytes, writer: asyncio.StreamWriter) -> Session | None:
        gateway = self.gateway
        if gateway.interruptions.takes_no_one(gateway.brokerage.at) or len(gateway.sessions) >= CLIENTS_MAX:
            LOG.warning("no client is taken now")
            return None
        version = agreed_version(payload)
        if version is None:
            LOG.warning("no common version with %r", payload[:40])
            return None
        writer.write(frame([str(version), execution_time(self.gateway.brokerage.at, version)]))
        session = self.gateway.connect(version)
        self._writers[session] = writer
        return session

    def _paced(self, session: Session, recent: deque[float]) -> bool:
        """Whether the message may be looked at; error 100 if it is one too many in a second."""
        now = time.monotonic()
        while recent and now - recent[0] > 1.0:
            recent.popleft()
        recent.append(now)
        if len(recent) <= MESSAGES_PER_SECOND_MAX:
            return True
        self.gateway.over_pace += 1
        strict = self.gateway.faults.on("pace", session.client_id)
        if not self._pacing and not strict:
            return True
        if strict:
            session.paced += 1
            session.closing = session.paced >= PACE_STRIKES
        rate = f"max={MESSAGES_PER_SECOND_MAX} rec={len(recent)}"
        session.error(-1, 100, f"Max rate of messages per second has been exceeded:{rate}")
        return False

    async def _flush(self) -> None:
        """Commit, then write what is queued; a client that does not read is dropped."""
        self.gateway.commit()
        waiting = []
        for session, writer in list(self._writers.items()):
            self._write(session, writer)
            if session.cut is not None and session.cut.after <= 0:
                self._break(session, writer)
                continue
            if writer.transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
                LOG.warning("client %s does not read; its connection is dropped", session.client_id)
                writer.transport.abort()
            elif self._stepped and writer.transport.get_write_buffer_size():
                waiting.append(writer)
        for writer in waiting:
            await self._drained(writer)

    def _write(self, session: Session, writer: asyncio.StreamWriter) -> None:
        """Hand what is queued to the network, up to the byte where the connection is to break."""
        for delay_ms, late in session.delayed:
            asyncio.get_running_loop().call_later(delay_ms / 1000, self._say_late, session, late)
        session.delayed.clear()
        data = b"" if session.silent else bytes(session.out)
        session.out.clear()
        if session.cut is not None:
            data = data[: session.cut.after]
            session.cut = session.cut._replace(after=session.cut.after - len(data))
        if data:
            writer.write(data)

    def _say_late(self, session: Session, data: bytes) -> None:
        writer = self._writers.get(session)
        if writer is not None and not session.silent and not writer.is_closing():
            writer.write(data)

    def _break(self, session: Session, writer: asyncio.StreamWriter) -> None:
        assert session.cut is not None, "told to break"
        how, session.cut = session.cut.how, None
        if how == "silent":
            session.silent = True
        elif how == "fin":
            session.closing = True
            writer.close()
        else:
            session.closing = True
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            writer.transport.abort()

    async def _drained(self, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.wait_for(writer.drain(), DRAIN_SECONDS)
        except TimeoutError:
            LOG.warning("a client did not read for %s s; its connection is dropped", DRAIN_SECONDS)
            writer.transport.abort()
        except ConnectionError:
            LOG.info("a client went away")

    # the control port

    async def _serve_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                LOG.warning("a control line is longer than %s bytes", CONTROL_LINE_MAX)
                return
            if not line:
                return
            reply = control.answer(self.gateway, line, stepped=self._stepped)
            await self._flush()
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
