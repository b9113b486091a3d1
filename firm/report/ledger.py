"""The orders of a run as people ask about them: what became of each, who refused what, what was filled."""

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeAlias

from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.events import Entry
from firm.events.orders import (
    BrokerRejected,
    CommissionReported,
    ComplianceRefused,
    ExecutionRefused,
    OrderApproved,
    OrderCleared,
    OrderDone,
    OrderFilled,
    OrderNotAccepted,
    OrderProposed,
    OrderSubmitted,
    OrderUnknown,
    RiskRefused,
)
from firm.report.times import day_of

KEPT: Final = 2_000
"""How many orders, refusals and fills are kept one by one, the newest; the counts are always of all."""

REMEMBERED: Final = 50_000
"""How many executions are remembered, the newest, to know a correction or a second report of the fee."""

Refused: TypeAlias = RiskRefused | ComplianceRefused | ExecutionRefused | BrokerRejected


@dataclass(slots=True)
class OrderRow:
    """One order of the CIO and what became of it; `paid` is the sum of quantity times price of its fills."""

    seq: int
    at: int
    symbol: str
    side: Side
    quantity: Decimal
    reference_price: Decimal
    state: str = "proposed"
    algo: str = ""
    reason: str = ""
    filled: Decimal = ZERO
    paid: Decimal = ZERO
    children: list[int] = field(default_factory=list)

    @property
    def average_price(self) -> Decimal | None:
        """Average price of the fills; None without one."""
        return self.paid / self.filled if self.filled else None

    @property
    def slippage_bps(self) -> float | None:
        """What the fills cost against the reference price, basis points, positive = worse; None without."""
        average = self.average_price
        if average is None or not self.reference_price:
            return None
        return float((average / self.reference_price - 1) * self.side.sign * 10_000)


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """One refusal. `by`: risk, compliance, execution or broker; `name`: limit, rule, gate or code.

    `order` is None when the order is older than the newest `KEPT`.
    """

    at: int
    by: str
    name: str
    reason: str
    order: OrderRow | None


@dataclass(frozen=True, slots=True)
class FillRow:
    """One execution."""

    at: int
    symbol: str
    fill: OrderFilled


