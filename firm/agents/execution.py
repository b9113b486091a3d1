"""Execution: works cleared orders as children at the broker, each through the last gate."""

from collections.abc import Sequence
from typing import ClassVar, TypeAlias

from firm import config
from firm.agents.broker_side import BrokerSide
from firm.agents.exact import last_quote
from firm.agents.market import Market
from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.domain.session import Sessions
from firm.events.base import Entry, Event
from firm.events.broker import CircuitChanged, GateChanged
from firm.events.market import MarketData
from firm.events.orders import (
    BrokerRejected,
    Cleared,
    ExecutionRefused,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRequested,
    OrderCleared,
    OrderDone,
    OrderExpired,
    OrderFilled,
    OrderNotAccepted,
    OrderSubmitted,
    OrderUnknown,
)
from firm.events.risk import RiskHaltRequested
from firm.events.scheduled import Occasion, ScheduledTick, SessionsLoaded, TimerRequested
from firm.events.system import (
    BrokerConnected,
    BrokerDisconnected,
    CycleAborted,
    InstrumentsResolved,
    OperatorHaltRequested,
    Reconciled,
    TradingHalted,
    TradingRearmed,
)
from firm.execution.algos import Slice, algo, cut, window
from firm.execution.last_gate import Moment, gates
from firm.execution.working import WorkingChild, WorkingOrder

End: TypeAlias = OrderCanceled | OrderExpired | BrokerRejected | OrderNotAccepted
Stop: TypeAlias = TradingHalted | OperatorHaltRequested | RiskHaltRequested
Note: TypeAlias = (
    InstrumentsResolved
    | MarketData
    | SessionsLoaded
    | OrderAccepted
    | OrderUnknown
    | TradingRearmed
    | BrokerConnected
    | BrokerDisconnected
    | Reconciled
    | GateChanged
    | CircuitChanged
)
Heard: TypeAlias = (
    OrderCleared | OrderSubmitted | ScheduledTick | OrderFilled | End | Stop | CycleAborted | Note
)
Said: TypeAlias = TimerRequested | OrderSubmitted | OrderCancelRequested | ExecutionRefused | OrderDone


