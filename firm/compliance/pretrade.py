"""Pre-trade controls: each looks at one approved order and the facts of the moment, and may object."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import ClassVar, Final, Protocol

from msgspec import Struct

from firm import config
from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.domain.session import NS_PER_MS
from firm.events.orders import Approved

MAGNITUDE: Final = 12
"""Prices and quantities lie within 1e-12 and 1e13: beyond is a mistake, and arithmetic would lose digits."""


class Facts(Struct, frozen=True):
    """What the controls may look at; `mid` and `quoted_at` (ns UTC) are the order's instrument's, or None."""

    at: int
    instruments: tuple[Instrument, ...]
    mid: Decimal | None
    quoted_at: int | None
    halted: str | None
    restricted: Mapping[str, str]


class Rule(Protocol):
    """One control. Rules are asked in the order of `rules`; the first objection is the reason."""

    name: ClassVar[str]

    def objection(self, order: Approved, facts: Facts) -> str | None:
        """Why the order may not pass, with the numbers; None if it may."""


class OrderSanity:
    """The order is well formed. Must be asked first: the other rules rely on it.

    Quantity and reference price are finite, positive decimals on the lot and tick grid of an instrument the
    broker knows, and the side is a side.
    """

    name: ClassVar[str] = "order_sanity"

    def objection(self, order: Approved, facts: Facts) -> str | None:
        """See Rule."""
        known = len(facts.instruments)
        if not 0 <= order.instrument < known:
            return f"order sanity: instrument {order.instrument} is not one of the {known} resolved"
        if not _is_side(order.side):
            return f"order sanity: side must be BUY or SELL, found {order.side!r}"
        instrument = facts.instruments[order.instrument]
        for what, value, grid, step in (
            ("quantity", order.quantity, "lot", instrument.lot_size),
            ("reference price", order.reference_price, "tick", instrument.tick_size),
        ):
            if not _is_amount(value):
                return (
                    f"order sanity: {what} must be a positive decimal between 1e-{MAGNITUDE} and "
                    f"1e{MAGNITUDE + 1}, found {value!r}"
                )
            if value % step:
                return f"order sanity: {what} {value} is not a multiple of the {grid} {step}"
        return None


class Halted:
    """No order passes while trading is halted."""

    name: ClassVar[str] = "halted"

    def objection(self, order: Approved, facts: Facts) -> str | None:
        """See Rule."""
        del order
        return None if facts.halted is None else f"trading is halted: {facts.halted}"


class Restricted:
    """Nobody trades a restricted symbol, in either direction."""

    name: ClassVar[str] = "restricted"

    def objection(self, order: Approved, facts: Facts) -> str | None:
        """See Rule."""
        symbol = facts.instruments[order.instrument].symbol
        reason = facts.restricted.get(symbol)
        return None if reason is None else f"restricted list: {symbol} may not be traded: {reason}"


class MaxOrderQuantity:
    """One order is not larger than `limit` units."""

    name: ClassVar[str] = "max_order_quantity"

    def __init__(self, limit: Decimal) -> None:
        self._limit = limit

    def objection(self, order: Approved, facts: Facts) -> str | None:
        """See Rule."""
        del facts
        if order.quantity <= self._limit:
            return None
        return f"order quantity: {order.quantity} units, limit is {self._limit}"


class MaxOrderValue:
    """One order is not worth more than `limit` US dollars at its reference price.

    There are no conversion rates: an instrument in another currency cannot be measured, and is refused.
    """

    name: ClassVar[str] = "max_order_value"

    def __init__(self, limit: Decimal) -> None:
        self._limit = limit

    def objection(self, order: Approved, facts: Facts) -> str | None:
        """See Rule."""
        instrument = facts.instruments[order.instrument]
        if instrument.currency != "USD":
            return (
                f"order value: the limit is in USD, {instrument.symbol} is in {instrument.currency} "
                f"and there is no conversion rate"
            )
        value = order.quantity * order.reference_price * instrument.multiplier
        if value <= self._limit:
            return None
        return f"order value: {value} USD, limit is {self._limit} USD"


class PriceCollar:
    """The reference price is near the market now, and the market is known well enough to say so.

    The mid may be `collar` (a fraction of it) away, its quote `max_age_ms` old, in plain time.
    """

    name: ClassVar[str] = "price_collar"

    def __init__(self, collar: Decimal, max_age_ms: int) -> None:
        self._collar, self._max_age_ms = collar, max_age_ms

    def objection(self, order: Approved, facts: Facts) -> str | None:
        """See Rule."""
        symbol = facts.instruments[order.instrument].symbol
        if facts.mid is None or facts.quoted_at is None:
            return f"price collar: {symbol} was never quoted, so its price cannot be checked"
        if facts.at - facts.quoted_at > self._max_age_ms * NS_PER_MS:
            age_ms = (facts.at - facts.quoted_at) / NS_PER_MS
            return (
                f"price collar: the quote of {symbol} is {age_ms:.9g} ms old, limit is {self._max_age_ms} ms"
            )
        distance = abs(order.reference_price - facts.mid)
        if distance > self._collar * facts.mid:
            return (
                f"price collar: reference price {order.reference_price} is {distance / facts.mid:.4f} away "
                f"from the mid {facts.mid}, limit is {self._collar}"
            )
        low, high = bounds(order.reference_price, self._collar, facts.instruments[order.instrument].tick_size)
        if low > high:
            return f"price collar: no tick lies within {self._collar} of {order.reference_price}"
        return None


def bounds(reference: Decimal, collar: Decimal, tick: Decimal) -> tuple[Decimal, Decimal]:
    """The lowest and highest price on the tick grid within `collar` of `reference`, and above zero.

    >>> bounds(Decimal("33.33"), Decimal("0.03"), Decimal("0.01"))
    (Decimal('32.34'), Decimal('34.32'))
    """
    low = (reference * (1 - collar) / tick).to_integral_value(ROUND_CEILING) * tick
    high = (reference * (1 + collar) / tick).to_integral_value(ROUND_FLOOR) * tick
    return max(low, tick), high


def rules(policy: config.Compliance) -> tuple[Rule, ...]:
    """The firm's controls, in the order they are asked."""
    return (
        OrderSanity(),
        Halted(),
        Restricted(),
        MaxOrderQuantity(policy.max_order_quantity),
        MaxOrderValue(policy.max_order_value_usd),
        PriceCollar(Decimal(repr(policy.price_collar)), policy.max_quote_age_ms),
    )


def _is_side(value: object) -> bool:
    return isinstance(value, Side)


def _is_amount(value: object) -> bool:
    return (
        isinstance(value, Decimal)
        and value.is_finite()
        and value > 0
        and -MAGNITUDE <= value.adjusted() <= MAGNITUDE
    )
