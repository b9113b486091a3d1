"""Writes what a run came to: summary.json and report.html, from the log and the operations beside it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from firm.events.record import LogReader
from firm.report.html import render
from firm.report.summary import Summary


class Operated(Protocol):
    """An operation noted beside the log."""

    @property
    def name(self) -> str:
        """What was noted."""

    @property
    def value(self) -> object:
        """How much."""


class OperatedLog(LogReader, Protocol):
    """A log that can be read, with the operations noted beside it."""

    def operations(self) -> Sequence[Operated]:
        """What was measured."""


def write_report(store: OperatedLog, directory: Path) -> None:
    """Write both files into `directory`, each replaced as a whole."""
    summary = Summary()
    for record in store.read():
        summary.note(record)
    latencies = [
        float(operation.value)
        for operation in store.operations()
        if operation.name == "tick_to_order_ms" and isinstance(operation.value, int | float)
    ]
    content = summary.as_dict(store.head, latencies)
    content["books_agree"] = content["positions"] == content["positions_broker"]
    _replace(directory / "summary.json", json.dumps(content, indent=2) + "\n")
    _replace(directory / "report.html", render(summary, store.head, latencies, str(directory)))


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
