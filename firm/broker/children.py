"""The firm's own orders at the broker and their many names: child_seq, permId, orderRef, order id. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter

from firm.domain.order import TERMINAL, OrderState, advance
from firm.domain.position import ZERO
from firm.events import Event
from firm.events.orders import BrokerRejected, Child, OrderAccepted, OrderCanceled


@dataclass(slots=True)
class ChildOrder:
    """One child and what is known of it.

    Attributes
    ----------
    order_id
        Its number in the present connection; None when that is not known.
    perm_ids
        The broker's names for it, and whether the order of that name is live. More than one live: twins.
    accepted
        `OrderAccepted` has been said.
    cancel_reason, cancel_sent
        Why the firm wants it cancelled (None if it does not); whether that was sent in this connection.
    cancel_ignored, cancel_refused
        Whether the present query found it working although that had been sent before; whether the broker has
        refused it since the last query.
    refusal
        Code and text of a refusal that is not confirmed yet.
    inactive
        The broker calls it Inactive.
    end, end_filled
        The broker says it is cancelled, with this much filled; the text says why ("" while that is unknown).
    end_notice
        The text of a notice of cancellation, which may come before the status that makes it true.
    broker_filled
        The largest filled quantity that the broker has named.
    doubted
        `OrderUnknown` has been said, and nothing certain was heard since.
    risen
        Live at the broker after its last word.
    seen, met, asked, absent
        Whether the present query has met it, and under which permIds; whether it was asked for; how many
        queries in a row should have met it and did not.
    """

    seq: int
    order: Child
    state: OrderState = OrderState.PENDING_NEW
    order_id: int | None = None
    perm_ids: dict[int, bool] = field(default_factory=dict)
    accepted: bool = False
    cancel_reason: str | None = None
    cancel_sent: bool = False
    cancel_ignored: bool = False
    cancel_refused: bool = False
    refusal: tuple[int, str] | None = None
    inactive: bool = False
    end: str | None = None
    end_filled: Decimal = ZERO
    end_notice: str = ""
    broker_filled: Decimal = ZERO
    doubted: bool = False
    risen: bool = False
    seen: bool = False
    met: set[int] = field(default_factory=set)
    asked: bool = False
    absent: int = 0

    @property
    def over(self) -> bool:
        """Whether its last word has been said."""
        return self.state in TERMINAL

    @property
    def heard_of(self) -> bool:
        """Whether the broker's side has answered to it in any way."""
        answered = self.refusal is not None or self.inactive or self.end is not None
        return answered or self.state is not OrderState.PENDING_NEW

    @property
    def live_as(self) -> list[int]:
        """The permIds under which it is live. More than one: the broker has it twice."""
        return [perm_id for perm_id, is_live in self.perm_ids.items() if is_live]

    def go(self, to: OrderState) -> None:
        """Change state by the table."""
        self.state = advance(self.state, to)

    def forget_twins(self) -> bool:
        """After a complete query: what it has not met of an order with several names is live no more."""
        unmet = [perm_id for perm_id in self.live_as if perm_id not in self.met]
        for perm_id in unmet:
            self.perm_ids[perm_id] = False
        return bool(unmet)

    def cancel_again(self) -> None:
        """After a complete query: a cancel that came to nothing is due again, a refused one a query later."""
        if self.cancel_ignored and self.seen and not self.over:
            self.cancel_sent, self.cancel_refused = self.cancel_refused, False
        self.cancel_ignored = False

    def accept(self, perm_id: int) -> list[Event]:
        """The broker has it, as `perm_id` (0: it has not said yet); told once, and not after the end."""
        if self.accepted or self.over or not perm_id:
            return []
        self.accepted = True
        return [OrderAccepted(self.seq, perm_id)]


class Children:
    """Finds a child by whatever name a message has for it."""

    def __init__(self, run: str, client_id: int) -> None:
        self.prefix, self.client_id = f"{run}-", client_id
        self._by_seq: dict[int, ChildOrder] = {}
        self._unsettled: dict[int, ChildOrder] = {}
        self._by_perm: dict[int, ChildOrder] = {}
        self._by_order: dict[int, ChildOrder] = {}

    def __iter__(self) -> Iterator[ChildOrder]:
        return iter(self._by_seq.values())

    def __contains__(self, seq: int) -> bool:
        return seq in self._by_seq

    def __getitem__(self, seq: int) -> ChildOrder:
        return self._by_seq[seq]

    def add(self, child: ChildOrder) -> None:
        """A new child, named by its seq."""
        assert child.seq not in self._by_seq, f"child {child.seq} was submitted before"
        self._by_seq[child.seq] = self._unsettled[child.seq] = child

    def refuse(self, seq: int, child: Child, reason: str, *, cancelled: bool = False) -> list[Event]:
        """The child is not sent at all: it may not be, or (`cancelled`) the firm no longer wants it."""
        order = ChildOrder(seq, child)
        order.go(OrderState.CANCELED if cancelled else OrderState.REJECTED)
        self.add(order)
        return [OrderCanceled(seq, ZERO, reason) if cancelled else BrokerRejected(seq, 0, reason)]

    def name(self, child: ChildOrder) -> str:
        """Its orderRef."""
        return f"{self.prefix}{child.seq}"

    def working(self) -> list[ChildOrder]:
        """Those whose last word has not been said, oldest first."""
        return [child for child in self.live() if not child.over]

    def live(self) -> list[ChildOrder]:
        """All that may still be executed: the working ones, and those that outlived their last word."""
        settled = [seq for seq, child in self._unsettled.items() if child.over and not child.risen]
        for seq in settled:
            del self._unsettled[seq]
        return sorted(self._unsettled.values(), key=attrgetter("seq"))

    def risen(self, child: ChildOrder) -> None:
        """Its last word has been said, and it lives at the broker."""
        child.risen = True
        self._unsettled[child.seq] = child

    def new_connection(self) -> None:
        """Order ids of an older connection mean nothing any more."""
        self._by_order.clear()
        for child in self:
            child.order_id, child.cancel_sent = None, False

    def number(self, child: ChildOrder, order_id: int) -> None:
        """The child's order id in this connection."""
        child.order_id = order_id
        self._by_order[order_id] = child

    def perm(self, child: ChildOrder, perm_id: int, live: bool) -> None:
        """The broker's name for the child, and whether that order is live. 0 is nobody's name."""
        if perm_id:
            child.perm_ids[perm_id] = live
            self._by_perm[perm_id] = child

    def by_order_id(self, order_id: int) -> ChildOrder | None:
        """For errors, which name nothing else; valid within this connection only."""
        return self._by_order.get(order_id)

    def find(self, perm_id: int, order_ref: str, client_id: int, order_id: int) -> ChildOrder | None:
        """By permId, else by orderRef, else by our own order id of this connection if there is no ref."""
        if perm_id and (known := self._by_perm.get(perm_id)):
            return known
        if order_ref:
            seq = order_ref.removeprefix(self.prefix)
            ours = order_ref.startswith(self.prefix) and seq.isdecimal()
            return self._by_seq.get(int(seq)) if ours else None
        return self._by_order.get(order_id) if client_id == self.client_id else None

    def is_stray(self, order_ref: str, client_id: int) -> bool:
        """Whether an order nobody knows was ours once: our name or our client id."""
        return order_ref.startswith(self.prefix) or client_id == self.client_id
