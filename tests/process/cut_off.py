"""Kills parts of a running firm with SIGKILL at random moments, lets it recover, and checks what must hold.

As a script: `python tests/process/cut_off.py --moments 100 --seed 1 --results moments.jsonl` adds a line for
each run to the file, goes on where the file ends, and prints how long each kind of loss took to recover from.
A machine so busy that Ray does not come up within Ray's own 30 s says nothing about the firm: it is started
again, which is counted.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple

from firm_process import Firm, command, events, gateway_afterwards, last_seq, launched, summary, until

from firm.events.orders import CommissionReported, OrderFilled, OrderNotAccepted, OrderSubmitted
from firm.events.system import BrokerConnected, InstrumentsResolved, Reconciled
from firm.gateway_sim.process import GatewayProcess, launch_gateway
from firm.store.keys import Keys
from firm.store.verify import verify

DAYS = 25
ENTRIES_A_DAY = 280
KILLS_A_RUN = 10
SETTLED_AT = 40
"""Entries after which the firm has its history and trades: a first start without a gateway is refused."""

Victim = Literal["broker", "gateway", "gateway, for longer than the firm waits", "firm", "firm and gateway"]
VICTIMS: tuple[Victim, ...] = ("broker", "gateway", "firm", "broker", "gateway", "firm and gateway")
CASH_USD = Decimal(1_000_000)
RAY_TOO_SLOW = "The current node timed out during startup"


class Kill(NamedTuple):
    """Who is to be killed when the log has reached `seq` entries."""

    victim: Victim
    seq: int


class Recovery(NamedTuple):
    """The last entry of those killed, and seconds from the kill until the firm had reconciled and went on."""

    victim: Victim
    seq: int
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What was found after the firm had been robbed of its parts and had run to its end."""

    recoveries: list[Recovery]
    fills_after: int
    not_accepted: int
    sent: int
    wrong: dict[str, Any]
    """Everything that must not be: what holds is an empty value."""

    replay: str
    ray_too_slow: int
    """How often Ray's node had not come up in time and the firm was started once more."""

    @property
    def held(self) -> bool:
        """Whether every invariant holds."""
        return not any(self.wrong.values()) and self.replay.startswith("identical: ")


