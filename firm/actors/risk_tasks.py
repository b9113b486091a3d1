"""Risk runs as Ray tasks: one task a shard, merged in the order of the shards."""

import os
import time
from functools import cache
from typing import Any

import ray

from firm.actors.cluster import place
from firm.bus.crew import RiskAsk
from firm.config import Settings
from firm.domain.instrument import Instrument
from firm.errors import FirmError
from firm.events import CODEC
from firm.events.risk import RiskRunCompleted, RiskRunFailed, RiskRunRequested
from firm.risk.cube import Shard, plan
from firm.risk.run import conclude, kept_blocks, measure, stress_losses
from firm.risk.stress import stress_of
from firm.risk_kernels.fingerprint import numeric_fingerprint
from firm.risk_kernels.tail import Tail

Stress = tuple[tuple[str, float], ...]
WARM_HOLD_S, WARM_ROUNDS_MAX = 0.5, 5
MERGE_S = 1.0
"""What collecting may take after the signals, whom the run did not wait for, have used up the time."""
INLINE_BYTES_MAX = 100_000
"""A request up to this size goes with the call; a larger one is put into the object store once."""


@cache
def _own_fingerprint() -> str:
    return numeric_fingerprint()


def _measure(
    request: RiskRunRequested, shard: Shard, keep: int, at_least: int, fingerprint: str
) -> tuple[Tail, Any]:
    require_fingerprint(_own_fingerprint(), fingerprint)
    found = measure(request, shard, keep, at_least)
    return found.tail, found.columns


def _measure_and_stress(
    request: RiskRunRequested,
    shard: Shard,
    keep: int,
    fingerprint: str,
    settings: Settings,
    instruments: tuple[Instrument, ...],
) -> tuple[tuple[Tail, Stress], Any]:
    """The first shard's task has the stress scenarios as well: a task of their own would wait for a CPU."""
    stress = stress_losses(request, stress_of(settings, instruments))
    tail, columns = _measure(request, shard, keep, 0, fingerprint)
    return (tail, stress), columns


def _warm(fingerprint: str, hold_s: float) -> int:
    require_fingerprint(_own_fingerprint(), fingerprint)
    time.sleep(hold_s)  # so that the other tasks of this round find this worker taken, and warm another
    return os.getpid()


def require_fingerprint(found: str, needed: str) -> None:
    """A process that computes other bits than the run may not compute for it, whenever it joined."""
    if found != needed:
        raise FirmError(
            f"every node of this run needs the numeric fingerprint {needed[:16]}, found {found[:16]}; "
            "use machines of one kind, or leave that node out"
        )


measure_shard: Any = ray.remote(num_cpus=1, max_retries=3, num_returns=2)(_measure)
measure_and_stress: Any = ray.remote(num_cpus=1, max_retries=3, num_returns=2)(_measure_and_stress)
warm_worker: Any = ray.remote(num_cpus=1, max_retries=3, scheduling_strategy="SPREAD")(_warm)


def _cube_bytes_max(settings: Settings) -> int:
    """As configured, but at most half of this node's object store: Risk, who reads the cube, is here too.

    More would fit, since Ray spills to disk, but then every order waits for a disk.
    """
    return min(settings.risk.cube_bytes_max, _store_bytes() // 2)


@cache
def _place() -> dict[str, float]:
    """Only the nodes with the role compute, whether or not one is there at the moment."""
    return place("risk")


@cache
def _store_bytes() -> int:
    here = ray.get_runtime_context().get_node_id()
    offered = next(node["Resources"] for node in ray.nodes() if node["NodeID"] == here)
    return int(offered["object_store_memory"])


class RiskRun:
    """A run under way: started at once, collected later. `tails` and `cube` refer to what shards leave."""

    def __init__(self, ask: RiskAsk, settings: Settings, shards: int, fingerprint: str) -> None:
        request = CODEC.event(ask.record)
        assert isinstance(request, RiskRunRequested)
        self._ask, self._fingerprint = ask, fingerprint
        self._started = time.monotonic()
        self._shards = plan(request, shards)
        self.request = request
        self._shared = request if len(ask.record.payload) <= INLINE_BYTES_MAX else ray.put(request)
        keep = kept_blocks(request, self._shards, _cube_bytes_max(settings))
        first = measure_and_stress.options(resources=_place()).remote(
            self._shared, self._shards[0], keep[0], fingerprint, settings, ask.instruments
        )
        rest = [self._start(*shard, 0) for shard in zip(self._shards[1:], keep[1:], strict=True)]
        self.tails = [tail for tail, _ in (first, *rest)]
        self.cube = tuple(columns for (_, columns), kept in zip((first, *rest), keep, strict=True) if kept)

    def collect(self) -> RiskRunCompleted | RiskRunFailed:
        """Wait for the shards and merge. Too late, lost, or failed: `RiskRunFailed`, and no new risk."""
        try:
            (first, stress), *rest = ray.get(self.tails, timeout=self._left())
            return conclude(self._ask.record.seq, self.request, [first, *rest], stress, self._again)
        except ray.exceptions.GetTimeoutError:
            for task in self.tails:
                ray.cancel(task, force=False)
            return RiskRunFailed(self._ask.record.seq, f"no answer within {self._ask.deadline_ms} ms")
        except ray.exceptions.RayError as error:
            reason = getattr(error, "cause", None) or error
            return RiskRunFailed(self._ask.record.seq, f"{type(reason).__name__}: {reason}")

    def _start(self, shard: Shard, keep: int, at_least: int) -> Any:
        start = measure_shard.options(resources=_place()).remote
        return start(self._shared, shard, keep, at_least, self._fingerprint)

    def _again(self, number: int, k: int) -> Tail:
        tail: Tail = ray.get(self._start(self._shards[number], 0, k)[0], timeout=self._left())
        return tail

    def _left(self) -> float | None:
        if self._ask.deadline_ms is None:
            return None
        return max(MERGE_S, self._started + self._ask.deadline_ms / 1000 - time.monotonic())


def warm_workers(count: int, fingerprint: str) -> None:
    """Compile the kernels on `count` workers. FirmError if one computes other bits than this run's.

    Where no node for risk is left nobody is waited for: they prove themselves with every task as well.
    """
    if not _place().keys() <= ray.cluster_resources().keys():
        return
    warmed: set[int] = set()
    for _ in range(WARM_ROUNDS_MAX):
        warm = warm_worker.options(resources=_place()).remote
        warmed |= set(ray.get([warm(fingerprint, WARM_HOLD_S) for _ in range(count)]))
        if len(warmed) >= count:
            return
