"""Historical simulation: what the past days would have done to today's book, weighed and rescaled.

Three ways to make an old day count less or differently: weights that decay with age (Boudoukh, Richardson,
Whitelaw), returns rescaled to today's volatility (filtered historical simulation), and windows of several
days that overlap. Losses are positive, P&L is gains positive, returns are fractions, oldest first.
"""

from typing import Literal

import numpy as np

from firm.errors import DataError, InsufficientHistory
from firm.risk.factor_model import require_finite
from firm.risk.measure import Matrix, VarEs, Vector, require_confidence, require_tail
from firm.risk_kernels.tail import QuantileConvention, pairwise_sum, shard_tail, tail_size, var_es

WeightedRule = Literal["exceeds", "reaches"]
"""Where the tail ends: at the first loss whose cumulative weight exceeds 1 - confidence (the lower quantile,
`inverted_cdf`) or reaches it (Boudoukh, Richardson and Whitelaw). They differ if it is met exactly."""

_DECIMALS = 11
"""At which a tail mass is compared: a sum of weights is off by its rounding, never by a scenario."""


def historical_scenarios(returns: Matrix, exposures: Vector) -> Vector:
    """P&L of today's book in each past day: exposures times that day's simple returns.

    Parameters
    ----------
    returns : float64[days, n]
        Simple returns, oldest first.
    exposures : float64[n]
        Signed market value in account currency.

    Returns
    -------
    float64[days]
        P&L in account currency, gains positive; summed in a fixed tree, not by BLAS.

    Raises
    ------
    DataError
        If a value is NaN or infinite.
    ValueError
        If shapes disagree.

    >>> historical_scenarios(np.array([[0.01, -0.02], [0.0, 0.03]]), np.array([1000.0, -500.0]))
    array([ 20., -15.])
    """
    if returns.ndim != 2 or exposures.shape != returns.shape[1:]:
        raise ValueError(
            f"returns (days, n) and exposures (n,) need the same n, found {returns.shape}, {exposures.shape}"
        )
    require_finite("returns", returns)
    require_finite("exposures", exposures)
    return np.asarray(pairwise_sum(np.ascontiguousarray((returns * exposures).T)))


def historical_var(pnl: Vector, confidence: float, convention: QuantileConvention = "inverted_cdf") -> VarEs:
    """VaR and ES of equally likely scenarios: past days (historical simulation) or simulated ones.

    The empirical quantile itself: no interpolation. Conventions and formulas: `firm.risk_kernels.tail`.

    Parameters
    ----------
    pnl : float64[scenarios]
        P&L in account currency, gains positive.
    confidence : float
        Strictly between 0 and 1, e.g. 0.99.

    Raises
    ------
    DataError
        If a P&L is NaN or infinite.
    InsufficientHistory
        If there are fewer than 1 / (1 - confidence) scenarios: the tail would be less than one scenario.

    Source
    ------
    McNeil, Frey and Embrechts, Quantitative Risk Management (2015), section 9.2.3.

    >>> historical_var(np.array([-0.02, 0.005, -0.01, 0.015]), confidence=0.75)
    VarEs(var=0.01, es=0.02)
    """
    require_confidence(confidence)
    _require_scenarios(pnl)
    require_tail(len(pnl), confidence)
    tail = shard_tail(pnl, 0, tail_size(len(pnl), confidence))
    return VarEs(*var_es(tail, len(pnl), confidence, convention))


def age_weights(days: int, decay: float) -> Vector:
    """Weights decay^(age) (1 - decay) / (1 - decay^days), oldest first, age 0 the newest: their sum is 1.

    Raises
    ------
    ValueError
        If there are no days or `decay` is not in (0, 1); equal weights are `historical_var`.

    Source
    ------
    Boudoukh, Richardson and Whitelaw, The best of both worlds (Risk, May 1998).

    >>> float(age_weights(500, 0.995)[493].round(5))
    0.00528
    """
    if days < 1 or not 0.0 < decay < 1.0:
        raise ValueError(f"age weights need days >= 1 and decay in (0, 1), found {days} and {decay}")
    ages = np.arange(days - 1, -1, -1, dtype=np.float64)
    return np.asarray(decay**ages * ((1.0 - decay) / (1.0 - decay**days)))


