"""The firm's two parallel parts over nodes: a Monte Carlo risk run and the signal agents, and a cost model.

python benchmarks/scale.py [--rounds 5] [--address auto] [--json FILE] [--plots DIR]

Four nodes, hosts of their own where that is possible (benchmarks/nodes.py). The number of tasks at a time is
the same in every layout, only where they run differs: four on one node, two on each of two, one on each of
four; they are taken in turns, beside one process without Ray. Every layout must give the same bits. Then the
same with signal seats. What a task, a byte and a merge cost is measured by itself (scale_costs.py), put into
the model of scale_model.py, held against runs that were not used for it, and carried on to 1,000 cores.

With --address, on the cluster that is there: one layout, all of its CPUs.
"""

import firm  # noqa: F401 - first: it pins the numeric environment before numpy is imported

# isort: split
import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import ray
from idle_ray import idle_ray_share
from msgspec.structs import replace
from nodes import Node, host_nodes_or_loopback
from risk_cluster import CONFIG, large_request
from scale_costs import measured_costs
from scale_drawing import drawing
from scale_model import Run, errors, places, predict, strong, weak
from scale_signals import over_layouts

from firm.actors import cluster
from firm.actors.risk_tasks import measure_shard, warm_worker
from firm.config import load_settings
from firm.events import encode
from firm.events.risk import RiskRunRequested
from firm.risk.cube import plan
from firm.risk.run import conclude, measure
from firm.risk_kernels.fingerprint import numeric_fingerprint
from firm.risk_kernels.montecarlo import BLOCK

PARTS = ("monte_carlo", "signals", "model")
AT_A_TIME = 4
LAYOUTS = (1, 2, 4)
SHARDS = 16
CROSSING_MAX = 0.10
"""What a risk run may cost more where its tasks cross nodes. Signals have none: a question takes a few ms."""
CORES_A_NODE = 32
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
SIZES = {"1 million": 5_209 * BLOCK, "10 million": 52_084 * BLOCK, "100 million": 520_834 * BLOCK}
CHECKED_SIZES, CHECKED_SHARDS = (651 * BLOCK, SIZES["1 million"]), (8, 32, 128)
Layout = dict[str, float]


