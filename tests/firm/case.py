"""What a case of a control is, and the tales that trip one: the broker or the CIO misbehaves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import stage
import whole_firm
from msgspec.structs import replace
from stage import CLOSE, MINUTE, Change, StageBroker, play, twisted

from firm.config import Settings
from firm.events import Event
from firm.events.orders import OrderFilled, OrderProposed
from firm.exchange.reports import ExchangeEvent
from firm.local_broker import LocalBroker
from firm.store.memory import MemoryStore

BEFORE = CLOSE[0] - MINUTE
"""Just before the first decision."""
KO, XOM = 9, 19


@dataclass(frozen=True)
class Case:
    """How one control is tripped, and how not: `tight` and `loose` overrides, or what else is the matter.

    In `reason`, `#` stands for a number or a symbol. `only` names the instrument it is about (None: any).
    With `same` the refused order is, to the last digit, the one that passes when loosened. `blind`: a limit
    lacks an input, so the firm is not ready either.
    """

    control: str
    reason: str
    tight: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    story: Callable[[Settings], LocalBroker] = StageBroker
    loose_story: Callable[[Settings], LocalBroker] | None = None
    changes: Mapping[str, Change] = field(default_factory=dict)
    loose_changes: Mapping[str, Change] | None = None
    crew: Mapping[str, Callable[[int], bool]] = field(default_factory=dict)
    only: int | None = None
    decision: int = 0
    same: bool = True
    blind: bool = False
    title: str = ""

    def run(self, *, tight: bool) -> MemoryStore:
        overrides = self.tight if tight else self.loose
        story = self.story if tight or self.loose_story is None else self.loose_story
        changes = self.changes if tight or self.loose_changes is None else self.loose_changes
        settings = whole_firm.settings(*stage.BASE, *overrides)
        crew = stage.ChangedCrew(settings, changes, **(self.crew if tight else {}))
        return play(*overrides, story=story, crew=crew)


def told(*events: Event, at: int = BEFORE) -> Callable[[Settings], LocalBroker]:
    return lambda settings: StageBroker(settings, {at: events})


def bent(bend: stage.Bend) -> Callable[[Settings], LocalBroker]:
    return lambda settings: StageBroker(settings, bend=bend)


def asleep(start: int, end: int) -> Callable[[Settings], LocalBroker]:
    return lambda settings: StageBroker(settings, asleep=(start, end))


def cio_says(**changes: object) -> Change:
    """A CIO whose orders for KO come out wrong."""

    def twist(event: Event) -> Event:
        if isinstance(event, OrderProposed) and event.order.instrument == KO:
            return replace(event, order=replace(event.order, **changes))
        return event

    return twisted(twist)


def filled_twice_over(settings: Settings) -> LocalBroker:
    """The broker reports more fills of KO's first child than were ordered."""
    seen: list[OrderFilled] = []

    class Generous(StageBroker):
        def _report(self, report: ExchangeEvent) -> list[Event]:
            said = super()._report(report)
            for event in said:
                if isinstance(event, OrderFilled) and event.instrument == KO and not seen:
                    seen.append(event)
                    return [*said, replace(event, exec_id="surplus", quantity=Decimal(150))]
            return said

    return Generous(settings)
