"""What the known facts about an order come to: still open, doubtful, or its one last word. Pure."""

from firm.broker.children import ChildOrder
from firm.broker.fills import FillLedger
from firm.domain.order import TRANSITIONS, OrderState
from firm.events import Event
from firm.events.orders import (
    BrokerRejected,
    OrderCanceled,
    OrderExpired,
    OrderNotAccepted,
    OrderUnknown,
)

QUERIES_TO_BE_SURE = 2
UNSEEN = (
    "neither open nor completed at the broker, whose position differs from the log's: "
    "it may have been filled unseen"
)


def conclude(child: ChildOrder, fills: FillLedger) -> list[Event]:
    """The order's last word, once everything that belongs to it is known; else nothing.

    A filled order's last word was its last fill. Fills count even after another last word.
    """
    filled = fills.filled(child.seq)
    if filled >= child.order.quantity:
        if OrderState.FILLED in TRANSITIONS[child.state]:
            child.go(OrderState.FILLED)
        return []
    if child.over:
        return []
    if filled and child.state in {OrderState.PENDING_NEW, OrderState.NEW}:
        child.go(OrderState.PARTIALLY_FILLED)
    if child.refusal and (child.inactive or child.end is not None) and filled >= child.broker_filled:
        return _refused(child, fills)
    if child.end and filled == child.end_filled:
        return gone(child, fills, child.end)
    return []


def gone(child: ChildOrder, fills: FillLedger, reason: str) -> list[Event]:
    """Expired if that is the broker's reason, else cancelled."""
    filled = fills.filled(child.seq)
    if "expired" in reason.lower():
        child.go(OrderState.EXPIRED)
        return [OrderExpired(child.seq, filled)]
    child.go(OrderState.CANCELED)
    return [OrderCanceled(child.seq, filled, reason)]


def doubt(child: ChildOrder, reason: str) -> list[Event]:
    """Nobody can say what became of the order: said once, until something certain is heard."""
    if child.doubted:
        return []
    child.doubted = True
    child.go(OrderState.UNKNOWN)
    return [OrderUnknown(child.seq, reason)]


def open_end(child: ChildOrder, fills: FillLedger) -> str | None:
    """What must be asked before the order's standing is certain; None when nothing is missing."""
    filled = fills.filled(child.seq)
    told = max(child.broker_filled, child.end_filled)
    in_vain = told > filled or child.end is not None or child.absent >= QUERIES_TO_BE_SURE
    if child.doubted and in_vain:
        return None  # asked already
    if told > filled:
        return f"{told} filled at the broker, executions of {filled} known"
    if child.end is not None:
        return "cancelled at the broker, why or how much of it was filled is not known"
    if child.refusal:
        return f"refused with {child.refusal[0]} ({child.refusal[1]}), which is not confirmed"
    if child.inactive and not child.doubted:
        return "inactive at the broker, it is not known why"
    return "told that it is cancelled, which is not confirmed" if child.end_notice else None


def judge(child: ChildOrder, fills: FillLedger, *, position_apart: bool) -> list[Event]:
    """What a complete query means for an order that it asked for.

    `position_apart`: the broker holds more or less of the instrument than the log adds up to. Executions of a
    past day are not told any more, so an order that is found nowhere may have been filled, and other unseen
    fills may hide which way: it stays unknown, and is over once somebody has settled that break. So does one
    that has ended with less than the log has of it: an unseen correction may hide unseen fills.
    """
    child.absent = 0 if child.seen else child.absent + 1
    filled = fills.filled(child.seq)
    if child.end is not None:
        accounted = filled > child.end_filled or child.absent > 0
        if filled == child.end_filled or (accounted and not position_apart):
            return gone(child, fills, child.end or "cancelled at the broker, which gives no reason")
    if child.absent:
        return _absent(child, fills, position_apart=position_apart)
    told = max(child.broker_filled, child.end_filled)
    if told > filled:
        reason = f"{told} filled at the broker, only {filled} to be had as executions"
        return doubt(child, reason)
    if child.end is not None:
        return doubt(child, f"ended with {told} filled at the broker, the log adds up to {filled}")
    if child.inactive:
        return doubt(child, "inactive at the broker, which gives no reason")
    if len(child.live_as) < 2:
        _certain(child, fills)
    return []


def _absent(child: ChildOrder, fills: FillLedger, *, position_apart: bool) -> list[Event]:
    if child.refusal and not child.accepted:
        return _refused(child, fills)
    if child.absent < QUERIES_TO_BE_SURE:
        return []
    if position_apart:
        return doubt(child, UNSEEN)
    if child.accepted or fills.filled(child.seq):
        return gone(child, fills, "neither open nor completed at the broker, asked twice")
    child.go(OrderState.NOT_ACCEPTED)
    return [OrderNotAccepted(child.seq)]


def _refused(child: ChildOrder, fills: FillLedger) -> list[Event]:
    assert child.refusal is not None, "only a refused order can be refused"
    code, text = child.refusal
    if fills.filled(child.seq):
        return gone(child, fills, f"{code}: {text}")
    child.go(OrderState.REJECTED)
    return [BrokerRejected(child.seq, code, text)]


def _certain(child: ChildOrder, fills: FillLedger) -> None:
    """The broker has the order, live: whatever raised a doubt did not end it."""
    child.refusal, child.doubted, child.end_notice = None, False, ""
    if child.state is OrderState.UNKNOWN:
        child.go(OrderState.PARTIALLY_FILLED if fills.filled(child.seq) else OrderState.NEW)
