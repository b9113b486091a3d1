"""The daily record of a run from its log, with VaR at the confidence of ES worked out again for each day."""

from collections.abc import Collection, Mapping

import numpy as np

from firm.agents.market import Market
from firm.analysis.book import entries
from firm.analysis.daily import METHODS, DailyRecord, Day, Judged, exact_tail_var, judged
from firm.config import Settings
from firm.events.market import HistoryLoaded, MarketData
from firm.events.record import LogReader
from firm.events.risk import BookMarked, RiskMeasured, RiskRunRequested
from firm.events.scheduled import ScheduledTick
from firm.events.system import InstrumentsResolved
from firm.risk.cube import Scenarios
from firm.risk.history import return_history
from firm.risk.var_calculator import historical_var
from firm.risk_kernels.montecarlo import BLOCK, columns_from_returns, scenario_pnl


def daily_record(store: LogReader, settings: Settings) -> tuple[Judged, ...]:
    """The tests of every method over the last 250 days; empty before the first measurement.

    Acerbi and Szekely's tests need VaR and ES at one confidence. Where Risk said them at two, VaR at that of
    ES is measured again from what the log has: the run's request, and the closes it rested on.
    """
    record = DailyRecord()
    record.horizon = settings.risk.var.horizon_bars
    for entry in entries(store, (InstrumentsResolved, BookMarked, RiskMeasured)):
        match entry.event:
            case InstrumentsResolved(instruments=instruments):
                record.multipliers = tuple(instrument.multiplier for instrument in instruments)
            case BookMarked() as mark:
                record.mark(entry.at, mark)
            case RiskMeasured() as said:
                record.measured(entry.at, said)
    days = list(record.days)
    requests = _requests(store, {day.opened_at for day in days if day.said is not None})
    again = _TailVars(requests, _historical(store, settings, requests))
    found = (judged(days, method, again) for method in METHODS)
    return tuple(one for one in found if one is not None)


def _requests(store: LogReader, wanted: Collection[int]) -> dict[int, RiskRunRequested]:
    """By the time of the mark."""
    return {entry.at: entry.event for entry in entries(store, (RiskRunRequested,)) if entry.at in wanted}


class _TailVars:
    """VaR of a day at the confidence of ES."""

    def __init__(self, requests: Mapping[int, RiskRunRequested], historical: Mapping[int, float]) -> None:
        """Both by the time of the mark."""
        self._requests, self._historical = requests, historical

    def __call__(self, day: Day, method: str) -> float | None:
        exact = exact_tail_var(day, method)
        request = self._requests.get(day.opened_at)
        if exact is not None or request is None:
            return exact
        return self._historical.get(day.opened_at) if method == "historical" else _monte_carlo(request)


def _monte_carlo(request: RiskRunRequested) -> float:
    run = Scenarios(request)
    blocks = request.scenarios // BLOCK
    pnl = scenario_pnl(0, blocks, run.law, run.contracts, run.quantities, request.seed, ladders=run.ladders)
    return historical_var(pnl, request.es_confidence).var


def _historical(
    store: LogReader, settings: Settings, requests: Mapping[int, RiskRunRequested]
) -> dict[int, float]:
    """Historical VaR at the confidence of ES, by the time of the mark."""
    var = settings.risk.var
    if not requests or var.confidence == var.es_confidence:
        return {}
    market, found = Market(), dict[int, float]()
    classes = (InstrumentsResolved, HistoryLoaded, MarketData, ScheduledTick, RiskRunRequested)
    for entry in entries(store, classes):
        if not isinstance(entry.event, RiskRunRequested):
            market.note(entry.at, entry.event)
        elif entry.at in requests:
            closes = market.closes(var.history_bars + 1)
            history = return_history(closes, var, settings.risk.correlation)
            assert not isinstance(history, str), "a run was asked for without a history"
            run = Scenarios(entry.event)
            held = np.flatnonzero(run.quantities)
            columns = columns_from_returns(np.ascontiguousarray(history.returns.T), run.contracts[held])
            pnl = run.quantities[held] @ columns
            found[entry.at] = historical_var(pnl, var.es_confidence).scaled(var.horizon_bars).var
    return found
