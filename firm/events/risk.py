"""Books and risk: what we hold, what it is worth, what it could lose."""

from decimal import Decimal
from typing import ClassVar

from firm.events.base import Event


class PositionChanged(Event, frozen=True, array_like=True):
    """The bookkeeper's truth after a fill: signed quantity, average price, realised P&L before fees."""

    KIND: ClassVar[int] = 611
    instrument: int
    quantity: Decimal
    average_price: Decimal
    realized_pnl: Decimal
    cash: Decimal


class BookMarked(Event, frozen=True, array_like=True):
    """The book at the mids of the moment, account currency; `prices` follows the instruments' index."""

    KIND: ClassVar[int] = 612
    cash: Decimal
    equity: Decimal
    gross_exposure: Decimal
    net_exposure: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    commissions: Decimal
    quantities: tuple[Decimal, ...]
    prices: tuple[Decimal, ...]


class RiskRunRequested(Event, frozen=True, array_like=True):
    """Risk asks for a Monte Carlo run: everything the kernels need, so that any worker gives the same bits.

    `exposures` float64[n] signed market values in account currency; `loadings` float64[n, factors] and
    `idiosyncratic` float64[n] of log-returns over the horizon; row-major little-endian bytes.
    """

    KIND: ClassVar[int] = 601
    exposures: bytes
    loadings: bytes
    idiosyncratic: bytes
    factors: int
    degrees_of_freedom: int
    scenarios: int
    seed: int
    confidence: float


class RiskRunCompleted(Event, frozen=True, array_like=True):
    """Monte Carlo VaR and ES of the book, positive = loss, account currency, over the run's horizon."""

    KIND: ClassVar[int] = 602
    request_seq: int
    scenarios: int
    var: float
    es: float
    worst: float
    stress: tuple[tuple[str, float], ...]


class RiskRunFailed(Event, frozen=True, array_like=True):
    """Timing fact: the run did not come back in time, or failed. No new risk in this cycle."""

    KIND: ClassVar[int] = 603
    request_seq: int
    reason: str


class RiskMeasured(Event, frozen=True, array_like=True):
    """Risk's own figures of the book before the cycle's orders, positive = loss, account currency."""

    KIND: ClassVar[int] = 604
    historical_var: float
    historical_es: float
    parametric_var: float
    parametric_es: float
    monte_carlo_var: float
    monte_carlo_es: float
    confidence: float


class RiskHaltRequested(Event, frozen=True, array_like=True):
    """Risk wants all trading stopped."""

    KIND: ClassVar[int] = 605
    reason: str
