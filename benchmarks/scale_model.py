"""What a Monte Carlo run costs on p workers: a model of few measured parameters, and its fit. Pure.

A run of S scenarios is cut into s shards. With everything the cluster has to do in one of four places:

    request   the request travels to every node but the head's, one after the other from the head
    driver    hands out and takes in s tasks, one at a time, and their answers, byte by byte
    workers   ceil(s / p) rounds of one shard each: what a task costs on its worker, what a shard costs before
              its first scenario, and its scenarios
    merge     the driver merges s tails

the driver hands out while the workers compute, so of these two the slower counts:

    T(S, s, p, nodes) = request + max(driver, workers) + merge + fixed

What it leaves out: stragglers, unequal machines, two runs at a time, a network that is shared with others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Costs:
    """All in seconds. Bytes are those of the request and of a shard's answer (its tail).

    `busy`: what a scenario takes longer when all cores of its node compute, over one core alone.
    """

    fixed: float
    scenario: float
    shard: float
    task_on_worker: float
    task_on_driver: float
    byte_to_node: float
    byte_to_driver: float
    merge_tail: float
    busy: float
    request_bytes: int
    tail_scenario_bytes: float
    tail_fraction: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Run(NamedTuple):
    """A run to be predicted: scenarios, shards, workers, and the nodes that the workers are on."""

    scenarios: int
    shards: int
    workers: int
    nodes: int = 1


class Parts(NamedTuple):
    """Where the seconds go; `bound` is the slower of driver and workers."""

    request: float
    driver: float
    workers: float
    merge: float
    total: float

    @property
    def bound(self) -> str:
        """What to make faster first."""
        named = {"request": self.request, "driver": self.driver, "workers": self.workers, "merge": self.merge}
        return max(named, key=lambda name: named[name])


class Place(NamedTuple):
    """Where the model is checked: what a task takes to run there, the workers that compute, their nodes."""

    layout: dict[str, float]
    workers: int
    nodes: int


def places(layouts: Sequence[dict[str, float]], nodes: int, tasks: int, cores: int) -> list[Place]:
    """One node and all of them, which share one machine's `cores`; a cluster without layouts is one place.

    `tasks` are those that run at a time; a cluster has a CPU for each.

    >>> places([{}], nodes=3, tasks=24, cores=2)
    [Place(layout={}, workers=24, nodes=3)]
    """
    if not any(layouts):
        return [Place({}, tasks, nodes)]
    busy = min(cores, tasks)
    return [Place(layouts[0], busy, 1), Place(layouts[-1], busy, nodes)]


def predict(costs: Costs, run: Run) -> Parts:
    """The seconds of a run.

    >>> costs = Costs(0, 1e-3, 0.1, 0.01, 0.001, 0, 0, 0, 1, 0, 0, 0)
    >>> predict(costs, Run(1000, 4, 2)).total  # two rounds of 250 scenarios, 0.1 and 0.01 seconds each
    0.72
    """
    tail_bytes = costs.tail_fraction * run.scenarios * costs.tail_scenario_bytes / run.shards
    request = costs.request_bytes * costs.byte_to_node * (run.nodes - 1)
    driver = run.shards * (costs.task_on_driver + tail_bytes * costs.byte_to_driver)
    a_scenario = costs.scenario * (costs.busy if run.workers > 1 else 1.0)
    a_shard = costs.task_on_worker + costs.shard + a_scenario * run.scenarios / run.shards
    workers = ceil(run.shards / run.workers) * a_shard
    merge = run.shards * costs.merge_tail
    return Parts(request, driver, workers, merge, costs.fixed + request + max(driver, workers) + merge)


def alone(costs: Costs, scenarios: int) -> float:
    """The seconds of the same run in one process, without Ray: one shard, nothing handed out."""
    return costs.shard + costs.scenario * scenarios


def best_run(costs: Costs, scenarios: int, workers: int, cores_a_node: int, most: int = 8) -> Run:
    """The run with the least seconds: 1 to `most` shards a worker, or fewer shards and so fewer nodes."""
    fewer = {round(workers / 1.25**power) for power in range(40)} - {0}
    candidates = sorted({*fewer, *(workers * each for each in range(1, most + 1))})
    runs = [
        Run(scenarios, shards, workers, ceil(min(shards, workers) / cores_a_node)) for shards in candidates
    ]
    return min(runs, key=lambda run: predict(costs, run).total)


Points = list[dict[str, Any]]


def strong(costs: Costs, scenarios: int, workers: Sequence[int], cores_a_node: int) -> Points:
    """The same run on more and more workers: seconds, speed-up over one process, efficiency, its bound."""
    return [_scaled(costs, scenarios, each, cores_a_node, alone(costs, scenarios)) for each in workers]


def weak(costs: Costs, scenarios: int, workers: Sequence[int], cores_a_node: int) -> list[dict[str, Any]]:
    """`scenarios` for every worker: the same, the efficiency against one process with its own share."""
    return [
        _scaled(costs, scenarios * each, each, cores_a_node, alone(costs, scenarios) * each)
        for each in workers
    ]


def _scaled(costs: Costs, scenarios: int, workers: int, cores_a_node: int, one: float) -> dict[str, Any]:
    run = best_run(costs, scenarios, workers, cores_a_node)
    parts = predict(costs, run)
    return {
        "workers": workers,
        "nodes": run.nodes,
        "scenarios": scenarios,
        "shards": run.shards,
        "seconds": parts.total,
        "speed-up": one / parts.total,
        "efficiency": one / parts.total / workers,
        "bound by": parts.bound,
    }


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Intercept and slope, neither below zero, of a line through (x, seconds).

    Least squares of the relative errors, because seconds vary with their size. Needs two different x.

    >>> [round(each, 6) for each in line([(1, 3.0), (2, 5.0), (4, 9.0)])]
    [1.0, 2.0]
    """
    x, y = (np.array(each, dtype=float) for each in zip(*points, strict=True))
    if len(set(x)) < 2 or (y <= 0).any():
        raise ValueError(f"a line needs two different x and positive seconds, found {list(points)}")
    design = np.column_stack([1 / y, x / y])
    intercept, slope = np.linalg.lstsq(design, np.ones(len(x)), rcond=None)[0]
    if intercept < 0:  # through the origin
        return 0.0, float((x / y).sum() / ((x / y) ** 2).sum())
    if slope < 0:
        return float((1 / y).sum() / (1 / y**2).sum()), 0.0
    return float(intercept), float(slope)


def errors(costs: Costs, measured: Mapping[Run, float]) -> dict[Run, float]:
    """Predicted over measured, less one: what the model gets wrong of runs that were not used to fit it."""
    return {run: predict(costs, run).total / seconds - 1 for run, seconds in measured.items()}
