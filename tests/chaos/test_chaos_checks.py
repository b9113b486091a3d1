"""Every check trips on a log, or a broker, that is doctored in just the way it looks for."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache

import pytest
import whole_firm

from firm.chaos.checks import KINDS, AtTheBroker, Findings, examined
from firm.domain.order import Side
from firm.events import CODEC, Origin, Record, encode
from firm.events.orders import OrderFilled, OrderNotAccepted, OrderSubmitted
from firm.events.risk import PositionChanged
from firm.events.system import InstrumentsResolved, TradingHalted, TradingRearmed


@cache
def log() -> tuple[Record, ...]:
    """What the checks need of a real run, in one thread."""
    store = whole_firm.run(whole_firm.settings(*whole_firm.QUICK), whole_firm.sample(6))
    return tuple(store.read(kinds=KINDS))


def of(records: Sequence[Record], cls: type) -> list[tuple[int, object]]:
    return [(record.seq, CODEC.event(record)) for record in records if record.kind == cls.KIND]


@cache
def broker() -> AtTheBroker:
    """A broker that has exactly what the log says."""
    (resolved,) = [event for _, event in of(log(), InstrumentsResolved)]
    fills = [event for _, event in of(log(), OrderFilled)]
    positions: dict[str, Decimal] = {}
    for fill in fills:
        symbol = resolved.instruments[fill.instrument].symbol
        signed = fill.quantity * Side(fill.side).sign
        positions[symbol] = positions.get(symbol, Decimal(0)) + signed
    return AtTheBroker(
        tuple(f"abcdef01-{seq}" for seq, _ in of(log(), OrderSubmitted)),
        tuple((f"{f.exec_id}.{f.revision:02}", f"abcdef01-{f.child_seq}", f.quantity) for f in fills),
        {symbol: quantity for symbol, quantity in positions.items() if quantity},
    )


def without(records: Sequence[Record], seq: int) -> list[Record]:
    return [record for record in records if record.seq != seq]


def found(records: Sequence[Record] | None = None, at_the_broker: AtTheBroker | None = None) -> Findings:
    return examined(log() if records is None else records, at_the_broker or broker())


def said(seq: int, event: object) -> Record:
    return Record(seq, 0, Origin.INPUT, "bus", 0, 0, event.KIND, encode(event))


def test_a_run_that_went_well_is_clean():
    assert of(log(), OrderFilled)
    assert found() == Findings((), (), (), (), 0)
    assert found().clean


def test_an_order_without_an_intent_is_found():
    seq = of(log(), OrderSubmitted)[0][0]

    assert found(without(log(), seq)).lost == (f"order {seq} is at the broker, and no intent of the log",)


def test_an_intent_that_is_nowhere_is_found():
    gone = replace(broker(), refs=broker().refs[1:])
    seq = broker().refs[0].rpartition("-")[2]

    assert found(at_the_broker=gone).lost == (
        f"intent {seq} is not at the broker, and the log does not say so",
    )


def test_an_intent_that_is_said_to_be_nowhere_is_no_loss_but_counted():
    gone = replace(broker(), refs=broker().refs[1:])
    seq = int(broker().refs[0].rpartition("-")[2])
    findings = found([*log(), said(10**6, OrderNotAccepted(seq))], gone)

    assert (findings.lost, findings.not_accepted) == ((), 1)


def test_an_order_that_is_there_although_the_log_says_it_is_nowhere_is_found():
    seq = int(broker().refs[0].rpartition("-")[2])

    assert found([*log(), said(10**6, OrderNotAccepted(seq))]).lost == (
        f"the log says that intent {seq} never reached the broker, and it is there",
    )


def test_a_lost_fill_is_found_on_either_side():
    seq, fill = of(log(), OrderFilled)[0]
    there_only = found(without(log(), seq))
    here_only = found(at_the_broker=replace(broker(), executions=broker().executions[1:]))

    assert there_only.lost == (
        f"execution {fill.exec_id} of order abcdef01-{fill.child_seq} is not in the log",
    )
    assert there_only.positions
    assert here_only.lost == (f"fill {fill.exec_id} of order {fill.child_seq} is not at the broker",)


def test_a_fill_of_another_quantity_is_found():
    (name, ref, quantity), *rest = broker().executions
    other = replace(broker(), executions=((name, ref, quantity + 1), *rest))

    assert "in the log" in found(at_the_broker=other).lost[0]


def test_an_order_that_was_sent_twice_is_found():
    twice = replace(broker(), refs=(*broker().refs, broker().refs[0]))

    assert found(at_the_broker=twice).doubled == (f"order {broker().refs[0]} is at the broker 2 times",)


def test_a_fill_that_was_booked_twice_is_found():
    seq, fill = of(log(), OrderFilled)[0]
    again = [record for record in log() if record.seq == seq]

    assert found([*log(), *again]).doubled == (f"fill {fill.exec_id} revision 1 is in the log 2 times",)


def test_a_position_that_differs_is_found():
    symbol = next(iter(broker().positions))
    off = replace(broker(), positions=broker().positions | {symbol: Decimal(1)})
    last = of(log(), PositionChanged)[-1][0]

    assert found(at_the_broker=off).positions[0].startswith(f"{symbol}: fills ")
    assert len(found(without(log(), last)).positions) == 1


@pytest.mark.parametrize("rearmed", [False, True])
def test_an_order_after_a_halt_is_found_unless_trading_was_re_armed(rearmed: bool):
    first = of(log(), OrderSubmitted)[0][0]
    at = next(number for number, record in enumerate(log()) if record.seq == first)
    between = [said(first, TradingHalted("why"))] + [said(first, TradingRearmed("Ann", "why"))] * rearmed
    findings = found([*log()[:at], *between, *log()[at:]])

    assert bool(findings.after_halt) is not rearmed
    assert findings.clean is rearmed
