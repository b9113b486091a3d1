"""How fast the event store makes entries durable, beside two peers measured in the same run.

`python benchmarks/event_store.py [--rounds 5] [--json FILE] [--directory DIR]`, with the package installed.
The peers: the standard library's sqlite3 with the same durability (WAL, synchronous=FULL) but without
encryption, hash chain, signatures and triggers; and a plain file that is appended to and fsynced, the floor
for anything durable. Beside it the same store with a standby (`firm standby`, its own process on loopback,
whose copy is on the same disk: two disks and a network apart the two waits are not shared, so read the
difference, not the sum). Every figure is the median of several runs; the candidates take turns.
"""

import argparse
import json
import os
import platform
import secrets
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from firm.events.record import Record
from firm.standby.link import Leader, Link
from firm.standby.replicated import STATUS, Mode, ReplicatedStore
from firm.standby.wire import Claim
from firm.store.keys import Keys
from firm.store.sqlite import SqliteStore
from firm.store.verify import verify

BATCHES = {1: 400, 10: 300, 100: 100, 1000: 30}
"""Batch size -> commits in one run."""

ROUNDS = 5
PAYLOAD = b"x" * 120
"""About the size of an order event."""

Commit = Callable[[list[Record]], object]


@contextmanager
def event_store(directory: Path) -> Iterator[Commit]:
    store = SqliteStore.open(directory, Keys.from_bytes(secrets.token_bytes(32), secrets.token_bytes(32)))
    yield store.commit
    store.close()


@contextmanager
def _standby(directory: Path, token: bytes) -> Iterator[int]:
    command = [sys.executable, "-m", "firm.cli", "standby", "serve", str(directory), "--listen"]
    with subprocess.Popen(
        [*command, "127.0.0.1:0"],
        env=os.environ | {"FIRM_STANDBY_TOKEN": token.hex()},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a line for every leader that calls
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline().split(b" port ")[1].split(b",")[0])
        process.terminate()


@contextmanager
def _replicated(directory: Path, mode: Mode) -> Iterator[Commit]:
    keys = Keys.from_bytes(secrets.token_bytes(32), secrets.token_bytes(32))
    token = secrets.token_bytes(32)
    with _standby(directory / "copy", token) as port:
        run = directory / "run"
        plain = SqliteStore.open(run, keys)
        claim = Claim(plain.log, plain.epoch, secrets.token_hex(8))
        link = Link(run, keys, claim, Leader(("127.0.0.1", port), token, 10.0))
        store = ReplicatedStore(plain, link, mode, run / STATUS)
        yield store.commit
        store.close()


def sync_standby(directory: Path) -> AbstractContextManager[Commit]:
    return _replicated(directory, "sync")


def async_standby(directory: Path) -> AbstractContextManager[Commit]:
    return _replicated(directory, "async")


@contextmanager
def plain_sqlite(directory: Path) -> Iterator[Commit]:
    db = sqlite3.connect(directory / "plain.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(
        "CREATE TABLE entries (seq INTEGER PRIMARY KEY, at INTEGER, origin INTEGER, author TEXT,"
        ' cause INTEGER, "index" INTEGER, kind INTEGER, payload BLOB)'
    )

    def commit(records: list[Record]) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", records)
        db.execute("COMMIT")

    yield commit
    db.close()


@contextmanager
def append_file(directory: Path) -> Iterator[Commit]:
    encode = msgspec.msgpack.Encoder().encode
    with (directory / "plain.log").open("ab", buffering=0) as file:

        def commit(records: list[Record]) -> None:
            file.write(b"".join(encode(record) for record in records))
            os.fdatasync(file.fileno())

        yield commit


CANDIDATES = {
    "event store": event_store,
    "async standby": async_standby,
    "sync standby": sync_standby,
    "sqlite3 plain": plain_sqlite,
    "append + fsync": append_file,
}


