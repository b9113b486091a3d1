"""Short disks, wrong clocks and little memory: what a day needs for them, and how they come about."""

import contextlib
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from firm.errors import FirmError
from firm.ops.files import write_atomically

VOLUME_MB: Final = 512
CLOCK_FILE: Final = "clock"
LIBFAKETIME: Final = "/usr/lib/*/faketime/libfaketime.so.1"
MEMORY_AHEAD_MB: Final = 3500
"""What the firm and its workers take after the start, and room for what else the machine does."""
HOG_MB_MAX: Final = 8000
LEFT_MB: Final = 2000

_HOG = """
import sys
held = [b"x" * (1 << 20) for _ in range(int(sys.argv[1]))]
sys.stdout.write("held\\n"); sys.stdout.flush()
sys.stdin.read()
"""


@contextlib.contextmanager
def set_up(needs: str, folder: Path) -> Iterator[Mapping[str, str]]:
    """What a day needs, for the length of a `with` block; the environment to start the firm with.

    FirmError, with what to do, where this machine cannot have it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    match needs:
        case "volume":
            with _volume(folder):
                yield {}
        case "clock":
            yield _clock(folder)
        case "memory":
            used, total = memory_mb()
            yield {"RAY_memory_usage_threshold": f"{(used + MEMORY_AHEAD_MB) / total:.4f}"}
        case _:
            yield {}


@contextlib.contextmanager
def _volume(folder: Path) -> Iterator[None]:
    mount = shutil.which("mount")
    made = mount and subprocess.run(  # noqa: S603  found above, our own words
        [mount, "-t", "tmpfs", "-o", f"size={VOLUME_MB}m", "firm-chaos", str(folder)],
        check=False,
        capture_output=True,
    )
    if not made or made.returncode:
        why = made.stderr.decode().strip() if made else "there is no mount"
        raise FirmError(
            f"a full disk needs a small volume of its own, and root to mount it, found: {why}. Run as root, "
            "or leave disk_full out of --faults"
        )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S603, S607


def fill_volume(folder: Path) -> Path:
    """Leave not a byte free; the file that takes it all. Refuses a volume that is not a small one of ours."""
    total = shutil.disk_usage(folder).total
    if total > 2 * VOLUME_MB * 2**20:
        raise FirmError(f"a volume of {VOLUME_MB} MB was needed at {folder}, found one of {total >> 20} MB")
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass
    return ballast


def _clock(folder: Path) -> Mapping[str, str]:
    found = sorted(Path("/").glob(LIBFAKETIME[1:]))
    library = os.environ.get("FIRM_LIBFAKETIME") or (str(found[0]) if found else "")
    if not library or not Path(library).exists():
        raise FirmError(
            "a wrong clock needs libfaketime, found none. Install it (apt install libfaketime), name it with "
            "FIRM_LIBFAKETIME, or leave clock_forward and clock_back out of --faults"
        )
    write_atomically(folder / CLOCK_FILE, b"+0\n")
    return {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(folder / CLOCK_FILE),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def jump_clock(folder: Path, seconds: int) -> int:
    """Let the wall clock of the firm's processes jump; how far it is off by now, in seconds."""
    file = folder / CLOCK_FILE
    off = int(file.read_text()) + seconds
    write_atomically(file, f"{off:+d}\n".encode())
    return off


class Hog:
    """A process that takes memory until the machine has used a share of all, and a little more."""

    def __init__(self, share: float) -> None:
        used, total = memory_mb()
        wanted = int(share * total - used) + 512
        if wanted > HOG_MB_MAX or used + wanted > total - LEFT_MB:
            raise FirmError(
                f"memory pressure needs to take {wanted} MB, allowed are {HOG_MB_MAX} and all but {LEFT_MB} "
                "MB; try again when the machine does less"
            )
        self._process = subprocess.Popen(  # noqa: S603  our own words
            [sys.executable, "-c", _HOG, str(max(wanted, 1))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    @property
    def holds(self) -> bool:
        """Whether it has all the memory it wanted, and still runs."""
        assert self._process.stdout is not None, "started with a pipe"
        ready, _, _ = select.select([self._process.stdout], [], [], 0)
        return bool(ready) and self._process.poll() is None

    def end(self) -> None:
        """Give it all back."""
        self._process.kill()
        self._process.wait()


def memory_mb() -> tuple[int, int]:
    """What is used and what there is, MB."""
    words = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    found = {word[0]: int(word[1]) >> 10 for word in words}
    return found["MemTotal:"] - found["MemAvailable:"], found["MemTotal:"]
