"""An order's way: proposed, approved, cleared, submitted, and what the broker said of it.

What has passed a control is another type. `order_seq` is the seq of the `OrderProposed` (the parent);
`child_seq` is the seq of the `OrderSubmitted` (one order at the broker, named `<run>-<child_seq>`).
"""

from decimal import Decimal
from typing import ClassVar

from msgspec import Struct

from firm.domain.order import OrderType, Side, TimeInForce
from firm.events.base import Event


class Proposed(Struct, frozen=True, array_like=True):
    """What the CIO wants: a signed wish turned into side and quantity, at a reference price (the mid)."""

    instrument: int
    side: Side
    quantity: Decimal
    reference_price: Decimal


class Approved(Struct, frozen=True, array_like=True):
    """A proposed order that Risk has let pass; Risk counts it as exposure until it is done."""

    instrument: int
    side: Side
    quantity: Decimal
    reference_price: Decimal


class Cleared(Struct, frozen=True, array_like=True):
    """An approved order that Compliance has let pass, with the bounds its children must keep.

    No child may be priced outside [price_low, price_high], sent after `valid_until` (ns UTC), or exceed
    `quantity` in sum.
    """

    instrument: int
    side: Side
    quantity: Decimal
    reference_price: Decimal
    price_low: Decimal
    price_high: Decimal
    valid_until: int


class Child(Struct, frozen=True, array_like=True):
    """One order at the broker, cut from a cleared order. `limit_price` is None for a market order only."""

    instrument: int
    con_id: int
    side: Side
    quantity: Decimal
    order_type: OrderType
    limit_price: Decimal | None
    time_in_force: TimeInForce


class OrderProposed(Event, frozen=True, array_like=True):
    """The CIO wants this trade. Nobody has checked it yet; the order is named by this entry's seq."""

    KIND: ClassVar[int] = 501
    order: Proposed
    rationale: str


class OrderApproved(Event, frozen=True, array_like=True):
    """Risk let the order pass."""

    KIND: ClassVar[int] = 502
    order_seq: int
    order: Approved


class RiskRefused(Event, frozen=True, array_like=True):
    """Risk refused the order; `limit` is the name of the rule, `reason` has the numbers."""

    KIND: ClassVar[int] = 503
    order_seq: int
    limit: str
    reason: str


class OrderCleared(Event, frozen=True, array_like=True):
    """Compliance let the order pass."""

    KIND: ClassVar[int] = 504
    order_seq: int
    order: Cleared


class ComplianceRefused(Event, frozen=True, array_like=True):
    """Compliance refused the order; `rule` is the name of the control, `reason` has the numbers."""

    KIND: ClassVar[int] = 505
    order_seq: int
    rule: str
    reason: str


class OrderSubmitted(Event, frozen=True, array_like=True):
    """Execution's intent, durable before anything is sent: the broker gateway sends it once."""

    KIND: ClassVar[int] = 506
    order_seq: int
    algo: str
    child: Child


class OrderCancelRequested(Event, frozen=True, array_like=True):
    """Execution wants a child cancelled."""

    KIND: ClassVar[int] = 507
    child_seq: int
    reason: str


class ExecutionRefused(Event, frozen=True, array_like=True):
    """The last gate before an intent refused what was left of the order."""

    KIND: ClassVar[int] = 508
    order_seq: int
    quantity: Decimal
    gate: str
    reason: str


class OrderDone(Event, frozen=True, array_like=True):
    """The order has ended: nothing of it is working and nothing more will be sent."""

    KIND: ClassVar[int] = 509
    order_seq: int
    filled: Decimal
    reason: str


class OrderAccepted(Event, frozen=True, array_like=True):
    """The broker has the child; `perm_id` is the broker's name for it."""

    KIND: ClassVar[int] = 551
    child_seq: int
    perm_id: int


class OrderFilled(Event, frozen=True, array_like=True):
    """One execution of a child. `exec_id` has no revision part; a correction comes as a new `revision`."""

    KIND: ClassVar[int] = 552
    child_seq: int
    exec_id: str
    revision: int
    instrument: int
    side: Side
    quantity: Decimal
    price: Decimal
    venue: str


class CommissionReported(Event, frozen=True, array_like=True):
    """The fee of one execution, in account currency; it may come before or after its fill."""

    KIND: ClassVar[int] = 553
    exec_id: str
    commission: Decimal


class OrderCanceled(Event, frozen=True, array_like=True):
    """The broker says the child is cancelled; `filled` of it had been done."""

    KIND: ClassVar[int] = 554
    child_seq: int
    filled: Decimal
    reason: str


class OrderExpired(Event, frozen=True, array_like=True):
    """The child's time in force ran out; `filled` of it had been done."""

    KIND: ClassVar[int] = 555
    child_seq: int
    filled: Decimal


class BrokerRejected(Event, frozen=True, array_like=True):
    """The broker (or its gateway's last look) refused the child."""

    KIND: ClassVar[int] = 556
    child_seq: int
    code: int
    reason: str


class OrderUnknown(Event, frozen=True, array_like=True):
    """Nobody can say what became of the child. Not cancelled, not filled: unknown, and being asked."""

    KIND: ClassVar[int] = 557
    child_seq: int
    reason: str


class OrderNotAccepted(Event, frozen=True, array_like=True):
    """Asked twice and found nowhere: the child never reached the broker. It is not sent again."""

    KIND: ClassVar[int] = 558
    child_seq: int
