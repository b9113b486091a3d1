"""What each benchmark's JSON means as rows of one table: a value, its peer or floor, their ratio, a target.

A script may say so itself: if its JSON has "rows", each with the fields of `Row` (name, value and unit at
least), these are taken, and it need not be known here. Of one that is not known and says nothing, every
number that is not in a list is a row without a peer.
"""

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

HERE = Path(__file__).parent

APART = frozenset({"soak"})
"""Takes hours, and is run by itself."""


@dataclass(frozen=True)
class Row:
    """One figure. `ratio` is value over peer; `better` says whether value (and so ratio) should be high.

    `target` is what the ratio has to reach (or, lower, may not exceed); None: nobody asked for one.
    """

    benchmark: str
    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    better: Literal["higher", "lower"] = "higher"
    target: float | None = None

    @property
    def ratio(self) -> float | None:
        """Value over peer; None without one."""
        return None if self.peer_value is None else self.value / self.peer_value

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None or self.ratio is None:
            return None
        return self.ratio >= self.target if self.better == "higher" else self.ratio <= self.target


def constant(script: str, name: str) -> Any:
    """A literal that a script assigns at its top, so that a target has one place."""
    for statement in ast.parse((HERE / f"{script}.py").read_text(encoding="utf-8")).body:
        if not isinstance(statement, ast.Assign):
            continue
        (target,) = statement.targets
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        found = [place for place, each in enumerate(names) if isinstance(each, ast.Name) and each.id == name]
        if found:
            value = ast.literal_eval(statement.value)
            return value[found[0]] if isinstance(target, ast.Tuple) else value
    raise LookupError(
        f"benchmarks/{script}.py needs the constant {name}, found none; correct benchmarks/rows.py"
    )


def own_rows(benchmark: str, found: Mapping[str, Any]) -> list[Row]:
    """The rows a script says itself, or the numbers it has."""
    if "rows" in found:
        return [Row(benchmark, **row) for row in found["rows"]]
    rows = [Row(benchmark, name, value, "") for name, value in _numbers(found, "")]
    if not rows:
        raise LookupError('needed "rows" or numbers, found neither')
    return rows


def _numbers(found: Mapping[str, Any], before: str) -> Iterable[tuple[str, float]]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{before}{name}, ")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{name}", float(value)


def event_store(found: Mapping[str, Any]) -> Iterable[Row]:
    speed = {(row["batch"], row["store"]): row["events_per_second"] for row in found["table"]}
    for batch in sorted({batch for batch, _ in speed}):
        ours = speed[batch, "event store"]
        name = f"durable commits of {batch}"
        yield Row("event_store", name, ours, "entries/s", "sqlite3, plain", speed[batch, "sqlite3 plain"])
        yield Row("event_store", name, ours, "entries/s", "append + fsync", speed[batch, "append + fsync"])
        for store in ("async standby", "sync standby"):
            both = speed[batch, store]
            yield Row("event_store", f"{name}, {store}", both, "entries/s", "without a standby", ours)
    for name, what in (("read_events_per_second", "read back"), ("verify_events_per_second", "verify")):
        yield Row("event_store", what, found["others"][name], "entries/s")


def local_runner(found: Mapping[str, Any]) -> Iterable[Row]:
    live = found["entries_per_second"]
    yield Row("local_runner", "whole firm in one thread", live, "entries/s")
    yield Row("local_runner", "decisions in one thread", found["decisions_per_second"], "1/s")
    yield Row("local_runner", "replay", found["replay_entries_per_second"], "entries/s", "living it", live)


def monte_carlo(found: Mapping[str, Any]) -> Iterable[Row]:
    speeds, targets = found["scenarios_per_second"], constant("monte_carlo", "TARGETS")
    base = constant("monte_carlo_peers", "BASE")
    for name, speed in speeds.items():
        if name.startswith("firm"):
            yield Row(
                "monte_carlo", f"full revaluation, {name}", speed, "scenarios/s", base, speeds[base],
                target=targets.get(name),
            )  # fmt: skip
    rates, share = found["gigaflops"], constant("monte_carlo", "PRODUCT_SHARE_MIN")
    name = "Cholesky product"
    yield Row("monte_carlo", name, rates[name], "GF/s", "this core's peak", rates["peak"], target=share)
    one, two, least = (
        found["workers"]["one"],
        found["workers"]["two"],
        constant("monte_carlo", "WORKERS_RATIO_MIN"),
    )
    yield Row("monte_carlo", "two threads", 1 / two, "runs/s", "one thread", 1 / one, target=least)


