"""What the gateway says about orders and the account, as plain values: the session's whole input."""

from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from firm.domain.order import Side


class StatusMessage(Struct, frozen=True):
    """orderStatus. `perm_id` 0: not known yet; `client_id` is whose numbering `order_id` belongs to."""

    order_id: int
    client_id: int
    perm_id: int
    status: str
    filled: Decimal


class OpenOrderMessage(Struct, frozen=True):
    """openOrder: an order that the gateway still keeps open, anybody's; `quantity` is all of it, unsigned."""

    order_id: int
    client_id: int
    perm_id: int
    order_ref: str
    con_id: int
    status: str
    quantity: Decimal


class CompletedOrderMessage(Struct, frozen=True):
    """completedOrder: it has ended; `filled` is the broker's count, `reason` its completedStatus."""

    perm_id: int
    order_ref: str
    con_id: int
    status: str
    filled: Decimal
    reason: str


class ExecutionMessage(Struct, frozen=True):
    """execDetails, live or asked for. `exec_id` ends with the revision; `quantity` is unsigned."""

    exec_id: str
    order_id: int
    client_id: int
    perm_id: int
    order_ref: str
    con_id: int
    side: Side
    quantity: Decimal
    price: Decimal
    venue: str


class CommissionMessage(Struct, frozen=True):
    """commissionReport: what one execution cost, in account currency."""

    exec_id: str
    commission: Decimal


class ErrorMessage(Struct, frozen=True):
    """An error or notice. `about` is an order id or request id of this connection; -1: the session."""

    about: int
    code: int
    text: str


class PositionMessage(Struct, frozen=True):
    """What the account holds of one contract; zero when it has just been closed."""

    con_id: int
    symbol: str
    quantity: Decimal


class UnreadableMessage(Struct, frozen=True):
    """A message that could not be decoded: something was said, nobody knows what."""

    number: str
    fault: str


Message: TypeAlias = (
    StatusMessage
    | OpenOrderMessage
    | CompletedOrderMessage
    | ExecutionMessage
    | CommissionMessage
    | ErrorMessage
    | PositionMessage
    | UnreadableMessage
)


class Query(Struct, frozen=True):
    """Ask for executions, open and completed orders and positions: something is not certain."""

    reason: str


class Resubscribe(Struct, frozen=True):
    """Ask for all market data again: the old subscriptions are dead."""


class CancelOrder(Struct, frozen=True):
    """Send a cancel for this order id of the present connection."""

    order_id: int


Want: TypeAlias = Query | Resubscribe | CancelOrder


def exact(number: float) -> Decimal:
    """The shortest decimal that reads as this float; integral ones without a fraction.

    >>> exact(100.0), exact(0.1)
    (Decimal('100'), Decimal('0.1'))
    """
    return Decimal(int(number)) if number.is_integer() else Decimal(repr(number))
