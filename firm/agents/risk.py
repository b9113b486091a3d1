"""Risk: measures the book at each decision and lets a proposed order pass only within the limits."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import ClassVar, TypeAlias

import numpy as np

from firm import config
from firm.agents.broker_side import BrokerFact, BrokerSide
from firm.agents.market import Market
from firm.events.base import Entry, Event
from firm.events.broker import AccountReported, CircuitChanged, DataStateChanged, GateChanged
from firm.events.market import HistoryLoaded, MarketData
from firm.events.orders import (
    Approved,
    ComplianceRefused,
    ExecutionRefused,
    OrderApproved,
    OrderDone,
    OrderFilled,
    OrderProposed,
    OrderSubmitted,
    Proposed,
    RiskRefused,
)
from firm.events.risk import (
    BookMarked,
    PositionChanged,
    RiskHaltRequested,
    RiskMeasured,
    RiskRunCompleted,
    RiskRunFailed,
    RiskRunRequested,
)
from firm.events.scheduled import Occasion, ScheduledTick
from firm.events.system import (
    BrokerConnected,
    BrokerDisconnected,
    CycleAborted,
    CycleOpened,
    InstrumentsResolved,
    Reconciled,
    TradingHalted,
    TradingRearmed,
)
from firm.risk.book import Book
from firm.risk.cube import Cubes
from firm.risk.limits import limits
from firm.risk.losses import LossWatch
from firm.risk.margin_view import BrokerMargin
from firm.risk.measures import MovingBook
from firm.risk.measuring import Measurer
from firm.risk.reporting import risk_report

MarketFact: TypeAlias = InstrumentsResolved | HistoryLoaded | MarketData | ScheduledTick
OrderFate: TypeAlias = OrderSubmitted | OrderFilled | OrderDone | ComplianceRefused | ExecutionRefused
State: TypeAlias = (
    TradingHalted
    | TradingRearmed
    | BrokerConnected
    | BrokerDisconnected
    | Reconciled
    | CycleOpened
    | CycleAborted
    | AccountReported
    | BrokerFact
)
Run: TypeAlias = RiskRunRequested | RiskRunCompleted | RiskRunFailed
Heard: TypeAlias = (
    MarketFact | BookMarked | PositionChanged | OrderProposed | OrderApproved | OrderFate | State | Run
)
Said: TypeAlias = RiskRunRequested | RiskMeasured | RiskHaltRequested | OrderApproved | RiskRefused


class Risk:
    """Approves or refuses each proposed order; when in doubt, refuses. The rules are in `firm.risk.limits`.

    At a decision the marked book is measured: `BookMarked` is answered with `RiskRunRequested` (and before it
    `RiskHaltRequested`, if the losses ask for it), the run's result with `RiskMeasured`. Without enough
    returns of everything held nothing is requested and nothing that adds risk will pass; the same if the run
    fails. An order is measured exactly, in the run's own scenarios, with the book and all that was approved.
    The run's seed is the configured one plus the number of bars known, so every cycle draws other scenarios,
    and the same history the same ones, whatever else is in the log.

    What it approved counts as exposure until it is filled, refused further on, or done; an aborted cycle is a
    halt and ends the approvals of that cycle that nobody has acted upon. It hears its own
    `RiskRunRequested` to know the run's name, its own `OrderApproved` to remember without measuring again
    (`recall`), and Execution's `OrderSubmitted` to know whose fills are whose.
    """

    name: ClassVar[str] = "risk"
    notes: ClassVar[frozenset[type[Event]]] = frozenset(
        {
            InstrumentsResolved,
            HistoryLoaded,
            MarketData,
            ScheduledTick,
            PositionChanged,
            OrderSubmitted,
            OrderFilled,
            OrderDone,
            ComplianceRefused,
            ExecutionRefused,
            TradingHalted,
            TradingRearmed,
            BrokerConnected,
            BrokerDisconnected,
            Reconciled,
            CycleOpened,
            CycleAborted,
            RiskRunRequested,
            RiskRunFailed,
            OrderApproved,
            AccountReported,
            GateChanged,
            CircuitChanged,
            DataStateChanged,
        }
    )

    def __init__(
        self, settings: config.Risk, reference: Mapping[str, config.Reference], cubes: Cubes
    ) -> None:
        """`reference` by symbol; `cubes` is where the scenarios of a run come from, by its request alone."""
        self._settings, self._var = settings, settings.var
        self._limits = limits(settings, reference)
        self._measurer = Measurer(settings, reference)
        self._cubes = cubes
        self._request: RiskRunRequested | None = None
        self._losses = LossWatch(settings)
        self._halted_for_losses = False
        self._market = Market()
        self._side = BrokerSide()
        self._book = Book(not_live=self._side.not_live)
        self._request_seq = 0
        self._cycle_seq = 0

    def handle(self, entry: Entry[Heard]) -> Sequence[Said]:
        """See Agent."""
        match entry.event:
            case InstrumentsResolved() | HistoryLoaded() | MarketData() | ScheduledTick() as fact:
                self._note_market(entry.at, fact)
            case PositionChanged(instrument=instrument, quantity=quantity):
                self._book.held[instrument] = quantity
            case BookMarked() as mark:
                return self._measured(entry.at, mark)
            case RiskRunCompleted() as run:
                return self._concluded(run)
            case OrderProposed(order=order):
                return [self._judged(entry.seq, order)]
            case RiskRunRequested() as request:
                self._request_seq, self._request = entry.seq, request
                self._book.no_simulated = "the run has not come back in this cycle"
            case OrderApproved(order_seq=order_seq, order=order):
                if not self._book.knows(order_seq):
                    self._book.approve(order_seq, order)
            case RiskRunFailed(request_seq=request_seq, reason=reason):
                if request_seq == self._request_seq:
                    self._book.no_simulated = f"the run of this cycle failed: {reason}"
            case (
                OrderSubmitted()
                | OrderFilled()
                | OrderDone()
                | ComplianceRefused()
                | ExecutionRefused() as fate
            ):
                self._note_fate(entry.seq, fate)
            case _ as state:
                self._note_state(entry.seq, entry.at, state)
        return []

    def _note_market(self, at: int, fact: MarketFact) -> None:
        self._market.note(at, fact)
        match fact:
            case InstrumentsResolved(instruments=instruments):
                self._book.instruments = instruments
                self._measurer.resolve(instruments)
            case ScheduledTick(occasion=Occasion.DECIDE):
                self._book.mark = self._book.measures = self._book.simulated = None
                self._book.no_measures = "the book was not marked at this decision"
                self._book.no_simulated = "no run was requested in this cycle"
                self._request_seq, self._request = 0, None
                self._cubes.forget()
            case _:
                pass

    def _note_fate(self, seq: int, fate: OrderFate) -> None:
        match fate:
            case OrderSubmitted(order_seq=order_seq):
                self._book.submitted(seq, order_seq)
            case OrderFilled():
                self._book.filled(fate)
            case ExecutionRefused(order_seq=order_seq, quantity=quantity):
                self._book.give_up(order_seq, quantity)
            case OrderDone(order_seq=order_seq) | ComplianceRefused(order_seq=order_seq):
                self._book.end(order_seq)

    def _note_state(self, seq: int, at: int, state: State) -> None:
        match state:
            case TradingHalted(reason=reason):
                self._book.halted = reason
            case TradingRearmed():
                self._book.halted = None
                if self._halted_for_losses:
                    self._losses.start_again()
                    self._halted_for_losses = False
            case BrokerConnected():
                self._book.broker = "connected, but not reconciled yet"
            case BrokerDisconnected(reason=reason):
                self._book.broker = f"disconnected: {reason}"
            case Reconciled(positions=positions, breaks=breaks):
                self._book.broker, self._book.breaks = None, breaks
                self._book.broker_holds, self._book.filled_since = dict(positions), {}
            case CycleOpened():
                self._cycle_seq = seq
            case AccountReported() as account:
                self._book.account = BrokerMargin(
                    net_liquidation=float(account.net_liquidation),
                    initial=float(account.initial_margin),
                    maintenance=float(account.maintenance_margin),
                    excess_liquidity=float(account.excess_liquidity),
                    at=at,
                )
                self._book.account_held = dict(self._book.held)
            case GateChanged() | CircuitChanged() | DataStateChanged() as fact:
                self._side.note(fact)
                self._book.shut = self._side.shut
            case CycleAborted(stage=stage, failed_seq=failed_seq):
                self._book.abort(self._cycle_seq)
                self._book.halted = f"the cycle was aborted: {stage} failed on entry {failed_seq}"

    def _measured(self, at: int, mark: BookMarked) -> list[RiskHaltRequested | RiskRunRequested]:
        said: list[RiskHaltRequested | RiskRunRequested] = [*self._marked(at, mark)]
        closes = self._market.closes(self._var.history_bars + 1)
        prices = np.array([float(price) for price in mark.prices])
        measures = self._measurer.measures(at, prices, closes)
        if isinstance(measures, str):
            self._book.no_measures = measures
            return said
        self._book.measures = measures
        quantities = self._book.positions()
        unmeasured = np.flatnonzero((quantities != 0) & ~measures.valued).tolist()
        if unmeasured:
            symbols = ", ".join(self._market.instruments[i].symbol for i in unmeasured)
            self._book.no_simulated = f"no run was requested: too few returns, or no value, of {symbols}"
            return said
        history = measures.history
        said.append(
            RiskRunRequested(
                quantities=quantities.tobytes(),
                contracts=measures.contracts.tobytes(),
                loadings=history.loadings.tobytes(),
                idiosyncratic=history.idiosyncratic.tobytes(),
                factors=history.loadings.shape[1],
                degrees_of_freedom=self._var.degrees_of_freedom,
                scenarios=self._var.scenarios,
                seed=(self._var.seed + self._market.bars) % 2**63,
                confidence=self._var.confidence,
                es_confidence=self._var.es_confidence,
            )
        )
        return said

    def _marked(self, at: int, mark: BookMarked) -> list[RiskHaltRequested]:
        self._book.mark, self._book.marked_at = mark, at
        self._book.held = dict(enumerate(mark.quantities))
        loss = self._losses.breach(at, mark.equity)
        if loss is None or self._book.halted is not None:
            return []
        self._book.halted, self._halted_for_losses = loss, True
        return [RiskHaltRequested(loss)]

    def _concluded(self, run: RiskRunCompleted) -> list[RiskMeasured]:
        request, measures = self._request, self._book.measures
        if run.request_seq != self._request_seq or request is None or measures is None:
            return []
        self._book.simulated = MovingBook(
            lambda: self._cubes.columns(request), request.confidence, request.es_confidence
        )
        return [risk_report(self._book, run, self._settings, self._limits.unknown(self._book))]

    def _judged(self, order_seq: int, order: Proposed) -> OrderApproved | RiskRefused:
        objection = self._limits.objection(order, self._book)
        if objection is not None:
            return RiskRefused(order_seq, *objection)
        self._book.approve(order_seq, order)
        approved = Approved(order.instrument, order.side, order.quantity, order.reference_price)
        return OrderApproved(order_seq, approved)

    def recall(self, entries: Iterable[Entry[Heard]]) -> None:
        """Hear again what was heard before, as after a death: the same state, past books not measured.

        Only from the last decision on is everything worked out again: older verdicts are in the log as well.
        """
        heard = list(entries)
        decisions = [i for i, entry in enumerate(heard) if _decides(entry.event)]
        last = decisions[-1] if decisions else 0
        approved = {entry.event.order_seq for entry in heard if isinstance(entry.event, OrderApproved)}
        for entry in heard[:last]:
            self._remember(entry, approved)
        for entry in heard[last:]:
            self.handle(entry)

    def _remember(self, entry: Entry[Heard], approved: Collection[int]) -> None:
        match entry.event:
            case BookMarked() as mark:
                self._marked(entry.at, mark)
            case OrderProposed(order=order):
                if entry.seq in approved:  # at its own place: an abort may have come before the answer
                    self._book.approve(entry.seq, order)
            case RiskRunCompleted():
                pass
            case _:
                self.handle(entry)


def _decides(event: Heard) -> bool:
    return isinstance(event, ScheduledTick) and event.occasion is Occasion.DECIDE
