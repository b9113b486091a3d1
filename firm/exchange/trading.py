"""What happens to working orders: fills, and everything a fill, an end or a wake-up does to other orders."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from msgspec.structs import replace

from firm.domain.instrument import Instrument
from firm.domain.order import Side, TimeInForce
from firm.domain.position import ZERO
from firm.exchange.account import Account
from firm.exchange.book import DisplayedBook
from firm.exchange.conditions import View, all_met
from firm.exchange.fees import FeeSchedule
from firm.exchange.matching import Match, cross_at_open, note_queue, take_touch
from firm.exchange.orders import AT_CLOSE, AT_OPEN, OCA_CANCEL, WorkingOrder
from firm.exchange.reports import (
    ExchangeEvent,
    OrderActivated,
    OrderCancelled,
    OrderElected,
    OrderFilled,
    OrderModified,
)
from firm.exchange.table import OrderTable, reduced
from firm.exchange.triggers import elect, elects, looked_at, trail

Print = tuple[int, float, float]  # instrument, price, size
EXEC_ID = "0000e0d5.{:08x}.01.01"


class Trading:
    """Moves orders through their lives at time `at`; everything returns what it caused, in order.

    `due` are the (instrument, side) queues that have to meet the quote again because an order has woken.
    `borrowable` is how many shares can be sold short, by instrument; unlimited where it says nothing.
    """

    def __init__(
        self, instruments: Sequence[Instrument], book: DisplayedBook, account: Account, fees: FeeSchedule
    ) -> None:
        self.table = OrderTable()
        self.at, self.next_exec = 0, 1
        self.borrowable: dict[int, Decimal] = {}
        self.executed: set[int] = set()
        self.due: set[tuple[int, Side]] = set()
        self.view: View | None = None
        self._closing = False
        self._instruments, self._book, self._account, self._fees = instruments, book, account, fees

    # fills

    def settle(self, matches: Iterable[Match]) -> list[ExchangeEvent]:
        """Carry out matches one by one."""
        events: list[ExchangeEvent] = []
        for match in matches:
            events += self._filled(match)
        return events

    def work(self) -> list[ExchangeEvent]:
        """Let the queues that are due meet the quote, until none is due."""
        events: list[ExchangeEvent] = []
        while self.due:
            instrument, side = min(self.due)
            self.due.remove((instrument, side))
            orders = list(self.table.orders.values())
            events += self.settle(take_touch(orders, instrument, side, self._book, self.at))
        return events

    def opening_cross(self, prints: list[Print]) -> tuple[list[ExchangeEvent], list[Print]]:
        """Orders for the opening meet the first print of their instrument; what that leaves of the prints."""
        orders = [o for o in self.table.orders.values() if o.ticket.special.auction == AT_OPEN and o.ready]
        crossing = {o.ticket.instrument for o in orders} - self._book.halted
        events: list[ExchangeEvent] = []
        left: list[Print] = []
        for instrument, price, size in prints:
            if instrument not in crossing:
                left.append((instrument, price, size))
                continue
            crossing.remove(instrument)
            exact, traded = Decimal(repr(price)), self._instruments[instrument].round_quantity(size)
            filled = self.settle(cross_at_open(orders, instrument, exact, traded, self._book))
            used = sum((e.quantity for e in filled if isinstance(e, OrderFilled)), start=ZERO)
            left.append((instrument, price, size - float(used)))
            events += filled
        return events, left

    def close_auction(self) -> list[ExchangeEvent]:
        """Orders for the closing meet the last quote; what this wakes waits for the next session."""
        orders = [o for o in self.table.orders.values() if o.ticket.special.auction == AT_CLOSE and o.ready]
        events: list[ExchangeEvent] = []
        self._closing = True
        for instrument, side in sorted({(o.ticket.instrument, o.ticket.side) for o in orders}):
            matches = take_touch(orders, instrument, side, self._book, self.at, closing=True)
            events += self.settle(matches)
        self._closing = False
        self.due.clear()
        return events

    def _filled(self, match: Match) -> list[ExchangeEvent]:
        order, ticket = match.order, match.order.ticket
        multiplier = self._instruments[ticket.instrument].multiplier
        before = order.leaves
        order.cumulative += match.quantity
        order.value += match.quantity * match.price * multiplier
        fees = self._fees.of(ticket.instrument)
        commission = fees.total(order.cumulative, order.value) - order.commission
        order.commission += commission
        if match.venue:
            removed = match.removed_liquidity
            fee = self._book.venue_fee(ticket.instrument, match.venue, removed_liquidity=removed)
            commission += match.quantity * fee
        realized = self._account.enter(
            ticket.instrument, ticket.side, match.quantity, match.price, commission
        )
        exec_id = EXEC_ID.format(self.next_exec)
        self.next_exec += 1
        self.executed.add(ticket.instrument)
        fill = OrderFilled(
            at=self.at,
            perm_id=order.perm_id,
            ref=ticket.ref,
            exec_id=exec_id,
            instrument=ticket.instrument,
            side=ticket.side,
            price=match.price,
            quantity=match.quantity,
            cumulative=order.cumulative,
            leaves=order.leaves,
            average_price=order.value / (order.cumulative * multiplier),
            commission=commission,
            realized_pnl=realized,
            removed_liquidity=match.removed_liquidity,
            venue=match.venue,
        )
        return [fill, *self._after_fill(order, before, match)]

    def _after_fill(self, order: WorkingOrder, before: Decimal, match: Match) -> list[ExchangeEvent]:
        kind, others = self.table.group(order)
        events: list[ExchangeEvent] = []
        for other in others:
            left = ZERO if kind == OCA_CANCEL else reduced(other, before, order.leaves, self._instruments)
            if left <= 0:
                events += self.cancel(other, "another order of its OCA group was filled")
            elif left < other.leaves:
                events.append(self._shrink(other, other.cumulative + left))
        if not order.leaves:
            self.table.remove(order)
            return events + self._free_children(order)
        self._next_clip(order, match)
        return events

    def _next_clip(self, order: WorkingOrder, match: Match) -> None:
        """An order with a display size shows its next clip, which queues behind what is shown."""
        display = order.ticket.special.display
        if display is None or match.removed_liquidity:
            return
        order.clip -= match.quantity
        if order.clip <= 0:
            order.clip = min(display, order.leaves)
            order.priority = self.table.take_priority()
            note_queue(order, self._book, new=True)

    def _shrink(self, order: WorkingOrder, quantity: Decimal) -> OrderModified:
        order.ticket = replace(order.ticket, quantity=quantity)
        limit, ref = order.ticket.limit_price, order.ticket.ref
        return OrderModified(self.at, order.perm_id, ref, quantity, limit, order.held, waits(order))

    # ends

    def cancel(self, order: WorkingOrder, reason: str) -> list[ExchangeEvent]:
        """Take the order out; its children follow it, or protect what it had bought."""
        self.table.remove(order)
        event = OrderCancelled(self.at, order.perm_id, order.ticket.ref, order.cumulative, reason)
        return [event, *self.orphan(order)]

    def orphan(self, parent: WorkingOrder) -> list[ExchangeEvent]:
        """The parent has ended. Unfilled: its children end. Else they wake, no larger than what it filled."""
        if parent.cumulative:
            events: list[ExchangeEvent] = [
                self._shrink(child, parent.cumulative)
                for child in self.table.children(parent.perm_id)
                if child.ticket.quantity > parent.cumulative
            ]
            return events + self._free_children(parent)
        return [
            event
            for child in self.table.children(parent.perm_id)
            if not child.gone
            for event in self.cancel(child, "its parent order ended")
        ]

    def drop_spent(self) -> list[ExchangeEvent]:
        """Immediate-or-cancel orders and orders for the opening have had their one chance."""
        events: list[ExchangeEvent] = []
        for order in list(self.table.orders.values()):
            special = order.ticket.special
            if not order.ready or (order.ticket.tif is not TimeInForce.IOC and special.auction != AT_OPEN):
                continue
            what = "an order for the opening" if special.auction else "an immediate-or-cancel order"
            if special.all_at_once:
                what = "a fill-or-kill order"
            events += self.cancel(order, f"the rest of {what}")
        return events

    # waking

    def sleep_reason(self, order: WorkingOrder) -> str:
        """Why the order may not work yet, whatever the session and its stop; empty if nothing keeps it."""
        special = order.ticket.special
        if not special.transmit:
            return "transmit"
        if special.parent in self.table.orders:
            return "child"
        if special.conditions and not special.conditions_cancel and not self._met(order):
            return "condition"
        return "locate" if self._lacks_shares(order) else ""

    def wake(self, order: WorkingOrder) -> list[ExchangeEvent]:
        """Look again at what keeps a sleeping order; if that changed, it says so."""
        reason = self.sleep_reason(order)
        if not order.asleep or reason == order.asleep:
            return []
        order.asleep = reason
        activated = OrderActivated(self.at, order.perm_id, order.ticket.ref, waits(order))
        if not reason:
            self.due.add((order.ticket.instrument, order.ticket.side))
            note_queue(order, self._book, new=True)
            if not order.elected and not self._closing:
                return [activated, *self.elections(order.ticket.instrument, None)]
        return [activated]

    def transmit(self, order: WorkingOrder) -> list[ExchangeEvent]:
        """The order and its relatives go out together."""
        relatives = [o for o in self.table.relatives(order) if not o.ticket.special.transmit]
        for relative in relatives:
            special = replace(relative.ticket.special, transmit=True)
            relative.ticket = replace(relative.ticket, special=special)
        return [event for relative in relatives for event in self.wake(relative)]

    def rouse(self) -> list[ExchangeEvent]:
        """Look again at the orders that wait for a condition or for shares, or that one would cancel."""
        events: list[ExchangeEvent] = []
        for order in list(self.table.orders.values()):
            if order.asleep in {"condition", "locate"}:
                events += self.wake(order)
            special = order.ticket.special
            if special.conditions_cancel and not order.asleep and self._met(order):
                events += self.cancel(order, "the conditions that cancel it hold")
        return events

    def elections(self, instrument: int, last_print: Decimal | None) -> list[ExchangeEvent]:
        """Move the trailing stops of the instrument, and elect the stops the market has reached."""
        events: list[ExchangeEvent] = []
        if instrument in self._book.halted:
            return events
        traits = self._instruments[instrument]
        for order in list(self.table.orders.values()):
            mine = order.ticket.instrument == instrument and not order.elected
            if not mine or order.held or order.asleep:
                continue
            electing, trailed = looked_at(order, self._book, last_print)
            if elects(order, electing):
                elect(order, self.table.take_priority(), traits)
                note_queue(order, self._book, new=True)
                self.due.add((instrument, order.ticket.side))
                limit, ref = order.ticket.limit_price, order.ticket.ref
                events.append(OrderElected(self.at, order.perm_id, ref, limit))
            else:
                trail(order, trailed, traits)
        return events

    def _free_children(self, parent: WorkingOrder) -> list[ExchangeEvent]:
        return [event for child in self.table.children(parent.perm_id) for event in self.wake(child)]

    def _met(self, order: WorkingOrder) -> bool:
        assert self.view is not None, "conditions are looked at through a view"
        return all_met(order.ticket.special.conditions, self.view)

    def _lacks_shares(self, order: WorkingOrder) -> bool:
        ticket = order.ticket
        known = self.borrowable.get(ticket.instrument)
        if known is None or ticket.side is Side.BUY:
            return False
        return self._account.positions[ticket.instrument].quantity - order.leaves < -known


def waits(order: WorkingOrder) -> str:
    """What the order waits for beside a session and a price: its sleep, then its stop."""
    return order.asleep or ("" if order.elected else "trigger")
