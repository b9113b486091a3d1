"""Rebuilds the session from the log: every order, every execution and every last word that is in it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from firm.broker.children import ChildOrder
from firm.broker.ib_session import IbSession
from firm.domain.instrument import Instrument
from firm.domain.order import OrderState
from firm.events import CODEC, Event, Record
from firm.events.broker import BreakClosed, BreakFound, CircuitChanged, CircuitState
from firm.events.market import HistoryLoaded
from firm.events.orders import (
    BrokerRejected,
    CommissionReported,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderNotAccepted,
    OrderSubmitted,
    OrderUnknown,
)
from firm.events.system import BrokerConnected, InstrumentsResolved, Reconciled

LAST_WORDS: Final[dict[type[Event], OrderState]] = {
    OrderCanceled: OrderState.CANCELED,
    OrderExpired: OrderState.EXPIRED,
    BrokerRejected: OrderState.REJECTED,
    OrderNotAccepted: OrderState.NOT_ACCEPTED,
}
FOLDED: Final[tuple[type[Event], ...]] = (
    *LAST_WORDS,
    HistoryLoaded,
    CommissionReported,
    OrderAccepted,
    OrderCancelRequested,
    OrderFilled,
    OrderSubmitted,
    OrderUnknown,
    BrokerConnected,
    InstrumentsResolved,
    Reconciled,
    BreakFound,
    BreakClosed,
    CircuitChanged,
)
KINDS: Final = {cls.KIND for cls in FOLDED}


@dataclass
class Remembered:
    """What the log says beside the orders. `at`: the time of its last entry, ns UTC.

    `circuit`: how the circuit breaker stood, and since when.
    """

    account: str | None = None
    instruments: tuple[Instrument, ...] = ()
    history: bool = False
    circuit: tuple[CircuitState, int] = (CircuitState.CLOSED, 0)
    at: int = 0


def remember(session: IbSession, records: Sequence[Record]) -> Remembered:
    """Fold the log into a new session."""
    found = Remembered(at=records[-1].at if records else 0)
    for record in records:
        if record.kind in KINDS:
            _fold(session, record, found)
    for child in session.children.working():
        _restate(session, child)
    return found


def _fold(session: IbSession, record: Record, found: Remembered) -> None:
    children = session.children
    match CODEC.event(record):
        case OrderSubmitted(child=child):
            children.add(ChildOrder(record.seq, child))
        case OrderCancelRequested(child_seq=seq, reason=reason):
            children[seq].cancel_reason = children[seq].cancel_reason or reason
        case OrderAccepted(child_seq=seq, perm_id=perm_id):
            children[seq].accepted = True
            children.perm(children[seq], perm_id, live=False)
        case OrderFilled() as fill:
            session.fills.enter(fill)
        case CommissionReported() as fee:
            session.fills.remember_fee(fee)
        case OrderUnknown(child_seq=seq):
            children[seq].doubted = True
        case OrderCanceled() | OrderExpired() | BrokerRejected() | OrderNotAccepted() as last_word:
            children[last_word.child_seq].state = LAST_WORDS[type(last_word)]
        case InstrumentsResolved(instruments=instruments):
            found.instruments = instruments
            session.books.know(instruments)
        case HistoryLoaded():
            found.history = True
        case BrokerConnected(account=account):
            found.account = account
        case BreakFound() | BreakClosed() as told:
            session.books.breaks.remember(told)
        case CircuitChanged(after=state):
            found.circuit = (state, record.at)
        case Reconciled(positions=positions, cash=cash):
            _first_positions(session, dict(positions))
            session.books.note_cash(cash)


def _first_positions(session: IbSession, held: dict[int, Decimal]) -> None:
    if session.positions.opening is None:
        fills = session.fills.positions
        beyond = {i: held.get(i, Decimal(0)) - fills.get(i, Decimal(0)) for i in {*held, *fills}}
        session.positions.opening = {i: quantity for i, quantity in beyond.items() if quantity}


def _restate(session: IbSession, child: ChildOrder) -> None:
    """The state of an order without a last word follows from its fills and from what was said of it."""
    filled = session.fills.filled(child.seq)
    if filled >= child.order.quantity:
        child.state = OrderState.FILLED
    elif child.doubted:
        child.state = OrderState.UNKNOWN
    elif filled:
        child.state = OrderState.PARTIALLY_FILLED
    elif child.accepted:
        child.state = OrderState.NEW
