"""The latch file: while `halt.json` lies in the run's directory, no order leaves the firm.

It works without the firm: whoever pulls the kill switch writes it, and the broker gateway looks for it before
every order. A latch that cannot be read halts as well.
"""

import os
from pathlib import Path
from typing import Final

import msgspec

from firm.ops.files import read_small, write_atomically

LATCH: Final = "halt.json"
_ASIDE: Final = ".halt-released.json"


class Latch(msgspec.Struct, frozen=True):
    """Why trading stopped, who stopped it, and when (ns UTC, this machine's clock).

    `number` places it among the wishes in the mailbox: only a re-arming with a higher one can release it.
    """

    reason: str
    by: str
    at_ns: int
    number: int

    def is_reason(self, halted: str) -> bool:
        """Whether the log's halt is this latch's: the bus puts `operator: ` before an operator's reason."""
        return halted in (self.reason, f"operator: {self.reason}")


def read_latch(run_dir: Path) -> Latch | None:
    """The latch; None without one. An unreadable one counts, with the time of its file as its number."""
    return _read(run_dir / LATCH)


def latch_fact(run_dir: Path) -> str:
    """The reason of the latch, "" without one: what health wants to know."""
    latch = read_latch(run_dir)
    return latch.reason if latch else ""


def _read(path: Path) -> Latch | None:
    try:
        latch = msgspec.json.decode(read_small(path), type=Latch)
        return latch if latch.reason else msgspec.structs.replace(latch, reason="no reason given")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, msgspec.DecodeError) as error:
        try:
            at = path.lstat().st_mtime_ns
        except FileNotFoundError:
            return None
        except OSError:
            at = 0
        return Latch(f"the latch file cannot be read: {error}", "unknown", at, at)


def write_latch(run_dir: Path, latch: Latch) -> None:
    """Put the latch in place, or a newer one in its place; durable when this returns."""
    write_atomically(run_dir / LATCH, msgspec.json.encode(latch))


def release_latch(run_dir: Path, seen: Latch | None) -> None:
    """Take the latch away if it still is the one that was `seen`, None = there was none.

    It is first moved aside and looked at there: a kill that comes in between puts a new file in place, and a
    kill that came before is moved back. A crash in between leaves it aside, and `restore_latch` finds it.
    """
    latch, aside = run_dir / LATCH, run_dir / _ASIDE
    try:
        latch.replace(aside)
    except FileNotFoundError:
        return
    found = _read(aside)
    if found is not None and seen is not None and found.number == seen.number:
        aside.unlink()
    else:
        restore_latch(run_dir)


def restore_latch(run_dir: Path) -> None:
    """Put back a latch that was moved aside and never judged; a newer one in place stays."""
    latch, aside = run_dir / LATCH, run_dir / _ASIDE
    try:
        os.link(aside, latch)
    except FileExistsError:
        pass
    except FileNotFoundError:
        return
    aside.unlink()
