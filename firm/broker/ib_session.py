"""What the firm knows of its orders at the broker: messages in, events and wants out. Pure.

An error never ends an order: it raises a doubt, and a query settles it. An order has ended when the broker's
own status, completed orders and executions say so, or when queries find it nowhere. Fills are always told,
even of an order that was thought to be over: a fill that was on its way wins.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import assert_never

from firm.broker import codes
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
    Query,
    Resubscribe,
    StatusMessage,
    UnreadableMessage,
    Want,
)
from firm.domain.order import OrderState
from firm.events import Event
from firm.events.orders import (
    BrokerRejected,
    Child,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderNotAccepted,
    OrderUnknown,
)
from firm.events.system import BrokerDisconnected

LIVE = frozenset({"PreSubmitted", "Submitted"})
CANCELLED = frozenset({"Cancelled", "ApiCancelled"})
PASSES_TO_BE_SURE = 2


class IbSession:
    """The orders of one run under one client id, through any number of connections."""

    def __init__(self, run: str, client_id: int) -> None:
        self.children = Children(run, client_id)
        self.fills = FillLedger()
        self.frozen: str | None = "not connected yet"
        self.held: dict[int, PositionMessage] = {}
        self.strays: dict[int, str] = {}
        self._strangers: set[str] = set()
        self._wants: list[Want] = []
        self._in_query = self._farm_broken = False

    def submit(self, seq: int, child: Child, order_id: int) -> None:
        """The child is about to be sent as `order_id`."""
        order = ChildOrder(seq, child)
        self.children.add(order)
        self.children.number(order, order_id)

    def refuse(self, seq: int, child: Child, reason: str) -> list[Event]:
        """The child is not sent at all."""
        order = ChildOrder(seq, child)
        order.go(OrderState.REJECTED)
        self.children.add(order)
        return [BrokerRejected(seq, 0, reason)]

    def cancel(self, seq: int, reason: str) -> list[CancelOrder]:
        """The firm wants the child cancelled; what to send now, if anything can be sent.

        Without an order id in this connection the wish is kept until a query finds one.
        """
        child = self.children[seq]
        if child.over:
            return []
        child.cancel_reason = child.cancel_reason or reason
        if child.order_id is None:
            self._want(Query(f"order {self.children.name(child)} is to be cancelled and has no order id here"))
            return []
        return [CancelOrder(child.order_id)]

    def link_lost(self, reason: str) -> list[Event]:
        """No order may be sent until `link_restored`; said once."""
        already, self.frozen = self.frozen, reason
        return [] if already else [BrokerDisconnected(reason)]

    def new_connection(self) -> None:
        """A fresh connection stands: everything must be asked for again."""
        self.children.new_connection()
        self.held.clear()
        self._wants.clear()

    def hear(self, message: Message) -> list[Event]:
        """Take in one message; what it means for the log."""
        match message:
            case StatusMessage():
                return self._status(message)
            case OpenOrderMessage():
                return self._open_order(message)
            case CompletedOrderMessage():
                return self._completed(message)
            case ExecutionMessage():
                return self._executed(message)
            case CommissionMessage(exec_id=exec_id, commission=commission):
                return list(self.fills.fee(exec_id, commission))
            case ErrorMessage():
                return self._error(message)
            case PositionMessage(con_id=con_id):
                self.held[con_id] = message
                return []
            case UnreadableMessage(number=number, fault=fault):
                self._want(Query(f"message {number} could not be read ({fault})"))
                return []
            case _ as never:
                assert_never(never)

    def wants(self) -> list[Want]:
        """What must be asked for or sent now, each once; call it when all that has arrived was heard."""
        for child in self.children.working():
            if open_end := self._open_end(child):
                self._want(Query(f"order {self.children.name(child)}: {open_end}"))
        wants, self._wants = self._wants, []
        return wants

    def unanswered(self, seq: int, waited_ms: int) -> list[Event]:
        """Nothing was heard of a sent order for too long."""
        child = self.children[seq]
        return [] if child.over or child.heard_of else self._doubt(child, f"no answer for {waited_ms} ms")

    def begin_query(self) -> None:
        """Executions, open and completed orders and positions are asked for from now on."""
        self._in_query = True
        self.held.clear()
        self.strays.clear()
        for child in self.children.working():
            child.asked, child.seen = True, False

    def end_query(self) -> list[Event]:
        """All answers were heard: settle what they settle."""
        self._in_query = False
        events = [event for child in self.children.working() for event in self._judge(child)]
        for child in self.children:
            child.asked = False
        return events

    def undecided(self) -> bool:
        """Whether a second query must follow at once."""
        return any(child.absent or self._open_end(child) for child in self.children.working())

    def cancels_due(self) -> list[CancelOrder]:
        """Cancels that were wanted and whose orders are still live: to be sent (again) after a reconnection."""
        return [
            CancelOrder(child.order_id)
            for child in self.children.working()
            if child.cancel_reason is not None and child.order_id is not None
        ]

    # what the messages mean

    def _status(self, message: StatusMessage) -> list[Event]:
        child = self.children.find(message.perm_id, "", message.client_id, message.order_id)
        if child is None:
            return []
        child.broker_filled = max(child.broker_filled, message.filled)
        return self._stands(child, message.perm_id, message.status, message.filled)

    def _open_order(self, message: OpenOrderMessage) -> list[Event]:
        found = (message.perm_id, message.order_ref, message.client_id, message.order_id)
        child = self.children.find(*found)
        if child is None:
            if message.status in LIVE and self.children.is_stray(message.order_ref, message.client_id):
                self._stray(message)
            return []
        if not child.over and message.order_id > 0 and child.order_id is None:
            self.children.number(child, message.order_id)
        if message.status == "Filled":
            child.broker_filled = child.order.quantity
        return self._stands(child, message.perm_id, message.status, None)

    def _stands(
        self, child: ChildOrder, perm_id: int, status: str, filled: Decimal | None
    ) -> list[Event]:
        """The broker's status of the order named `perm_id`; `filled` None: the message does not tell."""
        child.seen = True
        live = status in LIVE or status in {"PendingCancel", "PendingSubmit"}
        if live or perm_id in child.perm_ids or not child.perm_ids:
            self.children.perm(child, perm_id, live)
        if child.over or child.end is not None:
            return []
        if twins := child.twins:
            return self._twins(child, twins)
        if status in CANCELLED and filled is not None:
            return self._ended(child, "", filled)
        if status == "Inactive":
            child.inactive = True
            return self._conclude(child)
        if status in LIVE:
            return self._alive(child, perm_id)
        if status == "PendingCancel" and child.accepted:
            child.go(OrderState.PENDING_CANCEL)
        return []

    def _alive(self, child: ChildOrder, perm_id: int) -> list[Event]:
        child.inactive = False
        if child.state is OrderState.PENDING_NEW:
            child.go(OrderState.NEW)
        return self._accepted(child, perm_id)

    def _accepted(self, child: ChildOrder, perm_id: int) -> list[Event]:
        if child.accepted or not perm_id:
            return []
        child.accepted = True
        return [OrderAccepted(child.seq, perm_id)]

    def _completed(self, message: CompletedOrderMessage) -> list[Event]:
        child = self.children.find(message.perm_id, message.order_ref, -1, 0)
        if child is None:
            return []
        child.seen = True
        self.children.perm(child, message.perm_id, live=False)
        child.broker_filled = max(child.broker_filled, message.filled)
        if child.over:
            return []
        if message.status in CANCELLED:
            return self._ended(child, message.reason or "cancelled", message.filled)
        if message.status == "Inactive":
            child.inactive = True
            child.refusal = child.refusal or (201, message.reason)
        return self._conclude(child)

    def _executed(self, message: ExecutionMessage) -> list[Event]:
        found = (message.perm_id, message.order_ref, message.client_id, message.order_id)
        child = self.children.find(*found)
        base, revision = exec_name(message.exec_id)
        if child is None:
            if not self._in_query and message.exec_id not in self._strangers:
                self._want(Query(f"execution {message.exec_id} is of no order in the log"))
            self._strangers.add(message.exec_id)
            return []
        child.seen = True
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
        accepted = [] if child.over else self._accepted(child, message.perm_id)
        return [*accepted, fill, *self.fills.due_fee(base), *self._conclude(child)]

    def _error(self, message: ErrorMessage) -> list[Event]:
        child = self.children.by_order_id(message.about) if message.about > 0 else None
        if child is None:
            return self._notice(message) if message.about == -1 or message.code == codes.DATA_LOST else []
        if child.over:
            return []
        child.seen = True
        text = f"{message.code}: {message.text}"
        match codes.meaning(message.code):
            case Meaning.NOTICE:
                return []
            case Meaning.ENDING:
                child.end = child.end if child.end is None else (child.end or message.text or "cancelled")
                return self._conclude(child) if child.end else self._ask(child, f"told {text}")
            case Meaning.REFUSAL:
                child.refusal = (message.code, message.text)
                settled = self._conclude(child)
                doubted = self._doubt(child, text) if child.accepted and not settled else []
                return settled or doubted or self._ask(child, f"refused with {text}")
            case Meaning.CANCEL_REFUSED | Meaning.DOUBT:
                return self._doubt(child, text)

    def _notice(self, message: ErrorMessage) -> list[Event]:
        """About the session: the link to Interactive Brokers, and the data farms."""
        code = message.code
        if code in codes.LINK_LOST:
            return self.link_lost(f"{code}: {message.text}")
        if code in {codes.LINK_BACK, codes.LINK_BACK_DATA_LOST}:
            self._want(Query(f"{code}: {message.text}"))
        if code in {codes.LINK_BACK_DATA_LOST, codes.DATA_LOST}:
            self._want(Resubscribe())
        if code == codes.DATA_FARM_OK and self._farm_broken:
            self._want(Resubscribe())
        if code in {codes.DATA_FARM_BROKEN, codes.DATA_FARM_OK}:
            self._farm_broken = code == codes.DATA_FARM_BROKEN
        return []

    # what the orders come to

    def _ended(self, child: ChildOrder, reason: str, filled: Decimal) -> list[Event]:
        child.end = reason or child.end or child.cancel_reason or ""
        child.end_filled = max(child.end_filled, filled)
        return self._conclude(child)

    def _conclude(self, child: ChildOrder) -> list[Event]:
        """The order's last word, if everything that belongs to it is known."""
        filled = self.fills.filled(child.seq)
        if filled >= child.order.quantity:
            if OrderState.FILLED in _NEXT(child):
                child.go(OrderState.FILLED)
            return []
        if child.over:
            return []
        if child.refusal and (child.inactive or child.end is not None) and not filled:
            return self._over(child, OrderState.REJECTED, BrokerRejected(child.seq, *child.refusal))
        if child.end and filled >= child.end_filled:
            return self._gone(child, child.end)
        if filled and child.state in {OrderState.PENDING_NEW, OrderState.NEW}:
            child.go(OrderState.PARTIALLY_FILLED)
        return []

    def _gone(self, child: ChildOrder, reason: str) -> list[Event]:
        filled = self.fills.filled(child.seq)
        if "expired" in reason.lower():
            return self._over(child, OrderState.EXPIRED, OrderExpired(child.seq, filled))
        return self._over(child, OrderState.CANCELED, OrderCanceled(child.seq, filled, reason))

    def _over(self, child: ChildOrder, state: OrderState, event: Event) -> list[Event]:
        child.go(state)
        child.perm_ids.update(dict.fromkeys(child.perm_ids, False))
        return [event]

    def _open_end(self, child: ChildOrder) -> str | None:
        """What is known to be missing before the order's state is certain."""
        filled = self.fills.filled(child.seq)
        if child.broker_filled > filled and not child.doubted:
            return f"{child.broker_filled} filled at the broker, executions of {filled} known"
        if child.end is not None:
            return "cancelled at the broker, it is not known why"
        return "inactive at the broker, it is not known why" if child.inactive and not child.doubted else None

    def _judge(self, child: ChildOrder) -> list[Event]:
        """What a complete query means for one order that it asked for."""
        if not child.asked:
            return []
        child.absent = 0 if child.seen else child.absent + 1
        certain = child.absent >= PASSES_TO_BE_SURE
        filled = self.fills.filled(child.seq)
        if child.end is not None:
            return self._gone(child, child.end or "cancelled at the broker, which gives no reason")
        if child.absent and child.refusal and not child.accepted:
            return self._over(child, OrderState.REJECTED, BrokerRejected(child.seq, *child.refusal))
        if certain and not child.accepted:
            return self._over(child, OrderState.NOT_ACCEPTED, OrderNotAccepted(child.seq))
        if certain:
            return self._gone(child, "neither open nor completed at the broker, asked twice")
        if child.absent:
            return []
        if child.broker_filled > filled:
            reason = f"{child.broker_filled} filled at the broker, only {filled} to be had as executions"
            return self._doubt(child, reason)
        if child.inactive:
            self._want_cancel(child)
            return self._doubt(child, "inactive at the broker, which gives no reason")
        if not child.twins:
            self._certain(child)
        return []

    def _certain(self, child: ChildOrder) -> None:
        """The broker has the order, live: whatever raised a doubt did not end it."""
        child.refusal, child.doubted = None, False
        if child.state is OrderState.UNKNOWN and child.accepted:
            partly = self.fills.filled(child.seq) > 0
            child.go(OrderState.PARTIALLY_FILLED if partly else OrderState.NEW)

    def _twins(self, child: ChildOrder, twins: list[int]) -> list[Event]:
        self._want_cancel(child)
        child.cancel_reason = child.cancel_reason or "the broker shows it twice"
        return self._doubt(child, f"live twice at the broker, as permId {' and '.join(map(str, twins))}")

    def _doubt(self, child: ChildOrder, reason: str) -> list[Event]:
        self._ask(child, reason)
        if child.doubted:
            return []
        child.doubted = True
        child.go(OrderState.UNKNOWN)
        return [OrderUnknown(child.seq, reason)]

    def _ask(self, child: ChildOrder, reason: str) -> list[Event]:
        self._want(Query(f"order {self.children.name(child)}: {reason}"))
        return []

    def _stray(self, message: OpenOrderMessage) -> None:
        if not self._in_query and message.perm_id not in self.strays:
            self._want(Query(f"permId {message.perm_id} is live and of no order in the log"))
        name = message.order_ref or "without a name"
        self.strays[message.perm_id] = f"order {name} (permId {message.perm_id}) is live and not in the log"

    def _want_cancel(self, child: ChildOrder) -> None:
        if child.order_id is not None and CancelOrder(child.order_id) not in self._wants:
            self._wants.append(CancelOrder(child.order_id))

    def _want(self, want: Want) -> None:
        if self._in_query and isinstance(want, Query):
            return
        if not any(type(other) is type(want) for other in self._wants):
            self._wants.append(want)
