"""Monte Carlo with full revaluation: our kernels beside NumPy, scipy and QuantLib, side by side in one run.

python benchmarks/monte_carlo.py [--rounds 7] [--json FILE]

The book: 1,000 positions, 300 of them European options, on 500 factors with 20 common ones. Every candidate
gets the same book and law, one thread, and turns of about a tenth of a second or a few calls, one candidate
after the other; figures are medians over the rounds of the processor time of that thread, so that other work
on the machine disturbs all alike. QuantLib is given its factor draws, which flatters it; without the package
(the extra `bench`) its rows are left out. The last rows hold the Cholesky product against the multiply-adds
of this core, and two workers against one.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from monte_carlo_peers import (
    BASE,
    Candidate,
    Textbook,
    covariance,
    numpy_candidates,
    quantlib_candidates,
)
from scipy.special import ndtr
from tail_sampler import BenchmarkBook, benchmark_book

from firm.numeric_env import THREAD_VARIABLES, X86_VARIABLES
from firm.risk_kernels.contracts import FactorLaw, Vector
from firm.risk_kernels.elementary import fma, lane_loop
from firm.risk_kernels.factors import draws_of
from firm.risk_kernels.montecarlo import BLOCK, factor_scenarios, pnl_from_returns, scenario_pnl, warm_up
from firm.risk_kernels.normals import lanes
from firm.risk_kernels.product import PANEL, TILE_BYTES, add_product_tile
from firm.risk_kernels.terms import Precision

CHAIN = 32
ONE_THREAD = "FIRM_BENCHMARK_ON_ONE_THREAD"
TARGETS = {"firm, double": 12.0, "firm, single": 25.0}
PRODUCT_SHARE_MIN = 0.6
WORKERS_RATIO_MIN = 1.7


def peers_environment() -> dict[str, str]:
    """One thread for every library, and all the instructions the processor has, before numpy is imported."""
    kept = {name: value for name, value in os.environ.items() if name not in X86_VARIABLES}
    return kept | dict.fromkeys(THREAD_VARIABLES, "1") | {ONE_THREAD: "yes"}


def check(book: BenchmarkBook) -> None:
    """That they compute the same: the textbook's P&L of our returns is our P&L."""
    returns = factor_scenarios(0, 1, book.law, 1)
    ours = pnl_from_returns(returns, book.contracts, book.quantities)
    np.testing.assert_allclose(Textbook(book).pnl(returns.T, ndtr), ours, rtol=0, atol=1e-4)


def laws(law: FactorLaw) -> dict[str, FactorLaw]:
    cholesky = FactorLaw(np.linalg.cholesky(covariance(law)), np.zeros(len(law.drift)), law.drift, 0)
    return {"": law, ", Student-t 4": law._replace(degrees_of_freedom=4), ", Cholesky": cholesky}


def our_candidates(book: BenchmarkBook, blocks: int = 150) -> dict[str, Candidate]:
    found: dict[str, Candidate] = {}
    precisions: tuple[Precision, ...] = ("double", "single")
    for precision in precisions:
        for name, law in laws(book.law).items():

            def run(law: FactorLaw = law, precision: Precision = precision) -> Vector:
                return scenario_pnl(0, blocks, law, book.contracts, book.quantities, 1, precision=precision)

            found[f"firm, {precision}{name}"] = Candidate(run, blocks * BLOCK)
    return found


@lane_loop
def _multiply_adds(values: Any, steps: int) -> None:
    """`steps` times BLOCK times 4 CHAIN multiply-adds, in enough chains to fill the pipelines."""
    for _ in range(steps):
        for lane in range(BLOCK):
            a = values[lane]
            b, c, d = a + 0.1, a + 0.2, a + 0.3
            for _ in range(CHAIN):
                a, b, c, d = fma(a, a, 0.1), fma(b, b, 0.1), fma(c, c, 0.1), fma(d, d, 0.1)
            values[lane] = 0.25 * (a + b + c + d)


@lane_loop
def _product(out: Any, panels: Any, columns: Any, factors: Any, tile: int) -> None:
    for panel in range(panels.shape[0]):
        for lane in range(0, BLOCK, tile):
            add_product_tile(out, panel * PANEL, panels, panel, columns[panel], factors, lane)


def product_candidates(law: FactorLaw) -> dict[str, tuple[Callable[[], Any], float]]:
    """Calls and their multiply-adds: the core's peak, and the Cholesky product as the kernel does it."""
    cholesky = laws(law)[", Cholesky"]
    draws = draws_of(cholesky, np.arange(len(law.drift)), "double")
    out, factors, chains = (
        lanes(draws.drift.shape, float),
        lanes((draws.panels.shape[1],), float),
        lanes((), float),
    )
    factors[:] = np.random.default_rng(1).standard_normal(factors.shape)
    tile = TILE_BYTES // 8
    useful = len(law.drift) * (len(law.drift) + 1) / 2 * BLOCK

    def product() -> None:
        for _ in range(20):
            out[:] = 0.0
            _product(out, draws.panels, draws.columns, factors, tile)

    return {
        "peak": (lambda: _multiply_adds(chains, 1000), 4000.0 * CHAIN * BLOCK),
        "Cholesky product": (product, 20.0 * useful),
    }


