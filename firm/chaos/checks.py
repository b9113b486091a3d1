"""What must be true of a run whatever happened to it: its log against itself and against the broker. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.events import CODEC, Record
from firm.events.orders import (
    BrokerRejected,
    OrderCanceled,
    OrderFilled,
    OrderNotAccepted,
    OrderSubmitted,
)
from firm.events.risk import PositionChanged
from firm.events.system import InstrumentsResolved, TradingHalted, TradingRearmed

KINDS = frozenset(
    cls.KIND
    for cls in (
        BrokerRejected,
        InstrumentsResolved,
        OrderCanceled,
        OrderFilled,
        OrderNotAccepted,
        OrderSubmitted,
        PositionChanged,
        TradingHalted,
        TradingRearmed,
    )
)
"""All that is needed of the log."""


@dataclass(frozen=True)
class AtTheBroker:
    """What the broker's side says: orders by orderRef (with repetitions), executions, positions by symbol."""

    refs: tuple[str, ...]
    executions: tuple[tuple[str, str, Decimal], ...]
    positions: Mapping[str, Decimal]


@dataclass(frozen=True)
class Findings:
    """What is wrong, in words; empty where nothing is. `not_accepted`: intents that never reached the broker.

    Those are no losses: the log says so of each, and nothing is sent again without a new decision.
    """

    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    positions: tuple[str, ...]
    after_halt: tuple[str, ...]
    not_accepted: int

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.positions or self.after_halt)


def examined(records: Sequence[Record], broker: AtTheBroker) -> Findings:
    """Hold the log (its entries of `KINDS`, in order) against the broker's side."""
    events = [(record.seq, CODEC.event(record)) for record in records]
    intents = {seq for seq, event in events if isinstance(event, OrderSubmitted)}
    fills = _newest(event for _, event in events if isinstance(event, OrderFilled))
    never = {event.child_seq for _, event in events if isinstance(event, OrderNotAccepted)}
    withheld = {event.child_seq for _, event in events if isinstance(event, BrokerRejected | OrderCanceled)}
    sent = [int(ref.rpartition("-")[2]) for ref in broker.refs]
    return Findings(
        lost=(*_lost_orders(intents, set(sent), never, withheld), *_lost_fills(fills, broker.executions)),
        doubled=tuple(_doubled(events, broker)),
        positions=tuple(_positions(events, fills, broker.positions)),
        after_halt=tuple(_after_halt(events)),
        not_accepted=len(never),
    )


def _newest(fills: Iterable[OrderFilled]) -> dict[str, OrderFilled]:
    newest: dict[str, OrderFilled] = {}
    for fill in fills:
        known = newest.get(fill.exec_id)
        if known is None or fill.revision > known.revision:
            newest[fill.exec_id] = fill
    return newest


def _lost_orders(intents: set[int], sent: set[int], never: set[int], withheld: set[int]) -> Iterable[str]:
    """Orders the log does not know, or that it believes in and the broker has not."""
    for seq in sorted(sent - intents):
        yield f"order {seq} is at the broker, and no intent of the log"
    for seq in sorted(intents - sent - never - withheld):
        yield f"intent {seq} is not at the broker, and the log does not say so"
    for seq in sorted(never & sent):
        yield f"the log says that intent {seq} never reached the broker, and it is there"


def _lost_fills(
    fills: Mapping[str, OrderFilled], executions: Iterable[tuple[str, str, Decimal]]
) -> Iterable[str]:
    there = {exec_id.rpartition(".")[0]: (ref, quantity) for exec_id, ref, quantity in executions}
    for name in sorted(there.keys() - fills.keys()):
        yield f"execution {name} of order {there[name][0]} is not in the log"
    for name in sorted(fills.keys() - there.keys()):
        if fills[name].quantity:
            yield f"fill {name} of order {fills[name].child_seq} is not at the broker"
    for name in sorted(fills.keys() & there.keys()):
        if fills[name].quantity != there[name][1]:
            yield f"execution {name}: {fills[name].quantity} in the log, {there[name][1]} at the broker"


def _doubled(events: Sequence[tuple[int, Any]], broker: AtTheBroker) -> Iterable[str]:
    for ref, times in Counter(broker.refs).items():
        if times > 1:
            yield f"order {ref} is at the broker {times} times"
    said = Counter((event.exec_id, event.revision) for _, event in events if isinstance(event, OrderFilled))
    for (exec_id, revision), times in said.items():
        if times > 1:
            yield f"fill {exec_id} revision {revision} is in the log {times} times"


def _positions(
    events: Sequence[tuple[int, Any]], fills: Mapping[str, OrderFilled], held: Mapping[str, Decimal]
) -> Iterable[str]:
    """The sum of the fills, the firm's own book and the broker's positions are the same."""
    resolved = [event for _, event in events if isinstance(event, InstrumentsResolved)]
    symbols = [instrument.symbol for instrument in resolved[0].instruments] if resolved else []
    summed: dict[str, Decimal] = {}
    for fill in fills.values():
        symbol = symbols[fill.instrument]
        summed[symbol] = summed.get(symbol, ZERO) + fill.quantity * Side(fill.side).sign
    booked = {symbols[e.instrument]: e.quantity for _, e in events if isinstance(e, PositionChanged)}
    for symbol in sorted({*summed, *booked, *held}):
        found = [sheet.get(symbol, ZERO) for sheet in (summed, booked, held)]
        if len(set(found)) > 1:
            yield f"{symbol}: fills {found[0]}, book {found[1]}, broker {found[2]}"


def _after_halt(events: Sequence[tuple[int, Any]]) -> Iterable[str]:
    halted = 0
    for seq, event in events:
        match event:
            case TradingHalted():
                halted = halted or seq
            case TradingRearmed():
                halted = 0
            case OrderSubmitted() if halted:
                yield f"order {seq} is intended although trading is halted since {halted}"
