"""A risk run: Monte Carlo VaR and ES and the stress losses of a book, by shards any worker may compute.

The outcome depends on the request alone: scenarios are keyed by (seed, number), shards are whole blocks, and
tails merge exactly. However many workers there are, the same bits come out.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firm.events.risk import RiskRunCompleted, RiskRunRequested
from firm.risk.cube import Scenarios, Shard, plan
from firm.risk.stress_tester import CompiledStress
from firm.risk_kernels.montecarlo import BLOCK, scenario_run
from firm.risk_kernels.tail import (
    Tail,
    TailTooShort,
    merge_tails,
    shard_request,
    shard_tail,
    tail_size,
    var_es,
)

__all__ = ["Measured", "Shard", "conclude", "kept_blocks", "measure", "plan", "stress_losses"]

Matrix = NDArray[np.float64]


class Measured(NamedTuple):
    """What a shard leaves: its worst scenarios, and the columns of its first blocks for the cube."""

    tail: Tail
    columns: Matrix


def kept_blocks(request: RiskRunRequested, shards: Sequence[Shard], cube_bytes_max: int) -> list[int]:
    """How many blocks each shard may keep in the object store, the first shards first."""
    n = len(request.quantities) // 8
    left = cube_bytes_max // (n * BLOCK * 8)
    kept = []
    for shard in shards:
        kept.append(min(shard.blocks, left))
        left -= kept[-1]
    return kept


def measure(request: RiskRunRequested, shard: Shard, keep: int, at_least: int = 0) -> Measured:
    """The worst scenarios of one shard: as many as the merge will need, or `at_least`, if that is more.

    With them the columns float64[n, keep * BLOCK] of its first `keep` blocks.
    """
    scenarios = Scenarios(request)
    pnl, columns = scenario_run(
        shard.first_block,
        shard.blocks,
        scenarios.law,
        scenarios.contracts,
        scenarios.quantities,
        request.seed,
        kept_blocks=keep,
        ladders=scenarios.ladders,
    )
    wanted = max(shard_request(_tail_size(request), len(pnl), request.scenarios), min(at_least, len(pnl)))
    return Measured(shard_tail(pnl, shard.first_block * BLOCK, wanted), columns)


def stress_losses(request: RiskRunRequested, stress: CompiledStress) -> tuple[tuple[str, float], ...]:
    """The loss of the book in each named scenario, positive = loss, account currency.

    PositionNotMapped if a scenario says nothing about something held.
    """
    scenarios = Scenarios(request)
    return stress.losses(scenarios.contracts, scenarios.quantities)


def conclude(
    request_seq: int,
    request: RiskRunRequested,
    tails: Sequence[Tail],
    stress: tuple[tuple[str, float], ...],
    again: Callable[[int, int], Tail],
) -> RiskRunCompleted:
    """Merge the shards' tails, one a shard of `plan`, and measure.

    Where a shard has returned too few scenarios to prove the merge, `again(number, k)` is asked for more.
    """
    k = _tail_size(request)
    parts = list(tails)
    while True:
        try:
            tail = merge_tails(parts, k)
            break
        except TailTooShort as short:
            for number in short.shards:
                parts[number] = again(number, short.k)
    var, _ = var_es(tail.pnl, request.scenarios, request.confidence)
    _, es = var_es(tail.pnl, request.scenarios, request.es_confidence)
    worst = -float(tail.pnl[0])
    nothing = 0.0  # added, it makes the -0.0 of an empty book 0
    return RiskRunCompleted(
        request_seq, request.scenarios, var + nothing, es + nothing, worst + nothing, stress
    )


def _tail_size(request: RiskRunRequested) -> int:
    return max(tail_size(request.scenarios, level) for level in (request.confidence, request.es_confidence))
