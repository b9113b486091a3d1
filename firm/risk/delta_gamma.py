"""Delta-gamma: VaR and ES of a P&L quadratic in normal factors, by inverting its transform.

With x = C u the factor moves and their covariance C C', an orthogonal turn of u makes the P&L
Q = a0 + b'Z + Z' Lambda Z with independent standard normal Z and diagonal Lambda. Its cumulant generating
function is known, K(s) = a0 s + sum s^2 b^2 / (2 (1 - 2 s lambda)) - sum log(1 - 2 s lambda) / 2, and
probabilities and tail means are integrals of exp(K(s) - s q) (Gil-Pelaez, Imhof). They are taken along a line
through the saddle point, bent towards faster decay, so that one factor or five hundred, and tails of any
depth, converge alike.

Sources: Imhof, Computing the distribution of quadratic forms in normal variables (1961); Rouvinez, Going
Greek with VaR (1997); Rice, Distribution of quadratic forms in normal random variables (1980).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, pi, sqrt

import numpy as np
import numpy.typing as npt

from firm.errors import DataError
from firm.risk.factor_model import require_finite
from firm.risk.measure import Matrix, OutsideDomain, VarEs, Vector, require_confidence, require_numbers
from firm.risk.parametric import Moments, require_covariance

Complex = npt.NDArray[np.complexfloating]

_TOLERANCE = 1e-11
_NEGLIGIBLE = 1e-12  # of the deviation: a coefficient below is rounding of the others
_TILTS = (0.5, 0.25, 0.1, 0.0)  # sine of the angle off the vertical
_GROWTH = 1.5  # of the exponent along a bent line: what a start beside the saddle point may cost
_NOTHING = -300.0  # the logarithm of a probability that is taken for 0
_DEAD = 36.0  # exp(-36) of the largest: what is left of the integrand adds nothing
_START, _REACH_MAX = -4.0, 45.0  # exp(45) scales: coefficients may differ as much
_DENSITIES = (8, 16, 32, 64, 128, 256)  # nodes a unit of the logarithm of the distance


@dataclass(frozen=True, slots=True, eq=False)
class QuadraticPnl:
    """P&L = constant + linear'Z + sum curvature Z^2 under independent standard normal Z, gains positive.

    `linear` and `curvature` are float64[k] in account currency.

    Raises
    ------
    DataError
        If a coefficient is NaN or infinite or the shapes disagree.
    """

    constant: float
    linear: Vector
    curvature: Vector

    def __post_init__(self) -> None:
        require_numbers("a quadratic P&L", constant=self.constant)
        require_finite("linear coefficients", self.linear)
        require_finite("curvatures", self.curvature)
        if self.linear.ndim != 1 or self.linear.shape != self.curvature.shape:
            raise DataError(
                f"a quadratic P&L needs one linear coefficient and one curvature a factor, found "
                f"{self.linear.shape} and {self.curvature.shape}"
            )

    def cumulant(self, order: int) -> float:
        """The cumulant of this order: 1 the mean, 2 the variance, 3 and 4 of skewness and kurtosis."""
        if order < 1:
            raise ValueError(f"cumulants need an order of at least 1, found {order}")
        b2, curvature = self.linear**2, self.curvature
        factorial = float(np.prod(np.arange(1, order)))  # of order - 1
        total = 2.0 ** (order - 1) * factorial * float(np.sum(curvature**order))
        if order == 1:
            return self.constant + total
        mixed = float(np.sum(b2 * curvature ** (order - 2)))
        return total + 2.0 ** (order - 3) * factorial * order * mixed

    def moments(self) -> Moments:
        """Mean, deviation, skewness and excess kurtosis; the last two 0 for a P&L that cannot vary."""
        mean, variance, third, fourth = (self.cumulant(order) for order in (1, 2, 3, 4))
        if variance == 0.0:
            return Moments(mean, 0.0, 0.0, 0.0)
        return Moments(mean, sqrt(variance), third / variance**1.5, fourth / variance**2)

    def probability_below(self, pnl: float) -> float:
        """P(Q <= pnl), to about 1e-11; 0 or 1 beyond the ends of a bounded P&L.

        >>> one_factor = QuadraticPnl(0.0, np.zeros(1), np.ones(1))
        >>> round(one_factor.probability_below(1.0), 6)
        0.682689
        """
        lower, upper = self.ends()
        if pnl <= lower or self.cumulant(2) == 0.0:
            return 1.0 if lower == upper and pnl >= lower else 0.0
        if pnl >= upper:
            return 1.0
        return _from_side(self, pnl, power=1)

    def shortfall_below(self, pnl: float) -> float:
        """E[max(pnl - Q, 0)], in account currency: the loss beyond `pnl`, averaged over all cases."""
        lower, upper = self.ends()
        if pnl <= lower:
            return 0.0
        if pnl >= upper or self.cumulant(2) == 0.0:
            return max(pnl - self.cumulant(1), 0.0)
        return _from_side(self, pnl, power=2)

    def ends(self) -> tuple[float, float]:
        """The least and the largest P&L possible; minus and plus infinity where there is no bound."""
        least = _NEGLIGIBLE * sqrt(self.cumulant(2))
        curved = np.abs(self.curvature) > least
        bounded = not np.any(~curved & (np.abs(self.linear) > least))
        vertex, curvature = self.vertex(), self.curvature[curved]
        return (
            vertex if bounded and np.all(curvature > 0.0) else -inf,
            vertex if bounded and np.all(curvature < 0.0) else inf,
        )

    def vertex(self) -> float:
        """The P&L where its slope is zero in every curved factor: the end of a bounded P&L."""
        curved = np.abs(self.curvature) > _NEGLIGIBLE * sqrt(self.cumulant(2))
        return self.constant - float(np.sum(self.linear[curved] ** 2 / (4.0 * self.curvature[curved])))


def delta_gamma(
    delta: Vector, gamma: Matrix | Vector, covariance: Matrix, constant: float = 0.0
) -> QuadraticPnl:
    """The quadratic P&L of a book: constant + delta'x + x' gamma x / 2, x normal with this covariance.

    Parameters
    ----------
    delta : float64[n]
        P&L in account currency per unit move of each factor (per 1.00 of return, if factors are returns).
    gamma : float64[n, n] or float64[n]
        Second derivatives, in account currency per unit squared: a symmetric matrix, or its diagonal.
    covariance : float64[n, n]
        Of the factor moves over the horizon, positive semi-definite (singular is fine).
    constant : float
        P&L if nothing moves, e.g. theta times the horizon.

    Raises
    ------
    DataError
        If a value is NaN or infinite, gamma is asymmetric, or the covariance cannot be one.
    ValueError
        If shapes disagree.

    >>> book = delta_gamma(np.array([1e6]), np.array([-1e7]), np.array([[0.0004]]))
    >>> book.moments().mean, round(delta_gamma_var(book, 0.99).var)
    (-2000.0, 57351)
    """
    n = len(delta)
    if delta.shape != (n,) or covariance.shape != (n, n) or gamma.shape not in ((n,), (n, n)):
        raise ValueError(
            "delta (n,), gamma (n,) or (n, n) and covariance (n, n) need one n, found "
            f"{delta.shape}, {gamma.shape}, {covariance.shape}"
        )
    require_finite("deltas", delta)
    require_finite("gammas", gamma)
    require_covariance(covariance)
    full = np.diag(gamma) if gamma.ndim == 1 else gamma
    if np.any(np.abs(full - full.T) > 1e-9 * np.abs(full).max(initial=0.0)):
        raise DataError("gamma needs to be symmetric, found entries that differ from their mirror image")
    eigenvalues, vectors = np.linalg.eigh(covariance)
    if n and float(eigenvalues[0]) < -1e-9 * max(float(eigenvalues[-1]), 0.0):
        raise DataError(
            f"a covariance needs to be positive semi-definite, found an eigenvalue of {eigenvalues[0]:.6g}; "
            "use the nearest correlation matrix or a factor model"
        )
    root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    curvature, turn = np.linalg.eigh(0.5 * (root.T @ (0.5 * (full + full.T)) @ root))
    return QuadraticPnl(constant, np.asarray(turn.T @ (root.T @ delta)), np.asarray(curvature))


def delta_gamma_var(book: QuadraticPnl, confidence: float) -> VarEs:
    """VaR and ES of a quadratic P&L: the quantile solved for, ES by integral; to about 1e-9.

    A P&L that cannot vary is the limit case: both are minus its constant.

    Raises
    ------
    OutsideDomain
        If the inversion does not settle (none known).
    ValueError
        If confidence is not in (0, 1).

    >>> risk = delta_gamma_var(QuadraticPnl(0.0, np.array([20.0]), np.zeros(1)), 0.99)
    >>> round(risk.var, 4), round(risk.es, 4)
    (46.527, 53.3043)
    """
    from scipy.optimize import brentq

    require_confidence(confidence)
    moments, tail = book.moments(), 1.0 - confidence
    if moments.deviation == 0.0:
        return VarEs(-moments.mean, -moments.mean)
    # Cantelli: at most 1 / (1 + k^2) lies more than k deviations to one side of the mean
    low = moments.mean - moments.deviation * sqrt(1.0 / tail - 1.0)
    high = moments.mean + moments.deviation * sqrt(tail / (1.0 - tail))
    low, high = max(low, book.ends()[0]) - 1e-6 * moments.deviation, high + 1e-6 * moments.deviation
    quantile = float(
        brentq(
            lambda pnl: book.probability_below(pnl) - tail,
            low,
            high,
            xtol=1e-12 * moments.deviation,
            rtol=1e-14,
        )
    )
    return VarEs(-quantile, max(-quantile + book.shortfall_below(quantile) / tail, -quantile))


def _from_side(book: QuadraticPnl, pnl: float, power: int) -> float:
    """P(Q <= pnl) for power 1, E[max(pnl - Q, 0)] for power 2.

    The integral of exp(K(s) - s pnl) / s^power along a line right of 0 is the upper tail's, left of 0 the
    lower tail's: the side of the saddle point, where nothing cancels.
    """
    saddle = _saddle(book, pnl)
    integral = _integral(book, pnl, saddle, power)
    if power == 1:
        return 1.0 - integral if saddle > 0.0 else -integral
    return integral + pnl - book.cumulant(1) if saddle > 0.0 else integral


def _exponent(book: QuadraticPnl, pnl: float, s: Complex) -> Complex:
    shape = 1.0 - 2.0 * s[:, None] * book.curvature
    terms = 0.5 * s[:, None] ** 2 * book.linear**2 / shape - 0.5 * np.log(shape)
    return np.asarray((book.constant - pnl) * s + terms.sum(axis=1))


def _saddle(book: QuadraticPnl, pnl: float) -> float:
    """Near the real s at which K'(s) = pnl, kept off 0, where the integrand has its pole."""
    deviation = sqrt(book.cumulant(2))
    highest = float(book.curvature.max(initial=0.0))
    lowest = float(book.curvature.min(initial=0.0))
    side = 1.0 if pnl > book.cumulant(1) else -1.0
    extreme = highest if side > 0.0 else -lowest
    pole = 0.5 / extreme if extreme > 0.0 else inf

    def slope(distance: float) -> float:
        s = side * distance
        shape = 1.0 - 2.0 * s * book.curvature
        rising = s * book.linear**2 * (1.0 - s * book.curvature) / shape**2 + book.curvature / shape
        return side * (book.constant + float(np.sum(rising)) - pnl)

    near, far = 0.0, min(0.5 / deviation, 0.5 * pole)
    for _ in range(60):
        if slope(far) >= 0.0:
            break
        near, far = far, min(2.0 * far, 0.5 * (far + pole))
    for _ in range(30):
        middle = 0.5 * (near + far)
        near, far = (near, middle) if slope(middle) >= 0.0 else (middle, far)
    return side * max(0.5 * (near + far), min(0.3 / deviation, 0.3 * pole))


