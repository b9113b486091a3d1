"""The scaling model: its arithmetic by hand, its limits, and that a line finds its own costs again."""

import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import idle_ray
from benchmarks.scale_drawing import drawing
from benchmarks.scale_model import Costs, Run, alone, best_run, errors, line, places, predict, strong, weak

COSTS = Costs(
    fixed=0.01,
    scenario=2e-6,
    shard=0.004,
    task_on_worker=0.002,
    task_on_driver=0.0005,
    byte_to_node=1e-9,
    byte_to_driver=2e-9,
    merge_tail=1e-5,
    busy=1.1,
    request_bytes=1_000_000,
    tail_scenario_bytes=16.0,
    tail_fraction=0.05,
)
WORKERS = (1, 10, 100, 1000)


def test_a_run_by_hand():
    parts = predict(COSTS, Run(scenarios=1_000_000, shards=8, workers=4, nodes=3))

    assert parts.request == pytest.approx(1e-9 * 1_000_000 * 2)
    assert parts.driver == pytest.approx(8 * (0.0005 + 2e-9 * 0.05 * 125_000 * 16))
    assert parts.workers == pytest.approx(2 * (0.002 + 0.004 + 2e-6 * 1.1 * 125_000))
    assert parts.merge == pytest.approx(8e-5)
    assert parts.total == pytest.approx(0.01 + parts.request + parts.workers + parts.merge)
    assert parts.bound == "workers"


def test_many_small_shards_are_bound_by_the_driver_who_hands_them_out():
    parts = predict(COSTS, Run(scenarios=1_000_000, shards=4000, workers=1000))

    assert parts.bound == "driver"
    assert parts.total >= 4000 * 0.0005


def test_one_worker_with_one_shard_costs_what_one_process_does_and_the_task():
    one = predict(COSTS, Run(100_000, 1, 1)).total

    task = COSTS.fixed + COSTS.task_on_worker + COSTS.merge_tail
    assert one == pytest.approx(alone(COSTS, 100_000) + task)


@given(st.integers(1, 2000), st.integers(10_000, 10**8))
def test_the_best_number_of_shards_is_never_worse_than_one_a_worker(workers: int, scenarios: int):
    best = best_run(COSTS, scenarios, workers, 10_000)

    assert predict(COSTS, best).total <= predict(COSTS, Run(scenarios, workers, workers)).total


def test_more_workers_never_make_a_run_much_slower_since_they_need_not_be_used():
    seconds = [each["seconds"] for each in strong(COSTS, 10**6, (1, 8, 64, 512, 1000), 32)]

    assert all(b <= 1.1 * a for a, b in pairwise(seconds))


def test_efficiency_falls_with_the_workers_and_rises_with_the_size():
    small, large = (
        [each["efficiency"] for each in strong(COSTS, size, WORKERS, 32)] for size in (10**6, 10**8)
    )

    assert small == sorted(small, reverse=True)
    assert all(each <= 1.0 for each in large)
    assert all(a < b for a, b in zip(small[1:], large[1:], strict=True))
    assert weak(COSTS, 10**6, WORKERS, 32)[-1]["efficiency"] > small[-1]
    assert weak(COSTS, 10**6, WORKERS, 32)[-1]["scenarios"] == 10**9


@given(st.floats(0, 10), st.floats(1e-9, 10))
def test_a_line_finds_its_own_costs_again(intercept: float, slope: float):
    points = [(float(x), intercept + slope * x) for x in (1, 3, 10, 50)]

    found = line(points)

    assert found == pytest.approx((intercept, slope), rel=1e-6, abs=1e-9)


def test_a_line_never_has_costs_below_zero():
    falling, through_below = [(1.0, 5.0), (2.0, 4.0)], [(1.0, 0.1), (2.0, 5.0)]

    assert line(falling)[1] == 0.0
    assert line(through_below)[0] == 0.0
    with pytest.raises(ValueError, match="two different x and positive seconds"):
        line([(1.0, 1.0), (1.0, 2.0)])


def test_nodes_of_one_machine_share_its_cores_and_a_cluster_has_its_own():
    layouts = [{"layout1": 1.0}, {"layout2": 1.0}, {"layout4": 1.0}]

    assert places(layouts, nodes=4, tasks=4, cores=2) == [({"layout1": 1.0}, 2, 1), ({"layout4": 1.0}, 2, 4)]
    assert places(layouts, nodes=4, tasks=4, cores=64)[-1].workers == 4
    assert places([{}], nodes=5, tasks=320, cores=2) == [({}, 320, 5)]


def test_the_error_is_predicted_over_measured():
    run = Run(1_000_000, 8, 4)
    right = predict(COSTS, run).total

    assert errors(COSTS, {run: right}) == {run: pytest.approx(0.0)}
    assert errors(COSTS, {run: 2 * right}) == {run: pytest.approx(-0.5)}
    slower = replace(COSTS, scenario=2 * COSTS.scenario)
    assert errors(slower, {run: right})[run] > 0


def test_the_drawing_has_a_line_for_every_size_and_a_dot_for_every_check():
    checked = [
        {"scenarios": 10**6, "shards": shards, "nodes": 2, "measured": seconds, "predicted": 1.1 * seconds}
        for shards, seconds in ((8, 1.0), (32, 0.5))
    ]
    model = {
        "strong": {name: strong(COSTS, size, WORKERS, 32) for name, size in (("one", 10**6), ("ten", 10**7))},
        "weak": weak(COSTS, 10**6, WORKERS, 32),
        "checked": checked,
    }

    svg = drawing(model)

    assert svg.count("<circle") == 2
    assert svg.count('stroke="#1b6ca8"') == 1
    assert "one scenarios" in svg
    assert np.isfinite(
        [float(each.split(",")[0]) for each in svg.split('points="')[1].split('"')[0].split()]
    ).all()


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs /proc, found none")
def test_what_a_process_of_ray_takes_is_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(idle_ray, "LOOKED_FOR_S", 0.5)

    with subprocess.Popen([sys.executable, "-c", "while True: pass", "ray::busy"]) as process:
        share = idle_ray.idle_ray_share()
        process.kill()

    assert share is not None
    assert 0 < share <= (os.cpu_count() or 1) + 0.1
