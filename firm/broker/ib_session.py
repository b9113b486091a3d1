"""What the firm knows of its orders at the broker: messages in, events and wants out. Pure.

An error never ends an order: it raises a doubt, and a query settles it. An order has ended when the broker's
own status, completed orders and executions say so, or when queries find it nowhere. Fills are always told,
even of an order that was thought to be over: a fill that was on its way wins.
"""

from collections.abc import Collection
from decimal import Decimal
from typing import assert_never

from firm.broker import codes, verdict
from firm.broker.astray import Astray
from firm.broker.children import ChildOrder, Children
from firm.broker.codes import Meaning
from firm.broker.fills import FillLedger, exec_name
from firm.broker.messages import (
    CancelOrder,
    CommissionMessage,
    CompletedOrderMessage,
    ErrorMessage,
    ExecutionMessage,
    Message,
    OpenOrderMessage,
    PositionMessage,
    StatusMessage,
    UnreadableMessage,
    Want,
)
from firm.broker.notices import LinkState
from firm.broker.positions import Positions
from firm.broker.reconciliation import Reconciliation
from firm.broker.wants import Wants
from firm.domain.order import OrderState
from firm.domain.position import ZERO
from firm.events import Event
from firm.events.orders import Child, OrderFilled

WORKING = frozenset({"PreSubmitted", "Submitted"})
PENDING = frozenset({"ApiPending", "PendingSubmit", "PendingCancel"})
CANCELLED = frozenset({"Cancelled", "ApiCancelled"})
CHANGED = "complete at the broker with less than was sent: somebody has changed it there"


