"""What the world said: facts from outside that are neither market nor broker."""

from enum import StrEnum
from typing import ClassVar

from firm.events.base import Event


class Topic(StrEnum):
    """What an external fact is about."""

    NEWS = "news"
    RESTRICT = "restrict"
    UNRESTRICT = "unrestrict"


class ExternalEvent(Event, frozen=True, array_like=True):
    """A fact from outside, with who said it. `restrict` and `unrestrict` change the restricted list."""

    KIND: ClassVar[int] = 301
    topic: Topic
    symbol: str
    text: str
    source: str
