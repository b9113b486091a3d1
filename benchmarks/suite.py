"""Runs the benchmark scripts one after the other, each in a process of its own, and gathers their rows."""

import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.rows import APART, HERE, KNOWN, Known, Row, own_rows

ROOT = HERE.parent
SCHEMA = 1
PACKAGES = ("firm", "ray", "numpy", "scipy", "numba", "QuantLib", "apsw-sqlite3mc")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class How:
    """How the scripts are run. `address`: of the Ray cluster, for those that can use one."""

    quick: bool = False
    timeout_s: float = 1800.0
    address: str | None = None
    plots: Path | None = None

    def arguments(self, known: Known) -> list[str]:
        """What a script is given."""
        chosen = [*(known.quick if self.quick else ())]
        if self.address is not None and known.on_cluster:
            chosen += ["--address", self.address]
        if self.plots is not None and known.plots:
            chosen += ["--plots", str(self.plots.resolve())]
        return chosen


@dataclass
class Result:
    """What a run of the suite found. `failed` says why, by script; `seconds` is how long each one took."""

    rows: list[Row] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class BenchmarkFailed(Exception):
    """A script ended badly, took too long, or its JSON has not what its rows need."""


def scripts(place: Path = HERE) -> list[str]:
    """The benchmarks there are: the files that can be run by themselves, the slow ones with Ray last."""
    found = [path.stem for path in place.glob("*.py") if _is_script(path)]
    order = [*KNOWN, *sorted(set(found) - set(KNOWN))]
    return [name for name in order if name in found]


def _is_script(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return (
        path.stem not in {"__main__", *APART}
        and re.search(r"^if __name__ == .__main__.:", text, re.MULTILINE) is not None
    )


def run_all(names: Sequence[str], how: How, *, progress: Progress, place: Path = HERE) -> Result:
    """Run these scripts; one that fails is noted and the others go on."""
    result = Result()
    for number, name in enumerate(names, 1):
        progress(f"[{number}/{len(names)}] {name}")
        began = time.perf_counter()
        try:
            result.rows += run_one(name, how, place=place)
        except BenchmarkFailed as failed:
            result.failed[name] = str(failed)
            progress(f"    FAILED: {failed}")
        result.seconds[name] = round(time.perf_counter() - began, 1)
        progress(f"    {result.seconds[name]:.0f} s")
    return result


def run_one(name: str, how: How, *, place: Path = HERE) -> list[Row]:
    """The rows of one script. Its standard error passes through: that is where it tells its progress."""
    known = KNOWN.get(name, Known(lambda found: own_rows(name, found)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        command = [sys.executable, str(place / f"{name}.py"), *how.arguments(known)]
        printed = _run(command if known.prints else [*command, "--json", str(file)], how.timeout_s)
        if not known.prints and not file.exists():
            raise BenchmarkFailed("needed a JSON file at the path given with --json, found none")
        text = printed if known.prints else file.read_text(encoding="utf-8")
    return understood(name, text, known)


def understood(name: str, text: str, known: Known) -> list[Row]:
    """The rows in a script's JSON."""
    try:
        return list(known.rows(json.loads(text)))
    except (ValueError, KeyError, TypeError, LookupError) as error:
        raise BenchmarkFailed(
            f"its JSON is not what benchmarks/rows.py expects of {name}: {type(error).__name__}: {error}"
        ) from error


def _run(command: Sequence[str], timeout_s: float) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            printed, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise BenchmarkFailed(f"it took more than {timeout_s:.0f} s and was ended") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise BenchmarkFailed(f"it ended with exit code {process.returncode}; its own words are above")
    return printed


def content(result: Result, how: How) -> dict[str, Any]:
    """All that is saved: the machine, the code, the date, and every row."""
    return {
        "schema": SCHEMA,
        "quick": how.quick,
        "address": how.address,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "code": code(),
        "rows": [asdict(row) | {"ratio": row.ratio, "met": row.met} for row in result.rows],
        "failed": result.failed,
        "seconds": result.seconds,
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name)) is not None},
        "load_average": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def code() -> dict[str, Any]:
    """The commit, and whether files differ from it; None where there is no repository."""
    return {"commit": _git("rev-parse", "HEAD"), "changed": bool(_git("status", "--porcelain"))}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def loaded_rows(saved: Mapping[str, Any]) -> Iterable[Row]:
    """The rows of a saved run."""
    computed = {"ratio", "met"}
    return [Row(**{key: value for key, value in row.items() if key not in computed}) for row in saved["rows"]]