class IbSession:
    """The orders of one run under one client id, through any number of connections."""

    def __init__(self, run: str, client_id: int, cash_tolerance: Decimal) -> None:
        """`cash_tolerance`: a difference in cash up to this, in account currency, is rounding."""
        self.children = Children(run, client_id)
        self.fills = FillLedger()
        self.positions = Positions()
        self.books = Reconciliation(self.fills, self.positions, cash_tolerance)
        self.wanted = Wants()
        self.link = LinkState(self.wanted)
        self._astray = Astray(self.children, self.wanted)
        self._strangers: set[str] = set()
        self._under_way: frozenset[int] = frozenset()
        self._positions_moved = False

    def submit(self, seq: int, child: Child, order_id: int) -> None:
        """The child is about to be sent as `order_id`."""
        order = ChildOrder(seq, child)
        self.children.add(order)
        self.children.number(order, order_id)

    def cancel(self, seq: int, reason: str) -> list[CancelOrder]:
        """The firm wants the child cancelled; what to send now, if anything can be sent.

        Behind a lost link, or without an order id in this connection, the wish is kept until that is over.
        """
        child = self.children[seq]
        if child.over and not child.risen:
            return []
        child.cancel_reason = child.cancel_reason or reason
        if not self.link.gate.cancels:
            return []
        if child.order_id is None:
            self.wanted.query(f"order {self.children.name(child)} is to be cancelled, its id is not known")
            return []
        child.cancel_sent = True
        if child.state in {OrderState.NEW, OrderState.PARTIALLY_FILLED}:
            child.go(OrderState.PENDING_CANCEL)
        return [CancelOrder(child.order_id)]

    def cancels_due(self) -> list[CancelOrder]:
        """Cancels not sent since the link stands: wanted ones, and of orders that outlived their end."""
        if self.link.came_back:
            self.link.came_back = False
            for child in self.children.live():
                child.cancel_sent = False
        if not self.link.gate.cancels:
            return []
        waiting = [c for c in self.children.live() if c.order_id and not c.cancel_sent]
        due = [c for c in waiting if c.risen or c.cancel_reason is not None]
        return [cancel for c in due for cancel in self.cancel(c.seq, c.cancel_reason or "its end was told")]

    def new_connection(self) -> list[Event]:
        """A fresh connection stands: order ids of the last one are void, everything must be asked for."""
        self.children.new_connection()
        self.wanted.forget()
        return self.link.connected()

    def hear(self, message: Message) -> list[Event]:
        """Take in one message; what it means for the log."""
        events: list[Event] = []
        match message:
            case StatusMessage():
                events = self._status(message)
            case OpenOrderMessage():
                events = self._open_order(message)
            case CompletedOrderMessage():
                events = self._completed(message)
            case ExecutionMessage():
                events = self._executed(message)
            case CommissionMessage(exec_id=exec_id, commission=commission):
                events += self.fills.fee(exec_id, commission)
            case ErrorMessage():
                events = self._error(message)
            case PositionMessage():
                self.positions.hear(message)
                self._positions_moved = not self.wanted.in_query
            case UnreadableMessage(number=number, fault=fault):
                self.wanted.query(f"message {number} could not be read ({fault})")
            case _ as never:
                assert_never(never)
        return events

    def wants(self) -> list[Want]:
        """What must be asked for or sent now, each once; call it when all that has arrived was heard."""
        for child in self.children.working():
            if missing := verdict.open_end(child, self.fills):
                self.wanted.query(f"order {self.children.name(child)}: {missing}")
        if self._positions_moved:
            self._positions_moved = False
            if self.positions.breaks(self.fills.positions) != self.positions.reported:
                self.wanted.query("the broker's positions and the log have come apart, or together again")
        return self.wanted.take()

    @property
    def questionable(self) -> bool:
        """Whether something is not settled that the broker may still settle today."""
        doubted = any(child.doubted for child in self.children.working())
        return doubted or bool(self.positions.reported) or bool(self.fills.unpaid())

    def unanswered(self, seq: int, waited_ms: int) -> list[Event]:
        """Nothing was heard of a sent order for too long."""
        child = self.children[seq]
        if child.over or child.heard_of:
            return []
        return self._doubt(child, f"no answer for {waited_ms} ms")

    def begin_query(self, under_way: Collection[int] = ()) -> None:
        """Executions, open and completed orders and positions are asked for from now on.

        Children `under_way` were sent so lately that the broker may not have them yet: not to be found means
        nothing for them.
        """
        self.wanted.in_query = True
        self.positions.clear()
        self._astray.clear()
        for child in self.children.working():
            child.asked, child.seen, child.met = True, False, set()
            child.cancel_ignored = child.cancel_sent
        self._under_way = frozenset(under_way)

    def end_query(self) -> tuple[list[Event], bool]:
        """All answers were heard: what they settle, and whether a second query must follow at once."""
        events: list[Event] = []
        gone = False
        self.positions.open_with(self.fills.positions)
        for child in self.children.working():
            if child.asked and len(child.perm_ids) > 1:
                vanished = child.forget_twins()
                child.cancel_sent &= not vanished
                gone |= vanished
            if child.asked and (child.seen or child.seq not in self._under_way):
                apart = self.positions.apart(child.order.instrument, self.fills.positions) != ZERO
                events += verdict.judge(child, self.fills, position_apart=apart)
                if child.inactive and not child.over:
                    self.wanted.cancel(child.order_id)
            child.cancel_again()
            child.asked = False
        self.wanted.in_query = False
        absent = any(child.absent for child in self.children.working())
        breaks = self.positions.breaks(self.fills.positions)
        return events, absent or gone or (bool(breaks) and breaks != self.positions.reported)

    def reconciled(self, cash: Decimal) -> list[Event]:
        """The outcome of the last query."""
        return self.books.outcome(cash, self._astray.breaks())

    def _status(self, message: StatusMessage) -> list[Event]:
        self._astray.ended(message.perm_id, message.status)
        child = self.children.find(message.perm_id, "", message.client_id, message.order_id)
        if child is None:
            return []
        child.broker_filled = max(child.broker_filled, message.filled)
        return self._stands(child, message.perm_id, message.status, message.filled)

    def _open_order(self, message: OpenOrderMessage) -> list[Event]:
        names = (message.perm_id, message.order_ref, message.client_id, message.order_id)
        child = self.children.find(*names)
        if child is None:
            if message.status in WORKING:
                self._astray.of_no_child(message)
            return []
        if message.client_id != self.children.client_id:
            if message.status in WORKING:
                self._astray.of_another_client(message)
        elif child.order_id is None and message.order_id > 0:
            self.children.number(child, message.order_id)
        changed = message.quantity - child.order.quantity
        if changed and message.status in WORKING:  # not what Risk has approved any more
            reason = f"somebody has changed its quantity at the broker to {message.quantity}"
            child.cancel_reason = child.cancel_reason or reason
        return self._stands(child, message.perm_id, message.status, None, grown=changed > 0)

    def _completed(self, message: CompletedOrderMessage) -> list[Event]:
        child = self.children.find(message.perm_id, message.order_ref, client_id=-1, order_id=0)
        if child is None:
            return []
        if message.status == "Inactive" and not child.over:
            child.refusal = child.refusal or (201, message.reason)
        child.broker_filled = max(child.broker_filled, message.filled)
        if message.status in CANCELLED:
            child.end_notice = child.end_notice or message.reason
        return self._stands(child, message.perm_id, message.status, message.filled)

    def _stands(
        self, child: ChildOrder, perm_id: int, status: str, filled: Decimal | None, *, grown: bool = False
    ) -> list[Event]:
        """The broker's status of the order named `perm_id`; `filled` None: the message does not tell.

        `grown`: at the broker it is larger than it was sent.
        """
        child.seen = True
        child.met.add(perm_id)
        child.cancel_ignored = child.cancel_ignored and status in WORKING
        live = status in WORKING or (status in PENDING and child.accepted)
        if live or perm_id in child.perm_ids or not child.perm_ids:
            self.children.perm(child, perm_id, live)
        if child.over:
            whole = self.fills.filled(child.seq) >= child.order.quantity and not grown
            self._astray.after_the_end(child, status, whole=whole)
        if child.over or child.end is not None:
            return []
        if status in WORKING:
            return self._works(child, perm_id)
        if child.live_as:  # its twin goes on, and each cancel ends only one of them
            child.cancel_sent = child.cancel_sent and status in PENDING
            return []
        shrunk = status == "Filled" and filled is not None and filled < child.order.quantity
        if (status in CANCELLED or shrunk) and filled is not None:
            child.end = child.end_notice or child.cancel_reason or (CHANGED if shrunk else "")
            child.end_filled = max(child.end_filled, filled)
        child.inactive = status == "Inactive"
        return verdict.conclude(child, self.fills)

    def _works(self, child: ChildOrder, perm_id: int) -> list[Event]:
        child.inactive = False
        if child.state is OrderState.PENDING_NEW:
            child.go(OrderState.NEW)
        accepted = child.accept(perm_id)
        if len(child.live_as) < 2:
            return accepted
        self.wanted.cancel(child.order_id)
        child.cancel_reason = child.cancel_reason or "the broker has it twice"
        names = " and ".join(map(str, child.live_as))
        return accepted + self._doubt(child, f"live twice at the broker, as permId {names}")

    def _executed(self, message: ExecutionMessage) -> list[Event]:
        names = (message.perm_id, message.order_ref, message.client_id, message.order_id)
        child = self.children.find(*names)
        base, revision = exec_name(message.exec_id)
        if child is None:
            if not self.wanted.in_query and message.exec_id not in self._strangers:
                self.wanted.query(f"execution {message.exec_id} is of no order in the log")
            self._strangers.add(message.exec_id)
            return []
        fill = OrderFilled(
            child_seq=child.seq,
            exec_id=base,
            revision=revision,
            instrument=child.order.instrument,
            side=message.side,
            quantity=message.quantity,
            price=message.price,
            venue=message.venue,
        )
        if not self.fills.enter(fill):
            return []
        self.children.perm(child, message.perm_id, child.perm_ids.get(message.perm_id, False))
        accepted = child.accept(message.perm_id)
        return [*accepted, fill, *self.fills.due_fee(base), *verdict.conclude(child, self.fills)]

    def _error(self, message: ErrorMessage) -> list[Event]:
        child = self.children.by_order_id(message.about) if message.about > 0 else None
        if child is None:
            return self.link.hear(message)
        if child.over:
            return []
        match codes.meaning(message.code):
            case Meaning.NOTICE:
                return []
            case Meaning.ENDING:
                child.end_notice = child.end_notice or message.text
                child.end = child.end_notice if child.end == "" else child.end
                return verdict.conclude(child, self.fills)
            case Meaning.REFUSAL:
                child.refusal = child.refusal or (message.code, message.text)
                said = verdict.conclude(child, self.fills)
                doubtful = child.accepted and not child.over
                return said + (self._doubt(child, f"{message.code}: {message.text}") if doubtful else [])
            case Meaning.CANCEL_REFUSED | Meaning.DOUBT as meaning:
                child.cancel_refused = child.cancel_refused or meaning is Meaning.CANCEL_REFUSED
                return self._doubt(child, f"{message.code}: {message.text}")

    def _doubt(self, child: ChildOrder, reason: str) -> list[Event]:
        self.wanted.query(f"order {self.children.name(child)}: {reason}")
        return verdict.doubt(child, reason)