def incremental(found: Mapping[str, Any]) -> Iterable[Row]:
    return own_rows("incremental_var", found)


def risk_cluster(found: Mapping[str, Any]) -> Iterable[Row]:
    alone, one, two = (
        found["seconds"][name] for name in ("in this process", "one Ray worker", "two Ray workers")
    )
    most, least = (constant("risk_cluster", name) for name in ("OVERHEAD_MAX", "WORKERS_RATIO_MIN"))
    yield Row(
        "risk_cluster", "a million scenarios as Ray tasks", one, "s", "in process", alone, "lower", most
    )
    yield Row("risk_cluster", "two Ray workers", 1 / two, "runs/s", "one worker", 1 / one, target=least)
    cycle = found["cycle_ms"]
    risk = cycle["risk run"] + cycle["risk agent"]
    yield Row(
        "risk_cluster", "risk in a decision, 50 shares", risk, "ms", "the decision", cycle["cycle"], "lower"
    )


def scale(found: Mapping[str, Any]) -> Iterable[Row]:
    return own_rows("scale", found)


def options(found: Mapping[str, Any]) -> Iterable[Row]:
    for style in ("European", "American"):
        times = found[f"{style}, ns"]
        ours = 1e3 / times["value, ours"]
        yield from (
            Row("options", f"{style} values", ours, "millions/s", name.removeprefix("value, "), 1e3 / each)
            for name, each in times.items()
            if name.startswith("value, ") and name != "value, ours"
        )
    times = found["ladder"]["ns"]
    ladder, formula = 1e3 / times["ladder"], 1e3 / times["European by formula"]
    yield Row("options", "American by ladder", ladder, "millions/s", "European by formula", formula)


def tail_sampler(found: Mapping[str, Any]) -> Iterable[Row]:
    for book, figures in found.items():
        for name, gain in zip(("VaR", "ES"), figures["gain with pilot"], strict=True):
            yield Row("tail_sampler", f"{name}, {book}", gain, "variance x time", "plain Monte Carlo", 1.0)


def tick_to_order(found: Mapping[str, Any]) -> Iterable[Row]:
    most = constant("tick_to_order", "RATIO_MAX")
    for seating in ("separate", "co-seated"):
        medians = found[seating]["medians"]
        for centile, target in (("p50", most), ("p99", None)):
            name = f"news to first order, {seating}, {centile}"
            firm, bare = medians[f"firm_first_{centile}_ms"], medians[f"bare_{centile}_ms"]
            yield Row("tick_to_order", name, firm, "ms", "the same hops, empty", bare, "lower", target)


def bare_hops(found: Mapping[str, Any]) -> Iterable[Row]:
    whole, without = (median(found[f"{name}_monte_carlo_ms"]) for name in ("with", "without"))
    yield Row("bare_hops", "empty hops of a decision", whole, "ms", "without Monte Carlo", without, "lower")


@dataclass(frozen=True)
class Known:
    """How the suite runs a script: its arguments for a quick look, and what its JSON means.

    `prints`: its JSON is what it prints, it takes no --json. `part_of`: another one runs it. `on_cluster`: it
    takes --address. `plots`: it takes --plots.
    """

    rows: Callable[[Mapping[str, Any]], Iterable[Row]]
    quick: tuple[str, ...] = ()
    prints: bool = False
    part_of: str | None = None
    on_cluster: bool = False
    plots: bool = False


KNOWN: Mapping[str, Known] = {
    "event_store": Known(event_store, ("--rounds", "1")),
    "local_runner": Known(local_runner, ("--days", "5", "--repeats", "1")),
    "monte_carlo": Known(monte_carlo, ("--rounds", "1")),
    "incremental_var": Known(incremental, ("--repeats", "10")),
    "options": Known(options, ("--repeats", "1"), prints=True),
    "tail_sampler": Known(
        tail_sampler, ("--repeats", "5", "--blocks", "10", "--reference", "50"), prints=True
    ),
    "risk_cluster": Known(risk_cluster, ("--rounds", "1"), on_cluster=True),
    "scale": Known(scale, ("--rounds", "1"), on_cluster=True, plots=True),
    "tick_to_order": Known(tick_to_order, ("--rounds", "1")),
    "bare_hops": Known(bare_hops, ("--decisions", "40"), prints=True, part_of="tick_to_order"),
}
