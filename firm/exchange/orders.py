"""What customers ask of the exchange, what rests in its book, and everything it must not forget."""

from decimal import Decimal

from msgspec import Struct

from firm.domain.order import OrderType, Side, TimeInForce
from firm.domain.position import ZERO, Position


class OrderTicket(Struct, frozen=True, array_like=True):
    """A customer's order. `instrument` is the index; `quantity` is unsigned.

    `limit_price` is None exactly for market orders. `ref` is the customer's own name for it, echoed in
    every report.
    """

    instrument: int
    side: Side
    quantity: Decimal
    order_type: OrderType
    limit_price: Decimal | None
    tif: TimeInForce
    ref: str


class WorkingOrder(Struct, array_like=True):
    """An order in the book. `priority` orders equal prices: smaller came first.

    `expires` is the close at which a day order ends (None: never). `held` orders wait for a session.
    """

    perm_id: int
    ticket: OrderTicket
    priority: int
    held: bool
    expires: int | None
    cumulative: Decimal = ZERO
    value: Decimal = ZERO
    commission: Decimal = ZERO

    @property
    def leaves(self) -> Decimal:
        """The quantity still to fill."""
        return self.ticket.quantity - self.cumulative

    @property
    def average_price(self) -> Decimal:
        """Average fill price; zero before the first fill."""
        return self.value / self.cumulative if self.cumulative else ZERO


class ExchangeState(Struct, frozen=True, array_like=True):
    """Everything the exchange knows, ready for msgspec. Lists run over instruments by index."""

    at: int
    cash: Decimal
    commissions: Decimal
    positions: list[Position]
    marks: list[float]
    quotes: list[tuple[float, float, float, float]]
    consumed: list[tuple[Decimal, Decimal]]
    orders: list[WorkingOrder]
    next_perm: int
    next_exec: int
    next_priority: int
