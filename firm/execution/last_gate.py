"""The last look before an intent: a child passes every gate at the quote of the moment, or is not made."""

from decimal import Decimal
from typing import ClassVar, Protocol

from msgspec import Struct

from firm.domain.order import OrderType
from firm.domain.session import NS_PER_MS
from firm.events.orders import Child, Cleared


class Moment(Struct, frozen=True):
    """What the gates may look at.

    `broker` says why the broker's side may not be used for this order (None: it may); `touch` is the best
    price of the other side and `quoted_at` (ns UTC) its time, None if never quoted; `left` is what of the
    cleared order no child has used; `messages` are those sent in this cycle so far.
    """

    at: int
    halted: str | None
    broker: str | None
    session_open: bool
    touch: Decimal | None
    quoted_at: int | None
    left: Decimal
    messages: int


class Gate(Protocol):
    """One condition. `name` is what a refusal is filed under."""

    name: ClassVar[str]

    def objection(self, child: Child, order: Cleared, moment: Moment) -> str | None:
        """Why the child may not be sent, with the numbers; None if it may."""


class Halt:
    """Nothing is sent while trading is halted."""

    name: ClassVar[str] = "halt"

    def objection(self, child: Child, order: Cleared, moment: Moment) -> str | None:
        """See Gate."""
        del child, order
        return None if moment.halted is None else f"trading is halted: {moment.halted}"


class Broker:
    """The broker is connected and reconciled and takes orders, and no break has come since the approval."""

    name: ClassVar[str] = "broker"

    def objection(self, child: Child, order: Cleared, moment: Moment) -> str | None:
        """See Gate."""
        del child, order
        return None if moment.broker is None else f"broker: {moment.broker}"


class Validity:
    """Compliance's clearance has not run out: the last moment is `valid_until` itself."""

    name: ClassVar[str] = "validity"

    def objection(self, child: Child, order: Cleared, moment: Moment) -> str | None:
        """See Gate."""
        del child
        if moment.at <= order.valid_until:
            return None
        late_ms = (moment.at - order.valid_until) / NS_PER_MS
        return f"validity: the clearance ran out {late_ms:.9g} ms ago"


class Session:
    """The session is open: from the opening until before the close."""

    name: ClassVar[str] = "session"

    def objection(self, child: Child, order: Cleared, moment: Moment) -> str | None:
        """See Gate."""
        del child, order
        return None if moment.session_open else "session: the market is closed"


class QuoteAge:
    """The market is known: there is a quote, at most `max_age_ms` old."""

    name: ClassVar[str] = "quote"

    def __init__(self, max_age_ms: int) -> None:
        self._max_age_ms = max_age_ms

    def objection(self, child: Child, order: Cleared, moment: Moment) -> str | None:
        """See Gate."""
        del child, order
        if moment.touch is None or moment.quoted_at is None:
            return "quote: the instrument was never quoted"
        age_ns = moment.at - moment.quoted_at
        if age_ns <= self._max_age_ms * NS_PER_MS:
            return None
        return f"quote: the last quote is {age_ns / NS_PER_MS:.9g} ms old, limit is {self._max_age_ms} ms"


class Quantity:
    """The child fits into what is left of the cleared order."""

    name: ClassVar[str] = "quantity"

    def objection(self, child: Child, order: Cleared, moment: Moment) -> str | None:
        """See Gate."""
        if 0 < child.quantity <= moment.left:
            return None
        return f"quantity: {child.quantity} wanted, {moment.left} of the cleared {order.quantity} are left"


class Price:
    """The price lies within the cleared bounds: a limit order's limit, and for a market order the touch."""

    name: ClassVar[str] = "price"

    def objection(self, child: Child, order: Cleared, moment: Moment) -> str | None:
        """See Gate."""
        is_market = child.order_type is OrderType.MARKET
        price = moment.touch if is_market else child.limit_price
        what = "the touch" if is_market else "the limit price"
        if price is None:
            return f"price: {what} is not known"
        if order.price_low <= price <= order.price_high:
            return None
        return f"price: {what} {price} is outside the cleared {order.price_low} to {order.price_high}"


class MessageRate:
    """Not more than `limit` messages in one cycle: more is a runaway. Cancels count, but always pass."""

    name: ClassVar[str] = "message_rate"

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def objection(self, child: Child, order: Cleared, moment: Moment) -> str | None:
        """See Gate."""
        del child, order
        if moment.messages < self._limit:
            return None
        return f"message rate: {moment.messages} messages in this cycle already, limit is {self._limit}"


def gates(max_quote_age_ms: int, max_messages_per_cycle: int) -> tuple[Gate, ...]:
    """All gates in the order they are asked; the first objection is the reason."""
    return (
        Halt(),
        Broker(),
        Validity(),
        Session(),
        QuoteAge(max_quote_age_ms),
        Quantity(),
        Price(),
        MessageRate(max_messages_per_cycle),
    )