def offered(node: int) -> Layout:
    """How many tasks of each layout a node takes."""
    return {f"layout{n}": float(AT_A_TIME // n) for n in LAYOUTS if node < n}


def layouts() -> dict[str, Layout]:
    """The layouts of the cluster that is there, each with what a task of it takes."""
    found = ray.cluster_resources()
    made = {f"{n} node{'s' * (n > 1)}": {f"layout{n}": 1.0} for n in LAYOUTS if f"layout{n}" in found}
    return made or {"the cluster": {}}


def at_a_time(layout: Layout) -> int:
    """How many of its tasks run at the same time."""
    return AT_A_TIME if layout else int(ray.cluster_resources()["CPU"])


def alive_nodes() -> int:
    """Ray goes on listing those that are gone."""
    return sum(node["Alive"] for node in ray.nodes())


def bits(said: Any) -> str:
    """What a result is compared by: every bit of it."""
    return sha256(encode(said)).hexdigest()


def alone(request: RiskRunRequested) -> str:
    """The run in this process, in shards as large as those of the tasks."""
    tails = [measure(request, shard, 0).tail for shard in plan(request, SHARDS)]
    return bits(conclude(0, request, tails, (), lambda _i, _k: tails[0]))


def as_tasks(request: RiskRunRequested, layout: Layout, shards: int, fingerprint: str) -> str:
    """The run as Ray tasks, as the crew starts them."""
    shared = ray.put(request)
    start = measure_shard.options(resources=layout, scheduling_strategy="SPREAD").remote
    asked = [start(shared, shard, 0, 0, fingerprint)[0] for shard in plan(request, shards)]
    tails = ray.get(asked)
    return bits(conclude(0, request, tails, (), lambda _i, _k: tails[0]))


def warm(fingerprint: str) -> None:
    """Compile the kernels on every worker of every layout."""
    for layout in layouts().values():
        task = warm_worker.options(resources=layout, scheduling_strategy="SPREAD")
        for _ in range(2):
            ray.get([task.remote(fingerprint, 0.5) for _ in range(at_a_time(layout))])


def in_turns(ways: Mapping[str, Callable[[], str]], rounds: int) -> tuple[dict[str, list[float]], str]:
    """Seconds of each way in every round, and the one result that all of them had."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    found = set()
    for number in range(rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            found.add(way())
            if number:  # the first round warms
                taken[name].append(time.perf_counter() - began)
        assert len(found) == 1, f"every layout needs the same bits, found {sorted(found)}"
        progress(f"round {number} of {rounds}")
    return taken, found.pop()


def monte_carlo(rounds: int, fingerprint: str) -> dict[str, Any]:
    """The run of a million scenarios in every layout."""
    request = large_request()
    ways: dict[str, Callable[[], str]] = {"one process": lambda: alone(request)}
    for name, layout in layouts().items():
        ways[name] = lambda layout=layout: as_tasks(request, layout, SHARDS, fingerprint)
    taken, fingerprint_of_all = in_turns(ways, rounds)
    return {"seconds": taken, "bits": fingerprint_of_all, "scenarios": request.scenarios}


def modelled(rounds: int, fingerprint: str) -> dict[str, Any]:
    """The costs, what they predict of runs that were not used to measure them, and of 1,000 cores."""
    progress("measuring what a task, a byte and a merge cost")
    request, made = large_request(), list(layouts().values())
    where = places(made, alive_nodes(), at_a_time(made[0]), os.cpu_count() or 1)
    costs = measured_costs(request, where[-1].layout, where[-1].workers, rounds)
    checked: dict[Run, float] = {}
    for scenarios, shards, place in product(CHECKED_SIZES, CHECKED_SHARDS, where):
        run = partial(as_tasks, replace(request, scenarios=scenarios), place.layout, shards, fingerprint)
        taken = statistics.median(seconds(run) for _ in range(rounds))
        checked[Run(scenarios, shards, place.workers, place.nodes)] = taken
    found = errors(costs, checked)
    return {
        "costs": costs.as_dict(),
        "checked": [
            {**run._asdict(), "measured": taken, "predicted": predict(costs, run).total, "error": found[run]}
            for run, taken in checked.items()
        ],
        "strong": {name: strong(costs, size, WORKERS, CORES_A_NODE) for name, size in SIZES.items()},
        "weak": weak(costs, SIZES["1 million"], WORKERS, CORES_A_NODE),
    }


def seconds(way: Callable[[], Any]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def crossing(taken: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """What each layout takes more than the first, as a fraction: the median of the rounds' ratios."""
    (_, one), *others = [(name, each) for name, each in taken.items() if name != "one process"]
    return {
        name: statistics.median(b / a for a, b in zip(one, each, strict=True)) - 1 for name, each in others
    }


def rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For the suite's table."""
    listed: list[dict[str, Any]] = []
    for what in measured_parts(found):
        taken = found[what]["seconds"]
        unit, scale = ("s", 1.0) if what == "monte_carlo" else ("ms", 1000.0)
        medians = {name: scale * statistics.median(each) for name, each in taken.items()}
        (first, base), *others = [(name, each) for name, each in medians.items() if name != "one process"]
        label = "a million scenarios" if what == "monte_carlo" else "signals of 190 pairs"
        target = 1 + CROSSING_MAX if what == "monte_carlo" else None
        for name, each in others:
            peer = f"the same on {first}"
            row = {"name": f"{label}, {name}", "value": each, "unit": unit, "peer": peer, "peer_value": base}
            listed.append(row | {"better": "lower", "target": target})
        if "one process" in medians:
            cores = min(os.cpu_count() or 1, AT_A_TIME)
            listed.append(
                {
                    "name": f"{label}, {first}, {cores} cores",
                    "value": 1 / base,
                    "unit": "runs/s",
                    "peer": "one process",
                    "peer_value": 1 / medians["one process"],
                }
            )
    return listed


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Everything, on the cluster that is there."""
    fingerprint = numeric_fingerprint()
    settings = load_settings(CONFIG, (f"cluster.address={options.address}",))
    cluster.connect(settings.cluster)
    try:
        progress("warming the workers")
        warm(fingerprint)
        found: dict[str, Any] = {"nodes": alive_nodes(), "idle_ray": idle_ray_share()}
        if "monte_carlo" in options.parts:
            found["monte_carlo"] = monte_carlo(options.rounds, fingerprint)
        if "signals" in options.parts:
            found["signals"] = over_layouts(layouts(), AT_A_TIME, options.rounds, in_turns)
        if "model" in options.parts:
            found["model"] = modelled(min(3, options.rounds), fingerprint)
    finally:
        cluster.disconnect()
    for what in measured_parts(found):
        found[what]["crossing"] = crossing(found[what]["seconds"])
    return found


def measured_parts(found: Mapping[str, Any]) -> list[str]:
    """Of those that are measured in layouts."""
    return [part for part in ("monte_carlo", "signals") if part in found]


def report(found: Mapping[str, Any]) -> None:
    """Print the tables."""
    print(f"{found['nodes']} nodes ({found['kind']}), {AT_A_TIME} tasks at a time on {os.cpu_count()} cores")
    for what in measured_parts(found):
        most = f", at most {CROSSING_MAX:+.0%} wanted for crossing nodes" if what == "monte_carlo" else ""
        print(f"{what}: bits {found[what]['bits'][:16]} in every layout{most}")
        for name, taken in found[what]["seconds"].items():
            more = found[what]["crossing"].get(name)
            told = "" if more is None else f"   crossing nodes: {more:+.1%}"
            print(f"  {name:14s} {statistics.median(taken) * 1000:9.1f} ms{told}")
    if found["idle_ray"] is not None:
        print(f"Ray's processes on the head, idle, take {found['idle_ray']:.3f} of a core")
    if "model" in found:
        report_model(found["model"])


def report_model(model: Mapping[str, Any]) -> None:
    """Print the costs, the check, and what 1,000 cores would do."""
    print("model: " + ", ".join(f"{name} {value:.3g}" for name, value in model["costs"].items()))
    for each in model["checked"]:
        print(
            f"  {each['scenarios']:>9,} scenarios, {each['shards']:>3} shards, {each['nodes']} nodes: "
            f"measured {each['measured']:.2f} s, predicted {each['predicted']:.2f} s ({each['error']:+.0%})"
        )
    for name, points in model["strong"].items():
        last = points[-1]
        print(
            f"  {name} scenarios on {last['workers']:,} cores: {last['seconds']:.2f} s, "
            f"{last['speed-up']:.0f} times one process, efficiency {last['efficiency']:.0%}, "
            f"bound by {last['bound by']}"
        )


def progress(text: str) -> None:
    """To whoever watches."""
    print(text, file=sys.stderr, flush=True)


def on_own_nodes(options: argparse.Namespace) -> dict[str, Any]:
    """Start four nodes and measure from the first."""
    nodes = [Node(cpus=AT_A_TIME, resources=offered(number)) for number in range(max(LAYOUTS))]
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        progress("starting four nodes")
        with host_nodes_or_loopback(nodes, Path(folder)) as up:
            told, file = up.file("scale.json")
            script = ["benchmarks/scale.py", "--address", up.address, "--rounds", str(options.rounds)]
            up.drive([*script, "--parts", *options.parts, "--quiet", "--json", told])
            found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return found | {"kind": up.kind}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--address", help="measure on this cluster (`auto`: the one of this machine)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw the model into DIR/scaling.svg")
    parser.add_argument("--quiet", action="store_true", help="no tables")
    options = parser.parse_args()
    if options.address is None:
        found = on_own_nodes(options)
    else:
        found = measured(options) | {"kind": f"the cluster at {options.address}"}
    found["rows"] = rows(found)
    if not options.quiet:
        report(found)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.plots is not None and "model" in found:
        options.plots.mkdir(parents=True, exist_ok=True)
        (options.plots / "scaling.svg").write_text(drawing(found["model"]), encoding="utf-8")


if __name__ == "__main__":
    main()
