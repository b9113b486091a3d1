"""Orders that live at the broker and should not, or are out of the firm's reach: each is a break. Pure."""

from firm.broker.breaks import Break
from firm.broker.children import ChildOrder, Children
from firm.broker.messages import OpenOrderMessage
from firm.broker.wants import Wants
from firm.events.broker import BreakClass

ALIVE = frozenset({"ApiPending", "PendingSubmit", "PreSubmitted", "Submitted"})
ENDED = frozenset({"Cancelled", "ApiCancelled", "Filled", "Inactive"})


class Astray:
    """What the present query has met; whatever is met outside a query raises one."""

    def __init__(self, children: Children, wants: Wants) -> None:
        self._children, self._wants = children, wants
        self._found: dict[int, Break] = {}

    def clear(self) -> None:
        """All orders are being asked for again."""
        self._found.clear()
        for child in self._children.live():
            child.risen = False

    def breaks(self) -> tuple[Break, ...]:
        """One for each."""
        risen = [
            Break(
                BreakClass.RISEN_ORDER,
                name := self._children.name(child),
                f"order {name} is over in the log ({child.state}) and live at the broker",
            )
            for child in self._children.live()
            if child.risen
        ]
        return (*risen, *self._found.values())

    def of_no_child(self, order: OpenOrderMessage) -> None:
        """A live order of nobody in the log: a break if it is ours by name or by client id."""
        if self._children.is_stray(order.order_ref, order.client_id):
            name = f"order {order.order_ref or 'without a name'} (permId {order.perm_id})"
            self._met(order.perm_id, BreakClass.STRAY_ORDER, f"{name} is live and not in the log")

    def of_another_client(self, order: OpenOrderMessage) -> None:
        """A live order of ours under a client id that is not ours: only that client can cancel it."""
        self._met(
            order.perm_id,
            BreakClass.FOREIGN_CLIENT,
            f"order {order.order_ref} (permId {order.perm_id}) is live under client id {order.client_id}, "
            f"the firm's is {self._children.client_id}: it cannot be cancelled from here",
        )

    def after_the_end(self, child: ChildOrder, status: str, *, whole: bool) -> None:
        """A status of a child whose last word has been said: if it lives it is to be cancelled at once.

        `whole`: it was filled in full. Then such a status is a late one, unless it may be a twin's.
        """
        name = self._children.name(child)
        if status in ALIVE and not (whole and len(child.perm_ids) < 2):
            if not child.risen:
                self._children.risen(child)
                child.cancel_sent = False
                self._wants.query(
                    f"order {name} is over in the log ({child.state}), the broker says {status}"
                )
        elif child.risen and status in ENDED and not child.live_as:
            child.risen = False
            self._wants.query(f"order {name} has ended at the broker too")

    def ended(self, perm_id: int, status: str) -> None:
        """A status of any order: if it ends one that was met, the break may be over."""
        if status in ENDED and perm_id in self._found:
            self._wants.query(f"order with permId {perm_id} is {status}: {self._found.pop(perm_id).text}")

    def _met(self, perm_id: int, kind: BreakClass, text: str) -> None:
        if perm_id not in self._found:
            self._wants.query(text)
        self._found[perm_id] = Break(kind, f"permId {perm_id}", text)