class Execution:
    """Plans each cleared order by the configured algo and sends its slices when they are due.

    A slice that a gate refuses is not tried again (`ExecutionRefused`); what a slice does not get is not
    chased. `OrderDone` comes once an order, when nothing of it is planned or working and every fill that the
    broker counted has been heard. A child ends only by the broker's word: acceptance does not change that
    it is open, and neither does `OrderUnknown`; unknown is never cancelled.

    A halt, whoever asked for it, drops all plans and asks the broker to cancel all that is open; an aborted
    cycle is a halt. A re-arm brings nothing back, and an order proposed before an abort but cleared only
    after it (by an agent that had been ill) counts as refused.

    Waiting is a `TimerRequested`, one for each moment, however many slices are due then; `parent_seq` names
    the first order that wanted it. A child is named by the seq of its `OrderSubmitted`, which Execution
    hears like everyone else; if trading was halted meanwhile, it is then cancelled.
    """

    name: ClassVar[str] = "execution"
    notes: ClassVar[frozenset[type[Event]]] = frozenset(
        {
            InstrumentsResolved,
            MarketData,
            SessionsLoaded,
            OrderAccepted,
            OrderUnknown,
            TradingRearmed,
            BrokerConnected,
            BrokerDisconnected,
            Reconciled,
            GateChanged,
            CircuitChanged,
        }
    )

    def __init__(self, settings: config.Execution, max_quote_age_ms: int) -> None:
        """`max_quote_age_ms`: how old a quote may be when a child is priced; Compliance's own limit."""
        self._algo = algo(settings)
        self._gates = gates(max_quote_age_ms, settings.max_messages_per_cycle)
        self._market = Market()
        self._sessions = Sessions((), ())
        self._orders: dict[int, WorkingOrder] = {}
        self._parents: dict[int, int] = {}
        self._timers: set[int] = set()
        self._halted: str | None = None
        self._broker: str | None = "never reconciled since the start"
        self._side = BrokerSide()
        self._breaks: tuple[str, ...] = ()
        self._breaks_seq = 0
        self._aborted_seq = 0
        self._messages_at, self._messages = 0, 0

    def handle(self, entry: Entry[Heard]) -> Sequence[Said]:
        """See Agent."""
        if entry.at != self._messages_at:
            self._messages_at, self._messages = entry.at, 0
        said: list[Said] = []
        match entry.event:
            case OrderCleared(order_seq=order_seq, order=order):
                said = self._begin(entry.at, order_seq, order)
            case ScheduledTick(occasion=Occasion.TIMER):
                self._timers = {at for at in self._timers if at > entry.at}
                said = self._send_due(entry.at, list(self._orders.values()))
            case ScheduledTick():
                pass
            case OrderSubmitted(order_seq=order_seq):
                said = self._named(entry.seq, order_seq)
            case OrderFilled() as report:
                said = self._filled(report)
            case OrderCanceled() | OrderExpired() | BrokerRejected() | OrderNotAccepted() as end:
                said = self._ended(end)
            case TradingHalted() | OperatorHaltRequested() | RiskHaltRequested() as stop:
                said = self._halt(stop.reason)
            case CycleAborted(stage=stage, failed_seq=failed_seq):
                self._aborted_seq = entry.seq
                said = self._halt(f"the cycle was aborted: {stage} failed on entry {failed_seq}")
            case _ as note:
                self._note(entry.seq, entry.at, note)
        return said

    def _note(self, seq: int, at: int, note: Note) -> None:
        match note:
            case InstrumentsResolved() | MarketData():
                self._market.note(at, note)
            case SessionsLoaded(sessions=sessions):
                self._sessions = sessions
            case OrderAccepted() | OrderUnknown():
                pass  # open before, open after
            case TradingRearmed():
                self._halted = None
            case BrokerConnected():
                self._broker = "connected, but not reconciled yet"
            case BrokerDisconnected(reason=reason):
                self._broker = f"disconnected: {reason}"
            case Reconciled(breaks=breaks):
                self._broker = None
                if breaks != self._breaks:
                    self._breaks, self._breaks_seq = breaks, seq
            case GateChanged() | CircuitChanged() as fact:
                self._side.note(fact)

    def _begin(self, at: int, order_seq: int, order: Cleared) -> list[Said]:
        assert order_seq not in self._orders, f"order {order_seq} was cleared twice"
        if order_seq < self._aborted_seq:
            return _refused(order_seq, order, "cycle", "cycle: the order's own cycle was aborted")
        span = window(self._sessions, at, order.valid_until)
        if span is None:
            reason = "session: no session opens while the clearance is valid"
            return _refused(order_seq, order, "session", reason)
        lot = self._market.instruments[order.instrument].lot_size
        parent = WorkingOrder(order_seq, order, list(self._algo.slices(order, lot, span)))
        self._orders[order_seq] = parent
        said = self._send_due(at, [parent])
        for part in parent.planned:
            if part.due not in self._timers:
                self._timers.add(part.due)
                said.append(TimerRequested(part.due, order_seq))
        return said

    def _send_due(self, at: int, parents: Sequence[WorkingOrder]) -> list[Said]:
        said: list[Said] = []
        for parent in parents:
            said += [self._send(at, parent, part) for part in parent.due(at)]
            said += self._finish(parent)
        return said

    def _send(self, at: int, parent: WorkingOrder, part: Slice) -> OrderSubmitted | ExecutionRefused:
        order = parent.order
        quote = last_quote(self._market, order.instrument)
        touch = None if quote is None else quote.ask if order.side is Side.BUY else quote.bid
        child = cut(self._algo, order, self._market.instruments[order.instrument], part.quantity, touch)
        moment = Moment(
            at=at,
            halted=self._halted,
            broker=self._broker or self._side.shut or self._unknown_breaks(parent.order_seq),
            session_open=self._sessions.is_open(at),
            touch=touch,
            quoted_at=None if quote is None else quote.at,
            left=parent.left,
            messages=self._messages,
        )
        for gate in self._gates:
            if reason := gate.objection(child, order, moment):
                parent.last_word = reason
                return ExecutionRefused(parent.order_seq, part.quantity, gate.name, reason)
        self._messages += 1
        parent.unnamed.append(WorkingChild(part.quantity))
        return OrderSubmitted(parent.order_seq, self._algo.name, child)

    def _unknown_breaks(self, order_seq: int) -> str | None:
        """Breaks that came after the order was proposed; Risk has judged the later ones knowing them."""
        if self._breaks and order_seq < self._breaks_seq:
            return f"{len(self._breaks)} unresolved breaks since the order was approved: {self._breaks[0]}"
        return None

    def _named(self, child_seq: int, order_seq: int) -> list[Said]:
        parent = self._orders[order_seq]
        parent.name_next(child_seq)
        self._parents[child_seq] = order_seq
        # Said in the cycle of a halt, before it was heard: the halt could not call the child by its name.
        return [] if self._halted is None else self._cancel(parent, self._halted)

    def _filled(self, report: OrderFilled) -> list[Said]:
        parent = self._parent_of(report.child_seq)
        if parent is None:
            return []
        parent.children[report.child_seq].fill(report)
        return self._finish(parent)

    def _ended(self, end: End) -> list[Said]:
        parent = self._parent_of(end.child_seq)
        if parent is None:
            return []
        child = parent.children[end.child_seq]
        match end:
            case OrderCanceled(filled=filled, reason=reason):
                child.end(filled)
                parent.last_word = f"cancelled: {reason}"
            case OrderExpired(filled=filled):
                child.end(filled)
                parent.last_word = "expired at the close"
            case BrokerRejected(code=code, reason=reason):
                child.end(ZERO)
                parent.last_word = f"rejected by the broker: {code} {reason}"
            case OrderNotAccepted():
                child.end(ZERO)
                parent.last_word = "never reached the broker"
        return self._finish(parent)

    def _halt(self, reason: str) -> list[Said]:
        self._halted = reason
        said: list[Said] = []
        for parent in list(self._orders.values()):
            parent.planned = []
            parent.last_word = f"halted: {reason}"
            said += self._cancel(parent, reason)
            said += self._finish(parent)
        return said

    def _cancel(self, parent: WorkingOrder, reason: str) -> list[Said]:
        said: list[Said] = []
        for child_seq, child in parent.children.items():
            if child.open and not child.cancel_requested:
                child.cancel_requested = True
                self._messages += 1
                said.append(OrderCancelRequested(child_seq, reason))
        return said

    def _finish(self, parent: WorkingOrder) -> list[Said]:
        if not parent.over:
            return []
        del self._orders[parent.order_seq]
        for child_seq in parent.children:
            del self._parents[child_seq]
        return [OrderDone(parent.order_seq, parent.filled, parent.ending())]

    def _parent_of(self, child_seq: int) -> WorkingOrder | None:
        """None for a child of an order that is done, or a stranger: the bookkeeper sees to its fills."""
        order_seq = self._parents.get(child_seq)
        return None if order_seq is None else self._orders[order_seq]


def _refused(order_seq: int, order: Cleared, gate: str, reason: str) -> list[Said]:
    """The whole order is refused before it was planned."""
    return [
        ExecutionRefused(order_seq, order.quantity, gate, reason),
        OrderDone(order_seq, ZERO, f"0 of {order.quantity} filled; {reason}"),
    ]
