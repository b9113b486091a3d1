"""Everything `firm risk` says of a run: one value, made from the log and three questions."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from firm.analysis.book import MeasuredBook, last_book
from firm.analysis.contributions import Position, contributions
from firm.analysis.daily import Judged
from firm.analysis.drivers import Drivers, drivers
from firm.analysis.horizons import Liquidity, horizons, liquidity
from firm.analysis.margins import GreeksRow, Margin, Trims, greeks, margin, trims
from firm.analysis.methods import Method, MonteCarlo, methods, monte_carlo
from firm.analysis.plain import plainly
from firm.analysis.record import daily_record
from firm.analysis.simulated import Simulated
from firm.analysis.stresses import ReverseStresses, Stresses, reverse_stresses, stresses
from firm.analysis.unknown import Unknown
from firm.domain.session import NS_PER_SECOND
from firm.events.record import LogReader
from firm.roster import recorded_settings


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked beyond the book itself.

    `horizon_days` for the figures over several trading days; `loss` (account currency) for reverse stress,
    None: the daily loss at which trading halts; `free_margin` (account currency) for a trim proposal.
    """

    horizon_days: int = 10
    loss: float | None = None
    free_margin: float | None = None


@dataclass(frozen=True, slots=True)
class About:
    """Which book: when it was marked (UTC), what it is worth, at which confidences it is measured.

    `as_requested`: the rebuild has the very inputs of the recorded run. `limits_unknown` as Risk said.
    """

    marked: str
    equity: float
    gross: float
    net: float
    positions: int
    confidence: float
    es_confidence: float
    horizon_bars: int
    bars_a_day: int
    as_requested: bool
    marked_later: bool
    limits_unknown: tuple[str, ...] | Unknown


@dataclass(frozen=True, slots=True)
class BookRisk:
    """The figures of a book that holds something."""

    methods: tuple[Method, ...]
    monte_carlo: MonteCarlo | Unknown
    horizon_days: int
    horizons: tuple[Method, ...]
    liquidity: Liquidity
    positions: tuple[Position, ...] | Unknown
    drivers: Drivers
    stresses: Stresses | Unknown
    reverse: ReverseStresses | Unknown
    greeks: tuple[GreeksRow, ...]
    trims: Trims | Unknown | None


@dataclass(frozen=True, slots=True)
class RiskAnalysis:
    """The whole answer. `risk` is Unknown where there is no measured book or it is empty, with the reason."""

    data_label: str
    about: About | Unknown
    risk: BookRisk | Unknown
    margin: Margin | Unknown
    backtests: tuple[Judged, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers and words, an unknown figure as {"unknown": reason}, never NaN or -0.0."""
        plain: dict[str, Any] = plainly(asdict(self))
        return plain


def analyse(store: LogReader, question: Question) -> RiskAnalysis:
    """The analysis of a run's last measured book; the same log and question, the same answer to the bit."""
    started, settings = recorded_settings(store)
    backtests = daily_record(store, settings)
    book = last_book(store, settings)
    if isinstance(book, Unknown):
        return RiskAnalysis(started.data_label, book, book, book, backtests)
    risk: BookRisk | Unknown
    if len(book.held):
        risk = _risk(book, question)
    else:
        risk = Unknown("the book is empty: nothing is held, so there is nothing to measure")
    return RiskAnalysis(started.data_label, _about(book), risk, margin(book), backtests)


def _about(book: MeasuredBook) -> About:
    var = book.settings.risk.var
    unknown = (
        Unknown("the run of this decision did not come back") if book.said is None else book.said.unknown
    )
    return About(
        datetime.fromtimestamp(book.at // NS_PER_SECOND, UTC).isoformat(),
        book.equity,
        float(book.mark.gross_exposure),
        float(book.mark.net_exposure),
        len(book.held),
        var.confidence,
        var.es_confidence,
        var.horizon_bars,
        var.bars_a_day,
        book.as_requested,
        book.marked_later,
        unknown,
    )


def _risk(book: MeasuredBook, question: Question) -> BookRisk:
    simulated = Simulated(book)
    by_method = methods(book, simulated)
    free = question.free_margin
    return BookRisk(
        by_method,
        monte_carlo(book, simulated),
        question.horizon_days,
        horizons(book, simulated, question.horizon_days),
        liquidity(book, by_method[-1].figures),
        contributions(book, simulated),
        drivers(book),
        stresses(book),
        reverse_stresses(book, question.loss),
        greeks(book),
        None if free is None else trims(book, simulated, free),
    )
