"""From market data to the order on the wire: the real firm beside the same hops with nothing inside.

python benchmarks/tick_to_order.py [--rounds 3] [--days 15] [--json FILE]

Each round runs, one after the other: the firm with an actor for each agent, the bare hops laid out the same
(see bare_hops.py), the firm with co-seated agents, its bare hops. The firm is a real `python -m firm.launch`
with an embedded Ray and the simulated gateway over TCP, at the paper configuration with Monte Carlo on, but
deciding every half hour (on quotes made for it, see quarter_hours.py) and sending market orders, so that a
decision inside the session sends at once. What is measured is in the run's own operations table: from the
first bytes of a page in the broker's process to the order written to the socket. Only decision cycles count.
Figures are medians over the rounds.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bare_hops import CONFIG, SETTINGS
from quarter_hours import HISTORY_SESSIONS, write_quarter_hours

from firm.events import CODEC
from firm.events.orders import OrderSubmitted
from firm.events.system import CycleKind, CycleOpened
from firm.store.keys import Keys
from firm.store.reading import SqliteReader
from firm.store.sqlite import SqliteStore

ROOT = Path(__file__).parent.parent
SEATINGS = {"separate": False, "co-seated": True}
DECISIONS_MIN = 150
RATIO_MAX = 1.5
"""The firm may take half as long again as its hops alone."""

Figures = dict[str, float]


def launch(run_dir: Path, data: Path, days: int, co_seated: bool) -> None:
    """Play the firm to the end of the data, as a person would."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = [
        *SETTINGS,
        f"cluster.co_seated={str(co_seated).lower()}",
        f"broker.gateway_port={port}",
        "ops.port=0",
    ]
    command = [
        *(sys.executable, "-m", "firm.launch", "--quiet", "--config", str(CONFIG)),
        *("--run-dir", str(run_dir), "--data", str(data), "--days", str(days)),
        *(part for setting in settings for part in ("--set", setting)),
    ]
    subprocess.run(command, cwd=ROOT, env=_environment(run_dir), check=True, stdout=subprocess.DEVNULL)


