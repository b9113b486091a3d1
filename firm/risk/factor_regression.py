"""Named factors: loadings on factor returns that are given, or on the market and the sectors of the book.

Returns are simple fractions, float64[days, n], oldest first. See `firm.risk.risk_factors` for what the models
are used for.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from firm.errors import DataError, InsufficientHistory
from firm.risk.factor_model import MINIMUM_DAYS, covariance_matrix
from firm.risk.risk_factors import RiskFactors

Matrix = npt.NDArray[np.float64]


def regressed_factors(returns: Matrix, factor_returns: Matrix, names: Sequence[str]) -> RiskFactors:
    """Loadings on factors whose returns are given, each instrument regressed on all of them and a constant.

    Parameters
    ----------
    returns : float64[days, n]
        Simple returns of the instruments, oldest first.
    factor_returns : float64[days, k]
        Of the factors, the same days: fractions, or whatever unit an exposure should be per.
    names : k names, each once.

    Raises
    ------
    DataError
        If a number is NaN or infinite, an instrument or factor never moves, or one factor is a combination
        of others (their effects could not be told apart).
    InsufficientHistory
        If there are fewer than MINIMUM_DAYS days, or not ten for each factor.
    ValueError
        If shapes disagree or names repeat.

    Source
    ------
    McNeil, Frey and Embrechts, Quantitative Risk Management (2015), section 6.4.1.

    >>> market = 0.01 * np.sin(np.arange(40.0))
    >>> own = 0.0001 * np.cos(7 * np.arange(40.0))
    >>> model = regressed_factors(np.column_stack([1.5 * market + own]), market[:, None], ["market"])
    >>> float(model.loadings[0, 0].round(2))
    1.5
    """
    _require_names(names, factor_returns)
    if len(returns) != len(factor_returns):
        raise ValueError(
            f"a regression needs the same days of both, found {len(returns)} of returns and "
            f"{len(factor_returns)} of factors"
        )
    variance = np.diag(covariance_matrix(returns))
    spread = covariance_matrix(factor_returns)
    days, k = factor_returns.shape
    if days < 10 * k:
        raise InsufficientHistory(f"{k} factors need {10 * k} daily returns, found {days}; load more history")
    scale = np.sqrt(np.diag(spread))
    standard = (factor_returns - factor_returns.mean(axis=0)) / scale
    singular_values = np.linalg.svd(standard, compute_uv=False)
    if singular_values[-1] < 1e-8 * singular_values[0]:
        raise DataError(
            f"factors need to be independent, found a combination of {', '.join(names)} that does not move "
            f"(singular values {singular_values[0]:.3g} to {singular_values[-1]:.3g}); drop one of them"
        )
    centred = returns - returns.mean(axis=0)
    betas = np.linalg.lstsq(standard, centred, rcond=None)[0]
    rest = centred - standard @ betas
    residual = (rest**2).sum(axis=0)
    return RiskFactors(
        names=tuple(names),
        loadings=np.ascontiguousarray((betas / scale[:, None]).T),
        factor_covariance=spread,
        idiosyncratic=np.sqrt(residual / (days - 1)),
        factor_returns=factor_returns.copy(),
        r_squared=1.0 - residual / (days - 1) / variance,
    )


def sector_factors(returns: Matrix, sectors: Sequence[str]) -> RiskFactors:
    """A market and one factor a sector, without outside data: every instrument has 1 of each of its two.

    The market is the mean return of all instruments, a sector's the mean of its own less the market; weighted
    by their sizes the sectors sum to zero, which tells market and sectors apart. The rest of an instrument is
    its return less its sector's mean, nothing if it is alone in it.

    Parameters
    ----------
    returns : float64[days, n]
        Simple returns, oldest first.
    sectors : n names.

    Raises
    ------
    DataError, InsufficientHistory
        As `covariance_matrix`.
    ValueError
        If there is not one sector an instrument, or a sector has no name or is called market.

    Source
    ------
    Heston and Rouwenhorst, Does industrial structure explain the benefits of international diversification?,
    J. Financial Economics 36 (1994): dummy variables with the constraint above, equally weighted.

    >>> days = np.arange(40.0)
    >>> returns = 0.01 * np.column_stack([np.sin(days), np.cos(days), np.sin(3 * days)])
    >>> sector_factors(returns, ["tech", "tech", "oil"]).loadings.tolist()
    [[1.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    """
    variance = np.diag(covariance_matrix(returns))
    if len(sectors) != returns.shape[1]:
        raise ValueError(f"sectors need one an instrument, found {len(sectors)} for {returns.shape[1]}")
    labels = sorted(set(sectors))
    if "market" in labels or "" in labels:
        raise ValueError(f"sectors need names other than 'market' and '', found {labels}")
    member = np.array([[float(sector == label) for label in labels] for sector in sectors])
    means = returns @ (member / member.sum(axis=0))
    market = returns.mean(axis=1)
    series = np.column_stack([market, means - market[:, None]])
    loadings = np.column_stack([np.ones(len(sectors)), member])
    rest = returns - series @ loadings.T
    centred = series - series.mean(axis=0)
    spread = centred.T @ centred / (len(series) - 1)
    own = rest.var(axis=0, ddof=1)
    return RiskFactors(
        names=("market", *labels),
        loadings=loadings,
        factor_covariance=0.5 * (spread + spread.T),
        idiosyncratic=np.sqrt(own),
        factor_returns=series,
        r_squared=1.0 - own / variance,
    )


def _require_names(names: Sequence[str], factor_returns: Matrix) -> None:
    if factor_returns.ndim != 2 or len(names) != factor_returns.shape[1] or len(set(names)) < len(names):
        raise ValueError(
            f"factor returns (days, k) need k different names, found shape {factor_returns.shape} "
            f"and {list(names)}"
        )
    if len(factor_returns) < MINIMUM_DAYS:
        raise InsufficientHistory(
            f"a factor model needs {MINIMUM_DAYS} daily returns, found {len(factor_returns)}; load more "
            "history"
        )
