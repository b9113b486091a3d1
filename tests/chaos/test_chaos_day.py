"""The look at the log after each fault, on a log that is doctored; and the pressures that need no firm."""

import subprocess
import sys
from pathlib import Path

import pytest

from firm.chaos.day import Day
from firm.chaos.pressure import CLOCK_FILE, Hog, fill_volume, jump_clock, memory_mb, set_up
from firm.chaos.running import until
from firm.errors import FirmError, StoreTampered
from firm.events import Origin, Record
from firm.store.keys import Keys
from firm.store.reading import SqliteReader
from firm.store.sqlite import SqliteStore


class Log:
    """What `Day` asks of a running firm, on a store without one."""

    def __init__(self, reader: SqliteReader) -> None:
        self.log = reader


def entries(first: int, last: int) -> list[Record]:
    return [Record(seq, seq, Origin.INPUT, "bus", 0, 0, 1, b"x") for seq in range(first, last + 1)]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqliteStore:
    monkeypatch.setenv("FIRM_KEY_DIR", str(tmp_path / "keys"))
    made = SqliteStore.open(tmp_path / "run", Keys.load())
    made.commit(entries(1, 10))
    return made


@pytest.fixture
def day(store: SqliteStore, tmp_path: Path) -> Day:
    del store
    made = Day(tmp_path)
    made._firm = Log(SqliteStore.read_only(tmp_path / "run", Keys.load(create=False)))  # type: ignore[assignment]
    return made


def test_a_log_that_only_grew_has_lost_nothing(store: SqliteStore, day: Day):
    seq, head = day.newest()
    store.commit(entries(11, 30))

    assert (seq, day.lost_entries(seq, head)) == (10, 0)
    assert day.checked_seq == 30
    seq, head = day.newest()
    assert day.lost_entries(seq, head) == 0


def test_entries_that_are_gone_are_counted(day: Day):
    assert day.lost_entries(14, b"a head that was seen") == 4


def test_entries_that_were_replaced_are_counted(store: SqliteStore, day: Day):
    store.commit(entries(11, 30))

    assert day.lost_entries(25, b"another head") == 25


def test_a_chain_that_does_not_follow_from_what_was_seen_is_refused(store: SqliteStore, day: Day):
    day.checked_head = b"\1" * 32

    with pytest.raises(StoreTampered, match="entries that were there have changed"):
        day.lost_entries(*day.newest())
    assert store.last_seq == 10


def test_a_disk_that_is_not_a_small_volume_of_ours_is_not_filled(tmp_path: Path):
    with pytest.raises(FirmError, match="a volume of 512 MB was needed at"):
        fill_volume(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_volume_of_ours_is_filled_to_the_last_byte(tmp_path: Path):
    try:
        with set_up("volume", tmp_path / "small"):
            ballast = fill_volume(tmp_path / "small")
            with pytest.raises(OSError, match="No space left on device"):
                (tmp_path / "small" / "more").write_bytes(b"x" * 8192)
            ballast.unlink()
            (tmp_path / "small" / "more").write_bytes(b"x" * 8192)
    except FirmError as missing:
        pytest.skip(str(missing))


def test_a_clock_jumps_by_what_is_asked_and_the_processes_see_it(tmp_path: Path):
    try:
        with set_up("clock", tmp_path) as environ:
            code = "import time; print(int(time.time()), int(time.monotonic()))"
            ask = lambda: [  # noqa: E731
                int(word)
                for word in subprocess.run(
                    [sys.executable, "-c", code],
                    env=dict(environ),
                    capture_output=True,
                    check=True,
                    text=True,
                ).stdout.split()
            ]
            before = ask()
            assert jump_clock(tmp_path, 3600) == 3600
            assert jump_clock(tmp_path, 3600) == 7200
            assert (tmp_path / CLOCK_FILE).read_text() == "+7200\n"
            after = ask()
    except FirmError as missing:
        pytest.skip(str(missing))
    assert 7200 <= after[0] - before[0] < 7260
    assert 0 <= after[1] - before[1] < 60


def test_more_memory_than_is_there_is_not_taken():
    with pytest.raises(FirmError, match="memory pressure needs to take"):
        Hog(0.99)


def test_a_hog_takes_what_is_asked_and_gives_it_back():
    used, total = memory_mb()
    hog = Hog(max(0.0, (used - 300) / total))
    try:
        until(lambda: hog.holds, "it holds its memory", 60)
    finally:
        hog.end()
    assert not hog.holds
