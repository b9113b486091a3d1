"""The matching core: replayed quotes and prints on one side, one customer's orders on the other. Pure.

Rules, all of them:

- Orders stand in price-time priority: market orders first, then better limits, then earlier arrival. A
  modification that raises the quantity or changes the price goes to the end of its queue.
- An order takes the displayed touch, at most the displayed size. What is used up comes back only with a new
  quote of that instrument. There is one price level: the rest waits, market orders too.
- A resting limit also fills when a print goes through it (strictly better than its limit), at its limit or
  the touch, whichever is better for it, at most the size of the print. A print at the limit fills it once
  the size that was displayed before it has traded or gone; behind an unknown size, it waits.
- An order with a display size is filled by prints at its limit one clip at a time; the next queues again.
- An order sent outside a session is held, and enters with the first frame of the next session. Day orders end
  at the close of the session they could first trade in. An IOC order's rest is cancelled when it has had its
  one chance; a fill-or-kill order takes all or nothing then. Quotes do not outlive their session.
- An order for the opening has its one chance when its instrument is first quoted in the session: it meets
  the print that comes with it (the opening cross), then the quote. One for the closing meets the last quote
  of the session, at the close. Neither takes more than was printed or is displayed.
- Where venues are told apart, `venues` says where an order goes. Nothing trades in a halted instrument.
- A stop waits for its election (`triggers`), a child for its parent to fill, an order not transmitted for a
  relative that is, a conditional one for its conditions, a short sale for shares to borrow.
- Customer orders never meet each other, and they do not move the replayed market.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.domain.session import Sessions
from firm.exchange.account import Account
from firm.exchange.admission import Admission, Objection, malformed
from firm.exchange.book import DisplayedBook
from firm.exchange.entry import entered, entry_time
from firm.exchange.fees import FeeSchedule, TieredFees
from firm.exchange.margin import MarginEffect, MarginRules
from firm.exchange.matching import fill_by_print, note_queue, note_queues, take_touch
from firm.exchange.money import DOLLARS, Money
from firm.exchange.orders import AT_OPEN, ExchangeState, OrderTicket, Special, WorkingOrder
from firm.exchange.reports import (
    ExchangeEvent,
    OrderAccepted,
    OrderActivated,
    OrderExpired,
    OrderFilled,
    OrderModified,
    OrderRejected,
    RequestRefused,
)
from firm.exchange.snapshot import put_back, taken
from firm.exchange.table import FIRST_PERM_ID
from firm.exchange.ticks import TickRule
from firm.exchange.trading import Trading, waits
from firm.exchange.venues import Venue
from firm.exchange.view import MarketView
from firm.tape.tape import Frame

__all__ = ["FIRST_PERM_ID", "Exchange"]


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
        tick_rules: Mapping[int, TickRule] | None = None,
        venues: Mapping[int, tuple[Venue, ...]] | None = None,
        own_fees: Mapping[int, TieredFees] | None = None,
        money: Money = DOLLARS,
    ) -> None:
        """Open an account with `cash` of the base currency; `marks` are the last known prices (NaN: unknown).

        By instrument index: `tick_rules` replace the tick size where prices move on a banded grid, `venues`
        are told apart where there are several, `own_fees` replace `fees`.
        """
        assert [i.index for i in instruments] == list(range(len(instruments))), "instruments in index order"
        self.instruments = tuple(instruments)
        self.tick_rules = dict(tick_rules or {})
        self.book = DisplayedBook(self.instruments, marks, venues)
        self.account = Account(account, cash, self.instruments, self.book, money)
        self._sessions = sessions
        schedule = FeeSchedule(fees, own_fees or {})
        self._admission = Admission(self.instruments, self.account, self.book, margin, schedule)
        self._trading = Trading(self.instruments, self.book, self.account, schedule)
        self._trading.view = MarketView(self._trading, self.book, self.account, margin)
        self._table = self._trading.table

    @property
    def at(self) -> int:
        """The clock, ns UTC."""
        return self._trading.at

    def advance(self, frame: Frame) -> list[ExchangeEvent]:
        """Everything at `frame.at`: closes on the way, then its quotes, then its prints."""
        events = self.advance_to(frame.at)
        self.book.show(frame.quotes)
        prints = [(int(i), float(price), float(size)) for i, price, size in frame.prints.tolist()]
        for instrument, price, size in prints:
            self.book.printed(instrument, price, size)
        if not self._table.orders or not self._sessions.is_open(frame.at):
            return events
        quoted = set(frame.quotes["instrument"].tolist())
        moved = quoted | self._release(events)
        events += self._trading.rouse()
        working: dict[int, list[WorkingOrder]] = {}
        for order in self._table.orders.values():
            working.setdefault(order.ticket.instrument, []).append(order)
            if order.ticket.special.algo is not None:
                moved.add(order.ticket.instrument)
        for instrument in quoted & working.keys():
            note_queues(working[instrument], instrument, self.book)
        crossed, prints = self._trading.opening_cross(prints)
        events += crossed
        for instrument in sorted(moved & working.keys()):
            if not all(order.elected for order in working[instrument]):
                events += self._trading.elections(instrument, None)
            for side in Side:
                matches = take_touch(working[instrument], instrument, side, self.book, frame.at)
                events += self._trading.settle(matches)
        events += self._trading.work()
        for instrument, price, size in prints:
            events += self._printed(instrument, price, size)
        return events + self._trading.drop_spent()

    def advance_to(self, at: int) -> list[ExchangeEvent]:
        """Time passes without data: quotes end with their session, and day orders expire at its close."""
        assert at >= self.at, f"time cannot go back from {self.at} to {at}"
        close = self._sessions.close_of(self.at)
        events: list[ExchangeEvent] = []
        if close is not None and close <= at:
            if self._sessions.is_open(self.at):
                self._trading.at = close
                events = self._trading.close_auction()
            self.account.settle_daily()
            self.book.close()
            self._trading.executed.clear()
        self._trading.at = at
        orders = self._table.orders
        ended = [(o.expires, o.perm_id) for o in orders.values() if o.expires and o.expires <= at]
        for expires, perm_id in sorted(ended):
            if (order := orders.get(perm_id)) is not None:
                self._table.remove(order)
                events.append(OrderExpired(expires, perm_id, order.ticket.ref, order.cumulative))
                events += self._trading.orphan(order)
        return events

    def submit(self, ticket: OrderTicket, at: int) -> list[ExchangeEvent]:
        """Accept or reject the order, and fill it if it is marketable.

        The `OrderAccepted` or `OrderRejected` among the events (the first that bears `ticket.ref`) carries
        the `perm_id`. Expiries that time brought on the way come before it.
        """
        events = self.advance_to(at)
        perm_id = self._table.take_perm()
        if objection := self._objection(ticket, None):
            return [*events, OrderRejected(at, perm_id, ticket.ref, *objection)]
        order = entered(perm_id, ticket, self.at, self._table.take_priority(), self._sessions)
        self._table.orders[perm_id] = order
        order.asleep = self._trading.sleep_reason(order)
        events.append(OrderAccepted(at, perm_id, ticket.ref, order.held, waits(order)))
        if ticket.special.transmit:
            events += self._trading.transmit(order)
        return events + self._work(order)

    def cancel(self, perm_id: int, at: int) -> list[ExchangeEvent]:
        """Take the order out of the book, or say why that is impossible (10147 unknown, 10148 done)."""
        events = self.advance_to(at)
        order = self._table.orders.get(perm_id)
        if order is None:
            return [*events, self._no_such_order(perm_id)]
        events += self._trading.cancel(order, "cancelled by customer")
        return events + self._trading.work()

    def modify(
        self,
        perm_id: int,
        quantity: Decimal,
        limit_price: Decimal | None,
        at: int,
        special: Special | None = None,
    ) -> list[ExchangeEvent]:
        """New total quantity (filled part included), limit and, if given, special terms.

        A refused change leaves the order alone. Parent and group cannot change.
        """
        events = self.advance_to(at)
        order = self._table.orders.get(perm_id)
        if order is None:
            return [*events, self._no_such_order(perm_id)]
        special = special or order.ticket.special
        new = msgspec.structs.replace(
            order.ticket, quantity=quantity, limit_price=limit_price, special=special
        )
        objection = self._objection(new, order)
        if objection is None and quantity <= order.cumulative:
            objection = (201, f"quantity {quantity} is not more than the {order.cumulative} already filled")
        if objection:
            return [*events, RequestRefused(at, perm_id, new.ref, *objection)]
        old = order.ticket
        order.ticket = new
        if limit_price != old.limit_price or quantity > old.quantity:
            order.priority = self._table.take_priority()
            note_queue(order, self.book, new=True)
        if special != old.special:
            order.stop = order.stop if special.stop == old.special.stop else special.stop
            order.expires = special.good_till or order.expires
        events.append(OrderModified(at, perm_id, new.ref, quantity, limit_price, order.held, waits(order)))
        if special.transmit and not old.special.transmit:
            order.ticket = msgspec.structs.replace(
                new, special=msgspec.structs.replace(special, transmit=False)
            )
            events += self._trading.transmit(order)
        return events + self._work(order)

    def lend(self, instrument: int, quantity: Decimal | None) -> list[ExchangeEvent]:
        """How many shares can be borrowed for short sales from now on; None: any number."""
        if quantity is None:
            self._trading.borrowable.pop(instrument, None)
        else:
            self._trading.borrowable[instrument] = quantity
        return self._trading.rouse() + self._trading.work()

    def halt(self, instrument: int, *, on: bool) -> list[ExchangeEvent]:
        """Stop trading in the instrument, or let it go on: its orders then meet what is shown."""
        if on:
            self.book.halted.add(instrument)
            return []
        self.book.halted.discard(instrument)
        if not self._sessions.is_open(self.at):
            return []
        events: list[ExchangeEvent] = []
        self._release(events)
        events += self._trading.elections(instrument, None)
        self._trading.due |= {(instrument, side) for side in Side}
        return events + self._trading.work() + self._trading.drop_spent()

    def amend(
        self, fill: OrderFilled, quantity: Decimal, price: Decimal, commission: Decimal
    ) -> Decimal | None:
        """Enter a fill anew, as `quantity` (0: not at all) at `price`; the P&L this realised, if any.

        The old figures are taken back at their own price, so cash and commissions are exact; the average
        price of what remains follows the order in which the fills were entered.
        """
        back = Side.SELL if fill.side is Side.BUY else Side.BUY
        self.account.enter(fill.instrument, back, fill.quantity, fill.price, -fill.commission)
        if not quantity:
            return None
        return self.account.enter(fill.instrument, fill.side, quantity, price, commission)

    def order(self, perm_id: int) -> WorkingOrder | None:
        """The working order of this name, None if there is none (any more); read only."""
        return self._table.orders.get(perm_id)

    def orders(self) -> list[WorkingOrder]:
        """The working orders, oldest first; read only."""
        return [self._table.orders[perm_id] for perm_id in sorted(self._table.orders)]

    def what_if(self, ticket: OrderTicket) -> MarginEffect:
        """What the order would do to the account if all of it filled at its price or the mark."""
        if objection := malformed(ticket, self.instruments, self.tick_rules):
            equity = self.account.equity
            return MarginEffect(ZERO, ZERO, equity, equity, ZERO, objection[1])
        return self._admission.effect(ticket, self._table.orders.values())

    def state(self) -> ExchangeState:
        """Everything needed to go on later; an exchange built alike continues identically after `restore`."""
        return taken(self.book, self.account, self._trading)

    def restore(self, state: ExchangeState) -> None:
        """Forget everything and continue from `state`."""
        put_back(state, self.book, self.account, self._trading)

    def _release(self, events: list[ExchangeEvent]) -> set[int]:
        """Let the held orders in that may trade now; the instruments they are for."""
        released = set()
        for order in self.orders():
            ticket = order.ticket
            if not order.held or order.enters > self.at:
                continue
            if ticket.special.auction == AT_OPEN and ticket.instrument in self.book.halted:
                continue
            if ticket.special.auction == AT_OPEN and self.book.touch(ticket.instrument, ticket.side) is None:
                continue
            order.held = False
            note_queue(order, self.book, new=True)
            released.add(ticket.instrument)
            events.append(OrderActivated(self.at, order.perm_id, ticket.ref, waits(order)))
        return released

    def _work(self, order: WorkingOrder) -> list[ExchangeEvent]:
        """Let the orders of this instrument and side meet the displayed quote, inside a session."""
        if not self._sessions.is_open(self.at):
            return []
        instrument = order.ticket.instrument
        note_queue(order, self.book, new=order.ahead is None)
        events = self._trading.elections(instrument, None)
        self._trading.due.add((instrument, order.ticket.side))
        return events + self._trading.work() + self._trading.drop_spent()

    def _printed(self, instrument: int, price: float, size: float) -> list[ExchangeEvent]:
        orders = [o for o in self._table.orders.values() if o.ticket.instrument == instrument]
        if not orders:
            return []
        exact, traded = Decimal(repr(price)), self.instruments[instrument].round_quantity(size)
        for order in orders:
            order.seen += traded if order.ready else ZERO
        events = self._trading.settle(fill_by_print(orders, instrument, exact, traded, self.book, self.at))
        return events + self._trading.elections(instrument, exact) + self._trading.work()

    def _objection(self, ticket: OrderTicket, replaced: WorkingOrder | None) -> Objection | None:
        if objection := malformed(ticket, self.instruments, self.tick_rules):
            return objection
        good_till, parent = ticket.special.good_till, ticket.special.parent
        if replaced is None and parent and parent not in self._table.orders.keys() | self._table.traded:
            return 10006, f"Missing parent order: {parent} is unknown, or ended without a fill"
        enters = entry_time(ticket.special, self.at, self._sessions)
        if enters is None:
            return 201, "no further session is known"
        if good_till is not None and good_till <= enters:
            return 334, "Invalid Good Till Date order: it would end before it could trade"
        others = [o for o in self._table.orders.values() if o is not replaced]
        if replaced is not None:
            ticket = msgspec.structs.replace(
                ticket, quantity=max(ticket.quantity - replaced.cumulative, ZERO)
            )
        reason = self._admission.effect(ticket, others).objection
        return (201, reason) if reason else None

    def _no_such_order(self, perm_id: int) -> RequestRefused:
        known = perm_id < self._table.next_perm
        reason = "is filled, cancelled or expired already" if known else "was never accepted"
        return RequestRefused(self.at, perm_id, "", 10148 if known else 10147, f"order {perm_id} {reason}")
