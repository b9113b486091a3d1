"""A conversation whose ends prove that they know the firm's token: messages, framed, numbered and sealed.

Each end says 32 random bytes first. From both and the token comes the key of this one conversation, so
nothing can be replayed, turned round or left out. What is said is not secret here; entries are sealed before.
"""

import asyncio
import hmac
import secrets
import socket
import time
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from firm.errors import FirmError, GatewayUnavailable, StaleEpoch, StoreError
from firm.store.heads import Head

NONCE_BYTES, SEAL_BYTES, LENGTH_BYTES = 32, 32, 4
HEADER_BYTES: Final = LENGTH_BYTES + SEAL_BYTES
MESSAGE_BYTES_MAX: Final = 256 * 1024 * 1024
FIRST_BYTES_MAX: Final = 65_536
"""Nobody is given more room before a first message has proved who he is."""
SILENT_S, PROBE_EVERY_S, PROBES = 10, 5, 3
"""A host that is gone without a word is noticed after 10 + 3 x 5 s."""
_PURPOSE = b"firm standby 1"

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$")]


class OutOfService(OSError):
    """The other end is there and cannot do it now. As with a connection that breaks: repair, then again."""


class Claim(Struct, frozen=True, tag="claim"):
    """Who wants to lead: `holder`, 16 random hex digits of one opening of log `log`, as its `epoch`."""

    log: Name
    epoch: Count
    holder: Name


class Hello(Struct, frozen=True, tag="hello"):
    """A leader to its standby: its claim, its public signing key and its wrapped data key (events.key)."""

    claim: Claim
    public: bytes
    key: str


class Position(Struct, frozen=True, tag="position"):
    """How far a copy goes: the last seq with its chain hash, and how many signed heads and operations."""

    seq: Count
    head: bytes
    heads: Count
    operations: Count


class Frame(Struct, frozen=True, tag="frame"):
    """What a log has grown by: the entries from `first` to `last` (one less: none) and some operations.

    They are in `sealed`; see `firm.standby.frame`. `previous` and `head` are the chain hashes before and
    after; `heads` were signed at `last`; `operations` counts all of the log's after these.
    """

    log: Name
    epoch: Count
    first: Count
    last: Count
    previous: bytes
    head: bytes
    heads: list[Head]
    operations: Count
    sealed: bytes


class Admitted(Struct, frozen=True, tag="admitted"):
    """You may speak to the gateway now; what follows is its own protocol."""


class Refused(Struct, frozen=True, tag="refused"):
    """Why not: the name of the error that the other end is to raise, and its text."""

    error: str
    reason: str

    @classmethod
    def because(cls, error: FirmError | OutOfService) -> "Refused":
        """What to answer to whoever caused this error."""
        return cls(type(error).__name__, str(error))

    def exception(self) -> FirmError | OutOfService:
        """The error, at the other end."""
        kinds: dict[str, type[FirmError | OutOfService]] = {
            kind.__name__: kind for kind in (StaleEpoch, GatewayUnavailable, StoreError, OutOfService)
        }
        return kinds.get(self.error, StoreError)(self.reason)


Message: TypeAlias = Claim | Hello | Position | Frame | Admitted | Refused
Wanted = TypeVar("Wanted")
_decoder = msgspec.msgpack.Decoder(Message)
_encode = msgspec.msgpack.Encoder().encode


class Conversation:
    """One end, without the socket: what to send, and what the received bytes mean."""

    def __init__(self, token: bytes, *, calls: bool) -> None:
        """`calls`: this end has called the other."""
        self._token, self._calls = token, calls
        self.nonce = secrets.token_bytes(NONCE_BYTES)
        self._key = b""
        self._sent = self._heard = 0

    def begin(self, nonce: bytes) -> None:
        """The other end's first word."""
        both = self.nonce + nonce if self._calls else nonce + self.nonce
        self._key = hmac.digest(self._token, _PURPOSE + both, "sha256")

    def pack(self, message: Message) -> bytes:
        """The message as it goes over the wire."""
        body = _encode(message)
        self._sent += 1
        seal = self._seal(b"caller" if self._calls else b"called", self._sent, body)
        return len(body).to_bytes(LENGTH_BYTES, "big") + seal + body

    def length(self, header: bytes) -> int:
        """How many bytes follow this header."""
        length = int.from_bytes(header[:LENGTH_BYTES], "big")
        if length > (MESSAGE_BYTES_MAX if self._heard else FIRST_BYTES_MAX):
            raise _not_ours()
        return length

    def unpack(self, header: bytes, body: bytes) -> Message:
        """The message; StoreError unless the other end has sealed it for this place in the conversation."""
        self._heard += 1
        seal = self._seal(b"called" if self._calls else b"caller", self._heard, body)
        if not hmac.compare_digest(seal, header[LENGTH_BYTES:]):
            raise _not_ours()
        try:
            message: Message = _decoder.decode(body)
        except msgspec.DecodeError as error:
            raise StoreError(f"another release of the firm speaks here: {error}. Use the same.") from error
        return message

    def _seal(self, speaker: bytes, number: int, body: bytes) -> bytes:
        return hmac.digest(self._key, speaker + number.to_bytes(8, "big") + body, "sha256")


