"""VaR and ES from a distribution: normal, Student-t, and Cornish-Fisher where its quantiles are in order.

Losses are positive, money is in account currency, means are gains. The deviation may come from a covariance
and exposures (`book_deviation`), from EWMA or GARCH (`firm.risk.volatility`), over any horizon.
"""

from dataclasses import dataclass
from math import exp, isfinite, lgamma, log, pi, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np

from firm.errors import DataError, InsufficientHistory
from firm.risk.factor_model import require_finite
from firm.risk.measure import Matrix, OutsideDomain, VarEs, Vector, require_confidence, require_numbers

_ROUNDING = 1e-9


def normal_var(deviation: float, confidence: float, mean: float = 0.0) -> VarEs:
    """VaR and ES of a normal P&L with this mean (gain positive) and standard deviation, in account currency.

    VaR = z sigma - mean; ES = sigma phi(z) / (1 - confidence) - mean, z the confidence quantile. A deviation
    of 0 is the limit case: both are minus the mean.

    Raises
    ------
    ValueError
        If the deviation is negative, a number is not finite, or confidence is not in (0, 1).

    Source
    ------
    McNeil, Frey and Embrechts, Quantitative Risk Management (2015), section 2.3.

    >>> risk = normal_var(deviation=20.0, confidence=0.99)
    >>> round(risk.var, 1), round(risk.es, 1)
    (46.5, 53.3)
    """
    require_confidence(confidence)
    if not (isfinite(mean) and isfinite(deviation) and deviation >= 0.0):
        raise ValueError(
            f"a normal P&L needs a finite mean and deviation >= 0, found mean {mean}, deviation {deviation}"
        )
    z = NormalDist().inv_cdf(confidence)
    density = exp(-0.5 * z * z) / sqrt(2.0 * pi)
    return VarEs(z * deviation - mean, deviation * density / (1.0 - confidence) - mean)


