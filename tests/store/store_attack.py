"""Records to store, and someone who holds the store key and may write every file, but cannot sign."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
from hypothesis import strategies as st

from firm.bus.chain import GENESIS, link
from firm.events.record import Record
from firm.store.database import SCHEMA, Files, connect
from firm.store.keys import Keys, open_data_key

SYMBOL = b"MES-SEP-SYMBOL"


def record(seq: int, payload: bytes = SYMBOL, kind: int = 7) -> Record:
    """An entry that is different for each seq."""
    return Record(
        seq, 1_000_000_000 * seq, seq % 2, "risk_officer", seq - 1, seq % 3, kind, payload + b"%d" % seq
    )


def records(first: int, last: int) -> list[Record]:
    """Entries `first` to `last`."""
    return [record(seq) for seq in range(first, last + 1)]


_INT64 = st.integers(-(2**63), 2**63 - 1)
_BODIES = st.tuples(
    _INT64, st.sampled_from([0, 1]), st.text(), _INT64, _INT64, _INT64, st.binary(max_size=9000)
)


def batches() -> st.SearchStrategy[list[list[Record]]]:
    """Any batches of any records that continue each other."""
    return st.lists(st.lists(_BODIES, max_size=5), max_size=4).map(_numbered)


def _numbered(batches: list[list[tuple[int, int, str, int, int, int, bytes]]]) -> list[list[Record]]:
    seqs = iter(range(1, 100))
    return [[Record(next(seqs), *body) for body in batch] for batch in batches]


class Attacker:
    """Changes a store as well as can be done without the signing key."""

    def __init__(self, directory: Path, keys: Keys) -> None:
        self.files = Files(directory)
        self._data_key = open_data_key(self.files.key, keys.for_verifying())

    @contextmanager
    def unprotected(self) -> Iterator[apsw.Connection]:
        """The database without triggers, which come back at the end so that nobody misses them."""
        db = connect(self.files.database, self._data_key, writable=True)
        triggers = [sql for sql in SCHEMA if sql.startswith("CREATE TRIGGER")]
        for sql in triggers:
            db.execute(f"DROP TRIGGER {sql.split()[2]}")
        yield db
        for sql in triggers:
            db.execute(sql)
        db.close()

    def rewrite(self, change: Callable[[list[Record]], list[Record]]) -> None:
        """Replace the rows by others and recompute the whole chain over them."""
        with self.unprotected() as db:
            rows = db.execute(
                'SELECT seq, at, origin, author, cause, "index", kind, payload FROM entries ORDER BY seq'
            ).fetchall()
            changed = change([Record(*row) for row in rows])
            db.execute("DELETE FROM entries")
            head = GENESIS
            for each in changed:
                head = link(head, each)
                db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*each, head))

    def cut(
        self, last_seq: int, *, heads: bool = False, log: bool = False, pretend_crash: bool = False
    ) -> None:
        """Forget everything after `last_seq`: rows, as asked signed heads too, here and in heads.log."""
        with self.unprotected() as db:
            db.execute("DELETE FROM entries WHERE seq > ?", (last_seq,))
            if heads:
                db.execute("DELETE FROM heads WHERE seq > ? OR state = 'closed'", (last_seq,))
            left = db.execute("SELECT count(*) FROM heads").get
            if pretend_crash:
                db.execute("UPDATE meta SET value = '0' WHERE name = 'closed'")
        if log:
            lines = self.files.heads.read_text().splitlines(keepends=True)
            self.files.heads.write_text("".join(lines[:left]))
