"""Values of options given as a table of contracts, for stress and reverse stress."""

import numpy as np
import numpy.typing as npt

from firm.errors import DataError
from firm.risk_kernels.american import american_value
from firm.risk_kernels.black_scholes import european_value
from firm.risk_kernels.contracts import Payoff

Vector = npt.NDArray[np.float64]

_TERMS = ("spot", "strike", "years", "volatility", "rate", "carry", "sign")


def option_values(contracts: npt.NDArray[np.void]) -> Vector:
    """The value of one option of each contract, in points of price, float64[n]; `price` and `unit` unused.

    Raises
    ------
    DataError
        If a term is not finite or out of bounds (a strike or spot not positive), a contract no option, or an
        American one cannot be valued to the accuracy promised.
    """
    values = np.full(len(contracts), np.nan)
    try:
        for payoff, value_of in ((Payoff.EUROPEAN, european_value), (Payoff.AMERICAN, american_value)):
            rows = contracts["payoff"] == payoff
            if rows.any():
                values[rows] = value_of(*(contracts[name][rows] for name in _TERMS))
    except ValueError as error:
        raise DataError(f"stress cannot value an option: {error}") from error
    if np.isnan(values).any():
        raise DataError("stress was asked for the value of an option whose contract is of no known payoff")
    return values
