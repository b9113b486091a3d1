"""Risk runs as Ray tasks: what process borders cost, what a second worker brings, and a whole cycle.

python benchmarks/risk_cluster.py [--rounds 5] [--address auto] [--json FILE]

The Monte Carlo book is that of monte_carlo.py: 1,000 positions (300 options) on 500 factors, a million
scenarios. In turns: in this process; as Ray tasks on one worker (4 shards); on two workers (8 shards), all on
one node (with --address, of that cluster's first one with two CPUs). Wall time, medians, and what Ray's
processes take of a core while they are idle. Then the firm with 50 shares in one thread, 98,304 scenarios:
what VaR, ES and stress of the book, its cube, and judging the orders take of a decision cycle.
"""

import firm  # noqa: F401 - first: it pins the numeric environment before numpy is imported

# isort: split
import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import ray
from idle_ray import idle_ray_share
from quarter_hours import HISTORY_SESSIONS, write_quarter_hours
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from tail_sampler import benchmark_book

from firm.actors import cluster
from firm.actors.risk_tasks import measure_shard, warm_workers
from firm.bus.crew import FanOut, Memory, RiskAsk, SignalAsk
from firm.bus.driver import Driver
from firm.bus.relay import Relay, Stage
from firm.bus.schedule import decision_times
from firm.config import load_settings
from firm.events.risk import RiskRunRequested
from firm.events.scheduled import SessionsLoaded
from firm.events.system import RunStarted
from firm.local import LocalCrew, NoOperator
from firm.local_broker import LocalBroker
from firm.risk.cube import plan
from firm.risk.run import conclude, measure
from firm.risk_kernels.fingerprint import numeric_fingerprint
from firm.risk_kernels.montecarlo import BLOCK
from firm.roster import rules
from firm.store.memory import MemoryStore
from firm.tape.load import load_tape

