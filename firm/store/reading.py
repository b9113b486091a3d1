"""Reading the log beside its writer, from any process: no lock, no new epoch, always what is committed."""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from firm.bus.chain import GENESIS
from firm.errors import StoreError
from firm.events.record import Record
from firm.store.audit import require_own_schema, require_own_signer
from firm.store.database import Files, Meta, connect, refusing
from firm.store.keys import Keys, open_data_key
from firm.store.rows import Operation

MAX_SEQ = 2**63 - 1
_SELECT = 'SELECT seq, at, origin, author, cause, "index", kind, payload FROM entries WHERE seq > :since'


class SqliteReader:
    """What can be asked of a log. Every answer is one consistent snapshot."""

    def __init__(self, db: apsw.Connection, path: Path) -> None:
        self._db, self._path = db, path

    @classmethod
    def open(cls, directory: Path, keys: Keys) -> "SqliteReader":
        """Open the log in `directory`; it may be in use by a writer."""
        files = Files(directory)
        if not files.database.exists():
            raise StoreError(f"there is no log in {directory}. Name the directory of a run.")
        db = connect(files.database, open_data_key(files.key, keys), writable=False)
        reader = cls(db, files.database)
        try:
            with refusing(files.database):
                require_own_schema(db)
                require_own_signer(Meta(db), keys, directory)
        except BaseException:
            reader.close()
            raise
        return reader

    @property
    def last_seq(self) -> int:
        """The seq of the newest committed entry; 0 when the log is empty."""
        return self._newest()[0]

    @property
    def head(self) -> bytes:
        """The chain hash of the newest committed entry."""
        return self._newest()[1]

    @property
    def epoch(self) -> int:
        """The epoch of the newest writer."""
        with refusing(self._path):
            return Meta(self._db).epoch

    def read(
        self, since: int = 0, limit: int | None = None, kinds: Collection[int] | None = None
    ) -> list[Record]:
        """Return the entries after `since`, oldest first, at most `limit`, only of `kinds`.

        StoreError if an entry in between is missing.
        """
        since = max(since, 0)
        wanted = "" if kinds is None else "AND kind IN (SELECT value FROM json_each(:kinds))"
        values = {
            "since": since,
            "kinds": json.dumps(sorted(kinds or ())),
            "limit": -1 if limit is None else limit,
        }
        with refusing(self._path), self._snapshot():
            rows = self._db.execute(f"{_SELECT} {wanted} ORDER BY seq LIMIT :limit", values)
            found = [Record(*row) for row in rows]
            if kinds is None:
                self._require_no_gap(since, found[-1].seq if found else since, len(found))
            else:
                self._require_all_scanned(since, found[-1].seq if len(found) == limit and found else None)
        return found

    def operations(self, since: int = 0) -> list[Operation]:
        """Every operation stored so far but the first `since`, oldest first."""
        with refusing(self._path):
            rows: Any = self._db.execute(
                "SELECT at_wall_ns, epoch, name, value FROM ops WHERE number > ? ORDER BY number", (since,)
            ).fetchall()
        return [Operation(at, epoch, name, json.loads(value)) for at, epoch, name, value in rows]

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _require_all_scanned(self, since: int, until: int | None) -> None:
        scanned: Any = self._db.execute(
            "SELECT count(*), max(seq) FROM entries WHERE seq > ? AND seq <= ?", (since, until or MAX_SEQ)
        ).get
        count, newest = scanned
        self._require_no_gap(since, newest or since, count)

    def _require_no_gap(self, since: int, until: int, count: int) -> None:
        if count != until - since:
            raise StoreError(
                f"{self._path} needs {until - since} entries from {since + 1} to {until}, found {count}."
                " Run `firm verify`, and do not trade on this log."
            )

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def _newest(self) -> tuple[int, bytes]:
        with refusing(self._path):
            row = self._db.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        return (row[0], row[1]) if row else (0, GENESIS)
