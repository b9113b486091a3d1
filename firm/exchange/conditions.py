"""Conditions on which an order waits: a price, a time, a margin cushion, an execution, a volume, a change."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

PRICE, TIME, MARGIN, EXECUTION, VOLUME, PERCENT = 1, 3, 4, 5, 6, 7


class Condition(Struct, frozen=True, array_like=True):
    """One condition, `kind` by Interactive Brokers' number. It holds when the figure is on the right side.

    `value` is a price, a time (ns UTC), a cushion or a change in percent, or a number of shares; unused for
    executions. `instrument` is the index it looks at (-1: none). `and_next` joins it to the next condition
    with and, else with or; and binds stronger.
    """

    kind: int
    more: bool
    value: Decimal
    instrument: int
    and_next: bool


class View(Protocol):
    """What conditions may look at."""

    def price(self, instrument: int) -> Decimal | None:
        """The last price, None if none is known."""

    def change_percent(self, instrument: int) -> Decimal | None:
        """The change since the last close in percent."""

    def volume(self, instrument: int) -> Decimal:
        """Shares printed in this session."""

    def cushion_percent(self) -> Decimal:
        """Excess liquidity over equity in percent."""

    def now(self) -> int:
        """The clock, ns UTC."""

    def executed(self, instrument: int) -> bool:
        """Whether the account has traded it in this session."""


def all_met(conditions: Sequence[Condition], view: View) -> bool:
    """Whether the conditions, joined by their conjunctions, hold now; no conditions hold always."""
    group = True
    for condition in conditions:
        group = group and _met(condition, view)
        if not condition.and_next:
            if group:
                return True
            group = True
    return not conditions or (conditions[-1].and_next and group)


def _met(condition: Condition, view: View) -> bool:
    if condition.kind == EXECUTION:
        return view.executed(condition.instrument)
    figure = _figure(condition, view)
    if figure is None:
        return False
    return figure >= condition.value if condition.more else figure <= condition.value


def _figure(condition: Condition, view: View) -> Decimal | None:
    match condition.kind:
        case 1:
            return view.price(condition.instrument)
        case 3:
            return Decimal(view.now())
        case 4:
            return view.cushion_percent()
        case 6:
            return view.volume(condition.instrument)
        case _:
            return view.change_percent(condition.instrument)
