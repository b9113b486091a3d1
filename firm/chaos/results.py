"""What was measured, in a file that a campaign can be resumed from, and as the fault table."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from firm.errors import ConfigError
from firm.ops.files import write_atomically

IDENTICAL: Final = "identical"


class TableRow(NamedTuple):
    """One fault over all its repeats; seconds. `detected_s` is None if nothing was ever to be noticed.

    The losses of a day are those of every fault that it had: whose they are is not known.
    """

    fault: str
    repeats: int
    detected_s: tuple[float, float] | None
    recovered_s: tuple[float, float]
    entries_lost: int
    orders_lost: int
    orders_doubled: int
    orders_after_halt: int
    books_agree: bool
    replay_identical: bool

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled, sent after a halt or different."""
        counts = (self.entries_lost, self.orders_lost, self.orders_doubled, self.orders_after_halt)
        return not any(counts) and self.books_agree and self.replay_identical


class Results:
    """The results file: the plan's key, then the finished days. Written whole after each day."""

    def __init__(self, path: Path, key: Mapping[str, Any]) -> None:
        """`key` names the plan (seed, faults, repeats); a file of another plan is a ConfigError."""
        self._path = path
        self.days: dict[int, dict[str, Any]] = {}
        self._key = dict(key)
        if path.exists():
            content = json.loads(path.read_text())
            if content["plan"] != self._key:
                raise ConfigError(
                    f"to resume {path} the plan must be {content['plan']}, found {self._key}; name another "
                    "file, or give the same seed, faults and repeats"
                )
            self.days = {int(number): day for number, day in content["days"].items()}

    def has_day(self, number: int) -> bool:
        """Whether this day of the plan was lived to its end."""
        return number in self.days

    def add_day(self, number: int, faults: Sequence[Mapping[str, Any]], ending: Mapping[str, Any]) -> None:
        """A day that is over; on disk when this returns."""
        self.days[number] = {"faults": list(faults), "ending": dict(ending)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, json.dumps({"plan": self._key, "days": self.days}, indent=1).encode())

    def table(self) -> list[TableRow]:
        """One row a fault, by name."""
        return table(self.days.values())


def table(days: Iterable[Mapping[str, Any]]) -> list[TableRow]:
    """The fault table of finished days."""
    met: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = defaultdict(list)
    for day in days:
        for fault in day["faults"]:
            met[fault["fault"]].append((fault, day["ending"]))
    return [_row(name, met[name]) for name in sorted(met)]


def _row(name: str, met: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> TableRow:
    endings = {id(ending): ending for _, ending in met}.values()
    detected = [fault["detected_s"] for fault, _ in met if fault["detected_s"] is not None]
    recovered = [fault["recovered_s"] for fault, _ in met]
    return TableRow(
        fault=name,
        repeats=len(met),
        detected_s=(median(detected), max(detected)) if detected else None,
        recovered_s=(median(recovered), max(recovered)),
        entries_lost=sum(fault["entries_lost"] for fault, _ in met),
        orders_lost=sum(len(ending["lost"]) for ending in endings),
        orders_doubled=sum(len(ending["doubled"]) for ending in endings),
        orders_after_halt=sum(len(ending["after_halt"]) for ending in endings)
        + sum(len(fault["complaints"]) for fault, _ in met),
        books_agree=not any(ending["positions"] for ending in endings),
        replay_identical=all(ending["replay"].startswith(IDENTICAL) for ending in endings),
    )


def markdown(rows: Sequence[TableRow], does: Mapping[str, str]) -> str:
    """The fault table for a document; median and, in brackets, the longest of the repeats."""
    heads = (
        *("fault", "repeats", "detected in, s", "recovered in, s", "entries lost", "orders lost"),
        *("orders doubled", "after halt", "books = broker's", "replay identical"),
    )
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in rows:
        cells = (
            does.get(row.fault, row.fault),
            str(row.repeats),
            _seconds(row.detected_s),
            _seconds(row.recovered_s),
            str(row.entries_lost),
            str(row.orders_lost),
            str(row.orders_doubled),
            str(row.orders_after_halt),
            "yes" if row.books_agree else "NO",
            "yes" if row.replay_identical else "NO",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _seconds(figures: tuple[float, float] | None) -> str:
    return "-" if figures is None else f"{figures[0]:.1f} ({figures[1]:.1f})"
