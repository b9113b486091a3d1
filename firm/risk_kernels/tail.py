"""Exact VaR and ES from the tails of the shards: select, merge with a certificate, measure.

Scenarios are ordered by (P&L, scenario index), worst first. Indices are unique, so the order is total, a
tail has one answer, and no merge depends on how the scenarios were split. Conventions: with S scenarios at
confidence alpha, a = S (1 - alpha) rounded to nine decimals and m = floor(a), losses L_(1) >= L_(2) >= ...

Source: Acerbi and Tasche, On the coherence of expected shortfall (2002).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, sqrt
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_EQUAL = 1e-12
"""A sum of weights this close to the tail meets it: what is left is rounding."""

QuantileConvention = Literal["inverted_cdf", "mth_worst"]
"""`inverted_cdf`: VaR = L_(m+1), the lower quantile. `mth_worst`: VaR = L_(m), Hull's, a loss more severe."""


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """The worst scenarios of a shard or of a run, worst first.

    `pnl` float64[k] in account currency, `index` int64[k] the global scenario numbers, `scenarios` how many
    scenarios they were selected from.
    """

    pnl: Vector
    index: Indices
    scenarios: int


class TailTooShort(ValueError):  # named like the firm's own errors
    """A shard returned too few scenarios to prove the merged tail.

    `shards` are the positions of the parts to ask again; asking each for `k` is always enough.
    """

    def __init__(self, shards: tuple[int, ...], k: int) -> None:
        super().__init__(
            f"the {k} worst scenarios need every shard's mildest answer to be milder than the last of them, "
            f"found shards {list(shards)} that may hold back worse ones; ask them for more, at most {k} each"
        )
        self.shards, self.k = shards, k

    def __reduce__(self) -> tuple[type["TailTooShort"], tuple[tuple[int, ...], int]]:
        return (type(self), (self.shards, self.k))


def tail_size(scenarios: int, confidence: float) -> int:
    """How many worst scenarios `var_es` needs: m + 1.

    >>> tail_size(1000, 0.99)
    11
    """
    return floor(tail_mass(scenarios, confidence)) + 1


def weighted_quantile(pnl: Vector, weights: Vector, tail: float) -> float:
    """The loss of the first scenario, worst first, at which the weights so far exceed `tail`, 0 or more.

    `weighted_var_es` says what is meant and what is refused.
    """
    worst, _, end = _weighted_tail(pnl, weights, tail)
    return -float(worst[end])


def weighted_var_es(pnl: Vector, weights: Vector, confidence: float) -> tuple[float, float]:
    """VaR and ES of scenarios that are not equally likely, as positive losses.

    Worst first, VaR is the loss at which the probability so far exceeds 1 - confidence; ES fills the tail to
    exactly that. With equal weights both are those of `var_es`. Only the tail's weights matter: those of
    importance sampling sum to 1 on average only, and are not rescaled.

    Parameters
    ----------
    pnl, weights : float64[scenarios]
        P&L in account currency; probability of each scenario, at least 0.

    Raises
    ------
    ValueError
        If a number is not finite, a weight is negative, shapes disagree, confidence is not in (0, 1), or the
        weights do not reach the tail.

    >>> weighted_var_es(np.array([-5.0, 1.0, -3.0, 2.0]), np.array([0.1, 0.4, 0.2, 0.3]), 0.75)
    (3.0, 3.8)
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence needs to be strictly between 0 and 1, found {confidence}")
    tail = round(1.0 - confidence, 12)
    worst, weight, end = _weighted_tail(pnl, weights, tail)
    value, before = float(worst[end]), float(weight[:end].cumsum()[-1]) if end else 0.0
    shortfall = -(float(pairwise_sum(worst[:end] * weight[:end])) + (tail - before) * value) / tail
    return -value, max(shortfall, -value)


def _weighted_tail(pnl: Vector, weights: Vector, tail: float) -> tuple[Vector, Vector, int]:
    """P&L and weights worst first, and where the weights so far exceed the tail."""
    if pnl.ndim != 1 or pnl.shape != weights.shape:
        raise ValueError(f"weights need the shape of the P&L, found {weights.shape} and {pnl.shape}")
    _refuse_non_finite(pnl)
    if not (np.all(np.isfinite(weights)) and np.all(weights >= 0.0)):
        raise ValueError(f"weights need to be finite and at least 0, found {weights.min()}..{weights.max()}")
    order = np.argsort(pnl, kind="stable")
    worst, weight = pnl[order], weights[order]
    end = int(np.searchsorted(np.cumsum(weight), tail * (1.0 + _EQUAL), side="right"))
    if end == len(worst):
        raise ValueError(
            f"a tail of probability {tail:.6g} needs weights beyond it, found a sum of {weight.sum():.6g}"
        )
    return worst, weight, end


def tail_mass(scenarios: int, confidence: float) -> float:
    """How many scenarios the tail is worth: a = S (1 - confidence), rounded to nine decimals.

    1000 * (1 - 0.99) is 10.000000000000009 in binary, hence the rounding.

    Raises
    ------
    ValueError
        If confidence is not in (0, 1) or the tail is empty.

    >>> tail_mass(1000, 0.99)
    10.0
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence needs to be strictly between 0 and 1, found {confidence}")
    mass = round(scenarios * (1.0 - confidence), 9)
    if mass <= 0.0:
        raise ValueError(
            f"{scenarios} scenarios have no tail at confidence {confidence}; lower it or add scenarios"
        )
    return mass


