"""What a closing cross would look like now, from the orders for it and the displayed quote. Pure.

A tape has no auction book of others. So the indication is of the account's own orders against what is shown:
what of them would trade, at which price, and what would be left.
"""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.exchange.book import DisplayedBook
from firm.exchange.matching import queue
from firm.exchange.orders import AT_CLOSE, WorkingOrder


class Indication(Struct, frozen=True, array_like=True):
    """`paired` shares would trade, the larger side of them at `price`; `imbalance` is left over.

    The imbalance is signed: above zero, buyers are left.
    """

    price: Decimal
    paired: Decimal
    imbalance: Decimal


def indication(orders: Iterable[WorkingOrder], instrument: int, book: DisplayedBook) -> Indication | None:
    """None if it is halted, nothing is shown on both sides, or no order takes part."""
    if instrument in book.halted:
        return None
    waiting = [o for o in orders if o.ticket.special.auction == AT_CLOSE]
    wanted, paired, touches = {}, {}, {}
    for side in Side:
        touch = book.touch(instrument, side)
        if touch is None:
            return None
        willing = [o for o in queue(waiting, instrument, side) if _reaches(o, touch)]
        touches[side] = touch
        wanted[side] = sum((order.leaves for order in willing), start=ZERO)
        with book.rehearsal():
            paired[side] = _paired(willing, instrument, side, book)
    if not any(wanted.values()):
        return None
    larger = max(Side, key=lambda side: wanted[side])
    left = [(wanted[side] - paired[side]) * side.sign for side in Side]
    return Indication(touches[larger], sum(paired.values(), start=ZERO), sum(left, start=ZERO))


def _paired(orders: Iterable[WorkingOrder], instrument: int, side: Side, book: DisplayedBook) -> Decimal:
    """What the orders get, one after the other, each where it was sent."""
    total = ZERO
    for order in orders:
        offers = book.offers(instrument, side, order.ticket.venue)
        leaves = order.leaves
        if order.ticket.special.all_at_once and sum(offer.size for offer in offers) < leaves:
            continue
        for offer in offers:
            quantity = min(leaves, offer.size)
            if quantity > 0:
                book.take(offer, side, quantity)
                leaves -= quantity
        total += order.leaves - leaves
    return total


def _reaches(order: WorkingOrder, touch: Decimal) -> bool:
    limit = order.ticket.limit_price
    return limit is None or (limit - touch) * order.ticket.side.sign >= 0