def two_workers(book: BenchmarkBook, blocks: int = 400) -> dict[str, float]:
    """Wall seconds of one thread with all blocks, and of two with half each."""

    def shard(first: int, count: int) -> Vector:
        return scenario_pnl(first, count, book.law, book.contracts, book.quantities, 1)

    began = time.perf_counter()
    alone = shard(0, blocks)
    middle = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        halves = list(pool.map(lambda first: shard(first, blocks // 2), (0, blocks // 2)))
    ended = time.perf_counter()
    assert np.array_equal(alone, np.concatenate(halves))
    return {"one": middle - began, "two": ended - middle}


def idle_share() -> float | None:
    """The share of the machine's processor time that nobody used, over a second; None if it is not told."""
    statistics_file = Path("/proc/stat")
    if not statistics_file.exists():
        return None
    before = _ticks(statistics_file)
    time.sleep(1.0)
    spent = [after - earlier for earlier, after in zip(before, _ticks(statistics_file), strict=True)]
    return spent[3] / sum(spent)


def _ticks(statistics_file: Path) -> list[int]:
    first = statistics_file.read_text(encoding="ascii").split("\n", 1)[0]
    return [int(word) for word in first.split()[1:]]


def processor_seconds(run: Callable[[], Any]) -> float:
    began = time.thread_time()
    run()
    return time.thread_time() - began


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def rounds_of(candidates: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each, in turns."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds):
        for name, run in candidates.items():
            taken[name].append(processor_seconds(run))
        progress(f"round {number + 1} of {rounds}")
    return taken


def speeds(book: BenchmarkBook, rounds: int) -> dict[str, float]:
    """Scenarios a processor second, medians."""
    candidates = numpy_candidates(book) | quantlib_candidates(book) | our_candidates(book)
    for name, candidate in candidates.items():
        progress(f"first call of {name}")
        candidate.run()
    taken = rounds_of({name: candidate.run for name, candidate in candidates.items()}, rounds)
    return {name: candidates[name].scenarios / statistics.median(taken[name]) for name in candidates}


def product_rates(law: FactorLaw, rounds: int) -> dict[str, float]:
    """Floating-point operations a processor second, in units of 10^9; the best of the rounds for the peak."""
    candidates = product_candidates(law)
    for run, _ in candidates.values():
        run()
    taken = rounds_of({name: run for name, (run, _) in candidates.items()}, 3 * rounds)
    peak, product = candidates["peak"][1], candidates["Cholesky product"][1]
    return {
        "peak": 2e-9 * peak / min(taken["peak"]),
        "Cholesky product": 2e-9 * product / statistics.median(taken["Cholesky product"]),
    }


def report(found: dict[str, Any]) -> None:
    base = found["scenarios_per_second"][BASE]
    print(f"{'candidate':44s} {'scenarios/s':>12s} {'positions/s':>12s} {'ratio':>8s}")
    for name, speed in found["scenarios_per_second"].items():
        target = f"  (target {TARGETS[name]:.0f})" if name in TARGETS else ""
        print(f"{name:44s} {speed:12,.0f} {1000 * speed:12.2e} {speed / base:8.3f}{target}")
    rates = found["gigaflops"]
    share = rates["Cholesky product"] / rates["peak"]
    print(
        f"Cholesky product, double: {rates['Cholesky product']:.1f} of {rates['peak']:.1f} GF/s measured, "
        f"{share:.0%} (target {PRODUCT_SHARE_MIN:.0%})"
    )
    workers = found["workers"]
    print(
        f"two workers against one, wall: {workers['one'] / workers['two']:.2f} (target {WORKERS_RATIO_MIN}); "
        f"idle share of the machine before: {workers['idle']}"
    )


def workers_ratio(book: BenchmarkBook, rounds: int) -> dict[str, Any]:
    idle = idle_share()
    runs = [two_workers(book) for _ in range(rounds)]
    medians = {name: statistics.median(run[name] for run in runs) for name in ("one", "two")}
    return medians | {"idle": None if idle is None else round(idle, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if ONE_THREAD not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], peers_environment())
    book = benchmark_book("random signs")
    check(book)
    for precision in ("double", "single"):
        progress(f"compiling, {precision}")
        warm_up(precision)
    found = {
        "scenarios_per_second": speeds(book, options.rounds),
        "gigaflops": product_rates(book.law, options.rounds),
        "workers": workers_ratio(book, options.rounds),
    }
    report(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