def student_var(
    deviation: float,
    confidence: float,
    degrees_of_freedom: float,
    matched: Literal["covariance", "scale"],
    mean: float = 0.0,
) -> VarEs:
    """VaR and ES of a Student-t P&L, any real number of degrees of freedom.

    With scale s and t the quantile, f the density of the standard t: VaR = s t - mean and
    ES = s f(t) / (1 - confidence) (nu + t^2) / (nu - 1) - mean.

    Parameters
    ----------
    deviation : float
        What `matched` says it is: "covariance": the standard deviation of the P&L, so that
        s = deviation sqrt((nu - 2) / nu); "scale": s itself, as in the Monte Carlo kernel, whose P&L then
        has a variance nu / (nu - 2) times larger.
    degrees_of_freedom : float
        nu: above 2 for "covariance", above 1 for "scale" (else there is no ES).

    Raises
    ------
    OutsideDomain
        If nu is too small for what is asked.
    ValueError
        If the deviation is negative, a number is not finite, or confidence is not in (0, 1).

    Source
    ------
    McNeil, Frey and Embrechts, Quantitative Risk Management (2015), section 2.3.

    >>> risk = student_var(1.0, 0.99, degrees_of_freedom=4, matched="scale")
    >>> round(risk.var, 4), round(risk.es, 4)
    (3.7469, 5.2206)
    """
    from scipy.special import stdtrit

    require_confidence(confidence)
    nu = degrees_of_freedom
    if not (isfinite(mean) and isfinite(deviation) and deviation >= 0.0):
        raise ValueError(
            f"a Student-t P&L needs a finite mean and deviation >= 0, found mean {mean}, "
            f"deviation {deviation}"
        )
    least = 2.0 if matched == "covariance" else 1.0
    if not (isfinite(nu) and nu > least):
        raise OutsideDomain(
            f"a Student-t with its {matched} given needs finite degrees of freedom above {least:g}, "
            f"found {nu}"
        )
    scale = deviation * sqrt((nu - 2.0) / nu) if matched == "covariance" else deviation
    t = float(stdtrit(nu, confidence))
    log_constant = lgamma(0.5 * (nu + 1.0)) - lgamma(0.5 * nu) - 0.5 * log(nu * pi)
    density = exp(log_constant - 0.5 * (nu + 1.0) * log(1.0 + t * t / nu))
    tail_mean = density / (1.0 - confidence) * (nu + t * t) / (nu - 1.0)
    return VarEs(scale * t - mean, scale * tail_mean - mean)


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and standard deviation (account currency), skewness, excess kurtosis of a P&L, gains positive."""

    mean: float
    deviation: float
    skewness: float
    excess_kurtosis: float


def sample_moments(pnl: Vector) -> Moments:
    """The moments of equally likely scenarios; deviation with n - 1, the others of the population.

    Raises
    ------
    DataError
        If a P&L is NaN or infinite, or all are equal (skewness has no value: the price is stale).
    InsufficientHistory
        If there are fewer than four.

    >>> sample_moments(np.array([-1.0, 1.0, -1.0, 1.0]))
    Moments(mean=0.0, deviation=1.1547005383792515, skewness=0.0, excess_kurtosis=-2.0)
    """
    require_finite("P&L", pnl)
    if pnl.ndim != 1 or len(pnl) < 4:
        raise InsufficientHistory(f"four moments need a vector of four values, found shape {pnl.shape}")
    if float(np.ptp(pnl)) == 0.0:
        raise DataError(f"skewness needs P&L that varies, found {len(pnl)} times {float(pnl[0])}")
    centred = pnl - pnl.mean()
    variance = float((centred**2).mean())
    standard = centred / sqrt(variance)
    return Moments(
        mean=float(pnl.mean()),
        deviation=sqrt(variance * len(pnl) / (len(pnl) - 1)),
        skewness=float((standard**3).mean()),
        excess_kurtosis=float((standard**4).mean()) - 3.0,
    )


def cornish_fisher_holds(skewness: float, excess_kurtosis: float) -> bool:
    """Whether the Cornish-Fisher quantile rises with the confidence everywhere, as a quantile must.

    Its derivative in z is (K/8 - S^2/6) z^2 + S/3 z + 1 - K/8 + 5 S^2/36: at least 0 for all z if its
    leading coefficient is not negative and its discriminant not positive.

    Source: Maillard, A user's guide to the Cornish Fisher expansion (2012).

    >>> cornish_fisher_holds(0.5, 1.0), cornish_fisher_holds(0.0, 8.1), cornish_fisher_holds(0.5, 0.0)
    (True, False, False)
    """
    square, linear = excess_kurtosis / 8.0 - skewness**2 / 6.0, skewness / 3.0
    constant = 1.0 - excess_kurtosis / 8.0 + 5.0 * skewness**2 / 36.0
    return square >= 0.0 and constant >= 0.0 and linear**2 <= 4.0 * square * constant


def cornish_fisher_var(moments: Moments, confidence: float) -> VarEs:
    """VaR and ES by the fourth-order Cornish-Fisher expansion, where it is a quantile function.

    Skewness and kurtosis enter as the parameters of the expansion; the distribution it stands for has them
    only to first order, so it is a correction for mild ones. ES is the exact mean of the expansion's tail.

    Raises
    ------
    DataError
        If a moment is not finite or the deviation is negative.
    OutsideDomain
        If the expansion is not monotone at these moments: a higher confidence could give a lower VaR.

    Source
    ------
    Cornish and Fisher, Moments and cumulants in the specification of distributions (1938); Maillard (2012).

    >>> risk = cornish_fisher_var(Moments(0.0, 1.0, -0.5, 1.0), 0.99)
    >>> round(risk.var, 4), round(risk.es, 4)
    (2.8337, 3.49)
    """
    require_confidence(confidence)
    require_numbers("Cornish-Fisher", mean=moments.mean, skewness=moments.skewness)
    require_numbers("Cornish-Fisher", excess_kurtosis=moments.excess_kurtosis)
    require_numbers("Cornish-Fisher", lowest=0.0, deviation=moments.deviation)
    skewness, kurtosis = -moments.skewness, moments.excess_kurtosis  # of the loss
    if not cornish_fisher_holds(skewness, kurtosis):
        raise OutsideDomain(
            "Cornish-Fisher needs moments at which its quantiles rise with the confidence, found skewness "
            f"{moments.skewness:.4g} and excess kurtosis {kurtosis:.4g}; invert the distribution or simulate"
        )
    z = NormalDist().inv_cdf(confidence)
    hazard = exp(-0.5 * z * z) / sqrt(2.0 * pi) / (1.0 - confidence)
    quantile = (
        z
        + (z**2 - 1.0) * skewness / 6.0
        + (z**3 - 3.0 * z) * kurtosis / 24.0
        - (2.0 * z**3 - 5.0 * z) * skewness**2 / 36.0
    )
    tail_mean = hazard * (
        1.0 + z * skewness / 6.0 + (z**2 - 1.0) * kurtosis / 24.0 - (2.0 * z**2 - 1.0) * skewness**2 / 36.0
    )
    return VarEs(moments.deviation * quantile - moments.mean, moments.deviation * tail_mean - moments.mean)


def parametric_var(covariance: Matrix, exposures: Vector, confidence: float) -> VarEs:
    """VaR and ES of a linear book under jointly normal returns of zero mean (delta-normal).

    Parameters
    ----------
    covariance : float64[n, n]
        Of the returns over the horizon; symmetric.
    exposures : float64[n]
        Signed market value in account currency.
    confidence : float
        Strictly between 0 and 1.

    Raises
    ------
    DataError
        If a value is NaN or infinite, or the matrix cannot be a covariance (asymmetric, a correlation beyond
        1, a negative variance of the book).
    ValueError
        If shapes disagree.

    Source
    ------
    McNeil, Frey and Embrechts, Quantitative Risk Management (2015), section 9.2.2.

    >>> round(parametric_var(np.array([[0.0004]]), np.array([-1e6]), 0.99).var)
    46527
    """
    return normal_var(book_deviation(covariance, exposures), confidence)


def book_deviation(covariance: Matrix, exposures: Vector) -> float:
    """Standard deviation of the P&L of a linear book, after refusing what cannot be a covariance.

    Parameters and errors as `parametric_var`; 0 for an empty book or a perfect hedge.

    >>> book_deviation(np.array([[0.0004]]), np.array([-1e6]))
    20000.0
    """
    n = len(exposures)
    if exposures.ndim != 1 or covariance.shape != (n, n):
        raise ValueError(
            f"covariance (n, n) and exposures (n,) need one n, found {covariance.shape}, {exposures.shape}"
        )
    return Covariance(covariance).deviation(exposures)


class Covariance:
    """A covariance that was looked at once, for many books: of P&L a unit of exposure, at one horizon."""

    def __init__(self, matrix: Matrix) -> None:
        """`matrix` float64[n, n]; DataError as `require_covariance`."""
        self.matrix, self._bound = matrix, require_covariance(matrix)

    def deviation(self, exposures: Vector) -> float:
        """Standard deviation of the P&L of these exposures float64[n]; errors as `parametric_var`.

        >>> Covariance(np.array([[0.0004]])).deviation(np.array([-1e6]))
        20000.0
        """
        require_finite("exposures", exposures)
        book_variance = float(exposures @ self.matrix @ exposures)
        gross_variance = float(np.abs(exposures) @ self._bound @ np.abs(exposures))
        if book_variance < -_ROUNDING * gross_variance:
            raise DataError(
                f"a covariance needs to give the book a variance of at least 0, found {book_variance:.6g}; "
                "it is not positive semi-definite: use the nearest correlation matrix or a factor model"
            )
        return sqrt(max(book_variance, 0.0))


def require_covariance(covariance: Matrix) -> Matrix:
    """Refuse NaN, asymmetry, negative variances and correlations beyond 1: DataError.

    Returns float64[n, n], the products of deviations: what the entries would be at correlation 1.
    """
    require_finite("covariance", covariance)
    variances = np.diag(covariance)
    if (lowest := float(variances.min(initial=0.0))) < 0.0:
        raise DataError(f"a covariance needs variances of at least 0, found {lowest}")
    bound = np.sqrt(np.outer(variances, variances))
    tolerance = _ROUNDING * bound + np.finfo(np.float64).tiny
    if np.any(np.abs(covariance - covariance.T) > tolerance):
        raise DataError(
            "a covariance needs to be symmetric, found entries that differ from their mirror image"
        )
    if np.any(np.abs(covariance) > bound + tolerance):
        raise DataError("a covariance needs correlations within -1..1, found one beyond; repair the estimate")
    return np.asarray(bound)
