"""Values and Greeks of American options, to about ten digits.

An American put is the European one plus what early exercise earns: the integral, over the time until expiry,
of the interest on the strike less the carry of the spot in the states where it has been exercised (Kim 1990).
Where that is, `exercise_boundary` finds once for a volatility, a pair of rates and a time to expiry; the
value at any number of spots and strikes is then an integral of smooth functions, without the jumps of a tree
between neighbouring spots. Calls are puts with spot and strike, rate and carry exchanged.

Limits: at expiry or after, the payoff. An option that is never exercised early (a call whose carry is not
positive and at most the rate, a put whose rate is not positive and at most the carry) is the European one.
Where volatility sqrt(years) < 1e-12 the spot is known, and the option is worth its best exercise. Where both
rates are negative and the one that is gained by waiting is the smaller, exercise has a second boundary on the
far side; this is refused.

Source: Kim, The analytic valuation of American options (1990); Andersen, Lake and Offengenden (2016).
"""

import numpy as np
import numpy.typing as npt

from firm.risk_kernels.american_put import Course, course, put_shapes, put_values
from firm.risk_kernels.black_scholes import (
    DEVIATION_MIN,
    Array,
    Greeks,
    Numbers,
    checked_terms,
    european_greeks,
    european_value,
)
from firm.risk_kernels.normal_law import exp_of, log_of

_VOLATILITY_BUMP = 2e-3  # of the volatility; the error of a central difference is about its square
_RATE_BUMP = 1e-4
_SPOT, _STRIKE, _YEARS, _VOLATILITY, _RATE, _CARRY, _SIGN = range(7)


def american_value(
    spot: Numbers,
    strike: Numbers,
    years: Numbers,
    volatility: Numbers,
    rate: Numbers,
    carry: Numbers,
    sign: Numbers,
) -> Array:
    """What American options are worth, in price points.

    Arguments as of `european_value`, broadcast. Options that share years, volatility, rate, carry and sign
    share the boundary, which takes about half a millisecond; each value then about a microsecond.

    Returns
    -------
    float64 in the broadcast shape
        At least the payoff and the European value. Absolute error of the strike: 1e-12 in the median, 5e-10
        at the 99th percentile of ordinary terms, and refused above 1e-8. The same bits on every CPU.

    Raises
    ------
    ValueError
        If a number is not finite or out of its bounds, or both rates are negative so that exercise has two
        boundaries, or the boundary of extreme terms cannot be found to the accuracy promised.

    >>> round(float(american_value(36, 40, 1.0, 0.2, 0.06, 0.0, -1)), 3)
    4.487
    """
    terms, shape = checked_terms(spot, strike, years, volatility, rate, carry, sign)
    early, terms = _sorted_out(terms)
    value = european_value(*terms)
    for group in _alike(terms, early):
        log_moneyness = _log_moneyness(terms[:, group])
        normal = put_values(_course_of(terms[:, group[0]]), log_moneyness)
        value[group] = np.maximum(value[group], normal * _scale(terms[:, group]))
    payoff = terms[_SIGN] * (terms[_SPOT] - terms[_STRIKE])
    return np.asarray(np.maximum(value, payoff)).reshape(shape)


def american_greeks(
    spot: Numbers,
    strike: Numbers,
    years: Numbers,
    volatility: Numbers,
    rate: Numbers,
    carry: Numbers,
    sign: Numbers,
) -> Greeks:
    """Value and Greeks of American options; arguments, limits and errors of `american_value`.

    Delta and gamma are derivatives of the integral, theta follows from the differential equation; vega, rho
    and psi are central differences of the value (error about 1e-6 of themselves). Where the option is
    exercised at once, delta is the sign and the others are 0; gamma jumps there. About 4 ms an option.

    >>> one = american_greeks(30, 40, 1.0, 0.2, 0.06, 0.0, -1)
    >>> float(one.delta), float(one.gamma), float(one.vega)
    (-1.0, 0.0, 0.0)
    """
    terms, shape = checked_terms(spot, strike, years, volatility, rate, carry, sign)
    early, best = _sorted_out(terms)
    greeks = np.array(european_greeks(*best))
    greeks[4] = np.where(best[_YEARS] < terms[_YEARS], 0.0, greeks[4])
    for group in _alike(best, early):
        greeks[:5, group] = _early_greeks(best[:, group])
    if early.any():
        greeks[0] = american_value(*best)
        at = np.flatnonzero(early & (greeks[3] > 0.0))
        for row, bumped in ((3, _VOLATILITY), (5, _RATE), (6, _CARRY)):
            greeks[row, early] = 0.0
            greeks[row, at] = _slope(best[:, at], greeks[0, at], bumped)
    return Greeks(*(row.reshape(shape) for row in greeks))


def exercised_at(
    strike: float, years: float, volatility: float, rate: float, carry: float, sign: float
) -> float | None:
    """The spot from which (call) or to which (put) an option is exercised now; the strike of an expired one.

    None where no spot would do: the option is never exercised early. Errors as of `american_value`.

    >>> exercised_at(40, 1.0, 0.2, 0.0, 0.0, -1) is None
    True
    """
    terms, _ = checked_terms(strike, strike, years, volatility, rate, carry, sign)
    early, _ = _sorted_out(terms)
    if early[0]:
        edge = np.array([-terms[_SIGN, 0] * _course_of(terms[:, 0]).exercised_below])
        spot = float(strike) * float(exp_of(edge)[0])
        return spot if 0.0 < spot < np.inf else None
    still = volatility * np.sqrt(max(years, 0.0)) < DEVIATION_MIN
    return float(strike) if still else None


