"""Risk by factor: what the market, the sectors or the main components carry of a book's variance and P&L.

Exposures are signed market values in account currency, returns simple fractions. A factor model gives every
instrument loadings (its return per unit of factor return) and an idiosyncratic rest; everything here is that
model applied, so parts always add up to the whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firm.domain.summing import plain_sum
from firm.risk.factor_model import covariance_matrix, factor_model, require_finite

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RiskFactors:
    """Returns as loadings times factor returns, plus a rest that is each instrument's own.

    `loadings` float64[n, k], `factor_covariance` float64[k, k] and `idiosyncratic` float64[n] (standard
    deviation) are of one bar. `factor_returns` float64[days, k] are those of the days it was estimated on,
    `r_squared` float64[n] the share of each instrument's variance that the factors carry.
    """

    names: tuple[str, ...]
    loadings: Matrix
    factor_covariance: Matrix
    idiosyncratic: Vector
    factor_returns: Matrix
    r_squared: Vector

    def covariance(self) -> Matrix:
        """float64[n, n]: loadings F loadings' + diag(idiosyncratic^2)."""
        common = self.loadings @ self.factor_covariance @ self.loadings.T
        return np.asarray(0.5 * (common + common.T) + np.diag(self.idiosyncratic**2))


@dataclass(frozen=True, slots=True)
class FactorExposure:
    """What the book has in one factor: `money` is its dollar beta, `deviation` what one sd of it moves."""

    name: str
    money: float
    deviation: float


@dataclass(frozen=True, slots=True)
class VarianceShares:
    """Variance of the book's P&L (account currency squared) by factor; the parts sum to `total`.

    A factor's part is its exposure times the covariance of the factor with the book (Euler), so a factor that
    hedges another has a negative one.
    """

    total: float
    factors: tuple[tuple[str, float], ...]
    idiosyncratic: float

    def shares(self) -> dict[str, float]:
        """Each part over the total, the rest as "idiosyncratic"; all 0 for a book without variance."""
        parts = (*self.factors, ("idiosyncratic", self.idiosyncratic))
        return {name: (part / self.total if self.total > 0.0 else 0.0) for name, part in parts}


@dataclass(frozen=True, slots=True)
class PnlShares:
    """P&L of one bar (account currency, gains positive) by factor; the parts sum to `total`."""

    total: float
    factors: tuple[tuple[str, float], ...]
    idiosyncratic: float


def statistical_factors(returns: Matrix, factors: int, decay: float | None = None) -> RiskFactors:
    """The first principal components of the correlation, largest first, named PC1, PC2, ...

    Signs and order are those of `factor_model`: each component's largest entry is positive. Factor returns
    are the least-squares fit of each day's returns, in standard deviations, about a mean of zero. Components
    of equal eigenvalue have no order of their own.

    Raises
    ------
    DataError, InsufficientHistory, ValueError
        As `factor_model`.

    >>> days = np.arange(60)
    >>> market, own = np.sin(days), np.cos(3 * days)
    >>> returns = 0.01 * np.column_stack([market + 0.1 * own, 2 * market])
    >>> statistical_factors(returns, 1).names
    ('PC1',)
    """
    model = factor_model(returns, factors, decay)
    variance = np.diag(covariance_matrix(returns, decay))
    scale = np.sqrt(variance)
    fit = np.linalg.lstsq(model.loadings / scale[:, None], (returns / scale).T, rcond=None)[0]
    return RiskFactors(
        names=tuple(f"PC{number}" for number in range(1, factors + 1)),
        loadings=model.loadings,
        factor_covariance=np.eye(factors),
        idiosyncratic=model.idiosyncratic,
        factor_returns=np.ascontiguousarray(fit.T),
        r_squared=1.0 - model.idiosyncratic**2 / variance,
    )


def factor_exposures(exposures: Vector, factors: RiskFactors) -> tuple[FactorExposure, ...]:
    """What the book has in each factor, in account currency, signed: its dollar beta.

    `exposures` float64[n] are signed market values; of an option, its delta in money.

    Raises
    ------
    DataError
        If an exposure is NaN or infinite.
    ValueError
        If there is not one exposure an instrument.
    """
    _require_exposures(exposures, factors)
    money = factors.loadings.T @ exposures
    deviation = np.sqrt(np.diag(factors.factor_covariance))
    triples = zip(factors.names, money, deviation, strict=True)
    return tuple(
        FactorExposure(name, float(value), abs(float(value)) * float(sd)) for name, value, sd in triples
    )


