"""What it costs, and how long it takes, to get out: spread, days to liquidate, market impact.

Adds to a VaR of mid prices what a seller does not get: half the spread on a bad day (Bangia and others), a
longer horizon for what cannot be sold in one, and the impact of one's own orders (Almgren and Chriss).
"""

from dataclasses import dataclass
from math import acosh, ceil, sqrt
from statistics import NormalDist

import numpy as np

from firm.errors import DataError
from firm.risk.factor_model import require_finite
from firm.risk.measure import Matrix, VarEs, Vector, require_confidence, require_numbers
from firm.risk.parametric import book_deviation, normal_var

LIQUIDATION_DAYS_MAX = 2_520
"""Ten years of days: a position that takes longer is not liquid at any horizon, and is refused."""


def spread_cost(exposures: Vector, spread: Vector, deviation: Vector, severity: float = 3.0) -> float:
    """Cost of closing a book at half of a bad day's spread: sum |exposure| (spread + severity deviation) / 2.

    Parameters
    ----------
    exposures : float64[n]
        Signed market value in account currency.
    spread, deviation : float64[n]
        Mean and standard deviation of the relative spread (ask - bid) / mid, at least 0.
    severity : float
        Deviations from mean to 99th percentile of the spread: 2 to 4.5, spreads being far from normal.

    Returns
    -------
    float
        Account currency, to be added to VaR and to ES: spreads are wide when prices fall.

    Raises
    ------
    DataError
        If a value is NaN, infinite or negative: a spread nobody knows is no spread of 0.
    ValueError
        If shapes disagree.

    Source
    ------
    Bangia, Diebold, Schuermann and Stroughair, Liquidity on the outside (Risk, June 1999).

    >>> spread_cost(np.array([-1e6]), np.array([0.002]), np.array([0.001]))
    2500.0
    """
    if exposures.ndim != 1 or spread.shape != exposures.shape or deviation.shape != exposures.shape:
        raise ValueError(
            f"a spread cost needs one spread and deviation an exposure, found {exposures.shape}, "
            f"{spread.shape}, {deviation.shape}"
        )
    require_finite("exposures", exposures)
    _require_at_least_zero("spreads", spread)
    _require_at_least_zero("deviations of spreads", deviation)
    require_numbers("a spread cost", lowest=0.0, severity=severity)
    return 0.5 * float(np.sum(np.abs(exposures) * (spread + severity * deviation)))


def liquidity_adjusted(market: VarEs, cost: float) -> VarEs:
    """VaR and ES of prices with a cost of liquidation in account currency, at least 0, added to both.

    >>> liquidity_adjusted(VarEs(100.0, 130.0), 25.0)
    VarEs(var=125.0, es=155.0)
    """
    require_numbers("liquidity adjustment", lowest=0.0, cost=cost)
    return VarEs(market.var + cost, market.es + cost)


def days_to_liquidate(quantities: Vector, daily_volumes: Vector, participation: float) -> Vector:
    """Trading days to close each position without being more than this share of the volume; 0 if flat.

    Parameters
    ----------
    quantities, daily_volumes : float64[n]
        Signed position and average daily volume, in the same units (shares, contracts).
    participation : float
        Share of a day's volume we may be, in (0, 1].

    Raises
    ------
    DataError
        If a value is NaN or infinite, a volume negative, or 0 where there is a position.
    ValueError
        If shapes disagree or the participation is out of bounds.

    >>> days_to_liquidate(np.array([-5e4, 0.0]), np.array([1e5, 0.0]), participation=0.2)
    array([2.5, 0. ])
    """
    if quantities.ndim != 1 or daily_volumes.shape != quantities.shape or not 0.0 < participation <= 1.0:
        raise ValueError(
            "days to liquidate need one volume a position and participation in (0, 1], found "
            f"{quantities.shape}, {daily_volumes.shape}, {participation}"
        )
    require_finite("quantities", quantities)
    _require_at_least_zero("daily volumes", daily_volumes)
    held = quantities != 0.0
    if np.any(held & (daily_volumes == 0.0)):
        columns = np.flatnonzero(held & (daily_volumes == 0.0)).tolist()
        raise DataError(f"a position needs a daily volume above 0 to be sold, found 0 in columns {columns}")
    days = np.zeros(len(quantities))
    days[held] = np.abs(quantities[held]) / (participation * daily_volumes[held])
    return days


