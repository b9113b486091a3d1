"""What customers ask of the exchange, what rests in its book, and everything it must not forget."""

from decimal import Decimal

from msgspec import Struct

from firm.domain.order import OrderType, Side, TimeInForce
from firm.domain.position import ZERO, Position
from firm.exchange.conditions import Condition
from firm.exchange.money import Purse

AT_OPEN, AT_CLOSE = "open", "close"
TRIGGERS = frozenset({0, 2, 4, 7, 8})
OCA_CANCEL, OCA_REDUCE_BLOCKED, OCA_REDUCE = 1, 2, 3


class Trail(Struct, frozen=True, array_like=True):
    """A stop that follows the market at `amount` (money) or `percent` of the price, exactly one of them.

    `limit_offset` makes it a limit order when elected, that far beyond the stop (0 allowed); None: market.
    """

    amount: Decimal | None
    percent: Decimal | None
    limit_offset: Decimal | None


class Algo(Struct, frozen=True, array_like=True):
    """An execution algorithm that releases the order's quantity over time: Twap, Vwap or Adaptive.

    `start` and `end` are ns UTC (None: acceptance, and the close of the session). `volume_max` is the
    fraction of the printed volume it may take (None: any). `patience_ns` is how long Adaptive waits at the
    near touch before it takes the far one.
    """

    name: str
    start: int | None
    end: int | None
    past_end: bool
    volume_max: Decimal | None
    patience_ns: int


class Special(Struct, frozen=True, array_like=True):
    """The terms beyond price, quantity and time in force; the defaults make a plain order.

    Attributes
    ----------
    stop, trail, trigger
        The order waits until its stop is elected; `trigger` is Interactive Brokers' trigger method, of
        which 0 and 7 (print or quote), 2 (print), 4 (quote) and 8 (middle) are known.
    auction
        `open`: takes part in the next session's opening only; `close`: in the closing only.
    all_at_once
        With IOC: everything in one fill or nothing (fill or kill).
    good_till, good_after
        Ends at, and is not entered before, this time (ns UTC).
    display
        How much of a resting order is shown at a time; each further clip queues again.
    oca_group, oca_type
        A fill of one order of the group cancels (1) or reduces (2, 3) the others.
    parent, transmit
        `perm_id` of the order that must fill first; an order not transmitted waits for a relative that is.
    algo, conditions, conditions_cancel
        Conditions start the order, or, with `conditions_cancel`, end it.
    """

    stop: Decimal | None = None
    trail: Trail | None = None
    trigger: int = 0
    auction: str = ""
    all_at_once: bool = False
    good_till: int | None = None
    good_after: int | None = None
    display: Decimal | None = None
    oca_group: str = ""
    oca_type: int = 0
    parent: int = 0
    transmit: bool = True
    algo: Algo | None = None
    conditions: tuple[Condition, ...] = ()
    conditions_cancel: bool = False


PLAIN = Special()


class OrderTicket(Struct, frozen=True, array_like=True):
    """A customer's order. `instrument` is the index; `quantity` is unsigned.

    `limit_price` is None exactly for market orders, and for trailing limits until they are elected. `ref` is
    the customer's own name for it, echoed in every report. `venue` is where it is sent; empty: SMART.
    """

    instrument: int
    side: Side
    quantity: Decimal
    order_type: OrderType
    limit_price: Decimal | None
    tif: TimeInForce
    ref: str
    special: Special = PLAIN
    venue: str = ""


class WorkingOrder(Struct, array_like=True):
    """An order in the book. `priority` orders equal prices: smaller came first.

    Attributes
    ----------
    held, enters
        `held` orders wait for the first frame at or after `enters` inside a session.
    expires
        When the order ends by itself (None: never).
    elected, stop
        A stop order trades only once `elected`; `stop` is where its stop stands now.
    asleep
        Why it waits although its session is on: `transmit`, `child`, `condition`, `locate`; empty if not.
    ahead
        Displayed size of others that trades before it at its price; None while nobody knows.
    clip
        What is left of the shown part of an order with a display size.
    seen
        Volume printed since an algorithm began.
    gone
        It has left the book while a match was going on.
    """

    perm_id: int
    ticket: OrderTicket
    priority: int
    held: bool
    expires: int | None
    cumulative: Decimal = ZERO
    value: Decimal = ZERO
    commission: Decimal = ZERO
    enters: int = 0
    elected: bool = True
    stop: Decimal | None = None
    asleep: str = ""
    ahead: Decimal | None = None
    clip: Decimal = ZERO
    seen: Decimal = ZERO
    gone: bool = False

    @property
    def leaves(self) -> Decimal:
        """The quantity still to fill."""
        return self.ticket.quantity - self.cumulative

    @property
    def average_price(self) -> Decimal:
        """Average fill price; zero before the first fill."""
        return self.value / self.cumulative if self.cumulative else ZERO

    @property
    def ready(self) -> bool:
        """Whether nothing but price and size keeps it from trading."""
        return not self.held and self.elected and not self.asleep and not self.gone


class ExchangeState(Struct, frozen=True, array_like=True):
    """Everything the exchange knows, ready for msgspec. Lists run over instruments by index."""

    at: int
    purses: dict[str, Purse]
    positions: list[Position]
    settled: dict[int, Position]
    marks: list[float]
    quotes: list[tuple[float, float, float, float]]
    consumed: list[tuple[int, Side, str, Decimal]]
    orders: list[WorkingOrder]
    next_perm: int
    next_exec: int
    next_priority: int
    closes: list[float]
    volumes: list[float]
    borrowable: dict[int, Decimal]
    executed: frozenset[int] = frozenset()
    traded: frozenset[int] = frozenset()
    halted: frozenset[int] = frozenset()
