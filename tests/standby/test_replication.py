"""What a leader has committed is on the standby's disk, and a promoted copy is the same log."""

import shutil
import threading
from pathlib import Path

import pytest
from copying import Start, free_port, lead, record, records, until, wait_for_trouble

from firm.errors import StaleEpoch, StoreError, StoreLocked, WrongKey
from firm.standby import replicated
from firm.standby.promote import promote
from firm.standby.replicated import read_status
from firm.standby.server import StandbyServer
from firm.standby.wire import Claim, Hello, OutOfService
from firm.store.keys import Keys
from firm.store.sqlite import SqliteStore
from firm.store.verify import verify


def entries_of(directory: Path, keys: Keys) -> list:
    store = SqliteStore.read_only(directory, keys)
    try:
        return store.read()
    finally:
        store.close()


def test_a_promoted_copy_is_the_same_log_with_the_next_thousand_as_its_epoch(
    tmp_path: Path, keys: Keys, standby: Start
):
    copy = standby()
    store = lead(tmp_path / "run", keys, copy.port)
    store.operation("noted", {"pid": 7})
    for first in range(1, 100, 9):
        store.commit(records(first, first + 8))
    head = store.head
    store.close()

    proof = promote(copy.directory, tmp_path / "again", keys)

    assert (proof.entries, proof.head, proof.epoch, proof.closed_cleanly) == (99, head, 1000, True)
    assert entries_of(tmp_path / "again", keys) == records(1, 99)
    again = SqliteStore.read_only(tmp_path / "again", keys)
    assert [(each.name, each.value) for each in again.operations()] == [("noted", {"pid": 7})]
    again.close()
    assert verify(tmp_path / "again", keys, heads_every=16).log == verify(tmp_path / "run", keys).log


def test_every_commit_in_sync_mode_is_on_the_standbys_disk_when_it_returns(
    tmp_path: Path, keys: Keys, standby: Start
):
    copy = standby()
    store = lead(tmp_path / "run", keys, copy.port)
    for seq in range(1, 40):
        store.commit([record(seq)])
        assert b"".join(path.read_bytes() for path in copy.directory.glob("*.segment"))
        assert copy.server._replica.position().seq == seq
    store.close()


def test_the_copy_shows_no_entry_to_who_has_no_key(tmp_path: Path, keys: Keys, standby: Start):
    copy = standby()
    store = lead(tmp_path / "run", keys, copy.port)
    store.commit(records(1, 50))
    store.close()

    kept = b"".join(path.read_bytes() for path in copy.directory.iterdir())
    assert len(kept) > 50 * len("MES-SEP-SYMBOL")
    assert b"MES-SEP-SYMBOL" not in kept
    other = Keys.from_bytes(bytes(32), bytes(range(32, 64)))
    with pytest.raises(WrongKey, match="needs master key"):
        promote(copy.directory, tmp_path / "again", other)


def test_a_leader_that_is_opened_again_goes_on_where_the_copy_ends(
    tmp_path: Path, keys: Keys, standby: Start
):
    copy = standby()
    for session in range(3):
        store = lead(tmp_path / "run", keys, copy.port)
        assert store.epoch == session + 1
        store.commit(records(10 * session + 1, 10 * session + 10))
        store.close()

    assert [path.name for path in sorted(copy.directory.glob("*.segment"))] == [
        f"epoch-{epoch:08}.segment" for epoch in (1, 2, 3)
    ]
    assert promote(copy.directory, tmp_path / "again", keys).entries == 30


def test_a_standby_that_comes_later_is_given_the_whole_log(tmp_path: Path, keys: Keys, standby: Start):
    alone = SqliteStore.open(tmp_path / "run", keys, heads_every=16)
    alone.commit(records(1, 500))
    alone.close()
    copy = standby()
    store = lead(tmp_path / "run", keys, copy.port)
    store.commit(records(501, 510))
    store.close()

    assert promote(copy.directory, tmp_path / "again", keys).entries == 510


def test_sync_mode_waits_while_the_standby_is_away_and_goes_on_without_loss(
    tmp_path: Path, keys: Keys, standby: Start
):
    copy = standby()
    store = lead(tmp_path / "run", keys, copy.port)
    store.commit(records(1, 5))
    copy.server.close()
    committed = threading.Event()

    def commit() -> None:
        store.commit(records(6, 9))
        committed.set()

    waiting = threading.Thread(target=commit)
    waiting.start()
    trouble = wait_for_trouble(tmp_path / "run")
    assert "the standby cannot be reached" in trouble
    assert not committed.is_set()
    healed = standby(port=copy.port)
    waiting.join(timeout=20)

    assert committed.is_set()
    assert healed.server._replica.position().seq == 9
    status = read_status(tmp_path / "run")
    assert status is not None
    assert (status.trouble, status.acknowledged) == ("", 9)
    store.close()
    assert promote(copy.directory, tmp_path / "again", keys).entries == 9


