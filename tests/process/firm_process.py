"""The firm as its user has it: launched as a process, asked over HTTP, operated with `firm`."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from firm.errors import StoreError
from firm.events import CODEC, Event, Record
from firm.gateway_sim.process import ControlLine, GatewayProcess, start_gateway
from firm.store.keys import Keys
from firm.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240.0
POLL_S = 0.05
ON_FREE_PORTS = tuple(
    word
    for setting in ("cluster.dashboard=false", "ops.port=0", "broker.gateway_port=0")
    for word in ("--set", setting)
)
MARK = "FIRM_TEST_RUN"

Found = TypeVar("Found")


class Said(NamedTuple):
    """How a process ended."""

    code: int
    out: str
    err: str


def until(condition: Callable[[], Found], what: str, patience_s: float = PATIENCE_S) -> Found:
    """Wait for a condition; what it found."""
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {patience_s:.0f} s: {what}"
        time.sleep(POLL_S)
    return found


class Firm:
    """A launched firm, in a session of its own as a terminal would give it."""

    def __init__(
        self, run_dir: Path, *options: str, prints: str = "", environ: Mapping[str, str] | None = None
    ) -> None:
        """`prints`: name of the files beside `run_dir` that it prints into, the directory's by default."""
        self.run_dir, self._mark = run_dir, f"{run_dir}+{prints}"
        run_dir.parent.mkdir(parents=True, exist_ok=True)
        name = prints or run_dir.name
        self._files = [run_dir.with_name(f"{name}.{stream}") for stream in ("out", "err")]
        with self._files[0].open("wb") as out, self._files[1].open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "firm.launch", "--run-dir", str(run_dir), *ON_FREE_PORTS, *options],
                cwd=ROOT,
                env=os.environ | {MARK: self._mark} | dict(environ or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def said(self) -> Said:
        """What it has printed so far; code -1 while it runs."""
        code = self.process.poll()
        out, err = (file.read_text(errors="replace") for file in self._files)
        return Said(-1 if code is None else code, out, err)

    def while_alive(self, condition: Callable[[], Found], what: str) -> Found:
        """Wait for a condition; the firm must not end meanwhile."""

        def looked() -> Found:
            assert self.process.poll() is None, f"the firm ended before: {what}\n{self.said()}"
            return condition()

        return until(looked, what)

    def ctrl_c(self) -> None:
        """SIGINT to the foreground process group, as a terminal sends it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def finish(self, patience_s: float = PATIENCE_S) -> Said:
        """Wait for its end."""
        self.process.wait(timeout=patience_s)
        return self.said()

    def processes(self) -> dict[int, str]:
        """Every living process of this firm: pid to command line or title."""
        return {pid: title for pid, title in _living() if self._is_ours(pid)}

    def _is_ours(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            if os.getsid(pid) == self.process.pid:
                return True
            return f"{MARK}={self._mark}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        return False

    def actors(self, name: str) -> list[int]:
        """The processes of the actors of a class, by the titles Ray gives them."""
        wanted = f"ray::{name}"
        return sorted(pid for pid, title in self.processes().items() if title.split(".")[0] == wanted)

    def leave_nothing(self) -> None:
        """Wait until no process of it is left."""
        try:
            until(lambda: not self.processes(), "all processes gone", 60)
        except AssertionError:
            raise AssertionError(f"left behind: {self.processes()}") from None

    def kill_everything(self) -> None:
        """For the end of a test, however it ended."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def ask(self, path: str) -> tuple[int, str]:
        """Status and body of an endpoint; status 0 if nobody listens."""
        try:
            where = json.loads((self.run_dir / "ops.json").read_text())
            with urllib.request.urlopen(f"http://127.0.0.1:{where['port']}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()
        except OSError:
            return 0, ""

    def metrics(self) -> dict[str, float]:
        """Every sample: its name, with its label values behind it."""
        _, text = self.ask("/metrics")
        families = text_string_to_metric_families(text)
        return {
            " ".join((sample.name, *sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }

    def orders_at_the_gateway(self) -> int:
        """How many orders ever reached the gateway."""
        facts = json.loads((self.run_dir / "gateway.json").read_text())
        line = ControlLine("127.0.0.1", facts["control_port"])
        try:
            return len(line.ask({"cmd": "orders"})["orders"])
        finally:
            line.close()


@contextlib.contextmanager
def launched(
    run_dir: Path, *options: str, prints: str = "", environ: Mapping[str, str] | None = None
) -> Iterator[Firm]:
    """A firm for the length of a `with` block; nothing of it outlives the block."""
    firm = Firm(run_dir, *options, prints=prints, environ=environ)
    try:
        yield firm
    finally:
        firm.kill_everything()


def _living() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                if title:  # a zombie has none
                    yield int(entry.name), title


def command(*arguments: str | Path, environ: Mapping[str, str] | None = None) -> Said:
    """Run `firm` with these arguments."""
    done = subprocess.run(
        [sys.executable, "-m", "firm.cli", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | dict(environ or {}),
        capture_output=True,
        check=False,
        text=True,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def records(run_dir: Path, kinds: Collection[type[Event]] | None = None) -> list[Record]:
    """The log so far, all of it or some classes; nothing before there is one."""
    wanted = None if kinds is None else {cls.KIND for cls in kinds}
    try:
        with contextlib.closing(SqliteStore.read_only(run_dir, Keys.load(create=False))) as store:
            return store.read(kinds=wanted)
    except StoreError:
        return []


def events(run_dir: Path, *classes: type[Event]) -> list[tuple[int, Any]]:
    """(seq, event) of the log's events of these classes, in order."""
    return [(record.seq, CODEC.event(record)) for record in records(run_dir, classes)]


def last_seq(run_dir: Path) -> int:
    """Entries committed so far; 0 before there is a log."""
    try:
        with contextlib.closing(SqliteStore.read_only(run_dir, Keys.load(create=False))) as store:
            return store.last_seq
    except StoreError:
        return 0


@contextlib.contextmanager
def gateway_afterwards(run_dir: Path) -> Iterator[GatewayProcess]:
    """The gateway of a run that is over, started once more on its journal to be asked what it knows."""
    source = json.loads((run_dir / "gateway.json").read_text())["source"]
    with start_gateway(days=source["days"], journal=run_dir / "gateway.db", account="DU0000001") as gateway:
        yield gateway


def summary(run_dir: Path) -> dict[str, Any]:
    """The run's summary.json."""
    found: dict[str, Any] = json.loads((run_dir / "summary.json").read_text())
    return found
