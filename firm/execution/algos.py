"""How a cleared order is worked: when its slices are due, and at what price each is sent. Pure planners."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import ClassVar, Final, Protocol

from msgspec import Struct

from firm import config
from firm.domain.instrument import Instrument
from firm.domain.order import OrderType, Side, TimeInForce
from firm.domain.session import NS_PER_MS, NS_PER_SECOND, Sessions
from firm.events.orders import Child, Cleared

OPENING_PAUSE_NS: Final = 60 * NS_PER_SECOND
"""Nothing is sent in the first minute of a session: a timer at the opening is heard before its first quotes,
and the price of the day before would decide."""

BASIS_POINT: Final = Decimal("0.0001")


class Slice(Struct, frozen=True, array_like=True):
    """A part of an order that is to be sent at `due` (ns UTC) or at the first chance after."""

    due: int
    quantity: Decimal


class Window(Struct, frozen=True, array_like=True):
    """The time in which an order may be worked: one session, `start <= t < end`, ns UTC.

    `waits` says that the session was not open yet; `start` is then behind its opening pause.
    """

    start: int
    end: int
    waits: bool


def window(sessions: Sessions, at: int, valid_until: int) -> Window | None:
    """The rest of the session around `at`, else the next one, as far as it lies within `valid_until`."""
    opened, close = sessions.next_open(at), sessions.close_of(at)
    if opened is None or close is None:
        return None
    start = at if opened == at else opened + OPENING_PAUSE_NS
    end = min(close, valid_until + 1)
    return Window(start, end, waits=opened != at) if start < end else None


class Algo(Protocol):
    """A way to work an order."""

    name: ClassVar[str]

    def slices(self, order: Cleared, lot: Decimal, window: Window) -> tuple[Slice, ...]:
        """Slices in order of time, all inside the window, on the lot grid, that add up to the order."""

    def limit_price(self, side: Side, touch: Decimal, tick: Decimal) -> Decimal | None:
        """The price of a child when the other side's best price is `touch`; None for a market order."""


class Market:
    """All at once, at whatever the market gives. Its only price protection is the last gate's collar."""

    name: ClassVar[str] = "market"

    def slices(self, order: Cleared, lot: Decimal, window: Window) -> tuple[Slice, ...]:
        """See Algo."""
        del lot
        return (Slice(window.start, order.quantity),)

    def limit_price(self, side: Side, touch: Decimal, tick: Decimal) -> None:
        """See Algo."""
        del side, touch, tick


class Limit:
    """All at once, at the touch or up to `max_slippage_bps` worse."""

    name: ClassVar[str] = "limit"

    def __init__(self, max_slippage_bps: float) -> None:
        self._slippage = Decimal(repr(max_slippage_bps)) * BASIS_POINT

    def slices(self, order: Cleared, lot: Decimal, window: Window) -> tuple[Slice, ...]:
        """See Algo."""
        del lot
        return (Slice(window.start, order.quantity),)

    def limit_price(self, side: Side, touch: Decimal, tick: Decimal) -> Decimal:
        """See Algo. Rounded to the tick towards the better price, so that the slippage is never exceeded."""
        worst = touch * (1 + side.sign * self._slippage)
        rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
        return (worst / tick).to_integral_value(rounding) * tick


class Twap:
    """Equal slices at equal distances, so that the average price is the market's over that time.

    Each slice is priced like `Limit`. In a session that has yet to open the first comes half an interval
    after the opening: each slice then stands in the middle of the time it is for. Where the window is too
    short for the interval, the slices spread evenly over what there is. Lots that do not divide go to the
    first slices; there are never more slices than lots. What a slice does not get is not chased.
    """

    name: ClassVar[str] = "twap"

    def __init__(self, slices: int, interval_ms: int, max_slippage_bps: float) -> None:
        self._slices, self._interval_ns = slices, interval_ms * NS_PER_MS
        self._price = Limit(max_slippage_bps)

    def slices(self, order: Cleared, lot: Decimal, window: Window) -> tuple[Slice, ...]:
        """See Algo."""
        lots, odd = divmod(order.quantity, lot)
        assert not odd, f"a cleared order is on the lot grid; found {order.quantity} of lot {lot}"
        count = min(int(lots), self._slices)
        base, larger = divmod(int(lots), count)
        start = self._start(window)
        step = min(self._interval_ns, (window.end - start) // count)
        return tuple(Slice(start + k * step, lot * (base + 1 if k < larger else base)) for k in range(count))

    def limit_price(self, side: Side, touch: Decimal, tick: Decimal) -> Decimal:
        """See Algo."""
        return self._price.limit_price(side, touch, tick)

    def _start(self, window: Window) -> int:
        if not window.waits:
            return window.start
        middle = window.start - OPENING_PAUSE_NS + self._interval_ns // 2
        return middle if window.start <= middle < window.end else window.start


def algo(settings: config.Execution) -> Algo:
    """The algo that the configuration names."""
    match settings.default_algo:
        case "market":
            return Market()
        case "limit":
            return Limit(settings.max_slippage_bps)
        case "twap":
            return Twap(settings.twap_slices, settings.twap_interval_ms, settings.max_slippage_bps)


def cut(way: Algo, order: Cleared, instrument: Instrument, quantity: Decimal, touch: Decimal | None) -> Child:
    """A child of the order. Without a `touch` it has no price, and the last gate will not let it pass."""
    price = None if touch is None else way.limit_price(order.side, touch, instrument.tick_size)
    return Child(
        instrument=order.instrument,
        con_id=instrument.con_id,
        side=order.side,
        quantity=quantity,
        order_type=OrderType.MARKET if isinstance(way, Market) else OrderType.LIMIT,
        limit_price=price,
        time_in_force=TimeInForce.DAY,
    )