def _environment(run_dir: Path) -> dict[str, str]:
    """The parent's, with this tree's code and keys of the run's own."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "FIRM_KEY_DIR": str(run_dir.parent / "keys")}


def measured(run_dir: Path) -> tuple[list[float], list[float]]:
    """Milliseconds of decision cycles: to the first order of each, and to every order.

    An order is measured after its cycle and before the next one's `cycle_ms`, so counting these tells whose
    it is; that each cycle has as many measurements as orders in the log is asserted.
    """
    keys = Keys.load(run_dir.parent / "keys", create=False)
    first: list[float] = []
    every: list[float] = []
    with closing(SqliteStore.read_only(run_dir, keys)) as store:
        sent = _orders_sent(store)
        took: dict[int, list[float]] = {}
        cycle = min(sent)
        for operation in store.operations():
            if operation.name == "cycle_ms":
                cycle += 1
            elif operation.name == "tick_to_order_ms":
                took.setdefault(cycle, []).append(float(str(operation.value)))
            elif operation.name == "tick_to_first_order_ms" and sent[cycle][0] is CycleKind.DECISION:
                first.append(float(str(operation.value)))
    for number, (kind, orders) in sent.items():
        found = took.get(number, [])
        assert len(found) == orders, f"cycle {number} sent {orders} orders, {len(found)} were measured"
        every += found if kind is CycleKind.DECISION else []
    assert len(first) >= DECISIONS_MIN, (
        f"{DECISIONS_MIN} decisions with orders are needed, found {len(first)}"
    )
    return first, every


def _orders_sent(store: SqliteReader) -> dict[int, tuple[CycleKind, int]]:
    """Each cycle's kind and number of orders, by the cycle's number."""
    sent: dict[int, tuple[CycleKind, int]] = {}
    for record in store.read(kinds={CycleOpened.KIND, OrderSubmitted.KIND}):
        if record.kind == CycleOpened.KIND:
            opened = CODEC.event(record)
            assert isinstance(opened, CycleOpened)
            sent[opened.cycle] = opened.kind, 0
        else:
            number = max(sent)
            sent[number] = sent[number][0], sent[number][1] + 1
    return sent


def bare(data: Path, decisions: int, co_seated: bool) -> dict[str, Any]:
    """The hops alone, in a process and on a Ray of their own."""
    script = str(ROOT / "benchmarks" / "bare_hops.py")
    command = [sys.executable, script, "--decisions", str(decisions), "--data", str(data)]
    command += ["--co-seated"] * co_seated
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def p50_p99(took: Sequence[float]) -> tuple[float, float]:
    """Median and 99th percentile (the value that at most one in a hundred exceed)."""
    ordered = sorted(took)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def measure(days: int, co_seated: bool, within: Path) -> dict[str, Any]:
    """The firm, then its bare hops with as many decisions."""
    run_dir, data = within / "run", within / "quotes.npz"
    write_quarter_hours(data, HISTORY_SESSIONS + days)
    load = os.getloadavg()[0]
    launch(run_dir, data, days, co_seated)
    first, every = measured(run_dir)
    shutil.rmtree(run_dir)
    hops = bare(data, len(first), co_seated)
    figures: Figures = {"decisions": len(first), "orders": len(every)}
    figures |= {"load_before": load, "load_after": os.getloadavg()[0]}
    for name, took in {
        "firm_first": first,
        "firm_every": every,
        "bare": hops["with_monte_carlo_ms"],
        "bare_without_monte_carlo": hops["without_monte_carlo_ms"],
    }.items():
        figures[f"{name}_p50_ms"], figures[f"{name}_p99_ms"] = p50_p99(took)
    figures["kernel_ms_a_shard"] = max(hops["kernel_ms"])
    figures["ratio"] = figures["firm_first_p50_ms"] / figures["bare_p50_ms"]
    return {"figures": figures, "counts": hops["counts"]}


def rounds(number: int, days: int) -> dict[str, Any]:
    """Medians over the rounds for each seating, every round's figures, and the calls of a decision."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in SEATINGS}
    for turn in range(number):
        for name, co_seated in SEATINGS.items():
            with tempfile.TemporaryDirectory() as place:
                runs[name].append(measure(days, co_seated, Path(place)))
            print(f"round {turn + 1} {name}: {_line(runs[name][-1]['figures'])}", file=sys.stderr, flush=True)
    return {
        name: {
            "medians": {
                key: statistics.median(each["figures"][key] for each in these) for key in these[0]["figures"]
            },
            "counts": these[0]["counts"],
            "rounds": [each["figures"] for each in these],
        }
        for name, these in runs.items()
    }


def _line(figures: Figures) -> str:
    return (
        f"firm {figures['firm_first_p50_ms']:.1f} ms, bare {figures['bare_p50_ms']:.1f} ms, "
        f"ratio {figures['ratio']:.2f}, load before {figures['load_before']:.1f}"
    )


def show(report: dict[str, Any]) -> None:
    """Print the table."""
    print(f"{'ms, p50 / p99':<34}" + "".join(f"{name:>18}" for name in SEATINGS))
    rows = {
        "firm, to the first order": "firm_first",
        "firm, to every order": "firm_every",
        "bare hops": "bare",
        "bare hops without Monte Carlo": "bare_without_monte_carlo",
    }
    for title, key in rows.items():
        cells = [report[name]["medians"] for name in SEATINGS]
        print(
            f"{title:<34}"
            + "".join(f"{cell[f'{key}_p50_ms']:>9.1f} /{cell[f'{key}_p99_ms']:>7.1f}" for cell in cells)
        )
    for title, key in {
        "Monte Carlo kernel, one shard": "kernel_ms_a_shard",
        f"firm p50 / bare p50 (<= {RATIO_MAX})": "ratio",
        "decisions with orders, a round": "decisions",
        "machine load before": "load_before",
        "machine load after": "load_after",
    }.items():
        print(f"{title:<34}" + "".join(f"{report[name]['medians'][key]:>18.2f}" for name in SEATINGS))
    for name in SEATINGS:
        counts = ", ".join(f"{n} {what}" for what, n in report[name]["counts"].items())
        print(f"a decision, {name}: {counts}")


def main() -> None:
    """Measure, print the table, write JSON if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--days", type=int, default=15)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    report = rounds(arguments.rounds, arguments.days)
    show(report)
    if arguments.json is not None:
        machine = {"machine": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()}
        content = {**machine, "rounds": arguments.rounds, "days": arguments.days, **report}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
