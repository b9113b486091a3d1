"""The matching core: replayed quotes and prints on one side, one customer's orders on the other. Pure.

Rules, all of them:

- Orders stand in price-time priority: market orders first, then better limits, then earlier arrival. A
  modification that raises the quantity or changes the price goes to the end of its queue.
- An order takes the displayed touch, at most the displayed size. What is used up comes back only with a new
  quote of that instrument. There is one price level: the rest waits, market orders too.
- A resting limit also fills when a print goes through it (strictly better than its limit), at its limit or
  the touch, whichever is better for it, at most the size of the print. A print at the limit fills nothing:
  the order is taken to be last in the queue at its price.
- An order sent outside a session is held, and enters with the first frame of the next session. Day orders end
  at the close of the session they could first trade in. An IOC order's rest is cancelled when it has had its
  one chance. Quotes do not outlive their session.
- Customer orders never meet each other, and they do not move the replayed market.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from firm.domain.instrument import Instrument
from firm.domain.order import Side, TimeInForce
from firm.domain.position import ZERO
from firm.domain.session import Sessions
from firm.exchange.account import Account
from firm.exchange.admission import Admission, Objection, malformed
from firm.exchange.book import DisplayedBook
from firm.exchange.fees import TieredFees
from firm.exchange.margin import MarginEffect, MarginRules
from firm.exchange.matching import Match, fill_through, take_touch
from firm.exchange.orders import ExchangeState, OrderTicket, WorkingOrder
from firm.exchange.reports import (
    ExchangeEvent,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderModified,
    OrderRejected,
    RequestRefused,
)
from firm.tape.tape import Frame

FIRST_PERM_ID = 1_000_000_001
EXEC_ID = "0000e0d5.{:08x}.01.01"


class Exchange:
    """One account at one exchange. Time (ns UTC) never goes back; calls return what happened, in order."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        cash: Decimal,
        account: str,
        sessions: Sessions,
        fees: TieredFees,
        margin: MarginRules,
        marks: Sequence[float],
    ) -> None:
        """Open an account with `cash`; `marks` are the last known prices by instrument (NaN: unknown)."""
        assert [i.index for i in instruments] == list(range(len(instruments))), "instruments in index order"
        self.instruments = tuple(instruments)
        self.book = DisplayedBook(self.instruments, marks)
        self.account = Account(account, cash, self.instruments, self.book)
        self.at = 0
        self._sessions, self._fees = sessions, fees
        self._admission = Admission(self.instruments, self.account, self.book, margin, fees)
        self._orders: dict[int, WorkingOrder] = {}
        self._next_perm, self._next_exec, self._next_priority = FIRST_PERM_ID, 1, 1

    def advance(self, frame: Frame) -> list[ExchangeEvent]:
        """Everything at `frame.at`: closes on the way, then its quotes, then its prints."""
        events = self.advance_to(frame.at)
        self.book.show(frame.quotes)
        prints = [(int(i), float(price), float(size)) for i, price, size in frame.prints.tolist()]
        for instrument, price, _ in prints:
            self.book.printed(instrument, price)
        if not self._orders or not self._sessions.is_open(frame.at):
            return events
        held = [o for o in self.orders() if o.held]
        for order in held:
            order.held = False
            events.append(OrderActivated(self.at, order.perm_id, order.ticket.ref))
        working: dict[int, list[WorkingOrder]] = {}
        for order in self._orders.values():
            working.setdefault(order.ticket.instrument, []).append(order)
        moved = {*frame.quotes["instrument"].tolist(), *(o.ticket.instrument for o in held)}
        for instrument in sorted(moved & working.keys()):
            for side in Side:
                events += self._settle(take_touch(working[instrument], instrument, side, self.book))
        for instrument, price, size in prints:
            events += self._printed_through(working.get(instrument, []), instrument, price, size)
        return events + self._drop_spent_ioc()

    def advance_to(self, at: int) -> list[ExchangeEvent]:
        """Time passes without data: quotes end with their session, and day orders expire at its close."""
        assert at >= self.at, f"time cannot go back from {self.at} to {at}"
        close = self._sessions.close_of(self.at)
        if close is not None and close <= at:
            self.book.close()
        self.at = at
        ended = [(o.expires, o.perm_id) for o in self._orders.values() if o.expires and o.expires <= at]
        events: list[ExchangeEvent] = []
        for expires, perm_id in sorted(ended):
            order = self._orders.pop(perm_id)
            events.append(OrderExpired(expires, perm_id, order.ticket.ref, order.cumulative))
        return events

    def submit(self, ticket: OrderTicket, at: int) -> list[ExchangeEvent]:
        """Accept or reject the order, and fill it if it is marketable.

        The `OrderAccepted` or `OrderRejected` among the events (the first that bears `ticket.ref`) carries
        the `perm_id`. Expiries that time brought on the way come before it.
        """
        events = self.advance_to(at)
        perm_id = self._next_perm
        self._next_perm += 1
        if objection := self._objection(ticket, None):
            return [*events, OrderRejected(at, perm_id, ticket.ref, *objection)]
        held = not self._sessions.is_open(at)
        expires = None if ticket.tif is TimeInForce.GTC else self._sessions.close_of(at)
        self._orders[perm_id] = WorkingOrder(perm_id, ticket, self._take_priority(), held, expires)
        events.append(OrderAccepted(at, perm_id, ticket.ref, held))
        return events + self._work(ticket)

    def cancel(self, perm_id: int, at: int) -> list[ExchangeEvent]:
        """Take the order out of the book, or say why that is impossible (10147 unknown, 10148 done)."""
        events = self.advance_to(at)
        order = self._orders.pop(perm_id, None)
        if order is None:
            return [*events, self._no_such_order(perm_id)]
        reason = "cancelled by customer"
        return [*events, OrderCancelled(at, perm_id, order.ticket.ref, order.cumulative, reason)]

    def modify(
        self, perm_id: int, quantity: Decimal, limit_price: Decimal | None, at: int
    ) -> list[ExchangeEvent]:
        """New total quantity (filled part included) and limit; a refused change leaves the order alone."""
        events = self.advance_to(at)
        order = self._orders.get(perm_id)
        if order is None:
            return [*events, self._no_such_order(perm_id)]
        new = msgspec.structs.replace(order.ticket, quantity=quantity, limit_price=limit_price)
        objection = self._objection(new, order)
        if objection is None and quantity <= order.cumulative:
            objection = (201, f"quantity {quantity} is not more than the {order.cumulative} already filled")
        if objection:
            return [*events, RequestRefused(at, perm_id, new.ref, *objection)]
        if limit_price != order.ticket.limit_price or quantity > order.ticket.quantity:
            order.priority = self._take_priority()
        order.ticket = new
        events.append(OrderModified(at, perm_id, new.ref, quantity, limit_price, order.held))
        return events + self._work(new)

    def orders(self) -> list[WorkingOrder]:
        """The working orders, oldest first; read only."""
        return [self._orders[perm_id] for perm_id in sorted(self._orders)]

    def what_if(self, ticket: OrderTicket) -> MarginEffect:
        """What the order would do to the account if all of it filled at its price or the mark."""
        if objection := malformed(ticket, self.instruments):
            equity = self.account.equity
            return MarginEffect(ZERO, ZERO, equity, equity, ZERO, objection[1])
        return self._admission.effect(ticket, self._orders.values())

    def state(self) -> ExchangeState:
        """Everything needed to go on later; an exchange built alike continues identically after `restore`."""
        marks, quotes, consumed = self.book.state()
        return ExchangeState(
            at=self.at,
            cash=self.account.cash,
            commissions=self.account.commissions,
            positions=list(self.account.positions),
            marks=marks,
            quotes=quotes,
            consumed=consumed,
            orders=[msgspec.structs.replace(o) for o in self._orders.values()],
            next_perm=self._next_perm,
            next_exec=self._next_exec,
            next_priority=self._next_priority,
        )

    def restore(self, state: ExchangeState) -> None:
        """Forget everything and continue from `state`."""
        assert len(state.positions) == len(self.instruments), "state of other instruments"
        self.at = state.at
        self.account.cash, self.account.commissions = state.cash, state.commissions
        self.account.positions[:] = state.positions
        self.book.restore(state.marks, state.quotes, state.consumed)
        self._orders = {o.perm_id: msgspec.structs.replace(o) for o in state.orders}
        self._next_perm, self._next_exec = state.next_perm, state.next_exec
        self._next_priority = state.next_priority

    def _work(self, ticket: OrderTicket) -> list[ExchangeEvent]:
        """Let the orders of this instrument and side meet the displayed quote, inside a session."""
        if not self._sessions.is_open(self.at):
            return []
        matches = take_touch(self._orders.values(), ticket.instrument, ticket.side, self.book)
        return self._settle(matches) + self._drop_spent_ioc()

    def _printed_through(
        self, orders: list[WorkingOrder], instrument: int, price: float, size: float
    ) -> list[ExchangeEvent]:
        if not orders:
            return []
        traits = self.instruments[instrument]
        exact_price, exact_size = Decimal(repr(price)), traits.round_quantity(size)
        return self._settle(fill_through(orders, instrument, exact_price, exact_size, self.book))

    def _settle(self, matches: Sequence[Match]) -> list[ExchangeEvent]:
        return [self._filled(match) for match in matches]

    def _filled(self, match: Match) -> OrderFilled:
        order, ticket = match.order, match.order.ticket
        order.cumulative += match.quantity
        order.value += match.quantity * match.price * self.instruments[ticket.instrument].multiplier
        commission = self._fees.total(order.cumulative, order.value) - order.commission
        order.commission += commission
        realized = self.account.enter(ticket.instrument, ticket.side, match.quantity, match.price, commission)
        exec_id = EXEC_ID.format(self._next_exec)
        self._next_exec += 1
        if not order.leaves:
            del self._orders[order.perm_id]
        return OrderFilled(
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
            average_price=order.value / (order.cumulative * self.instruments[ticket.instrument].multiplier),
            commission=commission,
            realized_pnl=realized,
            removed_liquidity=match.removed_liquidity,
        )

    def _drop_spent_ioc(self) -> list[ExchangeEvent]:
        spent = [o for o in self.orders() if o.ticket.tif is TimeInForce.IOC and not o.held]
        events: list[ExchangeEvent] = []
        for order in spent:
            del self._orders[order.perm_id]
            reason = "the rest of an immediate-or-cancel order"
            events.append(OrderCancelled(self.at, order.perm_id, order.ticket.ref, order.cumulative, reason))
        return events

    def _objection(self, ticket: OrderTicket, replaced: WorkingOrder | None) -> Objection | None:
        if objection := malformed(ticket, self.instruments):
            return objection
        if self._sessions.close_of(self.at) is None:
            return 201, "no further session is known"
        others = [o for o in self._orders.values() if o is not replaced]
        if replaced is not None:
            ticket = msgspec.structs.replace(
                ticket, quantity=max(ticket.quantity - replaced.cumulative, ZERO)
            )
        reason = self._admission.effect(ticket, others).objection
        return (201, reason) if reason else None

    def _take_priority(self) -> int:
        self._next_priority += 1
        return self._next_priority - 1

    def _no_such_order(self, perm_id: int) -> RequestRefused:
        known = perm_id < self._next_perm
        reason = "is filled, cancelled or expired already" if known else "was never accepted"
        return RequestRefused(self.at, perm_id, "", 10148 if known else 10147, f"order {perm_id} {reason}")
