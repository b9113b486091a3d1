"""Who trades with what the market shows: price-time priority, never worse than touch or limit."""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from firm.domain.order import Side
from firm.exchange.book import DisplayedBook
from firm.exchange.orders import WorkingOrder


class Match(Struct, frozen=True):
    """`quantity` of `order` trades at `price`; `removed_liquidity` if it took the displayed quote."""

    order: WorkingOrder
    price: Decimal
    quantity: Decimal
    removed_liquidity: bool


def take_touch(
    orders: Iterable[WorkingOrder], instrument: int, side: Side, book: DisplayedBook
) -> list[Match]:
    """Match the marketable orders of one side against the displayed size, and use that size up."""
    price = book.touch(instrument, side)
    if price is None:
        return []
    matches = []
    for order in _queue(orders, instrument, side):
        available = book.available(instrument, side)
        if available <= 0 or not _accepts(order, price):
            break
        quantity = min(order.leaves, available)
        book.take(instrument, side, quantity)
        matches.append(Match(order, price, quantity, removed_liquidity=True))
    return [_checked(match, book) for match in matches]


def fill_through(
    orders: Iterable[WorkingOrder], instrument: int, price: Decimal, size: Decimal, book: DisplayedBook
) -> list[Match]:
    """Match resting limits that a print of `size` at `price` went through; `size` is shared by priority."""
    matches = []
    standing = list(orders)
    for side in Side:
        for order in _queue(standing, instrument, side):
            limit = order.ticket.limit_price
            if limit is None:
                continue
            if size <= 0 or (limit - price) * side.sign <= 0:
                break
            quantity = min(order.leaves, size)
            size -= quantity
            touch = book.touch(instrument, side)
            best = limit if touch is None else (min if side is Side.BUY else max)(limit, touch)
            matches.append(Match(order, best, quantity, removed_liquidity=False))
    return [_checked(match, book) for match in matches]


def _queue(orders: Iterable[WorkingOrder], instrument: int, side: Side) -> list[WorkingOrder]:
    queue = [
        o
        for o in orders
        if o.ticket.instrument == instrument and o.ticket.side is side and not o.held and o.leaves > 0
    ]
    return sorted(queue, key=lambda o: _priority(o, side))


def _priority(order: WorkingOrder, side: Side) -> tuple[int, Decimal, int]:
    limit = order.ticket.limit_price
    if limit is None:
        return (0, Decimal(0), order.priority)
    return (1, -limit * side.sign, order.priority)


def _accepts(order: WorkingOrder, price: Decimal) -> bool:
    limit = order.ticket.limit_price
    return limit is None or (limit - price) * order.ticket.side.sign >= 0


def _checked(match: Match, book: DisplayedBook) -> Match:
    ticket = match.order.ticket
    touch = book.touch(ticket.instrument, ticket.side)
    sign = ticket.side.sign
    assert 0 < match.quantity <= match.order.leaves, f"filled {match.quantity} of {match.order.leaves}"
    assert touch is None or (match.price - touch) * sign <= 0, (
        f"{match.price} is worse than the touch {touch}"
    )
    assert _accepts(match.order, match.price), f"{match.price} is worse than the limit {ticket.limit_price}"
    return match
