"""Thousands of steps of orders and faults, by seed: `python tests/broker/fuzz.py --seeds 5000`.

A seed that fails is cut down to the actions it takes, and printed as a script to keep in `test_fuzz.py`. Exit
code 1 if any failed. With `--results FILE` each seed becomes a line of JSON there, and the same command again
goes on: seeds that held are not lived a second time.
"""

import argparse
import json
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

from firm.events import CODEC, Record  # noqa: E402
from firm.events.broker import DataState, DataStateChanged  # noqa: E402

CLOCKS = ("free", "stepped")
EVERY = 50
TELLING = {
    *("OrderAccepted", "OrderFilled", "OrderCanceled", "OrderExpired", "OrderUnknown", "OrderNotAccepted"),
    *("BrokerRejected", "BrokerDisconnected", "BreakFound", "BreakClosed"),
    "CircuitChanged",
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


def held(results: Path | None, length: int) -> set[int]:
    """The seeds that a former run has lived without failing, at this length."""
    lines = results.read_text().splitlines() if results is not None and results.exists() else []
    told = {line["seed"]: line["wrong"] for line in map(json.loads, lines) if line["length"] == length}
    return {seed for seed, wrong in told.items() if wrong is None}


def matrix() -> int:
    """Live every row of the fault matrix and print what its log said, as a table in Markdown."""
    rows: dict[tuple[int, str, str], list[str]] = {}
    for row in MATRIX:
        world = play(row.script, "free", breaks=row.breaks, **row.broker)
        said = Counter(filter(None, map(_told, world.store.read())))
        told = ", ".join(f"{name} x{n}" if n > 1 else name for name, n in said.items())
        end = f"break: {row.breaks} ..." if row.breaks else "books agree"
        rows.setdefault((row.number, told, end), []).append(row.fault)
    sys.stdout.write("| # | fault injected | what the log says | at the end |\n|---|---|---|---|\n")
    for (number, told, end), faults in rows.items():
        sys.stdout.write(f"| {number} | {'; '.join(faults)} | {told or '-'} | {end} |\n")
    return 0


def _told(record: Record) -> str | None:
    """The name of an entry that tells of trouble or of what became of an order."""
    event = CODEC.event(record)
    if isinstance(event, DataStateChanged):
        return None if event.after is DataState.LIVE else f"data {event.after}"
    name = type(event).__name__
    return name if name in TELLING else None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the seeds and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--first", type=int, default=0, help="first seed (default %(default)s)")
    parser.add_argument("--seeds", type=int, default=200, help="how many (default %(default)s)")
    parser.add_argument("--length", type=int, default=60, help="actions of each (default %(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="side by side (default %(default)s)")
    parser.add_argument("--results", type=Path, help="a line of JSON for each seed; continued")
    parser.add_argument("--matrix", action="store_true", help="print the matrix of the thirty faults instead")
    options = parser.parse_args(argv)
    logging.disable(logging.CRITICAL)
    if options.matrix:
        return matrix()
    started, bad = time.perf_counter(), 0
    seeds = range(options.first, options.first + options.seeds)
    done = held(options.results, options.length)
    work = [(seed, options.length) for seed in seeds if seed not in done]
    with Pool(options.processes) as pool:
        for lived, (seed, clock, wrong) in enumerate(pool.imap(tried, work, chunksize=5), 1):
            if wrong:
                bad += 1
                sys.stdout.write(f"seed {seed} ({clock}): {wrong}\n")
                sys.stdout.write(f"  script: {cut_down(seed, options.length, clock)}\n")
            if options.results:
                with options.results.open("a") as file:
                    line = {"seed": seed, "length": options.length, "clock": clock, "wrong": wrong}
                    file.write(json.dumps(line) + "\n")
            if lived % EVERY == 0:
                elapsed = time.perf_counter() - started
                sys.stdout.write(f"{lived} of {len(work)} seeds, {bad} failed, {elapsed:.0f} s\n")
                sys.stdout.flush()
    steps = len(work) * options.length
    elapsed = time.perf_counter() - started
    sys.stdout.write(f"{len(work)} seeds, {steps} actions, {bad} failed, {elapsed:.1f} s\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
