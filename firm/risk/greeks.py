"""Greeks of a book of contracts in account currency, by factor and in total, for the limits on them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from firm.risk_kernels.american import american_greeks
from firm.risk_kernels.black_scholes import Greeks, european_greeks
from firm.risk_kernels.contracts import CONTRACT, Payoff

Array = npt.NDArray[np.float64]

POINT = 0.01
"""One volatility point, one per cent of a move, one percentage point of a rate."""

DAYS_A_YEAR = 365.0
"""Time decay is per calendar day."""

_PRICING = {Payoff.EUROPEAN: european_greeks, Payoff.AMERICAN: american_greeks}
_OPTION_FIELDS = ("spot", "strike", "years", "volatility", "rate", "carry", "sign")


class BookGreeks(NamedTuple):
    """What the book gains, in account currency, per factor (float64[m]) or in total (float64 scalars).

    `delta` per unit of relative move of the factor: the money value of the equivalent linear position
    ("dollar delta"); a move of 1 % gains about delta / 100. `gamma` is the change of delta per move of 1 %:
    sum of quantity unit spot**2 gamma / 100; LINEAR contracts have none. `vega` per volatility point (0.01),
    `theta` per calendar day that passes, `rho` per percentage point (0.01) of the rate.

    In a total the factors are added as they stand: its delta is the gain if all factors move by the same
    fraction, and its vega, theta and rho likewise. Gross totals of opposite factors cancel in it.
    """

    delta: Array
    gamma: Array
    vega: Array
    theta: Array
    rho: Array

    def total(self) -> "BookGreeks":
        """Over all factors, added in their order."""
        return BookGreeks(*(np.asarray(sum(row.tolist(), start=0.0)) for row in self))


def book_greeks(contracts: npt.NDArray[np.void], quantities: Array, factors: int) -> BookGreeks:
    """Greeks of `quantities` of each contract, by the factor that moves it.

    Everything is at the table's own prices and times: `years` counts from the end of the risk horizon, so for
    Greeks of this moment give a table built with a horizon of 0. An option whose carry equals its rate is
    one on a future: both move together in its rho (Black 1976); in any other the carry is held.

    Parameters
    ----------
    contracts : CONTRACT[n]
    quantities : float64[n]
        Signed number of units; shorts are negative.
    factors : int
        Number of factors m; a contract's `factor` is in 0 .. m - 1.

    Returns
    -------
    BookGreeks
        float64[m] each; a factor nobody is exposed to has zeros.

    Raises
    ------
    ValueError
        If lengths disagree, a number is not finite, a factor or payoff is unknown, or an option's terms are
        refused by its pricing.

    >>> table = np.zeros(1, CONTRACT)
    >>> table["unit"], table["price"] = 50.0, 4000.0
    >>> float(book_greeks(table, np.array([2.0]), 1).total().delta)
    400000.0
    """
    _check(contracts, quantities, factors)
    each = np.zeros((len(BookGreeks._fields), contracts.size))
    linear = contracts["payoff"] == Payoff.LINEAR
    each[0, linear] = contracts["unit"][linear] * contracts["price"][linear]
    for payoff, pricing in _PRICING.items():
        at = np.flatnonzero(contracts["payoff"] == payoff)
        if at.size:
            rows = contracts[at]
            each[:, at] = _money(rows, pricing(*(rows[name] for name in _OPTION_FIELDS)))
    each *= quantities
    return BookGreeks(*(_by_factor(row, contracts["factor"], factors) for row in each))


def _money(rows: npt.NDArray[np.void], greeks: Greeks) -> Array:
    """[delta, gamma, vega, theta, rho] of one unit of each option, in the units of `BookGreeks`."""
    spot, on_future = rows["spot"], rows["carry"] == rows["rate"]
    points = np.stack(
        [
            greeks.delta * spot,
            greeks.gamma * spot * spot * POINT,
            greeks.vega * POINT,
            greeks.theta / DAYS_A_YEAR,
            (greeks.rho + np.where(on_future, greeks.psi, 0.0)) * POINT,
        ]
    )
    return np.asarray(points * rows["unit"])


def _by_factor(values: Array, factor: npt.NDArray[np.int32], factors: int) -> Array:
    sums = np.zeros(factors)
    np.add.at(sums, factor, values)  # in the order of the contracts
    return sums


def _check(contracts: npt.NDArray[np.void], quantities: Array, factors: int) -> None:
    if contracts.dtype != CONTRACT or contracts.ndim != 1:
        raise ValueError(
            f"Greeks need a table of contracts, found {contracts.dtype} of shape {contracts.shape}"
        )
    if quantities.shape != contracts.shape:
        raise ValueError(
            f"Greeks need one quantity for each of {contracts.size} contracts, found shape {quantities.shape}"
        )
    known = np.isin(contracts["payoff"], [payoff.value for payoff in Payoff])
    if not known.all():
        raise ValueError(f"payoff needs to be a known kind, found {contracts['payoff'][~known][0]}")
    outside = (contracts["factor"] < 0) | (contracts["factor"] >= factors)
    if outside.any():
        raise ValueError(f"factor needs to be in 0..{factors - 1}, found {contracts['factor'][outside][0]}")
    linear = contracts["payoff"] == Payoff.LINEAR
    numbers = {"quantity": quantities, "unit": contracts["unit"], "price": contracts["price"][linear]}
    for name, values in numbers.items():
        if bad := int(np.count_nonzero(~np.isfinite(values))):
            raise ValueError(f"{name} needs finite values, found {bad} NaN or infinite of {values.size}")
