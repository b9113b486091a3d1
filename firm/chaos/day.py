"""A trading day that things happen to: the firm, its simulated gateway, what was seen, and starting again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from firm.bus.chain import GENESIS, extend
from firm.chaos.checks import KINDS, AtTheBroker, Findings, examined
from firm.chaos.running import RunningFirm, until
from firm.errors import FirmError, GatewayError, StoreTampered
from firm.events import CODEC
from firm.events.record import Record
from firm.events.system import CycleKind, CycleOpened
from firm.gateway_sim.process import ControlLine, launch_gateway, start_gateway
from firm.ops.wishes import request_stop
from firm.store.keys import Keys
from firm.store.reading import SqliteReader
from firm.store.verify import verify

START_WITHIN_S = 1800.0
DAYS = 2000
OPTIONS = (
    *("--days", str(DAYS), "--quiet", "--set", "risk.var.scenarios=19200"),
    *("--set", "ops.max_cycle_age_s=3", "--set", "risk.max_drawdown=1.0", "--set", "risk.max_daily_loss=1.0"),
)
"""Few scenarios, so that the firm decides every second and not every five; no limit that needs a person."""


@dataclass
class Day:
    """One run directory, the firm that runs on it, and what of its log has been checked so far.

    `environ` and `options` are those of every start; `folder` may be a small volume of its own.
    """

    folder: Path
    options: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    starts: int = 0
    checked_seq: int = 0
    checked_head: bytes = GENESIS
    operations_seen: int = 0
    _firm: RunningFirm | None = None

    @property
    def run_dir(self) -> Path:
        """Where the run lives."""
        return self.folder / "run"

    @property
    def firm(self) -> RunningFirm:
        """The firm; started before."""
        assert self._firm is not None, "start the day first"
        return self._firm

    def start(self) -> None:
        """Start the firm, or start it again on its log, as a service manager would."""
        if self._firm is not None:
            self._firm.end_everything()
        self.starts += 1
        self._firm = self.launched()

    def launched(self) -> RunningFirm:
        """A firm that has just been launched on the run directory."""
        return RunningFirm(self.run_dir, (*OPTIONS, *self.options), self.environ)

    def await_trading(self) -> None:
        """Wait until a first decision has been taken; FirmError if that does not come about."""
        deadline = time.monotonic() + START_WITHIN_S
        while True:
            try:
                self.firm.while_alive(lambda: self.decided(0), "a first decision", START_WITHIN_S)
            except FirmError:
                if time.monotonic() > deadline:
                    raise
                self.start()
            else:
                return

    def decided(self, since: int) -> bool:
        """Whether a decision cycle that began after entry `since` is over."""
        if self.firm.log is None:
            return False
        opened = self.firm.log.read(since=since, kinds={CycleOpened.KIND})
        decisions = [number for number, record in enumerate(opened) if _deciding(record)]
        return bool(decisions) and decisions[0] < len(opened) - 1

    def operations(self, began_wall_ns: int) -> list[tuple[str, object]]:
        """What the firm has noted beside the log since a moment (ns of the wall clock)."""
        log = self.firm.log
        if log is None:
            return []
        new = log.operations(self.operations_seen)
        return [(op.name, op.value) for op in new if op.at_wall_ns >= began_wall_ns]

    def seat(self, agent: str) -> int:
        """The process an agent is in."""
        log = self.firm.log
        seats: list[Any] = [] if log is None else [op.value for op in log.operations() if op.name == "seated"]
        found = [int(seat["pid"]) for seat in seats if seat["agent"] == agent]
        if not found:
            raise FirmError(f"needed the process of {agent}, found none in the store's operations table")
        return found[-1]

    def newest(self) -> tuple[int, bytes]:
        """Seq and chain hash of the newest entry."""
        log = self.firm.log
        assert log is not None, "a day that trades has a log"
        while True:
            seq, head = log.last_seq, log.head
            if log.last_seq == seq:
                return seq, head

    def lost_entries(self, seq: int, head: bytes) -> int:
        """Check the chain from where it was checked before; how many entries up to (seq, head) are gone.

        The log must hold what it held when it was last looked at, and at `seq` have had this head. Raises
        StoreTampered if the chain itself is broken.
        """
        newest, newest_head = self.newest()
        log = self.firm.log
        assert log is not None, "there is a newest entry"
        records = log.read(since=self.checked_seq, limit=newest - self.checked_seq)
        heads = extend(self.checked_head, records)
        if heads and heads[-1] != newest_head:
            raise StoreTampered(
                f"the chain from {self.checked_seq} to {newest} needs to end in {newest_head.hex()[:16]}, "
                f"found {heads[-1].hex()[:16]}: entries that were there have changed"
            )
        if newest < seq:
            return seq - newest
        there = heads[seq - self.checked_seq - 1] if seq > self.checked_seq else self.checked_head
        lost = 0 if there == head else seq - self.checked_seq
        self.checked_seq, self.checked_head = newest, newest_head
        self.operations_seen = len(log.operations())
        return lost

    def gateway_facts(self) -> dict[str, Any]:
        """Where the simulated gateway is, as the launcher wrote it down."""
        facts: dict[str, Any] = json.loads((self.run_dir / "gateway.json").read_text())
        return facts

    def ask_gateway(self, **command: Any) -> dict[str, Any]:
        """A command on the simulated gateway's control port; GatewayError if it refuses or is away."""
        line = ControlLine("127.0.0.1", self.gateway_facts()["control_port"])
        try:
            answer = line.ask(command)
        finally:
            line.close()
        if "error" in answer:
            raise GatewayError(f"the simulated gateway refused {command}: {answer['error']}")
        return answer

    def kill_gateway(self) -> list[str]:
        """SIGKILL the simulated gateway; how it was started, with its ports."""
        facts = self.gateway_facts()
        words = Path(f"/proc/{facts['pid']}/cmdline").read_bytes().decode().split("\0")[3:-1]
        for option, key in (("--port", "port"), ("--control-port", "control_port")):
            words[words.index(option) + 1] = str(facts[key])
        os.killpg(facts["pid"], signal.SIGKILL)
        return words

    def start_gateway_again(self, words: Sequence[str]) -> None:
        """As a service manager would, on its journal and its ports."""
        started = launch_gateway(words, "127.0.0.1")
        facts = self.gateway_facts() | {"pid": started.pid}
        (self.run_dir / "gateway.json").write_text(json.dumps(facts))

    def stop(self) -> None:
        """End the firm in good order."""
        request_stop(self.run_dir, "the day is over")
        until(lambda: not self.firm.alive, "the firm has shut down", START_WITHIN_S)
        if self.firm.process.returncode != 0:
            raise FirmError(f"a firm that ends in good order was needed, found: {self.firm.said()}")
        self.end()

    def end(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        if self._firm is not None:
            self._firm.end_everything()
        with contextlib.suppress(OSError, ValueError, KeyError):
            os.killpg(self.gateway_facts()["pid"], signal.SIGKILL)

    def audit(self) -> Findings:
        """Hold the whole log, verified, against the gateway's journal; the firm has ended."""
        keys = Keys.load(create=False)
        verify(self.run_dir, keys)
        with contextlib.closing(SqliteReader.open(self.run_dir, keys)) as store:
            records = store.read(kinds=KINDS)
        return examined(records, self._at_the_broker())

    def replayed(self) -> str:
        """Replay the whole log; the last line of what `firm replay` says."""
        done = subprocess.run(  # noqa: S603  our own module, no shell
            [sys.executable, "-m", "firm.cli", "replay", str(self.run_dir)],
            capture_output=True,
            check=False,
            text=True,
        )
        return (done.stdout or done.stderr).strip().splitlines()[-1]

    def _at_the_broker(self) -> AtTheBroker:
        source = self.gateway_facts()["source"]
        journal = self.run_dir / "gateway.db"
        data = Path(source["data"]) if source["data"] else None
        with start_gateway(data=data, days=source["days"], journal=journal, account="DU0000001") as gateway:
            executions = gateway.ask(cmd="executions")["executions"]
            return AtTheBroker(
                tuple(order["order_ref"] for order in gateway.orders()),
                tuple((e["exec_id"], e["order_ref"], Decimal(e["quantity"])) for e in executions),
                {symbol: Decimal(held) for symbol, held in gateway.status()["positions"].items()},
            )


def _deciding(record: Record) -> bool:
    event = CODEC.event(record)
    return isinstance(event, CycleOpened) and event.kind is CycleKind.DECISION
