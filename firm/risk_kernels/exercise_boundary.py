"""When an American put is exercised: the spot B(u) below which it is, at every time u before expiry.

The boundary of a put on strike 1 solves B(t) = exp(-(r - q) t) N(t, B) / D(t, B), with N and D integrals over
the boundary's own later course. We hold ln(B / B(0+))**2 as a polynomial in sqrt(u) through Chebyshev points,
integrate by the tanh-sinh rule, which does not mind the square roots at both ends, and iterate to the fixed
point. First by the equation from smooth pasting ("A"), which converges in about twenty rounds; where the
drift is so large that it does not, by the one from value matching ("B"), slower and without fail.

Calls need no code of their own: a call on spot S and strike K is worth a put on spot K and
strike S with rate and carry exchanged (McDonald and Schroder, 1998).

Source: Andersen, Lake and Offengenden, High performance American option pricing (2016).
"""

from decimal import Decimal, localcontext
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from firm.risk_kernels.elementary import fma, inline, lane_loop, square_root
from firm.risk_kernels.normal_law import density, exp, log, log_of, lower

Array = npt.NDArray[np.float64]

POINTS = 20
"""Chebyshev intervals over sqrt(u): errors below 1e-9 of the strike in the value (tests)."""

_NODES, _REACH = 49, 3.3  # of the tanh-sinh rule; its ends are within 1e-18 of the interval's
_ROUNDS = 40, 400  # of the equations A and B
_CLOSE = 1e-11  # relative; an error of the boundary enters the value by its square
_FAR = 40.0
_DIGITS = 40


class Rule(NamedTuple):
    """Quadrature on [0, 1]: a node's distance from 0 and from 1, not rounded from it; its weight."""

    start: Array
    end: Array
    weight: Array


class Exercise(NamedTuple):
    """Log of the boundary over the strike of a put, at years xi[j]**2 T, xi of `points`.

    `change` is the largest relative change in the last round: 1e-11 or less where it converged.
    """

    log_boundary: Array
    log_limit: float
    change: float


@cache
def rule(nodes: int = _NODES) -> Rule:
    """The tanh-sinh rule: p = 1 / (1 + exp(-pi sinh t)) at equidistant t; Takahasi and Mori (1974).

    Worked out in decimals, so that the numbers do not depend on a platform's C library.
    """
    with localcontext() as context:
        context.prec = _DIGITS
        pi = _pi()
        step = 2 * Decimal(str(_REACH)) / (nodes - 1)
        rows = []
        for k in range(nodes):
            t = step * k - Decimal(str(_REACH))
            up, down = t.exp(), (-t).exp()
            start = 1 / (1 + (-pi * (up - down) / 2).exp())
            end = 1 / (1 + (pi * (up - down) / 2).exp())
            rows.append((float(start), float(end), float(start * end * pi * (up + down) / 2 * step)))
    return Rule(*(np.array(column) for column in zip(*rows, strict=True)))


@cache
def points() -> Array:
    """The Chebyshev points xi_j = (1 + cos(pi j / POINTS)) / 2 of sqrt(u / T), from 1 down to 0."""
    with localcontext() as context:
        context.prec = _DIGITS
        pi = _pi()
        return np.array([float((1 + _cosine(pi * j / POINTS)) / 2) for j in range(POINTS + 1)])


@cache
def _interpolation(nodes: int) -> Array:
    """matrix[i, j, k]: the weight of the value at point j in the value at xi_i sqrt(p_k), p_k of the rule."""
    return np.stack([weights_at(xi, nodes) for xi in points()[:-1]])


@cache
def weights_at(xi: float, nodes: int) -> Array:
    """[j, k]: the weight of the value at point j in the polynomial's value at xi sqrt(p_k); barycentric."""
    x = points()
    sides = np.where(np.arange(POINTS + 1) % 2 == 0, 1.0, -1.0)
    sides[[0, -1]] *= 0.5
    gaps = xi * np.sqrt(rule(nodes).start)[None, :] - x[:, None]
    hit = gaps == 0.0
    shares = sides[:, None] / np.where(hit, 1.0, gaps)
    total = np.zeros(shares.shape[1])
    for row in shares:  # in order: numpy may add a long axis in any
        total += row
    return np.where(hit.any(axis=0), hit.astype(np.float64), shares / total)


def exercise_boundary(years: float, volatility: float, rate: float, carry: float) -> Exercise:
    """The boundary of a put on strike 1 that is exercised early: rate > 0, or rate 0 and carry < 0.

    About half a millisecond. The same bits on every CPU.
    """
    x, nodes = points(), rule()
    out = np.empty(POINTS + 1)
    limit = float(rate / carry if carry > rate else 1.0)
    terms = (float(years), float(volatility), float(rate), float(carry), limit)
    change = _compiled()(out, x, _interpolation(_NODES), *nodes, *terms, _ROUNDS[0], _CLOSE, True)
    if not change <= _CLOSE:
        change = _compiled()(out, x, _interpolation(_NODES), *nodes, *terms, _ROUNDS[1], _CLOSE, False)
    return Exercise(out, float(log_of(np.array([limit]))[0]), change)


