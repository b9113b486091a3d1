"""The encrypted SQLite file: its schema, how it is made, opened and checked."""

import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec

from firm.errors import StoreError, StoreTampered
from firm.store.heads import REMEDY, Head
from firm.store.keys import Keys, make_data_key, open_data_key, sync_directory
from firm.store.rows import Operation

SCHEMA_VERSION = 1
BUSY_MS = 10_000

_ENTRIES = """CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, origin INTEGER NOT NULL, author TEXT NOT NULL,
    cause INTEGER NOT NULL, "index" INTEGER NOT NULL, kind INTEGER NOT NULL, payload BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT"""

_HEADS = """CREATE TABLE heads (
    number INTEGER PRIMARY KEY, log TEXT NOT NULL, seq INTEGER NOT NULL, head TEXT NOT NULL,
    epoch INTEGER NOT NULL, state TEXT NOT NULL, signature TEXT NOT NULL
) STRICT"""

_OPS = """CREATE TABLE ops (
    number INTEGER PRIMARY KEY, at_wall_ns INTEGER NOT NULL, epoch INTEGER NOT NULL, name TEXT NOT NULL,
    value TEXT NOT NULL
) STRICT"""

_META = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"


def _append_only(table: str, key: str) -> tuple[str, ...]:
    """Triggers that refuse all but the next row; INSERT OR REPLACE deletes silently, hence the third."""
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    newest = f"(SELECT coalesce(max({key}), 0) FROM {table})"  # noqa: S608
    return (
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_next BEFORE INSERT ON {table} WHEN NEW.{key} IS NOT {newest} + 1 {refuse}",
    )


SCHEMA = (
    _ENTRIES,
    _HEADS,
    _OPS,
    _META,
    *_append_only("entries", "seq"),
    *_append_only("heads", "number"),
    *_append_only("ops", "number"),
)


class Files:
    """Where the parts of a store are in its directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.database = directory / "events.db"
        self.key = directory / "events.key"
        self.heads = directory / "heads.log"
        self.lock = directory / "lock"


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise StoreError(
            f"{path} is damaged, cut short, or not the database its key belongs to ({error})."
            " Restore the directory from backup, database and events.key together."
        ) from error
    except apsw.Error as error:
        raise StoreError(
            f"{path} cannot be used: {error}. Check the disk, its space and the permissions."
        ) from error


def connect(path: Path, data_key: bytes, *, writable: bool) -> apsw.Connection:
    """Open an existing encrypted database. The key is given raw: without key derivation this takes < 1 ms."""
    flags = apsw.SQLITE_OPEN_READWRITE if writable else apsw.SQLITE_OPEN_READONLY
    with refusing(path):
        db = apsw.Connection(str(path), flags=flags)
        try:
            _unlock(db, data_key)
            _require_content(db, path)
            if writable:
                _require(db.pragma("journal_mode", "wal"), "wal", "journal_mode")
                db.pragma("synchronous", "full")
                _require(db.pragma("synchronous"), 2, "synchronous")
        except BaseException:
            db.close()
            raise
    return db


def _unlock(db: apsw.Connection, data_key: bytes) -> None:
    db.set_busy_timeout(BUSY_MS)
    _require(db.pragma("cipher", "chacha20"), "chacha20", "cipher")
    db.pragma("key", f"raw:{data_key.hex()}")
    db.pragma("temp_store", "memory")


def _require_content(db: apsw.Connection, path: Path) -> None:
    if not db.execute("SELECT count(*) FROM sqlite_schema").get:
        raise StoreError(f"{path} is empty, but a store was made here. Restore it from backup.")


def _require(found: object, needed: object, setting: str) -> None:
    if found != needed:
        raise StoreError(
            f"the store needs {setting} = {needed}, SQLite says {found}. Put the store on a local disk"
            " and install apsw-sqlite3mc, not plain apsw."
        )


def create(files: Files, keys: Keys, fill: Callable[[apsw.Connection], None] | None = None) -> None:
    """Make a store. The database appears whole under its name or not at all.

    It is empty unless `fill` puts something in, within the one transaction in which it is made.
    """
    if files.heads.exists():
        raise StoreError(
            f"{files.database} is missing, but {files.heads} shows that a log was kept here."
            " Restore it from backup, or choose another directory for a new log."
        )
    data_key = open_data_key(files.key, keys) if files.key.exists() else make_data_key(files.key, keys)
    draft = files.database.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with refusing(draft):
        db = apsw.Connection(str(draft))
        _unlock(db, data_key)
        db.execute("BEGIN")
        for statement in SCHEMA:
            db.execute(statement)
        first = {"schema": SCHEMA_VERSION, "log": secrets.token_hex(8), "signer": keys.fingerprint}
        for name, value in {**first, "epoch": 0, "closed": 0}.items():
            db.execute("INSERT INTO meta VALUES (?, ?)", (name, str(value)))
        if fill is not None:
            fill(db)
        db.execute("COMMIT")
        db.close()
    draft.chmod(0o600)
    draft.rename(files.database)
    sync_directory(files.directory)


class Meta:
    """The few values of a store that change. They are not hashed: nothing is believed on their word alone."""

    def __init__(self, db: apsw.Connection) -> None:
        self._values: dict[str, str] = dict(db.execute("SELECT name, value FROM meta"))

    @property
    def log(self) -> str:
        """The log's random name, 16 hex digits."""
        return self._text("log")

    @property
    def signer(self) -> str:
        """The fingerprint of the signing key."""
        return self._text("signer")

    @property
    def epoch(self) -> int:
        """The newest writer's number."""
        return self._number("epoch")

    @property
    def closed(self) -> bool:
        """Whether the newest writer closed the store cleanly."""
        return self._number("closed") == 1

    @property
    def schema(self) -> int:
        """The version of the tables."""
        return self._number("schema")

    def _text(self, name: str) -> str:
        if name not in self._values:
            raise StoreTampered(f"the store has lost its own '{name}'. {REMEDY}")
        return self._values[name]

    def _number(self, name: str) -> int:
        text = self._text(name)
        if not text.isascii() or not text.isdigit():
            raise StoreTampered(f"the store's '{name}' should be a number, found {text!r}. {REMEDY}")
        return int(text)


def set_meta(db: apsw.Connection, name: str, value: int | str) -> None:
    """Change one value, within the caller's transaction."""
    db.execute("UPDATE meta SET value = ? WHERE name = ?", (str(value), name))


def signed_heads(db: apsw.Connection) -> list[Head]:
    """Every head in the database, oldest first."""
    rows: Any = db.execute("SELECT log, seq, head, epoch, state, signature FROM heads ORDER BY number")
    return [Head(*row) for row in rows]


def add_heads(db: apsw.Connection, heads: Iterable[Head]) -> None:
    """Store signed heads, within the caller's transaction."""
    db.executemany(
        "INSERT INTO heads SELECT coalesce(max(number), 0) + 1, ?, ?, ?, ?, ?, ? FROM heads",
        [msgspec.structs.astuple(head) for head in heads],
    )


def add_operations(db: apsw.Connection, operations: Iterable[Operation]) -> None:
    """Store operations, within the caller's transaction."""
    db.executemany(
        "INSERT INTO ops SELECT coalesce(max(number), 0) + 1, ?, ?, ?, ? FROM ops",
        [(each.at_wall_ns, each.epoch, each.name, json.dumps(each.value)) for each in operations],
    )
