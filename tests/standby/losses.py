"""Loses the whole firm with its disk, or freezes it, at random moments; the standby's copy trades on.

As a script: `python tests/standby/losses.py --moments 30 --seed 1` prints a line for each loss.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

from local_firm import live, warm

from firm.bus.replay import replay
from firm.errors import StoreError
from firm.events import CODEC, Record
from firm.events.orders import OrderFilled, OrderSubmitted
from firm.gateway_sim.process import GatewayProcess, start_gateway
from firm.local import LocalCrew
from firm.roster import recorded_settings, rules
from firm.store.keys import Keys
from firm.store.reading import SqliteReader

ROOT = Path(__file__).parents[2]
FORK = get_context("fork")
DAYS = 5
ENTRIES = 1700
"""About as many entries as the days have."""


@dataclass(frozen=True)
class Outcome:
    """What was found when the copy had traded on to the end of the data."""

    at_loss: int
    copied: int
    was_its_beginning: bool
    orders_at_loss: int
    sent: int
    sent_twice: list[str]
    not_intended: list[str]
    filled_twice: list[str]
    epoch: int
    replayed: int
    trading_again_s: float

    @property
    def held(self) -> bool:
        """Whether nothing was lost and nothing done twice, and the whole log replayed to the same bits."""
        doubled = [*self.sent_twice, *self.not_intended, *self.filled_twice]
        known = self.copied <= self.at_loss and self.was_its_beginning
        return known and not doubled and self.sent >= self.orders_at_loss and self.replayed > self.copied


class House:
    """A gateway with the fence before it, and a standby: each a process of its own."""

    def __init__(self, folder: Path, undo: ExitStack) -> None:
        self.folder, self._undo = folder, undo
        own = {
            "FIRM_KEY_DIR": str(folder / "keys"),
            "FIRM_STANDBY_TOKEN": "5a" * 32,
            "FIRM_FENCE_TOKEN": "a5" * 32,
        }
        self.environ = dict(os.environ) | own | {"PYTHONPATH": str(ROOT)}
        self.gateway: GatewayProcess = undo.enter_context(start_gateway(days=DAYS, account="DU0000001"))
        before = f"127.0.0.1:{self.gateway.port}"
        self.fence = undo.enter_context(self._served("fence", str(folder / "claims"), "--gateway", before))
        self.standby = undo.enter_context(self._served("standby", "serve", str(folder / "copy")))

    @contextmanager
    def firm(self, name: str, *, standby: int) -> Iterator[ForkProcess]:
        """The firm in run directory `name`; nothing of it outlives the block."""
        ports = (standby, self.fence, self.gateway.control_port)
        errors = self.folder / f"{name}.err"
        process = FORK.Process(target=live, args=(self.folder / name, ports, self.environ, errors))
        process.start()
        try:
            yield process
        finally:
            process.kill()
            process.join()

    def promote(self, name: str) -> None:
        """Make run directory `name` of the copy."""
        command = [sys.executable, "-m", "firm.cli", "standby", "promote", str(self.folder / "copy")]
        done = subprocess.run(
            [*command, "--run-dir", str(self.folder / name)],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def log(self, name: str) -> list[Record]:
        """The log of a run so far."""
        try:
            with closing(SqliteReader.open(self.folder / name, self._keys())) as store:
                return store.read()
        except StoreError:
            return []

    def last_seq(self, name: str) -> int:
        """How far it is."""
        try:
            with closing(SqliteReader.open(self.folder / name, self._keys())) as store:
                return store.last_seq
        except StoreError:
            return 0

    def replayed(self, name: str) -> int:
        """How many entries replay to the same bits; ReplayDiverged at the first that does not."""
        with closing(SqliteReader.open(self.folder / name, self._keys())) as store:
            _, settings = recorded_settings(store)
            return replay(store, rules(settings), LocalCrew(settings), lambda _done, _all: None).entries

    def refs(self) -> list[str]:
        """The names of all orders that ever reached the gateway."""
        return [order["order_ref"] for order in self.gateway.orders()]

    def _keys(self) -> Keys:
        return Keys.load(self.folder / "keys", create=False, environ={})

    @contextmanager
    def _served(self, *arguments: str) -> Iterator[int]:
        with subprocess.Popen(
            [sys.executable, "-m", "firm.cli", *arguments, "--listen", "127.0.0.1:0"],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                yield int(process.stdout.readline().split(" port ")[1].split(",")[0])
            finally:
                process.terminate()


def lose(folder: Path, seq: int) -> Outcome:
    """SIGKILL the firm once its log has `seq` entries, delete its disk, promote, trade to the end."""
    with ExitStack() as undo:
        house = House(folder, undo)
        with house.firm("old", standby=house.standby) as old:
            _until(old, lambda: house.last_seq("old") >= seq or not old.is_alive())
            old.kill()
            old.join()
        before, orders = house.log("old"), len(house.refs())
        shutil.rmtree(folder / "old")
        return _trade_on(house, before, orders)


def freeze(folder: Path, seq: int) -> tuple[Outcome, int | None, str, list[str]]:
    """SIGSTOP the firm, let the copy trade on, wake the old one.

    Its exit code, its last words, and the names of the orders that came while it was awake.
    """
    with ExitStack() as undo:
        house = House(folder, undo)
        with house.firm("old", standby=house.standby) as old:
            _until(old, lambda: house.last_seq("old") >= seq)
            os.kill(old.pid or 0, signal.SIGSTOP)
            before, orders = house.log("old"), len(house.refs())
            outcome = _trade_on(house, before, orders)
            known = house.refs()
            os.kill(old.pid or 0, signal.SIGCONT)
            old.join(timeout=120)
            late = [ref for ref in house.refs() if ref not in known]
            return outcome, old.exitcode, (folder / "old.err").read_text(), late


def two_launches(folder: Path) -> tuple[tuple[int | None, int | None], str, list[str]]:
    """Another firm begins at the same account while one trades: how each ended, the second's last words.

    And the names of the orders that the gateway had from elsewhere than the first.
    """
    with ExitStack() as undo:
        house = House(folder, undo)
        with house.firm("first", standby=0) as first:
            _until(first, lambda: bool(house.refs()))
            os.kill(first.pid or 0, signal.SIGSTOP)
            with house.firm("second", standby=0) as second:
                second.join(timeout=240)
            os.kill(first.pid or 0, signal.SIGCONT)
            first.join(timeout=240)
        own = {record.seq for record in house.log("first") if record.kind == OrderSubmitted.KIND}
        strange = [ref for ref in house.refs() if int(ref.rpartition("-")[2]) not in own]
        return (first.exitcode, second.exitcode), (folder / "second.err").read_text(), strange


def _trade_on(house: House, before: list[Record], orders: int) -> Outcome:
    began = time.monotonic()
    house.promote("new")
    copied = house.log("new")
    with house.firm("new", standby=0) as new:
        _until(new, lambda: house.last_seq("new") > len(copied) or not new.is_alive())
        trading_again_s = time.monotonic() - began
        new.join(timeout=300)
        assert new.exitcode == 0, (house.folder / "new.err").read_text()
    log = house.log("new")
    events = [(record.seq, CODEC.event(record)) for record in log]
    intents = {seq for seq, event in events if isinstance(event, OrderSubmitted)}
    refs = house.refs()
    with closing(SqliteReader.open(house.folder / "new", house._keys())) as store:
        epoch = store.epoch
    return Outcome(
        at_loss=len(before),
        copied=len(copied),
        was_its_beginning=copied == before[: len(copied)],
        orders_at_loss=orders,
        sent=len(refs),
        sent_twice=_twice(refs),
        not_intended=[ref for ref in refs if int(ref.rpartition("-")[2]) not in intents],
        filled_twice=_twice([event.exec_id for _, event in events if isinstance(event, OrderFilled)]),
        epoch=epoch,
        replayed=house.replayed("new"),
        trading_again_s=round(trading_again_s, 1),
    )


def _until(process: ForkProcess, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, f"process {process.pid} did not get there in time"
        time.sleep(0.005)


def _twice(names: list[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def main() -> None:
    """As many losses as asked for, each at a random moment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    warm()
    for moment in range(arguments.moments):
        with tempfile.TemporaryDirectory() as folder:
            outcome = lose(Path(folder), chance.randint(1, ENTRIES))
        print(f"{moment + 1:2} {'held' if outcome.held else 'WRONG'} {outcome}", flush=True)


if __name__ == "__main__":
    main()
