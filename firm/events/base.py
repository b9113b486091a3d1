"""What an event and a log entry are, and how they become bytes and back."""

from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import Struct

from firm.events.record import Origin, Record


class Event(Struct, frozen=True, array_like=True, gc=False):
    """A fact in the past tense. `KIND` is its number for ever: never reused, fields only added at the end."""

    KIND: ClassVar[int]


E_co = TypeVar("E_co", bound=Event, covariant=True)


class Entry(Struct, Generic[E_co], frozen=True):
    """An event with its place in the log.

    `at` is nanoseconds UTC; `cause` is the seq of the entry it answers (0 for an input); `index` is its place
    among the answers of one author to one cause.
    """

    seq: int
    at: int
    origin: Origin
    author: str
    cause: int
    index: int
    event: E_co


_encoder = msgspec.msgpack.Encoder()


def encode(event: Event) -> bytes:
    """The event's payload bytes, as stored and hashed."""
    return _encoder.encode(event)


class Codec:
    """Turns records into entries; knows every event class of the firm."""

    def __init__(self, classes: tuple[type[Event], ...]) -> None:
        self.classes = {cls.KIND: cls for cls in classes}
        assert len(self.classes) == len(classes), "two event classes share a KIND"
        self._decoders = {kind: msgspec.msgpack.Decoder(cls) for kind, cls in self.classes.items()}

    def event(self, record: Record) -> Event:
        """The decoded event of a stored record."""
        decoded: Event = self._decoders[record.kind].decode(record.payload)
        return decoded

    def entry(self, record: Record) -> Entry[Any]:
        """The record as an entry."""
        return Entry(
            record.seq,
            record.at,
            Origin(record.origin),
            record.author,
            record.cause,
            record.index,
            self.event(record),
        )
