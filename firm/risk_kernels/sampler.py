"""Fewer scenarios for the same tail: sampling that looks where the losses are, and says when it should not.

A pilot of plain scenarios decides. If losses follow one linear driver, its values are stratified and its
upper tail is sampled more densely; if they follow a quadratic form of the common factors, those are drawn
from a law tilted along it (normal laws only); else scenarios stay plain. A tenth of any sample follows the
plain law, so no weight exceeds ten and no corner of the law is out of reach; and figures that the pilot's own
VaR contradicts are not published: those of a plain run are.

Shards are ranges of blocks, as in `montecarlo`: a plan is made once, and a scenario is a pure function of
(plan, seed, number).

Source: Glasserman, Heidelberger and Shahabuddin, Variance Reduction Techniques for Estimating Value-at-Risk
(2000); Hesterberg, Weighted Average Importance Sampling and Defensive Mixture Distributions (1995).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist
from typing import Final, Literal, NamedTuple

import numpy as np

from firm.risk_kernels.contracts import Contracts, FactorLaw, Ladders, Vector
from firm.risk_kernels.montecarlo import scenario_pnl
from firm.risk_kernels.normals import BLOCK
from firm.risk_kernels.sampler_run import (
    Line,
    Run,
    Strata,
    Tilt,
    loss_line,
    plain_tilt,
    sensitivities,
    tilt_towards,
)
from firm.risk_kernels.tail import weighted_quantile, weighted_var_es

Method = Literal["plain", "stratified", "tilted"]

PILOT_BLOCKS: Final = 42
"""8,064 plain scenarios."""

PLAIN_SHARE: Final = 0.1
LINEAR_R_SQUARED: Final = 0.95
QUADRATIC_R_SQUARED: Final = 0.5

INTERVAL_DEVIATIONS: Final = 3.2905
"""Half the width of every interval here: 99.9 % of a normal error."""

_ORIGIN = 2**39
"""The generator's block at which samples begin: no scenario is one of the pilot or a plain run."""


class Plan(NamedTuple):
    """How to sample a book; made once by `sampling_plan`, and the same for every shard.

    `reason` says why this method, `r_squared` how much of the pilot's variance of losses its driver explains.
    Of the blocks 0 .. blocks - 1 the first `plain_blocks` follow the plain law. `region` is the probability
    of the upper tail of the driver in which the others of a stratified sample are. `intervals` are low and
    high of the pilot's VaR at each of `confidences`.
    """

    method: Method
    reason: str
    r_squared: float
    blocks: int
    plain_blocks: int
    region: float
    line: Line
    tilt: Tilt
    confidences: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]


class Sample(NamedTuple):
    """Scenarios: P&L in account currency, and what each counts for beside a plain one; float64[scenarios]."""

    pnl: Vector
    weights: Vector


@dataclass(frozen=True, slots=True)
class TailEstimate:
    """VaR and ES in account currency, positive = loss, with what is needed to judge them.

    `low`..`high` is the interval of VaR; `effective` is how many equally weighted scenarios those at and
    beyond VaR are worth, `largest_weight` the largest weight of any, 10 at most. `method` is the one whose
    figures these are, and `reason` says why.
    """

    var: float
    es: float
    low: float
    high: float
    effective: float
    largest_weight: float
    method: Method
    reason: str


