"""One row of the log, and what a log must be able to do."""

from collections.abc import Collection, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol


class Origin(IntEnum):
    """Where an entry comes from: replay feeds the inputs and must reproduce every derived entry."""

    INPUT = 0
    DERIVED = 1


class Record(NamedTuple):
    """One row of the log, exactly as stored and hashed.

    `seq` counts from 1 without gaps; `at` is in nanoseconds UTC; `cause` is the seq of the entry that led to
    this one (0: none); `index` is its place among the answers to that cause; `payload` is the encoded event.
    Every number lies within a signed 64-bit integer.
    """

    seq: int
    at: int
    origin: int
    author: str
    cause: int
    index: int  # type: ignore[assignment]
    kind: int
    payload: bytes


class LogReader(Protocol):
    """A log that can be read."""

    @property
    def last_seq(self) -> int:
        """The seq of the newest entry; 0 when the log is empty."""

    @property
    def head(self) -> bytes:
        """The chain hash of the newest entry, 32 bytes."""

    def read(
        self, since: int = 0, limit: int | None = None, kinds: Collection[int] | None = None
    ) -> list[Record]:
        """The entries after `since`, oldest first, at most `limit`, only of `kinds`; a gap is StoreError."""


class EventStore(LogReader, Protocol):
    """Where the log is kept: one writer, append only, a batch is there wholly or not at all."""

    @property
    def epoch(self) -> int:
        """How many times a writer has opened this log; the newest writer has the highest."""

    def commit(self, records: Sequence[Record]) -> bytes:
        """Make `records` durable, all or none, and return the new head.

        Raises StoreError if they do not follow `last_seq` without a gap, StaleEpoch if a newer writer took
        over.
        """

    def operation(self, name: str, value: object) -> None:
        """Note a fact about the run, not the log: unhashed, kept with the next commit. `value` is JSON."""