@lane_loop
def _terms(
    top: Array,
    bottom: Array,
    nodes: tuple[Array, Array, Array],
    squares: Array,
    log_b: float,
    log_limit: float,
    t: float,
    volatility: float,
    rate: float,
    carry: float,
    pasting: bool,
) -> None:
    """The terms of the integrals in N and D, one a node."""
    start, end, weight = nodes
    for k in range(start.shape[0]):
        u, v = t * start[k], t * end[k]
        square = squares[k]
        square = 0.0 if square < 0.0 else square  # noqa: FURB136  # this order keeps NaN
        deviation = volatility * square_root(v)
        gap = log_b - log_limit + square_root(square)
        d2 = (gap + (rate - carry) * v) / deviation - 0.5 * deviation
        d1 = d2 + deviation
        bell1, bell2 = density(d1), density(d2)
        below1, below2 = lower(d1, bell1), lower(d2, bell2)
        share = t * weight[k]
        top[k] = share * rate * exp(rate * u) * (bell2 / deviation if pasting else below2)
        bottom[k] = share * carry * exp(carry * u) * (below1 + bell1 / deviation if pasting else below1)


@lane_loop
def _squares_at(squares: Array, weights: Array, log_b: Array, log_limit: float) -> None:
    """squares[k] <- the polynomial through ln(B / limit)**2 at the k-th node."""
    for k in range(squares.shape[0]):
        squares[k] = 0.0
    for j in range(log_b.shape[0]):
        height = (log_b[j] - log_limit) * (log_b[j] - log_limit)
        for k in range(squares.shape[0]):
            squares[k] = fma(weights[j, k], height, squares[k])


@inline
def _first_guess(xi: float, years: float, volatility: float, rate: float, carry: float, limit: float) -> Any:
    """From B(0+) down to the boundary of a put without expiry, exponentially in sqrt(u)."""
    variance = 0.5 * volatility * volatility
    drift = rate - carry - variance
    root = (-drift - square_root(drift * drift + 4.0 * variance * rate)) / (2.0 * variance)
    forever = root / (root - 1.0)
    forever = min(max(forever, 1e-6 * limit), 0.999999 * limit)
    fall = limit - forever
    return forever + fall * exp(-2.0 * volatility * xi * square_root(years) * limit / fall)


def _iterate(
    log_b: Array,
    x: Array,
    matrix: Any,
    start: Array,
    end: Array,
    weight: Array,
    years: float,
    volatility: float,
    rate: float,
    carry: float,
    limit: float,
    rounds: int,
    close: float,
    pasting: bool,
) -> float:
    n = x.shape[0] - 1
    top, bottom, squares = np.empty(start.shape), np.empty(start.shape), np.empty(start.shape)
    log_limit = log(limit)
    fresh = np.empty(n + 1)
    for j in range(n):
        log_b[j] = log(_first_guess(x[j], years, volatility, rate, carry, limit))
    log_b[n] = log_limit
    change = np.inf
    for _ in range(rounds):
        change = 0.0
        for i in range(n):
            t = x[i] * x[i] * years
            _squares_at(squares, matrix[i], log_b, log_limit)
            _terms(
                top,
                bottom,
                (start, end, weight),
                squares,
                log_b[i],
                log_limit,
                t,
                volatility,
                rate,
                carry,
                pasting,
            )
            deviation = volatility * square_root(t)
            d2 = (log_b[i] + (rate - carry) * t) / deviation - 0.5 * deviation
            d1 = d2 + deviation
            bell1, bell2 = density(d1), density(d2)
            over = bell2 / deviation if pasting else lower(d2, bell2)
            under = lower(d1, bell1) + (bell1 / deviation if pasting else 0.0)
            for k in range(start.shape[0]):
                over += top[k]
                under += bottom[k]
            fresh[i] = log_limit
            if over > 0.0 and under > 0.0:
                fresh[i] = min(log(over) - log(under) - (rate - carry) * t, log_limit)
            change = max(change, abs(fresh[i] - log_b[i]))
        for i in range(n):
            log_b[i] = fresh[i]
        if change <= close:
            break
    return change


@cache
def _compiled() -> Any:
    return njit(nogil=True, error_model="numpy")(_iterate)


def _pi() -> Decimal:
    """By Machin's formula."""
    return 4 * (4 * _arctan_of_inverse(5) - _arctan_of_inverse(239))


def _arctan_of_inverse(n: int) -> Decimal:
    total, power, k = Decimal(0), 1 / Decimal(n), 1
    while abs(power) > Decimal(10) ** (-_DIGITS - 2):
        total += power / k
        power /= -n * n
        k += 2
    return total


def _cosine(x: Decimal) -> Decimal:
    total, term, k = Decimal(0), Decimal(1), 0
    while abs(term) > Decimal(10) ** (-_DIGITS):
        total += term
        k += 2
        term *= -x * x / (k * (k - 1))
    return total
