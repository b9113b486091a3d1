"""The last measured book of a run, rebuilt from the log: what was held, at which marks, measured how."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firm.agents.market import Market
from firm.analysis.unknown import Unknown
from firm.config import Settings
from firm.domain.instrument import Instrument
from firm.events import CODEC, Entry, Event
from firm.events.broker import AccountReported
from firm.events.market import HistoryLoaded, MarketData
from firm.events.record import LogReader
from firm.events.risk import BookMarked, RiskMeasured, RiskRunCompleted, RiskRunRequested
from firm.events.scheduled import Occasion, ScheduledTick
from firm.events.system import InstrumentsResolved
from firm.risk.margin_view import BrokerMargin
from firm.risk.measures import Measures
from firm.risk.measuring import Measurer
from firm.risk.valuation import contracts_at
from firm.risk_kernels.montecarlo import columns_from_returns

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_PAGE = 10_000
_MARKET: tuple[type[Event], ...] = (InstrumentsResolved, HistoryLoaded, MarketData, ScheduledTick)
_RISK: tuple[type[Event], ...] = (
    BookMarked,
    RiskRunRequested,
    RiskRunCompleted,
    RiskMeasured,
    AccountReported,
)


@dataclass(frozen=True, eq=False)
class MeasuredBook:
    """One book and everything its figures are made of. Arrays have one entry an instrument.

    `at` is the time of the mark, ns UTC. `completed` and `said` are what the run answered and Risk then said;
    None where the run failed. `spreads` float64[decisions, n] are relative bid-ask spreads, NaN where there
    was no quote. `marked_later`: a newer mark was not measured.
    """

    settings: Settings
    instruments: tuple[Instrument, ...]
    at: int
    mark: BookMarked
    measures: Measures
    request: RiskRunRequested
    completed: RiskRunCompleted | None
    said: RiskMeasured | None
    account: BrokerMargin | None
    spreads: Matrix
    marked_later: bool

    @cached_property
    def quantities(self) -> Vector:
        """Signed units."""
        return np.array([float(quantity) for quantity in self.mark.quantities])

    @cached_property
    def held(self) -> NDArray[np.int64]:
        """The numbers of the instruments held."""
        return np.flatnonzero(self.quantities)

    @cached_property
    def factor_exposures(self) -> Vector:
        """Dollar deltas, added up on the instrument that drives them (an option's underlying)."""
        totals = np.zeros(len(self.instruments))
        np.add.at(totals, self.measures.contracts["factor"], self.quantities * self.measures.deltas)
        return totals

    @cached_property
    def present(self) -> NDArray[np.void]:
        """The contracts as they are now; those of `measures` are as at the end of the horizon."""
        prices = np.array([float(price) for price in self.mark.prices])
        rate = self.settings.risk.greeks.interest_rate
        return contracts_at(self.instruments, prices, self.at, 0.0, rate)[0]

    @property
    def equity(self) -> float:
        """At the mark, account currency."""
        return float(self.mark.equity)

    @property
    def as_requested(self) -> bool:
        """Whether this rebuild has the very positions, contracts and factors that Risk asked for."""
        history = self.measures.history
        return (
            self.request.quantities == self.quantities.tobytes()
            and self.request.contracts == self.measures.contracts.tobytes()
            and self.request.loadings == history.loadings.tobytes()
        )

    def symbol(self, instrument: int) -> str:
        """The symbol of an instrument's number."""
        return self.instruments[instrument].symbol

    def pnl(self, returns: Matrix, contracts: NDArray[np.void] | None = None) -> Vector:
        """P&L float64[S] of the book, fully revalued, under log-returns float64[S, n] of all instruments.

        `contracts`: another table of the same instruments, for instance with less time left.
        """
        table = self.measures.contracts if contracts is None else contracts
        columns = columns_from_returns(np.ascontiguousarray(returns.T), table[self.held])
        total = np.zeros(len(returns))
        for row, quantity in enumerate(self.quantities[self.held].tolist()):
            total += quantity * columns[row]
        return total


def last_book(store: LogReader, settings: Settings) -> MeasuredBook | Unknown:
    """The book of the last decision that Risk asked a run for, or why there is none."""
    risk = _RiskFold()
    for entry in entries(store, _RISK):
        risk.note(entry)
    if risk.mark is None or risk.latest is None:
        return Unknown("the book was never marked: no decision was taken, or cash or a price was not known")
    market, spreads = _market(store, risk.mark.seq)
    var = settings.risk.var
    measurer = Measurer(settings.risk, settings.universe.reference)
    measurer.resolve(market.instruments)
    prices = np.array([float(price) for price in risk.mark.event.prices])
    measures = measurer.measures(risk.mark.at, prices, market.closes(var.history_bars + 1))
    if isinstance(measures, str):
        return Unknown(measures)
    if risk.request is None:
        return Unknown("Risk never asked for a run: too few returns of something held")
    return MeasuredBook(
        settings=settings,
        instruments=market.instruments,
        at=risk.mark.at,
        mark=risk.mark.event,
        measures=measures,
        request=risk.request.event,
        completed=risk.completed,
        said=risk.said,
        account=risk.account,
        spreads=spreads[-var.history_bars :],
        marked_later=risk.latest.seq > risk.mark.seq,
    )


class _RiskFold:
    """The last run asked for, the mark it was asked for, and what came of it; until the first, any mark."""

    def __init__(self) -> None:
        self.latest: Entry[BookMarked] | None = None
        self.mark: Entry[BookMarked] | None = None
        self.request: Entry[RiskRunRequested] | None = None
        self.completed: RiskRunCompleted | None = None
        self.said: RiskMeasured | None = None
        self.account: BrokerMargin | None = None
        self._reported: BrokerMargin | None = None

    def note(self, entry: Entry[Any]) -> None:
        match entry.event:
            case AccountReported() as reported:
                self._reported = _margin(reported, entry.at)
            case BookMarked():
                self.latest = entry
                if self.request is None:
                    self.mark, self.account = entry, self._reported
            case RiskRunRequested():
                self.mark, self.request, self.account = self.latest, entry, self._reported
                self.completed = self.said = None
            case RiskRunCompleted(request_seq=asked) as answer:
                if self.request is not None and asked == self.request.seq:
                    self.completed = answer
            case RiskMeasured() as measured:
                self.said = measured if self.completed is not None else None


def _margin(reported: AccountReported, at: int) -> BrokerMargin:
    return BrokerMargin(
        net_liquidation=float(reported.net_liquidation),
        initial=float(reported.initial_margin),
        maintenance=float(reported.maintenance_margin),
        excess_liquidity=float(reported.excess_liquidity),
        at=at,
    )


def _market(store: LogReader, until: int) -> tuple[Market, Matrix]:
    """The market as Risk knew it at entry `until`, and the relative spread at each decision."""
    market, rows = Market(), []
    for entry in entries(store, _MARKET):
        if entry.seq > until:
            break
        match entry.event:
            case ScheduledTick(occasion=Occasion.DECIDE):
                rows.append((market.ask - market.bid) / market.mids())
            case _:
                pass
        market.note(entry.at, entry.event)
    return market, np.array(rows) if rows else np.empty((0, len(market.instruments)))


def entries(store: LogReader, classes: Collection[type[Event]]) -> Iterator[Entry[Any]]:
    """The entries of these classes, oldest first, a page at a time."""
    kinds, since = {cls.KIND for cls in classes}, 0
    while records := store.read(since, _PAGE, kinds):
        for record in records:
            yield CODEC.entry(record)
        since = records[-1].seq
