"""Keeps the books: fills and fees become positions, cash and P&L, exact to the last digit."""

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Final, TypeAlias

from firm.agents.exact import last_quote
from firm.agents.market import Market
from firm.domain.instrument import Instrument
from firm.domain.position import ZERO, Position
from firm.domain.session import NS_PER_MS
from firm.events.base import Entry, Event
from firm.events.market import MarketData
from firm.events.orders import CommissionReported, OrderFilled
from firm.events.risk import BookMarked, PositionChanged
from firm.events.scheduled import Occasion, ScheduledTick
from firm.events.system import BrokerConnected, InstrumentsResolved, Reconciled

ACCOUNT_CURRENCY: Final = "USD"
"""The only currency the books are kept in; there are no conversion rates."""

Heard: TypeAlias = (
    InstrumentsResolved
    | BrokerConnected
    | Reconciled
    | OrderFilled
    | CommissionReported
    | MarketData
    | ScheduledTick
)
Said: TypeAlias = PositionChanged | BookMarked


class Bookkeeper:
    """Positions from fills, cash from fills and fees, and at each decision the book at the mids.

    A fill is known by its `exec_id`: heard twice it counts once, and a higher revision replaces the former,
    so that the instrument is rebuilt as if the correction had come at once. A fee counts once per `exec_id`,
    the last word on it, before or after its fill; as it moves only cash it is not announced by itself: the
    next `PositionChanged` or `BookMarked` has it.

    Positions the account already held when the run began (the first `Reconciled`) are taken over at the mid
    of the moment, or at the first mid that is heard after. What they really cost is not known here, and a
    cost of zero would show their whole value as profit; so the run's P&L counts from the take-over. Where
    the run has fills of its own for an instrument the ledger stands; a difference is a break that the
    reconciliation reports. Later `Reconciled` change nothing.

    `BookMarked` never pretends: if cash is not known, or a position has no price in account currency that is
    at most `max_quote_age_ms` old, it is not said at all, and without it Risk lets no new risk pass. An
    instrument without position and without quote is marked at price 0.
    """

    name: ClassVar[str] = "bookkeeper"
    notes: ClassVar[frozenset[type[Event]]] = frozenset(
        {InstrumentsResolved, BrokerConnected, CommissionReported, MarketData}
    )

    def __init__(self, max_quote_age_ms: int) -> None:
        self._max_quote_age = max_quote_age_ms * NS_PER_MS
        self._market = Market()
        self._cash: Decimal | None = None
        self._positions: dict[int, Position] = {}
        self._taken_over: dict[int, Position] | None = None
        self._without_cost: list[int] = []
        self._fills: dict[str, OrderFilled] = {}
        self._fees: dict[str, Decimal] = {}

    def handle(self, entry: Entry[Heard]) -> Sequence[Said]:
        """See Agent."""
        match entry.event:
            case InstrumentsResolved() as resolved:
                self._market.note(entry.at, resolved)
            case MarketData() as quotes:
                self._market.note(entry.at, quotes)
                if self._without_cost:
                    self._find_costs()
            case BrokerConnected(cash=cash):
                if self._cash is None:
                    self._cash = cash
            case Reconciled(positions=positions):
                if self._taken_over is None:
                    return self._take_over(positions)
            case OrderFilled() as fill:
                return self._enter(fill)
            case CommissionReported(exec_id=exec_id, commission=commission):
                self._cash = self._known_cash() + self._fees.get(exec_id, ZERO) - commission
                self._fees[exec_id] = commission
            case ScheduledTick(occasion=Occasion.DECIDE):
                return self._marked(entry.at)
            case ScheduledTick():
                pass
        return []

    def _enter(self, fill: OrderFilled) -> list[PositionChanged]:
        former = self._fills.get(fill.exec_id)
        if former is not None and fill.revision <= former.revision:
            return []
        self._fills[fill.exec_id] = fill
        self._cash = self._known_cash() - self._cost(fill)
        if former is None:
            self._positions[fill.instrument] = self._after(self._position(fill.instrument), fill)
            return [self._changed(fill.instrument)]
        self._cash += self._cost(former)
        touched = sorted({former.instrument, fill.instrument})
        for instrument in touched:
            self._rebuild(instrument)
        return [self._changed(instrument) for instrument in touched]

    def _rebuild(self, instrument: int) -> None:
        position = (self._taken_over or {}).get(instrument, Position())
        for fill in self._fills.values():
            if fill.instrument == instrument:
                position = self._after(position, fill)
        self._positions[instrument] = position

    def _after(self, position: Position, fill: OrderFilled) -> Position:
        if fill.quantity == 0:  # a correction that takes the whole fill back
            return position
        return position.filled(fill.quantity * fill.side.sign, fill.price, self._multiplier(fill.instrument))

    def _take_over(self, held: tuple[tuple[int, Decimal], ...]) -> list[PositionChanged]:
        self._taken_over = {}
        taken = [(i, quantity) for i, quantity in held if quantity != 0 and i not in self._positions]
        for instrument, quantity in taken:
            self._taken_over[instrument] = Position(quantity)
            self._without_cost.append(instrument)
            self._rebuild(instrument)
        self._find_costs()
        return [self._changed(instrument) for instrument, _ in taken]

    def _find_costs(self) -> None:
        """Give positions taken over the mid as their cost, as soon as there is one."""
        assert self._taken_over is not None, "only positions taken over can lack a cost"
        for instrument in list(self._without_cost):
            quote = last_quote(self._market, instrument)
            if quote is not None:
                self._taken_over[instrument] = Position(self._taken_over[instrument].quantity, quote.mid)
                self._without_cost.remove(instrument)
                self._rebuild(instrument)

    def _marked(self, at: int) -> list[BookMarked]:
        instruments = self._market.instruments
        positions = [self._position(i.index) for i in instruments]
        quotes = [last_quote(self._market, i.index) for i in instruments]
        unpriced = any(
            position.quantity != 0
            and (quote is None or instrument.currency != ACCOUNT_CURRENCY or self._is_stale(instrument, at))
            for instrument, position, quote in zip(instruments, positions, quotes, strict=True)
        )
        if self._cash is None or unpriced or not instruments:
            return []
        prices = [ZERO if quote is None else quote.mid for quote in quotes]
        rows = list(zip(instruments, positions, prices, strict=True))
        values = [position.quantity * price * i.multiplier for i, position, price in rows]
        gains = [(price - p.average_price) * p.quantity * i.multiplier for i, p, price in rows]
        net = sum(values, start=ZERO)
        return [
            BookMarked(
                cash=self._cash,
                equity=self._cash + net,
                gross_exposure=sum((abs(value) for value in values), start=ZERO),
                net_exposure=net,
                realized_pnl=sum((position.realized_pnl for position in positions), start=ZERO),
                unrealized_pnl=sum(gains, start=ZERO),
                commissions=sum(self._fees.values(), start=ZERO),
                quantities=tuple(position.quantity for position in positions),
                prices=tuple(prices),
            )
        ]

    def _is_stale(self, instrument: Instrument, at: int) -> bool:
        return at - int(self._market.quoted_at[instrument.index]) > self._max_quote_age

    def _changed(self, instrument: int) -> PositionChanged:
        position = self._positions[instrument]
        return PositionChanged(
            instrument,
            position.quantity,
            position.average_price,
            position.realized_pnl,
            self._known_cash(),
        )

    def _known_cash(self) -> Decimal:
        assert self._cash is not None, "the broker reported before it said what cash the account holds"
        return self._cash

    def _position(self, instrument: int) -> Position:
        return self._positions.get(instrument, Position())

    def _cost(self, fill: OrderFilled) -> Decimal:
        return fill.quantity * fill.side.sign * fill.price * self._multiplier(fill.instrument)

    def _multiplier(self, instrument: int) -> Decimal:
        return self._market.instruments[instrument].multiplier
