"""A store with a standby, in one process: the leader's side as the bus has it, the standby's on a thread."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from firm.events.record import Record
from firm.standby.link import Leader, Link
from firm.standby.replicated import STATUS, Mode, ReplicatedStore, read_status
from firm.standby.server import StandbyServer
from firm.standby.wire import Claim
from firm.store.keys import Keys
from firm.store.sqlite import SqliteStore

TOKEN = bytes(range(64, 96))
HOLDERS = iter(f"{number:016x}" for number in range(1, 10_000))


def record(seq: int) -> Record:
    """An entry that is different for each seq."""
    return Record(seq, 10**9 * seq, seq % 2, "risk", seq - 1, seq % 3, 7, b"MES-SEP-SYMBOL %d" % seq)


def records(first: int, last: int) -> list[Record]:
    """Entries `first` to `last`."""
    return [record(seq) for seq in range(first, last + 1)]


class Serving(NamedTuple):
    """A standby that answers."""

    server: StandbyServer
    directory: Path

    @property
    def port(self) -> int:
        return self.server.port


Start = Callable[..., Serving]
Lead = Callable[..., ReplicatedStore]


def lead(
    directory: Path, keys: Keys, port: int, mode: Mode = "sync", token: bytes = TOKEN, timeout_s: float = 2.0
) -> ReplicatedStore:
    """Open a store as the bus does."""
    store = SqliteStore.open(directory, keys, heads_every=16)
    try:
        claim = Claim(store.log, store.epoch, next(HOLDERS))
        link = Link(directory, keys, claim, Leader(("127.0.0.1", port), token, timeout_s))
        return ReplicatedStore(store, link, mode, directory / STATUS)
    except BaseException:
        store.close()
        raise


class StandbyProcess(NamedTuple):
    """`firm standby serve` in a process of its own, on its copy."""

    pid: int
    port: int
    directory: Path

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


@contextmanager
def standby_process(directory: Path) -> Iterator[StandbyProcess]:
    """Start one; it is ended with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "firm.cli", "standby", "serve", str(directory), "--listen", "127.0.0.1:0"],
        env=os.environ | {"FIRM_STANDBY_TOKEN": TOKEN.hex()},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split(" port ")[1].split(",")[0])
        try:
            yield StandbyProcess(process.pid, port, directory)
        finally:
            process.kill()


def wait_for_trouble(run_dir: Path) -> str:
    """What a leader says is the matter with its standby, once it says so."""
    found: list[str] = []

    def look() -> bool:
        status = read_status(run_dir)
        found.append("" if status is None else status.trouble)
        return bool(found[-1])

    until(look)
    return found[-1]


def until(condition: Callable[[], bool], patience_s: float = 20.0) -> None:
    """Wait for a condition of another thread."""
    turn = threading.Event()
    for _ in range(int(patience_s / 0.01)):
        if condition():
            return
        turn.wait(0.01)
    raise AssertionError("it did not come to pass")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
