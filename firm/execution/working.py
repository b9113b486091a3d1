"""A cleared order while it is worked: its planned slices, its children at the broker, their fills."""

from dataclasses import dataclass, field
from decimal import Decimal

from firm.domain.position import ZERO
from firm.events.orders import Cleared, OrderFilled
from firm.execution.algos import Slice


@dataclass(slots=True)
class WorkingChild:
    """One order at the broker, as far as we were told. It is open until the broker says how it ended.

    `filled_at_end` is what the broker said was filled when it ended; the fills themselves may come later.
    """

    quantity: Decimal
    ended: bool = False
    cancel_requested: bool = False
    filled_at_end: Decimal = ZERO
    _fills: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    _first_told: Decimal = ZERO

    def fill(self, report: OrderFilled) -> None:
        """Take in an execution; heard twice it counts once, a higher revision replaces the former."""
        former = self._fills.get(report.exec_id)
        if former is None:
            self._first_told += report.quantity
        if former is None or former[0] < report.revision:
            self._fills[report.exec_id] = (report.revision, report.quantity)

    def end(self, filled: Decimal) -> None:
        """The broker says nothing more will come of it, and that `filled` had been done."""
        self.ended, self.filled_at_end = True, max(filled, self.filled_at_end)

    @property
    def filled(self) -> Decimal:
        """Sum of its executions, corrections applied."""
        return sum((quantity for _, quantity in self._fills.values()), start=ZERO)

    @property
    def open(self) -> bool:
        """It may still fill: neither ended nor filled whole (a fill that was corrected later stays one)."""
        return not self.ended and self._told < self.quantity

    @property
    def settled(self) -> bool:
        """Not open, and every fill the broker counted has been heard."""
        return not self.open and self._told >= self.filled_at_end

    @property
    def _told(self) -> Decimal:
        return max(self.filled, self._first_told)

    @property
    def used(self) -> Decimal:
        """What it takes of the cleared quantity: all of it while it may still fill."""
        return max(self.filled, self.filled_at_end) if self.ended else max(self.filled, self.quantity)


@dataclass(slots=True)
class WorkingOrder:
    """A cleared order and what became of it so far.

    `unnamed` are children that were said but not yet heard back: a child's name is the seq of its entry.
    """

    order_seq: int
    order: Cleared
    planned: list[Slice]
    unnamed: list[WorkingChild] = field(default_factory=list)
    children: dict[int, WorkingChild] = field(default_factory=dict)
    last_word: str = "every child has ended"

    @property
    def filled(self) -> Decimal:
        """Sum of the fills of its children."""
        return sum((child.filled for child in self.children.values()), start=ZERO)

    @property
    def left(self) -> Decimal:
        """What of the cleared quantity no child has used."""
        used = sum((child.used for child in [*self.children.values(), *self.unnamed]), start=ZERO)
        return self.order.quantity - used

    @property
    def over(self) -> bool:
        """Nothing is planned, nothing is on its way, and every child is settled."""
        return (
            not self.planned and not self.unnamed and all(child.settled for child in self.children.values())
        )

    def name_next(self, child_seq: int) -> None:
        """The oldest unnamed child has got its name: the seq of its entry."""
        assert self.unnamed, f"order {self.order_seq} has no child that could be called {child_seq}"
        self.children[child_seq] = self.unnamed.pop(0)

    def due(self, at: int) -> list[Slice]:
        """Take the slices that are due by now out of the plan."""
        ready = [part for part in self.planned if part.due <= at]
        self.planned = [part for part in self.planned if part.due > at]
        return ready

    def ending(self) -> str:
        """How it ended, for people."""
        if self.filled >= self.order.quantity:
            return "filled"
        return f"{self.filled} of {self.order.quantity} filled; {self.last_word}"
