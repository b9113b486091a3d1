"""A standby in a process of its own that hangs, has no room, or is spoken to by strangers."""

import os
import resource
import signal
import socket
import threading
from pathlib import Path

import pytest
from copying import lead, records, standby_process, until, wait_for_trouble

from firm.standby.promote import promote
from firm.standby.replica import Replica
from firm.standby.replicated import ReplicatedStore, read_status
from firm.standby.wire import FIRST_BYTES_MAX, NONCE_BYTES, Claim, Hello, OutOfService
from firm.store.keys import Keys

pytestmark = pytest.mark.process


class Committing:
    """A commit on a thread of its own."""

    def __init__(self, store: ReplicatedStore, first: int, last: int) -> None:
        self.returned = threading.Event()
        self._store, self._records = store, records(first, last)
        threading.Thread(target=self._commit, daemon=True).start()

    def _commit(self) -> None:
        self._store.commit(self._records)
        self.returned.set()


def test_nothing_counts_as_committed_while_the_standby_hangs_and_all_of_it_once_it_wakes(
    tmp_path: Path, keys: Keys
):
    with standby_process(tmp_path / "copy") as standby:
        store = lead(tmp_path / "run", keys, standby.port, timeout_s=0.3)
        for round_ in range(5):
            first = 1 + 9 * round_
            store.commit(records(first, first + 4))
            standby.signal(signal.SIGSTOP)
            try:
                commit = Committing(store, first + 5, first + 8)
                trouble = wait_for_trouble(tmp_path / "run")
                status = read_status(tmp_path / "run")
                assert not commit.returned.is_set()
            finally:
                standby.signal(signal.SIGCONT)
            assert commit.returned.wait(20)
            assert trouble == "the standby cannot be reached (timed out)"
            assert status is not None
            assert status.acknowledged == first + 4
        store.close()
    assert promote(tmp_path / "copy", tmp_path / "again", keys).entries == 45


def test_a_standby_without_room_is_waited_for_says_so_and_keeps_no_half_of_it(tmp_path: Path, keys: Keys):
    with standby_process(tmp_path / "copy") as standby:
        store = lead(tmp_path / "run", keys, standby.port)
        store.commit(records(1, 5))
        (segment,) = standby.directory.glob("*.segment")
        size = segment.stat().st_size
        was = resource.prlimit(standby.pid, resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
        commit = Committing(store, 6, 9)
        trouble = wait_for_trouble(tmp_path / "run")

        assert (
            "the standby's disk does not take the log ([Errno 27] File too large): free or repair" in trouble
        )
        assert not commit.returned.is_set()
        until(lambda: segment.stat().st_size == size)
        resource.prlimit(standby.pid, resource.RLIMIT_FSIZE, was)
        assert commit.returned.wait(20)
        store.close()
    assert promote(tmp_path / "copy", tmp_path / "again", keys).entries == 9


def test_async_mode_loses_with_its_disk_no_more_than_it_had_reported_as_lag(tmp_path: Path, keys: Keys):
    with standby_process(tmp_path / "copy") as standby:
        store = lead(tmp_path / "run", keys, standby.port, mode="async", timeout_s=0.3)
        store.commit(records(1, 5))
        until(lambda: acknowledged(tmp_path / "run") == 5)
        standby.signal(signal.SIGSTOP)
        store.commit(records(6, 9))
        wait_for_trouble(tmp_path / "run")
        status = read_status(tmp_path / "run")
    assert status is not None
    assert status.lag(store.last_seq) == 4
    assert promote(tmp_path / "copy", tmp_path / "again", keys).entries == 9 - 4
    store.close()


def acknowledged(run_dir: Path) -> int:
    """How far the copy is, as operators are told."""
    status = read_status(run_dir)
    return 0 if status is None else status.acknowledged


def test_what_a_leader_said_before_it_called_again_is_not_taken(tmp_path: Path, keys: Keys):
    """The standby hung, the leader has called again, and the old call's frame is still to be read."""
    with standby_process(tmp_path / "copy") as standby:
        lead(tmp_path / "run", keys, standby.port).close()
    replica = Replica(tmp_path / "copy")
    known, (*_, last) = replica.identity, replica.frames()
    claim = Claim(known.log, 7, "f" * 16)
    first, second = (Hello(claim, known.public, known.key) for _ in range(2))
    at = replica.greet(first)
    replica.welcome(first, at)
    replica.welcome(second, at)

    with pytest.raises(OutOfService, match="has called again"):
        replica.append(first, last)
    assert replica.position() == at


def test_a_stranger_is_given_no_room(tmp_path: Path):
    with standby_process(tmp_path / "copy") as standby:
        with socket.create_connection(("127.0.0.1", standby.port), timeout=20) as stranger:
            stranger.sendall(os.urandom(NONCE_BYTES) + (FIRST_BYTES_MAX + 1).to_bytes(4, "big") + bytes(32))
            said = b"".join(iter(lambda: stranger.recv(4096), b""))
        assert b"does not know this end's token" in said
    assert not (tmp_path / "copy" / "fence.json").exists()
