"""What can be told from the rows themselves: the schema is ours, the chain holds, the heads agree with it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from firm.bus.chain import GENESIS, link
from firm.errors import StoreError, StoreTampered, WrongKey
from firm.events.record import Record
from firm.store.database import SCHEMA, SCHEMA_VERSION, Meta
from firm.store.heads import REMEDY, Head, tampered
from firm.store.keys import Keys


def require_own_schema(db: apsw.Connection) -> None:
    """Raise StoreTampered unless tables and triggers are exactly those a store is made with."""
    found = {sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}
    if lost := set(SCHEMA) - found:
        raise StoreTampered(
            f"the store has lost or changed '{min(lost)[:60]}...', which guards its rows. {REMEDY}"
        )
    if added := found - set(SCHEMA):
        raise StoreTampered(
            f"the store holds something it was not made with: '{min(added)[:60]}...'. {REMEDY}"
        )


def require_own_signer(meta: Meta, keys: Keys, directory: Path) -> None:
    """Raise unless the store's schema is known and `keys` are those it names."""
    if meta.schema != SCHEMA_VERSION:
        raise StoreError(
            f"{directory} has schema {meta.schema}, this code reads {SCHEMA_VERSION}. Use another release."
        )
    if meta.signer != keys.fingerprint:
        raise WrongKey(
            f"the store in {directory} names signing key {meta.signer[:16]}, found {keys.fingerprint[:16]}."
            " Use the signing key it was made with; if yours is that key, somebody has remade this store."
        )


def walk(db: apsw.Connection, since: int, previous: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (seq, hash) of every entry after `since`, recomputed; StoreTampered at the first wrong one.

    `previous` is the hash at `since`.
    """
    rows: Any = db.execute(
        'SELECT seq, at, origin, author, cause, "index", kind, payload, hash FROM entries'
        " WHERE seq > ? ORDER BY seq",
        (since,),
    )
    for expected, (*row, stored) in enumerate(rows, since + 1):
        record = Record(*row)
        if record.seq != expected:
            raise tampered(expected, f"entry {expected} is missing; the next row is {record.seq}")
        previous = link(previous, record)
        if previous != stored:
            raise tampered(expected, f"entry {expected} does not give the hash stored with it")
        yield expected, previous


def require_sound_tail(db: apsw.Connection, signed: Sequence[Head], keys: Keys) -> tuple[int, bytes]:
    """Check the rows from the last of the `signed` heads on, at least the last row; return (last seq, head).

    Cheap: it reads what was written since that head, not the log.
    """
    last_seq: Any = db.execute("SELECT coalesce(max(seq), 0) FROM entries").get
    if not signed:
        if last_seq or Meta(db).epoch:
            raise tampered(1, "every signed head has gone")
        return 0, GENESIS
    last = signed[-1]
    last.require_genuine(keys)
    if last_seq < last.seq:
        raise tampered(last_seq + 1, f"a head was signed at seq {last.seq}, but the rows end at {last_seq}")
    start = max(0, min(last.seq, last_seq - 1))
    hashes = {start: _stored_hash(db, start)}
    hashes.update(walk(db, start, hashes[start]))
    if hashes[last.seq].hex() != last.head:
        raise tampered(last.seq, f"entry {last.seq} is not the one whose head was signed")
    return last_seq, hashes[last_seq]


def _stored_hash(db: apsw.Connection, seq: int) -> bytes:
    if seq == 0:
        return GENESIS
    row = db.execute("SELECT hash FROM entries WHERE seq = ?", (seq,)).fetchone()
    if row is None:
        raise tampered(seq, f"entry {seq} is missing")
    return bytes(row[0])
