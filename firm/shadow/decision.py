"""One decision of two firms side by side: what each proposed, what became of it, and where they part."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import Final

from firm.domain.instrument import Instrument
from firm.events import CODEC, Origin, Record
from firm.events.orders import (
    ComplianceRefused,
    ExecutionRefused,
    OrderApproved,
    OrderCleared,
    OrderProposed,
    OrderSubmitted,
    RiskRefused,
)
from firm.events.risk import RiskHaltRequested, RiskMeasured
from firm.events.system import CycleAborted

CLEARED: Final = "cleared"
NOT_ANSWERED: Final = "not answered"


@dataclass(frozen=True)
class Child:
    """What Execution wanted to send at once of an order; `limit` None: at the market."""

    quantity: Decimal
    order_type: str
    limit: Decimal | None


@dataclass(frozen=True)
class Order:
    """A proposal and its fate: `cleared`, or the control that refused it (`risk: <limit>`).

    `quantity` is signed; `value` is its size at the reference price, account currency. `bounds` are the
    prices its children must keep, None if it was not cleared. `sent` is what left for the broker in the same
    cycle, or would have, and `gates` are those that refused a child then.
    """

    symbol: str
    quantity: Decimal
    value: Decimal
    fate: str
    bounds: tuple[Decimal, Decimal] | None
    sent: tuple[Child, ...]
    gates: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """What one firm said in one decision. `monte_carlo_var` is of the book before its orders, or None."""

    orders: dict[int, Order]
    monte_carlo_var: float | None
    halt: str | None
    aborted: str | None


@dataclass(frozen=True)
class Difference:
    """Where the two part on one instrument: who proposed alone, or in what the common order differs."""

    instrument: int
    symbol: str
    kind: str
    live: Order | None
    candidate: Order | None


@dataclass(frozen=True)
class Decision:
    """One decision of both. `first` is the author whose words differ first; None: every word is the same."""

    seq: int
    cycle: int
    at: int
    first: str | None
    live: Said
    candidate: Said
    differences: tuple[Difference, ...]


ONLY_LIVE, ONLY_CANDIDATE = "only live", "only candidate"
QUANTITY, FATE, BOUNDS, SENT = "quantity", "fate", "bounds", "sent"
KINDS: Final = (ONLY_LIVE, ONLY_CANDIDATE, QUANTITY, FATE, BOUNDS, SENT)


def compared(
    cycle: int, live: Sequence[Record], candidate: Sequence[Record], instruments: Sequence[Instrument]
) -> Decision:
    """Compare the records of one decision cycle, from its `CycleOpened` on, of both firms."""
    ours, theirs = said(live, instruments), said(candidate, instruments)
    both = sorted({*ours.orders, *theirs.orders})
    found = [_difference(i, ours.orders.get(i), theirs.orders.get(i), instruments) for i in both]
    return Decision(
        live[0].seq,
        cycle,
        live[0].at,
        first_difference(live, candidate),
        ours,
        theirs,
        tuple(each for each in found if each is not None),
    )


def first_difference(live: Sequence[Record], candidate: Sequence[Record]) -> str | None:
    """The author of the first derived entry that is not the same in both, in the order they were said."""
    for ours, theirs in zip_longest(_words(live), _words(candidate)):
        if ours != theirs:
            author: str = (ours or theirs)[0]
            return author
    return None


def _words(records: Sequence[Record]) -> list[tuple[str, int, bytes]]:
    """What the agents say about this decision: without Execution's business with orders of other cycles."""
    return [
        (record.author, record.kind, record.payload)
        for record in records
        if record.origin == Origin.DERIVED
        and (record.author != "execution" or _of_this(record, records[0].seq))
    ]


def _of_this(record: Record, start: int) -> bool:
    match CODEC.event(record):
        case OrderSubmitted(order_seq=seq) | ExecutionRefused(order_seq=seq):
            return seq >= start
        case _:
            return False


def said(records: Sequence[Record], instruments: Sequence[Instrument]) -> Said:
    """One firm's part, read off the records of one decision cycle."""
    proposals: dict[int, OrderProposed] = {}
    fates: dict[int, str] = {}
    bounds: dict[int, tuple[Decimal, Decimal]] = {}
    sent: dict[int, list[Child]] = {}
    refused: dict[int, list[str]] = {}
    var: float | None = None
    halt = aborted = None
    for record in records:
        match CODEC.event(record):
            case OrderProposed() as proposal:
                proposals[record.seq] = proposal
            case RiskRefused(order_seq=seq, limit=limit):
                fates[seq] = f"risk: {limit}"
            case ComplianceRefused(order_seq=seq, rule=rule):
                fates[seq] = f"compliance: {rule}"
            case OrderApproved(order_seq=seq):
                fates[seq] = NOT_ANSWERED
            case OrderCleared(order_seq=seq, order=cleared):
                fates[seq], bounds[seq] = CLEARED, (cleared.price_low, cleared.price_high)
            case OrderSubmitted(order_seq=seq, child=child):
                quantity = child.side.sign * child.quantity
                sent.setdefault(seq, []).append(Child(quantity, str(child.order_type), child.limit_price))
            case ExecutionRefused(order_seq=seq, gate=gate):
                refused.setdefault(seq, []).append(gate)
            case RiskMeasured(monte_carlo_var=measured):
                var = measured
            case RiskHaltRequested(reason=reason):
                halt = reason
            case CycleAborted(stage=stage, reason=reason):
                aborted = f"{stage}: {reason}"
            case _:
                pass
    orders = {}
    for seq, proposal in proposals.items():
        order, instrument = proposal.order, instruments[proposal.order.instrument]
        orders[order.instrument] = Order(
            symbol=instrument.symbol,
            quantity=order.side.sign * order.quantity,
            value=order.quantity * order.reference_price * instrument.multiplier,
            fate=fates.get(seq, NOT_ANSWERED),
            bounds=bounds.get(seq),
            sent=tuple(sent.get(seq, ())),
            gates=tuple(refused.get(seq, ())),
        )
    return Said(orders, var, halt, aborted)


def _difference(
    instrument: int, live: Order | None, candidate: Order | None, instruments: Sequence[Instrument]
) -> Difference | None:
    kind = _kind(live, candidate)
    if kind is None:
        return None
    return Difference(instrument, instruments[instrument].symbol, kind, live, candidate)


def _kind(live: Order | None, candidate: Order | None) -> str | None:
    """The first thing, on an order's way, in which the two are not the same."""
    if live is None or candidate is None:
        return ONLY_CANDIDATE if live is None else ONLY_LIVE
    ways = {
        QUANTITY: live.quantity == candidate.quantity,
        FATE: live.fate == candidate.fate,
        BOUNDS: live.bounds == candidate.bounds,
        SENT: (live.sent, live.gates) == (candidate.sent, candidate.gates),
    }
    return next((kind for kind, same in ways.items() if not same), None)
