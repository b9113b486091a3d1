"""The firm's side of the operator's mailbox: wishes become events, and the latch follows the log."""

import time
from pathlib import Path
from typing import Final

import msgspec

from firm.errors import FirmError
from firm.events import Event
from firm.events.system import OperatorHaltRequested
from firm.ops.files import read_small, sync_directory, write_atomically
from firm.ops.latch import Latch, read_latch, release_latch, restore_latch, write_latch
from firm.ops.wishes import MAILBOX, NAME, Rearm, Wish, next_number

REFUSED: Final = "refused"
WISHES_A_TURN: Final = 100


class Mailbox:
    """An `OperatorGateway` over files in `run_dir`; one instance, in the process of the bus.

    A wish is removed after its commit, so a firm that dies in between takes it again. That is harmless: a
    halt on a halted firm and a re-arming of a trading one change nothing, an entry is skipped only while an
    agent is stuck on it, a restriction holds once or twice, a firm told twice to stop needs one more start,
    and news are logged twice. The one wish that could do harm is a re-arming that meets a *later* halt; so
    every latch and every wish has a number, and a latch voids the re-armings before it.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir, self._mailbox = run_dir, run_dir / MAILBOX
        try:
            self._mailbox.mkdir(mode=0o700, exist_ok=True)
            (self._mailbox / REFUSED).mkdir(exist_ok=True)
            restore_latch(run_dir)
            self._in_doubt = any(path.suffix == ".taken" for path in self._mailbox.iterdir())
        except OSError as error:
            raise FirmError(
                f"the operator's mailbox needs a directory that can be written in {run_dir}, found: {error};"
                " without it nobody could stop the firm"
            ) from error
        self._taken: list[Path] = []
        self._rearmed = self._asked = False
        self._seen: Latch | None = None
        self._halted: str | None = None

    def take(self, halted: str | None) -> list[Event]:
        """See OperatorGateway. A mailbox that cannot be read halts: nobody could stop the firm through it."""
        self._asked, self._halted, self._rearmed, self._taken = True, halted, False, []
        self._seen = read_latch(self._run_dir)
        wanted: list[Event] = []
        if self._seen is not None and halted is None:
            wanted.append(OperatorHaltRequested(self._seen.reason))
        try:
            for path in self._waiting():
                wanted += self._take(path)
        except OSError as error:
            if halted is None and not wanted:
                wanted.append(OperatorHaltRequested(f"the operator's mailbox cannot be used: {error}"))
        return wanted

    def done(self, halted: str | None) -> None:
        """See OperatorGateway. The latch first, then the wishes: a crash in between loses nothing."""
        if halted is not None:
            self._latch(halted)
        elif self._rearmed:
            release_latch(self._run_dir, self._seen)
        for path in self._taken:
            path.unlink(missing_ok=True)
        self._taken, self._rearmed, self._in_doubt = [], False, False
        self._asked, self._halted = True, halted
        self._seen = read_latch(self._run_dir)

    def _waiting(self) -> list[Path]:
        found = sorted(path for path in self._mailbox.iterdir() if not path.name.startswith("."))
        return [path for path in found if path.name != REFUSED][:WISHES_A_TURN]

    def _take(self, path: Path) -> list[Event]:
        match = NAME.fullmatch(path.name)
        if match is None:
            self._refuse(path, "a wish needs a name that firm has given; use the commands of firm")
            return []
        try:
            wish: Wish = msgspec.json.decode(read_small(path), type=Wish)
        except FileNotFoundError:
            return []
        except (OSError, ValueError, msgspec.DecodeError) as error:
            self._refuse(path, f"not a wish: {error}")
            return []
        if isinstance(wish, Rearm):
            if self._seen is not None and int(match[1]) <= self._seen.number:
                self._refuse(path, f"void: trading was halted after it was asked for ({self._seen.reason})")
                return []
            path = path.replace(path.with_suffix(".taken"))
            self._rearmed = True
        self._taken.append(path)
        return [wish.event()]

    def _refuse(self, path: Path, reason: str) -> None:
        """Put the file where people find it, with the reason beside it."""
        refused = self._mailbox / REFUSED / path.name
        write_atomically(refused.with_name(f"{path.name}.reason.txt"), f"{reason}\n".encode())
        path.replace(refused)
        sync_directory(refused.parent)

    def _latch(self, halted: str) -> None:
        """Put a latch in place for the log's halt, so that the broker gateway sees it too.

        A latch that is there stays, except when the log halted anew while a re-arming was on its way: then
        a new one must void that re-arming. A kill that came since the last look stays in any case.
        """
        latch = read_latch(self._run_dir)
        anew = halted != self._halted if self._asked else self._in_doubt
        unchanged = latch is not None and (not self._asked or latch == self._seen)
        if latch is None or (anew and unchanged and not latch.is_reason(halted)):
            number = next_number(self._run_dir)
            write_latch(self._run_dir, Latch(halted, "firm", time.time_ns(), number))
