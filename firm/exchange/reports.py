"""What the exchange says about an order. Every report names it by `perm_id` and by the customer's `ref`."""

from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from firm.domain.order import Side


class OrderAccepted(Struct, frozen=True, array_like=True, tag=True):
    """The order is in the book; `held` says it waits for the first frame of the next session.

    `waits` is what else it waits for: `transmit`, `child` (its parent), `condition`, `locate`, `trigger`.
    """

    at: int
    perm_id: int
    ref: str
    held: bool
    waits: str = ""


class OrderActivated(Struct, frozen=True, array_like=True, tag=True):
    """What kept the order waiting (a session, its parent, a condition) does no more.

    `waits` names what keeps it waiting still (`trigger`: its stop); empty when it works.
    """

    at: int
    perm_id: int
    ref: str
    waits: str = ""


class OrderElected(Struct, frozen=True, array_like=True, tag=True):
    """The market has reached the stop; the order works with `limit_price` (None: at the market)."""

    at: int
    perm_id: int
    ref: str
    limit_price: Decimal | None


class OrderFilled(Struct, frozen=True, array_like=True, tag=True):
    """One execution. `quantity` is unsigned; `commission` is of this execution alone.

    It is in the instrument's currency and includes the fee or rebate of the `venue` (empty where none are
    told apart). `realized_pnl` is before fees and None when nothing was closed. `removed_liquidity` is true
    when the order took the displayed quote, false when the market came to it.
    """

    at: int
    perm_id: int
    ref: str
    exec_id: str
    instrument: int
    side: Side
    price: Decimal
    quantity: Decimal
    cumulative: Decimal
    leaves: Decimal
    average_price: Decimal
    commission: Decimal
    realized_pnl: Decimal | None
    removed_liquidity: bool
    venue: str = ""


class OrderCancelled(Struct, frozen=True, array_like=True, tag=True):
    """The order is gone with `cumulative` filled; asked for, or the unfilled rest of an IOC order."""

    at: int
    perm_id: int
    ref: str
    cumulative: Decimal
    reason: str


class OrderExpired(Struct, frozen=True, array_like=True, tag=True):
    """A day order reached the close of its session with `cumulative` filled; `at` is the close."""

    at: int
    perm_id: int
    ref: str
    cumulative: Decimal


class OrderModified(Struct, frozen=True, array_like=True, tag=True):
    """The new terms stand; the name (`perm_id`) stays."""

    at: int
    perm_id: int
    ref: str
    quantity: Decimal
    limit_price: Decimal | None
    held: bool
    waits: str = ""


class OrderRejected(Struct, frozen=True, array_like=True, tag=True):
    """The order never entered the book. `code` is Interactive Brokers' error code."""

    at: int
    perm_id: int
    ref: str
    code: int
    reason: str


class RequestRefused(Struct, frozen=True, array_like=True, tag=True):
    """A cancel or a modification was not possible; the order, if there is one, is as it was."""

    at: int
    perm_id: int
    ref: str
    code: int
    reason: str


ExchangeEvent: TypeAlias = (
    OrderAccepted
    | OrderActivated
    | OrderElected
    | OrderFilled
    | OrderCancelled
    | OrderExpired
    | OrderModified
    | OrderRejected
    | RequestRefused
)
