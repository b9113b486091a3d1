"""Risk: measures the book at each decision and lets a proposed order pass only within the limits."""

from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import numpy as np

from firm import config
from firm.agents.market import Market
from firm.events.base import Entry, Event
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
from firm.risk.history import return_history
from firm.risk.limits import limits
from firm.risk.losses import LossWatch
from firm.risk.var_calculator import VarEs

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
)
Run: TypeAlias = RiskRunRequested | RiskRunCompleted | RiskRunFailed
Heard: TypeAlias = MarketFact | BookMarked | PositionChanged | OrderProposed | OrderFate | State | Run
Said: TypeAlias = RiskRunRequested | RiskMeasured | RiskHaltRequested | OrderApproved | RiskRefused


class Risk:
    """Approves or refuses each proposed order; when in doubt, refuses. The rules are in `firm.risk.limits`.

    At a decision the marked book is measured: `BookMarked` is answered with `RiskRunRequested` (and before it
    `RiskHaltRequested`, if the losses ask for it), the run's result with `RiskMeasured`. Without enough
    returns of everything held nothing is requested and nothing that adds risk will pass; the same if the run
    fails. The run's seed is the configured one plus the number of bars known, so every cycle draws other
    scenarios, and the same history the same ones, whatever else is in the log.

    What it approved counts as exposure until it is filled, refused further on, or done; an aborted cycle is a
    halt and ends the approvals of that cycle that nobody has acted upon. It hears its own
    `RiskRunRequested` to know the run's name, and Execution's `OrderSubmitted` to know whose fills are whose.
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
        }
    )

    def __init__(self, settings: config.Risk) -> None:
        self._var = settings.var
        self._limits = limits(settings)
        self._losses = LossWatch(settings)
        self._halted_for_losses = False
        self._market = Market()
        self._book = Book()
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
            case RiskRunRequested():
                self._request_seq = entry.seq
                self._book.no_monte_carlo = "the run has not come back in this cycle"
            case RiskRunFailed(request_seq=request_seq, reason=reason):
                if request_seq == self._request_seq:
                    self._book.no_monte_carlo = f"the run of this cycle failed: {reason}"
            case (
                OrderSubmitted()
                | OrderFilled()
                | OrderDone()
                | ComplianceRefused()
                | ExecutionRefused() as fate
            ):
                self._note_fate(entry.seq, fate)
            case _ as state:
                self._note_state(entry.seq, state)
        return []

    def _note_market(self, at: int, fact: MarketFact) -> None:
        self._market.note(at, fact)
        match fact:
            case InstrumentsResolved(instruments=instruments):
                self._book.instruments = instruments
            case ScheduledTick(occasion=Occasion.DECIDE):
                self._book.mark = self._book.history = self._book.monte_carlo = None
                self._book.no_history = "the book was not marked at this decision"
                self._book.no_monte_carlo = "no run was requested in this cycle"
                self._request_seq = 0
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

    def _note_state(self, seq: int, state: State) -> None:
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
                self._book.broker_holds = dict(positions)
            case CycleOpened():
                self._cycle_seq = seq
            case CycleAborted(stage=stage, failed_seq=failed_seq):
                self._book.abort(self._cycle_seq)
                self._book.halted = f"the cycle was aborted: {stage} failed on entry {failed_seq}"

    def _measured(self, at: int, mark: BookMarked) -> list[RiskHaltRequested | RiskRunRequested]:
        self._book.mark = mark
        self._book.held = dict(enumerate(mark.quantities))
        said: list[RiskHaltRequested | RiskRunRequested] = []
        loss = self._losses.breach(at, mark.equity)
        if loss is not None and self._book.halted is None:
            self._book.halted, self._halted_for_losses = loss, True
            said.append(RiskHaltRequested(loss))
        history = return_history(self._market.closes(self._var.history_bars + 1), self._var)
        if isinstance(history, str):
            self._book.no_history = history
            return said
        self._book.history = history
        exposures = self._book.exposures()
        unmeasured = np.flatnonzero((exposures != 0) & ~history.measured).tolist()
        if unmeasured:
            symbols = ", ".join(self._market.instruments[i].symbol for i in unmeasured)
            self._book.no_monte_carlo = f"no run was requested: too few returns of {symbols}"
            return said
        loadings, idiosyncratic = history.loadings()
        said.append(
            RiskRunRequested(
                exposures=exposures.tobytes(),
                loadings=loadings.tobytes(),
                idiosyncratic=idiosyncratic.tobytes(),
                factors=loadings.shape[1],
                degrees_of_freedom=self._var.degrees_of_freedom,
                scenarios=self._var.scenarios,
                seed=(self._var.seed + self._market.bars) % 2**63,
                confidence=self._var.confidence,
            )
        )
        return said

    def _concluded(self, run: RiskRunCompleted) -> list[RiskMeasured]:
        history = self._book.history
        if run.request_seq != self._request_seq or history is None:
            return []
        self._book.monte_carlo = VarEs(run.var, run.es)
        exposures = self._book.exposures()
        historical, parametric = history.historical(exposures), history.parametric(exposures)
        return [
            RiskMeasured(
                historical_var=historical.var,
                historical_es=historical.es,
                parametric_var=parametric.var,
                parametric_es=parametric.es,
                monte_carlo_var=run.var,
                monte_carlo_es=run.es,
                confidence=self._var.confidence,
            )
        ]

    def _judged(self, order_seq: int, order: Proposed) -> OrderApproved | RiskRefused:
        objection = self._limits.objection(order, self._book)
        if objection is not None:
            return RiskRefused(order_seq, *objection)
        self._book.approve(order_seq, order)
        approved = Approved(order.instrument, order.side, order.quantity, order.reference_price)
        return OrderApproved(order_seq, approved)