def test_async_mode_goes_on_alone_reports_how_far_the_copy_is_and_catches_up(
    tmp_path: Path, keys: Keys, standby: Start
):
    copy = standby()
    store = lead(tmp_path / "run", keys, copy.port, mode="async")
    store.commit(records(1, 5))
    until(lambda: store._link.acknowledged == 5)
    copy.server.close()
    store.commit(records(6, 9))

    assert "cannot be reached" in wait_for_trouble(tmp_path / "run")
    status = read_status(tmp_path / "run")
    assert status is not None
    assert store.last_seq - status.acknowledged == 4
    standby(port=copy.port)
    until(lambda: (read_status(tmp_path / "run") or status).acknowledged == 9)
    store.close()
    assert promote(copy.directory, tmp_path / "again", keys).entries == 9


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_status_that_cannot_be_written_stops_neither_the_firm_nor_the_copy(
    tmp_path: Path, keys: Keys, standby: Start, mode: replicated.Mode, caplog: pytest.LogCaptureFixture
):
    copy = standby()
    (tmp_path / "run" / replicated.STATUS).mkdir(parents=True)
    store = lead(tmp_path / "run", keys, copy.port, mode=mode)
    for first in range(1, 20, 5):
        store.commit(records(first, first + 4))
    until(lambda: copy.server._replica.position().seq == 20)
    copy.server.close()
    if mode == "async":
        store.commit(records(21, 22))
        until(lambda: "standby.json cannot be written" in caplog.text)
        standby(port=copy.port)
        until(lambda: store._link.acknowledged == 22)
        assert store._refused is None
    store.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_follower_that_ends_for_any_other_reason_refuses_the_next_commit(
    tmp_path: Path, keys: Keys, standby: Start
):
    copy = standby()
    store = lead(tmp_path / "run", keys, copy.port, mode="async")
    store.commit(records(1, 2))
    until(lambda: store._link.acknowledged == 2)
    del store._link._files
    until(lambda: not store._follower.is_alive())

    with pytest.raises(StoreError, match="the thread that feeds the standby has ended"):
        store.commit(records(3, 4))
    assert "has ended" in (read_status(tmp_path / "run") or replicated.StandbyStatus("async", 0, "")).trouble
    store.close()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_leader_whose_standby_never_answers_does_not_open(
    tmp_path: Path, keys: Keys, mode: replicated.Mode, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(replicated, "OPEN_WITHIN_S", 0.1)
    with pytest.raises(StoreError, match="without its word this store may not lead"):
        lead(tmp_path / "run", keys, free_port(), mode=mode)
    SqliteStore.open(tmp_path / "run", keys).close()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_an_old_leader_cannot_commit_after_a_promotion_and_is_told_the_new_epoch(
    tmp_path: Path, keys: Keys, standby: Start, mode: replicated.Mode
):
    copy = standby()
    old = lead(tmp_path / "run", keys, copy.port, mode=mode)
    old.commit(records(1, 5))
    until(lambda: copy.server._replica.position().seq == 5)
    assert promote(copy.directory, tmp_path / "again", keys).epoch == 1000

    def go_on() -> None:
        for seq in range(6, 400):
            old.commit([record(seq)])
            until(lambda: mode == "sync" or old._refused is not None)

    with pytest.raises(StaleEpoch, match="epoch 1000 has taken over; this leader has epoch 1"):
        go_on()
    old.close()
    for _ in range(3):
        with pytest.raises(StaleEpoch, match="epoch 1000 has taken over"):
            lead(tmp_path / "run", keys, copy.port, mode=mode)
    new = SqliteStore.open(tmp_path / "again", keys)
    assert (new.epoch, new.last_seq) == (1001, 5)
    new.close()


def test_of_two_leaders_with_the_same_epoch_the_second_is_refused(tmp_path: Path, keys: Keys, standby: Start):
    copy = standby()
    store = lead(tmp_path / "run", keys, copy.port)
    store.commit(records(1, 5))
    store.close()
    promote(copy.directory, tmp_path / "a", keys)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    first = lead(tmp_path / "a", keys, copy.port)
    first.commit(records(6, 7))

    with pytest.raises(StaleEpoch, match="epoch 1001 is led by another process"):
        lead(tmp_path / "b", keys, copy.port)
    first.commit(records(8, 9))
    first.close()


def test_a_second_promotion_outdates_the_first_for_good(tmp_path: Path, keys: Keys, standby: Start):
    copy = standby()
    store = lead(tmp_path / "run", keys, copy.port)
    store.commit(records(1, 5))
    store.close()
    first = promote(copy.directory, tmp_path / "a", keys)
    second = promote(copy.directory, tmp_path / "b", keys)

    assert (first.head, first.epoch, second.epoch) == (second.head, 1000, 2000)
    with pytest.raises(StaleEpoch, match="epoch 2000 has taken over; this leader has epoch 1001"):
        lead(tmp_path / "a", keys, copy.port)
    lead(tmp_path / "b", keys, copy.port).close()


def test_a_store_that_was_set_back_is_not_led_on_from(tmp_path: Path, keys: Keys, standby: Start):
    copy = standby()
    store = lead(tmp_path / "run", keys, copy.port)
    store.commit(records(1, 5))
    store.close()
    backup = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    store = lead(tmp_path / "run", keys, copy.port)
    store.commit(records(6, 9))
    store.close()
    for path in (tmp_path / "run").iterdir():
        path.unlink()
    for name, content in backup.items():
        (tmp_path / "run" / name).write_bytes(content)
    SqliteStore.open(tmp_path / "run", keys).close()

    with pytest.raises(StoreError, match="ends at seq 9 and goes further than the log"):
        lead(tmp_path / "run", keys, copy.port)


def test_an_old_backup_that_is_refused_does_not_outdate_the_live_leader(
    tmp_path: Path, keys: Keys, standby: Start
):
    copy = standby()
    store = lead(tmp_path / "run", keys, copy.port)
    store.commit(records(1, 5))
    store.close()
    shutil.copytree(tmp_path / "run", tmp_path / "backup")
    live = lead(tmp_path / "run", keys, copy.port)
    live.commit(records(6, 9))
    SqliteStore.open(tmp_path / "backup", keys).close()
    kept = (copy.directory / "fence.json").read_bytes()
    for _ in range(3):
        with pytest.raises(StoreError, match="ends at seq 9 and goes further than the log"):
            lead(tmp_path / "backup", keys, copy.port)

    assert (copy.directory / "fence.json").read_bytes() == kept
    live.commit(records(10, 12))
    live.close()
    assert promote(copy.directory, tmp_path / "again", keys).entries == 12


def test_a_leader_that_agreed_to_an_end_which_was_written_over_has_to_look_again(
    tmp_path: Path, keys: Keys, standby: Start
):
    copy = standby()
    live = lead(tmp_path / "run", keys, copy.port)
    replica = copy.server._replica
    known, kept = replica.identity, (copy.directory / "fence.json").read_bytes()
    hello = Hello(Claim(known.log, 7, "f" * 16), known.public, known.key)
    agreed = replica.greet(hello)
    live.commit(records(1, 3))

    with pytest.raises(OutOfService, match="another leader has written meanwhile"):
        replica.welcome(hello, agreed)
    assert (copy.directory / "fence.json").read_bytes() == kept
    live.commit(records(4, 5))
    live.close()


def test_a_caller_without_the_token_gets_nothing(tmp_path: Path, keys: Keys, standby: Start):
    copy = standby()

    with pytest.raises(StoreError, match="does not know this end's token"):
        lead_once(tmp_path / "run", keys, copy.port, bytes(32))
    assert not (copy.directory / "fence.json").exists()


def test_each_log_needs_a_standby_directory_of_its_own(tmp_path: Path, keys: Keys, standby: Start):
    copy = standby()
    lead(tmp_path / "run", keys, copy.port).close()

    with pytest.raises(StoreError, match="Give each log a directory"):
        lead(tmp_path / "other", keys, copy.port)


def test_one_standby_serves_a_directory(standby: Start):
    copy = standby()

    with pytest.raises(StoreLocked):
        StandbyServer(("127.0.0.1", 0), copy.directory, bytes(32))


def lead_once(directory: Path, keys: Keys, port: int, token: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replicated, "OPEN_WITHIN_S", 0.1)
        lead(directory, keys, port, token=token)
