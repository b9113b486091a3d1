"""Proof that a log is the one that was written: every row, every link, every signed head.

Who holds the store key and may write every file of the directory, but lacks the signing key, cannot change,
swap, insert or remove an entry that a signed head covers, nor forge a session: each begins with a signed
head. What is left to him:

- the entries after the last signed head (fewer than `heads_every`, counted by `Verified.unsigned`) can be
  rewritten while the log is open or after a crash;
- the whole store, `heads.log` included, can be set back to an earlier signed head. If that is not the last of
  its session, the log looks as if its writer had crashed there (`closed_cleanly` is False); if it is, the
  older log is a genuine one and nothing in the directory can tell. A sink out of his reach shows both: verify
  with it.

The operations are outside the hash, and nothing is promised about them.
"""

from pathlib import Path
from typing import NamedTuple

import apsw

from firm.bus.chain import GENESIS
from firm.errors import StoreError, StoreTampered
from firm.store.audit import require_own_schema, require_own_signer, walk
from firm.store.database import Files, Meta, connect, refusing, signed_heads
from firm.store.heads import HEADS_EVERY, REMEDY, Head, HeadsFile, follows, missing_from, sink_path, tampered
from firm.store.keys import Keys, open_data_key


class Verified(NamedTuple):
    """What was proved. `unsigned` entries at the end are linked, but no signature vouches for them yet."""

    entries: int
    head: bytes
    epoch: int
    heads_checked: int
    last_signed_seq: int
    unsigned: int
    closed_cleanly: bool
    log: str


def verify(
    directory: Path, keys: Keys, *, heads_every: int = HEADS_EVERY, sink: Path | None = None
) -> Verified:
    """Check the whole log in `directory`; a writer may be using it meanwhile.

    `sink` (else FIRM_HEADS_SINK) is a second copy of the heads to check. `heads_every` is the writer's.
    Only the public part of the signing key is used. Raises StoreTampered with the first seq that cannot be
    trusted, WrongKey, or StoreError if the files are damaged.
    """
    files = Files(directory)
    if not files.database.exists():
        raise StoreError(
            f"there is no log in {directory}. Name the directory of a run, or restore it from backup."
        )
    db = connect(files.database, open_data_key(files.key, keys), writable=False)
    try:
        with refusing(files.database):
            require_own_schema(db)
            require_own_signer(Meta(db), keys, directory)
            known = len(signed_heads(db))
            log = Meta(db).log
            copied = {path: HeadsFile(path).read(log) for path in (files.heads, sink_path(sink)) if path}
            db.execute("BEGIN")
            signed = signed_heads(db)
            for path, heads in copied.items():
                missing_from(path, heads, signed)
                if len(heads) < known - 1:
                    raise tampered(
                        _after(signed, len(heads)),
                        f"{path} lacks {known - len(heads)} of {known} signed heads",
                    )
            return _verify_rows(db, signed, keys, heads_every)
    finally:
        db.close()


def _verify_rows(db: apsw.Connection, signed: list[Head], keys: Keys, heads_every: int) -> Verified:
    meta = Meta(db)
    _require_sessions(signed, meta, keys)
    wanted = {head.seq for head in signed}
    hashes = {0: GENESIS}
    seq, head = 0, GENESIS
    for seq, head in walk(db, 0, GENESIS):
        if seq in wanted:
            hashes[seq] = head
    for number, stated in enumerate(signed):
        if stated.seq not in hashes:
            raise tampered(seq + 1, f"a head was signed at seq {stated.seq}, but the rows end at {seq}")
        if hashes[stated.seq].hex() != stated.head:
            raise tampered(
                _after(signed, number),
                f"the rows up to {stated.seq} are not those whose head was signed there",
            )
    last = signed[-1]
    unsigned = seq - last.seq
    if unsigned >= heads_every:
        raise tampered(
            last.seq + 1,
            f"{unsigned} entries have no signed head, at most {heads_every - 1} may wait for one",
        )
    if (last.state == "closed") != meta.closed or (meta.closed and unsigned):
        raise tampered(
            last.seq + 1,
            f"the last head is signed '{last.state}' at seq {last.seq}, which is not how this store ends",
        )
    return Verified(seq, head, meta.epoch, len(signed), last.seq, unsigned, meta.closed, meta.log)


def _require_sessions(signed: list[Head], meta: Meta, keys: Keys) -> None:
    """Every head genuine and of this log, in order, and every session signed at its opening."""
    if not signed:
        raise StoreTampered(
            f"not one signed head is left, and the first is signed before the first entry. {REMEDY}"
        )
    epoch, seq, state = 0, 0, "closed"
    for number, head in enumerate(signed):
        head.require_genuine(keys)
        opens = head.state == "opened" and follows(head.epoch, epoch)
        goes_on = head.state != "opened" and head.epoch == epoch and state != "closed"
        if head.log != meta.log or head.seq < seq or not (opens or goes_on):
            raise tampered(
                _after(signed, number), f"signed head {number + 1} (seq {head.seq}) is out of place"
            )
        epoch, seq, state = head.epoch, head.seq, head.state
    if epoch != meta.epoch:
        raise tampered(
            seq + 1, f"the store is at epoch {meta.epoch}, but the last signed head is of epoch {epoch}"
        )


def _after(signed: list[Head], number: int) -> int:
    """The first seq that only the heads from `number` on vouch for."""
    return signed[number - 1].seq + 1 if number else 1
