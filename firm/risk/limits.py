"""Risk's rules: each looks at one proposed order and the book, and may object with the numbers.

A rule is asked about the book as it would be: positions, plus all approved orders that are not done, plus the
order. Three tiers: `always` binds every order; `inputs` says what must be known to measure at all; `limits`
are the figures. An order that can only reduce its position passes the second tier, and passes a limit that is
broken already: the way out of a bad book must stay open.
"""

from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import ClassVar, Final, Protocol

from msgspec.structs import replace

from firm import config
from firm.domain.position import ZERO
from firm.events.orders import Proposed
from firm.risk.book import Book
from firm.risk.history import ReturnHistory

MAGNITUDE: Final = 15
"""A quantity of 1e16 units or more is a mistake, not an order."""


class Limit(Protocol):
    """One rule. `name` is what a refusal is filed under."""

    name: ClassVar[str]

    def objection(self, order: Proposed, book: Book) -> str | None:
        """Why the order may not pass, with the numbers; None if it may."""


class OrderShape:
    """The order is of a known instrument and a positive, finite quantity."""

    name: ClassVar[str] = "order"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Limit."""
        if not 0 <= order.instrument < len(book.instruments):
            return f"order: instrument {order.instrument} is not one of the {len(book.instruments)} resolved"
        if not (order.quantity.is_finite() and order.quantity > 0 and order.quantity.adjusted() <= MAGNITUDE):
            return f"order: quantity must be positive and below 1e{MAGNITUDE + 1}, found {order.quantity}"
        return None


class TradingHalt:
    """Nothing passes while trading is halted, not even a reduction."""

    name: ClassVar[str] = "halted"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Limit."""
        del order
        return None if book.halted is None else f"trading is halted: {book.halted}"


class BrokerLink:
    """The broker is connected and reconciled: otherwise nobody knows the positions."""

    name: ClassVar[str] = "broker"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Limit."""
        del order
        return None if book.broker is None else f"broker: positions are not known: {book.broker}"


class Breaks:
    """Broker and ledger agree about the positions."""

    name: ClassVar[str] = "reconciliation"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Limit."""
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
        """See Limit."""
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


class History:
    """There are enough returns of everything held, approved and ordered."""

    name: ClassVar[str] = "history"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Limit."""
        if book.history is None:
            return f"history: {book.no_history}"
        for instrument in book.at_risk(order):
            if not book.history.measured[instrument]:
                return f"history: {book.instruments[instrument].symbol} has too few returns to be measured"
        return None


class MonteCarlo:
    """The Monte Carlo run of the book has come back in this cycle."""

    name: ClassVar[str] = "monte_carlo"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Limit."""
        del order
        return None if book.monte_carlo is not None else f"monte carlo: {book.no_monte_carlo}"


class PositionWeight:
    """One position is worth at most `limit` times equity."""

    name: ClassVar[str] = "position_weight"

    def __init__(self, limit: float) -> None:
        self._limit = limit

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Limit."""
        quantity = book.worst_quantity(order)
        weight = abs(_value(quantity, order.instrument, book)) / book.equity()
        if weight <= self._limit:
            return None
        return (
            f"position weight: would hold {quantity} {book.instruments[order.instrument].symbol}, "
            f"{weight:.6f} of equity, limit is {self._limit}"
        )


class PositionVar:
    """One position alone does not lose more than `limit` at the confidence, historical or parametric."""

    name: ClassVar[str] = "position_var"

    def __init__(self, limit: float) -> None:
        self._limit = limit

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Limit."""
        quantity = book.worst_quantity(order)
        value = _value(quantity, order.instrument, book)
        var = _history(book).position_var(order.instrument, value)
        if var <= self._limit:
            return None
        return (
            f"position VaR: would hold {quantity} {book.instruments[order.instrument].symbol} with a VaR of "
            f"{var:.2f}, limit is {self._limit:.2f}"
        )


class Leverage:
    """Gross exposure over equity is at most `limit`, whichever of the approved orders fill."""

    name: ClassVar[str] = "leverage"

    def __init__(self, limit: float) -> None:
        self._limit = limit

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Limit."""
        gross, equity = book.worst_gross(order), book.equity()
        if gross / equity <= self._limit:
            return None
        return (
            f"leverage: gross exposure would be {gross:.2f}, {gross / equity:.6f} times the equity of "
            f"{equity:.2f}, limit is {self._limit}"
        )


class PortfolioVar:
    """The book does not lose more than `limit` at the confidence, by the worst of three measures.

    Historical and parametric VaR are those of the book with all approved orders and this one filled; Monte
    Carlo VaR is that of the book before the cycle's orders.
    """

    name: ClassVar[str] = "portfolio_var"

    def __init__(self, limit: float) -> None:
        self._limit = limit

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Limit."""
        assert book.monte_carlo is not None, "portfolio VaR was asked for without a Monte Carlo run"
        history, exposures = _history(book), book.exposures(order)
        for what, var in (
            ("Monte Carlo VaR of the book now is", book.monte_carlo.var),
            ("historical VaR would be", history.historical(exposures).var),
            ("parametric VaR would be", history.parametric(exposures).var),
        ):
            if not var <= self._limit:
                return f"portfolio VaR: {what} {var:.2f}, limit is {self._limit:.2f}"
        return None


@dataclass(frozen=True, slots=True)
class Limits:
    """The firm's rules in their three tiers, each asked in the order given."""

    always: tuple[Limit, ...]
    inputs: tuple[Limit, ...]
    figures: tuple[Limit, ...]

    def objection(self, order: Proposed, book: Book) -> tuple[str, str] | None:
        """The name of the first rule that objects, and its reason; None if the order may pass."""
        for rule in self.always:
            if reason := rule.objection(order, book):
                return rule.name, reason
        reduces = book.reduces(order)
        for rule in self.inputs:
            if reason := rule.objection(order, book):
                return None if reduces else (rule.name, reason)
        for rule in self.figures:
            if reason := rule.objection(order, book):
                broken_already = rule.objection(replace(order, quantity=ZERO), book) is not None
                if not (reduces and broken_already):
                    return rule.name, reason
        return None


def limits(settings: config.Risk) -> Limits:
    """The firm's rules with the configured figures."""
    return Limits(
        always=(OrderShape(), TradingHalt(), BrokerLink()),
        inputs=(Breaks(), Marks(), History(), MonteCarlo()),
        figures=(
            PositionWeight(settings.max_position_weight),
            PositionVar(settings.max_position_var),
            Leverage(settings.max_leverage),
            PortfolioVar(settings.max_portfolio_var),
        ),
    )


def _history(book: Book) -> ReturnHistory:
    assert book.history is not None, "VaR was asked for without a history"
    return book.history


def _value(quantity: Decimal, instrument: int, book: Book) -> float:
    return float(quantity) * book.unit_value(instrument)
