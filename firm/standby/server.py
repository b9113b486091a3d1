"""`firm standby`: keeps a leader's log on another host, and acknowledges what is on its disk."""

import logging
import socket
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

from firm.errors import FirmError, GatewayUnavailable
from firm.standby.replica import Replica
from firm.standby.wire import (
    Frame,
    Hello,
    Line,
    OutOfService,
    Position,
    Refused,
    notice_silence,
    notice_undelivered,
)
from firm.store.lock import WriterLock

LOG = logging.getLogger("firm.standby")
HELLO_WITHIN_S = 10.0
"""A caller that has not proved by then who it is is hung up on."""
STRANGERS_MAX = 32
"""So many callers at a time may be about to prove it; one more is hung up on at once."""


class StandbyServer:
    """Listens from construction; `serve` answers. A thread for each leader: an older one is refused."""

    def __init__(self, address: tuple[str, int], directory: Path, token: bytes) -> None:
        """Check the whole copy and listen; StoreTampered, StoreLocked, or GatewayUnavailable for the port."""
        self._replica, self._token = Replica(directory), token
        self._lock = WriterLock(directory / "lock")
        self._connections: set[socket.socket] = set()
        self._strangers = threading.BoundedSemaphore(STRANGERS_MAX)
        try:
            with self._replica.locked():
                self.position = self._replica.position() if self._replica.segments() else None
            self._listener = socket.create_server(address)
        except OSError as error:
            self._lock.release()
            raise GatewayUnavailable(f"the standby cannot listen on {address}: {error}") from error
        except FirmError:
            self._lock.release()
            raise
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Answer until `close`."""
        while True:
            try:
                connection, peer = self._listener.accept()
            except OSError:
                return
            if not self._strangers.acquire(blocking=False):
                LOG.warning("caller %s hung up on: %s others have not said who they are", peer, STRANGERS_MAX)
                connection.close()
                continue
            threading.Thread(target=self._converse, args=(connection, peer), daemon=True).start()

    def close(self) -> None:
        """Hang up on everybody, stop listening and give the directory up; a second call does nothing."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._lock.release()

    def _converse(self, connection: socket.socket, peer: object) -> None:
        self._connections.add(connection)
        try:
            self._serve_one(connection, peer)
        finally:
            self._connections.discard(connection)

    def _serve_one(self, connection: socket.socket, peer: object) -> None:
        with ExitStack() as stranger, connection:
            stranger.callback(self._strangers.release)
            notice_silence(connection)
            notice_undelivered(connection)
            try:
                line = Line(connection, self._token, calls=False, within_s=HELLO_WITHIN_S)
                try:
                    hello = line.receive(Hello)
                    stranger.close()
                    line.be_patient()
                    self._follow(line, hello, peer)
                except (FirmError, OutOfService) as error:
                    LOG.warning("caller %s refused: %s", peer, error)
                    line.send(Refused.because(error))
            except OSError as error:
                LOG.warning("caller %s lost: %s", peer, error)

    def _follow(self, line: Line, hello: Hello, peer: object) -> None:
        claim = hello.claim
        line.send(self._replica.greet(hello))
        agreed = line.receive(Position)
        self._replica.welcome(hello, agreed)
        LOG.info("leader %s of log %s, epoch %s", peer, claim.log, claim.epoch)
        line.send(agreed)
        while True:
            line.send(self._replica.append(hello, line.receive(Frame)))