def run(name: str, batch: int, commits: int, within: Path) -> dict[str, float]:
    """Events per second and commit latency (ms) of one candidate in a fresh directory."""
    directory = Path(tempfile.mkdtemp(dir=within))
    work = [
        [Record(seq, seq, 0, "execution", 0, 0, 7, PAYLOAD) for seq in range(first, first + batch)]
        for first in range(1, batch * commits + 1, batch)
    ]
    took = []
    with CANDIDATES[name](directory) as commit:
        for records in work:
            start = time.perf_counter_ns()
            commit(records)
            took.append((time.perf_counter_ns() - start) / 1e6)
    shutil.rmtree(directory)
    took.sort()
    return {
        "events_per_second": batch * commits / (sum(took) / 1e3),
        "p50_ms": took[len(took) // 2],
        "p99_ms": took[int(len(took) * 0.99)],
    }


def compare(within: Path, rounds: int) -> list[dict[str, float | str]]:
    """Each candidate at each batch size; candidates take turns so that all meet the same machine."""
    table: list[dict[str, float | str]] = []
    for batch, commits in BATCHES.items():
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in CANDIDATES}
        for _ in range(rounds):
            for name in CANDIDATES:
                runs[name].append(run(name, batch, commits, within))
        medians = {
            name: {key: statistics.median(each[key] for each in these) for key in these[0]}
            for name, these in runs.items()
        }
        floor = medians["append + fsync"]["events_per_second"]
        plain = medians["sqlite3 plain"]["events_per_second"]
        for name, figures in medians.items():
            speed = figures["events_per_second"]
            table.append(
                {
                    "batch": batch,
                    "store": name,
                    **figures,
                    "of_plain": speed / plain,
                    "of_floor": speed / floor,
                }
            )
    return table


def other_figures(within: Path) -> dict[str, float]:
    """Opening, reading back and verifying a log of 100,000 entries."""
    directory = Path(tempfile.mkdtemp(dir=within))
    keys = Keys.from_bytes(secrets.token_bytes(32), secrets.token_bytes(32))
    figures: dict[str, float] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        figures[name] = time.perf_counter() - start

    with timed("create_ms"):
        store = SqliteStore.open(directory, keys)
    for first in range(1, 100_001, 1000):
        store.commit(
            [Record(seq, seq, 0, "execution", 0, 0, 7, PAYLOAD) for seq in range(first, first + 1000)]
        )
    store.close()
    with timed("reopen_ms"):
        store = SqliteStore.open(directory, keys)
    with timed("read_only_open_ms"):
        reader = SqliteStore.read_only(directory, keys)
    with timed("read_events_per_second"):
        reader.read()
    with timed("verify_events_per_second"):
        verify(directory, keys)
    reader.close()
    store.close()
    shutil.rmtree(directory)
    return {name: 100_000 / took if name.endswith("second") else took * 1e3 for name, took in figures.items()}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--json", type=Path, help="also write the figures to this file")
    options.add_argument(
        "--directory", type=Path, help="measure on the disk of this directory (default: a temporary one)"
    )
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.directory) as place:
        table, others = compare(Path(place), chosen.rounds), other_figures(Path(place))
    print(
        f"{'batch':>5}  {'store':<15}{'events/s':>10}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'of plain':>10}{'of floor':>10}"
    )
    for row in table:
        print(
            f"{row['batch']:>5}  {row['store']:<15}{row['events_per_second']:>10,.0f}{row['p50_ms']:>9.3f}"
            f"{row['p99_ms']:>9.3f}{row['of_plain']:>10.2f}{row['of_floor']:>10.2f}"
        )
    print("100,000 entries:", ", ".join(f"{name} {value:,.1f}" for name, value in others.items()))
    if chosen.json:
        machine = {"machine": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()}
        chosen.json.write_text(
            json.dumps({**machine, "rounds": chosen.rounds, "table": table, "others": others}, indent=1)
        )


if __name__ == "__main__":
    main()
