"""Takes a running firm's host away, disk and all, or freezes it, and lets the standby's copy trade on.

As a script: `python tests/process/lost_host.py --moments 30 --seed 1` prints a line for each loss.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from firm_process import ROOT, Firm, Said, command, events, last_seq, launched, records, summary

from firm.events.orders import OrderFilled, OrderSubmitted
from firm.gateway_sim.process import GatewayProcess, start_gateway
from firm.store.keys import Keys
from firm.store.verify import verify

DAYS = 12
TOKENS = {"FIRM_STANDBY_TOKEN": "5a" * 32, "FIRM_FENCE_TOKEN": "a5" * 32}


@dataclass(frozen=True)
class Outcome:
    """What was found when the copy had traded on to the end of the data."""

    seq_at_loss: int
    copied: int
    local: int
    is_the_same_log: bool
    promoted_s: float
    trading_again_s: float
    sent: int
    sent_twice: list[str]
    not_intended: list[str]
    filled_twice: list[str]
    fills_after: int
    books_agree: bool
    replay: str

    @property
    def held(self) -> bool:
        """Whether nothing was lost and nothing done twice."""
        wrong = (self.sent_twice, self.not_intended, self.filled_twice)
        well = self.is_the_same_log and self.books_agree and self.replay.startswith("identical: ")
        return well and not any(wrong) and self.local - self.copied >= 0


@dataclass(frozen=True)
class Silence:
    """What a firm said while its standby did not answer, and what happened after its first complaint."""

    ready: int
    health: str
    lag: float
    entries: int
    orders: int


class Served(NamedTuple):
    """A process of `firm` that listens."""

    pid: int
    port: int


class House:
    """A gateway on a host of its own with the fence before it, and a standby."""

    def __init__(self, folder: Path, days: int, undo: contextlib.ExitStack) -> None:
        self.folder, self._days = folder, days
        self.gateway: GatewayProcess = undo.enter_context(
            start_gateway(days=days, journal=folder / "gateway.db", account="DU0000001")
        )
        before = f"127.0.0.1:{self.gateway.port}"
        self._fence = undo.enter_context(_served("fence", str(folder / "claims"), "--gateway", before))
        self.standby = undo.enter_context(_served("standby", "serve", str(folder / "copy")))

    def launched(self, name: str, *options: str) -> contextlib.AbstractContextManager[Firm]:
        """A firm in a run directory of this name, at the fence."""
        run_dir = self.folder / name / "run"
        run_dir.mkdir(parents=True, exist_ok=True)
        facts = {"port": self._fence.port, "control_port": self.gateway.control_port, "pid": None}
        source = {"source": {"data": None, "days": self._days}}
        (run_dir / "gateway.json").write_text(json.dumps(facts | source))
        fenced = ("--quiet", "--set", "standby.gateway_is_fenced=true")
        return launched(run_dir, *fenced, *options, environ=TOKENS)

    def leader(self, name: str) -> contextlib.AbstractContextManager[Firm]:
        """A firm with the standby, in sync mode."""
        address = f"standby.address=127.0.0.1:{self.standby.port}"
        return self.launched(name, "--set", "standby.mode=sync", "--set", address)

    def promote(self, name: str) -> None:
        """Make a run directory of the copy."""
        said = command("standby", "promote", self.folder / "copy", "--run-dir", self.folder / name / "run")
        assert said.code == 0, said

    def look(self, run_dir: Path, before: "Before", times: tuple[float, float]) -> Outcome:
        """What is to be found at the end."""
        verify(run_dir, Keys.load(create=False))
        refs = [order["order_ref"] for order in self.gateway.orders()]
        intents = {seq for seq, _ in events(run_dir, OrderSubmitted)}
        fills = events(run_dir, OrderFilled)
        replayed = command("replay", run_dir)
        copied = records(run_dir)
        return Outcome(
            seq_at_loss=before.seq,
            copied=before.copied,
            local=len(before.records),
            is_the_same_log=copied[: before.copied] == before.records[: before.copied],
            promoted_s=times[0],
            trading_again_s=times[1],
            sent=len(refs),
            sent_twice=_twice(refs),
            not_intended=[ref for ref in refs if int(ref.rpartition("-")[2]) not in intents],
            filled_twice=_twice([fill.exec_id for _, fill in fills]),
            fills_after=sum(seq > before.copied for seq, _ in fills),
            books_agree=summary(run_dir)["books_agree"] and not summary(run_dir)["breaks"],
            replay=(replayed.out or replayed.err).splitlines()[-1],
        )


@dataclass
class Before:
    """The log of the host that is lost, as its own disk had it, and how much of it was copied."""

    seq: int
    records: list[object]
    copied: int = 0


def lose_host(folder: Path, seq: int, days: int = DAYS) -> Outcome:
    """Kill everything of a firm when its log has `seq` entries, delete its disk, and trade on."""
    with contextlib.ExitStack() as undo:
        house = House(folder, days, undo)
        with house.leader("old") as old:
            old.while_alive(lambda: last_seq(old.run_dir) >= seq, f"{seq} entries")
            old.kill_everything()
            before = Before(seq, list(records(old.run_dir)))
            shutil.rmtree(old.run_dir)
            return _trade_on(house, before)[0]


def freeze_host(folder: Path, seq: int, days: int = DAYS) -> tuple[Outcome, Said, int]:
    """Stop everything of a firm, let the copy trade on, wake the old one; what it said, and what it had then.

    The last figure is how far its own log had come in the end.
    """
    with contextlib.ExitStack() as undo:
        house = House(folder, days, undo)
        with house.leader("old") as old:
            old.while_alive(lambda: last_seq(old.run_dir) >= seq, f"{seq} entries")
            frozen = list(old.processes())
            _signal(frozen, signal.SIGSTOP)
            before = Before(seq, list(records(old.run_dir)))
            outcome, said = _trade_on(house, before, lambda: _wake(old, frozen))
            assert said is not None
            return outcome, said, last_seq(old.run_dir)


def silence_standby(folder: Path, seq: int, days: int = DAYS) -> tuple[Silence, Outcome]:
    """Stop the standby of a running firm as a cut line would, look at the firm, let it go on to the end."""
    with contextlib.ExitStack() as undo:
        house = House(folder, days, undo)
        with house.leader("only") as firm:
            firm.while_alive(lambda: last_seq(firm.run_dir) >= seq, f"{seq} entries")
            os.kill(house.standby.pid, signal.SIGSTOP)
            firm.while_alive(lambda: "the standby" in firm.ask("/health")[1], "it complains")
            before = Before(seq, list(records(firm.run_dir)))
            before.copied, orders = len(before.records), len(house.gateway.orders())
            verify(firm.run_dir, Keys.load(create=False))
            silence = Silence(
                ready=firm.ask("/ready")[0],
                health=firm.ask("/health")[1],
                lag=firm.metrics()["firm_standby_lag_entries"],
                entries=last_seq(firm.run_dir) - before.copied,
                orders=len(house.gateway.orders()) - orders,
            )
            began = time.monotonic()
            os.kill(house.standby.pid, signal.SIGCONT)
            firm.while_alive(lambda: last_seq(firm.run_dir) > before.copied, "it goes on")
            again_s = round(time.monotonic() - began, 2)
            ended = firm.finish()
            assert ended.code == 0, ended
            return silence, house.look(firm.run_dir, before, (0.0, again_s))


def _wake(old: Firm, frozen: list[int]) -> Said:
    _signal(frozen, signal.SIGCONT)
    return old.finish()


def _trade_on(house: House, before: Before, wake=None) -> tuple[Outcome, Said | None]:
    began, said = time.monotonic(), None
    house.promote("new")
    promoted_s = time.monotonic() - began
    with house.launched("new") as new:
        before.copied = last_seq(new.run_dir)
        new.while_alive(lambda: last_seq(new.run_dir) > before.copied, "it goes on")
        again_s = time.monotonic() - began
        if wake is not None:
            more = before.copied + 200
            new.while_alive(lambda: last_seq(new.run_dir) > more, "it trades on")
            said = wake()
        ended = new.finish()
        assert ended.code == 0, ended
        return house.look(new.run_dir, before, (round(promoted_s, 2), round(again_s, 2))), said


@contextlib.contextmanager
def _served(*arguments: str) -> Iterator[Served]:
    """`firm` with these arguments, listening on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "firm.cli", *arguments, "--listen", "127.0.0.1:0"],
        cwd=ROOT,
        env=os.environ | TOKENS,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Served(process.pid, int(process.stdout.readline().split(" port ")[1].split(",")[0]))
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _twice(names: list[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def main() -> None:
    """As many losses as asked for, each at a random moment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=DAYS)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    for moment in range(arguments.moments):
        with tempfile.TemporaryDirectory() as folder:
            outcome = lose_host(Path(folder), chance.randint(1, 280 * arguments.days), arguments.days)
        print(f"{moment + 1:2} {'held' if outcome.held else 'WRONG'} {outcome}", flush=True)


if __name__ == "__main__":
    main()
