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
    """Make the names in a directory durable. Not the store's: a kill must not need the store's libraries."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_small(path: Path) -> bytes:
    """The content of a regular file of at most `SIZE_MAX` bytes; ValueError for anything else.

    Never waits: a pipe that somebody put there is not read but refused.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        content = b""
        while chunk := os.read(descriptor, SIZE_MAX + 1 - len(content)):
            content += chunk
    finally:
        os.close(descriptor)
    if len(content) > SIZE_MAX:
        raise ValueError(f"it is longer than {SIZE_MAX} bytes")
    return content
