"""One writer, many readers, and writers that die at any moment."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from store_attack import record, records

from firm.errors import StaleEpoch, StoreError, StoreLocked, StoreTampered
from firm.store.heads import HeadsFile, first_of_next_term
from firm.store.keys import Keys
from firm.store.sqlite import SqliteStore
from firm.store.verify import verify

HERE = Path(__file__).parent


def child(directory: Path, what: str, seed: int = 0) -> "subprocess.Popen[str]":
    path = os.pathsep.join([str(HERE), str(HERE.parent.parent)])
    return subprocess.Popen(
        [sys.executable, str(HERE / "store_child.py"), str(directory), what, str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def test_reopening_goes_on_where_the_last_writer_stopped(tmp_path: Path, keys: Keys):
    with_heads = []
    for session in range(3):
        store = SqliteStore.open(tmp_path, keys)
        assert (store.epoch, store.last_seq) == (session + 1, 4 * session)
        store.commit(records(4 * session + 1, 4 * session + 4))
        with_heads.append(store.head)
        store.close()

    proof = verify(tmp_path, keys)
    assert (proof.entries, proof.epoch, proof.head) == (12, 3, with_heads[-1])


@pytest.mark.process
def test_a_second_writer_is_told_which_process_holds_the_store(tmp_path: Path, keys: Keys):
    with child(tmp_path, "hold") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "0\n"

        with pytest.raises(StoreLocked, match=f"process {holder.pid} holds it"):
            SqliteStore.open(tmp_path, keys)
        holder.kill()

    store = SqliteStore.open(tmp_path, keys)
    assert store.epoch == 2
    store.close()


def test_one_process_cannot_open_a_store_twice_either(tmp_path: Path, keys: Keys):
    store = SqliteStore.open(tmp_path, keys)

    with pytest.raises(StoreLocked, match=f"process {os.getpid()} holds it"):
        SqliteStore.open(tmp_path, keys)
    store.close()
    SqliteStore.open(tmp_path, keys).close()


def test_a_writer_that_lost_its_lock_is_refused_by_the_epoch(tmp_path: Path, keys: Keys):
    old = SqliteStore.open(tmp_path, keys)
    old.commit(records(1, 2))
    (tmp_path / "lock").unlink()
    new = SqliteStore.open(tmp_path, keys)

    with pytest.raises(StaleEpoch, match=r"epoch 2 has taken over .* this one has epoch 1"):
        old.commit([record(3)])
    with pytest.raises(StaleEpoch):
        old.sign_head()
    old.close()
    new.commit(records(3, 4))
    new.close()

    proof = verify(tmp_path, keys)
    assert (proof.entries, proof.epoch, proof.closed_cleanly) == (4, 2, True)


def test_only_a_promotion_steps_into_the_next_term(tmp_path: Path, keys: Keys):
    SqliteStore.open(tmp_path, keys, promoted_as=998).close()
    SqliteStore.open(tmp_path, keys).close()
    content = (tmp_path / "heads.log").read_bytes()
    for _ in range(3):
        with pytest.raises(
            StoreError, match=r"up to epoch 999, and the term is used up.*firm standby promote"
        ):
            SqliteStore.open(tmp_path, keys)

    assert (tmp_path / "heads.log").read_bytes() == content
    SqliteStore.open(tmp_path, keys, promoted_as=first_of_next_term(999)).close()
    store = SqliteStore.open(tmp_path, keys)
    assert store.epoch == 1001
    store.close()


def test_a_failing_transaction_leaves_nothing_behind_and_the_operations_wait(tmp_path: Path, keys: Keys):
    store = SqliteStore.open(tmp_path, keys)
    store.operation("noted", 1)
    with pytest.raises(OverflowError):
        store.commit([record(1), record(2)._replace(cause=2**63)])

    assert (store.last_seq, store.read(), store.operations()) == (0, [], [])
    store.commit(records(1, 2))
    assert [each.name for each in store.operations()] == ["noted"]
    store.close()
    assert verify(tmp_path, keys).entries == 2


def test_a_reader_sees_commits_of_a_writer_at_work(tmp_path: Path, keys: Keys):
    store = SqliteStore.open(tmp_path, keys)
    reader = SqliteStore.read_only(tmp_path, keys)
    assert (reader.last_seq, reader.epoch) == (0, 1)

    head = store.commit(records(1, 5))

    assert (reader.last_seq, reader.head, reader.read(since=3)) == (5, head, records(4, 5))
    store.close()
    assert reader.read() == records(1, 5)
    reader.close()


@pytest.mark.process
def test_readers_and_verify_work_while_another_process_writes(tmp_path: Path, keys: Keys):
    with child(tmp_path, "commit", seed=5) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        reader = SqliteStore.read_only(tmp_path, keys)
        seen = []
        for _ in range(20):
            told = int(writer.stdout.readline())
            proof = verify(tmp_path, keys, heads_every=16)
            seen.append(proof.entries)
            assert proof.entries >= told
            assert reader.read(since=told - 1, limit=1) == [record(told)]
        writer.kill()
    reader.close()

    assert seen == sorted(seen)


@pytest.mark.process
@pytest.mark.parametrize("seed", range(6))
def test_every_acknowledged_commit_survives_a_kill_at_any_moment(tmp_path: Path, keys: Keys, seed: int):
    chance = random.Random(seed)
    acknowledged = 0
    for epoch in range(1, 4):
        with child(tmp_path, "commit", seed=chance.randrange(1000)) as writer:
            assert writer.stdout is not None
            for _ in range(chance.randrange(1, 60)):
                acknowledged = int(writer.stdout.readline())
            writer.kill()
            acknowledged = max([acknowledged, *map(int, writer.stdout.read().split("\n")[:-1])])
        proof = verify(tmp_path, keys, heads_every=16)
        assert (proof.epoch, proof.closed_cleanly) == (epoch, False)
        assert proof.entries >= acknowledged

    store = SqliteStore.open(tmp_path, keys, heads_every=16)
    assert store.read() == records(1, store.last_seq)
    assert store.last_seq >= acknowledged
    store.close()
    assert verify(tmp_path, keys, heads_every=16).closed_cleanly


@pytest.mark.process
def test_a_deleted_write_ahead_log_after_a_crash_is_noticed(tmp_path: Path, keys: Keys):
    with child(tmp_path, "commit") as writer:
        assert writer.stdout is not None
        while int(writer.stdout.readline()) < 100:
            pass
        writer.kill()
    (tmp_path / "events.db-wal").unlink()

    with pytest.raises(StoreError):
        verify(tmp_path, keys, heads_every=16)


def test_the_next_writer_completes_what_a_crash_cut_off_in_heads_log(tmp_path: Path, keys: Keys):
    store = SqliteStore.open(tmp_path / "log", keys)
    store.commit(records(1, 3))
    store.close()
    path = tmp_path / "log" / "heads.log"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])

    assert verify(tmp_path / "log", keys).entries == 3
    SqliteStore.open(tmp_path / "log", keys).close()
    assert path.read_bytes().startswith(whole)
    assert verify(tmp_path / "log", keys).heads_checked == 4


def test_a_sink_that_comes_later_gets_everything(tmp_path: Path, keys: Keys):
    store = SqliteStore.open(tmp_path / "log", keys)
    store.commit(records(1, 3))
    store.close()
    with pytest.raises(StoreTampered, match="sink lacks 2 of 2"):
        verify(tmp_path / "log", keys, sink=tmp_path / "sink")

    SqliteStore.open(tmp_path / "log", keys, sink=tmp_path / "sink").close()

    assert verify(tmp_path / "log", keys, sink=tmp_path / "sink").heads_checked == 4


def test_several_logs_may_share_a_sink(tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FIRM_HEADS_SINK", str(tmp_path / "sink"))
    logs = []
    for name in ("a", "b"):
        store = SqliteStore.open(tmp_path / name, keys)
        store.commit(records(1, 3))
        store.close()
        logs.append(verify(tmp_path / name, keys).log)

    assert [[head.state for head in HeadsFile(tmp_path / "sink").read(log)] for log in logs] == [
        ["opened", "closed"]
    ] * 2


def test_a_store_whose_sink_cannot_be_written_stops(tmp_path: Path, keys: Keys):
    sink = tmp_path / "sink"
    store = SqliteStore.open(tmp_path / "log", keys, heads_every=4, sink=sink)
    sink.unlink()
    sink.mkdir()

    with pytest.raises(StoreError, match="signed heads could not be written"):
        store.commit(records(1, 4))
    with pytest.raises(StoreError, match="stopped after a failed write"):
        store.commit(records(5, 6))
    store.close()
    sink.rmdir()

    again = SqliteStore.open(tmp_path / "log", keys, heads_every=4, sink=sink)
    assert again.read() == records(1, 4)
    again.close()
    assert verify(tmp_path / "log", keys, heads_every=4, sink=sink).closed_cleanly


def test_an_interrupted_first_start_can_be_repeated(tmp_path: Path, keys: Keys):
    SqliteStore.open(tmp_path / "done", keys).close()
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "events.key").write_bytes((tmp_path / "done" / "events.key").read_bytes())
    (tmp_path / "log" / "events.draft").write_bytes(b"half a database")

    store = SqliteStore.open(tmp_path / "log", keys)
    store.commit(records(1, 1))
    store.close()

    assert verify(tmp_path / "log", keys).entries == 1


def test_a_head_signed_by_hand_counts(tmp_path: Path, keys: Keys):
    store = SqliteStore.open(tmp_path, keys)
    store.commit(records(1, 3))
    signed = store.sign_head()

    assert (signed.seq, signed.head, signed.epoch, signed.state) == (3, store.head.hex(), 1, "running")
    assert verify(tmp_path, keys).unsigned == 0
    store.commit(records(4, 5))
    assert verify(tmp_path, keys).unsigned == 2
    store.close()