def shard_request(k: int, shard_scenarios: int, scenarios: int) -> int:
    """How many worst scenarios to ask of a shard so that merging k almost never needs a second question.

    Its expected share plus six standard deviations and eight; never more than it has or than k.

    >>> shard_request(1001, 10_000, 100_000)
    169
    """
    share = k * shard_scenarios / scenarios
    return min(k, shard_scenarios, ceil(share + 6.0 * sqrt(share) + 8.0))


def shard_tail(pnl: Vector, first_scenario: int, k: int) -> Tail:
    """The k worst scenarios of a shard (all of them if it has fewer), sorted by (P&L, index).

    Parameters
    ----------
    pnl : float64[scenarios]
        P&L in account currency, gains positive; element i is scenario `first_scenario + i`.
    first_scenario : int
        Global number of the first.
    k : int
        At least 1.

    Raises
    ------
    ValueError
        If a P&L is NaN or infinite (a sort would put NaN among the mildest), or nothing is asked for.

    >>> shard_tail(np.array([3.0, -5.0, 1.0, -5.0]), 100, 2)
    Tail(pnl=array([-5., -5.]), index=array([101, 103]), scenarios=4)
    """
    if pnl.ndim != 1 or not len(pnl) or k < 1:
        raise ValueError(
            f"a tail needs a vector of P&L and k of at least 1, found shape {pnl.shape} and k = {k}"
        )
    _refuse_non_finite(pnl)
    k = min(k, len(pnl))
    mildest = np.partition(pnl, k - 1)[k - 1]
    candidates = np.flatnonzero(pnl <= mildest)
    worst = candidates[np.argsort(pnl[candidates], kind="stable")[:k]]
    return Tail(pnl[worst], worst.astype(np.int64) + first_scenario, len(pnl))


def merge_tails(parts: Sequence[Tail], k: int) -> Tail:
    """The k worst scenarios of all shards together, proven exact.

    The proof: what a shard held back comes, in the order of (P&L, index), after the mildest it returned. If
    that one is not before the k-th of the merge, nothing held back is among the k worst. A shard that
    returned everything it has holds back nothing.

    Parameters
    ----------
    parts : sequence of Tail
        One of each shard, together covering the run, in any order.
    k : int
        At least 1 and at most the scenarios of all shards.

    Raises
    ------
    TailTooShort
        If a shard must be asked for more; it says which.
    ValueError
        If a P&L is NaN or infinite, two shards name the same scenario, or k is out of bounds.

    >>> left, right = shard_tail(np.array([-1.0, -9.0]), 0, 2), shard_tail(np.array([-3.0, 4.0]), 2, 2)
    >>> merge_tails([left, right], 2)
    Tail(pnl=array([-9., -3.]), index=array([1, 2]), scenarios=4)
    """
    scenarios = sum(part.scenarios for part in parts)
    if not 1 <= k <= scenarios:
        raise ValueError(f"a merged tail needs k in 1..{scenarios}, the scenarios of all shards; found {k}")
    pnl = np.concatenate([part.pnl for part in parts])
    index = np.concatenate([part.index for part in parts])
    _refuse_non_finite(pnl)
    if len(np.unique(index)) < len(index):
        raise ValueError(
            f"shards need to be disjoint, found {len(index) - len(np.unique(index))} scenarios twice"
        )
    order = np.lexsort((index, pnl))[:k]
    tail = Tail(pnl[order], index[order], scenarios)
    short = tuple(number for number, part in enumerate(parts) if _may_hold_back(part, tail, k))
    if short:
        raise TailTooShort(short, k)
    return tail


