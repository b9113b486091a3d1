"""Frames: a log's growth, sealed for a standby that keeps and checks it without being able to read it."""

import math
import secrets
from collections.abc import Iterator
from typing import Any

import apsw
import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from firm.errors import StoreTampered
from firm.events.record import Record
from firm.standby.wire import Frame, Position
from firm.store.heads import Head
from firm.store.rows import Operation

NONCE_BYTES = 12
OPERATIONS_MAX = 4096
"""In one frame; a standby that comes late gets the older ones in frames of their own."""


class Content(Struct, frozen=True, array_like=True):
    """What is sealed in a frame."""

    records: list[Record]
    operations: list[Operation]


_decode = msgspec.msgpack.Decoder(Content).decode


class Sealer:
    """Seals and opens frames of one log, with a key of its own that is derived from the store's data key."""

    def __init__(self, data_key: bytes, log: str) -> None:
        derived = HKDF(SHA256(), length=32, salt=log.encode(), info=b"firm standby frames 1").derive(data_key)
        self._cipher = ChaCha20Poly1305(derived)

    def seal(self, content: Content, bare: Frame) -> Frame:
        """The frame with the content in it; the rest of it is authenticated along."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, msgspec.msgpack.encode(content), _header(bare))
        return msgspec.structs.replace(bare, sealed=sealed)

    def open(self, frame: Frame) -> Content:
        """What is in it; StoreTampered unless it was sealed exactly so by the holder of the data key."""
        nonce, text = frame.sealed[:NONCE_BYTES], frame.sealed[NONCE_BYTES:]
        bare = msgspec.structs.replace(frame, sealed=b"")
        try:
            return _decode(self._cipher.decrypt(nonce, text, _header(bare)))
        except (InvalidTag, ValueError) as error:
            raise StoreTampered(
                f"the copy is not to be trusted from seq {frame.first} on: that frame is not as the leader"
                " sealed it. Keep the directory as evidence and use another copy."
            ) from error


def _header(bare: Frame) -> bytes:
    return msgspec.msgpack.encode(bare)


def growth(db: apsw.Connection, sealer: Sealer, log: str, epoch: int, since: Position) -> Iterator[Frame]:
    """Everything the log has beyond `since`, as frames in order, from one snapshot.

    A frame ends where a head is signed or the log ends: both are ends of commits, so a commit is never split.
    """
    at = since
    db.execute("BEGIN")
    try:
        heads = [
            Head(*row)
            for row in db.execute(
                "SELECT log, seq, head, epoch, state, signature FROM heads WHERE number > ? ORDER BY number",
                (at.heads,),
            )
        ]
        last_seq: Any = db.execute("SELECT coalesce(max(seq), 0) FROM entries").get
        no_heads: list[Head] = []
        ends = [(head.seq, [head]) for head in heads]
        if last_seq > (heads[-1].seq if heads else at.seq):
            ends.append((last_seq, no_heads))
        noted: Any = db.execute("SELECT count(*) FROM ops WHERE number > ?", (at.operations,)).get
        alone = math.ceil(noted / OPERATIONS_MAX) - bool(ends)
        for end, signed in [*[(at.seq, no_heads)] * alone, *ends]:
            (records, head), operations = _entries(db, at, end), _operations(db, at.operations)
            after = Position(end, head, at.heads + len(signed), at.operations + len(operations))
            bare = Frame(log, epoch, at.seq + 1, end, at.head, head, signed, after.operations, b"")
            yield sealer.seal(Content(records, operations), bare)
            at = after
    finally:
        db.execute("COMMIT")


def _entries(db: apsw.Connection, since: Position, end: int) -> tuple[list[Record], bytes]:
    rows: Any = db.execute(
        'SELECT seq, at, origin, author, cause, "index", kind, payload, hash FROM entries'
        " WHERE seq > ? AND seq <= ? ORDER BY seq",
        (since.seq, end),
    ).fetchall()
    return [Record(*row[:-1]) for row in rows], (rows[-1][-1] if rows else since.head)


def _operations(db: apsw.Connection, since: int) -> list[Operation]:
    rows: Any = db.execute(
        "SELECT at_wall_ns, epoch, name, value FROM ops WHERE number > ? ORDER BY number LIMIT ?",
        (since, OPERATIONS_MAX),
    ).fetchall()
    return [Operation(at, made, name, msgspec.json.decode(value)) for at, made, name, value in rows]
