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
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr
from scipy.stats import multivariate_normal, norm
from tail_sampler import BenchmarkBook, benchmark_book

from firm.risk_kernels.contracts import FactorLaw, Matrix, Payoff, Vector
from firm.risk_kernels.elementary import fma, lane_loop
from firm.risk_kernels.factors import draws_of
from firm.risk_kernels.montecarlo import BLOCK, scenario_pnl, warm_up
from firm.risk_kernels.normals import lanes
from firm.risk_kernels.product import PANEL, TILE_BYTES, add_product_tile
from firm.risk_kernels.terms import Precision

BASE = "NumPy, low rank"
CHUNK = 2_000
SLOW = 40
CHAIN = 32
TARGETS = {"firm, double": 12.0, "firm, single": 25.0}
PRODUCT_SHARE_MIN = 0.6
WORKERS_RATIO_MIN = 1.7


class Candidate(NamedTuple):
    """What computes, and how many scenarios a call is."""

    run: Callable[[], Any]
    scenarios: int


class Textbook:
    """The book revalued by vectorised NumPy: what `normal_distribution` is decides between scipy's two."""

    def __init__(self, book: BenchmarkBook) -> None:
        linear = book.contracts["payoff"] == Payoff.LINEAR
        self.options, self.held = book.contracts[~linear], book.quantities[~linear]
        worth = book.quantities * book.contracts["unit"] * book.contracts["price"]
        m = len(book.law.drift)
        self.exposure = np.bincount(book.contracts["factor"][linear], worth[linear], m)
        o = self.options
        self.deviation = o["volatility"] * np.sqrt(o["years"])
        self.forward = o["spot"] * np.exp(-o["carry"] * o["years"])
        self.strike = o["strike"] * np.exp(-o["rate"] * o["years"])
        self.money = self.held * o["unit"]

    def pnl(self, x: Matrix, normal_distribution: Callable[[Matrix], Matrix]) -> Vector:
        """P&L of scenarios x[s, m]."""
        growth, sign = np.exp(x), self.options["sign"]
        forward = self.forward * growth[:, self.options["factor"]]
        d1 = np.log(forward / self.strike) / self.deviation + 0.5 * self.deviation
        value = sign * (
            forward * normal_distribution(sign * d1)
            - self.strike * normal_distribution(sign * (d1 - self.deviation))
        )
        return np.asarray((growth - 1.0) @ self.exposure + (value - self.options["price"]) @ self.money)


def covariance(law: FactorLaw) -> Matrix:
    return np.asarray(law.loadings @ law.loadings.T + np.diag(law.idiosyncratic**2))


def numpy_candidates(book: BenchmarkBook) -> dict[str, Candidate]:
    law, textbook = book.law, Textbook(book)
    m, k = law.loadings.shape
    rng = np.random.Generator(np.random.SFC64(1))
    factor = np.linalg.cholesky(covariance(law))
    frozen = multivariate_normal(np.zeros(m), covariance(law), seed=1)
    common, own = np.empty((CHUNK, k)), np.empty((CHUNK, m))

    def low_rank() -> Vector:
        rng.standard_normal(out=common)
        rng.standard_normal(out=own)
        return textbook.pnl(common @ law.loadings.T + law.idiosyncratic * own, ndtr)

    def cholesky() -> Vector:
        rng.standard_normal(out=own)
        return textbook.pnl(own @ factor.T, ndtr)

    def by_scipy() -> Vector:
        return textbook.pnl(frozen.rvs(CHUNK), norm.cdf)

    runs = {BASE: low_rank, "NumPy, Cholesky": cholesky, "scipy multivariate_normal, norm.cdf": by_scipy}
    return {name: Candidate(run, CHUNK) for name, run in runs.items()}


def quantlib_candidates(book: BenchmarkBook) -> dict[str, Candidate]:
    """Only where the package is installed: pricing of given draws."""
    if find_spec("QuantLib") is None:
        return {}
    import QuantLib as ql  # type: ignore[import-untyped]  # noqa: N813

    textbook, law = Textbook(book), book.law
    x = (
        np.random.default_rng(1).standard_normal((SLOW, len(law.drift)))
        @ np.linalg.cholesky(covariance(law)).T
    )
    kinds = [ql.Option.Call if sign > 0 else ql.Option.Put for sign in textbook.options["sign"]]
    o, prices = textbook.options, (textbook.options["price"] * textbook.money).sum()
    discount = np.exp(-o["rate"] * o["years"])
    rows = list(zip(kinds, o["strike"], textbook.deviation, discount, textbook.money, strict=True))

    def black_formula() -> list[float]:
        totals = []
        for move in x:
            growth = np.exp(move)
            forwards = textbook.forward * growth[o["factor"]] / discount
            total = float((growth - 1.0) @ textbook.exposure) - prices
            for (kind, strike, deviation, factor, money), forward in zip(rows, forwards, strict=True):
                total += money * ql.blackFormula(kind, strike, forward, deviation, factor)
            totals.append(total)
        return totals

    quotes, priced = quantlib_engines(ql, textbook)

    def engines() -> list[float]:
        totals = []
        for move in x[: SLOW // 4]:
            growth = np.exp(move)
            for row, quote in quotes.items():
                quote.setValue(float(o["spot"][row] * growth[o["factor"][row]]))
            total = float((growth - 1.0) @ textbook.exposure) - prices
            totals.append(
                total + sum(m * option.NPV() for option, m in zip(priced, textbook.money, strict=True))
            )
        return totals

    return {
        "QuantLib blackFormula, draws given": Candidate(black_formula, SLOW),
        "QuantLib AnalyticEuropeanEngine, draws given": Candidate(engines, SLOW // 4),
    }


def quantlib_engines(ql: Any, textbook: Textbook) -> tuple[dict[int, Any], list[Any]]:
    """Quotes by row, and the option of each row with its engine."""
    today, day_count = ql.Date(2, 1, 2026), ql.Actual365Fixed()
    ql.Settings.instance().evaluationDate = today
    quotes, priced = {}, []
    for row, o in enumerate(textbook.options):
        quotes[row] = ql.SimpleQuote(float(o["spot"]))
        curves = [
            ql.YieldTermStructureHandle(ql.FlatForward(today, float(o[rate]), day_count))
            for rate in ("carry", "rate")
        ]
        surface = ql.BlackConstantVol(today, ql.NullCalendar(), float(o["volatility"]), day_count)
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(quotes[row]), *curves, ql.BlackVolTermStructureHandle(surface)
        )
        kind = ql.Option.Call if o["sign"] > 0 else ql.Option.Put
        days = max(1, round(365 * float(o["years"])))
        option = ql.VanillaOption(
            ql.PlainVanillaPayoff(kind, float(o["strike"])), ql.EuropeanExercise(today + days)
        )
        option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
        priced.append(option)
    return quotes, priced


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
    book = benchmark_book("random signs")
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
