"""Who trades with what the market shows: price-time priority, never worse than touch or limit.

Matches are handed out one by one, and what a fill does to other orders (one cancels another, say) happens
before the next one is looked for.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from msgspec import Struct

from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.exchange.algos import may_take, resting_limit
from firm.exchange.book import DisplayedBook
from firm.exchange.orders import AT_CLOSE, AT_OPEN, WorkingOrder


class Match(Struct, frozen=True):
    """`quantity` of `order` trades at `price`; `removed_liquidity` if it took the displayed quote.

    `venue` is where, if the instrument's venues are told apart.
    """

    order: WorkingOrder
    price: Decimal
    quantity: Decimal
    removed_liquidity: bool
    venue: str = ""


def take_touch(
    orders: Iterable[WorkingOrder],
    instrument: int,
    side: Side,
    book: DisplayedBook,
    at: int,
    *,
    closing: bool = False,
) -> Iterator[Match]:
    """Match the marketable orders of one side against the displayed size, and use that size up.

    `closing` is the closing auction, in which only orders for it take part.
    """
    price = book.touch(instrument, side)
    if price is None or instrument in book.halted:
        return
    for order in queue(orders, instrument, side):
        if book.available(instrument, side) <= 0 or not _accepts(order, price):
            return
        special = order.ticket.special
        if not order.ready or (special.auction == AT_CLOSE) != closing:
            continue
        offers = book.offers(instrument, side, order.ticket.venue)
        if special.all_at_once and sum(offer.size for offer in offers) < order.leaves:
            continue
        for offer in offers:
            quantity = min(may_take(order, at, at_far_touch=True), offer.size)
            if quantity > 0 and not order.gone:
                book.take(offer, side, quantity)
                match = Match(order, price, quantity, removed_liquidity=True, venue=offer.venue)
                yield _checked(match, book)


def cross_at_open(
    orders: Iterable[WorkingOrder], instrument: int, price: Decimal, size: Decimal, book: DisplayedBook
) -> Iterator[Match]:
    """Match orders for the opening with the first print of the session: the opening cross.

    They share its `size` at its price, as far as that is no worse than the touch or their limit.
    """
    standing = list(orders)
    for side in Side:
        touch = book.touch(instrument, side)
        for order in queue(standing, instrument, side):
            if touch is None or (price - touch) * side.sign > 0 or not _accepts(order, price):
                break
            quantity = min(order.leaves, size)
            if quantity <= 0 or not order.ready or order.ticket.special.auction != AT_OPEN:
                continue
            size -= quantity
            venue = book.resting_place(instrument, order.ticket.venue)
            yield _checked(Match(order, price, quantity, removed_liquidity=False, venue=venue), book)


def fill_by_print(
    orders: Iterable[WorkingOrder],
    instrument: int,
    price: Decimal,
    size: Decimal,
    book: DisplayedBook,
    at: int,
) -> Iterator[Match]:
    """Match resting limits with a print of `size` at `price`; `size` is shared by priority.

    A print through a limit fills it. A print at the limit first trades with the displayed size that was
    there before the order (`ahead`), and then with what the order shows.
    """
    if instrument in book.halted:
        return
    standing = list(orders)
    for side in Side:
        for order in queue(standing, instrument, side):
            if not order.ready or order.ticket.special.auction:
                continue
            limit = resting_limit(order, book, at)
            if limit is None:
                continue
            through = (limit - price) * side.sign
            if size <= 0:
                break
            if through < 0:
                continue
            room = size if through else _after_queue(order, size)
            quantity = min(may_take(order, at, at_far_touch=False), room)
            whole = not order.ticket.special.all_at_once or quantity == order.leaves
            if quantity <= 0 or not whole:
                continue
            size -= quantity
            touch = book.touch(instrument, side)
            best = limit if touch is None else (min if side is Side.BUY else max)(limit, touch)
            venue = book.resting_place(instrument, order.ticket.venue)
            yield _checked(Match(order, best, quantity, removed_liquidity=False, venue=venue), book)


def queue(orders: Iterable[WorkingOrder], instrument: int, side: Side) -> list[WorkingOrder]:
    """The orders that can trade, best first."""
    waiting = [
        o
        for o in orders
        if o.ticket.instrument == instrument and o.ticket.side is side and o.ready and o.leaves > 0
    ]
    return sorted(waiting, key=lambda o: _priority(o, side))


def note_queue(order: WorkingOrder, book: DisplayedBook, *, new: bool) -> None:
    """Learn from the displayed quote how much of others is ahead of a resting limit.

    A `new` place in the queue is behind all that is shown. Later, a smaller displayed size means that what is
    ahead has shrunk to it; a touch that has left the order's price behind leaves nobody ahead.
    """
    _note_level(order, _own_level(order.ticket.instrument, order.ticket.side, book), new=new)


def note_queues(orders: Iterable[WorkingOrder], instrument: int, book: DisplayedBook) -> None:
    """The same for all orders of an instrument that has been quoted."""
    levels = {side: _own_level(instrument, side, book) for side in Side}
    for order in orders:
        _note_level(order, levels[order.ticket.side], new=False)


Level = tuple[Decimal, Decimal] | None


def _own_level(instrument: int, side: Side, book: DisplayedBook) -> Level:
    """Price and displayed size of the best quote on the order's own side."""
    near = Side.SELL if side is Side.BUY else Side.BUY
    touch = book.touch(instrument, near)  # what the other side would take
    return None if touch is None else (touch, book.shown(instrument, near))


def _note_level(order: WorkingOrder, level: Level, *, new: bool) -> None:
    limit, buying = order.ticket.limit_price, order.ticket.side is Side.BUY
    if limit is None:
        return
    if level is None or (limit < level[0] if buying else limit > level[0]):
        order.ahead = None if new else order.ahead
    elif limit != level[0]:
        order.ahead = ZERO
    else:
        order.ahead = level[1] if new or order.ahead is None else min(order.ahead, level[1])


def _after_queue(order: WorkingOrder, size: Decimal) -> Decimal:
    """What of a print at the order's price reaches it; what is ahead of it trades first."""
    if order.ahead is None:
        return ZERO
    room = size - order.ahead
    order.ahead = max(ZERO, order.ahead - size)
    return min(room, order.clip) if order.ticket.special.display else room


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
