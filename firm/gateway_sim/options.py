"""Option chains on the tape's stocks: which contracts are listed, and what a model says they are worth. Pure.

Nothing trades here: the tape has no option quotes, so chains have contracts, model values and greeks, and no
bid and ask. Assumptions: monthly expiries on third Fridays, strikes around the first known price, European
exercise, no dividends and rates of zero, one volatility (realised, of the closes before the tape).
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from firm.domain.instrument import Instrument
from firm.domain.session import NS_PER_SECOND
from firm.tape.tape import Tape

EXPIRIES = 4
MULTIPLIER = 100
YEAR_DAYS = 365.0
SESSIONS_A_YEAR = 252.0
VOLATILITY_CLOSES, VOLATILITY_CLOSES_MIN, VOLATILITY_GUESS = 60, 10, 0.2
STEPS = ((25.0, "1"), (200.0, "5"), (math.inf, "10"))


class Option(NamedTuple):
    """One listed contract; `right` is C or P, `expiry` the day it ends."""

    con_id: int
    underlying: Instrument
    expiry: date
    strike: Decimal
    right: str
    local_symbol: str


class Value(NamedTuple):
    """What the model says: money for one share, and its sensitivities.

    `vega` is for one percent of volatility, `theta` for one day.
    """

    volatility: float
    price: float
    delta: float
    gamma: float
    vega: float
    theta: float


class Chains:
    """The options on every instrument of a tape."""

    def __init__(self, instruments: Sequence[Instrument], tape: Tape) -> None:
        self._instruments = instruments
        self._strikes = [_strikes(_first_price(tape, i.index)) for i in instruments]
        self.volatilities = [_realised(tape, i.index) for i in instruments]
        self._listed: tuple[tuple[date, ...], dict[int, Option]] = ((), {})

    def strikes(self, instrument: int) -> tuple[Decimal, ...]:
        """Listed strikes, rising; none if no price was ever known."""
        return self._strikes[instrument]

    def listed(self, today: date) -> dict[int, Option]:
        """Every option that has not expired before `today`, by contract id."""
        days = expiries(today)
        if self._listed[0] != days:
            options = (
                _option(instrument, day, strike, right)
                for instrument in self._instruments
                for day in days
                for strike in self._strikes[instrument.index]
                for right in ("C", "P")
            )
            self._listed = days, {option.con_id: option for option in options}
        return self._listed[1]

    def find(self, asked: Mapping[str, Any], today: date) -> list[Option]:
        """The listed options that fit a contract request; attributes left out fit all."""
        if asked.get("conId"):
            option = self.listed(today).get(asked["conId"])
            return [option] if option else []
        if asked.get("secType") != "OPT":
            return []
        return [option for option in self.listed(today).values() if _fits(option, asked)]


def expiries(today: date) -> tuple[date, ...]:
    """The next third Fridays, today among them."""
    days: list[date] = []
    year, month = today.year, today.month
    while len(days) < EXPIRIES:
        first = date(year, month, 1)
        third = first + timedelta(days=(4 - first.weekday()) % 7 + 14)
        if third >= today:
            days.append(third)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return tuple(days)


def value(option: Option, spot: float, volatility: float, at: int) -> Value:
    """Black and Scholes (1973) with a rate of zero; on the last day, at least one hour of time is left."""
    seconds = datetime(*option.expiry.timetuple()[:3], 21, tzinfo=UTC).timestamp() - at / NS_PER_SECOND
    time = max(seconds, 3600.0) / 86_400 / YEAR_DAYS
    strike, root = float(option.strike), math.sqrt(time)
    d1 = math.log(spot / strike) / (volatility * root) + volatility * root / 2
    d2 = d1 - volatility * root
    density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
    call = spot * _normal(d1) - strike * _normal(d2)
    put = option.right == "P"
    return Value(
        volatility=volatility,
        price=call - spot + strike if put else call,
        delta=_normal(d1) - put,
        gamma=density / (spot * volatility * root),
        vega=spot * density * root / 100,
        theta=-spot * density * volatility / (2 * root) / YEAR_DAYS,
    )


def implied(option: Option, spot: float, price: float, at: int) -> float | None:
    """The volatility (0.1 % to 500 %) at which the model gives `price`, by bisection; None if none does."""
    low, high = 0.001, 5.0
    if not value(option, spot, low, at).price <= price <= value(option, spot, high, at).price:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        if value(option, spot, middle, at).price < price:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _normal(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


def _first_price(tape: Tape, index: int) -> float:
    closes = tape.history_closes[:, index]
    known = closes[np.isfinite(closes)]
    if len(known):
        return float(known[-1])
    quotes = tape.frames[0].quotes
    mine = quotes[quotes["instrument"] == index]
    return float((mine["bid"][0] + mine["ask"][0]) / 2) if len(mine) else math.nan


def _realised(tape: Tape, index: int) -> float:
    closes = tape.history_closes[-VOLATILITY_CLOSES:, index]
    known = closes[np.isfinite(closes) & (closes > 0)]
    if len(known) < VOLATILITY_CLOSES_MIN:
        return VOLATILITY_GUESS
    spread = float(np.std(np.diff(np.log(known)), ddof=1)) * math.sqrt(SESSIONS_A_YEAR)
    return max(spread, 0.01)


def _strikes(price: float) -> tuple[Decimal, ...]:
    """Every step from half the price to one and a half times it."""
    if not price > 0:
        return ()
    step = next(Decimal(step) for below, step in STEPS if price < below)
    low, high = int(Decimal(repr(price)) / 2 / step) + 1, int(Decimal(repr(price)) * 3 / 2 / step)
    return tuple(step * n for n in range(low, high + 1))


def _option(instrument: Instrument, day: date, strike: Decimal, right: str) -> Option:
    local = f"{instrument.symbol:<6}{day:%y%m%d}{right}{int(strike * 1000):08d}"
    con_id = int.from_bytes(hashlib.sha256(local.encode()).digest()[:4]) & 0x7FFFFFFF
    return Option(con_id, instrument, day, strike, right, local)


def _fits(option: Option, asked: Mapping[str, Any]) -> bool:
    if asked.get("localSymbol"):
        return bool(option.local_symbol == asked["localSymbol"])
    strike, right = asked.get("strike"), (asked.get("right") or "")[:1].upper()
    return (
        asked.get("symbol", "").upper() == option.underlying.symbol.upper()
        and f"{option.expiry:%Y%m%d}".startswith(asked.get("lastTradeDate") or "")
        and (not strike or Decimal(repr(strike)) == option.strike)
        and (not right or right == option.right)
        and asked.get("multiplier", "") in {"", str(MULTIPLIER)}
    )
