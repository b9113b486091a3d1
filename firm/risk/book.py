"""What risk measures against: positions, own open approvals, marks. Only here does Decimal become float."""

from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.events.orders import OrderFilled, Proposed
from firm.events.risk import BookMarked
from firm.risk.history import ReturnHistory
from firm.risk.var_calculator import VarEs


@dataclass(slots=True)
class Approval:
    """An order that was approved and is not done: what of it has not become a position may still do so.

    Fills are kept by `exec_id` with their revision, so that a correction counts once.
    """

    instrument: int
    side: Side
    quantity: Decimal
    given_up: Decimal = ZERO
    submitted: bool = False
    fills: dict[str, tuple[int, Decimal]] = field(default_factory=dict)

    @property
    def remaining(self) -> Decimal:
        """What may still be filled; never negative."""
        filled = sum((quantity for _, quantity in self.fills.values()), start=ZERO)
        return max(ZERO, self.quantity - filled - self.given_up)


@dataclass(slots=True)
class Book:
    """The state the limits look at; kept by the risk agent.

    `mark`, `history` and `monte_carlo` are those of the present decision; where one is None the field beside
    it says why. `broker` says why the broker's side cannot be trusted (None: it can), `breaks` where it
    disagrees with the ledger, and `broker_holds` what it then said it holds.
    """

    instruments: tuple[Instrument, ...] = ()
    held: dict[int, Decimal] = field(default_factory=dict)
    approvals: dict[int, Approval] = field(default_factory=dict)
    aborted: dict[int, Approval] = field(default_factory=dict)
    children: dict[int, int] = field(default_factory=dict)
    mark: BookMarked | None = None
    history: ReturnHistory | None = None
    no_history: str = "no decision has been heard yet"
    monte_carlo: VarEs | None = None
    no_monte_carlo: str = "no decision has been heard yet"
    halted: str | None = None
    broker: str | None = "never reconciled since the start"
    breaks: tuple[str, ...] = ()
    broker_holds: dict[int, Decimal] = field(default_factory=dict)

    def approve(self, order_seq: int, order: Proposed) -> None:
        """From now on the order counts as exposure."""
        self.approvals[order_seq] = Approval(order.instrument, order.side, order.quantity)

    def submitted(self, child_seq: int, order_seq: int) -> None:
        """A part of the order is on its way to the broker under this name, even if its cycle was aborted."""
        if order_seq in self.aborted:
            self.approvals[order_seq] = self.aborted.pop(order_seq)
        if order_seq in self.approvals:
            self.approvals[order_seq].submitted = True
            self.children[child_seq] = order_seq

    def filled(self, fill: OrderFilled) -> None:
        """What was filled is no longer to come: the position has it (PositionChanged)."""
        approval = self.approvals.get(self.children.get(fill.child_seq, 0))
        if approval is None:
            return
        former = approval.fills.get(fill.exec_id)
        if former is None or former[0] < fill.revision:
            approval.fills[fill.exec_id] = (fill.revision, fill.quantity)

    def give_up(self, order_seq: int, quantity: Decimal) -> None:
        """Execution's last gate refused this much of the order: it will not be sent."""
        if order_seq in self.approvals:
            self.approvals[order_seq].given_up += quantity

    def end(self, order_seq: int) -> None:
        """The order is done or refused: nothing of it is to come."""
        self.aborted.pop(order_seq, None)
        if self.approvals.pop(order_seq, None) is not None:
            self.children = {child: parent for child, parent in self.children.items() if parent != order_seq}

    def abort(self, since_seq: int) -> None:
        """Set the approvals after `since_seq` aside of which nothing was submitted."""
        for order_seq, approval in list(self.approvals.items()):
            if order_seq > since_seq and not approval.submitted:
                self.aborted[order_seq] = self.approvals.pop(order_seq)

    def quantity(self, instrument: int) -> Decimal:
        """The signed position now, without approvals."""
        return self.held.get(instrument, ZERO)

    def waiting(self, instrument: int, side: Side) -> Decimal:
        """What approved orders of one side may still add, unsigned."""
        open_ones = (a for a in self.approvals.values() if a.instrument == instrument and a.side is side)
        return sum((approval.remaining for approval in open_ones), start=ZERO)

    def worst_quantity(self, order: Proposed) -> Decimal:
        """The signed position if the order and all approved ones of its side fill, and none of the other."""
        same_side = self.waiting(order.instrument, order.side) + order.quantity
        return self.quantity(order.instrument) + order.side.sign * same_side

    def reduces(self, order: Proposed) -> bool:
        """Whether the order can only make the position smaller, never turn it, whatever else fills.

        With breaks, the position that the broker holds has to become smaller as well.
        """
        needed = self.waiting(order.instrument, order.side) + order.quantity
        positions = [self.quantity(order.instrument)]
        if self.breaks:
            positions.append(self.broker_holds.get(order.instrument, ZERO))
        return all(needed <= -order.side.sign * position for position in positions)

    def at_risk(self, order: Proposed) -> list[int]:
        """The instruments held, approved or ordered, by index."""
        held = [instrument for instrument, quantity in self.held.items() if quantity != 0]
        approved = [approval.instrument for approval in self.approvals.values()]
        return sorted(set(held + approved + [order.instrument]))

    def equity(self) -> float:
        """Equity at the mark, account currency; NaN when there is no mark."""
        return float("nan") if self.mark is None else float(self.mark.equity)

    def unit_value(self, instrument: int) -> float:
        """Money value of one unit at the mark; 0 where the instrument has no price."""
        assert self.mark is not None, "a value was asked for without a mark"
        return float(self.mark.prices[instrument] * self.instruments[instrument].multiplier)

    def exposures(self, order: Proposed | None = None) -> NDArray[np.float64]:
        """Signed market values float64[n] of the positions; with `order`, as if it and all approved fill."""
        quantities = dict(self.held)
        if order is not None:
            changes = [(a.instrument, a.side, a.remaining) for a in self.approvals.values()]
            for instrument, side, quantity in [*changes, (order.instrument, order.side, order.quantity)]:
                quantities[instrument] = quantities.get(instrument, ZERO) + side.sign * quantity
        values = np.zeros(len(self.instruments))
        for instrument, quantity in quantities.items():
            if quantity != 0:
                values[instrument] = float(quantity) * self.unit_value(instrument)
        return values

    def worst_gross(self, order: Proposed) -> float:
        """Gross exposure if, of the approved orders and this one, just those fill that make it largest.

        An upper bound for whatever part of them is filled.
        """
        up, down = dict(self.held), dict(self.held)
        waiting = [(a.instrument, a.side, a.remaining) for a in self.approvals.values()]
        for instrument, side, quantity in [*waiting, (order.instrument, order.side, order.quantity)]:
            extreme = up if side is Side.BUY else down
            extreme[instrument] = extreme.get(instrument, ZERO) + side.sign * quantity
        total = 0.0
        for i in range(len(self.instruments)):
            largest = max(abs(up.get(i, ZERO)), abs(down.get(i, ZERO)))
            if largest != 0:
                total += float(largest) * self.unit_value(i)
        return total
