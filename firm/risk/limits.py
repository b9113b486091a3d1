"""Risk's rules: each looks at one proposed order and the book, and may object with the numbers.

A rule is asked about the book as it would be: positions, plus all approved orders that are not done, plus the
order. Three tiers: `always` is asked of every order; `inputs` says what must be known to measure at all;
`figures` are the limits. Whatever depends on it is asked twice: with everything approved filled, and with
nothing of it, since a hedge that was approved may never happen. An order that can only reduce its position
passes the second tier, and passes a limit that is broken already unless it makes that worse: the way out of a
bad book must stay open, but taking the hedge off is not the way out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, Final, Protocol

from msgspec.structs import replace

from firm import config
from firm.domain.position import ZERO
from firm.events.orders import Proposed
from firm.risk.book import Book
from firm.risk.fed_figures import DaysToLiquidate, MarginHeadroom, SectorWeight, StressLoss
from firm.risk.figures import (
    FactorLoss,
    Figure,
    Leverage,
    NetLeverage,
    PortfolioEs,
    PortfolioVar,
    PositionVar,
    PositionWeight,
    Sensitivity,
)
from firm.risk.measures import Measures
from firm.risk.opening_rules import LiveData, OpenGate
from firm.risk.would_be import WouldBe

MAGNITUDE: Final = 15
"""A quantity of 1e16 units or more is a mistake, not an order."""


class Rule(Protocol):
    """One rule. `name` is what a refusal is filed under."""

    name: ClassVar[str]

    def objection(self, order: Proposed, book: Book) -> str | None:
        """Why the order may not pass, with the numbers; None if it may."""


class OrderShape:
    """The order is of a known instrument and a positive, finite quantity."""

    name: ClassVar[str] = "order"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Rule."""
        if not 0 <= order.instrument < len(book.instruments):
            return f"order: instrument {order.instrument} is not one of the {len(book.instruments)} resolved"
        if not (order.quantity.is_finite() and order.quantity > 0 and order.quantity.adjusted() <= MAGNITUDE):
            return f"order: quantity must be positive and below 1e{MAGNITUDE + 1}, found {order.quantity}"
        return None


class TradingHalt:
    """Nothing passes while trading is halted, not even a reduction."""

    name: ClassVar[str] = "halted"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Rule."""
        del order
        return None if book.halted is None else f"trading is halted: {book.halted}"


class BrokerLink:
    """The broker is connected and reconciled: otherwise nobody knows the positions."""

    name: ClassVar[str] = "broker"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Rule."""
        del order
        return None if book.broker is None else f"broker: positions are not known: {book.broker}"


class Breaks:
    """Broker and ledger agree about the positions."""

    name: ClassVar[str] = "reconciliation"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Rule."""
        del order
        if not book.breaks:
            return None
        return (
            f"reconciliation: {len(book.breaks)} unresolved breaks with the broker, first: {book.breaks[0]}"
        )


class Marks:
    """The book was marked at this decision, the instrument has a price, and equity is positive."""

    name: ClassVar[str] = "marks"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Rule."""
        if book.mark is None:
            return (
                "marks: the book was not marked at this decision: cash or the price of a position is unknown"
            )
        equity = book.equity()
        if not (isfinite(equity) and equity > 0):
            return f"marks: equity must be positive to measure an order against it, found {equity:.2f}"
        for instrument in book.at_risk(order):
            if not book.unit_value(instrument) > 0:
                return f"marks: {book.instruments[instrument].symbol} has no price"
        return None


class Measurable:
    """Everything held, approved and ordered has enough returns and a value."""

    name: ClassVar[str] = "history"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Rule."""
        if book.measures is None:
            return f"history: {book.no_measures}"
        for instrument in book.at_risk(order):
            if not book.measures.valued[instrument]:
                symbol = book.instruments[instrument].symbol
                return f"history: {symbol} {_lacks(book.measures, book, instrument)}"
        return None


def _lacks(measures: Measures, book: Book, index: int) -> str:
    instrument = book.instruments[index]
    mover = instrument.underlying if instrument.underlying >= 0 else index
    if not measures.history.measured[mover]:
        return "has too few returns to be measured"
    return (
        "has no value: it needs a price in the account's currency, an option also time to its expiry, its "
        "underlying's price and a volatility that its own price implies"
    )


class MonteCarlo:
    """The Monte Carlo run of the book has come back in this cycle."""

    name: ClassVar[str] = "monte_carlo"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Rule."""
        del order
        return None if book.simulated is not None else f"monte carlo: {book.no_simulated}"


@dataclass(frozen=True, slots=True)
class Limits:
    """The firm's rules in their three tiers, each asked in the order given."""

    always: tuple[Rule, ...]
    inputs: tuple[Rule, ...]
    figures: tuple[Figure, ...]
    var: config.Var

    def objection(self, order: Proposed, book: Book) -> tuple[str, str] | None:
        """The name of the first rule that objects, and its reason; None if the order may pass."""
        for rule in self.always:
            if reason := rule.objection(order, book):
                return rule.name, reason
        reduces = book.reduces(order)
        for rule in self.inputs:
            if reason := rule.objection(order, book):
                return None if reduces else (rule.name, reason)
        for filled in (True, False) if book.approvals else (True,):
            would = self._would(book, order, filled)
            as_it_is = self._would(book, replace(order, quantity=ZERO), filled)
            for figure in self.figures:
                if figure.whatever_fills and not filled:
                    continue
                reason = figure.objection(would)
                if reason is None:
                    continue
                broken_already = figure.objection(as_it_is) is not None
                if not (reduces and broken_already and figure.level(would) <= figure.level(as_it_is)):
                    return figure.name, reason
        return None

    def unknown(self, book: Book) -> tuple[str, ...]:
        """What the figures lack, one sentence for each that cannot be measured."""
        return tuple(reason for figure in self.figures if (reason := figure.missing(book)) is not None)

    def _would(self, book: Book, order: Proposed, approved_fill: bool) -> WouldBe:
        levels = self.var.confidence, self.var.es_confidence
        return WouldBe(book, order, *levels, self.var.horizon_bars, approved_fill=approved_fill)


def limits(settings: config.Risk, reference: Mapping[str, config.Reference]) -> Limits:
    """The firm's rules with the configured figures; `reference` by symbol."""
    greeks = settings.greeks
    return Limits(
        always=(OrderShape(), TradingHalt(), BrokerLink(), OpenGate(), LiveData()),
        inputs=(Breaks(), Marks(), Measurable(), MonteCarlo()),
        figures=(
            PositionWeight(settings.max_position_weight),
            DaysToLiquidate(
                settings.liquidity, {name: known.average_daily_volume for name, known in reference.items()}
            ),
            PositionVar(settings.max_position_var),
            Leverage(settings.max_leverage),
            NetLeverage(settings.max_net_leverage),
            SectorWeight(
                settings.max_sector_weight, {name: known.sector for name, known in reference.items()}
            ),
            FactorLoss(settings.max_factor_loss),
            PortfolioVar(settings.max_portfolio_var),
            PortfolioEs(settings.max_portfolio_es),
            Sensitivity("delta", greeks.max_delta),
            Sensitivity("gamma", greeks.max_gamma),
            Sensitivity("vega", greeks.max_vega),
            StressLoss(settings.stress.max_loss),
            MarginHeadroom(settings.margin),
        ),
        var=settings.var,
    )