def sampling_plan(
    law: FactorLaw,
    contracts: Contracts,
    quantities: Vector,
    blocks: int,
    confidences: Sequence[float],
    seed: int,
    *,
    ladders: Ladders | None = None,
) -> Plan:
    """Run the pilot, and decide how `blocks` blocks of scenarios are to be sampled.

    Uses BLAS and LAPACK, whose bits depend on the machine: make it once and ship it.

    Parameters
    ----------
    law, contracts, quantities, seed, ladders
        As for `montecarlo.scenario_pnl`. The pilot is the first PILOT_BLOCKS blocks of that run.
    blocks : int
        One block alone is always plain.
    confidences : sequence of float
        Of the figures wanted, each in (0, 1).

    Raises
    ------
    ValueError
        As `scenario_pnl`; or if a P&L of the pilot is not finite, or a confidence is out of its bounds.
    """
    book = sensitivities(law, contracts, quantities, ladders)
    run = Run(law, contracts, quantities, seed, ladders)
    line, tilt = loss_line(law, book.delta), plain_tilt(law, book)
    pnl, drivers = run.driven(0, PILOT_BLOCKS, line)
    intervals = tuple(_interval(Sample(pnl, np.ones(len(pnl))), value, None) for value in confidences)
    linear = _r_squared(pnl, drivers)
    plan = Plan("plain", "", linear, blocks, blocks, 1.0, line, tilt, tuple(confidences), intervals)
    if blocks == 1:
        return plan._replace(reason="a sample of one block is plain")
    mixed = plan._replace(plain_blocks=ceil(PLAIN_SHARE * blocks))
    if linear >= LINEAR_R_SQUARED:
        return mixed._replace(
            method="stratified",
            reason=f"losses follow the deltas: R^2 {linear:.4f}, {LINEAR_R_SQUARED} needed",
            region=_region(linear, min(confidences)),
        )
    if law.degrees_of_freedom:
        return plan._replace(reason=f"losses do not follow the deltas: R^2 {linear:.4f}; Student-t: plain")
    forms = run.tilted(0, PILOT_BLOCKS, tilt, PILOT_BLOCKS)[2]
    quadratic = _r_squared(pnl, forms)
    beyond = weighted_quantile(pnl, np.full(len(pnl), 1.0 / len(pnl)), 1.0 - max(confidences))
    tilted = tilt_towards(tilt, float(forms[-pnl >= beyond].mean()))
    if quadratic < QUADRATIC_R_SQUARED or tilted is None:
        return plan._replace(
            reason=f"losses follow neither the deltas, R^2 {linear:.4f}, nor a quadratic form, "
            f"R^2 {quadratic:.4f}"
        )
    return mixed._replace(
        method="tilted",
        reason=f"losses follow a quadratic form: R^2 {quadratic:.4f}, {QUADRATIC_R_SQUARED} needed",
        r_squared=quadratic,
        tilt=tilted,
    )


def sample(
    first_block: int,
    blocks: int,
    plan: Plan,
    law: FactorLaw,
    contracts: Contracts,
    quantities: Vector,
    seed: int,
    *,
    ladders: Ladders | None = None,
) -> Sample:
    """The scenarios of a shard of the plan: blocks first_block .. first_block + blocks - 1 of plan.blocks.

    Raises
    ------
    ValueError
        As `scenario_pnl`, or if the shard is not within the plan.
    """
    if first_block < 0 or blocks < 1 or first_block + blocks > plan.blocks:
        raise ValueError(
            f"a shard needs 1 or more of the plan's {plan.blocks} blocks, found {blocks} from {first_block}"
        )
    run = Run(law, contracts, quantities, seed, ladders)
    start = _ORIGIN + first_block
    match plan.method:
        case "plain":
            pnl = scenario_pnl(first_block, blocks, law, contracts, quantities, seed, ladders=ladders)
            return Sample(pnl, np.ones(len(pnl)))
        case "stratified":
            targets, weights = run.targets(first_block, blocks, _strata(plan), _ORIGIN)
            return Sample(run.driven(start, blocks, plan.line, targets)[0], weights)
        case "tilted":
            plain = plan.plain_blocks / plan.blocks
            pnl, ratios, _ = run.tilted(start, blocks, plan.tilt, plan.plain_blocks - first_block)
            return Sample(pnl, 1.0 / (plain + (1.0 - plain) * ratios))


def conclude(parts: Sequence[Sample], plan: Plan, confidence: float, es_confidence: float) -> TailEstimate:
    """VaR at `confidence` and ES at `es_confidence` from the shards of the whole plan, in order.

    Compare with the pilot by `contradiction` before using the figures.

    Raises
    ------
    ValueError
        If a P&L is not finite, or the shards are not those of the plan.
    """
    whole = _joined(parts)
    n = len(whole.pnl)
    if n != plan.blocks * BLOCK:
        raise ValueError(f"the plan needs {plan.blocks * BLOCK} scenarios, found {n}")
    pnl, shares = _worst_first(whole)
    var = weighted_var_es(pnl, shares, confidence)[0]
    es = weighted_var_es(pnl, shares, es_confidence)[1]
    low, high = _interval(whole, confidence, plan)
    tail = whole.weights[whole.pnl <= -var]
    return TailEstimate(
        var=var,
        es=es,
        low=low,
        high=high,
        effective=float(tail.sum() ** 2 / (tail**2).sum()),
        largest_weight=float(whole.weights.max()),
        method=plan.method,
        reason=plan.reason,
    )


def contradiction(parts: Sequence[Sample], plan: Plan) -> str | None:
    """Why the sample is not to be believed: its VaR at one of the plan's confidences is not in the pilot's.

    None if it is to be believed. The pilot is plain and not part of the sample.
    """
    pnl, shares = _worst_first(_joined(parts))
    for confidence, (low, high) in zip(plan.confidences, plan.intervals, strict=True):
        var = weighted_var_es(pnl, shares, confidence)[0]
        if not low <= var <= high:
            return (
                f"{plan.method} VaR at {confidence:.4%} of {var:.6g} is outside {low:.6g}..{high:.6g}, the "
                f"interval of {PILOT_BLOCKS * BLOCK} plain scenarios"
            )
    return None


