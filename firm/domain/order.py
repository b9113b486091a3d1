"""An order's words and its life cycle (FIX 54, 40, 59 and 39), the life cycle as a table."""

from enum import StrEnum


class Side(StrEnum):
    """FIX 54."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 adds to a position, -1 takes from it."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """FIX 40; the names are Interactive Brokers'."""

    MARKET = "MKT"
    LIMIT = "LMT"


class TimeInForce(StrEnum):
    """FIX 59."""

    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"


class OrderState(StrEnum):
    """FIX 39, and UNKNOWN: asked for, not told. Unknown is never cancelled."""

    PENDING_NEW = "PendingNew"
    NEW = "New"
    PARTIALLY_FILLED = "PartiallyFilled"
    FILLED = "Filled"
    PENDING_CANCEL = "PendingCancel"
    CANCELED = "Canceled"
    REJECTED = "Rejected"
    EXPIRED = "Expired"
    NOT_ACCEPTED = "NotAccepted"
    UNKNOWN = "Unknown"


_LIVE = {
    OrderState.NEW,
    OrderState.PARTIALLY_FILLED,
    OrderState.FILLED,
    OrderState.PENDING_CANCEL,
    OrderState.CANCELED,
    OrderState.REJECTED,
    OrderState.EXPIRED,
    OrderState.UNKNOWN,
}

TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.PENDING_NEW: frozenset(_LIVE | {OrderState.NOT_ACCEPTED}),
    OrderState.NEW: frozenset(_LIVE),
    OrderState.PARTIALLY_FILLED: frozenset(_LIVE - {OrderState.NEW, OrderState.REJECTED}),
    OrderState.PENDING_CANCEL: frozenset(_LIVE),
    OrderState.UNKNOWN: frozenset(_LIVE | {OrderState.NOT_ACCEPTED}),
    OrderState.FILLED: frozenset({OrderState.FILLED}),
    OrderState.CANCELED: frozenset(
        {OrderState.CANCELED, OrderState.FILLED}
    ),  # a fill that was on its way wins
    OrderState.REJECTED: frozenset({OrderState.REJECTED}),
    OrderState.EXPIRED: frozenset({OrderState.EXPIRED, OrderState.FILLED}),
    OrderState.NOT_ACCEPTED: frozenset({OrderState.NOT_ACCEPTED}),
}

TERMINAL = frozenset(
    {
        OrderState.FILLED,
        OrderState.CANCELED,
        OrderState.REJECTED,
        OrderState.EXPIRED,
        OrderState.NOT_ACCEPTED,
    }
)


def advance(state: OrderState, to: OrderState) -> OrderState:
    """The new state, or an assertion: an impossible transition is a bug, and nothing has changed.

    >>> advance(OrderState.NEW, OrderState.FILLED)
    <OrderState.FILLED: 'Filled'>
    """
    assert to in TRANSITIONS[state], f"order cannot go from {state} to {to}"
    return to
