"""Pairs: two log prices that are tied together, bet on to close when they stand apart.

Sources: Engle and Granger, Co-Integration and Error Correction, Econometrica 55 (1987), the two-step test;
MacKinnon, Critical Values for Cointegration Tests, Queen's Economics Department Working Paper 1227 (2010),
table 2: with a constant and two variables the 1 % value is -3.89644 - 10.9519/T - 22.527/T**2.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar, NamedTuple

import numpy as np

from firm import config
from firm.agents.signals.cointegration import adf, fit_spreads, half_life
from firm.agents.signals.signal_agent import MarketWindow
from firm.errors import ConfigError, UnknownInstrument
from firm.events.signals import Signal, View

_PAIRS_AT_ONCE = 64
"""What is tested together: the few arrays of 64 rows that a test needs stay in the second-level cache."""


class Tested(NamedTuple):
    """One pair's test: the residual's last value in deviations, and what `cointegration` found."""

    z: float
    hedge: float
    speed: float
    t: float


class StatArb:
    """One opinion a pair `A/B`: when a cointegrated pair stands apart, sell the dear leg and buy the cheap.

    The pair must reject "no cointegration" (ADF statistic of the residual below `adf_critical`) with a
    positive hedge ratio. Conviction rises from 0 where the residual is `entry_z` deviations away to 1 at
    `full_z`. The legs stand in the hedge ratio, the bigger one with the full conviction: together they hold
    the spread.
    """

    name: ClassVar[str] = "stat_arb"

    def __init__(self, settings: config.StatArb) -> None:
        if settings.full_z <= settings.entry_z or settings.lookback_bars < 2 * settings.adf_lags + 10:
            raise ConfigError(
                "stat_arb needs full_z above entry_z, and lookback_bars of at least 10 plus twice adf_lags; "
                f"found entry_z {settings.entry_z}, full_z {settings.full_z}, lookback_bars "
                f"{settings.lookback_bars}, adf_lags {settings.adf_lags}. Correct signals.stat_arb."
            )
        if settings.pairs != "all":
            _check_names(settings.pairs)
        self._settings = settings

    def units(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """The listed pairs, or all in the order of the universe; raises UnknownInstrument for a stranger."""
        if self._settings.pairs == "all":
            return tuple(f"{first}/{second}" for first, second in combinations(symbols, 2))
        for pair in self._settings.pairs:
            _legs(pair, symbols)
        return self._settings.pairs

    def signals(self, window: MarketWindow, units: Sequence[str]) -> list[Signal]:
        """An opinion on each pair; no views where closes are missing, nothing ties it, or it is in band."""
        said: list[Signal] = []
        for start in range(0, len(units), _PAIRS_AT_ONCE):
            said += self._together(window, units[start : start + _PAIRS_AT_ONCE])
        return said

    def _together(self, window: MarketWindow, units: Sequence[str]) -> list[Signal]:
        legs = np.array([_legs(unit, window.symbols) for unit in units])
        bars = self._settings.lookback_bars
        closes = np.ascontiguousarray(window.closes[-bars:].T)
        usable = (closes > 0) & (closes < math.inf)
        known = (usable[legs[:, 0]] & usable[legs[:, 1]]).sum(axis=1).tolist()
        if len(window.closes) < bars:
            return [
                self._silent(unit, self._too_few(found)) for unit, found in zip(units, known, strict=True)
            ]
        logs = np.log(np.where(usable, closes, 1.0))
        spreads = fit_spreads(logs[legs[:, 0]], logs[legs[:, 1]])
        pulls = adf(spreads.residual, self._settings.adf_lags)
        z = spreads.residual[:, -1] / np.where(spreads.exists, spreads.deviation, 1.0)
        found = [column.tolist() for column in (z, spreads.hedge, pulls.speed, pulls.t)]
        said: list[Signal] = []
        for i, (unit, *numbers) in enumerate(zip(units, *found, strict=True)):
            tested = Tested(*numbers)
            why_not = self._no_pair(known[i], bool(spreads.exists[i]), bool(pulls.exists[i]), tested)
            said.append(
                self._silent(unit, why_not) if why_not else self._opinion(unit, legs[i].tolist(), tested)
            )
        return said

    def _too_few(self, known: int) -> str:
        return f"needs {self._settings.lookback_bars} closes in a row of both, found {known} usable"

    def _no_pair(self, known: int, spread: bool, pulled: bool, tested: Tested) -> str | None:
        bars, critical = self._settings.lookback_bars, self._settings.adf_critical
        if known < bars:
            return self._too_few(known)
        if not spread:
            return f"a leg did not move in {bars} bars, or both are one price: no spread"
        if tested.hedge <= 0:
            return f"hedge ratio {tested.hedge:+.4f} is not positive: not a pair to hold"
        if not pulled or tested.t >= critical:
            found = f"{tested.t:+.3f}" if pulled else "undefined"
            return f"not cointegrated: ADF {found}, needed below {critical}"
        return None

    def _opinion(self, unit: str, legs: Sequence[int], tested: Tested) -> Signal:
        z, hedge = tested.z, tested.hedge
        bars = half_life(tested.speed)
        found = f"z {z:+.3f}, hedge {hedge:.4f}, ADF {tested.t:+.3f}, half-life {bars:.1f} bars"
        entry, full = self._settings.entry_z, self._settings.full_z
        if abs(z) < entry:
            return self._silent(unit, f"inside band of {entry}: {found}")
        conviction = min(1.0, (abs(z) - entry) / (full - entry))
        direction = -1 if z > 0 else 1
        bigger = max(1.0, hedge)
        views = (
            View(legs[0], direction, conviction / bigger),
            View(legs[1], -direction, conviction * (hedge / bigger)),
        )
        return Signal(self.name, unit, views, math.ceil(bars), found)

    def _silent(self, unit: str, reason: str) -> Signal:
        return Signal(self.name, unit, (), 1, reason)


def _check_names(pairs: Sequence[str]) -> None:
    for pair in pairs:
        first, _, second = pair.partition("/")
        if not first or not second or first == second or pairs.count(pair) > 1:
            raise ConfigError(
                "signals.stat_arb.pairs needs pairs of two different symbols such as KO/PEP, each pair once; "
                f"found {pair!r} in {', '.join(pairs)}. Correct or remove it."
            )


def _legs(pair: str, symbols: Sequence[str]) -> tuple[int, int]:
    first, _, second = pair.partition("/")
    for name in (first, second):
        if name not in symbols:
            raise UnknownInstrument(
                f"pair {pair!r} needs two symbols of the universe, found no {name!r}; there are "
                f"{', '.join(symbols)}. Correct signals.stat_arb.pairs or universe.symbols."
            )
    return symbols.index(first), symbols.index(second)
