"""What risk measures against: positions, own open approvals, marks, and what was measured once a decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.events.orders import Approved, OrderFilled, Proposed
from firm.events.risk import BookMarked
from firm.risk.margin_view import BrokerMargin
from firm.risk.measures import Measures, MovingBook


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

    `mark`, `measures` and `simulated` (the Monte Carlo scenarios) are those of the present decision; where
    one is None the field beside it says why. `broker` says why the broker's side cannot be trusted (None: it
    can), `breaks` where it disagrees with the ledger, `broker_holds` what it then said it holds, and
    `filled_since` what was filled after that; `shut` says why nothing new can be sent there, and `not_live`
    by instrument what is the matter with its quotes. `account` is the broker's last word on margin, given
    when we held `account_held`.
    """

    instruments: tuple[Instrument, ...] = ()
    held: dict[int, Decimal] = field(default_factory=dict)
    approvals: dict[int, Approval] = field(default_factory=dict)
    aborted: dict[int, Approval] = field(default_factory=dict)
    children: dict[int, int] = field(default_factory=dict)
    mark: BookMarked | None = None
    marked_at: int = 0
    measures: Measures | None = None
    no_measures: str = "no decision has been heard yet"
    simulated: MovingBook | None = None
    no_simulated: str = "no decision has been heard yet"
    account: BrokerMargin | None = None
    account_held: dict[int, Decimal] = field(default_factory=dict)
    halted: str | None = None
    broker: str | None = "never reconciled since the start"
    breaks: tuple[str, ...] = ()
    shut: str | None = None
    not_live: Mapping[int, str] = field(default_factory=dict)
    broker_holds: dict[int, Decimal] = field(default_factory=dict)
    filled_since: dict[int, Decimal] = field(default_factory=dict)

    def approve(self, order_seq: int, order: Proposed | Approved) -> None:
        """From now on the order counts as exposure."""
        self.approvals[order_seq] = Approval(order.instrument, order.side, order.quantity)

    def knows(self, order_seq: int) -> bool:
        """Whether the order is already counted, or set aside with its cycle."""
        return order_seq in self.approvals or order_seq in self.aborted

    def submitted(self, child_seq: int, order_seq: int) -> None:
        """A part of the order is on its way to the broker under this name, even if its cycle was aborted."""
        if order_seq in self.aborted:
            self.approvals[order_seq] = self.aborted.pop(order_seq)
        if order_seq in self.approvals:
            self.approvals[order_seq].submitted = True
            self.children[child_seq] = order_seq

    def filled(self, fill: OrderFilled) -> None:
        """What was filled is no longer to come: the position has it (PositionChanged)."""
        since = self.filled_since.get(fill.instrument, ZERO)
        self.filled_since[fill.instrument] = since + fill.side.sign * fill.quantity
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
            told = self.broker_holds.get(order.instrument, ZERO)
            positions += [told, told + self.filled_since.get(order.instrument, ZERO)]
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

    def positions(self) -> NDArray[np.float64]:
        """Signed units float64[n] held now."""
        return self._vector(self.held)

    def positions_at_account(self) -> NDArray[np.float64]:
        """Signed units float64[n] held when the broker last told its margin."""
        return self._vector(self.account_held)

    def expected(self) -> NDArray[np.float64]:
        """Signed units float64[n] held if everything approved fills."""
        quantities = dict(self.held)
        for approval in self.approvals.values():
            change = approval.side.sign * approval.remaining
            quantities[approval.instrument] = quantities.get(approval.instrument, ZERO) + change
        return self._vector(quantities)

    def extremes(self, order: Proposed) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The least and the most units float64[n] held, whatever fills of what is approved and this order."""
        low, high = dict(self.held), dict(self.held)
        waiting = [(a.instrument, a.side, a.remaining) for a in self.approvals.values()]
        for instrument, side, quantity in [*waiting, (order.instrument, order.side, order.quantity)]:
            extreme = high if side is Side.BUY else low
            extreme[instrument] = extreme.get(instrument, ZERO) + side.sign * quantity
        return self._vector(low), self._vector(high)

    def _vector(self, quantities: dict[int, Decimal]) -> NDArray[np.float64]:
        values = np.zeros(len(self.instruments))
        for instrument, quantity in quantities.items():
            values[instrument] = float(quantity)
        return values
