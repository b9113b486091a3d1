"""The log on disk: encrypted, append-only, a durable transaction for each commit, signed as it grows."""

import json
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw

from firm.bus.chain import extend
from firm.errors import StaleEpoch, StoreError, StoreTampered
from firm.events.record import Record
from firm.store.audit import require_own_schema, require_own_signer, require_sound_tail
from firm.store.database import (
    Files,
    Meta,
    add_heads,
    add_operations,
    connect,
    create,
    refusing,
    set_meta,
    signed_heads,
)
from firm.store.heads import HEADS_EVERY, REMEDY, Head, State, next_of_term, sink_path
from firm.store.keys import Keys, open_data_key
from firm.store.lock import WriterLock
from firm.store.notary import Notary
from firm.store.reading import SqliteReader
from firm.store.rows import Operation, require_next

_ADD_ENTRY = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FENCE = "SELECT (SELECT value FROM meta WHERE name = 'epoch'), (SELECT coalesce(max(seq), 0) FROM entries)"


class SqliteStore:
    """The writer of one log; see EventStore. Made by `open`; `read_only` gives readers.

    `log` is the log's random name, 16 hex digits.

    After a failed write of the disk nothing is known about the last batch, so the store refuses to go on:
    open it again and look at `last_seq`.
    """

    def __init__(
        self,
        db: apsw.Connection,
        files: Files,
        keys: Keys,
        lock: WriterLock,
        heads_every: int,
        sink: Path | None,
        promoted_as: int | None,
    ) -> None:
        self._db, self._path, self._lock = db, files.database, lock
        self._reader = SqliteReader(db, files.database)
        self._waiting: list[Operation] = []
        self._refuses: str | None = None
        with refusing(files.database):
            require_own_schema(db)
            meta = Meta(db)
            require_own_signer(meta, keys, files.directory)
            signed = signed_heads(db)
            self._epoch, self.log = meta.epoch, meta.log
            self._last_seq, self._head = require_sound_tail(db, signed, keys)
            self._notary = Notary(keys, meta.log, files.heads, sink, heads_every)
            self._notary.complete_copies(signed)
        epoch = next_of_term(self._epoch, files.directory) if promoted_as is None else promoted_as
        self._seal("opened", epoch)

    @classmethod
    def open(
        cls,
        directory: Path,
        keys: Keys,
        *,
        heads_every: int = HEADS_EVERY,
        sink: Path | None = None,
        promoted_as: int | None = None,
    ) -> "SqliteStore":
        """Create or resume the log in `directory` as its only writer, and raise the epoch by 1.

        `promoted_as` is the epoch of a promoted standby instead; see `first_of_next_term`. Without it an
        opening that would step into the next term, and so overtake a promotion, is refused.

        A head is signed whenever `heads_every` entries wait for one. `sink` (else FIRM_HEADS_SINK) is a
        second file for signed heads, best on another machine. Raises StoreLocked, WrongKey, StoreTampered or
        StoreError.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = Files(directory)
        lock = WriterLock(files.lock)
        db = None
        try:
            if not files.database.exists():
                create(files, keys)
            db = connect(files.database, open_data_key(files.key, keys), writable=True)
            return cls(db, files, keys, lock, heads_every, sink_path(sink), promoted_as)
        except BaseException:
            if db is not None:
                db.close()
            lock.release()
            raise

    @staticmethod
    def read_only(directory: Path, keys: Keys) -> SqliteReader:
        """Open the log beside its writer, from any process."""
        return SqliteReader.open(directory, keys)

    @property
    def epoch(self) -> int:
        """The number of this writer; the next one to open the log gets a higher one."""
        return self._epoch

    @property
    def last_seq(self) -> int:
        """The seq of the newest entry; 0 when the log is empty."""
        return self._last_seq

    @property
    def head(self) -> bytes:
        """The chain hash of the newest entry, 32 bytes."""
        return self._head

    def commit(self, records: Sequence[Record]) -> bytes:
        """See EventStore. When it returns, the batch survives a power cut."""
        require_next(self._last_seq, records)
        if not records:
            return self._head
        hashes = extend(self._head, records)
        last_seq, head = records[-1].seq, hashes[-1]
        signed = (
            [self._notary.sign(last_seq, head, self._epoch, "running")] if self._notary.due(last_seq) else []
        )
        rows = [(*record, sealed) for record, sealed in zip(records, hashes, strict=True)]
        with self._transaction():
            self._db.executemany(_ADD_ENTRY, rows)
            add_operations(self._db, self._waiting)
            add_heads(self._db, signed)
        self._last_seq, self._head = last_seq, head
        self._waiting.clear()
        self._publish(signed)
        return head

    def read(
        self, since: int = 0, limit: int | None = None, kinds: Collection[int] | None = None
    ) -> list[Record]:
        """See EventStore."""
        return self._reader.read(since, limit, kinds)

    def operation(self, name: str, value: object) -> None:
        """See EventStore."""
        json.dumps(value)
        self._waiting.append(Operation(time.time_ns(), self._epoch, name, value))

    def flush(self) -> None:
        """Make waiting operations durable now instead of with the next commit."""
        if self._waiting:
            with self._transaction():
                add_operations(self._db, self._waiting)
            self._waiting.clear()

    def operations(self, since: int = 0) -> list[Operation]:
        """Every stored operation but the first `since`; those that wait for a commit are not among them."""
        return self._reader.operations(since)

    def sign_head(self) -> Head:
        """Sign the newest entry now, without waiting for the next turn."""
        return self._seal("running", self._epoch)

    def close(self) -> None:
        """Keep what waits, sign the head and release the lock.

        A store that may not write any more (a newer epoch, a failed disk) is only released.
        """
        try:
            if self._lock.held and self._refuses is None:
                with suppress(StaleEpoch):
                    self.flush()
                    self._seal("closed", self._epoch)
        finally:
            self._reader.close()
            self._lock.release()

    def _seal(self, state: State, epoch: int) -> Head:
        signed = self._notary.sign(self._last_seq, self._head, epoch, state)
        with self._transaction():
            set_meta(self._db, "epoch", epoch)
            set_meta(self._db, "closed", int(state == "closed"))
            add_heads(self._db, [signed])
        self._epoch = epoch
        self._publish([signed])
        return signed

    def _publish(self, signed: Sequence[Head]) -> None:
        try:
            self._notary.publish(signed)
        except StoreError as error:
            self._refuses = str(error)
            raise

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._refuses is not None:
            raise StoreError(f"this store stopped after a failed write: {self._refuses}")
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._require_newest_writer()
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except apsw.Error as error:
            self._refuses = (
                f"{self._path} cannot be written: {error}. Check the disk, then open the store again."
            )
            raise StoreError(self._refuses) from error

    def _require_newest_writer(self) -> None:
        found: Any = self._db.execute(_FENCE).get
        epoch, last_seq = found
        if epoch != str(self._epoch):
            raise StaleEpoch(
                f"a writer with epoch {epoch} has taken over {self._path}; this one has epoch {self._epoch}"
                " and may not write any more. Stop this process."
            )
        if last_seq != self._last_seq:
            raise StoreTampered(
                f"{self._path} ended at {self._last_seq}, found {last_seq}: somebody else wrote. {REMEDY}"
            )
