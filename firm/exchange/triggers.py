"""Stops: where they stand, how trailing ones follow the market, and when they are elected.

Interactive Brokers' trigger methods: a print at or through the stop (2), the quote (4: for a buyer the bid at
or above the stop, for a seller the ask at or below), either (0 and 7), or the middle of the quote (8).
Assumption: method 0, the default, is read as "either", so that tapes of quotes alone elect stops too. The two
methods that want two quotes or prints in a row (1 and 3) are refused at the door.
"""

from decimal import Decimal

from msgspec.structs import replace

from firm.domain.instrument import Instrument
from firm.domain.order import OrderType, Side
from firm.exchange.book import DisplayedBook
from firm.exchange.orders import WorkingOrder

BY_PRINT, BY_QUOTE = frozenset({0, 2, 7}), frozenset({0, 4, 7})
BY_MIDDLE = 8
HUNDRED = Decimal(100)


def looked_at(
    order: WorkingOrder, book: DisplayedBook, last_print: Decimal | None
) -> tuple[list[Decimal], list[Decimal]]:
    """What can elect the order's stop now, and what a trailing stop measures itself against."""
    ticket = order.ticket
    electing: list[Decimal] = []
    near = book.touch(ticket.instrument, Side.SELL if ticket.side is Side.BUY else Side.BUY)
    far = book.touch(ticket.instrument, ticket.side)
    method = ticket.special.trigger
    if last_print is not None and method in BY_PRINT:
        electing.append(last_print)
    trailed = list(electing)
    if near is not None and method in BY_QUOTE:
        electing.append(near)
        trailed.append(far if far is not None else near)
    if method == BY_MIDDLE and near is not None and far is not None:
        electing.append((near + far) / 2)
        trailed.append((near + far) / 2)
    return electing, trailed


def trail(order: WorkingOrder, prices: list[Decimal], instrument: Instrument) -> None:
    """Let a trailing stop follow the market: a seller's only up, a buyer's only down."""
    terms, sign = order.ticket.special.trail, order.ticket.side.sign
    if terms is None:
        return
    for price in prices:
        distance = terms.amount if terms.amount is not None else price * (terms.percent or 0) / HUNDRED
        stop = instrument.round_price(price + distance * sign)
        if order.stop is None or (stop - order.stop) * sign < 0:
            order.stop = stop


def elects(order: WorkingOrder, prices: list[Decimal]) -> bool:
    """Whether one of `prices` is at or through the stop."""
    sign = order.ticket.side.sign
    return order.stop is not None and any((price - order.stop) * sign >= 0 for price in prices)


def elect(order: WorkingOrder, priority: int, instrument: Instrument) -> None:
    """The order becomes what it was waiting to be; it queues from now on."""
    order.elected, order.priority = True, priority
    terms = order.ticket.special.trail
    if terms is not None and terms.limit_offset is not None:
        assert order.stop is not None, "only a stop that stands can be elected"
        beyond = order.stop + terms.limit_offset * order.ticket.side.sign
        limit = max(instrument.round_price(beyond), instrument.tick_size)
        order.ticket = replace(order.ticket, order_type=OrderType.LIMIT, limit_price=limit)
