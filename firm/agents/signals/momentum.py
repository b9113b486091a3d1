"""Time-series momentum: what has risen, measured against its own noise, is expected to rise on.

Source: Moskowitz, Ooi and Pedersen, Time Series Momentum, Journal of Financial Economics 104 (2012).
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from firm import config
from firm.agents.signals.signal_agent import MarketWindow
from firm.errors import ConfigError, UnknownInstrument
from firm.events.signals import Signal, View


class Momentum:
    """One opinion a symbol: the sign of its trend, as sure as the trend is unlikely to be noise.

    The trend is the log return from `lookback_bars` ago to `skip_bars` ago. Its t-statistic is the trend over
    a price without drift, as volatile as in the last `volatility_bars`, would wander in that span. Conviction
    is `2 Phi(|t|) - 1`: the probability that noise alone would have stayed below it.
    """

    name: ClassVar[str] = "momentum"

    def __init__(self, settings: config.Momentum) -> None:
        if settings.skip_bars >= settings.lookback_bars or settings.volatility_bars < 2:
            raise ConfigError(
                "momentum needs skip_bars below lookback_bars and volatility_bars of at least 2; found "
                f"skip_bars {settings.skip_bars}, lookback_bars {settings.lookback_bars}, volatility_bars "
                f"{settings.volatility_bars}. Correct signals.momentum."
            )
        self._settings = settings
        self._span = settings.lookback_bars - settings.skip_bars
        self._needed = max(settings.lookback_bars, settings.volatility_bars) + 1
        self._horizon = max(1, settings.lookback_bars // 12)  # the paper's month after a year

    def units(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """Each symbol is a unit."""
        return tuple(symbols)

    def signals(self, window: MarketWindow, units: Sequence[str]) -> list[Signal]:
        """An opinion on each symbol; without views where closes are missing or never moved."""
        return [self._signal(window, unit) for unit in units]

    def _signal(self, window: MarketWindow, unit: str) -> Signal:
        if unit not in window.symbols:
            raise UnknownInstrument(
                f"momentum was asked about {unit!r}; the window has {', '.join(window.symbols)}. "
                "Ask for one of these."
            )
        closes = np.ascontiguousarray(window.column(unit)[-self._needed :])
        known = int(np.count_nonzero(np.isfinite(closes) & (closes > 0)))
        if known < self._needed:
            return self._silent(unit, f"needs {self._needed} closes in a row, found {known} usable")
        logs = np.log(closes)
        steps = np.diff(logs[-self._settings.volatility_bars - 1 :])
        noise = steps - np.sum(steps) / len(steps)
        volatility = math.sqrt(float(np.sum(noise * noise)) / (len(steps) - 1))
        if volatility == 0:
            return self._silent(unit, f"the last {len(steps)} returns do not vary, volatility 0")
        trend = float(logs[-1 - self._settings.skip_bars] - logs[-1 - self._settings.lookback_bars])
        t = trend / (volatility * math.sqrt(self._span))
        view = View(window.symbols.index(unit), (t > 0) - (t < 0), math.erf(abs(t) / math.sqrt(2)))
        reason = f"trend {trend:+.4f} over {self._span} bars, volatility {volatility:.5f} a bar, t {t:+.3f}"
        return Signal(self.name, unit, (view,), self._horizon, reason)

    def _silent(self, unit: str, reason: str) -> Signal:
        return Signal(self.name, unit, (), self._horizon, reason)
