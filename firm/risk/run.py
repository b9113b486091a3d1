"""A risk run: Monte Carlo VaR and stress of a book, cut into shards that any worker may compute.

The outcome depends on the request alone: scenarios are keyed by (seed, number), shards are whole blocks, and
tails merge exactly. However many workers there are, the same bits come out.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firm.domain.summing import plain_sum
from firm.events.risk import RiskRunCompleted, RiskRunRequested
from firm.risk_kernels.montecarlo import BLOCK, scenario_pnl
from firm.risk_kernels.tail import (
    Tail,
    TailTooShort,
    merge_tails,
    shard_request,
    shard_tail,
    tail_size,
    var_es,
)

UNIFORM_SHOCKS: dict[str, float] = {
    "equities -10 %": -0.10,
    "equities +10 %": 0.10,
    "1987-10-19, S&P 500": -0.2047,
}
"""Simple return of every equity at once. Source of the dated one: S&P 500 close of 19 October 1987."""


class Shard(NamedTuple):
    """Whole blocks of scenarios."""

    first_block: int
    blocks: int


def plan(request: RiskRunRequested, shards: int) -> list[Shard]:
    """Cut the run into at most `shards` nearly equal shards; scenarios must be a multiple of the block.

    >>> from firm.events.risk import RiskRunRequested
    >>> plan(RiskRunRequested(b"", b"", b"", 1, 0, 5 * 192, 1, 0.99), 2)
    [Shard(first_block=0, blocks=2), Shard(first_block=2, blocks=3)]
    """
    blocks, rest = divmod(request.scenarios, BLOCK)
    if rest or blocks == 0:
        raise ValueError(
            f"scenarios need to be a multiple of {BLOCK} and positive, found {request.scenarios}"
        )
    edges = [blocks * i // shards for i in range(shards + 1)]
    return [Shard(a, b - a) for a, b in pairwise(edges) if b > a]


def measure(request: RiskRunRequested, shard: Shard, at_least: int = 0) -> Tail:
    """The worst scenarios of one shard: as many as the merge will need, or `at_least`, if that is more."""
    exposures = _vector(request.exposures)
    pnl = scenario_pnl(
        shard.first_block,
        shard.blocks,
        np.frombuffer(request.loadings, "<f8").reshape(len(exposures), request.factors),
        _vector(request.idiosyncratic),
        np.zeros(len(exposures)),
        exposures,
        request.seed,
        request.degrees_of_freedom,
    )
    k = tail_size(request.scenarios, request.confidence)
    wanted = max(shard_request(k, len(pnl), request.scenarios), min(at_least, len(pnl)))
    return shard_tail(pnl, shard.first_block * BLOCK, wanted)


def conclude(
    request_seq: int, request: RiskRunRequested, tails: Sequence[Tail], again: Callable[[int, int], Tail]
) -> RiskRunCompleted:
    """Merge the shards' tails, one a shard of `plan`, and measure.

    Where a shard has returned too few scenarios to prove the merge, `again(number, k)` is asked for more.
    """
    k = tail_size(request.scenarios, request.confidence)
    parts = list(tails)
    while True:
        try:
            tail = merge_tails(parts, k)
            break
        except TailTooShort as short:
            for number in short.shards:
                parts[number] = again(number, short.k)
    var, es = var_es(tail.pnl, request.scenarios, request.confidence)
    net = plain_sum(_vector(request.exposures).tolist())
    stress = tuple((name, -shock * net) for name, shock in UNIFORM_SHOCKS.items())
    return RiskRunCompleted(request_seq, request.scenarios, var, es, -float(tail.pnl[0]), stress)


def _vector(content: bytes) -> NDArray[np.float64]:
    return np.frombuffer(content, "<f8")
