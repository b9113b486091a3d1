"""What the kernels revalue: a table of contracts, one row each, and the law of the factors that move them."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]


class Payoff(IntEnum):
    """How a contract's price follows its factor."""

    LINEAR = 0
    EUROPEAN = 1
    AMERICAN = 2


CONTRACT = np.dtype(
    [
        ("factor", "<i4"),
        ("payoff", "<i4"),
        ("unit", "<f8"),
        ("price", "<f8"),
        ("spot", "<f8"),
        ("strike", "<f8"),
        ("years", "<f8"),
        ("volatility", "<f8"),
        ("rate", "<f8"),
        ("carry", "<f8"),
        ("sign", "<f8"),
    ]
)
"""A contract. `factor` is the row of `FactorLaw` whose log-return x moves it; `unit` the money value, in
account currency, of one price point of one unit (multiplier times exchange rate); `price` the price now, from
which P&L is counted. LINEAR: P&L of one unit = unit price (exp(x) - 1), and the other fields are unused.

Options: `spot` is the price of the underlying now (in a scenario spot exp(x)), `years` the time from the end
of the horizon to expiry (at most 0: the payoff), `volatility`, continuous `rate` and `carry` (dividend yield;
for an option on a future the rate) per year, `sign` +1 call, -1 put. P&L of one unit =
unit (value - price)."""

Contracts = npt.NDArray[np.void]
"""An array of CONTRACT."""


def linear_contracts(n: int) -> Contracts:
    """One LINEAR contract on each of n factors, worth 1 in account currency: its quantity is the exposure.

    >>> linear_contracts(2)["factor"].tolist()
    [0, 1]
    """
    contracts = np.zeros(n, CONTRACT)
    contracts["factor"] = np.arange(n)
    contracts["payoff"] = Payoff.LINEAR
    contracts["unit"] = contracts["price"] = 1.0
    return contracts


class FactorLaw(NamedTuple):
    """The joint law of the log-returns x of m factors over the horizon.

    x_i = drift_i + t (sum_j loadings_ij f_j + idiosyncratic_i e_i), f and e standard normal, t the Student
    scale of `degrees_of_freedom` (0: normal, t = 1), one for all. `loadings` float64[m, k]; a full Cholesky
    factor float64[m, m] with idiosyncratic zero is a law as well.
    """

    loadings: Matrix
    idiosyncratic: Vector
    drift: Vector
    degrees_of_freedom: int


class Ladders(NamedTuple):
    """Values of contracts as piecewise polynomials in the log-return x of their factor: American options.

    `row` int32[n] is a contract's row l in the other arrays, -1 for none. Row l covers the returns
    low_l <= x <= low_l + cells step_l. In cell c, with t = 2 ((x - low_l) / step_l - c) - 1 in [-1, 1], the
    value of the contract in price points (the unit of `price` and `strike`) is the sum over k of
    coefficients[l, c, k] t^k, of degree 5. Outside the range it is NaN: a ladder is never extrapolated.
    """

    row: npt.NDArray[np.int32]
    low: Vector
    step: Vector
    coefficients: npt.NDArray[np.float64]
