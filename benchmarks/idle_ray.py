"""What Ray takes of the processor while nothing is asked of it."""

import os
import time
from pathlib import Path

RAYS_OWN = (b"/ray/core/src/ray/", b"/ray/dashboard/", b"/ray/_private/", b"ray::")
LOOKED_FOR_S = 3.0


def idle_ray_share() -> float | None:
    """Cores that all Ray processes of this host take together, over some seconds; None without /proc."""
    if not Path("/proc/stat").exists():
        return None
    before = _ticks()
    time.sleep(LOOKED_FOR_S)
    after = _ticks()
    taken = sum(ticks - before[process] for process, ticks in after.items() if process in before)
    return taken / os.sysconf("SC_CLK_TCK") / LOOKED_FOR_S


def _ticks() -> dict[str, int]:
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(name in (process / "cmdline").read_bytes() for name in RAYS_OWN):
                fields = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                found[process.name] = int(fields[11]) + int(fields[12])  # in user mode, and in the kernel
        except OSError:
            continue  # it has ended meanwhile
    return found
