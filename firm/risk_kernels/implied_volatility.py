"""The volatility at which Black-Scholes-Merton gives the price of a European option.

Every price is turned into that of the out-of-the-money option of the same strike, over the geometric mean of
the discounted spot and strike: c(x, s) = exp(x/2) N(x/s + s/2) - exp(-x/2) N(x/s - s/2), x <= 0, which rises
in s from 0 to exp(x/2) with one inflection at sqrt(-2x). Below the inflection we solve 1/ln c, nearly linear
in s**2; above it ln(exp(x/2) - c). Halley steps, kept inside a bracket that only shrinks, so that no price
within its bounds fails; c and its complement are evaluated without cancellation.

Source of the normalisation and the two objectives: Jaeckel, Let's be rational, Wilmott (2015).
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from firm.risk_kernels.black_scholes import Array, Numbers, checked_terms, discounted
from firm.risk_kernels.elementary import fma, inline, square_root
from firm.risk_kernels.normal_law import exp, log, tail_ratio

_LOG_ROOT_2_PI = 0.9189385332046728
_ROOT_2_PI = 2.5066282746310002
_STEPS_MAX = 100  # bisection alone would need about 60
_CLOSE = 1e-10  # a Halley step as small as this leaves an error of the order of its cube
_SLACK = 8.9e-16  # 4 units in the last place: what computing a price by the formula may lose
_SERIES_S, _SERIES_Y = 0.05, 5.0
_BELOW, _ABOVE = 1, 2


def arbitrage_bounds(
    spot: Numbers, strike: Numbers, years: Numbers, rate: Numbers, carry: Numbers, sign: Numbers
) -> tuple[Array, Array]:
    """(lowest, highest) price of a European option at any volatility, in price points.

    The lowest is the discounted intrinsic value of the forward, reached at volatility 0; the highest the
    discounted spot (call) or strike (put), approached as the volatility grows. Arguments and errors are those
    of `european_value`.

    >>> [float(each) for each in arbitrage_bounds(110, 100, 1.0, 0.0, 0.0, 1)]
    [10.0, 110.0]
    """
    terms, shape = checked_terms(spot, strike, years, 0.0, rate, carry, sign)
    low, high = np.empty(terms.shape[1]), np.empty(terms.shape[1])
    _compiled_bounds()(low, high, terms)
    return low.reshape(shape), high.reshape(shape)


def implied_volatility(
    price: Numbers,
    spot: Numbers,
    strike: Numbers,
    years: Numbers,
    rate: Numbers,
    carry: Numbers,
    sign: Numbers,
) -> Array:
    """Volatility per square root of a year at which `european_value` gives `price`.

    Relative error about 1e-14 for prices out of the money, however far; in the money as much worse as the
    time value is smaller than the price, whose last digit is all there is to know it from. A price at its
    lower bound (within 4 units in the last place of spot or strike) gives 0. The same bits on every CPU.

    Parameters
    ----------
    price : float64
        In price points, above 0. The other arguments, also broadcast, are those of `european_value`.

    Returns
    -------
    float64 in the broadcast shape
        0.2 for 20 %.

    Raises
    ------
    ValueError
        If an option has expired, a number is not finite or out of its bounds, or a price is not within
        `arbitrage_bounds`: below them, or at or above the upper one.

    >>> price = 2.133368444916200
    >>> round(float(implied_volatility(price, 60, 65, 0.25, 0.08, 0.0, 1)), 12)
    0.3
    """
    prices = np.asarray(price, dtype=np.float64)
    shape = np.broadcast_shapes(
        prices.shape, *(np.shape(each) for each in (spot, strike, years, rate, carry, sign))
    )
    terms, _ = checked_terms(spot, strike, years, np.zeros(shape), rate, carry, sign)
    flat = np.ascontiguousarray(np.broadcast_to(prices, shape)).reshape(-1)
    if (bad := int(np.count_nonzero(~np.isfinite(flat)))) > 0:
        raise ValueError(f"price of an option needs to be a finite number; {bad} of {flat.size} are not")
    if (expired := terms[2] <= 0.0).any():
        raise ValueError(
            f"an implied volatility needs time to expiry, found {terms[2][expired][0]} years "
            f"({np.count_nonzero(expired)} of {flat.size} have expired)"
        )
    volatility, fault = np.empty(flat.size), np.zeros(flat.size, dtype=np.int64)
    _compiled()(volatility, fault, flat, terms)
    if fault.any():
        raise ValueError(_out_of_bounds(flat, terms, fault))
    return volatility.reshape(shape)


def _out_of_bounds(price: Array, terms: Array, fault: npt.NDArray[np.int64]) -> str:
    i = int(np.flatnonzero(fault)[0])
    spot, strike, years, _, rate, carry, sign = (float(term) for term in terms[:, i])
    low, high = arbitrage_bounds(spot, strike, years, rate, carry, sign)
    return (
        f"price of an option needs to be at least {float(low)!r} and below {float(high)!r} (spot {spot}, "
        f"strike {strike}, {years} years, rate {rate}, carry {carry}, sign {sign:+.0f}), found "
        f"{float(price[i])!r}; {np.count_nonzero(fault == _BELOW)} of {price.size} prices are below "
        f"their bounds, {np.count_nonzero(fault == _ABOVE)} at or above"
    )


@inline
def _log_value(x: float, s: float) -> Any:
    """(ln c, ln c', ln(exp(x/2) - c)) of the normalised option; c' is the derivative by s."""
    y = -x / s
    h = 0.5 * s
    log_slope = -0.5 * fma(y, y, h * h) - _LOG_ROOT_2_PI
    beyond2 = tail_ratio(y + h)
    if s < _SERIES_S and y < _SERIES_Y:
        m0 = tail_ratio(y)
        m1 = fma(y, m0, -1.0)
        m2 = fma(y, m1, m0)
        m3 = fma(y, m2, 2.0 * m1)
        m4 = fma(y, m3, 3.0 * m2)
        m5 = fma(y, m4, 4.0 * m3)
        m6 = fma(y, m5, 5.0 * m4)
        m7 = fma(y, m6, 6.0 * m5)
        q = h * h
        width = -s * fma(q, fma(q, fma(q, m7 / 5040.0, m5 / 120.0), m3 / 6.0), m1)
    elif y >= h:
        width = tail_ratio(y - h) - beyond2
    else:
        width = exp(0.5 * x - log_slope) - tail_ratio(h - y) - beyond2
    log_c = log_slope + log(width)
    if y >= h:
        log_rest = 0.5 * x + log(1.0 - exp(log_c - 0.5 * x))
    else:
        log_rest = log_slope + log(tail_ratio(h - y) + beyond2)
    return log_c, log_slope, log_rest


@inline
def _step(x: float, s: float, log_beta: float, log_rest_beta: float, lower: bool) -> Any:
    """(objective, Halley step from s) for either side of the inflection; the objective falls as s rises."""
    log_c, log_slope, log_rest = _log_value(x, s)
    bend = x * x / (s * s * s) - 0.25 * s
    if lower:
        objective = 1.0 / log_c - 1.0 / log_beta
        rate = exp(log_slope - log_c)
        slope = -rate / (log_c * log_c)
        curve = bend - rate - 2.0 * rate / log_c
    else:
        objective = log_rest - log_rest_beta
        rate = exp(log_slope - log_rest)
        slope = -rate
        curve = bend + rate
    newton = -objective / slope
    halley = 1.0 + 0.5 * newton * curve
    return objective, newton / max(halley, 0.5)


@inline
def _solve(x: float, beta: float, rest: float) -> Any:
    """The s > 0 with c(x, s) = beta, where rest = exp(x/2) - beta; both positive."""
    log_beta, log_rest_beta = log(beta), log(rest)
    inflection = square_root(-2.0 * x)
    lower = False
    low, high, s = inflection, np.inf, inflection
    if inflection > 0.0:
        lower = log_beta < _log_value(x, inflection)[0]
    if lower:
        low, high = 0.0, inflection
        s = -x / square_root(-2.0 * log_beta)
        s = 0.5 * inflection if not s < inflection else s
    elif s < _ROOT_2_PI * beta:
        s = _ROOT_2_PI * beta  # the slope of c is nowhere above 1 / sqrt(2 pi)
    for _ in range(_STEPS_MAX):
        objective, step = _step(x, s, log_beta, log_rest_beta, lower)
        if abs(step) <= _CLOSE * s:
            s += step
            break
        if objective > 0.0:
            low = s
        else:
            high = s
        trial = s + step
        if not low < trial < high:
            trial = 0.5 * (low + high) if high < np.inf else 2.0 * s
        s = trial
    if beta < rest:  # a last step on ln c itself, which knows small s better than its complement does
        log_c, log_slope, _ = _log_value(x, s)
        s += (log_beta - log_c) * exp(log_c - log_slope)
    return s


def _all(volatility: Array, fault: Any, price: Array, terms: Array) -> None:
    for i in range(price.shape[0]):
        years, w = terms[2, i], terms[6, i]
        a, b, log_moneyness = discounted(terms[0, i], terms[1, i], years, terms[4, i], terms[5, i])
        scale = square_root(a) * square_root(b)
        low = max(w * (a - b), 0.0)
        time_value = price[i] - low
        slack = _SLACK * max(a, b)
        rest = (a if w > 0.0 else b) - price[i]
        volatility[i] = 0.0
        if price[i] < low - slack:
            fault[i] = _BELOW
        elif rest <= 0.0:
            fault[i] = _ABOVE
        elif time_value > (slack if low > 0.0 else 0.0):
            s = _solve(-abs(log_moneyness), time_value / scale, rest / scale)
            volatility[i] = s / square_root(years)


def _bounds(low: Array, high: Array, terms: Array) -> None:
    for i in range(low.shape[0]):
        years = max(terms[2, i], 0.0)
        a, b, _ = discounted(terms[0, i], terms[1, i], years, terms[4, i], terms[5, i])
        low[i] = max(terms[6, i] * (a - b), 0.0)
        high[i] = a if terms[6, i] > 0.0 else b


@cache
def _compiled() -> Any:
    return njit(nogil=True, error_model="numpy")(_all)


@cache
def _compiled_bounds() -> Any:
    return njit(nogil=True, error_model="numpy")(_bounds)
