"""Frames: a four-byte big-endian length, then text fields each ended by NUL. Pure."""

import re
import struct
from collections.abc import Sequence

from firm.errors import GatewayProtocol

LENGTH_MAX = 0xFFFFFF
GREETING = b"API\0"
VERSION_MIN, VERSION_MAX = 157, 178
RANGE = re.compile(rb"v([0-9]{1,5})(?:\.\.([0-9]{1,5}))?(?: .*)?")


def frame(fields: Sequence[str]) -> bytes:
    """The bytes of one message."""
    payload = ("\0".join(fields) + "\0").encode()
    assert len(payload) <= LENGTH_MAX, f"message of {len(payload)} bytes; clients take at most {LENGTH_MAX}"
    return struct.pack(">I", len(payload)) + payload


def fields_of(payload: bytes) -> list[str]:
    """The fields of one message; bytes that are not UTF-8 are kept visible as escapes."""
    fields = payload.decode(errors="backslashreplace").split("\0")
    if fields[-1] == "":
        fields.pop()
    return fields


def agreed_version(payload: bytes) -> int | None:
    """The version both speak, from the client's `v157..178`; None when there is none.

    Raises `GatewayProtocol` if the payload is no version range at all.
    """
    match = RANGE.fullmatch(payload)
    if match is None:
        raise GatewayProtocol(f"a version range such as v157..178 was needed, found {payload[:40]!r}")
    low = int(match.group(1))
    high = int(match.group(2) or low)
    version = min(VERSION_MAX, high)
    return version if version >= max(VERSION_MIN, low) else None


class Deframer:
    """Cuts a byte stream into message payloads; `feed` may be called with any cut of the stream.

    It never holds more than one message of `limit` bytes beside what it was fed.
    """

    def __init__(self, limit: int = LENGTH_MAX) -> None:
        self.limit = limit
        self._data = bytearray()

    @property
    def held(self) -> int:
        """Bytes of an unfinished message."""
        return len(self._data)

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads complete so far; `GatewayProtocol` if a length is impossible (the stream is lost)."""
        self._data += data
        payloads = []
        at = 0
        while len(self._data) - at >= 4:
            (length,) = struct.unpack_from(">I", self._data, at)
            if not 0 < length <= self.limit:
                raise GatewayProtocol(f"frame length must be 1 to {self.limit}, found {length}")
            if len(self._data) - at - 4 < length:
                break
            payloads.append(bytes(self._data[at + 4 : at + 4 + length]))
            at += 4 + length
        del self._data[:at]
        return payloads


class Greeter:
    """Takes the greeting, `API` and a NUL, off the front of a stream."""

    def __init__(self) -> None:
        self._data = b""
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """What follows the greeting; `GatewayProtocol` if the stream begins differently."""
        if self.done:
            return data
        self._data += data
        if not GREETING.startswith(self._data[: len(GREETING)]):
            raise GatewayProtocol(f"a client must begin with {GREETING!r}, found {self._data[:16]!r}")
        if len(self._data) < len(GREETING):
            return b""
        self.done = True
        return self._data[len(GREETING) :]