def expect(message: Message, kind: type[Wanted]) -> Wanted:
    """The message if it is of this kind; what was refused is raised here."""
    if isinstance(message, Refused):
        raise message.exception()
    if not isinstance(message, kind):
        raise StoreError(f"the other end should have said {kind.__name__}, it said {type(message).__name__}")
    return message


class Line:
    """A conversation over a connected socket, blocking. OSError when it breaks or its timeout passes."""

    def __init__(
        self, connection: socket.socket, token: bytes, *, calls: bool, within_s: float | None = None
    ) -> None:
        """`within_s`: until `be_patient` is called, all that is awaited must have come by then."""
        self._socket = connection
        self._deadline = None if within_s is None else time.monotonic() + within_s
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._talk = Conversation(token, calls=calls)
        connection.sendall(self._talk.nonce)
        self._talk.begin(self._exactly(NONCE_BYTES))

    def send(self, message: Message) -> None:
        """Say it."""
        self._socket.sendall(self._talk.pack(message))

    def receive(self, kind: type[Wanted]) -> Wanted:
        """Wait for the next message."""
        header = self._exactly(HEADER_BYTES)
        return expect(self._talk.unpack(header, self._exactly(self._talk.length(header))), kind)

    def be_patient(self) -> None:
        """Wait from now on as long as it takes."""
        self._deadline = None
        self._socket.settimeout(None)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _exactly(self, count: int) -> bytes:
        received = bytearray()
        while len(received) < count:
            if self._deadline is not None:
                left_s = self._deadline - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError("it took too long to say who it is")
                self._socket.settimeout(left_s)
            chunk = self._socket.recv(count - len(received))
            if not chunk:
                raise ConnectionError("the other end has hung up")
            received += chunk
        return bytes(received)


class Stream:
    """The same over asyncio's streams. After `Admitted` the raw streams belong to whoever made it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: bytes, *, calls: bool
    ) -> None:
        self._reader, self._writer = reader, writer
        self._talk = Conversation(token, calls=calls)

    async def begin(self) -> None:
        """Exchange the first words."""
        self._writer.write(self._talk.nonce)
        self._talk.begin(await self._exactly(NONCE_BYTES))

    def send(self, message: Message) -> None:
        """Say it."""
        self._writer.write(self._talk.pack(message))

    async def receive(self, kind: type[Wanted]) -> Wanted:
        """Wait for the next message."""
        header = await self._exactly(HEADER_BYTES)
        return expect(self._talk.unpack(header, await self._exactly(self._talk.length(header))), kind)

    async def _exactly(self, count: int) -> bytes:
        try:
            return await self._reader.readexactly(count)
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("the other end has hung up") from error


def notice_silence(connection: socket.socket) -> None:
    """Ask a silent host from time to time whether it is there; a connection to a dead one ends after 25 s.

    As long as something is on its way to it, it is not asked: see `notice_undelivered`.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_EVERY_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)


def notice_undelivered(connection: socket.socket) -> None:
    """End the connection too when what was sent is not taken for as long: the host is dead, or it hangs."""
    undelivered_ms = 1000 * (SILENT_S + PROBES * PROBE_EVERY_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, undelivered_ms)


def _not_ours() -> StoreError:
    return StoreError(
        "the other end does not know this end's token, or somebody has changed what it said. Give both ends"
        " the same FIRM_STANDBY_TOKEN (at the fence: FIRM_FENCE_TOKEN), or copy standby.token (fence.token)"
        " of one key directory to the other."
    )
