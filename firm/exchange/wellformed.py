"""Why an order makes no sense whatever the account holds: Interactive Brokers' code and a sentence."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from firm.domain.instrument import Instrument
from firm.domain.order import OrderType, TimeInForce
from firm.exchange.orders import AT_CLOSE, TRIGGERS, OrderTicket
from firm.exchange.ticks import TickRule

Objection = tuple[int, str]
QUANTITY_MAX = Decimal(10) ** 9


def malformed(
    ticket: OrderTicket, instruments: Sequence[Instrument], rules: Mapping[int, TickRule]
) -> Objection | None:
    """The first thing that is wrong with the order, None if nothing is."""
    if not 0 <= ticket.instrument < len(instruments):
        return 200, f"no instrument has index {ticket.instrument}; there are {len(instruments)}"
    instrument = instruments[ticket.instrument]
    return (
        _quantity(ticket, instrument)
        or _prices(ticket, instrument, rules.get(ticket.instrument))
        or _trail(ticket)
        or _combination(ticket)
    )


def _quantity(ticket: OrderTicket, instrument: Instrument) -> Objection | None:
    if ticket.quantity <= 0 or ticket.quantity > QUANTITY_MAX:
        return 434, f"the order size must be above zero and at most {QUANTITY_MAX:f}, got {ticket.quantity}"
    if ticket.quantity % instrument.lot_size:
        return 10318, f"quantity {ticket.quantity} is not a multiple of the lot {instrument.lot_size}"
    display = ticket.special.display
    if display is not None and (display <= 0 or display % instrument.lot_size):
        return 201, f"display size {display} is not a multiple of the lot {instrument.lot_size}"
    return None


def _prices(ticket: OrderTicket, instrument: Instrument, rule: TickRule | None) -> Objection | None:
    limit = ticket.limit_price
    if (limit is None) != (ticket.order_type is OrderType.MARKET):
        return 201, f"a {ticket.order_type} order with limit price {limit}"
    for price in (limit, ticket.special.stop):
        if price is None:
            continue
        step = instrument.tick_size if rule is None else rule.increment(price)
        if price <= 0 or price % step:
            return 110, (
                f"The price {price} does not conform to the minimum price variation {step} "
                f"of {instrument.symbol}"
            )
    return None


def _trail(ticket: OrderTicket) -> Objection | None:
    trail = ticket.special.trail
    if trail is None:
        return None
    by_amount = trail.amount is not None and trail.amount > 0
    by_percent = trail.percent is not None and 0 < trail.percent < 100
    if by_amount == by_percent or (trail.amount is not None and trail.percent is not None):
        return 201, (
            "a trailing stop needs an amount above zero or a percentage between 0 and 100, and one of them "
            f"only; found amount {trail.amount}, percentage {trail.percent}"
        )
    return None


def _combination(ticket: OrderTicket) -> Objection | None:
    special = ticket.special
    stops = special.stop is not None or special.trail is not None
    if special.trigger not in TRIGGERS:
        return 201, f"trigger method {special.trigger} is not simulated; known are {sorted(TRIGGERS)}"
    if special.auction == AT_CLOSE and ticket.tif is not TimeInForce.DAY:
        return 113, "The Tif option should be set to DAY for MOC and LOC orders."
    if special.auction and (stops or special.algo or special.display):
        return 111, "The TIF (Tif type) and the order type are incompatible."
    if special.algo and (stops or ticket.tif is not TimeInForce.DAY):
        return 111, "The TIF (Tif type) and the order type are incompatible: algorithms are day orders."
    algo = special.algo
    if algo and algo.start is not None and algo.end is not None and algo.start >= algo.end:
        return 201, "the algorithm would end before it starts"
    return None
