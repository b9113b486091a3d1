"""What the signal agents think, and who was heard in time."""

from typing import ClassVar

from msgspec import Struct

from firm.events.base import Event


class View(Struct, frozen=True, array_like=True):
    """An opinion on one instrument: direction +1 long, -1 short, 0 flat; conviction 0..1."""

    instrument: int
    direction: int
    conviction: float


class Signal(Event, frozen=True, array_like=True):
    """What one agent thinks of one unit (an instrument, or a pair), for `horizon_bars` bars.

    No views with a reason means: looked, and cannot say. That is an answer, unlike silence.
    """

    KIND: ClassVar[int] = 401
    agent: str
    unit: str
    views: tuple[View, ...]
    horizon_bars: int
    reason: str


class BarrierClosed(Event, frozen=True, array_like=True):
    """Timing fact: the barrier closed with `answered` of `expected`; `missing` are (agent, unit)."""

    KIND: ClassVar[int] = 402
    expected: int
    answered: int
    missing: tuple[tuple[str, str], ...]


class LateAnswer(Event, frozen=True, array_like=True):
    """Timing fact: an answer to cycle `cycle` that came after its barrier closed. Recorded, never used."""

    KIND: ClassVar[int] = 403
    agent: str
    unit: str
    cycle: int
