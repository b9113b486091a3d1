"""Cuts a running firm off with SIGKILL at a random moment, starts it again, and checks what must hold.

As a script: `python tests/process/cut_off.py --moments 20 --seed 1` prints one line a moment.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from firm.broker.control import SimulatorControl
from firm.events import CODEC
from firm.events.orders import OrderFilled, OrderNotAccepted, OrderSubmitted
from firm.store.keys import Keys
from firm.store.sqlite import SqliteStore
from firm.store.verify import verify

ROOT = Path(__file__).parents[2]
DAYS = 25


@dataclass(frozen=True)
class Outcome:
    """What was found after the firm was cut off once and had run to its end."""

    seq_at_cut: int
    fills_before: int
    fills_after: int
    not_accepted: int
    sent_twice: list[str]
    books_agree: bool
    barrier_missing: int
    replay: str
    recovered_s: float


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(run_dir: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the firm, as a person would."""
    command = [
        *(sys.executable, "-m", "firm.launch", "--run-dir", str(run_dir), "--days", str(DAYS), "--quiet"),
        *("--set", f"broker.gateway_port={port}", "--set", "ops.port=0", "--set", "cluster.dashboard=false"),
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def length(run_dir: Path) -> int:
    """Entries committed so far; 0 before there is a log."""
    if not (run_dir / "events.db").exists():
        return 0
    with contextlib.closing(SqliteStore.read_only(run_dir, Keys.load())) as store:
        return store.last_seq


def wait_for(run_dir: Path, seq: int, firm: subprocess.Popen[bytes]) -> None:
    """Until the log has `seq` entries. The firm must be alive meanwhile."""
    deadline = time.monotonic() + 180
    while True:
        with contextlib.suppress(Exception):
            if length(run_dir) >= seq:
                return
        assert firm.poll() is None, firm.stdout.read().decode() if firm.stdout else "the firm ended"
        assert time.monotonic() < deadline, f"the log did not reach {seq} entries in time"
        time.sleep(0.02)


def cut_off(run_dir: Path, seq: int, *, gateway_too: bool) -> Outcome:
    """Run, cut off when the log has reached `seq` entries, start again, run to the end of the data, look."""
    port = free_port()
    firm = launch(run_dir, port)
    wait_for(run_dir, seq, firm)
    firm.send_signal(signal.SIGKILL)
    gateway = json.loads((run_dir / "gateway.json").read_text())
    if gateway_too:
        os.killpg(gateway["pid"], signal.SIGKILL)
    firm.wait()
    cut_at = length(run_dir)
    again = launch(run_dir, port)
    began = time.monotonic()
    wait_for(run_dir, cut_at + 1, again)
    recovered_s = time.monotonic() - began
    audit = _audit_while_it_runs(run_dir, again)
    said, _ = again.communicate(timeout=300)
    assert again.returncode == 0, said.decode()
    return _look(run_dir, cut_at, audit, recovered_s)


def _audit_while_it_runs(run_dir: Path, firm: subprocess.Popen[bytes]) -> list[str]:
    """The orderRefs the gateway knows, last looked at while it was still up."""
    refs: list[str] = []
    control = None
    while firm.poll() is None:
        with contextlib.suppress(Exception):
            if control is None:
                facts = json.loads((run_dir / "gateway.json").read_text())
                control = SimulatorControl("127.0.0.1", facts["control_port"])
            refs = [order["orderRef"] for order in control.orders()]
        time.sleep(0.1)
    return refs


def _look(run_dir: Path, cut_at: int, refs: list[str], recovered_s: float) -> Outcome:
    keys = Keys.load(create=False)
    verify(run_dir, keys)
    with contextlib.closing(SqliteStore.read_only(run_dir, keys)) as store:
        fills = [record.seq for record in store.read(kinds={OrderFilled.KIND})]
        lost = store.read(kinds={OrderNotAccepted.KIND})
        intents = {record.seq for record in store.read(kinds={OrderSubmitted.KIND})}
        filled = [CODEC.event(record).exec_id for record in store.read(kinds={OrderFilled.KIND})]
    assert len(filled) == len(set(filled)), "an execution is in the log twice"
    assert {int(ref.rpartition("-")[2]) for ref in refs} <= intents, "an order nobody intended"
    replayed = subprocess.run(
        [sys.executable, "-m", "firm.cli", "replay", str(run_dir)], capture_output=True, cwd=ROOT, check=False
    )
    summary = json.loads((run_dir / "summary.json").read_text())
    return Outcome(
        cut_at,
        sum(seq <= cut_at for seq in fills),
        sum(seq > cut_at for seq in fills),
        len(lost),
        [ref for ref, n in Counter(refs).items() if n > 1],
        summary["books_agree"] and not summary["breaks"],
        summary["barrier_missing"],
        replayed.stdout.decode().splitlines()[-1] if replayed.stdout else replayed.stderr.decode(),
        recovered_s,
    )


def main() -> None:
    """As many moments as asked for; every second one takes the gateway down too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    for moment in range(arguments.moments):
        seq, gateway_too = chance.randint(1, 9000), moment % 2 == 1
        with tempfile.TemporaryDirectory() as folder:
            outcome = cut_off(Path(folder) / "run", seq, gateway_too=gateway_too)
        print(
            f"{moment + 1:2} seq {seq:5} {'firm and gateway' if gateway_too else 'firm':16} {outcome}",
            flush=True,
        )


if __name__ == "__main__":
    main()