def estimate(
    plan: Plan,
    law: FactorLaw,
    contracts: Contracts,
    quantities: Vector,
    confidence: float,
    es_confidence: float,
    seed: int,
    *,
    ladders: Ladders | None = None,
) -> TailEstimate:
    """The plan's sample in one shard, compared with the pilot; where they contradict, the plain run."""
    book = law, contracts, quantities
    parts = [sample(0, plan.blocks, plan, *book, seed, ladders=ladders)]
    found = contradiction(parts, plan)
    if found is not None and plan.method != "plain":
        plan = plan._replace(method="plain", reason=found, plain_blocks=plan.blocks)
        parts = [sample(0, plan.blocks, plan, *book, seed, ladders=ladders)]
    return conclude(parts, plan, confidence, es_confidence)


def tail_estimate(
    law: FactorLaw,
    contracts: Contracts,
    quantities: Vector,
    blocks: int,
    confidence: float,
    es_confidence: float,
    seed: int,
    *,
    ladders: Ladders | None = None,
) -> TailEstimate:
    """Pilot, plan and `estimate` in this process; parameters as before.

    >>> from firm.risk_kernels.contracts import linear_contracts
    >>> law = FactorLaw(np.full((2, 1), 0.01), np.full(2, 0.001), np.zeros(2), 0)
    >>> found = tail_estimate(law, linear_contracts(2), np.array([1e6, 1e6]), 43, 0.99, 0.975, seed=7)
    >>> found.method, round(found.var, -3)
    ('stratified', 46000.0)
    """
    book = law, contracts, quantities
    plan = sampling_plan(*book, blocks, (confidence, es_confidence), seed, ladders=ladders)
    return estimate(plan, *book, confidence, es_confidence, seed, ladders=ladders)


def _joined(parts: Sequence[Sample]) -> Sample:
    return Sample(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _worst_first(whole: Sample) -> tuple[Vector, Vector]:
    """P&L and probabilities, sorted once for all questions: sorting what is sorted costs next to nothing."""
    order = np.argsort(whole.pnl, kind="stable")
    return whole.pnl[order], whole.weights[order] / len(order)


def _strata(plan: Plan) -> Strata:
    plain = plan.plain_blocks * BLOCK
    return Strata(plain, plan.blocks * BLOCK - plain, plan.region)


def _region(r_squared: float, confidence: float) -> float:
    """The upper tail of the driver that holds the loss's tail: three deviations of the rest below it."""
    normal = NormalDist()
    own, rest = sqrt(r_squared), sqrt(1.0 - r_squared)
    bound = (normal.inv_cdf(confidence) - 3.0 * rest) / own
    return min(0.5, max(1.2 * (1.0 - confidence), 1.0 - normal.cdf(bound)))


def _r_squared(pnl: Vector, driver: Vector) -> float:
    """The share of the variance of P&L that a straight line in the driver explains; 0 if one is constant."""
    a, b = pnl - pnl.mean(), driver - driver.mean()
    variances = float((a @ a) * (b @ b))
    return float(a @ b) ** 2 / variances if variances > 0.0 else 0.0


def _interval(whole: Sample, confidence: float, plan: Plan | None) -> tuple[float, float]:
    """Low and high of VaR: the quantiles at the tail probability plus and minus its error.

    The heaviest scenario of the tail comes on top: a quantile is one of the losses drawn, however well its
    probability is known.
    """
    (pnl, shares), tail = _worst_first(whole), 1.0 - confidence
    var = weighted_quantile(pnl, shares, tail)
    beyond = np.where(-whole.pnl >= var, whole.weights / len(pnl), 0.0)
    error = INTERVAL_DEVIATIONS * sqrt(_error_variance(beyond, plan)) + float(beyond.max())
    total = float(shares.sum())
    low = weighted_quantile(pnl, shares, min(tail + error, total * (1.0 - 1e-9)))
    high = weighted_quantile(pnl, shares, max(tail - error, 0.0))
    return low, high


def _error_variance(terms: Vector, plan: Plan | None) -> float:
    """Of the sum of the terms: from the spread within each part of the mixture, or between neighbours.

    Neighbouring strata have nearly one mean, so the squares of their differences are, if anything, too large.
    """
    plain = len(terms) if plan is None or plan.method == "plain" else plan.plain_blocks * BLOCK
    parts = [part for part in (terms[:plain], terms[plain:]) if len(part)]
    if plan is not None and plan.method == "stratified":
        return sum(0.5 * float((np.diff(part) ** 2).sum()) for part in parts)
    return sum(len(part) * float(part.var(ddof=1)) for part in parts)