def _integral(book: QuadraticPnl, pnl: float, saddle: float, power: int) -> float:
    """(1 / pi) Im of the integral of exp(K(s) - s pnl) / s^power from the saddle up, on a half line."""
    height = float(_exponent(book, pnl, np.array([saddle + 0j]))[0].real)
    if height < _NOTHING:  # exp(height) bounds the probability (Chernoff)
        return 0.0
    shape = 1.0 - 2.0 * saddle * book.curvature
    scale = 1.0 / sqrt(float(np.sum(book.linear**2 / shape**3 + 2.0 * book.curvature**2 / shape**2)))
    direction, reach = _line(book, pnl, saddle, scale, power)

    def along(distance: Vector) -> Vector:
        s = saddle + direction * distance
        return np.asarray((np.exp(_exponent(book, pnl, s) - height) * direction / s**power).imag)

    # near an end of a bounded P&L large terms of the exponent cancel: no more digits than they leave
    largest = abs(saddle * (book.constant - pnl)) + float(np.sum(0.5 * (saddle * book.linear) ** 2 / shape))
    tolerance = max(_TOLERANCE, 8.0 * float(np.finfo(np.float64).eps) * largest)
    unit = abs(saddle) ** (1 - power)
    return float(np.exp(height)) / pi * _half_line(along, scale, reach, tolerance * unit)


