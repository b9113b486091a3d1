"""`firm shadow`: opens a run's log for reading, lets a candidate decide on it, and returns the report."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Final, NamedTuple

from firm import __version__
from firm.bus.chain import GENESIS, link
from firm.config import load_settings
from firm.risk_kernels.fingerprint import numeric_fingerprint
from firm.roster import recorded_settings
from firm.shadow.decision import Decision
from firm.shadow.follow import decisions
from firm.shadow.report import as_json, changed_settings, differing, text
from firm.shadow.shadow import Shadow
from firm.store.keys import Keys
from firm.store.reading import SqliteReader

LOOK_EVERY_S: Final = 1.0
"""How often a growing log is looked at: decisions are minutes apart, and a look is one indexed query."""


class Report(NamedTuple):
    """The comparison for people, and as JSON."""

    text: str
    json: str


def shadow(
    directory: Path,
    config: Path,
    overrides: Sequence[str],
    *,
    follow: bool,
    told: Callable[[str], None] = lambda _line: None,
    json_file: Path | None = None,
) -> Report:
    """Compare the run in `directory` with what `config` would have decided; `told` hears of each decision.

    With `follow` it goes on until the firm has shut down; Ctrl-C ends it with what was compared so far. The
    JSON also goes into `json_file`.
    """
    candidate = load_settings(config, overrides)
    log = SqliteReader.open(directory, Keys.load(create=False))
    found: list[Decision] = []
    try:
        started, live = recorded_settings(log)
        first = log.read(limit=1)[0]
        notes = _notes(started.fingerprint, started.code_version)
        try:
            for decision in decisions(log, Shadow(first, live, candidate), _pause if follow else _at_end):
                found.append(decision)
                told(_line(decision))
        except KeyboardInterrupt:
            notes.append("interrupted: the report ends with the last decision compared")
    finally:
        log.close()
    changes = changed_settings(live, candidate)
    lines = "".join(f"{note}\n" for note in notes)
    report = Report(lines + text(found, changes), as_json(link(GENESIS, first)[:4].hex(), found, changes))
    if json_file is not None:
        json_file.write_text(report.json, encoding="utf-8")
    return report


def _pause() -> bool:
    Event().wait(LOOK_EVERY_S)
    return True


def _at_end() -> bool:
    return False


def _notes(fingerprint: str, code_version: str) -> list[str]:
    notes = []
    if numeric_fingerprint() != fingerprint:
        notes.append("numeric fingerprint differs from the run's: figures may differ in the last bit")
    if code_version != __version__:
        notes.append(
            f"code here {__version__}, of the run {code_version}: differences may come from the code"
        )
    return notes


def _line(decision: Decision) -> str:
    at = datetime.fromtimestamp(decision.at / 1e9, UTC)
    what = f"{len(decision.differences)} orders differ" if differing(decision) else "the same orders"
    return f"{at:%Y-%m-%d %H:%M} cycle {decision.cycle}: {what}"
