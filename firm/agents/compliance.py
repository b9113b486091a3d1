"""Compliance: the last word on whether an approved order may be traded, and within which bounds."""

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, TypeAlias

from firm import config
from firm.agents.exact import last_quote
from firm.agents.market import Market
from firm.compliance.pretrade import Facts, bounds, rules
from firm.domain.session import NS_PER_MS
from firm.events.base import Entry, Event
from firm.events.external import ExternalEvent, Topic
from firm.events.market import MarketData
from firm.events.orders import Approved, Cleared, ComplianceRefused, OrderApproved, OrderCleared
from firm.events.system import CycleAborted, InstrumentsResolved, TradingHalted, TradingRearmed

Heard: TypeAlias = (
    InstrumentsResolved
    | MarketData
    | ExternalEvent
    | TradingHalted
    | TradingRearmed
    | CycleAborted
    | OrderApproved
)
Said: TypeAlias = OrderCleared | ComplianceRefused


class Compliance:
    """Clears or refuses each approved order by the rules of `firm.compliance.pretrade`.

    What is cleared carries its bounds: no child may be priced outside `price_collar` of the reference price
    (rounded inward to the tick), or sent later than `cleared_for_ms` from now. The restricted list starts
    with the configuration; a person's `restrict` or `unrestrict` is the latest word on a symbol. An aborted
    cycle is a halt, and an order proposed before it but approved only after it is refused even when trading
    goes on.
    """

    name: ClassVar[str] = "compliance"
    notes: ClassVar[frozenset[type[Event]]] = frozenset(
        {InstrumentsResolved, MarketData, ExternalEvent, TradingHalted, TradingRearmed, CycleAborted}
    )

    def __init__(self, policy: config.Compliance) -> None:
        self._rules = rules(policy)
        self._collar = Decimal(repr(policy.price_collar))
        self._cleared_for_ns = policy.cleared_for_ms * NS_PER_MS
        self._restricted = {restriction.symbol: restriction.reason for restriction in policy.restricted}
        self._market = Market()
        self._halted: str | None = None
        self._aborted_seq = 0

    def handle(self, entry: Entry[Heard]) -> Sequence[Said]:
        """See Agent."""
        match entry.event:
            case InstrumentsResolved() | MarketData() as fact:
                self._market.note(entry.at, fact)
            case ExternalEvent(topic=Topic.RESTRICT, symbol=symbol, text=text, source=source):
                self._restricted[symbol] = f"{text} ({source})"
            case ExternalEvent(topic=Topic.UNRESTRICT, symbol=symbol):
                self._restricted.pop(symbol, None)
            case ExternalEvent():
                pass
            case TradingHalted(reason=reason):
                self._halted = reason
            case TradingRearmed():
                self._halted = None
            case CycleAborted(stage=stage, failed_seq=failed_seq):
                self._aborted_seq = entry.seq
                self._halted = f"the cycle was aborted: {stage} failed on entry {failed_seq}"
            case OrderApproved(order_seq=order_seq, order=order):
                return [self._judged(entry.at, order_seq, order)]
        return []

    def _judged(self, at: int, order_seq: int, order: Approved) -> Said:
        quote = last_quote(self._market, order.instrument)
        stale = "the order's own cycle was aborted" if order_seq < self._aborted_seq else None
        facts = Facts(
            at=at,
            instruments=self._market.instruments,
            mid=None if quote is None else quote.mid,
            quoted_at=None if quote is None else quote.at,
            halted=self._halted or stale,
            restricted=self._restricted,
        )
        for rule in self._rules:
            if reason := rule.objection(order, facts):
                return ComplianceRefused(order_seq, rule.name, reason)
        return OrderCleared(order_seq, self._cleared(at, order))

    def _cleared(self, at: int, order: Approved) -> Cleared:
        tick = self._market.instruments[order.instrument].tick_size
        low, high = bounds(order.reference_price, self._collar, tick)
        return Cleared(
            instrument=order.instrument,
            side=order.side,
            quantity=order.quantity,
            reference_price=order.reference_price,
            price_low=low,
            price_high=high,
            valid_until=at + self._cleared_for_ns,
        )
