"""The working orders and the kinship among them: parents and children, one-cancels-all groups."""

from collections.abc import Iterable
from decimal import Decimal

from firm.domain.instrument import Instrument
from firm.exchange.orders import OCA_REDUCE, WorkingOrder

FIRST_PERM_ID = 1_000_000_001


class OrderTable:
    """Orders by `perm_id`, in order of arrival; `traded` are those that have left with something filled."""

    def __init__(self) -> None:
        self.orders: dict[int, WorkingOrder] = {}
        self.next_perm, self.next_priority = FIRST_PERM_ID, 1
        self.traded: set[int] = set()

    def take_perm(self) -> int:
        """The next permanent id."""
        self.next_perm += 1
        return self.next_perm - 1

    def take_priority(self) -> int:
        """The next place in time."""
        self.next_priority += 1
        return self.next_priority - 1

    def remove(self, order: WorkingOrder) -> None:
        """The order has left; a match that is going on must not touch it any more."""
        del self.orders[order.perm_id]
        order.gone = True
        if order.cumulative:
            self.traded.add(order.perm_id)

    def children(self, perm_id: int) -> list[WorkingOrder]:
        """Orders that name this one as their parent, oldest first."""
        return [o for o in self.orders.values() if o.ticket.special.parent == perm_id]

    def relatives(self, order: WorkingOrder) -> list[WorkingOrder]:
        """The order, its parent and the other children of it, as far as they live."""
        parent = order.ticket.special.parent
        if not parent:
            return [order, *self.children(order.perm_id)]
        head = self.orders.get(parent)
        return [*([head] if head else []), *self.children(parent)]

    def group(self, order: WorkingOrder) -> tuple[int, list[WorkingOrder]]:
        """The OCA type and the other members. Children of one parent on one side are such a group."""
        special = order.ticket.special
        others = (o for o in self.orders.values() if o is not order)
        if special.oca_group:
            members = [o for o in others if o.ticket.special.oca_group == special.oca_group]
            return special.oca_type or OCA_REDUCE, members
        if not special.parent:
            return 0, []
        siblings = [
            o
            for o in others
            if o.ticket.special.parent == special.parent
            and not o.ticket.special.oca_group
            and o.ticket.side is order.ticket.side
        ]
        return OCA_REDUCE, siblings


def reduced(
    other: WorkingOrder, before: Decimal, after: Decimal, instruments: Iterable[Instrument]
) -> Decimal:
    """What is left of `other`, on the lot grid, when a member of its group goes from `before` to `after`."""
    instrument = tuple(instruments)[other.ticket.instrument]
    return instrument.round_quantity(other.leaves * after / before)