class Life:
    """One run from its first start to the end of its data, through as many launches as it takes."""

    def __init__(self, run_dir: Path, days: int) -> None:
        self.run_dir, self._options = run_dir, ("--days", str(days), "--quiet")
        self._launches = self._ray_too_slow = 0
        self._open = contextlib.ExitStack()
        self._gateway: GatewayProcess | None = None

    def live(self, kills: Sequence[Kill]) -> Outcome:
        """Run to the end, killed on the way."""
        try:
            firm = self._launched()
            recoveries = []
            for kill in kills:
                firm.while_alive(lambda kill=kill: last_seq(self.run_dir) >= kill.seq, f"{kill.seq} entries")
                firm, recovery = self._robbed(firm, kill.victim)
                recoveries.append(recovery)
            said = firm.finish()
            assert said.code == 0, said
            firm.leave_nothing()
        finally:
            self._open.close()
            if self._gateway is not None:
                self._gateway.stop()
        return _look(self.run_dir, recoveries, self._ray_too_slow)

    def _launched(self) -> Firm:
        """The firm, as far as Ray is up."""
        while True:
            self._launches += 1
            name = f"launch-{self._launches}"
            firm = self._open.enter_context(launched(self.run_dir, *self._options, prints=name))
            until(lambda firm=firm: firm.actors("Broker") or firm.process.poll() is not None, "Ray is up")
            if RAY_TOO_SLOW not in firm.said().err:
                return firm
            self._ray_too_slow += 1

    def _robbed(self, firm: Firm, victim: Victim) -> tuple[Firm, Recovery]:
        """Kill, bring back what nobody else brings back, wait until it goes on."""
        began = time.monotonic()
        if "gateway" in victim:
            facts = self._kill_gateway()
        if "firm" in victim:
            self._kill_firm(firm)
        if victim == "broker":
            for pid in firm.while_alive(lambda: firm.actors("Broker"), "a broker actor"):
                os.kill(pid, signal.SIGKILL)
        cut_at = last_seq(self.run_dir)
        if victim == "gateway":
            self._gateway = _relaunched(self.run_dir, facts)
        if "firm" in victim:
            began = time.monotonic()
            firm = self._launched()
        what = f"on after the loss of the {victim}"
        until(lambda: self._goes_on(cut_at) or firm.process.poll() is not None, what)
        if victim == "gateway" and firm.process.poll() == 1 and "start the firm again" in firm.said().err:
            victim, firm = "gateway, for longer than the firm waits", self._launched()
        firm.while_alive(lambda: self._goes_on(cut_at), what)
        return firm, Recovery(victim, cut_at, round(time.monotonic() - began, 2))

    def _goes_on(self, cut_at: int) -> bool:
        """Whether the broker's side has connected anew, has reconciled, and more has been committed."""
        seqs = [seq for seq, _ in events(self.run_dir, BrokerConnected) if seq > cut_at]
        reconciled = [seq for seq, _ in events(self.run_dir, Reconciled) if seqs and seq > seqs[0]]
        return bool(reconciled) and last_seq(self.run_dir) > reconciled[0]

    def _kill_firm(self, firm: Firm) -> None:
        """All its processes in one moment; until the last has died it may still commit, so wait for that."""
        spared = json.loads((self.run_dir / "gateway.json").read_text())["pid"]
        for pid in sorted(firm.processes().keys() - {spared}):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        firm.process.wait()
        until(lambda: firm.processes().keys() <= {spared}, "the old firm is gone")

    def _kill_gateway(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.run_dir / "gateway.json").read_text())
        if self._gateway is not None:
            self._gateway.kill()
            self._gateway = None
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(facts["pid"], signal.SIGKILL)
        return facts


def _relaunched(run_dir: Path, facts: dict[str, Any]) -> GatewayProcess:
    """The gateway again, on its journal and ports: what an operator does within the firm's patience."""
    options = [
        *("--clock", "stepped", "--account", "DU0000001", "--journal", str(run_dir / "gateway.db")),
        *("--days", str(facts["source"]["days"])),
        *("--port", str(facts["port"]), "--control-port", str(facts["control_port"])),
    ]
    return launch_gateway(options, "127.0.0.1")


def _look(run_dir: Path, recoveries: list[Recovery], ray_too_slow: int) -> Outcome:
    verify(run_dir, Keys.load(create=False))
    with gateway_afterwards(run_dir) as gateway:
        orders, status = gateway.orders(), gateway.status()
        executions = gateway.ask(cmd="executions")["executions"]
    refs = [order["order_ref"] for order in orders]
    intents = {seq for seq, _ in events(run_dir, OrderSubmitted)}
    fills = events(run_dir, OrderFilled)
    replayed = command("replay", run_dir)
    found = summary(run_dir)
    last = recoveries[-1].seq if recoveries else 0
    wrong = {
        "sent twice": _twice(refs),
        "not intended": [ref for ref in refs if int(ref.rpartition("-")[2]) not in intents],
        "filled twice": _twice([f"{fill.exec_id} {fill.revision}" for _, fill in fills]),
        "breaks": found["breaks"],
        "books differ": not found["books_agree"],
        **_differences(run_dir, [fill for _, fill in fills], status, executions),
    }
    return Outcome(
        recoveries=recoveries,
        fills_after=sum(seq > last for seq, _ in fills),
        not_accepted=len(events(run_dir, OrderNotAccepted)),
        sent=len(refs),
        wrong=wrong,
        replay=(replayed.out or replayed.err).splitlines()[-1],
        ray_too_slow=ray_too_slow,
    )


