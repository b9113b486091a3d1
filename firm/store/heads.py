"""Signed heads: what stops a rewriter who holds the store key but not the signing key.

A head says "at seq N the chain hash was H". One is signed when a writer opens the log, every so many
entries, and when the writer closes it. It is stored in the transaction of its batch, then copied to
`heads.log` and to a sink.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from firm.errors import StoreError, StoreTampered
from firm.store.keys import Keys, sync_directory

HEADS_EVERY = 256
"""A head is signed at the latest when this many entries wait for one."""

SINK_VARIABLE = "FIRM_HEADS_SINK"

TERM = 1000
"""Each promotion of a standby begins a new thousand of epochs: a restart of the old leader raises its own
epoch by 1 and never crosses into the next thousand, so no number of restarts catches up with the new one."""

State = Literal["opened", "running", "closed"]


class Head(Struct, frozen=True):
    """A signed statement about log `log`; `head` and `signature` in hex. One JSON line."""

    log: str
    seq: int
    head: str
    epoch: int
    state: State
    signature: str

    @classmethod
    def sign(cls, keys: Keys, log: str, seq: int, head: bytes, epoch: int, state: State) -> "Head":
        """Sign that `log` had `head` at `seq` when the writer of `epoch` was in `state`."""
        unsigned = cls(log, seq, head.hex(), epoch, state, "")
        return msgspec.structs.replace(unsigned, signature=keys.sign(unsigned.message).hex())

    @property
    def message(self) -> bytes:
        """The bytes that are signed."""
        return b"firm signed head 1\n" + msgspec.msgpack.encode(
            (self.log, self.seq, self.head, self.epoch, self.state)
        )

    def require_genuine(self, keys: Keys) -> None:
        """Raise StoreTampered unless the holder of the signing key signed exactly this."""
        try:
            signature = bytes.fromhex(self.signature)
        except ValueError:
            signature = b""
        if not keys.signed(signature, self.message):
            raise tampered(
                self.seq, f"the head signed at seq {self.seq} was not signed by key {keys.fingerprint[:16]}"
            )


class HeadsFile:
    """A file of signed heads, one JSON line each, only ever appended to. A sink may serve several logs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, log: str) -> list[Head]:
        """All heads of `log`, oldest first; none without a file. A line that a crash tore is left out."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")[:-1]
        heads = [self._head(number, line) for number, line in enumerate(lines, 1)]
        return [head for head in heads if head.log == log]

    def append(self, heads: Sequence[Head]) -> None:
        """Add `heads` and wait until they are on the disk."""
        if not heads:
            return
        try:
            new = not self.path.exists()
            with self.path.open("ab") as file:
                file.write(b"".join(msgspec.json.encode(head) + b"\n" for head in heads))
                file.flush()
                os.fsync(file.fileno())
            if new:
                sync_directory(self.path.parent)
        except OSError as error:
            raise StoreError(
                f"signed heads could not be written to {self.path}: {error}. The entries are"
                " stored; repair the disk or the path and open the store again, which completes the file."
            ) from error

    def drop_torn_line(self) -> None:
        """Remove what a crash left of a last line."""
        if self.path.exists() and not (text := self.path.read_bytes()).endswith(b"\n"):
            os.truncate(self.path, text.rfind(b"\n") + 1)

    def _head(self, number: int, line: bytes) -> Head:
        try:
            return msgspec.json.decode(line, type=Head)
        except msgspec.DecodeError as error:
            raise StoreTampered(
                f"line {number} of {self.path} is not a signed head: {error}. {REMEDY}"
            ) from error


def first_of_next_term(epoch: int) -> int:
    """The epoch with which a promoted standby leads.

    >>> first_of_next_term(7), first_of_next_term(1000)
    (1000, 2000)
    """
    return (epoch // TERM + 1) * TERM


def next_of_term(epoch: int, path: Path) -> int:
    """The epoch of the next ordinary opening of the log at `path`; StoreError when the term is used up."""
    if (epoch + 1) % TERM:
        return epoch + 1
    raise StoreError(
        f"{path} has been opened {TERM - 1} times in this term, up to epoch {epoch}, and the term is used up:"
        f" epoch {epoch + 1} is a promotion's. Nothing was written. Trade on from the standby's copy (`firm"
        " standby promote`); without one, begin a new run directory."
    )


def follows(epoch: int, previous: int) -> bool:
    """Whether a writer that opens the log after `previous` may have this epoch.

    Onto a multiple of TERM only a promotion steps, see `next_of_term`; within a term they rise one by one.
    """
    return epoch == previous + 1 or (epoch > previous and epoch % TERM == 0)


def sink_path(sink: Path | None) -> Path | None:
    """The given sink, else the one FIRM_HEADS_SINK names, else none."""
    named = os.environ.get(SINK_VARIABLE)
    return sink or (Path(named).expanduser() if named else None)


def missing_from(path: Path, copied: Sequence[Head], signed: Sequence[Head]) -> Sequence[Head]:
    """The heads of the database that the copy at `path` lacks; StoreTampered unless it agrees so far."""
    for ours, theirs in zip(signed, copied, strict=False):
        if ours != theirs:
            raise tampered(
                min(ours.seq, theirs.seq), f"{path} says of seq {theirs.seq} something else than the database"
            )
    if len(copied) > len(signed):
        cut = copied[len(signed)]
        known = signed[-1].seq if signed else 0
        raise tampered(known + 1, f"{path} holds a head signed at seq {cut.seq} that the database has lost")
    return signed[len(copied) :]


REMEDY = "Do not trade on this log: keep the directory as evidence and restore the last backup that verifies."


def tampered(seq: int, found: str) -> StoreTampered:
    """Say where trust ends: `seq` is the first entry that cannot be trusted."""
    return StoreTampered(f"not to be trusted from seq {seq} on: {found}. {REMEDY}")
