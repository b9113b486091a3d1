"""What a node says about itself. Runs there, on any Python from 3.8 on, with nothing installed: `python -c`.

Speaks lines of JSON on its standard output: first it answers each line it is sent with its clock, so that the
asker can tell the clock from the way there; the line `facts` ends that.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

PACKAGES = ("ray", "numba", "llvmlite", "numpy", "scipy", "msgspec", "firm")
"""Those whose version decides whether a node can join, or which bits it computes."""
HOME = "/opt/firm"
PACKAGES_PYTHON = HOME + "/.venv/bin/python"


def _command_lines() -> "list[list[str]]":
    """The arguments of every process."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().decode("utf-8", "replace").split("\0"))
        except OSError:
            continue
    return lines


def heads() -> "list[str]":
    """The address of every Ray head that a process here belongs to, its own or another's."""
    raylets = [line for line in _command_lines() if line[0].endswith("/raylet/raylet")]
    option = "--gcs-address="
    return sorted({part[len(option) :] for line in raylets for part in line if part.startswith(option)})


def packages() -> "dict[str, str]":
    """The installed version of each package that decides what this node computes."""
    from importlib import metadata

    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def fingerprint() -> "str | None":
    """The fingerprint of numpy's results, by the code in HOME; nothing if that is not installed.

    The kernels' own would take seconds to compile; a firm asks every risk worker for it when it starts.
    """
    if sys.executable != PACKAGES_PYTHON or not Path(HOME, "firm").is_dir():
        return None
    ask = "from firm.risk_kernels.fingerprint import array_fingerprint as f; print(f())"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", ask], capture_output=True, text=True, cwd=HOME, check=False
    )
    return (
        done.stdout.strip() if done.returncode == 0 else "cannot be computed: " + done.stderr.strip()[-300:]
    )


def token() -> "str | None":
    """A hash of the token that Ray's processes here were started with; nothing if there is none."""
    try:
        return sha256(Path("~/.ray/auth_token").expanduser().read_bytes().strip()).hexdigest()
    except OSError:
        return None


def trading() -> bool:
    """Whether a firm trades here: a supervisor and an agent live. A supervisor alone tells how one ended."""
    titles = [line[0] for line in _command_lines()]
    agents = ("ray::EventBus", "ray::Broker", "ray::Host")
    return any(title.startswith("ray::Supervisor") for title in titles) and any(
        title.startswith(agents) for title in titles
    )


def writable(path: str) -> bool:
    """Whether we may make this directory, or write in it."""
    there = Path(path)
    while not there.is_dir():
        there = there.parent
    return os.access(there, os.W_OK)


def facts() -> "dict[str, object]":
    """Everything but the clock."""
    return {
        "python": platform.python_version(),
        "packages": packages(),
        "fingerprint": fingerprint(),
        "heads": heads(),
        "token": token(),
        "rsync": shutil.which("rsync") is not None,
        "writable": writable(HOME),
        "trading": trading(),
        "free_mb": shutil.disk_usage("/tmp").free // 1_000_000,  # noqa: S108 - where Ray writes
    }


def main() -> None:
    """Answer with the clock until asked for the facts."""
    for line in sys.stdin:
        if line.strip() == "facts":
            break
        sys.stdout.write(json.dumps(time.time_ns()) + "\n")
        sys.stdout.flush()
    sys.stdout.write(json.dumps(facts()) + "\n")


if __name__ == "__main__":
    main()