def _sorted_out(terms: Array) -> tuple[npt.NDArray[np.bool_], Array]:
    """Which options may be exercised early; all terms, with `years` the best time where all is certain."""
    call = terms[_SIGN] > 0.0
    gain = np.where(call, terms[_CARRY], terms[_RATE])
    cost = np.where(call, terms[_RATE], terms[_CARRY])
    years, deviation = terms[_YEARS], terms[_VOLATILITY] * np.sqrt(np.maximum(terms[_YEARS], 0.0))
    twice = (gain < 0.0) & (cost < gain) & (years > 0.0)
    if twice.any():
        i = int(np.flatnonzero(twice)[0])
        raise ValueError(
            f"an American {'call' if call[i] else 'put'} needs a rate and carry under which it is exercised "
            f"on one side only, found rate {terms[_RATE, i]} and carry {terms[_CARRY, i]} "
            f"({np.count_nonzero(twice)} of {twice.size} such)"
        )
    still = (deviation < DEVIATION_MIN) & (years > 0.0)
    early = ((gain > 0.0) | ((gain == 0.0) & (cost < 0.0))) & (years > 0.0) & ~still
    if still.any():
        terms = terms.copy()
        terms[_YEARS] = np.where(still, _best_time(terms, gain, cost), years)
    return early, terms


def _best_time(terms: Array, gain: Array, cost: Array) -> Array:
    """When an option without volatility is best exercised: now, at expiry, or as earning turns to cost."""
    years = np.maximum(terms[_YEARS], 0.0)
    own, other = terms[_STRIKE], terms[_SPOT]
    own, other = np.where(terms[_SIGN] > 0.0, other, own), np.where(terms[_SIGN] > 0.0, own, other)
    turns = (gain > 0.0) & (cost > gain)
    ratio = np.where(turns, cost * other / np.where(turns, gain * own, 1.0), 1.0)
    turn = np.clip(log_of(ratio) / np.where(turns, cost - gain, 1.0), 0.0, years)
    times = np.stack([np.zeros_like(years), turn, years])
    return np.asarray(times[_discounted_payoff(terms, times).argmax(axis=0), np.arange(years.size)])


def _discounted_payoff(terms: Array, times: Array) -> Array:
    from_spot = terms[_SPOT] * exp_of(-terms[_CARRY] * times)
    return np.asarray(terms[_SIGN] * (from_spot - terms[_STRIKE] * exp_of(-terms[_RATE] * times)))


def _alike(terms: Array, early: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.intp]]:
    """Positions of the options exercised early, in groups that share a boundary."""
    at = np.flatnonzero(early)
    if not at.size:
        return []
    order = at[np.lexsort(terms[_YEARS:, at])]
    changes = (np.diff(terms[_YEARS:, order], axis=1) != 0.0).any(axis=0)
    return list(np.split(order, np.flatnonzero(changes) + 1))


def _course_of(term: Array) -> Course:
    _, _, years, volatility, rate, carry, sign = (float(each) for each in term)
    return course(years, volatility, carry, rate) if sign > 0.0 else course(years, volatility, rate, carry)


def _log_moneyness(terms: Array) -> Array:
    """Of the put that stands for each option."""
    return np.ascontiguousarray(-terms[_SIGN] * log_of(terms[_SPOT] / terms[_STRIKE]))


def _scale(terms: Array) -> Array:
    """The strike of the put that stands for each option."""
    return np.asarray(np.where(terms[_SIGN] > 0.0, terms[_SPOT], terms[_STRIKE]))


def _early_greeks(terms: Array) -> Array:
    """[value, delta, gamma, 1 if it waits or 0 if exercised now, theta] of options that share a boundary."""
    one, log_moneyness = _course_of(terms[:, 0]), _log_moneyness(terms)
    v, slope, curve = put_shapes(one, log_moneyness)
    spot, strike, volatility, rate, carry = terms[[_SPOT, _STRIKE, _VOLATILITY, _RATE, _CARRY]]
    y = strike / spot
    call = terms[_SIGN] > 0.0
    value = np.where(call, spot, strike) * v
    delta = np.where(call, v - y * slope, slope)
    gamma = np.where(call, y * y * curve / spot, curve / strike)
    variance = volatility * volatility * spot * spot
    theta = rate * value - (rate - carry) * spot * delta - 0.5 * variance * gamma
    waiting = log_moneyness > one.exercised_below
    return np.stack([value, delta, gamma, waiting, np.where(waiting, theta, 0.0)])


def _slope(terms: Array, value: Array, row: int) -> Array:
    """Derivative of the value by one of the terms: central, or forward where the rate must not be lowered."""
    h = _VOLATILITY_BUMP * terms[row] if row == _VOLATILITY else np.full(value.size, _RATE_BUMP)
    gained = np.where(terms[_SIGN] > 0.0, _CARRY, _RATE)
    forward = (gained == row) & (terms[row] < 2.0 * h)
    near, far = terms.copy(), terms.copy()
    near[row] += np.where(forward, h, -h)
    far[row] += np.where(forward, 2.0 * h, h)
    at_near, at_far = american_value(*near), american_value(*far)
    ahead = (-1.5 * value + 2.0 * at_near - 0.5 * at_far) / h
    return np.asarray(np.where(forward, ahead, (at_far - at_near) / (2.0 * h)))