def var_es(
    tail: Tail | Vector, scenarios: int, confidence: float, convention: QuantileConvention = "inverted_cdf"
) -> tuple[float, float]:
    """Value-at-Risk and expected shortfall from the worst P&L of a run, as positive losses.

    VaR = L_(m+1), the smallest loss l with P(L <= l) >= confidence (or L_(m), see `QuantileConvention`);
    ES = (L_(1) + ... + L_(m) + (a - m) L_(m+1)) / a, coherent also with ties and fractional tails.

    Parameters
    ----------
    tail : Tail or float64[at least tail_size]
        What `merge_tails` or `shard_tail` returned, or its P&L in account currency, worst first.
    scenarios : int
        Scenarios of the whole run, S.
    confidence : float
        Probability that the loss stays within VaR, strictly between 0 and 1.

    Returns
    -------
    (float, float)
        VaR and ES in account currency; negative if even the tail gains. ES >= VaR with `inverted_cdf`.

    Raises
    ------
    ValueError
        If the tail is too short, unsorted or not finite, or (for `mth_worst`) m is 0.

    >>> var_es(np.array([-20.0, -10.0, -4.0]), 100, 0.98)
    (4.0, 15.0)
    """
    mass = tail_mass(scenarios, confidence)
    m = floor(mass)
    pnl = tail.pnl if isinstance(tail, Tail) else tail
    if len(pnl) <= m:
        raise ValueError(
            f"VaR at {confidence:.4%} of {scenarios} scenarios needs the {m + 1} worst, found {len(pnl)}"
        )
    _refuse_non_finite(pnl)
    if np.any(pnl[1:] < pnl[:-1]):
        raise ValueError("a tail needs to be sorted worst first, found a milder scenario before a worse one")
    if convention == "mth_worst" and m == 0:
        raise ValueError(f"the m-th worst of {scenarios} scenarios at {confidence:.4%} needs m >= 1, found 0")
    var = -float(pnl[m if convention == "inverted_cdf" else m - 1])
    shortfall = -(float(pairwise_sum(pnl[:m])) + (mass - m) * float(pnl[m])) / mass
    # rounding may not turn a tail of equal losses into an ES below its VaR
    return var, max(shortfall, -float(pnl[m]))


def pairwise_sum(values: npt.NDArray[np.float64]) -> Any:
    """Sum along the first axis in a tree whose shape depends on the length alone: the same bits everywhere.

    Source: Higham, Accuracy and Stability of Numerical Algorithms (2002), chapter 4.

    >>> float(pairwise_sum(np.array([1.0, 2.0, 4.0])))
    7.0
    """
    if not len(values):
        return np.zeros(values.shape[1:])
    while (size := len(values)) > 1:
        half = size // 2
        halves = values[:half] + values[half : 2 * half]
        values = np.concatenate([halves, values[2 * half :]]) if size % 2 else halves
    return values[0]


def _may_hold_back(part: Tail, tail: Tail, k: int) -> bool:
    if len(part.pnl) == part.scenarios:
        return False
    if not len(part.pnl) or len(tail.pnl) < k:
        return True
    mildest, last = (part.pnl[-1], part.index[-1]), (tail.pnl[-1], tail.index[-1])
    return bool(mildest < last)


def _refuse_non_finite(pnl: Vector) -> None:
    if bad := int(np.count_nonzero(~np.isfinite(pnl))):
        raise ValueError(
            f"every P&L needs to be finite, found {bad} NaN or infinite of {len(pnl)}; no VaR is published"
        )
