"""Values and Greeks of European options: Black-Scholes-Merton with a continuous carry.

With a = spot exp(-carry years), b = strike exp(-rate years), s = volatility sqrt(years) and w = +1 for a
call, -1 for a put: value = w (a N(w d1) - b N(w d2)), d1 = ln(a / b) / s + s / 2, d2 = d1 - s. The carry is
the dividend yield of a share, the foreign rate of a currency pair; with the carry equal to the rate, `spot`
is the price of a future and the formula is Black (1976).

Limits, for every function here: at expiry or after (years <= 0) the value is the payoff and nothing moves it
but the spot; where s < 1e-12 it is the discounted intrinsic value of the forward, max(w (a - b), 0). On the
kink itself (a = b) both sides count half, and gamma is 0 there rather than infinite.

Source: Merton, Theory of rational option pricing (1973); Black, The pricing of commodity contracts (1976).
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from firm.risk_kernels.elementary import inline, square_root
from firm.risk_kernels.normal_law import density, exp, log, lower

Array = npt.NDArray[np.float64]
Numbers = npt.ArrayLike
"""A number or an array of them; arguments are broadcast against each other."""

DEVIATION_MIN = 1e-12
"""Below this volatility * sqrt(years) an option is worth the discounted intrinsic value of its forward."""

_FAR = 40.0  # N(40) is 1 and N(-40) is 0 in a double
_NAMES = ("spot", "strike", "years", "volatility", "rate", "carry", "sign")


class Greeks(NamedTuple):
    """An option's value and its partial derivatives, in price points of the underlying.

    `delta` per point of the spot, `gamma` per point squared; `vega` per unit of volatility (1.00, not one
    point), `theta` per year that passes, `rho` and `psi` per unit of the rate and of the carry (1.00, not one
    per cent), each with the other held. For an option on a future both rates are one: its rho is rho + psi.
    """

    value: Array
    delta: Array
    gamma: Array
    vega: Array
    theta: Array
    rho: Array
    psi: Array


def european_value(
    spot: Numbers,
    strike: Numbers,
    years: Numbers,
    volatility: Numbers,
    rate: Numbers,
    carry: Numbers,
    sign: Numbers,
) -> Array:
    """What European options are worth, in price points; the arguments are broadcast against each other.

    Parameters
    ----------
    spot, strike : float64
        Prices, positive.
    years : float64
        To expiry; 0 or less gives the payoff.
    volatility : float64
        Per square root of a year, 0.2 for 20 %; not negative.
    rate, carry : float64
        Continuous, per year, of any sign.
    sign : float64
        +1 call, -1 put.

    Returns
    -------
    float64 in the broadcast shape
        Not negative; absolute error a few 1e-16 of spot or strike. The same bits on every CPU.

    Raises
    ------
    ValueError
        If a number is not finite or out of its bounds.

    >>> round(float(european_value(60, 65, 0.25, 0.30, 0.08, 0.0, 1)), 4)
    2.1334
    """
    terms, shape = checked_terms(spot, strike, years, volatility, rate, carry, sign)
    value = np.empty(terms.shape[1])
    _compiled_value()(value, terms)
    return value.reshape(shape)


def european_greeks(
    spot: Numbers,
    strike: Numbers,
    years: Numbers,
    volatility: Numbers,
    rate: Numbers,
    carry: Numbers,
    sign: Numbers,
) -> Greeks:
    """Value and Greeks of European options; arguments, limits and errors of `european_value`.

    >>> one = european_greeks(100, 100, 1.0, 0.2, 0.0, 0.0, 1)
    >>> round(float(one.delta), 4), round(float(one.vega), 4)
    (0.5398, 39.6953)
    """
    terms, shape = checked_terms(spot, strike, years, volatility, rate, carry, sign)
    greeks = np.empty((len(Greeks._fields), terms.shape[1]))
    _compiled_greeks()(greeks, terms)
    return Greeks(*(row.reshape(shape) for row in greeks))


def checked_terms(
    spot: Numbers,
    strike: Numbers,
    years: Numbers,
    volatility: Numbers,
    rate: Numbers,
    carry: Numbers,
    sign: Numbers,
) -> tuple[Array, tuple[int, ...]]:
    """The arguments as float64[7, n] in the order of this signature, and the shape they broadcast to.

    Raises
    ------
    ValueError
        If a number is not finite, a spot or strike not positive, a volatility negative, a sign not +1 or -1.
    """
    given = (spot, strike, years, volatility, rate, carry, sign)
    columns = [np.asarray(each, dtype=np.float64) for each in given]
    shape = np.broadcast_shapes(*(column.shape for column in columns))
    terms = np.empty((len(columns), *shape))
    for k, column in enumerate(columns):
        terms[k] = column
    terms = terms.reshape(len(columns), -1)
    if not _compiled_check()(terms):
        for name, row in zip(_NAMES, terms, strict=True):
            _refuse(name, row, ~np.isfinite(row), "a finite number")
        for name, row in zip(_NAMES[:2], terms[:2], strict=True):
            _refuse(name, row, row <= 0.0, "a positive price (the log-normal law knows no other)")
        _refuse("volatility", terms[3], terms[3] < 0.0, "0 or more")
        _refuse("sign", terms[6], np.abs(terms[6]) != 1.0, "+1 for a call or -1 for a put")
    return terms, shape


def _makes_sense(terms: Array) -> bool:
    """Whether `checked_terms` has nothing to refuse: one pass instead of twelve."""
    fine = True
    for k in range(terms.shape[0]):
        row = terms[k]
        for i in range(row.shape[0]):
            fine &= abs(row[i]) < np.inf
    for i in range(terms.shape[1]):
        fine &= (terms[0, i] > 0.0) & (terms[1, i] > 0.0) & (terms[3, i] >= 0.0) & (abs(terms[6, i]) == 1.0)
    return fine


def _refuse(name: str, column: Array, bad: npt.NDArray[np.bool_], needed: str) -> None:
    if bad.any():
        raise ValueError(
            f"{name} of an option needs to be {needed}, found {column[bad].flat[0]} "
            f"({np.count_nonzero(bad)} of {column.size} are not)"
        )


@inline
def discounted(spot: float, strike: float, years: float, rate: float, carry: float) -> Any:
    """(spot exp(-carry years), strike exp(-rate years), ln of their quotient), with years not negative."""
    a = spot * exp(-carry * years)
    b = strike * exp(-rate * years)
    return a, b, log(spot / strike) + (rate - carry) * years


@inline
def _distances(x: float, s: float) -> Any:
    """(d1, d2); where s is as good as 0 both are far on their side, or 0 on the kink."""
    still = s < DEVIATION_MIN
    safe = 1.0 if still else s
    d1 = x / safe + 0.5 * safe
    d2 = d1 - safe
    edge = _FAR if x > 0.0 else (-_FAR if x < 0.0 else 0.0)
    return edge if still else d1, edge if still else d2


def _values(value: Array, terms: Array) -> None:
    for i in range(value.shape[0]):
        years = terms[2, i]
        years = 0.0 if years < 0.0 else years  # noqa: FURB136  # this order keeps NaN
        a, b, x = discounted(terms[0, i], terms[1, i], years, terms[4, i], terms[5, i])
        d1, d2 = _distances(x, terms[3, i] * square_root(years))
        w = terms[6, i]
        worth = w * (a * lower(w * d1, density(d1)) - b * lower(w * d2, density(d2)))
        value[i] = 0.0 if worth <= 0.0 else worth  # noqa: FURB136  # this order keeps NaN


def _all_greeks(greeks: Array, terms: Array) -> None:
    for i in range(greeks.shape[1]):
        volatility, rate, carry, w = terms[3, i], terms[4, i], terms[5, i], terms[6, i]
        years = terms[2, i]
        alive = 1.0 if years > 0.0 else 0.0
        years = 0.0 if years < 0.0 else years  # noqa: FURB136  # this order keeps NaN
        a, b, x = discounted(terms[0, i], terms[1, i], years, rate, carry)
        root = square_root(years)
        s = volatility * root
        d1, d2 = _distances(x, s)
        bell = density(d1)
        from_spot = a * lower(w * d1, bell)
        from_strike = b * lower(w * d2, density(d2))
        worth = w * (from_spot - from_strike)
        moving = s >= DEVIATION_MIN
        greeks[0, i] = 0.0 if worth <= 0.0 else worth  # noqa: FURB136  # this order keeps NaN
        greeks[1, i] = w * from_spot / terms[0, i]
        greeks[2, i] = a * bell / (terms[0, i] * terms[0, i] * s) if moving else 0.0
        greeks[3, i] = a * bell * root
        decay = a * bell * volatility / (2.0 * root) if moving else 0.0
        greeks[4, i] = alive * (w * (carry * from_spot - rate * from_strike) - decay)
        greeks[5, i] = w * years * from_strike
        greeks[6, i] = -w * years * from_spot


@cache
def _compiled_check() -> Any:
    return njit(nogil=True, error_model="numpy")(_makes_sense)


@cache
def _compiled_value() -> Any:
    return njit(nogil=True, error_model="numpy")(_values)


@cache
def _compiled_greeks() -> Any:
    return njit(nogil=True, error_model="numpy")(_all_greeks)
