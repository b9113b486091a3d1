"""Promotion: the copy becomes a run directory with which the firm trades on, the old leader refused."""

from collections.abc import Callable
from pathlib import Path

import apsw

from firm.bus.chain import GENESIS, extend
from firm.errors import StoreError, StoreTampered
from firm.standby.frame import Sealer
from firm.standby.replica import REMEDY, Replica
from firm.standby.wire import Claim
from firm.store.database import Files, add_heads, add_operations, create, set_meta
from firm.store.heads import Head, HeadsFile, first_of_next_term
from firm.store.keys import Keys, keep_wrapped_key, open_data_key
from firm.store.sqlite import SqliteStore
from firm.store.verify import Verified, verify

PROMOTED = "0" * 16
"""The holder of the epoch that only keeps others out: it names no process."""

_ADD_ENTRY = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


def promote(directory: Path, run_dir: Path, keys: Keys) -> Verified:
    """Fence the old leader off, make the store of a new run directory from the copy, and verify all of it.

    From the first moment on the standby acknowledges nothing of an older leader. It may be repeated: the same
    copy gives the same log, with a newer epoch, which outdates every earlier promotion. Needs the master key
    and the private signing key. Raises StoreTampered if the copy is not what the leader sealed and signed,
    WrongKey, or StoreError.
    """
    files = Files(run_dir)
    if files.database.exists() or files.heads.exists():
        raise StoreError(f"promoting needs a new run directory, found a log in {run_dir}. Name another.")
    replica = Replica(directory)
    keep_wrapped_key(files.key, replica.identity.key)
    data_key = open_data_key(files.key, keys)
    with replica.locked():
        epoch = _raise_fence(replica)
        heads: list[Head] = []
        create(files, keys, _filling(replica, data_key, heads))
    HeadsFile(files.heads).append(heads)
    SqliteStore.open(run_dir, keys, promoted_as=epoch).close()
    return verify(run_dir, keys)


def _raise_fence(replica: Replica) -> int:
    newest = replica.fence.newest(replica.identity.log)
    if newest is None:
        raise StoreError(f"{replica.directory} holds no copy yet: no leader was ever admitted.")
    promoted = Claim(newest.log, first_of_next_term(newest.epoch), PROMOTED)
    replica.fence.admit(promoted)
    return promoted.epoch


def _filling(replica: Replica, data_key: bytes, heads: list[Head]) -> Callable[[apsw.Connection], None]:
    """Puts the copy into a new database: entries with their hashes made anew, heads, operations."""
    log = replica.identity.log

    def fill(db: apsw.Connection) -> None:
        sealer, chain = Sealer(data_key, log), GENESIS
        for frame in replica.frames():
            content = sealer.open(frame)
            hashes = extend(chain, content.records)
            rows = [(*record, sealed) for record, sealed in zip(content.records, hashes, strict=True)]
            chain = hashes[-1] if hashes else chain
            if chain != frame.head or len(rows) != frame.last - frame.first + 1:
                raise StoreTampered(
                    f"the entries from seq {frame.first} on do not give the hash stated with them. {REMEDY}"
                )
            db.executemany(_ADD_ENTRY, rows)
            add_operations(db, content.operations)
            add_heads(db, frame.heads)
            heads.extend(frame.heads)
        if not heads:
            raise StoreError(f"{replica.directory} holds no signed head yet: nothing can be promoted.")
        set_meta(db, "log", log)
        set_meta(db, "epoch", heads[-1].epoch)
        set_meta(db, "closed", int(heads[-1].state == "closed"))

    return fill
