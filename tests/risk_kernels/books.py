"""Laws and tables of contracts for the tests of the kernels, and their P&L by numpy and scipy."""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from firm.risk_kernels.contracts import CONTRACT, Contracts, FactorLaw, Payoff

Array = npt.NDArray[np.float64]


def law_of(m: int, k: int, degrees: int = 0) -> FactorLaw:
    rng = np.random.default_rng(7)
    return FactorLaw(
        loadings=rng.normal(0.0, 0.01, (m, k)),
        idiosyncratic=rng.uniform(0.0, 0.02, m),
        drift=rng.normal(0.0, 0.0005, m),
        degrees_of_freedom=degrees,
    )


def options_on(factors: npt.ArrayLike, **fields: npt.ArrayLike) -> Contracts:
    """European options near the money, half a year, unless `fields` say otherwise."""
    factor = np.atleast_1d(factors)
    options = np.zeros(len(factor), CONTRACT)
    options["factor"], options["payoff"] = factor, Payoff.EUROPEAN
    usual = {"unit": 1.0, "spot": 100.0, "strike": 100.0, "years": 0.5, "volatility": 0.3}
    for name, values in (usual | {"rate": 0.04, "carry": 0.01, "sign": 1.0} | fields).items():
        options[name] = values
    return options


def mixed_book(m: int, n: int) -> tuple[Contracts, Array]:
    """n contracts on m factors in no order: shares, options, some expired, some without volatility."""
    rng = np.random.default_rng(11)
    contracts = options_on(
        rng.integers(0, m, n),
        unit=rng.uniform(0.5, 2.0, n),
        price=rng.uniform(1.0, 20.0, n),
        strike=rng.uniform(80.0, 120.0, n),
        years=rng.uniform(0.02, 1.0, n),
        volatility=rng.uniform(0.1, 0.5, n),
        sign=rng.choice([-1.0, 1.0], n),
    )
    contracts["payoff"] = rng.choice([Payoff.LINEAR, Payoff.EUROPEAN], n)
    contracts["years"][3::8] = rng.uniform(-0.1, 0.0, len(contracts[3::8]))
    contracts["volatility"][5::8] = 0.0
    return contracts, rng.normal(0.0, 1e3, n)


def reference_columns(returns: Array, contracts: Contracts) -> Array:
    """P&L of one unit of each contract, by the textbook."""
    return np.array([_reference(returns[c["factor"]], c) for c in contracts])


def _reference(x: Array, c: np.void) -> Array:
    if c["payoff"] == Payoff.LINEAR:
        return np.asarray(c["unit"] * c["price"] * np.expm1(x))
    years = max(c["years"], 0.0)
    forward = c["spot"] * np.exp(x - c["carry"] * years)
    strike = c["strike"] * np.exp(-c["rate"] * years)
    deviation, sign = c["volatility"] * np.sqrt(years), c["sign"]
    if deviation < 1e-12:
        value = np.maximum(sign * (forward - strike), 0.0)
    else:
        d1 = np.log(forward / strike) / deviation + 0.5 * deviation
        value = sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - deviation)))
    return np.asarray(c["unit"] * (value - c["price"]))
