"""The chief investment officer: the one who turns everybody's opinions into wanted trades."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar, NamedTuple, TypeAlias, assert_never

from firm import config
from firm.agents.broker_side import BrokerFact, BrokerSide
from firm.agents.market import Market
from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.events import Entry, Event
from firm.events.broker import CircuitChanged, DataStateChanged, GateChanged
from firm.events.market import MarketData
from firm.events.orders import (
    ComplianceRefused,
    OrderApproved,
    OrderDone,
    OrderProposed,
    OrderSubmitted,
    Proposed,
)
from firm.events.risk import BookMarked, PositionChanged, RiskRunCompleted, RiskRunFailed, RiskRunRequested
from firm.events.scheduled import Occasion, ScheduledTick
from firm.events.signals import BarrierClosed, Signal
from firm.events.system import (
    BrokerDisconnected,
    CycleAborted,
    CycleOpened,
    InstrumentsResolved,
    Reconciled,
    TradingHalted,
    TradingRearmed,
)
from firm.portfolio.opinions import FLAT, Opinion, opinions, touched_by
from firm.portfolio.position_sizing import (
    capped,
    change_of_position,
    exposure_scale,
    reduced_only,
    target_quantity,
)

Note: TypeAlias = (
    CycleOpened
    | ScheduledTick
    | InstrumentsResolved
    | MarketData
    | Signal
    | RiskRunRequested
    | RiskRunCompleted
    | RiskRunFailed
    | BookMarked
    | PositionChanged
    | OrderApproved
    | OrderSubmitted
    | ComplianceRefused
    | OrderDone
    | CycleAborted
    | TradingHalted
    | TradingRearmed
    | BrokerDisconnected
    | Reconciled
    | BrokerFact
)


class _Open(NamedTuple):
    instrument: int
    change: Decimal


class Cio:
    """The one decision maker: hears opinions, risk and the book; proposes orders when the barrier closes.

    Nothing is proposed while trading is halted, while the broker is away and not yet reconciled, when equity
    is unknown or not positive, or when nobody was asked; nor for an instrument without a price or with an
    order still open. Only risk-reducing orders are proposed below `quorum`, without the figures of a risk run
    that was requested, with unresolved breaks, while the broker takes no orders, with a position that has no
    price, or for an instrument whose data are not live. An instrument that a missing unit touches keeps the
    target it had: at most, a reduction that was wanted before goes on.
    """

    name: ClassVar[str] = "cio"
    notes: ClassVar[frozenset[type[Event]]] = frozenset(Note.__args__)

    def __init__(self, settings: config.Cio, quorum: float) -> None:
        self._settings = settings
        self._quorum = quorum
        self._min_trade = Decimal(repr(settings.min_trade_usd))
        self._market = Market()
        self._signals: dict[tuple[str, str], Signal] = {}
        self._risk_gap: str | None = None
        self._halted = self._disconnected = False
        self._breaks: tuple[str, ...] = ()
        self._side = BrokerSide()
        self._equity: Decimal | None = None
        self._held: dict[int, Decimal] = {}
        self._convictions: dict[int, float] = {}
        self._targets: dict[int, Decimal] = {}
        self._open: dict[int, _Open] = {}
        self._revocable: set[int] = set()
        self._revoked: dict[int, _Open] = {}

    def handle(self, entry: Entry[Note | BarrierClosed]) -> list[OrderProposed]:
        """See Agent."""
        match entry.event:
            case BarrierClosed() as barrier:
                return self._decide(barrier)
            case CycleOpened() | ScheduledTick(occasion=Occasion.DECIDE):
                self._signals, self._risk_gap, self._revocable = {}, None, set()
            case InstrumentsResolved() | MarketData() as fact:
                self._market.note(entry.at, fact)
            case Signal(agent=agent, unit=unit) as signal:
                self._signals[agent, unit] = signal
            case BookMarked(equity=equity, quantities=quantities):
                self._equity, self._held = equity, dict(enumerate(quantities))
            case PositionChanged(instrument=instrument, quantity=quantity):
                self._held[instrument] = quantity
            case TradingHalted() | TradingRearmed() as halt:
                self._halted = isinstance(halt, TradingHalted)
            case BrokerDisconnected():
                self._disconnected = True
            case Reconciled(breaks=breaks):
                self._disconnected, self._breaks = False, breaks
            case GateChanged() | CircuitChanged() | DataStateChanged() as fact:
                self._side.note(fact)
            case RiskRunRequested() | RiskRunCompleted() | RiskRunFailed() as run:
                self._risk_gap = _gap(run)
            case ScheduledTick():
                pass
            case _ as fate:
                self._note_fate(fate)
        return []

    def _note_fate(
        self, fate: OrderApproved | OrderSubmitted | ComplianceRefused | OrderDone | CycleAborted
    ) -> None:
        """An order is open from its approval until it is refused or done.

        An aborted cycle refuses its orders, unless Execution has said an intent for them, or says one later.
        """
        match fate:
            case OrderApproved(order_seq=seq, order=order):
                self._open[seq] = _Open(order.instrument, order.side.sign * order.quantity)
                self._revocable.add(seq)
            case OrderSubmitted(order_seq=seq):
                self._revocable.discard(seq)
                if seq in self._revoked:
                    self._open[seq] = self._revoked.pop(seq)
            case ComplianceRefused(order_seq=seq) | OrderDone(order_seq=seq):
                self._revocable.discard(seq)
                self._open.pop(seq, None)
            case CycleAborted():
                self._revoked |= {seq: self._open.pop(seq) for seq in sorted(self._revocable)}
                self._revocable = set()
            case _ as never:
                assert_never(never)

    def _decide(self, barrier: BarrierClosed) -> list[OrderProposed]:
        equity = self._equity
        if self._halted or self._disconnected or equity is None or equity <= 0 or not barrier.expected:
            return []
        symbols = [instrument.symbol for instrument in self._market.instruments]
        known = opinions(list(self._signals.values()), barrier.missing, symbols, self._settings.weights)
        unheard = {i for _, unit in barrier.missing for i in touched_by(unit, symbols)}
        waiting = {order.instrument for order in self._open.values()}
        prices = self._prices()
        decided = [i for i in prices if i not in unheard and i not in waiting]
        heard = [i for i in range(len(symbols)) if i not in unheard]
        self._convictions |= {i: known.get(i, FLAT).conviction for i in heard}
        scale = self._scale(known, decided, prices, equity)
        restraint = self._restraint(barrier, prices)
        proposals = []
        for i in prices:
            if i in waiting:
                continue
            held = self._held.get(i, ZERO)
            if i in unheard:
                wanted = reduced_only(held, self._targets.get(i, held))
                why = "keeps its target: a signal is missing"
            else:
                opinion = known.get(i, FLAT)
                weight = capped(scale * opinion.conviction, self._settings.max_weight)
                wanted = target_quantity(weight, equity, prices[i], self._market.instruments[i])
                self._targets[i] = wanted
                why = f"{opinion.told()}; weight {weight:+.4f} of equity {equity:.2f}"
            if obstacle := restraint or self._side.not_live.get(i):
                wanted, why = reduced_only(held, wanted), f"{why}; only reducing: {obstacle}"
            proposals += self._proposal(i, prices[i], wanted, why)
        return proposals

    def _prices(self) -> dict[int, Decimal]:
        """Mids on the tick grid, in index order; without those never quoted or below half a tick."""
        prices = {}
        for instrument, mid in zip(self._market.instruments, self._market.mids().tolist(), strict=True):
            if mid > 0 and (price := instrument.round_price(mid)) > 0:
                prices[instrument.index] = price
        return prices

    def _scale(
        self,
        known: Mapping[int, Opinion],
        decided: Sequence[int],
        prices: Mapping[int, Decimal],
        equity: Decimal,
    ) -> float:
        alone = [i for i in range(len(self._market.instruments)) if i not in decided]
        taken = ZERO
        for i in alone:
            if i in prices:
                taken += self._size(i) * prices[i] * self._market.instruments[i].multiplier
        return exposure_scale(
            [known.get(i, FLAT).conviction for i in decided],
            [self._convictions.get(i, 1.0) for i in alone],
            float(taken / equity),
            self._settings.gross_target,
        )

    def _size(self, instrument: int) -> Decimal:
        """The largest size the position can have before the next decision: its open orders filled or not."""
        held = self._held.get(instrument, ZERO)
        changes = [order.change for order in self._open.values() if order.instrument == instrument]
        return max(abs(held), abs(held + sum(changes, ZERO)))

    def _restraint(self, barrier: BarrierClosed, prices: Mapping[int, Decimal]) -> str | None:
        """Why no new risk may be proposed in this cycle; None if it may."""
        if barrier.answered / barrier.expected < self._quorum:
            return f"{barrier.answered} of {barrier.expected} signals, quorum {self._quorum}"
        if self._risk_gap:
            return self._risk_gap
        if self._breaks:
            return f"{len(self._breaks)} unresolved breaks with the broker, first: {self._breaks[0]}"
        if self._side.shut:
            return f"nothing new may be sent to the broker: {self._side.shut}"
        if unpriced := [i for i, held in self._held.items() if held and i not in prices]:
            return f"positions without a price: instruments {unpriced}"
        return None

    def _proposal(self, instrument: int, price: Decimal, wanted: Decimal, why: str) -> list[OrderProposed]:
        contract = self._market.instruments[instrument]
        held = self._held.get(instrument, ZERO)
        change = change_of_position(held, wanted, contract)
        if abs(change) * price * contract.multiplier < self._min_trade:
            return []
        side = Side.BUY if change > 0 else Side.SELL
        rationale = f"{contract.symbol}: {why}; target {wanted}, held {held}"
        return [OrderProposed(Proposed(instrument, side, abs(change), price), rationale)]


def _gap(run: RiskRunRequested | RiskRunCompleted | RiskRunFailed) -> str | None:
    match run:
        case RiskRunRequested():
            return "the risk run has not come back"
        case RiskRunFailed(reason=reason):
            return f"the risk run failed: {reason}"
        case _:
            return None
