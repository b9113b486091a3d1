"""A firm as a process, watched from outside: what runs, what the log and the endpoints say. Linux only."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from firm.errors import FirmError, StoreError
from firm.store.keys import Keys
from firm.store.reading import SqliteReader

POLL_S = 0.05
MARK = "FIRM_RUN_MARK"
ON_FREE_PORTS = tuple(
    word
    for setting in ("cluster.dashboard=false", "ops.port=0", "broker.gateway_port=0")
    for word in ("--set", setting)
)

Found = TypeVar("Found")


def until(condition: Callable[[], Found], what: str, within_s: float) -> Found:
    """Wait for a condition to become true; what it found. FirmError if that takes longer than `within_s`."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise FirmError(
                f"needed within {within_s:.0f} s: {what}; found it not so. Look at the run's logs"
            )
        time.sleep(POLL_S)
    return found


class RunningFirm:
    """A launched firm in a session of its own. What it prints goes to `printed.txt` beside its directory."""

    def __init__(
        self, run_dir: Path, options: Sequence[str] = (), environ: Mapping[str, str] | None = None
    ) -> None:
        """`options`: of `python -m firm.launch`; ports are free ones. `environ` is added to ours."""
        self.run_dir, self._mark = run_dir, secrets.token_hex(8)
        self.printed = run_dir.with_name(f"{run_dir.name}.printed.txt")
        run_dir.parent.mkdir(parents=True, exist_ok=True)
        self._reader: SqliteReader | None = None
        with self.printed.open("ab") as printed:
            self.process = subprocess.Popen(  # noqa: S603  our own module, no shell
                [sys.executable, "-m", "firm.launch", "--run-dir", str(run_dir), *ON_FREE_PORTS, *options],
                env=os.environ | {MARK: self._mark} | dict(environ or {}),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """Whether its launcher still runs."""
        return self.process.poll() is None

    def processes(self) -> dict[int, str]:
        """Every living process of this firm: pid to command line or title."""
        return {pid: title for pid, title in living() if self._is_ours(pid)}

    def called(self, *words: str) -> list[int]:
        """Its processes whose title has one of `words`, the oldest first."""
        return sorted(pid for pid, title in self.processes().items() if any(word in title for word in words))

    @property
    def log(self) -> SqliteReader | None:
        """Its log, read beside the writer; None before there is one."""
        if self._reader is None:
            with contextlib.suppress(StoreError):
                self._reader = SqliteReader.open(self.run_dir, Keys.load(create=False))
        return self._reader

    def last_seq(self) -> int:
        """Entries committed so far; 0 before there is a log."""
        return 0 if self.log is None else self.log.last_seq

    def ask(self, path: str) -> int:
        """The status of an endpoint; 0 if nobody answers."""
        try:
            where = json.loads((self.run_dir / "ops.json").read_text())
            address = f"http://{where['host']}:{where['port']}{path}"
            with urllib.request.urlopen(address, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code
        except (OSError, ValueError):
            return 0

    def said(self) -> str:
        """The last lines it has printed."""
        lines = self.printed.read_text(errors="replace").strip().splitlines()
        return " / ".join(line.strip() for line in lines[-3:])

    def while_alive(self, condition: Callable[[], Found], what: str, within_s: float) -> Found:
        """Wait for a condition; FirmError if the firm ends first."""

        def looked() -> Found:
            if not self.alive:
                raise FirmError(f"the firm needs to run until: {what}; it has ended: {self.said()}")
            return condition()

        return until(looked, what, within_s)

    def forget(self) -> None:
        """Let go of the log."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def end_everything(self) -> None:
        """SIGKILL to whatever of it still runs; returns when all of it is gone."""
        self.forget()
        while ours := self.processes():
            for pid in ours:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
            time.sleep(POLL_S)
        self.process.wait()

    def _is_ours(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            if os.getsid(pid) == self.process.pid:
                return True
            return f"{MARK}={self._mark}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        return False


def living() -> Iterator[tuple[int, str]]:
    """Every process with a title: pid and title. A zombie has none."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                raw = (entry / "cmdline").read_bytes()
                if title := raw.replace(b"\0", b" ").decode(errors="replace").strip():
                    yield int(entry.name), title
