"""Greeks by underlying, and margin: the broker's figures, two estimates, the room left, and what to trim."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firm.analysis.book import MeasuredBook
from firm.analysis.simulated import Simulated
from firm.analysis.unknown import Unknown, known
from firm.domain.instrument import Instrument
from firm.errors import DataError
from firm.risk.fed_figures import NS_PER_MS
from firm.risk.greeks import book_greeks
from firm.risk.margin_optimizer import TrimBook, TrimPlan, trim_for_margin
from firm.risk.margin_view import MarginView
from firm.risk.reg_t import Kind, RuleMargin, RulePosition, rule_margin

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

TRIM_SCENARIOS: Final = 9_600
"""Scenarios in which a proposal is measured: ES to about 3 %, less than the proposal changes."""


@dataclass(frozen=True, slots=True)
class GreeksRow:
    """Of everything on one underlying, account currency; units as in `firm.risk.greeks`."""

    underlying: str
    delta: float
    gamma: float
    vega: float
    theta: float
    rho: float


@dataclass(frozen=True, slots=True)
class BrokerFigures:
    """The account as the broker reports it."""

    net_liquidation: float
    initial: float
    maintenance: float
    excess_liquidity: float


@dataclass(frozen=True, slots=True)
class ClassRow:
    """What the scan estimates for one underlying: its worst loss in the scan."""

    underlying: str
    charge: float


@dataclass(frozen=True, slots=True)
class Margin:
    """`estimate` is a scan of prices and volatilities, `reg_t` the rules by position: both are estimates.

    `headroom` is excess liquidity over equity, by the broker; `needed` what the limit asks for.
    """

    broker: BrokerFigures | Unknown
    headroom: float | Unknown
    needed: float
    estimate: float
    largest: tuple[ClassRow, ...]
    reg_t: RuleMargin | Unknown


@dataclass(frozen=True, slots=True)
class TrimRow:
    """Trade `quantity` signed units of one position."""

    symbol: str
    quantity: float
    held: float


@dataclass(frozen=True, slots=True)
class Trims:
    """A proposal that frees margin, by the estimate: margin and ES before and after, at `es_confidence`."""

    wanted: float
    trades: tuple[TrimRow, ...]
    margin_before: float
    margin_after: float
    es_before: float
    es_after: float
    reached: bool


def greeks(book: MeasuredBook) -> tuple[GreeksRow, ...]:
    """By underlying, the largest delta first, then "total"; of this moment, as the limits have them."""
    found = book_greeks(book.present, book.quantities, len(book.instruments))
    used = np.unique(book.measures.contracts["factor"][book.held]).tolist()
    order = sorted(used, key=lambda i: (-abs(found.delta[i]), i))
    rows = [GreeksRow(book.symbol(i), *(float(greek[i]) for greek in found)) for i in order]
    return (*rows, GreeksRow("total", *(float(greek) for greek in found.total())))


def margin(book: MeasuredBook) -> Margin:
    """What the account ties up, by everybody who says something about it."""
    settings = book.settings.risk.margin
    estimate = book.measures.margin.estimate(book.quantities)
    view = MarginView(book.account, estimate, book.at, settings.max_age_ms * NS_PER_MS)
    room = view.headroom()
    charges = sorted(estimate.classes, key=lambda charge: (-charge.charge, int(charge.name)))
    return Margin(
        _broker(book),
        Unknown(room) if isinstance(room, str) else room.value,
        settings.min_headroom,
        estimate.total,
        tuple(ClassRow(book.symbol(int(one.name)), one.charge) for one in charges[:5] if one.charge > 0),
        known(lambda: rule_margin([_rule(book, i) for i in book.held.tolist()])),
    )


def trims(book: MeasuredBook, simulated: Simulated, free: float) -> Trims | Unknown:
    """Trades that bring the estimate down by `free`, with ES never above what it is."""
    return known(lambda: _trims(book, simulated, free))


def _broker(book: MeasuredBook) -> BrokerFigures | Unknown:
    account = book.account
    if account is None:
        return Unknown("the broker has not reported the account's margin")
    return BrokerFigures(
        account.net_liquidation, account.initial, account.maintenance, account.excess_liquidity
    )


def _rule(book: MeasuredBook, number: int) -> RulePosition:
    instrument, price = book.instruments[number], float(book.mark.prices[number])
    position = RulePosition(
        _kind(instrument), float(book.quantities[number]), price, float(instrument.multiplier)
    )
    if position.kind is not Kind.OPTION:
        return position
    return replace(
        position,
        underlying_price=float(book.mark.prices[instrument.underlying]),
        strike=float(instrument.strike),
        right=instrument.right,
    )


def _kind(instrument: Instrument) -> Kind:
    match instrument.sec_type:
        case "STK":
            return Kind.STOCK
        case "OPT":
            return Kind.OPTION
        case other:
            raise DataError(
                f"Reg-T needs published margin rates for {instrument.symbol} ({other}), and the "
                "configuration has none; use the broker's figures"
            )


def _trims(book: MeasuredBook, simulated: Simulated, free: float) -> Trims:
    if not free > 0.0:
        raise ValueError(f"margin to free needs to be above 0, found {free}")
    held, quantities = book.held, simulated.quantities
    scan = book.measures.margin
    table = TrimBook(
        quantity=quantities,
        lot=np.array([float(book.instruments[i].lot_size) for i in held.tolist()]),
        scan=replace(scan.book, class_of=scan.book.class_of[held], minimum=scan.book.minimum[held]),
        margin_pnl=quantities[:, None] * scan.unit_pnl[held],
        correlation=np.eye(len(scan.book.classes)),
        scenario_pnl=quantities[:, None] * simulated.columns_of(TRIM_SCENARIOS),
        confidence=book.settings.risk.var.es_confidence,
    )
    needs = scan.estimate(book.quantities).total
    return _proposal(book, trim_for_margin(table, max(0.0, needs - free), es_rise_max=0.0), table, free)


def _proposal(book: MeasuredBook, plan: TrimPlan, table: TrimBook, free: float) -> Trims:
    return Trims(
        free,
        tuple(
            TrimRow(
                book.symbol(int(book.held[row])), lots * float(table.lot[row]), float(table.quantity[row])
            )
            for row, lots in plan.lots
        ),
        plan.margin_before,
        plan.margin_after,
        plan.es_before,
        plan.es_after,
        plan.reached,
    )
