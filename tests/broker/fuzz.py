"""Thousands of steps of orders and faults, by seed: `python tests/broker/fuzz.py --seeds 5000`.

A seed that fails is cut down to the actions it takes, and printed as a script to keep in `test_fuzz.py`. Exit
code 1 if any failed.
"""

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing import Pool
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

from chaos import Action, fails, play, script, smallest  # noqa: E402 - runs as a script, from anywhere
from test_fault_matrix import MATRIX  # noqa: E402

from firm.events import CODEC  # noqa: E402

CLOCKS = ("free", "stepped")
EVERY = 50
TELLING = {
    *("OrderAccepted", "OrderFilled", "OrderCanceled", "OrderExpired", "OrderUnknown", "OrderNotAccepted"),
    *("BrokerRejected", "BrokerDisconnected", "BreakFound", "BreakClosed"),
    *("DataStateChanged", "CircuitChanged"),
}


def tried(work: tuple[int, int]) -> tuple[int, str, str | None]:
    """One seed: its number, its clock, what went wrong."""
    logging.disable(logging.CRITICAL)
    seed, length = work
    clock = CLOCKS[seed % len(CLOCKS)]
    return seed, clock, fails(script(seed, length), clock)


def cut_down(seed: int, length: int, clock: str) -> list[Action]:
    """The shortest script found that fails as the seed's does."""
    return smallest(script(seed, length), lambda actions: fails(actions, clock))


def matrix() -> int:
    """Live every row of the fault matrix and print what its log said, as a table in Markdown."""
    sys.stdout.write("| # | fault injected | what the log says | at the end |\n|---|---|---|---|\n")
    for row in MATRIX:
        world = play(row.script, "free", breaks=row.breaks, **row.broker)
        said = Counter(type(CODEC.event(record)).__name__ for record in world.store.read())
        told = ", ".join(f"{name} x{n}" if n > 1 else name for name, n in said.items() if name in TELLING)
        end = f"break: {row.breaks} ..." if row.breaks else "books agree"
        sys.stdout.write(f"| {row.number} | {row.fault} | {told or '-'} | {end} |\n")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the seeds and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--first", type=int, default=0, help="first seed (default %(default)s)")
    parser.add_argument("--seeds", type=int, default=200, help="how many (default %(default)s)")
    parser.add_argument("--length", type=int, default=60, help="actions of each (default %(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="side by side (default %(default)s)")
    parser.add_argument("--matrix", action="store_true", help="print the matrix of the thirty faults instead")
    options = parser.parse_args(argv)
    logging.disable(logging.CRITICAL)
    if options.matrix:
        return matrix()
    started, bad = time.perf_counter(), 0
    work = [(seed, options.length) for seed in range(options.first, options.first + options.seeds)]
    with Pool(options.processes) as pool:
        for done, (seed, clock, wrong) in enumerate(pool.imap(tried, work, chunksize=5), 1):
            if wrong:
                bad += 1
                sys.stdout.write(f"seed {seed} ({clock}): {wrong}\n")
                sys.stdout.write(f"  script: {cut_down(seed, options.length, clock)}\n")
            if done % EVERY == 0:
                elapsed = time.perf_counter() - started
                sys.stdout.write(f"{done} of {options.seeds} seeds, {bad} failed, {elapsed:.0f} s\n")
                sys.stdout.flush()
    steps = options.seeds * options.length
    elapsed = time.perf_counter() - started
    sys.stdout.write(f"{options.seeds} seeds, {steps} actions, {bad} failed, {elapsed:.1f} s\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
