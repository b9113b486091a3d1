"""Hours of accelerated trading: memory must stay flat, latency stable, and nothing may leak.

    python -m benchmarks.soak --duration 2h --directory runs/soak

The firm trades the last decade of the packaged sample, forwards and backwards in turn, as fast as it can.
Every few seconds the private memory, file descriptors and threads of each of its processes, the log's length,
the store's size and the latencies of the cycles since are written to samples.jsonl. At the end straight lines
are fitted by least squares, with standard errors that allow for autocorrelation (Newey and West, 1987), and
soak.json says what grows. What a firm starts with (imports, compiled kernels, caches that fill) is left out:
the first `SETTLED` of the time.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firm.chaos.running import RunningFirm
from firm.errors import FirmError
from firm.ops.wishes import request_stop
from firm.store.keys import Keys
from firm.store.verify import verify
from firm.tape.calendar import NS_PER_DAY, nyse_schedule
from firm.tape.load import SAMPLE

Vector = NDArray[np.float64]

SAMPLE_EVERY_S = 5.0
SETTLED = 0.25
DAYS, HISTORY, PLAYED = 20_000, 600, 2500
FIRST_DAY = np.datetime64("1990-01-02T12:00", "ns")
OPTIONS = ("--quiet", "--set", "risk.max_drawdown=1.0", "--set", "risk.max_daily_loss=1.0")
"""In a whole life: the limits that would end trading until a person re-arms it are out of the way."""
KINDS = {
    "firm.launch": "launcher",
    "firm.gateway_sim": "gateway",
    "raylet/raylet": "raylet",
    "gcs_server": "gcs",
    "ray::EventBus": "bus",
    "ray::Host": "hosts",
    "ray::SignalSeat": "signals",
    "ray::Broker": "broker",
    "ray::Reader": "reader",
    "ray::Supervisor": "supervisor",
    "ray::_": "risk workers",
    "ray::IDLE": "risk workers",
}
"""A word of a process's title, and whose it is; an idle worker waits for the next risk run."""
ALLOWED = 0.02
"""A kind of process is flat if its memory grows by less than this share of itself an hour."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--duration", type=seconds_of, default="2h", metavar="TIME", help="such as 2h or 30m")
    parser.add_argument("--directory", type=Path, default=Path("runs/soak"), help="a new one")
    parser.add_argument("--again", action="store_true", help="only judge the samples that are there")
    arguments = parser.parse_args()
    directory: Path = arguments.directory
    if not arguments.again:
        soak(directory, arguments.duration)
    found = judged([json.loads(line) for line in (directory / "samples.jsonl").read_text().splitlines()])
    (directory / "soak.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def seconds_of(duration: str) -> float:
    """Seconds of a duration such as 90s, 30m or 2h."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(duration[-1:])
    if unit is None or not duration[:-1].isdecimal():
        raise argparse.ArgumentTypeError(f"needed a time such as 90s, 30m or 2h, found {duration!r}")
    return float(unit * int(duration[:-1]))


def soak(directory: Path, seconds: float) -> None:
    """Let a firm trade so long, and write down what it is like every few seconds."""
    if (directory / "run").exists():
        raise FirmError(f"a soak needs a new directory, found one that was used: {directory}")
    directory.mkdir(parents=True, exist_ok=True)
    tape = (directory / "tape.npz").resolve()
    write_repeated(tape, DAYS + HISTORY)
    firm = RunningFirm(directory / "run", ("--data", str(tape), "--days", str(DAYS), *OPTIONS))
    try:
        firm.while_alive(lambda: firm.last_seq() > 0 and firm.ask("/ready") == 200, "ready", 1800)
        began, operations = time.monotonic(), 0
        with (directory / "samples.jsonl").open("a") as samples:
            while (elapsed := time.monotonic() - began) < seconds and firm.alive:
                sample, operations = look(firm, elapsed, operations)
                samples.write(json.dumps(sample) + "\n")
                samples.flush()
                time.sleep(SAMPLE_EVERY_S)
        if firm.alive:
            request_stop(firm.run_dir, "the soak is over")
            firm.process.wait(timeout=600)
    finally:
        firm.end_everything()
    verified = verify(firm.run_dir, Keys.load(create=False))
    print(f"verified: {verified.entries:,} entries, head {verified.head.hex()}")


