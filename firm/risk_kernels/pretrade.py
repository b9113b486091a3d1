"""Exact VaR and ES of a book with one more trade: from its worst rows alone, or from all; the same bits.

A row is a scenario. The book's P&L b and one unit's P&L c (its column) give b + q c after a trade of q, a
product rounded and then a sum rounded. Rounding is monotone, so a bound on b and a bound on q c, added in the
same way, bound the sum to the last bit: no tolerance enters the proofs.

Sums over a tail are made of two exact ones, of a coarse and a fine part of each value, so they depend on the
values alone and not on their order: whatever rows were visited, in whatever shards, ES has the same bits.

Source: Demmel and Nguyen, Fast Reproducible Floating-Point Summation (2013), for the sums; Acerbi and Tasche,
On the coherence of expected shortfall (2002), for ES.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, frexp, sqrt
from typing import Any, NamedTuple

import numpy as np

from firm.risk_kernels.pretrade_loops import compiled
from firm.risk_kernels.tail import Vector, shard_tail, tail_mass

LARGEST = 2.0**900
"""P&L from here on is refused: the split of a sum would not fit into a double."""

STEPS_MAX = 64
"""Trades a prefix takes in before it has to be sorted again."""

_SAMPLE = 4096
_MANTISSA_BITS = 52


class Rank(NamedTuple):
    """Where a tail ends: `worse` rows lie in it in full (m), `mass` with the fraction (a); see `tail`."""

    worse: int
    mass: float

    @classmethod
    def of(cls, rows: int, confidence: float) -> "Rank":
        """The rank of a confidence among this many rows; ValueError as `tail_mass`.

        >>> Rank.of(1000, 0.99)
        Rank(worse=10, mass=10.0)
        """
        mass = tail_mass(rows, confidence)
        return cls(floor(mass), mass)


class Rounding(NamedTuple):
    """What splits the addends of a sum so that it is exact; see `rounding`."""

    coarse: float
    fine: float


def rounding(largest: float, rows: int) -> Rounding:
    """The split for at most `rows` addends of size at most `largest`, which is below LARGEST.

    Adding and subtracting 1.5 * 2**(e + bits) rounds a value below 2**e to a multiple of 2**(e + bits - 52);
    2**bits such multiples add up exactly. What is left of each is treated so once more; what is left then is
    below 2**-60 of `largest` for a million rows.

    >>> coarse, _ = rounding(1000.0, 100)
    >>> (1.0 + coarse) - coarse
    1.0
    """
    bits = rows.bit_length() + 1
    exponent = frexp(largest)[1]
    left = exponent + bits - _MANTISSA_BITS
    return Rounding(1.5 * 2.0 ** (exponent + bits), 1.5 * 2.0 ** (left + bits))


def warm_up() -> None:
    """Compile the kernels now (some seconds a process), so that no order waits for it."""
    compiled()


def add_column(base: Vector, column: Vector, quantity: float) -> None:
    """Add quantity * column to base, in place: float64[rows] each, contiguous, of one length."""
    assert base.shape == column.shape, (base.shape, column.shape)
    compiled().add(base, column, quantity)


class Prefix:
    """The worst rows of a book when they were sorted, and how far every row can have moved since.

    `rows` is how many there are and `slack` by how much, in account currency, trades since then have widened
    what is known of a row's P&L.
    """

    def __init__(self, base: Vector, parts: Sequence[Vector], rows: int) -> None:
        """Sort the `rows` worst of `base` float64[S], which is cut like `parts`: O(S)."""
        tail = shard_tail(base, 0, rows)
        self.rows, self.slack = len(tail.pnl), 0.0
        self._whole = self.rows == len(base)
        self._key, self._now = tail.pnl, tail.pnl.copy()
        self._lows, self._highs, self._steps = np.zeros(STEPS_MAX), np.zeros(STEPS_MAX), 0
        self._buffer = np.empty(self.rows)
        edges = np.cumsum([0, *(len(part) for part in parts)])
        self._places: list[tuple[Any, Any]] = []
        for first, end in pairwise(edges):
            mine = np.flatnonzero((tail.index >= first) & (tail.index < end))
            self._places.append((mine, tail.index[mine] - first))

    @property
    def full(self) -> bool:
        """Whether it can take in no further trade."""
        return self._steps >= STEPS_MAX - 1

    def in_order(self, parts: Sequence[Vector]) -> Vector:
        """The values of a column, cut as the book was, in these rows."""
        ordered = np.empty(self.rows)
        for (mine, rows), part in zip(self._places, parts, strict=True):
            ordered[mine] = part[rows]
        return ordered

    def move(self, ordered: Vector, quantity: float, low: float, high: float) -> None:
        """A trade has become part of the book; its P&L is within low..high in every scenario."""
        assert not self.full, "this prefix has to be sorted again first"
        add_column(self._now, ordered, quantity)
        self._lows[self._steps], self._highs[self._steps] = low, high
        self._steps += 1
        self.slack += high - low

    def var_es(
        self, ordered: Vector, quantity: float, low: float, high: float, rank: Rank, split: Rounding
    ) -> tuple[float, float] | None:
        """VaR and ES of the book with quantity times a column whose P&L is then within low..high.

        None if these rows cannot prove the answer: ask all of them (`stream_var_es`).
        """
        if rank.worse >= self.rows:
            return None
        k = self._steps
        self._lows[k], self._highs[k] = low, high
        var, es, rows = compiled().pruned(
            self._key,
            self._now,
            ordered,
            quantity,
            self._whole,
            self._lows,
            self._highs,
            k + 1,
            *rank,
            *split,
            self._buffer,
        )
        return (var, es) if rows else None


def stream_var_es(
    bases: Sequence[Vector],
    columns: Sequence[Vector],
    quantity: float,
    ranks: Sequence[Rank],
    split: Rounding,
) -> list[tuple[float, float]]:
    """VaR and ES of base + quantity * column at each rank, from all rows: O(S).

    Parameters
    ----------
    bases, columns : sequences of float64[S_j]
        The shards of both, in the same order, contiguous, finite.
    quantity : float
        Such that no sum overflows.
    """
    kernels = compiled()
    worst = max(rank.worse for rank in ranks)
    threshold, capacity = _guess(bases, columns, quantity, worst)
    out, count = np.empty(capacity), 0
    for base, column in zip(bases, columns, strict=True):
        count = kernels.collect(base, column, quantity, threshold, out, count)
    if worst < count <= capacity:
        candidates = out[:count]
    else:
        values = np.concatenate([b + quantity * c for b, c in zip(bases, columns, strict=True)])
        candidates = values[values <= np.partition(values, worst)[worst]]
    buffer = np.empty(len(candidates))
    return [kernels.candidates_var_es(candidates, *rank, *split, buffer) for rank in ranks]


def _guess(
    bases: Sequence[Vector], columns: Sequence[Vector], quantity: float, worst: int
) -> tuple[float, int]:
    """A threshold that most likely lets the tail and little more pass, from a sample; and room for that."""
    total = sum(len(base) for base in bases)
    stride = max(1, total // _SAMPLE)
    picked, first = [], 0
    for base, column in zip(bases, columns, strict=True):
        start = -first % stride
        picked.append(base[start::stride] + quantity * column[start::stride])
        first += len(base)
    sample = np.concatenate(picked)
    share = (worst + 1) * len(sample) / total
    rank = min(len(sample) - 1, ceil(share + 4.0 * sqrt(share) + 2.0))
    return float(np.partition(sample, rank)[rank]), min(total, ceil(1.5 * (rank + 8) * stride) + 1024)