def liquidation_factor(days: float) -> float:
    """VaR of a position sold in equal parts over `days`, over its one-day VaR.

    With n = ceil(days) the risk of day k is of what is still held, (n - k + 1) / n: the factor is
    sqrt((n + 1) (2 n + 1) / (6 n)), 1 for a position sold within a day. Days uncorrelated.

    Raises DataError if days is negative, not finite, or above `LIQUIDATION_DAYS_MAX`.

    Source: Dowd, Measuring Market Risk (2005), chapter 14.

    >>> liquidation_factor(0.3), round(liquidation_factor(10.0), 4)
    (1.0, 1.9621)
    """
    n = _whole_days(np.array([days]))[0]
    return sqrt((n + 1.0) * (2.0 * n + 1.0) / (6.0 * n))


def liquidation_var(covariance: Matrix, exposures: Vector, days: Vector, confidence: float) -> VarEs:
    """Delta-normal VaR and ES of a book sold in equal parts, each position over its own days.

    Day k carries the book still held that day; days are uncorrelated, so variances add. A position that
    hedges another and sells faster leaves it bare: this can exceed any one horizon's figure.

    Parameters
    ----------
    covariance : float64[n, n]
        Of one-day returns.
    exposures : float64[n]
        Signed market value in account currency.
    days : float64[n]
        What `days_to_liquidate` says.

    Raises
    ------
    DataError
        As `parametric_var` and `liquidation_factor`.
    ValueError
        If shapes disagree or confidence is not in (0, 1).

    >>> one = liquidation_var(np.array([[0.0004]]), np.array([1e6]), np.array([10.0]), 0.99)
    >>> round(one.var), round(46526.9574 * liquidation_factor(10.0))
    (91292, 91292)
    """
    if days.shape != exposures.shape:
        raise ValueError(f"each exposure needs its days, found {exposures.shape} and {days.shape}")
    whole = _whole_days(days)
    variance = 0.0
    for day in range(int(whole.max(initial=1.0))):
        held = np.maximum(1.0 - day / whole, 0.0)
        variance += book_deviation(covariance, exposures * held) ** 2
    return normal_var(sqrt(variance), confidence)


@dataclass(frozen=True, slots=True)
class MarketImpact:
    """How prices react to us, linearly; prices in account currency, quantities in shares, time in days.

    `volatility` is the deviation of the price over a day, `permanent` (gamma) moves the price for good, per
    share; each trade pays `fixed` (epsilon: half spread and fees) per share and `temporary` (eta) per share
    per day of speed.
    """

    volatility: float
    permanent: float
    temporary: float
    fixed: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Liquidation:
    """A schedule: `holdings` float64[periods + 1] in shares, first the whole, last 0; costs are money.

    `urgency` (kappa) is per day: the position falls by about 1/e in 1/kappa days; 0 is a straight line.
    """

    holdings: Vector
    expected_cost: float
    variance: float
    urgency: float

    def cost_at_risk(self, confidence: float) -> float:
        """The cost that is not exceeded at this confidence, if price moves are normal: E + z sqrt(V)."""
        require_confidence(confidence)
        return self.expected_cost + NormalDist().inv_cdf(confidence) * sqrt(self.variance)


