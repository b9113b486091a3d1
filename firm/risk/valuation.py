"""The universe as a table of contracts at the marks of the moment."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from math import isfinite
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from firm.domain.instrument import Instrument
from firm.risk_kernels.contracts import CONTRACT, Payoff
from firm.risk_kernels.implied_volatility import implied_volatility

Vector = NDArray[np.float64]

ACCOUNT_CURRENCY = "USD"
TRADING_DAYS_A_YEAR = 252
SECONDS_A_YEAR = 365 * 86_400
_EXPIRY_HOUR = time(16)
_EXCHANGE = ZoneInfo("America/New_York")


def contracts_at(
    instruments: Sequence[Instrument], prices: Vector, at: int, horizon_days: float, interest_rate: float
) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
    """A row of `CONTRACT` an instrument, and which of them have a value.

    Shares, futures and currencies are worth price times multiplier. An option is valued by the volatility
    that its own price implies under Black, Scholes and Merton without dividends (what dividends or early
    exercise are worth is in that volatility, so that its value now is its price); without a price that
    implies one it has no value. Its time runs to 16:00 in New York on the day of expiry, less the horizon.
    There are no conversion rates: what is not in the account's currency has no value here.

    Parameters
    ----------
    prices : float64[n]
        Marks; 0 or NaN: none.
    at : int
        Now, ns UTC.
    horizon_days : float
        Trading days of the VaR horizon; 0 for the contracts as they are now.
    interest_rate : float
        Continuous, a year.

    Returns
    -------
    CONTRACT[n], bool[n]
        A row without a value is all zero but for its factor.
    """
    table = np.zeros(len(instruments), CONTRACT)
    table["factor"] = np.arange(len(instruments))
    ours = np.array([instrument.currency == ACCOUNT_CURRENCY for instrument in instruments], np.bool_)
    valued = ours & np.isfinite(prices) & (prices > 0)
    for i in np.flatnonzero(valued).tolist():
        instrument, row = instruments[i], table[i]
        row["unit"], row["price"] = float(instrument.multiplier), prices[i]
        if instrument.underlying >= 0:
            valued[i] = _can_be_option(instrument, instruments, valued) and _fill_option(
                row,
                instrument,
                float(prices[instrument.underlying]),
                at,
                interest_rate,
                carry=interest_rate if instruments[instrument.underlying].sec_type == "FUT" else 0.0,
            )
    table[~valued] = np.zeros(1, CONTRACT)
    table["factor"][~valued] = np.flatnonzero(~valued)
    return at_horizon(table, horizon_days), valued


def at_horizon(contracts: NDArray[np.void], horizon_days: float) -> NDArray[np.void]:
    """The contracts of this moment, with the time they have left after so many trading days."""
    later = contracts.copy()
    later["years"] = np.maximum(0.0, contracts["years"] - horizon_days / TRADING_DAYS_A_YEAR)
    return later


def _can_be_option(option: Instrument, instruments: Sequence[Instrument], valued: NDArray[np.bool_]) -> bool:
    known = option.underlying < len(instruments) and option.right in ("C", "P") and option.strike > 0
    return known and bool(valued[option.underlying])


def _fill_option(
    row: np.void, option: Instrument, spot: float, at: int, interest_rate: float, carry: float
) -> bool:
    now = _years_left(option, at)
    sign = 1.0 if option.right == "C" else -1.0
    if not now > 0:
        return False
    terms = float(row["price"]), spot, float(option.strike), now, interest_rate, carry, sign
    volatility = _implied(*terms)
    if not (isfinite(volatility) and volatility > 0):
        return False
    row["factor"], row["payoff"] = option.underlying, Payoff.EUROPEAN
    row["spot"], row["strike"], row["sign"] = spot, float(option.strike), sign
    row["years"], row["volatility"] = now, volatility
    row["rate"], row["carry"] = interest_rate, carry
    return True


def _implied(*terms: float) -> float:
    try:
        return float(implied_volatility(*terms))
    except ValueError:
        return float("nan")


def _years_left(option: Instrument, at: int) -> float:
    """Until the option expires; NaN if it does not say when."""
    try:
        day = datetime.strptime(option.expiry, "%Y%m%d").replace(tzinfo=_EXCHANGE)
    except ValueError:
        return float("nan")
    end = datetime.combine(day.date(), _EXPIRY_HOUR, _EXCHANGE)
    now = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at // 1000)
    return (end - now).total_seconds() / SECONDS_A_YEAR
