"""Cuts a running firm off with SIGKILL at a random moment, starts it again, and checks what must hold.

As a script: `python tests/process/cut_off.py --moments 20 --seed 1` prints one line a moment.
"""

import argparse
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from firm_process import command, events, gateway_afterwards, last_seq, launched, summary, until

from firm.events.orders import OrderFilled, OrderNotAccepted, OrderSubmitted
from firm.store.keys import Keys
from firm.store.verify import verify

DAYS = 25


@dataclass(frozen=True)
class Outcome:
    """What was found after the firm was cut off once and had run to its end."""

    seq_at_cut: int
    fills_before: int
    fills_after: int
    not_accepted: int
    sent: int
    sent_twice: list[str]
    not_intended: list[str]
    filled_twice: list[str]
    books_agree: bool
    barrier_missing: int
    replay: str
    recovered_s: float


def cut_off(run_dir: Path, seq: int, *, gateway_too: bool, days: int = DAYS) -> Outcome:
    """Run, cut off when the log has reached `seq` entries, start again, run to the end of the data, look."""
    options = ("--days", str(days), "--quiet")
    with launched(run_dir, *options) as firm:
        firm.while_alive(lambda: last_seq(run_dir) >= seq, f"{seq} entries")
        firm.process.send_signal(signal.SIGKILL)
        gateway = json.loads((run_dir / "gateway.json").read_text())["pid"]
        if gateway_too:
            os.killpg(gateway, signal.SIGKILL)
        firm.process.wait()
        # Without its launcher a firm is dying, but until the bus is gone it may still commit.
        until(lambda: set(firm.processes()) <= {gateway}, "the old firm is gone")
        cut_at = last_seq(run_dir)
        began = time.monotonic()
        with launched(run_dir, *options, prints="again") as again:
            again.while_alive(lambda: last_seq(run_dir) > cut_at, "it goes on")
            recovered_s = time.monotonic() - began
            said = again.finish()
            assert said.code == 0, said
            again.leave_nothing()
    return _look(run_dir, cut_at, recovered_s)


def _look(run_dir: Path, cut_at: int, recovered_s: float) -> Outcome:
    verify(run_dir, Keys.load(create=False))
    with gateway_afterwards(run_dir) as gateway:
        refs = [order["order_ref"] for order in gateway.orders()]
    intents = {seq for seq, _ in events(run_dir, OrderSubmitted)}
    fills = events(run_dir, OrderFilled)
    replayed = command("replay", run_dir)
    found = summary(run_dir)
    return Outcome(
        seq_at_cut=cut_at,
        fills_before=sum(seq <= cut_at for seq, _ in fills),
        fills_after=sum(seq > cut_at for seq, _ in fills),
        not_accepted=len(events(run_dir, OrderNotAccepted)),
        sent=len(refs),
        sent_twice=_twice(refs),
        not_intended=[ref for ref in refs if int(ref.rpartition("-")[2]) not in intents],
        filled_twice=_twice([fill.exec_id for _, fill in fills]),
        books_agree=found["books_agree"] and not found["breaks"],
        barrier_missing=found["barrier_missing"],
        replay=(replayed.out or replayed.err).splitlines()[-1],
        recovered_s=recovered_s,
    )


def _twice(names: list[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def main() -> None:
    """As many moments as asked for; every second one takes the gateway down too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    for moment in range(arguments.moments):
        seq, gateway_too = chance.randint(1, 8000), moment % 2 == 1
        with tempfile.TemporaryDirectory() as folder:
            outcome = cut_off(Path(folder) / "run", seq, gateway_too=gateway_too)
        print(
            f"{moment + 1:2} seq {seq:5} {'firm and gateway' if gateway_too else 'firm':16} {outcome}",
            flush=True,
        )


if __name__ == "__main__":
    main()
