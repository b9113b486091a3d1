"""A risk run over Ray: the same bits however it is cut, whoever is killed, wherever its cube is read."""

import os
import signal
from functools import cache

import numpy as np
import pytest
import ray
import whole_firm
from msgspec.structs import replace

from firm.actors.risk_tasks import RiskRun, warm_worker
from firm.actors.signal_seat import SignalSeat, WindowDelta
from firm.agents.signals.signal_agent import MarketWindow
from firm.bus.crew import RiskAsk
from firm.events import CODEC, Record, encode
from firm.events.risk import RiskRunCompleted, RiskRunFailed, RiskRunRequested
from firm.events.system import InstrumentsResolved
from firm.local import LocalCrew
from firm.risk.cube import KeptCubes
from firm.risk_kernels.fingerprint import numeric_fingerprint

pytestmark = [pytest.mark.ray, pytest.mark.process, pytest.mark.usefixtures("ray_cluster")]

CONFIG = whole_firm.settings("risk.var.scenarios=19200")


@cache
def asked(scenarios: int = 19200) -> RiskAsk:
    """The last risk request of a few days, with a book."""
    log = whole_firm.run(CONFIG, whole_firm.sample(3))
    (universe,) = log.read(kinds={InstrumentsResolved.KIND})
    record = log.read(kinds={RiskRunRequested.KIND})[-1]
    resolved, request = CODEC.event(universe), CODEC.event(record)
    assert isinstance(resolved, InstrumentsResolved)
    larger = record._replace(payload=encode(replace(request, scenarios=scenarios)))
    return RiskAsk(larger, resolved.instruments, deadline_ms=120_000)


def request_of(record: Record) -> RiskRunRequested:
    request = CODEC.event(record)
    assert isinstance(request, RiskRunRequested)
    return request


def run(ask: RiskAsk, shards: int) -> tuple[RiskRunCompleted | RiskRunFailed, np.ndarray]:
    """The outcome, and the whole cube from the object store."""
    started = RiskRun(ask, CONFIG, shards, numeric_fingerprint())
    outcome = started.collect()
    return outcome, np.hstack(ray.get(list(started.cube)))


def test_any_number_of_shards_gives_the_bits_of_one_thread_and_the_same_cube():
    alone = LocalCrew(CONFIG).risk_run(asked())
    cube = np.hstack(KeptCubes().columns(request_of(asked().record)))

    for shards in (1, 2, 5, 16):
        outcome, stored = run(asked(), shards)
        assert outcome == alone
        assert stored.tobytes() == cube.tobytes()


def test_a_worker_killed_in_mid_task_changes_nothing():
    ask = asked(19200 * 50)
    alone = LocalCrew(CONFIG).risk_run(ask)
    pids = set(ray.get([warm_worker.remote(numeric_fingerprint(), 0.5) for _ in range(2)]))

    started = RiskRun(ask, CONFIG, 4, numeric_fingerprint())
    done, _ = ray.wait(started.tails, num_returns=len(started.tails), timeout=0)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    outcome = started.collect()

    assert len(done) < len(started.tails), "the run was over before a worker could be killed"
    assert outcome == alone


def test_a_worker_that_computes_other_bits_is_refused_with_a_message():
    outcome = RiskRun(asked(), CONFIG, 2, "0" * 64).collect()

    assert isinstance(outcome, RiskRunFailed)
    assert "every node of this run needs the numeric fingerprint 0000000000000000, found" in outcome.reason


def test_a_bounded_cube_is_a_beginning_and_the_rest_is_computed_to_the_same_bits():
    request = request_of(asked().record)
    blocks, n = 19200 // 192, len(asked().instruments)
    bounded = whole_firm.settings("risk.var.scenarios=19200", f"risk.cube_bytes_max={30 * 192 * 8 * n}")

    started = RiskRun(asked(), bounded, 4, numeric_fingerprint())
    started.collect()
    stored = ray.get(list(started.cube))
    cubes = KeptCubes()
    cubes.keep(request, lambda: stored)
    parts = cubes.columns(request)

    assert [part.shape[1] // 192 for part in stored] == [25, 5]
    assert sum(part.shape[1] for part in parts) == blocks * 192
    assert np.hstack(parts).tobytes() == np.hstack(KeptCubes().columns(request)).tobytes()
    assert not stored[0].flags.writeable  # read where it lies in the object store
    assert not stored[0].flags.owndata


def test_a_signal_seat_that_computes_other_bits_answers_nothing_and_says_why():
    seat = ray.remote(SignalSeat).options(num_cpus=0).remote(CONFIG.model_dump_json(), "0" * 64)
    window = MarketWindow(("KO",), np.zeros(0, np.int64), np.zeros((0, 1)))
    delta = WindowDelta(0, window.times, window.closes)

    with pytest.raises(ray.exceptions.RayTaskError, match="needs the numeric fingerprint 0000000000000000"):
        ray.get(seat.answer.remote([("momentum", ["KO"])], window, delta))