def effective_scenarios(weights: Vector) -> float:
    """How many equally likely scenarios are worth as much as these: 1 / sum of squares of weights of sum 1.

    >>> effective_scenarios(np.full(8, 0.125))
    8.0
    """
    _require_weights(weights)
    return 1.0 / float(pairwise_sum(weights * weights))


def weighted_var(pnl: Vector, weights: Vector, confidence: float, rule: WeightedRule = "exceeds") -> VarEs:
    """VaR and ES of scenarios of unequal probability: by age, or by likelihood ratio.

    Losses are sorted worst first, ties by scenario index; VaR is the first at which the cumulative weight is
    beyond 1 - confidence, see `WeightedRule`. ES fills the tail to exactly 1 - confidence. With equal weights
    both are those of `historical_var`.

    Parameters
    ----------
    pnl, weights : float64[scenarios]
        P&L in account currency, gains positive; weights at least 0, summing to 1.

    Raises
    ------
    DataError
        If a number is NaN or infinite, a weight is negative, or the weights do not sum to 1.
    InsufficientHistory
        As `historical_var`. That a few heavy days may carry the tail is `effective_scenarios`' to say.
    ValueError
        If shapes disagree or there is no such rule.

    Source
    ------
    Hull, Risk Management and Financial Institutions (2015), section 13.3.

    >>> weighted_var(np.array([-5.0, 1.0, -3.0, 2.0]), np.array([0.1, 0.4, 0.2, 0.3]), 0.75)
    VarEs(var=3.0, es=3.8)
    """
    require_confidence(confidence)
    _require_scenarios(pnl)
    _require_weights(weights)
    if weights.shape != pnl.shape:
        raise ValueError(f"weights need the shape of the P&L, found {weights.shape} and {pnl.shape}")
    if rule not in ("exceeds", "reaches"):
        raise ValueError(f"a weighted tail ends where its weight exceeds or reaches it, found {rule}")
    require_tail(len(pnl), confidence)
    worst = np.argsort(pnl, kind="stable")
    losses, weight = -pnl[worst], weights[worst]
    cumulative = np.cumsum(weight)
    tail = round(1.0 - confidence, 15)
    side: Literal["left", "right"] = "right" if rule == "exceeds" else "left"
    first = np.searchsorted(np.round(cumulative, _DECIMALS), round(tail, _DECIMALS), side)
    at = min(int(first), len(losses) - 1)
    before = float(cumulative[at - 1]) if at else 0.0
    filled = float(pairwise_sum(losses[:at] * weight[:at])) + (tail - before) * float(losses[at])
    # rounding may not turn a tail of equal losses into an ES below its VaR
    return VarEs(float(losses[at]), max(filled / tail, float(losses[at])))


def age_weighted_var(pnl: Vector, confidence: float, decay: float, rule: WeightedRule = "exceeds") -> VarEs:
    """VaR and ES of past days, oldest first, whose probability decays with age: see `weighted_var`.

    >>> round(age_weighted_var(np.array([-9.0, -2.0, 1.0, -4.0]), confidence=0.7, decay=0.5).es, 4)
    5.1111
    """
    return weighted_var(pnl, age_weights(len(pnl), decay), confidence, rule)


