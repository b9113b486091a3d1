"""Small files that are there wholly or not at all, also after a power cut."""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

SIZE_MAX: Final = 65_536


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside, make durable, then rename over `path`; readers see the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_small(path: Path) -> bytes:
    """The content of a regular file of at most `SIZE_MAX` bytes; ValueError for anything else.

    Never waits: a pipe that somebody put there is not opened for reading but refused.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path.name} is not a regular file")
        content = file.read(SIZE_MAX + 1)
    if len(content) > SIZE_MAX:
        raise ValueError(f"{path.name} is longer than {SIZE_MAX} bytes")
    return content
