"""Variance times time of the tail sampler beside plain Monte Carlo, on books it likes and not.

python benchmarks/tail_sampler.py [--repeats 60] [--blocks 43] [--reference 2500]

1,000 positions on 500 factors, 300 of them European options; one thread, full revaluation, a seed of its own
for each repeat. Of VaR at 99 % and ES at 97.5 %, in this order: `gain` is the ratio of variances over that of
the times at equal numbers of scenarios, given the plan; `gain with pilot` counts pilot and plan as well.
`bias` is the distance of the mean from a plain run of `reference` blocks, in standard errors of both.
`outside` counts figures beyond the 99.9 % interval of one plain run around that.
Prints one JSON object.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from firm.risk_kernels import sampler
from firm.risk_kernels.black_scholes import european_value
from firm.risk_kernels.contracts import CONTRACT, Contracts, FactorLaw, Payoff, Vector
from firm.risk_kernels.montecarlo import BLOCK, scenario_pnl
from firm.risk_kernels.sampler_run import sensitivities
from firm.risk_kernels.tail import shard_tail, tail_size, var_es

CONFIDENCES = CONFIDENCE, ES_CONFIDENCE = 0.99, 0.975
SHARES, FUTURES, CURRENCIES, COMMON = 400, 60, 40, 20
OPTIONS, LINEAR = 300, 700
DAYS = 252.0
RATE, CARRY = 0.04, 0.01


class BenchmarkBook(NamedTuple):
    """What `montecarlo` and `sampler` are asked about."""

    law: FactorLaw
    contracts: Contracts
    quantities: Vector


def daily_law(rng: np.random.Generator, degrees: int) -> FactorLaw:
    """One market factor, eleven sectors and eight minor ones explain up to nine tenths of each variance."""
    m = SHARES + FUTURES + CURRENCIES
    annual = np.concatenate(
        [rng.uniform(0.15, 0.6, SHARES), rng.uniform(0.1, 0.35, FUTURES), rng.uniform(0.05, 0.15, CURRENCIES)]
    )
    common = np.zeros((m, COMMON))
    common[:, 0] = rng.uniform(0.3, 0.75, m)
    common[np.arange(m), rng.integers(1, 12, m)] = rng.uniform(0.1, 0.4, m)
    common[:, 12:] = rng.normal(0.0, 0.06, (m, COMMON - 12))
    explained = (common**2).sum(axis=1)
    common *= np.sqrt(np.minimum(1.0, 0.9 / explained))[:, None]
    daily = annual / sqrt(DAYS)
    own = daily * np.sqrt(1.0 - (common**2).sum(axis=1))
    return FactorLaw(common * daily[:, None], own, np.zeros(m), degrees)


def option_table(rng: np.random.Generator, law: FactorLaw) -> Contracts:
    options = np.zeros(OPTIONS, CONTRACT)
    factor = np.sort(rng.integers(0, SHARES, OPTIONS))
    daily = np.sqrt((law.loadings**2).sum(axis=1) + law.idiosyncratic**2)[factor]
    options["factor"], options["payoff"], options["unit"] = factor, Payoff.EUROPEAN, 100.0
    options["spot"] = np.exp(rng.normal(4.0, 0.6, SHARES))[factor]
    options["strike"] = options["spot"] * np.exp(rng.normal(0.0, 0.08, OPTIONS))
    years = rng.choice([5, 10, 21, 42, 63, 126, 252], OPTIONS) / DAYS
    options["years"] = years - 1.0 / DAYS
    options["volatility"] = daily * sqrt(DAYS) * rng.uniform(0.9, 1.3, OPTIONS)
    options["rate"], options["carry"] = RATE, CARRY
    options["sign"] = np.where(rng.random(OPTIONS) < 0.5, 1.0, -1.0)
    options["price"] = european_value(
        *(options["spot"], options["strike"], years, options["volatility"], RATE, CARRY, options["sign"])
    )
    return options


def benchmark_book(kind: str, degrees: int = 0) -> BenchmarkBook:
    """Signs at random, 80 % long, or short options hedged to a delta of nearly nothing."""
    rng = np.random.default_rng(7)
    law = daily_law(rng, degrees)
    options = option_table(rng, law)
    linear = np.zeros(LINEAR, CONTRACT)
    m = len(law.drift)
    linear["factor"] = np.concatenate([np.arange(m), rng.integers(0, m, LINEAR - m)])
    linear["payoff"], linear["unit"], linear["price"] = Payoff.LINEAR, 1.0, 1.0
    contracts = np.concatenate([options, linear])
    held, values = np.round(rng.normal(0.0, 15.0, OPTIONS)), rng.normal(0.0, 1e5, LINEAR)
    if kind == "80 % long":
        values = np.abs(values) * np.where(rng.random(LINEAR) < 0.8, 1.0, -1.0)
    if kind == "short gamma":
        held, values = -10.0 * np.abs(held), np.zeros(LINEAR)
        delta = sensitivities(law, contracts, np.concatenate([held, values])).delta
        values[:m] = -delta
    return BenchmarkBook(law, contracts, np.concatenate([held, values]))


def plain_figures(pnl: Vector) -> tuple[float, float]:
    n = len(pnl)
    tail = shard_tail(pnl, 0, tail_size(n, min(CONFIDENCE, ES_CONFIDENCE)))
    return var_es(tail, n, CONFIDENCE)[0], var_es(tail, n, ES_CONFIDENCE)[1]


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.thread_time()
    answer = work()
    return answer, time.thread_time() - began


def compared(book: BenchmarkBook, blocks: int, repeats: int, reference: int) -> dict[str, Any]:
    truth = np.array(plain_figures(scenario_pnl(0, reference, *book, 10**6)))
    figures: dict[str, list[tuple[float, float]]] = {"plain": [], "sampler": []}
    seconds: dict[str, list[float]] = {"plain": [], "plan": [], "sampler": []}
    last, methods = None, Counter[str]()
    for seed in range(repeats):
        plain, took = timed(lambda seed=seed: plain_figures(scenario_pnl(0, blocks, *book, seed)))
        figures["plain"].append(plain)
        seconds["plain"].append(took)
        plan, took = timed(lambda seed=seed: sampler.sampling_plan(*book, blocks, CONFIDENCES, seed))
        seconds["plan"].append(took)
        last, took = timed(lambda plan=plan, seed=seed: sampler.estimate(plan, *book, *CONFIDENCES, seed))
        seconds["sampler"].append(took)
        figures["sampler"].append((last.var, last.es))
        methods[last.method] += 1
    plain, found = np.array(figures["plain"]), np.array(figures["sampler"])
    times = {name: float(np.median(values)) for name, values in seconds.items()}
    plain_deviation, deviation = plain.std(axis=0, ddof=1), found.std(axis=0, ddof=1)
    ratio = (plain_deviation / deviation) ** 2
    slower = np.array([times["sampler"], times["sampler"] + times["plan"]]) / times["plain"]
    error = np.sqrt(plain_deviation**2 * blocks / reference + deviation**2 / repeats)
    beyond = np.abs(found - truth) > sampler.INTERVAL_DEVIATIONS * plain_deviation
    return {
        "method": dict(methods),
        "reason": None if last is None else last.reason,
        "VaR, ES": truth.round(0).tolist(),
        "deviation, plain": plain_deviation.round(1).tolist(),
        "deviation, sampler": deviation.round(1).tolist(),
        "us a scenario, plain": round(1e6 * times["plain"] / blocks / BLOCK, 2),
        "time ratio": slower[0].round(2),
        "variance ratio": ratio.round(1).tolist(),
        "gain": (ratio / slower[0]).round(1).tolist(),
        "gain with pilot": (ratio / slower[1]).round(1).tolist(),
        "bias": ((found.mean(axis=0) - truth) / error).round(2).tolist(),
        "outside": beyond.sum(axis=0).tolist(),
        "effective": None if last is None else round(last.effective),
        "largest weight": None if last is None else round(last.largest_weight, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--blocks", type=int, default=43)
    parser.add_argument("--reference", type=int, default=2_500)
    arguments = parser.parse_args()
    books = {
        "random sign, normal": benchmark_book("random sign"),
        "80 % long, normal": benchmark_book("80 % long"),
        "random sign, Student 6": benchmark_book("random sign", degrees=6),
        "short gamma, hedged, normal": benchmark_book("short gamma"),
        "short gamma, hedged, Student 6": benchmark_book("short gamma", degrees=6),
    }
    warm = books["random sign, normal"]
    sampler.tail_estimate(*warm, 2, *CONFIDENCES, 0)
    tables = {
        name: compared(book, arguments.blocks, arguments.repeats, arguments.reference)
        for name, book in books.items()
    }
    print(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