def filtered_returns(returns: Matrix, deviations: Matrix) -> Matrix:
    """Past returns as they would be at the volatility of tomorrow: r_t / sigma_t times sigma_(T+1).

    Every factor is rescaled by its own volatility and a day stays a day, so that what moved together still
    does. Feed the result to `historical_scenarios`.

    Parameters
    ----------
    returns : float64[days, n]
        Simple returns, oldest first.
    deviations : float64[days + 1, n]
        Standard deviation forecast for each day from the days before it, tomorrow's last: what
        `firm.risk.volatility.VolatilityFilter.deviations` returns.

    Returns
    -------
    float64[days, n]

    Raises
    ------
    DataError
        If a value is NaN or infinite, or a deviation is not above 0 (a stale price, not a safe one).
    ValueError
        If shapes disagree.

    Source
    ------
    Hull and White, Incorporating volatility updating into the historical simulation method (1998);
    Barone-Adesi, Giannopoulos and Vosper, VaR without correlations for portfolios of derivative
    securities (1999).

    >>> filtered_returns(np.array([[0.01], [-0.02]]), np.array([[0.01], [0.01], [0.03]]))
    array([[ 0.03],
           [-0.06]])
    """
    if returns.ndim != 2 or deviations.shape != (len(returns) + 1, returns.shape[1]):
        raise ValueError(
            "returns (days, n) need deviations of the shape (days + 1, n), tomorrow's last; "
            f"found {returns.shape} and {deviations.shape}"
        )
    require_finite("returns", returns)
    require_finite("deviations", deviations)
    if float(deviations.min()) <= 0.0:
        still = np.flatnonzero((deviations <= 0.0).any(axis=0))
        raise DataError(
            f"rescaling needs deviations above 0, found {float(deviations.min())} in columns "
            f"{still.tolist()}; their prices are stale: repair or exclude them"
        )
    return np.asarray(returns / deviations[:-1] * deviations[-1])


def overlapping_returns(returns: Matrix, days: int) -> Matrix:
    """Simple returns over every window of `days` successive days: products of 1 + r, minus 1.

    Windows that share days are not independent: of d days only floor(d / days) are, so a VaR of them is
    less certain than its count of scenarios suggests.

    Parameters
    ----------
    returns : float64[d, n]
        Simple one-day returns, oldest first, above -1.
    days : int
        1 .. d.

    Returns
    -------
    float64[d - days + 1, n]

    Raises
    ------
    DataError
        If a return is NaN, infinite or below -1.
    InsufficientHistory
        If there are fewer than `days` returns.

    >>> overlapping_returns(np.array([[0.1], [0.0], [-0.5]]), days=2).round(12)
    array([[ 0.1],
           [-0.5]])
    """
    if returns.ndim != 2 or days < 1:
        raise ValueError(f"windows need returns (d, n) and days >= 1, found {returns.shape} and {days}")
    require_finite("returns", returns)
    if returns.size and float(returns.min()) < -1.0:
        raise DataError(f"simple returns need to be at least -1, found {float(returns.min())}")
    windows = len(returns) - days + 1
    if windows < 1:
        raise InsufficientHistory(
            f"a window of {days} days needs as many returns, found {len(returns)}; load more history"
        )
    growth = np.ones((windows, returns.shape[1]))
    for offset in range(days):
        growth = growth * (1.0 + returns[offset : offset + windows])
    return np.asarray(growth - 1.0)


def independent_windows(returns: int, days: int) -> int:
    """How many of the overlapping windows of `days` days share no day.

    >>> independent_windows(501, 10)
    50
    """
    return returns // days


def _require_scenarios(pnl: Vector) -> None:
    if pnl.ndim != 1:
        raise ValueError(f"P&L needs to be a vector, one value a scenario, found shape {pnl.shape}")
    require_finite("P&L", pnl)


def _require_weights(weights: Vector) -> None:
    if weights.ndim != 1 or not len(weights):
        raise ValueError(f"weights need to be a vector, one a scenario, found shape {weights.shape}")
    require_finite("weights", weights)
    total = float(pairwise_sum(weights))
    if float(weights.min()) < 0.0 or abs(total - 1.0) > 1e-9:
        raise DataError(
            f"weights need to be at least 0 and sum to 1, found a lowest of {float(weights.min())} and "
            f"a sum of {total}"
        )
