"""The copy on the standby's disk: sealed frames in segments, one an epoch, each checked before it is kept.

Without any key it is certain that the frames follow each other by seq and chain hash, that every signed head
is genuine and is the head of its frame, and that nobody older than the newest leader has written. What is in
the frames is checked when the copy is promoted.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from firm.bus.chain import GENESIS
from firm.errors import StoreError, StoreTampered
from firm.standby.fence import Fence, replace_durably
from firm.standby.wire import Claim, Frame, Hello, OutOfService, Position
from firm.store.keys import Keys, sync_directory

PREFIX_BYTES, DIGEST_BYTES = 16, 32
CHUNK_BYTES = 65_536
MASK = 2**64 - 1
EMPTY = Position(0, GENESIS, 0, 0)
REMEDY = "Keep the directory as evidence, and let the leader fill an empty one."


class Identity(Struct, frozen=True):
    """Whose log this is a copy of: its name, the public signing key and the wrapped data key."""

    log: str
    public: bytes
    key: str


class Replica:
    """One copy in `directory`. Any process may look; whoever appends or promotes holds the append lock."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory
        self.fence = Fence(directory / "fence.json")
        self._identity = directory / "log.json"
        self._known: Identity | None = None
        self._position: Position | None = None
        self._leader: Hello | None = None
        self._segment: tuple[int, int] | None = None

    @property
    def identity(self) -> Identity:
        """Whose copy it is; StoreError before any leader has said hello."""
        if self._known is not None:
            return self._known
        try:
            self._known = msgspec.json.decode(self._identity.read_bytes(), type=Identity)
        except FileNotFoundError as error:
            raise StoreError(f"{self.directory} holds no copy yet: no leader has ever called.") from error
        except msgspec.DecodeError as error:
            raise StoreTampered(f"{self._identity} is damaged ({error}). {REMEDY}") from error
        return self._known

    def greet(self, hello: Hello) -> Position:
        """How far the copy goes, for a caller that is no leader yet: nothing is written down.

        StaleEpoch if a newer leader is known, StoreError if the copy is of another log.
        """
        with self.locked():
            self._require_ours(hello)
            self.fence.require_not_outdated(hello.claim)
            return self.position()

    def welcome(self, hello: Hello, agreed: Position) -> None:
        """Admit a leader whose own log has `agreed`, the end of the copy that it was told of.

        Whoever was set back cannot agree, so it outdates nobody. Errors as in `greet`; OutOfService if the
        copy has grown meanwhile: then it has to be looked at again.
        """
        with self.locked():
            self._require_ours(hello)
            if self.position() != agreed:
                raise OutOfService(
                    "another leader has written meanwhile: compare with its end and call again"
                )
            self.fence.admit(hello.claim)
            self._leader = hello
            self._known = Identity(hello.claim.log, hello.public, hello.key)
            replace_durably(self._identity, msgspec.json.encode(self._known))

    def append(self, hello: Hello, frame: Frame) -> Position:
        """Keep the frame, durably, and say how far the copy goes now. `hello` is what its sender began with.

        StaleEpoch from anybody but the newest leader; StoreTampered if it does not fit; OutOfService if that
        leader has called again meanwhile (it will send what it says there), or if the disk does not take it:
        then none of it is kept, and it may come again.
        """
        claim = hello.claim
        with self.locked():
            self.fence.require(claim)
            if hello is not self._leader:
                raise OutOfService("this leader has called again, what it said before is not taken any more")
            at = self.position()
            after = self._fits(claim, at, frame)
            body = msgspec.msgpack.encode(frame)
            data = _prefix(len(body)) + body + sha256(body).digest()
            try:
                self._write(self._open_segment(claim.epoch), data, at)
            except OSError as error:
                raise OutOfService(
                    f"the standby's disk does not take the log ({error}): free or repair {self.directory}"
                ) from error
            self._position = after
            return after

    def position(self) -> Position:
        """How far the copy goes. The first time all of it is read and checked, and a torn end cut off."""
        if self._position is None:
            self._cut_torn_end()
            position = EMPTY
            for frame in self.frames():
                position = Position(
                    frame.last, frame.head, position.heads + len(frame.heads), frame.operations
                )
            self._position = position
        return self._position

    def frames(self) -> Iterator[Frame]:
        """Every frame in order, checked as when it came; StoreTampered at the first that does not fit."""
        at = EMPTY
        for path in self.segments():
            for frame in _frames(path):
                at = self._fits(None, at, frame)
                yield frame

    def segments(self) -> list[Path]:
        """The segment files, oldest epoch first."""
        return sorted(self.directory.glob("epoch-*.segment"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with the copy: nothing is appended, and nobody is promoted, meanwhile."""
        file = os.open(self.directory / "append.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def _require_ours(self, hello: Hello) -> None:
        if not self._identity.exists():
            return
        known = self.identity
        if (known.log, known.public) != (hello.claim.log, hello.public):
            raise StoreError(
                f"the standby in {self.directory} keeps log {known.log}, a leader of log"
                f" {hello.claim.log} has called. Give each log a directory (and key) of its own."
            )

    def _fits(self, claim: Claim | None, at: Position, frame: Frame) -> Position:
        identity = self.identity
        where = f"frame {frame.first} to {frame.last} of log {frame.log}"
        if frame.log != identity.log or (claim is not None and claim.epoch != frame.epoch):
            raise StoreTampered(f"{where}, epoch {frame.epoch}, is not its sender's. {REMEDY}")
        if (frame.first, frame.previous) != (at.seq + 1, at.head) or frame.last < at.seq:
            raise StoreTampered(
                f"{where} does not continue what was kept up to seq {at.seq}: the leader's log and this copy"
                f" are not of one history. {REMEDY}"
            )
        if frame.operations < at.operations or (frame.last == at.seq and frame.head != at.head):
            raise StoreTampered(f"{where} contradicts itself. {REMEDY}")
        signer = Keys(b"", Ed25519PublicKey.from_public_bytes(identity.public))
        for head in frame.heads:
            head.require_genuine(signer)
            if (head.log, head.seq, head.head) != (frame.log, frame.last, frame.head.hex()):
                raise StoreTampered(f"{where} carries a head that was signed for another place. {REMEDY}")
        return Position(frame.last, frame.head, at.heads + len(frame.heads), frame.operations)

    def _write(self, segment: int, data: bytes, at: Position) -> None:
        """All of it, durably, or nothing. If not even that is certain the copy is read anew afterwards."""
        size, self._position = os.fstat(segment).st_size, None
        try:
            while data:
                data = data[os.write(segment, data) :]
            os.fdatasync(segment)
        except OSError:
            os.ftruncate(segment, size)
            self._position = at
            raise

    def _open_segment(self, epoch: int) -> int:
        if self._segment is not None and self._segment[0] == epoch:
            return self._segment[1]
        if self._segment is not None:
            os.close(self._segment[1])
        path = self.directory / f"epoch-{epoch:08}.segment"
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        sync_directory(self.directory)
        self._segment = (epoch, file)
        return file

    def _cut_torn_end(self) -> None:
        """A frame that a crash cut short was never acknowledged; only the last file can end in one.

        Either the file ends in it, or, after a power cut, the disk knows the file's length but not all of its
        content: zeros instead. Only a last frame that ends in many zeros is taken for that; an acknowledged
        one is on the disk and ends in its digest.
        """
        for path in self.segments()[-1:]:
            end, size = 0, path.stat().st_size
            with path.open("rb") as file:
                while end + PREFIX_BYTES <= size:
                    file.seek(end)
                    prefix = file.read(PREFIX_BYTES)
                    if not _is_length(prefix) and _is_zero_to_the_end(file):
                        break
                    whole = PREFIX_BYTES + _length(path, prefix) + DIGEST_BYTES
                    if end + whole > size:
                        break
                    if end + whole == size:
                        file.seek(size - DIGEST_BYTES // 2)
                        if _is_zero_to_the_end(file):
                            break
                    end += whole
            if end < size:
                os.truncate(path, end)


def _frames(path: Path) -> Iterator[Frame]:
    with path.open("rb") as file:
        while prefix := file.read(PREFIX_BYTES):
            body, digest = file.read(_length(path, prefix)), file.read(DIGEST_BYTES)
            if sha256(body).digest() != digest:
                raise StoreTampered(f"a frame in {path} is not as it was written. {REMEDY}")
            try:
                yield msgspec.msgpack.decode(body, type=Frame)
            except msgspec.DecodeError as error:
                raise StoreTampered(f"what is in {path} is no frame ({error}). {REMEDY}") from error


def _is_zero_to_the_end(file: BinaryIO) -> bool:
    return all(not any(chunk) for chunk in iter(lambda: file.read(CHUNK_BYTES), b""))


def _prefix(length: int) -> bytes:
    """The length of a frame, twice: a changed one must not make the rest of the file look torn off."""
    return length.to_bytes(8, "big") + (length ^ MASK).to_bytes(8, "big")


def _length(path: Path, prefix: bytes) -> int:
    if not _is_length(prefix):
        raise StoreTampered(f"the length of a frame in {path} is not as it was written. {REMEDY}")
    return int.from_bytes(prefix[:8], "big")


def _is_length(prefix: bytes) -> bool:
    return prefix == _prefix(int.from_bytes(prefix[:8], "big"))
