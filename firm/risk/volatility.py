"""Volatility that changes: EWMA and GARCH(1,1), one recursion for both, given or estimated by likelihood.

The variance forecast for day t + 1 is omega + alpha r_t^2 + beta v_t, per factor; EWMA of decay lambda is the
case omega = 0, alpha = 1 - lambda, beta = lambda. Returns are daily fractions of zero mean, oldest first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np

from firm.errors import DataError, InsufficientHistory
from firm.risk.factor_model import require_finite
from firm.risk.measure import Matrix, OutsideDomain, Vector

LIKELIHOOD_DAYS_MIN = 250
"""Fewest daily returns to estimate a volatility model from: below a year its persistence is guesswork."""

_PERSISTENCE_MAX = 0.9999
_STARTS = ((0.97, 0.06), (0.9, 0.15), (0.5, 0.4))


@dataclass(frozen=True, slots=True, eq=False)
class VolatilityFilter:
    """GARCH(1,1) per factor: `omega` (variance a day), `alpha`, `beta`, each float64[n].

    Raises
    ------
    DataError
        If a parameter is negative or not finite, shapes disagree, or alpha + beta is above 1 (explosive).

    >>> filter_ = VolatilityFilter(np.array([2e-6]), np.array([0.13]), np.array([0.86]))
    >>> variance = filter_.next_variance(np.array([0.016**2]), np.array([0.01]))
    >>> filter_.long_run_variance().round(7), np.sqrt(variance).round(4)
    (array([0.0002]), array([0.0153]))
    """

    omega: Vector
    alpha: Vector
    beta: Vector

    def __post_init__(self) -> None:
        for name, values in (("omega", self.omega), ("alpha", self.alpha), ("beta", self.beta)):
            require_finite(name, values)
            if values.ndim != 1 or values.shape != self.omega.shape or np.any(values < 0.0):
                raise DataError(f"{name} needs one value of at least 0 a factor, found {values.tolist()}")
        if np.any(self.alpha + self.beta > 1.0 + 1e-12):
            highest = float((self.alpha + self.beta).max())
            raise DataError(f"alpha + beta needs to be at most 1, found {highest}; the variance explodes")

    @classmethod
    def ewma(cls, decay: float, factors: int) -> "VolatilityFilter":
        """RiskMetrics: the same `decay` in (0, 1) for every factor, 0.94 for daily returns.

        Source: J.P. Morgan/Reuters, RiskMetrics Technical Document (1996).
        """
        if not 0.0 < decay < 1.0:
            raise ValueError(f"decay needs to be strictly between 0 and 1, found {decay}")
        return cls(np.zeros(factors), np.full(factors, 1.0 - decay), np.full(factors, decay))

    def next_variance(self, variance: Matrix | Vector, returns: Matrix | Vector) -> Matrix:
        """The variance forecast for the day after one forecast at `variance` that returned `returns`."""
        return np.asarray(self.omega + self.alpha * returns**2 + self.beta * variance)

    def deviations(self, returns: Matrix, first: Vector | None = None) -> Matrix:
        """Standard deviation forecast for each day from the days before it, tomorrow's last.

        Parameters
        ----------
        returns : float64[days, n]
            Daily returns, oldest first.
        first : float64[n], optional
            Deviation forecast for the first day; by default the root mean square of all the days, which
            EWMA at 0.94 has forgotten (to 1 %) after 74 days.

        Returns
        -------
        float64[days + 1, n]

        Raises
        ------
        DataError
            If a value is NaN or infinite, or `first` is negative.
        ValueError
            If shapes disagree or there are no days.
        """
        n = len(self.omega)
        if returns.ndim != 2 or returns.shape[1] != n or not len(returns):
            raise ValueError(f"returns need the shape (days, {n}), found {returns.shape}")
        require_finite("returns", returns)
        variances = np.empty((len(returns) + 1, n))
        variances[0] = (returns**2).mean(axis=0) if first is None else self._checked(first) ** 2
        for day, row in enumerate(returns):
            variances[day + 1] = self.next_variance(variances[day], row)
        return np.sqrt(variances)

    def long_run_variance(self) -> Vector:
        """Omega / (1 - alpha - beta), daily: where the forecast tends to.

        Raises OutsideDomain if alpha + beta is 1 for a factor (EWMA): it tends to nowhere.
        """
        room = 1.0 - self.alpha - self.beta
        if np.any(room <= 1e-12):
            raise OutsideDomain(
                "a long-run variance needs alpha + beta below 1, found 1 (as EWMA has); estimate a GARCH"
            )
        return np.asarray(self.omega / room)

    def horizon_deviation(self, deviation: Vector, days: int) -> Vector:
        """Standard deviation of the move over `days` days from the forecast for the first of them.

        The term structure of variance: each further day is expected at omega + (alpha + beta) times the one
        before, days uncorrelated. For EWMA this is the square root of time.

        Source: Hull, Risk Management and Financial Institutions (2015), section 10.10.

        >>> quiet = VolatilityFilter(np.array([1e-5]), np.array([0.1]), np.array([0.8]))
        >>> quiet.horizon_deviation(np.array([0.005]), 10).round(5), round(0.005 * 10**0.5, 5)
        (array([0.02262]), 0.01581)
        """
        if days < 1:
            raise ValueError(f"a horizon needs days >= 1, found {days}")
        variance = self._checked(deviation) ** 2
        total = np.zeros_like(variance)
        for _ in range(days):
            total = total + variance
            variance = self.omega + (self.alpha + self.beta) * variance
        return np.sqrt(total)

    def horizon_returns(self, returns: Matrix, days: int) -> Matrix:
        """Filtered historical simulation over several days: each past run of `days` shocks, replayed.

        Past returns over their forecast deviations are shocks; every window of `days` successive ones,
        joint over factors, is replayed from tomorrow's forecast, each replayed return moving the variance
        of the next day. Deterministic: no resampling.

        Returns
        -------
        float64[len(returns) - days + 1, n]
            Simple returns over `days` days.

        Raises
        ------
        DataError
            If a forecast deviation is 0 or a replayed return is below -1.
        InsufficientHistory
            If there are fewer than `days` returns.

        Source
        ------
        Barone-Adesi, Giannopoulos and Vosper, VaR without correlations for portfolios of derivative
        securities (1999).
        """
        deviations = self.deviations(returns)
        windows = len(returns) - days + 1
        if days < 1 or windows < 1:
            raise InsufficientHistory(
                f"windows of {days} days need as many returns and days >= 1, found {len(returns)}"
            )
        if float(deviations.min()) <= 0.0:
            raise DataError("shocks need deviations above 0, found 0; a price is stale: exclude it")
        shocks = returns / deviations[:-1]
        variance = np.broadcast_to(deviations[-1] ** 2, (windows, returns.shape[1]))
        growth = np.ones(variance.shape)
        for offset in range(days):
            replayed = shocks[offset : offset + windows] * np.sqrt(variance)
            if float(replayed.min()) < -1.0:
                raise DataError(
                    f"a replayed return needs to be at least -1, found {float(replayed.min())}; "
                    "a past shock is too large for today's volatility: check that day's price"
                )
            growth = growth * (1.0 + replayed)
            variance = self.next_variance(variance, replayed)
        return np.asarray(growth - 1.0)

    def _checked(self, deviation: Vector) -> Vector:
        require_finite("deviations", deviation)
        if deviation.shape != self.omega.shape or np.any(deviation < 0.0):
            raise DataError(f"deviations need one value of at least 0 a factor, found {deviation.tolist()}")
        return deviation


def days_until_weight(decay: float, left: float) -> float:
    """After how many days the weights of EWMA still to come sum to `left`: ln(left) / ln(decay).

    Source: J.P. Morgan/Reuters, RiskMetrics Technical Document (1996), table 5.7.

    >>> round(days_until_weight(0.94, 0.01))
    74
    """
    if not 0.0 < decay < 1.0 or not 0.0 < left < 1.0:
        raise ValueError(f"decay and the weight left need to be in (0, 1), found {decay} and {left}")
    return log(left) / log(decay)


def fit_ewma(returns: Matrix) -> VolatilityFilter:
    """The one decay for all factors that makes the returns likeliest (normal, independent given variance).

    Parameters
    ----------
    returns : float64[days, n]
        Daily returns, oldest first, at least `LIKELIHOOD_DAYS_MIN`.

    Raises
    ------
    DataError
        If a value is NaN or infinite or a factor never moves.
    InsufficientHistory
        If there are too few days.
    """
    from scipy.optimize import minimize_scalar

    standard, _ = _standardised(returns)

    def cost(decay: float) -> float:
        return sum(_cost(column, 0.0, 1.0 - decay, decay) for column in standard.T)

    best = minimize_scalar(cost, bounds=(0.5, _PERSISTENCE_MAX), method="bounded", options={"xatol": 1e-6})
    return VolatilityFilter.ewma(float(best.x), returns.shape[1])


def fit_garch(returns: Matrix) -> VolatilityFilter:
    """GARCH(1,1) of each factor by quasi-maximum likelihood (normal), from three fixed starts.

    Searched over persistence alpha + beta in 0..0.9999, alpha's share of it, and the long-run variance, on
    returns scaled to unit variance: the surface is flat in the raw parameters.

    Parameters
    ----------
    returns : float64[days, n]
        Daily returns, oldest first, at least `LIKELIHOOD_DAYS_MIN`.

    Raises
    ------
    DataError
        If a value is NaN or infinite or a factor never moves.
    InsufficientHistory
        If there are too few days.

    Source
    ------
    Bollerslev, Generalized autoregressive conditional heteroskedasticity (1986).
    """
    standard, scale = _standardised(returns)
    fitted = np.array([_likeliest(column) for column in standard.T])
    return VolatilityFilter(fitted[:, 0] * scale**2, fitted[:, 1].copy(), fitted[:, 2].copy())


def log_likelihood(returns: Vector, omega: float, alpha: float, beta: float) -> float:
    """Normal log-likelihood of one factor's returns, less its constant; variance starts at the mean square.

    >>> moves = np.tile([0.01, -0.01], 200)
    >>> log_likelihood(moves, 1e-4, 0.0, 0.0) > log_likelihood(moves, 2e-4, 0.0, 0.0)
    True
    """
    return -_cost(returns, omega, alpha, beta)


def _likeliest(returns: Vector) -> tuple[float, float, float]:
    from scipy.optimize import minimize

    def parameters(point: Vector) -> tuple[float, float, float]:
        persistence, share, log_variance = (float(value) for value in point)
        omega = float(np.exp(log_variance)) * (1.0 - persistence)
        return omega, persistence * share, persistence * (1.0 - share)

    cost: Callable[[Vector], float] = lambda point: _cost(returns, *parameters(point))  # noqa: E731
    bounds = [(0.0, _PERSISTENCE_MAX), (1e-6, 1.0), (-4.0, 4.0)]
    found = [
        minimize(cost, np.array([persistence, share, 0.0]), method="L-BFGS-B", bounds=bounds)
        for persistence, share in _STARTS
    ]
    return parameters(min(found, key=lambda result: float(result.fun)).x)


def _cost(returns: Vector, omega: float, alpha: float, beta: float) -> float:
    from scipy.signal import lfilter

    squares = returns**2
    drive = np.empty_like(squares)
    drive[0], drive[1:] = squares.mean(), omega + alpha * squares[:-1]
    variances = lfilter([1.0], [1.0, -beta], drive)
    return float(0.5 * np.sum(np.log(variances) + squares / variances))


def _standardised(returns: Matrix) -> tuple[Matrix, Vector]:
    if returns.ndim != 2 or not returns.shape[1]:
        raise ValueError(f"returns need the shape (days, factors), found {returns.shape}")
    if len(returns) < LIKELIHOOD_DAYS_MIN:
        raise InsufficientHistory(
            f"a volatility model needs {LIKELIHOOD_DAYS_MIN} daily returns, found {len(returns)}; load more "
            "history or give its parameters"
        )
    require_finite("returns", returns)
    scale = np.sqrt((returns**2).mean(axis=0))
    if np.any(np.ptp(returns, axis=0) == 0.0):
        still = np.flatnonzero(np.ptp(returns, axis=0) == 0.0).tolist()
        raise DataError(f"a volatility model needs factors that move, found none in columns {still}")
    return np.asarray(returns / scale), np.asarray(scale)