CONFIG = Path(__file__).parent.parent / "config" / "paper.yaml"
BLOCKS = -(-1_000_000 // BLOCK)
SHARDS_A_WORKER = 4
OVERHEAD_MAX, WORKERS_RATIO_MIN = 1.10, 1.7


def large_request() -> RiskRunRequested:
    """The benchmark book as Risk would ask for it: a row of loadings for every contract."""
    book = benchmark_book("random")
    n, (m, k) = len(book.contracts), book.law.loadings.shape
    loadings, idiosyncratic = np.zeros((n, k)), np.zeros(n)
    loadings[:m], idiosyncratic[:m] = book.law.loadings, book.law.idiosyncratic
    return RiskRunRequested(
        quantities=book.quantities.tobytes(),
        contracts=book.contracts.tobytes(),
        loadings=loadings.tobytes(),
        idiosyncratic=idiosyncratic.tobytes(),
        factors=k,
        degrees_of_freedom=0,
        scenarios=BLOCKS * BLOCK,
        seed=1,
        confidence=0.99,
        es_confidence=0.975,
    )


def in_process(request: RiskRunRequested) -> float:
    """VaR, shard by shard in this thread."""
    tails = [measure(request, shard, 0).tail for shard in plan(request, SHARDS_A_WORKER)]
    return conclude(0, request, tails, (), lambda _i, _k: tails[0]).var


def as_tasks(request: RiskRunRequested, workers: int, fingerprint: str) -> float:
    """VaR, as the crew asks for it."""
    shared = ray.put(request)
    cut = plan(request, SHARDS_A_WORKER * workers)
    node, has = first_node()
    here = NodeAffinitySchedulingStrategy(node, soft=False)
    # a task takes as many CPUs as leave room for `workers` of them: with one worker they follow one another
    start = measure_shard.options(num_cpus=has // workers, scheduling_strategy=here).remote
    tails = ray.get([start(shared, shard, 0, 0, fingerprint)[0] for shard in cut])
    return conclude(0, request, tails, (), lambda _i, _k: tails[0]).var


@cache
def first_node() -> tuple[str, int]:
    """A node with at least two CPUs, this one first, and how many it has; RuntimeError if there is none."""
    here = ray.get_runtime_context().get_node_id()
    alive = sorted((node for node in ray.nodes() if node["Alive"]), key=lambda node: node["NodeID"] != here)
    for node in alive:
        if (has := int(node["Resources"].get("CPU", 0))) >= 2:
            return node["NodeID"], has
    raise RuntimeError("a node with two CPUs is needed, found none; start Ray with --num-cpus=2 or more")


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time, and what came out."""
    began = time.perf_counter()
    result = run()
    return time.perf_counter() - began, result


def scaling(rounds: int, fingerprint: str) -> dict[str, float]:
    """Median seconds of the three ways; their results are the same to the bit."""
    request = large_request()
    ways: dict[str, Callable[[], float]] = {
        "in this process": lambda: in_process(request),
        "one Ray worker": lambda: as_tasks(request, 1, fingerprint),
        "two Ray workers": lambda: as_tasks(request, 2, fingerprint),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        found = set()
        for name, run in ways.items():
            took, var = seconds(run)
            found.add(var)
            if number:  # the first round warms
                taken[name].append(took)
        assert len(found) == 1, f"the ways need the same VaR, found {found}"
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    return {name: statistics.median(each) for name, each in taken.items()}


class TimedCrew(LocalCrew):
    """Keeps the seconds that risk takes in each decision: its run, and the Risk agent's turns."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.run_s = self.agent_s = 0.0

    def relay(self, stages: Sequence[Stage], relay: Relay, memory: Memory) -> Relay:
        """See Crew."""
        for stage in stages:
            began = time.perf_counter()
            relay = super().relay([stage], relay, memory)
            self.agent_s += (time.perf_counter() - began) * (stage.name == "risk")
        return relay

    def fan_out(self, signals: SignalAsk, risk: RiskAsk | None) -> FanOut:
        """See Crew."""
        fan = super().fan_out(signals, None)
        began = time.perf_counter()
        if risk is not None:
            fan.risk = self.risk_run(risk)
        self.run_s += time.perf_counter() - began
        return fan


def cycle_shares(sessions: int = 3) -> dict[str, float]:
    """Median milliseconds a decision with 50 shares: the risk run, the Risk agent, the whole cycle."""
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "fifty.npz"
        write_quarter_hours(data, HISTORY_SESSIONS + sessions, shares=50)
        tape = load_tape(data, sessions)
    reference = ", ".join(f"{s}: {{sector: Energy, average_daily_volume: 1e7}}" for s in tape.symbols)
    settings = load_settings(
        CONFIG,
        (
            "schedule.decide=1800000",
            "signals.stat_arb=null",
            "cio.weights={momentum: 1.0}",
            f"universe.reference={{{reference}}}",
            "risk.max_sector_weight=9",
        ),
    )
    crew = TimedCrew(settings)
    driver = Driver(rules(settings), crew, MemoryStore(), LocalBroker(tape, settings), NoOperator())
    decisions = SessionsLoaded(tape.sessions, decision_times(tape.sessions, settings.schedule.decide))
    driver.start(RunStarted(1, "benchmark", settings.logged(), "", tape.label), lambda: decisions)
    taken: dict[str, list[float]] = {"risk run": [], "risk agent": [], "cycle": []}
    running = True
    while running:
        crew.run_s = crew.agent_s = 0.0
        began = time.perf_counter()
        running = driver.step()
        took = time.perf_counter() - began
        if crew.run_s:
            for name, each in zip(taken, (crew.run_s, crew.agent_s, took), strict=True):
                taken[name].append(each * 1000)
    return {name: statistics.median(each[1:]) for name, each in taken.items()}


def report(found: dict[str, float], idle: float | None) -> dict[str, float | None]:
    """Print the table; the ratios."""
    alone, one, two = found.values()
    ratios = {"tasks over process": one / alone, "two workers over one": one / two, "idle Ray, cores": idle}
    for name, took in found.items():
        print(f"{name:18s} {took:7.3f} s   {BLOCKS * BLOCK / took:12,.0f} scenarios/s")
    print(f"as tasks over in process: {one / alone:.3f} (target at most {OVERHEAD_MAX})")
    print(f"two workers against one: {one / two:.2f} (target at least {WORKERS_RATIO_MIN})")
    if idle is not None:
        print(f"Ray's processes, idle, take {idle:.3f} of a core")
    return ratios


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--address", help="measure on this cluster (`auto`: the one of this machine)")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    fingerprint = numeric_fingerprint()
    where = () if options.address is None else (f"cluster.address={options.address}",)
    settings = load_settings(CONFIG, ("cluster.dashboard=false", "cluster.num_cpus=2", *where))
    cluster.connect(settings.cluster)
    try:
        print("warming two workers", file=sys.stderr, flush=True)
        warm_workers(2, fingerprint)
        idle = idle_ray_share()
        found = scaling(options.rounds, fingerprint)
    finally:
        cluster.disconnect()
    figures: dict[str, Any] = {"seconds": found, "ratios": report(found, idle)}
    shares = cycle_shares()
    figures["cycle_ms"] = shares
    parts = shares["risk run"] + shares["risk agent"]
    print(
        f"50 shares: risk run {shares['risk run']:.1f} ms, Risk agent {shares['risk agent']:.1f} ms, whole "
        f"decision {shares['cycle']:.1f} ms in one thread: risk is {parts / shares['cycle']:.0%} of it"
    )
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
