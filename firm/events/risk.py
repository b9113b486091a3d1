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
    """Risk asks for a Monte Carlo and stress run: all kernels need, so that any worker gives the same bits.

    `quantities` float64[n] signed units held; `contracts` n rows of `firm.risk_kernels.contracts.CONTRACT`;
    `loadings` float64[n, factors] and `idiosyncratic` float64[n] of log-returns over the horizon, zero for a
    contract that is no factor; row-major little-endian bytes. The stress scenarios are those of the
    configuration.
    """

    KIND: ClassVar[int] = 601
    quantities: bytes
    contracts: bytes
    loadings: bytes
    idiosyncratic: bytes
    factors: int
    degrees_of_freedom: int
    scenarios: int
    seed: int
    confidence: float
    es_confidence: float


class RiskRunCompleted(Event, frozen=True, array_like=True):
    """Monte Carlo VaR and ES of the book, positive = loss, account currency, over the run's horizon.

    `stress` has the loss of the book in each named scenario.
    """

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
    """Risk's own figures of the book before the cycle's orders, positive = loss, account currency.

    VaR at `confidence`, ES at `es_confidence`. `delta`, `gamma` and `vega` are those of `firm.risk.greeks`;
    `average_correlation` is that of all pairs measured, with the `regime` it stands for; `stressed_var` the
    parametric VaR with correlations part of the way to one; `components` (risk factor, share) add up to the
    parametric VaR. `unknown` says for each limit that lacks an input what it lacks: until it is there, the
    limit lets no new risk pass.
    """

    KIND: ClassVar[int] = 604
    historical_var: float
    historical_es: float
    parametric_var: float
    parametric_es: float
    monte_carlo_var: float
    monte_carlo_es: float
    confidence: float
    es_confidence: float
    worst_stress: str
    worst_stress_loss: float
    delta: float
    gamma: float
    vega: float
    stressed_var: float
    average_correlation: float
    regime: str
    components: tuple[tuple[int, float], ...]
    unknown: tuple[str, ...]


class RiskHaltRequested(Event, frozen=True, array_like=True):
    """Risk wants all trading stopped."""

    KIND: ClassVar[int] = 605
    reason: str