def _line(book: QuadraticPnl, pnl: float, saddle: float, scale: float, power: int) -> tuple[complex, float]:
    """The direction of the line, and how far (as t of `_half_line`) until nothing is left of the integrand.

    The most bent one along which the integrand dies before it ever grows; the vertical always serves, but
    along it a book of few factors oscillates long.
    """
    bend = 1.0 if pnl > book.vertex() else -1.0  # far out exp(K(s) - s pnl) goes as exp(s (vertex - pnl))
    t = np.arange(_START, _REACH_MAX, 0.25)
    distance, near = scale * np.exp(t - np.exp(-t)), np.arange(len(t)) <= 40
    height = float(_exponent(book, pnl, np.array([saddle + 0j]))[0].real)
    for slope in (tilt * side for tilt in _TILTS for side in (bend, -bend)):
        direction = complex(slope, sqrt(1.0 - slope * slope))
        s = saddle + direction * distance
        growth = _exponent(book, pnl, s).real - height
        size = growth + np.log(distance) - power * np.log(np.abs(s))
        dead = (size < size[near].max() - _DEAD) & ~near
        end = int(np.argmax(dead)) if dead.any() else len(t) - 1
        if dead.any() and growth[:end].max() <= _GROWTH:
            return direction, float(t[end])
    return 1j, _REACH_MAX


def _half_line(function: Callable[[Vector], Vector], scale: float, reach: float, tolerance: float) -> float:
    """The integral of a decaying function over 0..inf, steps halved till it settles.

    Double exponential rule: the substitution is distance = scale exp(t - exp(-t)).
    """
    previous = inf
    for density in _DENSITIES:
        t = np.linspace(_START, reach, round(density * (reach - _START)) + 2)
        distance = scale * np.exp(t - np.exp(-t))
        values = function(distance) * distance * (1.0 + np.exp(-t))
        total = float(np.sum(values)) * float(t[1] - t[0])
        if abs(total - previous) <= tolerance:
            return total
        previous = total
    raise OutsideDomain(
        f"the inversion needs to settle to {tolerance:g} within {len(t)} nodes, found it does not at "
        "this P&L; ask further from the ends of the P&L, or use full revaluation by Monte Carlo"
    )
