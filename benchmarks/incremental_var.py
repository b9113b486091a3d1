"""What one order would make of VaR and ES, exactly: the firm's two ways beside NumPy, one thread, in process.

python benchmarks/incremental_var.py [--repeats 200] [--json FILE]

A book of 20 normal instruments in 100,000 and in 1,000,000 scenarios; orders in a 21st of three sizes, as
fractions of the book's standard deviation. `with_trade` is what the risk agent calls, `way` whether it took
the worst scenarios alone; `streamed` reads all of them. NumPy adds, partitions and averages. `first` is the
first question about an instrument, which reads its column and, for the first instrument, sorts the worst
scenarios; `apply` makes an order part of the book. Median microseconds, both figures at 99 %, and again VaR
at 99 % with ES at 97.5 %. Prints a table.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from firm.risk.scenario_book import ScenarioBook
from firm.risk.var_calculator import VarEs, Vector
from firm.risk_kernels.pretrade import Rank, rounding, stream_var_es, warm_up
from firm.risk_kernels.tail import tail_mass

INSTRUMENTS = 20
SIZES = (0.003, 0.03, 0.3)
SECONDS_MAX = 2.0


def median_us(work: Callable[[int], object], repeats: int) -> float:
    """Of at most `repeats` calls, given their number, or as many as fit into SECONDS_MAX."""
    taken: list[float] = []
    while len(taken) < repeats and sum(taken) < SECONDS_MAX:
        began = time.perf_counter()
        work(len(taken))
        taken.append(time.perf_counter() - began)
    return 1e6 * float(np.median(taken))


def numpy_var_es(base: Vector, column: Vector, quantity: float, confidences: tuple[float, float]) -> VarEs:
    pnl = base + quantity * column
    masses = [tail_mass(len(pnl), confidence) for confidence in confidences]
    ranks = [int(mass) for mass in masses]
    worst = np.partition(pnl, sorted(set(ranks)))
    beyond = worst[: ranks[1]].sum() + (masses[1] - ranks[1]) * worst[ranks[1]]
    return VarEs(-float(worst[ranks[0]]), -float(beyond) / masses[1])


def lines(
    scenarios: int, confidences: tuple[float, float], repeats: int, rows: list[dict[str, Any]]
) -> list[str]:
    """The printed lines; `rows` gets what they say, for the JSON."""
    columns = np.random.default_rng(1).standard_normal((INSTRUMENTS + 2, scenarios))
    held = np.append(np.ones(INSTRUMENTS), (0.0, 0.0))
    book = ScenarioBook([columns], held, *confidences)
    deviation = float(book.pnl.std())
    firsts = [median_us(lambda _, i=i: book.with_trade(i, 0.01), 1) for i in (INSTRUMENTS + 1, INSTRUMENTS)]
    ranks, split = [Rank.of(scenarios, value) for value in set(confidences)], rounding(1e3, scenarios)
    answers = []
    label = f"{scenarios:9,d}  VaR {confidences[0]:.1%} ES {confidences[1]:.1%}"
    for size in SIZES:
        quantity = size * deviation
        found, plain = (
            book.with_trade(INSTRUMENTS, quantity),
            numpy_var_es(book.pnl, columns[INSTRUMENTS], quantity, confidences),
        )
        assert found.var == plain.var, (found, plain)
        assert abs(found.es / plain.es - 1.0) < 1e-12, (found, plain)
        pruned = book.pruned
        # every question is another one, so that nothing can be remembered
        firm = median_us(lambda k, q=quantity: book.with_trade(INSTRUMENTS, q * (1.0 + 1e-6 * k)), repeats)
        streamed = median_us(
            lambda _, q=quantity: stream_var_es([book.pnl], [columns[INSTRUMENTS]], q, ranks, split), repeats
        )
        numpy_time = median_us(
            lambda _, q=quantity: numpy_var_es(book.pnl, columns[INSTRUMENTS], q, confidences), repeats
        )
        way = "pruned" if book.pruned > pruned else "all   "
        rows.append(
            {
                "name": f"{scenarios:,} scenarios, ES {confidences[1]:.1%}, order of {size} deviations",
                "value": firm,
                "unit": "us",
                "peer": "NumPy",
                "peer_value": numpy_time,
                "better": "lower",
            }
        )
        answers.append(f"{label}  {size:5.3f}  {firm:10.1f}  {way}  {streamed:10.1f}  {numpy_time:10.1f}")
    applied = median_us(lambda _: book.apply(INSTRUMENTS, 1e-4 * deviation), 20)
    answers.append(
        f"{label}  first {firsts[0]:.0f}, of another instrument {firsts[1]:.0f}, apply {applied:.0f}"
    )
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    warm_up()
    print("scenarios  figures               size  with_trade  way     streamed       NumPy   (median us)")
    for confidences in ((0.99, 0.99), (0.99, 0.975)):
        for scenarios in (100_000, 1_000_000):
            print("\n".join(lines(scenarios, confidences, options.repeats, rows)), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