def exposure_breaches(exposures: Sequence[FactorExposure], limits: Mapping[str, float]) -> tuple[str, ...]:
    """Which factor exposures are beyond their limit (money, either sign), in words with the numbers.

    A factor without a limit is free; a limit on a factor that is not measured is a ValueError, for it would
    never fire, and so is one that is negative or no number.
    """
    money = {exposure.name: exposure.money for exposure in exposures}
    if unknown := sorted(limits.keys() - money.keys()):
        raise ValueError(f"factor limits need measured factors ({', '.join(money)}), found {unknown}")
    if wrong := sorted(name for name, limit in limits.items() if not limit >= 0.0):
        raise ValueError(f"factor limits need to be at least 0, found others for {wrong}")
    return tuple(
        f"factor {name}: exposure {money[name]:.2f}, limit is {limit:.2f}"
        for name, limit in sorted(limits.items())
        if not abs(money[name]) <= limit
    )


def variance_shares(exposures: Vector, factors: RiskFactors) -> VarianceShares:
    """The variance of the book's P&L over one bar, by factor: see `VarianceShares`.

    Raises as `factor_exposures`.

    >>> one = np.ones((1, 1))
    >>> model = RiskFactors(("market",), 2 * one, 0.0001 * one, np.array([0.01]), one, np.array([0.8]))
    >>> variance_shares(np.array([1000.0]), model).shares()
    {'market': 0.8, 'idiosyncratic': 0.2}
    """
    _require_exposures(exposures, factors)
    money = factors.loadings.T @ exposures
    parts = money * (factors.factor_covariance @ money)
    own = float(((exposures * factors.idiosyncratic) ** 2).sum())
    named = tuple(zip(factors.names, parts.tolist(), strict=True))
    return VarianceShares(plain_sum([*parts.tolist(), own]), named, own)


def pnl_shares(exposures: Vector, returns: Vector, factors: RiskFactors, factor_returns: Vector) -> PnlShares:
    """The P&L of one bar by factor: exposure to each times its return; the rest is the instruments' own.

    Parameters
    ----------
    exposures : float64[n]
        Signed market values at the start of the bar.
    returns : float64[n]
        Simple returns of the bar.
    factors : RiskFactors
        Estimated before the bar.
    factor_returns : float64[k]
        Of the bar; a row of `RiskFactors.factor_returns` for a day of its history, or `fitted_returns`.

    Raises
    ------
    DataError
        If a number is NaN or infinite.
    ValueError
        If shapes disagree.
    """
    _require_exposures(exposures, factors)
    if returns.shape != exposures.shape or factor_returns.shape != (len(factors.names),):
        raise ValueError(
            f"a P&L by factor needs returns {exposures.shape} and factor returns ({len(factors.names)},), "
            f"found {returns.shape} and {factor_returns.shape}"
        )
    require_finite("returns", returns)
    require_finite("factor returns", factor_returns)
    parts = (factors.loadings.T @ exposures) * factor_returns
    own = float((exposures * (returns - factors.loadings @ factor_returns)).sum())
    named = tuple(zip(factors.names, parts.tolist(), strict=True))
    return PnlShares(float((exposures * returns).sum()), named, own)


def fitted_returns(returns: Vector, factors: RiskFactors) -> Vector:
    """Factor returns float64[k] that explain one bar's returns float64[n] best, weighted by their own noise.

    Instruments without noise of their own count like the least noisy that has some. Where loadings do not
    tell factors apart (market and sectors), the smallest of the best fits.
    """
    require_finite("returns", returns)
    if returns.shape != factors.idiosyncratic.shape:
        raise ValueError(
            f"a fit needs one return an instrument, found {returns.shape} for {factors.idiosyncratic.shape}"
        )
    noisy = factors.idiosyncratic[factors.idiosyncratic > 1e-12]
    noise = np.maximum(factors.idiosyncratic, float(noisy.min()) if len(noisy) else 1.0)
    return np.asarray(np.linalg.lstsq(factors.loadings / noise[:, None], returns / noise, rcond=None)[0])


def _require_exposures(exposures: Vector, factors: RiskFactors) -> None:
    if exposures.shape != (len(factors.loadings),):
        raise ValueError(
            f"exposures need one value an instrument, found {exposures.shape} for {len(factors.loadings)}"
        )
    require_finite("exposures", exposures)