def _differences(
    run_dir: Path, fills: list[OrderFilled], status: dict[str, Any], executions: list[dict[str, Any]]
) -> dict[str, Any]:
    """The log's fills and money against the gateway's own: executions, positions, cash."""
    ((_, resolved),) = events(run_dir, InstrumentsResolved)
    symbols = [instrument.symbol for instrument in resolved.instruments]
    ours = {(fill.exec_id, fill.quantity, fill.price) for fill in fills}
    theirs = {
        (e["exec_id"].rpartition(".")[0], Decimal(e["quantity"]), Decimal(e["price"])) for e in executions
    }
    held: Counter[str] = Counter()
    cash = CASH_USD
    for fill in fills:
        held[symbols[fill.instrument]] += int(fill.quantity) * fill.side.sign
        cash -= fill.quantity * fill.side.sign * fill.price
    fees = {fee.exec_id: fee.commission for _, fee in events(run_dir, CommissionReported)}
    cash -= sum(fees.values(), start=Decimal(0))
    positions = {symbol: int(Decimal(quantity)) for symbol, quantity in status["positions"].items()}
    booked = {symbol: quantity for symbol, quantity in held.items() if quantity}
    return {
        "executions differ": sorted(map(str, ours ^ theirs)),
        "positions differ": {} if booked == positions else {"log": booked, "gateway": positions},
        "cash differs": str(cash - Decimal(status["cash"]))
        if abs(cash - Decimal(status["cash"])) > Decimal("0.01")
        else "",
    }


def _twice(names: list[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def planned(seed: int, run: int, kills: int, days: int = DAYS) -> list[Kill]:
    """The kills of one run: victims in turn, moments at random over nine tenths of the data."""
    chance = random.Random(f"{seed} {run}")
    seqs = sorted(chance.randint(SETTLED_AT, days * ENTRIES_A_DAY * 9 // 10) for _ in range(kills))
    return [Kill(VICTIMS[(run * kills + n) % len(VICTIMS)], seq) for n, seq in enumerate(seqs)]


def table(lines: Sequence[dict[str, Any]]) -> str:
    """How many of each were killed, and how long recovery took: median, 90th percentile and most, in s."""
    rows = ["| killed | moments | median s | 90 % within s | at most s |", "|---|---|---|---|---|"]
    recoveries = [recovery for line in lines for recovery in line["recoveries"]]
    for victim in sorted({victim for victim, _, _ in recoveries}):
        times = sorted(seconds for v, _, seconds in recoveries if v == victim)
        p90 = times[min(len(times) - 1, len(times) * 9 // 10)]
        rows.append(
            f"| {victim} | {len(times)} | {statistics.median(times):.1f} | {p90:.1f} | {times[-1]:.1f} |"
        )
    return "\n".join(rows) + "\n"


def main() -> int:
    """As many moments as asked for; 1 if an invariant did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--moments", type=int, default=20, help="kills in all (default %(default)s)")
    parser.add_argument("--each", type=int, default=KILLS_A_RUN, help="in one run (default %(default)s)")
    parser.add_argument("--days", type=int, default=DAYS, help="of data in a run (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=Path("moments.jsonl"))
    options = parser.parse_args()
    said = options.results.read_text() if options.results.exists() else ""
    lines: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
    for run in range(len(lines), -(-options.moments // options.each)):
        kills = planned(options.seed, run, options.each, options.days)
        with tempfile.TemporaryDirectory() as folder:
            outcome = Life(Path(folder) / "run", options.days).live(kills)
        lines.append({"run": run, "held": outcome.held, **asdict(outcome)})
        with options.results.open("a") as file:
            file.write(json.dumps(lines[-1]) + "\n")
    sys.stdout.write(table(lines))
    broken = [line["run"] for line in lines if not line["held"]]
    again = sum(line["ray_too_slow"] for line in lines)
    sys.stdout.write(f"{len(lines)} runs, not held in {broken or 'none'}; Ray was too slow {again} times\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
