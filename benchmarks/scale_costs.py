"""What one scenario, shard, task, byte and merge costs here: the parameters of the model of scale_model.py.

Each is measured by itself, most as the slope of a line through small and large ones, so that what belongs to
neither stays out of it. Driver costs are processor time of the driver's process: its wall time would hold the
workers' against it wherever they share its cores.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import ray
from scale_model import Costs, line

from firm.events.risk import RiskRunRequested
from firm.risk.cube import Shard, plan
from firm.risk.run import conclude, measure
from firm.risk_kernels.montecarlo import BLOCK
from firm.risk_kernels.tail import Tail, shard_request, shard_tail, tail_size

TASKS = 200
BYTES = 32 * 2**20
NETWORK_BYTES_A_SECOND = 10e9 / 8
"""A network of 10 Gbit/s, at best: between nodes of one machine a byte may seem cheaper."""
TAIL_SCENARIO_BYTES = 16.0


def _nothing(_shared: Any) -> None:
    """A task that costs what every task costs."""


def _answer(count: int) -> Any:
    return np.zeros(count, np.uint8)


def _busy(request: RiskRunRequested, blocks: int) -> float:
    began = time.perf_counter()
    measure(request, Shard(0, blocks), 0)
    return time.perf_counter() - began


def median_of(rounds: int, way: Callable[[], float]) -> float:
    """The median of so many calls, after one that warms."""
    way()
    return statistics.median(way() for _ in range(rounds))


def wall(way: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def measured_costs(request: RiskRunRequested, layout: dict[str, float], workers: int, rounds: int) -> Costs:
    """The costs, with so many `workers`. `layout`: what a task takes to run beside the head, too."""
    shard, scenario = _compute(request, rounds)
    task_on_driver, task_on_worker, fixed = _tasks(request, layout, rounds)
    return Costs(
        fixed=fixed,
        scenario=scenario,
        shard=shard,
        task_on_worker=task_on_worker,
        task_on_driver=task_on_driver,
        byte_to_node=max(_to_node(layout, rounds), 1 / NETWORK_BYTES_A_SECOND),
        byte_to_driver=max(_to_driver(layout, rounds), 1 / NETWORK_BYTES_A_SECOND),
        merge_tail=_merge(request, rounds),
        busy=_busy_factor(request, layout, workers, rounds),
        request_bytes=sum(len(part) for part in (request.loadings, request.contracts, request.quantities)),
        tail_scenario_bytes=TAIL_SCENARIO_BYTES,
        tail_fraction=_tail_fraction(request),
    )


def _compute(request: RiskRunRequested, rounds: int) -> tuple[float, float]:
    """Seconds a shard and a scenario, in this process."""
    points = [
        (blocks * BLOCK, median_of(rounds, lambda blocks=blocks: _busy(request, blocks)))
        for blocks in (4, 32, 256, 1024)
    ]
    return line(points)


def _busy_factor(request: RiskRunRequested, layout: dict[str, float], workers: int, rounds: int) -> float:
    """What a shard takes longer when every worker has one, over one alone: both as tasks."""
    task: Any = ray.remote(_busy).options(num_cpus=1, resources=layout, scheduling_strategy="SPREAD")
    shared = ray.put(request)
    one = median_of(rounds, lambda: ray.get(task.remote(shared, 512)))
    all_of_them = median_of(
        rounds, lambda: statistics.mean(ray.get([task.remote(shared, 512) for _ in range(workers)]))
    )
    return max(1.0, all_of_them / one)


def _tasks(request: RiskRunRequested, layout: dict[str, float], rounds: int) -> tuple[float, float, float]:
    """Processor seconds of the driver a task; wall seconds of a task alone; what putting a request adds."""
    task: Any = ray.remote(_nothing).options(num_cpus=1, resources=layout, scheduling_strategy="SPREAD")
    small = ray.put(None)

    def driver() -> float:
        began = time.process_time()
        ray.get([task.remote(small) for _ in range(TASKS)])
        return (time.process_time() - began) / TASKS

    def alone() -> float:
        return wall(lambda: ray.get(task.remote(small)))

    def with_request() -> float:
        return wall(lambda: ray.get(task.remote(ray.put(request))))

    median_of(1, driver)
    one = median_of(10 * rounds, alone)
    return median_of(rounds, driver), one, max(0.0, median_of(5 * rounds, with_request) - one)


def _to_node(layout: dict[str, float], rounds: int) -> float:
    """Seconds a byte that a task fetches from the driver's node, where it has to cross."""
    task: Any = ray.remote(_nothing).options(num_cpus=1, resources=layout, scheduling_strategy="SPREAD")

    def fetched(count: int) -> float:
        nodes = len(ray.nodes())
        content = np.zeros(count, np.uint8)
        return wall(lambda: ray.get([task.remote(ray.put(content)) for _ in range(nodes)])) / nodes

    points = [(n, median_of(rounds, lambda n=n: fetched(n))) for n in (2**20, BYTES)]
    return line(points)[1]


def _to_driver(layout: dict[str, float], rounds: int) -> float:
    """Seconds a byte that comes back from the nodes."""
    task: Any = ray.remote(_answer).options(num_cpus=1, resources=layout, scheduling_strategy="SPREAD")

    def returned(count: int) -> float:
        nodes = len(ray.nodes())
        return wall(lambda: ray.get([task.remote(count) for _ in range(nodes)])) / nodes

    points = [(n, median_of(rounds, lambda n=n: returned(n))) for n in (2**20, BYTES)]
    return line(points)[1]


def _merge(request: RiskRunRequested, rounds: int) -> float:
    """Seconds a tail that is merged."""
    points = []
    for shards in (8, 64, 512):
        tails = [_some_tail(shard, request) for shard in plan(request, shards)]
        merge = partial(conclude, 0, request, tails, (), _never_again)
        points.append((shards, median_of(rounds, lambda merge=merge: wall(merge))))
    return line(points)[1]


def _never_again(number: int, k: int) -> Tail:
    raise AssertionError(f"shard {number} was cut to suffice, and is asked for {k}")


def _tail_fraction(request: RiskRunRequested) -> float:
    """The share of its scenarios that a shard sends back."""
    shard = plan(request, 8)[0]
    return _tail_of(shard, request) / (shard.blocks * BLOCK)


def _tail_of(shard: Shard, request: RiskRunRequested) -> int:
    worst = max(tail_size(request.scenarios, level) for level in (request.confidence, request.es_confidence))
    return shard_request(worst, shard.blocks * BLOCK, request.scenarios)


def _some_tail(shard: Shard, request: RiskRunRequested) -> Tail:
    """A tail as large as a shard's, of any numbers: the merge does not care which."""
    draws = np.random.default_rng(shard.first_block).standard_normal(shard.blocks * BLOCK)
    return shard_tail(draws, shard.first_block * BLOCK, _tail_of(shard, request))