def almgren_chriss(
    shares: float, days: float, periods: int, impact: MarketImpact, risk_aversion: float = 0.0
) -> Liquidation:
    """The schedule that minimises expected cost + risk aversion times variance, selling in `periods` steps.

    With tau = days / periods and eta' = eta - gamma tau / 2: holdings go as sinh(kappa (T - t)), where
    cosh(kappa tau) = 1 + lambda sigma^2 tau^2 / (2 eta').

    Parameters
    ----------
    shares : float
        To sell, above 0 (a short position to buy back costs the same).
    risk_aversion : float
        lambda, per unit of account currency; 0 sells in equal parts.

    Raises
    ------
    DataError
        If a number is not finite or below its bound, or eta' is not above 0 (temporary impact too small
        against permanent for steps this long).

    Source
    ------
    Almgren and Chriss, Optimal execution of portfolio transactions (2000).

    >>> impact = MarketImpact(volatility=0.95, permanent=2.5e-7, temporary=2.5e-6, fixed=0.0625)
    >>> round(almgren_chriss(1e6, 5.0, 5, impact).expected_cost)
    662500
    """
    require_numbers("a liquidation", lowest=0.0, volatility=impact.volatility, permanent=impact.permanent)
    require_numbers("a liquidation", lowest=0.0, temporary=impact.temporary, fixed=impact.fixed)
    require_numbers("a liquidation", lowest=0.0, shares=shares, days=days, risk_aversion=risk_aversion)
    if not days > 0.0 or periods < 1:
        raise DataError(f"a liquidation needs days above 0 and periods >= 1, found {days} and {periods}")
    tau = days / periods
    effective = impact.temporary - 0.5 * impact.permanent * tau
    if not effective > 0.0:
        raise DataError(
            f"a liquidation needs temporary impact above permanent * tau / 2, found {impact.temporary} and "
            f"{0.5 * impact.permanent * tau}; use more periods"
        )
    urgency = acosh(1.0 + 0.5 * risk_aversion * (impact.volatility * tau) ** 2 / effective) / tau
    left = np.linspace(1.0, 0.0, periods + 1)
    reach = urgency * days
    if reach > 1e-6:  # sinh(reach left) / sinh(reach), without its overflow
        left = np.exp(reach * (left - 1.0)) * np.expm1(-2.0 * reach * left) / np.expm1(-2.0 * reach)
    holdings = shares * left
    sold = -np.diff(holdings)
    cost = 0.5 * impact.permanent * shares**2 + impact.fixed * shares
    return Liquidation(
        holdings=np.asarray(holdings),
        expected_cost=cost + effective / tau * float(np.sum(sold**2)),
        variance=impact.volatility**2 * tau * float(np.sum(holdings[1:] ** 2)),
        urgency=urgency,
    )


@dataclass(frozen=True, slots=True)
class ImpactCost:
    """Of one order, as fractions of its value: `permanent`, `temporary`, and the `expected` cost of both."""

    permanent: float
    temporary: float
    expected: float


def power_law_impact(
    volatility: float, volume_share: float, days: float, turnover_days: float, exponent: float = 0.600
) -> ImpactCost:
    """Cost of an order traded evenly over `days`, with the coefficients measured on US equities.

    Permanent I = 0.314 sigma (X/V) (Theta/V)^(1/4); temporary = 0.142 sigma (X/(V T))^exponent; the order
    pays I/2 and the temporary part.

    Parameters
    ----------
    volatility : float
        sigma, deviation of a day's return (0.0157 is 1.57 %); the results are in the same unit.
    volume_share : float
        X/V: the order over an average day's volume.
    days : float
        T, in days of average volume, above 0.
    turnover_days : float
        Theta/V: shares outstanding over an average day's volume.

    Raises
    ------
    DataError
        If a number is not finite or below its bound.

    Source
    ------
    Almgren, Thum, Hauptmann and Li, Direct estimation of equity market impact (2005).

    >>> round(power_law_impact(157.0, 0.1, 0.2, 263.0).expected)
    25
    """
    require_numbers("impact", lowest=0.0, volatility=volatility, volume_share=volume_share)
    require_numbers("impact", lowest=0.0, days=days, turnover_days=turnover_days, exponent=exponent)
    if not days > 0.0:
        raise DataError(f"impact needs days above 0, found {days}")
    permanent = 0.314 * volatility * volume_share * turnover_days**0.25
    temporary = 0.142 * volatility * (volume_share / days) ** exponent
    return ImpactCost(permanent, temporary, 0.5 * permanent + temporary)


def _whole_days(days: Vector) -> Vector:
    _require_at_least_zero("days to liquidate", days)
    if days.size and float(days.max()) > LIQUIDATION_DAYS_MAX:
        raise DataError(
            f"a liquidation needs at most {LIQUIDATION_DAYS_MAX} days, found {float(days.max()):.6g}; the "
            "position is not liquid: cut it, or allow a larger share of the volume"
        )
    return np.array([max(ceil(value), 1) for value in days.tolist()], dtype=np.float64)


def _require_at_least_zero(name: str, values: Vector) -> None:
    require_finite(name, values)
    if values.size and float(values.min()) < 0.0:
        raise DataError(f"{name} need to be at least 0, found {float(values.min())}")
