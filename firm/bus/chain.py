"""The hash chain: each entry's hash seals the entry and everything before it."""

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from firm.events.record import Record

GENESIS: bytes = bytes(32)
"""The hash before the first entry."""

_encode = msgspec.msgpack.Encoder().encode


def link(previous: bytes, record: Record) -> bytes:
    """SHA-256 over the hash before and the record as a MessagePack array, each value in its shortest form.

    >>> link(GENESIS, Record(1, 0, 0, "bus", 0, 0, 1, b"")).hex()[:16]
    '1279b2fc4880e01c'
    """
    digest = sha256(previous)
    digest.update(_encode(record))
    return digest.digest()


def extend(previous: bytes, records: Iterable[Record]) -> list[bytes]:
    """One hash for each record, in order; the last one is the new head."""
    hashes = []
    for record in records:
        previous = link(previous, record)
        hashes.append(previous)
    return hashes
