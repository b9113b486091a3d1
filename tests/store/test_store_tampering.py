"""Who holds the store key and every file, but not the signing key, is found out; where not, we say so."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from store_attack import Attacker, record, records

from firm.errors import StoreError, StoreTampered, WrongKey
from firm.store.database import connect
from firm.store.keys import Keys, open_data_key
from firm.store.sqlite import SqliteStore
from firm.store.verify import verify

Refused = Callable[..., None]

EVERY = 10
"""Signed heads at seq 0, 12, 24, 36 (batches of 4) and 38 (close)."""


@pytest.fixture
def directory(tmp_path: Path, keys: Keys) -> Path:
    store = SqliteStore.open(tmp_path / "log", keys, heads_every=EVERY, sink=tmp_path / "sink")
    for first in range(1, 37, 4):
        store.commit(records(first, first + 3))
    store.commit(records(37, 38))
    store.close()
    return tmp_path / "log"


@pytest.fixture
def attacker(directory: Path, keys: Keys) -> Attacker:
    return Attacker(directory, keys)


@pytest.fixture
def refused(directory: Path, keys: Keys) -> Refused:
    def check(match: str, sink: Path | None = None) -> None:
        with pytest.raises(StoreTampered, match=match):
            verify(directory, keys.for_verifying(), heads_every=EVERY, sink=sink)

    return check


def test_an_untouched_store_verifies_with_the_public_key_alone(directory: Path, keys: Keys, tmp_path: Path):
    proof = verify(directory, keys.for_verifying(), heads_every=EVERY, sink=tmp_path / "sink")

    assert (proof.entries, proof.epoch, proof.last_signed_seq, proof.unsigned) == (38, 1, 38, 0)
    assert proof.heads_checked == 5
    assert proof.closed_cleanly


def test_opening_it_without_a_change_leaves_no_trace_of_an_attack(
    directory: Path, keys: Keys, attacker: Attacker
):
    with attacker.unprotected():
        pass

    assert verify(directory, keys, heads_every=EVERY).entries == 38


def test_an_edited_row_is_named(attacker: Attacker, refused: Refused):
    with attacker.unprotected() as db:
        db.execute("UPDATE entries SET payload = ? WHERE seq = 17", (b"sold",))

    refused("from seq 17 on")


@pytest.mark.parametrize("column", ["at", "origin", "author", "cause", '"index"', "kind", "hash"])
def test_every_column_is_sealed(attacker: Attacker, refused: Refused, column: str):
    value = {"author": "'somebody'", "hash": "randomblob(32)"}.get(column, f"{column} + 1")
    with attacker.unprotected() as db:
        db.execute(f"UPDATE entries SET {column} = {value} WHERE seq = 30")

    refused("from seq 30 on")


def test_an_edited_row_with_the_whole_chain_recomputed_is_refused_at_the_next_signed_head(
    attacker: Attacker, refused: Refused
):
    attacker.rewrite(lambda rows: [r._replace(payload=b"sold") if r.seq == 17 else r for r in rows])

    refused("from seq 13 on: the rows up to 24")


def test_swapped_rows_are_refused(attacker: Attacker, refused: Refused):
    with attacker.unprotected() as db:
        db.execute("UPDATE entries SET seq = -1 WHERE seq = 5")
        db.execute("UPDATE entries SET seq = 5 WHERE seq = 6")
        db.execute("UPDATE entries SET seq = 6 WHERE seq = -1")

    refused("from seq 5 on")


def test_swapped_rows_with_the_chain_recomputed_are_refused(attacker: Attacker, refused: Refused):
    attacker.rewrite(
        lambda rows: [r._replace(seq=n) for n, r in enumerate([*rows[:4], rows[5], rows[4], *rows[6:]], 1)]
    )

    refused("from seq 1 on: the rows up to 12")


def test_an_inserted_row_is_refused(attacker: Attacker, refused: Refused):
    attacker.rewrite(
        lambda rows: [r._replace(seq=n) for n, r in enumerate([*rows[:29], record(99), *rows[29:]], 1)]
    )

    refused("from seq 25 on: the rows up to 36")


def test_a_removed_row_is_refused(attacker: Attacker, refused: Refused):
    with attacker.unprotected() as db:
        db.execute("DELETE FROM entries WHERE seq = 20")

    refused("from seq 20 on: entry 20 is missing")


def test_the_first_rows_cannot_be_removed(attacker: Attacker, refused: Refused):
    with attacker.unprotected() as db:
        db.execute("DELETE FROM entries WHERE seq <= 12")

    refused("from seq 1 on: entry 1 is missing")


def test_a_row_added_after_the_close_is_refused(attacker: Attacker, refused: Refused):
    attacker.rewrite(lambda rows: [*rows, record(39)])

    refused("from seq 39 on: the last head is signed 'closed' at seq 38")


def test_a_forged_later_session_is_refused(attacker: Attacker, refused: Refused):
    attacker.rewrite(lambda rows: [*rows, record(39)])
    with attacker.unprotected() as db:
        db.execute("UPDATE meta SET value = '2' WHERE name = 'epoch'")
        db.execute("UPDATE meta SET value = '0' WHERE name = 'closed'")

    refused("from seq 39 on: the store is at epoch 2")


def test_a_cut_tail_is_refused(attacker: Attacker, refused: Refused):
    attacker.cut(24)

    refused("from seq 25 on: a head was signed at seq 36, but the rows end at 24")


def test_a_cut_tail_and_cut_heads_are_refused_by_heads_log(attacker: Attacker, refused: Refused):
    attacker.cut(24, heads=True)

    refused("from seq 25 on: .*heads.log holds a head signed at seq 36")


def test_a_cut_tail_with_heads_log_cut_too_is_refused_because_the_store_was_closed(
    attacker: Attacker, refused: Refused
):
    attacker.cut(24, heads=True, log=True)

    refused("from seq 25 on: the last head is signed 'running'")


def test_a_cut_of_everything_looks_like_a_crash_and_only_the_sink_shows_it(
    directory: Path, keys: Keys, attacker: Attacker, refused: Refused, tmp_path: Path
):
    attacker.cut(24, heads=True, log=True, pretend_crash=True)

    proof = verify(directory, keys, heads_every=EVERY)
    assert (proof.entries, proof.closed_cleanly) == (24, False)
    refused("from seq 25 on: .*sink holds a head signed at seq 36", tmp_path / "sink")


def test_a_store_set_back_to_an_earlier_close_is_genuine_and_only_the_sink_shows_it(
    tmp_path: Path, keys: Keys, directory: Path, refused: Refused
):
    earlier = {path: path.read_bytes() for path in directory.iterdir() if path.name != "lock"}
    store = SqliteStore.open(directory, keys, heads_every=EVERY, sink=tmp_path / "sink")
    store.commit(records(39, 40))
    store.close()
    for path, content in earlier.items():
        path.write_bytes(content)

    assert verify(directory, keys, heads_every=EVERY).closed_cleanly
    refused("from seq 39 on: .*sink holds a head signed at seq 38", tmp_path / "sink")
    with pytest.raises(StoreTampered, match="sink holds a head"):
        SqliteStore.open(directory, keys, heads_every=EVERY, sink=tmp_path / "sink")


def test_entries_that_should_have_been_signed_long_ago_are_refused(attacker: Attacker, refused: Refused):
    attacker.cut(38, heads=True)
    with attacker.unprotected() as db:
        db.execute("DELETE FROM heads WHERE seq > 24")
        db.execute("UPDATE meta SET value = '0' WHERE name = 'closed'")
    lines = attacker.files.heads.read_text().splitlines(keepends=True)
    attacker.files.heads.write_text("".join(lines[:3]))

    refused("from seq 25 on: 14 entries have no signed head, at most 9")


def test_the_head_of_another_log_with_the_same_key_is_refused(
    attacker: Attacker, keys: Keys, refused: Refused, tmp_path: Path
):
    other = SqliteStore.open(tmp_path / "other", keys)
    foreign = other.sign_head()
    other.close()
    with attacker.unprotected() as db:
        db.execute(
            "UPDATE heads SET signature = ?, head = ? WHERE number = 1", (foreign.signature, foreign.head)
        )
    lines = attacker.files.heads.read_text().splitlines()
    lines[0] = json.dumps(json.loads(lines[0]) | {"signature": foreign.signature, "head": foreign.head})
    attacker.files.heads.write_text("\n".join(lines) + "\n")

    refused("the head signed at seq 0 was not signed by key")


@pytest.mark.parametrize("field", ["seq", "head", "epoch", "state", "log", "signature"])
def test_an_edited_line_of_heads_log_is_refused(attacker: Attacker, refused: Refused, field: str):
    other = {"seq": 23, "head": "00" * 32, "epoch": 9, "state": "closed", "log": "ff", "signature": "00" * 64}
    lines = attacker.files.heads.read_text().splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | {field: other[field]})
    attacker.files.heads.write_text("\n".join(lines) + "\n")

    refused("from seq 2[34] on: .*heads.log")


def test_a_line_of_heads_log_that_is_no_head_is_refused(attacker: Attacker, refused: Refused):
    attacker.files.heads.write_text("nothing\n" + attacker.files.heads.read_text())

    refused("line 1 of .*heads.log is not a signed head")


def test_a_deleted_heads_log_is_refused_by_verify_and_by_the_next_writer(
    attacker: Attacker, refused: Refused, directory: Path, keys: Keys
):
    attacker.files.heads.unlink()

    refused("from seq 1 on: .*heads.log lacks 5 of 5")
    with pytest.raises(StoreTampered, match=r"heads.log has lost 5 signed heads"):
        SqliteStore.open(directory, keys)


def test_a_deleted_sink_is_refused_when_asked_for(refused: Refused, tmp_path: Path):
    (tmp_path / "sink").unlink()

    refused("from seq 1 on: .*sink lacks 5 of 5", tmp_path / "sink")


def test_all_heads_deleted_everywhere_is_refused(
    attacker: Attacker, refused: Refused, directory: Path, keys: Keys
):
    with attacker.unprotected() as db:
        db.execute("DELETE FROM heads")
    attacker.files.heads.unlink()

    refused("not one signed head is left")
    with pytest.raises(StoreTampered, match="every signed head has gone"):
        SqliteStore.open(directory, keys)


def test_a_lost_trigger_is_refused(attacker: Attacker, refused: Refused, directory: Path, keys: Keys):
    db = connect(attacker.files.database, open_data_key(attacker.files.key, keys), writable=True)
    db.execute("DROP TRIGGER entries_no_update")
    db.close()

    refused("lost or changed 'CREATE TRIGGER entries_no_update")
    with pytest.raises(StoreTampered, match="entries_no_update"):
        SqliteStore.open(directory, keys)


def test_a_trigger_that_hides_something_is_refused(attacker: Attacker, refused: Refused):
    with attacker.unprotected() as db:
        db.execute("CREATE TRIGGER quiet AFTER INSERT ON entries BEGIN DELETE FROM ops; END")

    refused("not made with: 'CREATE TRIGGER quiet")


def test_a_store_remade_with_another_signing_key_is_refused(tmp_path: Path, keys: Keys):
    own = Keys.from_bytes(keys.master, secrets.token_bytes(32))
    forged = SqliteStore.open(tmp_path / "forged", own)
    forged.commit(records(1, 38))
    forged.close()

    with pytest.raises(WrongKey, match="somebody has remade this store"):
        verify(tmp_path / "forged", keys)


def test_a_remade_store_that_claims_the_right_key_is_refused(tmp_path: Path, keys: Keys):
    own = Keys.from_bytes(keys.master, secrets.token_bytes(32))
    SqliteStore.open(tmp_path / "forged", own).close()
    with Attacker(tmp_path / "forged", keys).unprotected() as db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'signer'", (keys.fingerprint,))

    with pytest.raises(StoreTampered, match="was not signed by key"):
        verify(tmp_path / "forged", keys)


def test_opening_for_writing_notices_a_changed_tail(attacker: Attacker, directory: Path, keys: Keys):
    attacker.rewrite(lambda rows: [r._replace(payload=b"sold") if r.seq == 38 else r for r in rows])

    with pytest.raises(StoreTampered, match="from seq 38 on"):
        SqliteStore.open(directory, keys)


def test_reading_over_a_gap_is_an_error(attacker: Attacker, directory: Path, keys: Keys):
    with attacker.unprotected() as db:
        db.execute("DELETE FROM entries WHERE seq = 20")
    reader = SqliteStore.read_only(directory, keys)

    with pytest.raises(StoreError, match="needs 38 entries from 1 to 38, found 37"):
        reader.read()
    with pytest.raises(StoreError, match="found 37"):
        reader.read(kinds={1})
    assert reader.read(since=20) == records(21, 38)
    reader.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET kind = 1",
        "DELETE FROM entries",
        "INSERT OR REPLACE INTO entries VALUES (3, 0, 0, '', 0, 0, 0, x'', x'')",
        "INSERT INTO entries VALUES (50, 0, 0, '', 0, 0, 0, x'', x'')",
        "DELETE FROM heads",
        "UPDATE ops SET name = ''",
    ],
)
def test_the_database_itself_refuses_changes(attacker: Attacker, directory: Path, keys: Keys, statement: str):
    store = SqliteStore.open(directory, keys, heads_every=EVERY)
    store.operation("one", 1)
    store.close()
    db = connect(attacker.files.database, open_data_key(attacker.files.key, keys), writable=True)
    with pytest.raises(apsw.ConstraintError, match="append-only"):
        db.execute(statement)
    db.close()