def write_repeated(path: Path, days: int) -> None:
    """Write daily closes (npz) of so many days: the sample's last ones forwards, backwards, forwards, ..."""
    with np.load(SAMPLE) as sample:
        closes = {name: sample[name][-PLAYED:] for name in sample.files if name != "ts"}
    order = np.concatenate([np.arange(PLAYED - 1), np.arange(PLAYED - 1, 0, -1)])
    first = int(FIRST_DAY.astype(np.int64))
    schedule = nyse_schedule(first, first + days * 3 // 2 * NS_PER_DAY)
    np.savez(
        path, ts=schedule.closes[:days], **{name: x[np.resize(order, days)] for name, x in closes.items()}
    )


def look(firm: RunningFirm, elapsed: float, operations: int) -> tuple[dict[str, Any], int]:
    """One sample, and how many operations of the store have been seen by now."""
    assert firm.log is not None, "it is ready, so it has a log"
    memory, descriptors, threads = Counter[str](), Counter[str](), Counter[str]()
    numbers: Counter[str] = Counter()
    for pid, title in firm.processes().items():
        kind = next((kind for word, kind in KINDS.items() if word in title), "other")
        try:
            status = dict(
                line.split(":", 1)
                for line in Path(f"/proc/{pid}/status").read_text().splitlines()
                if ":" in line
            )
            descriptors[kind] += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            continue  # it has just ended
        memory[kind] += int(status.get("RssAnon", "0 kB").split()[0]) * 1024
        threads[kind] += int(status["Threads"])
        numbers[kind] += 1
    new = firm.log.operations(operations)
    cycles = sorted(float(str(op.value)) for op in new if op.name == "cycle_ms")
    sample = {
        "elapsed_s": round(elapsed, 2),
        "entries": firm.log.last_seq,
        "cycles": len(cycles),
        "cycle_ms_p50": quantile(cycles, 0.5),
        "cycle_ms_p99": quantile(cycles, 0.99),
        "store_bytes": sum(f.stat().st_size for f in firm.run_dir.glob("events.db*")),
        "memory": dict(memory),
        "descriptors": dict(descriptors),
        "threads": dict(threads),
        "processes": dict(numbers),
    }
    return sample, operations + len(new)


def quantile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def line(x: Vector, y: Vector) -> tuple[float, float, float]:
    """Slope, its Newey-West standard error (Bartlett weights), and the mean of `y`."""
    design = np.column_stack([np.ones_like(x), x - x.mean()])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ y
    scores = design * (y - design @ coefficients)[:, None]
    lags = max(1, int(4 * (len(x) / 100) ** (2 / 9)), len(x) // 10)
    middle = scores.T @ scores
    for lag in range(1, lags + 1):
        cross = scores[lag:].T @ scores[:-lag]
        middle += (1 - lag / (lags + 1)) * (cross + cross.T)
    covariance = inverse @ middle @ inverse
    return float(coefficients[1]), float(np.sqrt(max(covariance[1, 1], 0.0))), float(y.mean())


def judged(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the samples say: each slope an hour with its error, and the verdicts."""
    settled = [s for s in samples if s["elapsed_s"] >= SETTLED * samples[-1]["elapsed_s"]]
    if len(settled) < 20:
        raise FirmError(f"a soak needs at least 20 samples after it has settled, found {len(settled)}")
    first, last = settled[0], settled[-1]
    entries = last["entries"] - first["entries"]
    latency = _slope([s for s in settled if s["cycle_ms_p99"] is not None], lambda s: s["cycle_ms_p99"])
    memory: dict[str, Any] = {}
    for kind in sorted({kind for s in settled for kind in s["memory"]}):
        memory[kind] = _slope(settled, lambda s, kind=kind: s["memory"].get(kind, 0) / 2**20)
        memory[kind]["bytes_per_entry"] = round(
            memory[kind]["slope_per_hour"]
            * 2**20
            * (last["elapsed_s"] - first["elapsed_s"])
            / 3600
            / entries,
            2,
        )
    total = _slope(settled, lambda s: sum(s["memory"].values()) / 2**20)
    descriptors = _slope(settled, lambda s: sum(s["descriptors"].values()))
    return {
        "minutes": round(samples[-1]["elapsed_s"] / 60, 1),
        "entries": samples[-1]["entries"],
        "entries_per_second": round(entries / (last["elapsed_s"] - first["elapsed_s"]), 1),
        "cycles": sum(s["cycles"] for s in samples),
        "store_bytes_per_entry": round((last["store_bytes"] - first["store_bytes"]) / entries, 1),
        "memory_mb": memory | {"all": total},
        "descriptors": descriptors,
        "threads": _slope(settled, lambda s: sum(s["threads"].values())),
        "cycle_ms_p99": latency,
        "verdicts": {
            "memory flat": total["upper_share_per_hour"] < ALLOWED,
            "no descriptor growth": descriptors["upper_share_per_hour"] < ALLOWED,
            "latency stable": latency["slope_per_hour"] - 2 * latency["error"] <= 0,
        },
    }


def _slope(samples: Sequence[Mapping[str, Any]], figure: Any) -> dict[str, float]:
    x = np.array([s["elapsed_s"] / 3600 for s in samples])
    slope, error, mean = line(x, np.array([float(figure(s)) for s in samples]))
    upper = (slope + 2 * error) / mean if mean else 0.0
    figures = {"mean": mean, "slope_per_hour": slope, "error": error, "upper_share_per_hour": upper}
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    main()
