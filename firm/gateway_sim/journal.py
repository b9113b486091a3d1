"""The gateway's durable memory: an append-only file of commands, each written before its answer leaves.

Whatever touches an order is forced to disk; a step of the clock that changed nothing else is only handed to
the operating system (it survives a crash of the process) and reaches the disk with the next order.

A line is eight hex digits of CRC-32, a space, and JSON. The first line is the header: which tape, account and
cash the commands belong to. After a crash the last line may be torn; it was never answered, so it is dropped.
Damage anywhere else is refused.
"""

import fcntl
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from firm.errors import StoreError, StoreLocked
from firm.gateway_sim.commands import Command

FORMAT = 2


class Header(Struct, frozen=True):
    """What the commands were applied to; a journal is only continued with an equal header."""

    format: int
    account: str
    cash: str
    leverage: str
    shorts: bool
    source_sha256: str
    first_at: int
    frames: int
    preset_notice: bool
    contracts: str = ""
    money: str = ""


class Journal:
    """An open journal file, locked for this process."""

    def __init__(self, path: Path, header: Header) -> None:
        """Open or create `path`; `commands` then holds what was recorded.

        Raises
        ------
        StoreLocked
            Another gateway uses the file.
        StoreError
            It was written for another tape or account, or is damaged.
        """
        self._path = path
        try:
            self._file: BinaryIO = path.open("a+b")
        except OSError as error:
            raise StoreError(
                f"journal {path} cannot be opened: {error.strerror}. Correct --journal."
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise StoreLocked(f"journal {path} is in use by another gateway; stop it first.") from error
        self.commands = self._recover(header)

    def append(self, command: Command) -> None:
        """Add a command; durable only after `commit`."""
        self._file.write(_line(msgspec.json.encode(command)))

    def commit(self, *, disk: bool = True) -> None:
        """Everything appended survives the death of this process; with `disk`, that of the machine too."""
        self._file.flush()
        if disk:
            os.fdatasync(self._file.fileno())

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _recover(self, header: Header) -> list[Command]:
        self._file.seek(0)
        lines = self._file.read().split(b"\n")
        torn = lines.pop()
        bodies = []
        for number, line in enumerate(lines, start=1):
            body = _body(line)
            if body is None:
                raise StoreError(
                    f"journal {self._path} is damaged at line {number} of {len(lines)}. Restore it from a "
                    "copy, or start a new one (orders and executions since the start are lost)."
                )
            bodies.append(body)
        if torn:
            self._file.truncate(sum(len(line) + 1 for line in lines))
        if not bodies:
            self._file.write(_line(msgspec.json.encode(header)))
            self.commit()
            return []
        self._check(msgspec.json.decode(bodies[0], type=Header), header)
        decoder = msgspec.json.Decoder(Command)
        return [decoder.decode(body) for body in bodies[1:]]

    def _check(self, found: Header, wanted: Header) -> None:
        different = [
            f"{name} {getattr(found, name)!r} (now {getattr(wanted, name)!r})"
            for name in Header.__struct_fields__
            if getattr(found, name) != getattr(wanted, name)
        ]
        if different:
            raise StoreError(
                f"journal {self._path} belongs to another run: it has {', '.join(different)}. Start with the "
                "same data, account, cash and rules, or give another --journal."
            )


def first_at_of(path: Path) -> int | None:
    """Where the tape of the journal in `path` begins; None if there is no such journal yet."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        body = _body(file.readline().rstrip(b"\n"))
    return None if body is None else msgspec.json.decode(body, type=Header).first_at


def _line(body: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _body(line: bytes) -> bytes | None:
    body = line[9:]
    return body if line[:9] == b"%08x " % zlib.crc32(body) else None
