"""`firm fence`: stands before the gateway, which trusts only this host; admits the newest leader.

A leader says its claim first; what follows is the gateway's own protocol, both ways, untouched. A newer epoch
ends the older one's connection, and comes in only after the gateway itself has hung up on the older: by then
all that one ever sent has been read. Whoever is older is refused for good, also after a restart. So a leader
that was frozen with an open socket finds it closed when it wakes, and cannot open another. One relay serves
one account: while a leader is connected, another log is refused.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from firm.errors import FirmError, GatewayUnavailable
from firm.standby.fence import Fence
from firm.standby.wire import Admitted, Claim, Refused, Stream, notice_silence, notice_undelivered
from firm.store.lock import WriterLock

LOG = logging.getLogger("firm.standby")
HELLO_WITHIN_S, HANG_UP_WITHIN_S = 10.0, 3.0
CHUNK_BYTES = 65_536


@dataclass
class _Caller:
    """The leader that is connected, or that the gateway has not hung up on yet; `task` ends when it has."""

    claim: Claim
    peer: str
    task: "asyncio.Task[None]"
    is_over: bool = False

    def end(self) -> None:
        """Hang up on it; once only, since a second time would end the waiting for the gateway as well."""
        if not self.is_over:
            self.is_over = True
            self.task.cancel()


class Relay:
    """One account's fence before the gateway at `gateway`."""

    def __init__(self, directory: Path, token: bytes, gateway: tuple[str, int]) -> None:
        """Raises StoreLocked if another relay works with `directory`."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = WriterLock(directory / "lock")
        self._fence = Fence(directory / "fence.json")
        self._token, self._gateway = token, gateway
        self._caller: _Caller | None = None
        self._admitting = asyncio.Lock()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port. GatewayUnavailable if it cannot be had."""
        try:
            self._server = await asyncio.start_server(self._converse, host, port)
        except OSError as error:
            raise GatewayUnavailable(f"the relay cannot listen on {host}:{port}: {error}") from error
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.close()
        if self._caller is not None:
            task = self._caller.task
            self._caller.end()
            await asyncio.wait([task], timeout=HANG_UP_WITHIN_S)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._lock.release()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = "{}:{}".format(*writer.get_extra_info("peername")[:2])
        connection = writer.get_extra_info("socket")
        notice_silence(connection)
        notice_undelivered(connection)
        try:
            stream = Stream(reader, writer, self._token, calls=False)
            async with asyncio.timeout(HELLO_WITHIN_S):
                await stream.begin()
                claim = await stream.receive(Claim)
            try:
                upstream = await self._admit(claim, peer)
            except FirmError as error:
                LOG.warning("%s refused: %s", peer, error)
                stream.send(Refused.because(error))
                await writer.drain()
                return
            stream.send(Admitted())
            LOG.info("%s leads: log %s, epoch %s", peer, claim.log, claim.epoch)
            await _relay(reader, writer, *upstream)
        except (FirmError, OSError, TimeoutError) as error:
            LOG.warning("%s: %s", peer, error or type(error).__name__)
        except asyncio.CancelledError:
            writer.transport.abort()  # a frozen leader would never take what still waits for it
            raise
        finally:
            if self._caller is not None and self._caller.task is asyncio.current_task():
                self._caller = None
            writer.close()

    async def _admit(self, claim: Claim, peer: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The way to the gateway, once whoever was there before has hung up; else the error to answer."""
        async with self._admitting:
            present = self._caller
            if present is not None and present.claim.log != claim.log:
                raise GatewayUnavailable(
                    f"this account is traded by log {present.claim.log}, epoch {present.claim.epoch}, from"
                    f" {present.peer}: one firm at a time. Stop that one, or give this one another account"
                    " and a relay of its own."
                )
            self._fence.admit(claim)
            if present is not None:
                LOG.warning("%s is hung up on: %s leads now, epoch %s", present.peer, peer, claim.epoch)
                await self._out(present)
            try:
                upstream = await asyncio.open_connection(*self._gateway)
            except OSError as error:
                raise GatewayUnavailable(
                    f"the relay admits epoch {claim.epoch}, but nobody listens at the gateway"
                    f" {self._gateway[0]}:{self._gateway[1]} ({error}). Start IB Gateway."
                ) from error
            task = asyncio.current_task()
            assert task is not None, "a connection is served by a task"
            notice_silence(upstream[1].get_extra_info("socket"))  # a gateway that hangs is waited for
            self._caller = _Caller(claim, peer, task)
            return upstream

    async def _out(self, present: _Caller) -> None:
        """Hang up on the older leader; GatewayUnavailable as long as the gateway has not done so too."""
        present.end()
        await asyncio.wait([present.task], timeout=HANG_UP_WITHIN_S)
        if not present.task.done():
            raise GatewayUnavailable(
                f"the gateway {self._gateway[0]}:{self._gateway[1]} has not hung up on {present.peer}, epoch"
                f" {present.claim.epoch}, within {HANG_UP_WITHIN_S:g} s. What that one sent last may not have"
                " been read yet, so nobody else is let in. Look whether IB Gateway answers, restart it if"
                " not, then call again."
            )


async def _relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    gateway_reader: asyncio.StreamReader,
    gateway_writer: asyncio.StreamWriter,
) -> None:
    """Bytes both ways until one side hangs up. Then the gateway is told, and its own hanging up awaited.

    So whatever the leader has sent is at the gateway before anybody else may ask it. Cancelled once it does
    the same; cancelled again it gives up.
    """
    ways = [
        asyncio.create_task(_copy(reader, gateway_writer)),
        asyncio.create_task(_copy(gateway_reader, writer)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        try:
            with suppress(OSError):
                gateway_writer.write_eof()
                while await gateway_reader.read(CHUNK_BYTES):
                    pass
        finally:
            gateway_writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