class Ledger:
    """A fold of everything about orders. `orders`, `refusals` and `fills` hold the newest `KEPT`.

    `commissions`: all fees reported, account currency; a fee counts once per execution.
    """

    KINDS: Final = frozenset(
        cls.KIND
        for cls in (
            OrderProposed,
            OrderApproved,
            OrderCleared,
            OrderSubmitted,
            OrderDone,
            OrderUnknown,
            OrderNotAccepted,
            OrderFilled,
            CommissionReported,
            RiskRefused,
            ComplianceRefused,
            ExecutionRefused,
            BrokerRejected,
        )
    )

    def __init__(self) -> None:
        self.instruments: tuple[Instrument, ...] = ()
        self.orders: dict[int, OrderRow] = {}
        self.refusals: deque[RefusalRow] = deque(maxlen=KEPT)
        self.fills: deque[FillRow] = deque(maxlen=KEPT)
        self.proposed = 0
        self.refused: Counter[tuple[str, str]] = Counter()
        self.sent: Counter[str] = Counter()
        self.filled: Counter[str] = Counter({Side.BUY.value: 0, Side.SELL.value: 0})
        self.doubtful: Counter[str] = Counter({"unknown": 0, "not accepted": 0})
        self.sent_by_day: Counter[date] = Counter()
        self.filled_by_day: Counter[date] = Counter()
        self.refused_by_day: Counter[date] = Counter()
        self._parents: dict[int, int] = {}
        self._executions: dict[str, OrderFilled] = {}
        self._charged: dict[str, None] = {}
        self.commissions = ZERO

    def symbol(self, instrument: int) -> str:
        """The symbol of an instrument's index, `#index` if nobody resolved it."""
        known = 0 <= instrument < len(self.instruments)
        return self.instruments[instrument].symbol if known else f"#{instrument}"

    def note(self, entry: Entry[Any]) -> None:
        """Take in one entry of `KINDS`."""
        match entry.event:
            case OrderProposed() as proposed:
                self._propose(entry, proposed)
            case OrderApproved(order_seq=seq):
                self._advance(seq, "approved")
            case OrderCleared(order_seq=seq):
                self._advance(seq, "cleared")
            case OrderSubmitted(order_seq=seq, algo=algo):
                self.sent[algo] += 1
                self.sent_by_day[day_of(entry.at)] += 1
                self._submit(seq, entry.seq, algo)
            case OrderDone(order_seq=seq, filled=filled, reason=reason):
                self._end(seq, filled, reason)
            case OrderFilled() as fill:
                self._fill(entry, fill)
            case CommissionReported(exec_id=exec_id, commission=commission):
                if exec_id not in self._charged:
                    self._charged[exec_id] = None
                    self.commissions += commission
                    _forget(self._charged)
            case OrderUnknown():
                self.doubtful["unknown"] += 1
            case OrderNotAccepted():
                self.doubtful["not accepted"] += 1
            case RiskRefused() | ComplianceRefused() | ExecutionRefused() | BrokerRejected() as refused:
                self._refuse(entry, refused)

    def _propose(self, entry: Entry[Any], proposed: OrderProposed) -> None:
        order = proposed.order
        self.proposed += 1
        symbol = self.symbol(order.instrument)
        self.orders[entry.seq] = OrderRow(
            entry.seq, entry.at, symbol, order.side, order.quantity, order.reference_price
        )
        if len(self.orders) > KEPT:
            oldest = self.orders.pop(next(iter(self.orders)))
            for child in oldest.children:
                self._parents.pop(child, None)

    def _advance(self, seq: int, state: str) -> None:
        if seq in self.orders:
            self.orders[seq].state = state

    def _submit(self, seq: int, child_seq: int, algo: str) -> None:
        if seq in self.orders:
            row = self.orders[seq]
            row.state, row.algo = "working", algo
            row.children.append(child_seq)
            self._parents[child_seq] = seq

    def _end(self, seq: int, filled: Decimal, reason: str) -> None:
        if seq not in self.orders:
            return
        row = self.orders[seq]
        if filled >= row.quantity:
            row.state = "filled"
        elif filled > 0:
            row.state, row.reason = "part filled", reason
        elif row.state != "refused":
            row.state, row.reason = "not filled", reason

    def _fill(self, entry: Entry[Any], fill: OrderFilled) -> None:
        former = self._executions.get(fill.exec_id)
        if former is not None and fill.revision <= former.revision:
            return
        self._executions[fill.exec_id] = fill
        _forget(self._executions)
        if former is not None:
            self._book(former, -1, day_of(entry.at))
        self._book(fill, +1, day_of(entry.at))
        self.fills.append(FillRow(entry.at, self.symbol(fill.instrument), fill))

    def _book(self, fill: OrderFilled, sign: int, day: date) -> None:
        """Count a fill, or with `sign` -1 take one back; a correction to quantity 0 is no fill."""
        if fill.quantity:
            self.filled[fill.side.value] += sign
            self.filled_by_day[day] += sign
        row = self.orders.get(self._parents.get(fill.child_seq, 0))
        if row is not None:
            row.filled += sign * fill.quantity
            row.paid += sign * fill.quantity * fill.price

    def _refuse(self, entry: Entry[Any], refused: Refused) -> None:
        row: OrderRow | None
        match refused:
            case RiskRefused(order_seq=seq, limit=name):
                by, row = "risk", self.orders.get(seq)
            case ComplianceRefused(order_seq=seq, rule=name):
                by, row = "compliance", self.orders.get(seq)
            case ExecutionRefused(order_seq=seq, gate=name):
                by, row = "execution", self.orders.get(seq)
            case BrokerRejected(child_seq=child, code=code):
                by, row, name = "broker", self.orders.get(self._parents.get(child, 0)), str(code)
        self.refused[by, name] += 1
        self.refused_by_day[day_of(entry.at)] += 1
        if row is not None:
            row.state = row.state if row.filled else "refused"
            row.reason = f"{by}: {name}"
        self.refusals.append(RefusalRow(entry.at, by, name, refused.reason, row))


def _forget(remembered: dict[str, Any]) -> None:
    if len(remembered) > REMEMBERED:
        del remembered[next(iter(remembered))]
