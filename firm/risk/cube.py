"""The scenario cube: P&L of one unit of every contract in every scenario, a pure function of the request.

Whoever computed a shard may keep it, and whoever needs it may take it from there or compute it again: the
bits are the same. `Cubes` is that choice.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from firm.events.risk import RiskRunRequested
from firm.risk_kernels.contracts import CONTRACT, FactorLaw, Ladders, Payoff
from firm.risk_kernels.ladders import american_ladders
from firm.risk_kernels.montecarlo import BLOCK, scenario_columns

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_LADDER_WIDTH = 1.5
"""Log-returns an American option is tabulated for: a fall to 22 %, a rise to 450 % within the horizon."""


class Shard(NamedTuple):
    """Whole blocks of scenarios."""

    first_block: int
    blocks: int


class Scenarios:
    """A request, unpacked: what the kernels take."""

    def __init__(self, request: RiskRunRequested) -> None:
        self.request = request
        self.contracts = np.frombuffer(request.contracts, CONTRACT)
        self.quantities = _vector(request.quantities)
        n = len(self.contracts)
        self.law = FactorLaw(
            loadings=_vector(request.loadings).reshape(n, request.factors),
            idiosyncratic=_vector(request.idiosyncratic),
            drift=np.zeros(n),
            degrees_of_freedom=request.degrees_of_freedom,
        )

    @cached_property
    def ladders(self) -> Ladders | None:
        """The tables of the American options, if there are any."""
        if not (self.contracts["payoff"] == Payoff.AMERICAN).any():
            return None
        return american_ladders(self.contracts, _LADDER_WIDTH)

    def columns(self, shard: Shard) -> Matrix:
        """P&L of one unit of each contract, float64[n, shard.blocks * BLOCK]."""
        return scenario_columns(
            shard.first_block,
            shard.blocks,
            self.law,
            self.contracts,
            self.request.seed,
            ladders=self.ladders,
        )


class Cubes(Protocol):
    """Where the scenario columns of a run come from."""

    def columns(self, request: RiskRunRequested) -> Sequence[Matrix]:
        """The shards of the cube in the order of scenarios, float64[n, S_j] each, read-only."""

    def forget(self) -> None:
        """Nobody will ask for the last run's any more: room for the next."""


class KeptCubes:
    """Takes what the last run has left, and computes whatever is missing where it is asked for."""

    def __init__(self) -> None:
        self._request: RiskRunRequested | None = None
        self._fetch: Callable[[], Sequence[Matrix]] = tuple

    def keep(self, request: RiskRunRequested, fetch: Callable[[], Sequence[Matrix]]) -> None:
        """`fetch` gets what the shards of the run have kept: the cube, a beginning of it, or nothing."""
        self._request, self._fetch = request, fetch

    def forget(self) -> None:
        """See Cubes."""
        self._request, self._fetch = None, tuple

    def columns(self, request: RiskRunRequested) -> Sequence[Matrix]:
        """See Cubes."""
        kept = list(self._fetch()) if request == self._request else []
        first = sum(part.shape[1] for part in kept) // BLOCK
        rest = request.scenarios // BLOCK - first
        if rest:
            kept.append(Scenarios(request).columns(Shard(first, rest)))
        return kept


def plan(request: RiskRunRequested, shards: int) -> list[Shard]:
    """Cut the run into at most `shards` nearly equal shards; scenarios must be a multiple of the block."""
    blocks, rest = divmod(request.scenarios, BLOCK)
    if rest or blocks == 0:
        raise ValueError(
            f"scenarios need to be a multiple of {BLOCK} and positive, found {request.scenarios}"
        )
    edges = [blocks * i // shards for i in range(shards + 1)]
    return [Shard(a, b - a) for a, b in pairwise(edges) if b > a]


def _vector(content: bytes) -> Vector:
    return np.frombuffer(content, "<f8")
