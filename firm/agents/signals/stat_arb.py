"""Pairs: two log prices that are tied together, bet on to close when they stand apart.

Sources: Engle and Granger, Co-Integration and Error Correction, Econometrica 55 (1987), the two-step test;
MacKinnon, Critical Values for Cointegration Tests, Queen's Economics Department Working Paper 1227 (2010),
table 2: with a constant and two variables the 1 % value is -3.89644 - 10.9519/T - 22.527/T**2.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from firm import config
from firm.agents.signals.signal_agent import MarketWindow
from firm.errors import ConfigError, UnknownInstrument
from firm.events.signals import Signal, View

Vector: TypeAlias = NDArray[np.float64]

_STILL = 1e-20  # sum of squared log-price deviations that is rounding, not movement
_SAME = 1e-10  # share of a log price's variation left unexplained that is rounding, not a spread


class Spread(NamedTuple):
    """`log A = intercept + hedge log B + residual` by least squares.

    `residual` float64[bars] has mean zero; `deviation` is its standard deviation (two estimated parameters).
    """

    hedge: float
    residual: Vector
    deviation: float


class Reversion(NamedTuple):
    """`speed` is the pull back to zero a bar (negative pulls); `t` its statistic, the ADF statistic."""

    speed: float
    t: float

    @property
    def half_life(self) -> float:
        """Bars until half of a deviation is gone, at least one; only a negative speed has one."""
        assert self.speed < 0, "a spread that is not pulled back has no half-life"
        return 1.0 if self.speed <= -0.5 else max(1.0, math.log(0.5) / math.log1p(self.speed))


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

    def signal(self, window: MarketWindow, unit: str) -> Signal:
        """The opinion on one pair; no views where closes are missing, nothing ties it, or it is in band."""
        first, second = _legs(unit, window.symbols)
        bars = self._settings.lookback_bars
        closes = window.closes[-bars:, first], window.closes[-bars:, second]
        known = int(np.count_nonzero((closes[0] > 0) & (closes[1] > 0) & (closes[0] + closes[1] < math.inf)))
        if known < bars:
            return self._silent(unit, f"needs {bars} closes in a row of both, found {known} usable")
        a, b = (np.log(np.ascontiguousarray(leg)) for leg in closes)
        spread = fit_spread(a, b)
        if spread is None:
            return self._silent(unit, f"a leg did not move in {bars} bars, or both are one price: no spread")
        if spread.hedge <= 0:
            return self._silent(unit, f"hedge ratio {spread.hedge:+.4f} is not positive: not a pair to hold")
        pull = adf(spread.residual, self._settings.adf_lags)
        if pull is None or pull.t >= self._settings.adf_critical:
            found = "undefined" if pull is None else f"{pull.t:+.3f}"
            return self._silent(
                unit, f"not cointegrated: ADF {found}, needed below {self._settings.adf_critical}"
            )
        return self._opinion(unit, (first, second), spread, pull)

    def _opinion(self, unit: str, legs: tuple[int, int], spread: Spread, pull: Reversion) -> Signal:
        z = float(spread.residual[-1]) / spread.deviation
        found = (
            f"z {z:+.3f}, hedge {spread.hedge:.4f}, ADF {pull.t:+.3f}, half-life {pull.half_life:.1f} bars"
        )
        entry, full = self._settings.entry_z, self._settings.full_z
        if abs(z) < entry:
            return self._silent(unit, f"inside band of {entry}: {found}")
        conviction = min(1.0, (abs(z) - entry) / (full - entry))
        direction = -1 if z > 0 else 1
        bigger = max(1.0, spread.hedge)
        views = (
            View(legs[0], direction, conviction / bigger),
            View(legs[1], -direction, conviction * (spread.hedge / bigger)),
        )
        return Signal(self.name, unit, views, math.ceil(pull.half_life), found)

    def _silent(self, unit: str, reason: str) -> Signal:
        return Signal(self.name, unit, (), 1, reason)


def fit_spread(a: Vector, b: Vector) -> Spread | None:
    """Ordinary least squares of `a` on `b` and a constant, in closed form; None where there is no spread.

    There is none when either did not move, or when they are the same up to rounding.
    """
    da, db = a - np.add.reduce(a) / len(a), b - np.add.reduce(b) / len(b)
    aa, bb = _inner(da, da), _inner(db, db)
    if aa <= _STILL or bb <= _STILL:
        return None
    hedge = _inner(da, db) / bb
    residual = da - hedge * db
    squares = _inner(residual, residual)
    if squares <= _SAME * aa:
        return None
    return Spread(hedge, residual, math.sqrt(squares / (len(a) - 2)))


def adf(series: Vector, lags: int) -> Reversion | None:
    """Augmented Dickey-Fuller regression without a constant, with a fixed number of lags.

    Regresses each change on the level before it and the `lags` changes before that. None where the
    regression has no unique answer or leaves no noise. The sums of products are eliminated column by column,
    the level last: then its pivot, its right-hand side and the corner hold all that the statistic needs.
    """
    changes = np.diff(series)
    columns = [changes[lags - i : -i] for i in range(1, lags + 1)] + [series[lags:-1], changes[lags:]]
    table = [[_inner(p, q) for q in columns] for p in columns]
    level = lags
    diagonal = [table[i][i] for i in range(level + 1)]
    for k in range(level + 1):
        if table[k][k] <= 1e-14 * diagonal[k]:
            return None
        if k < level:
            _eliminate(table, k)
    pivot, product = table[level][level], table[level][level + 1]
    noise = table[level + 1][level + 1] - product * product / pivot
    freedom = len(changes) - lags - (lags + 1)
    if noise <= 0:
        return None
    speed = product / pivot
    return Reversion(speed, speed * math.sqrt(pivot) / math.sqrt(noise / freedom))


def _inner(p: Vector, q: Vector) -> float:
    """Sum of products in numpy's fixed order: unlike BLAS, the same bits on every CPU."""
    return float(np.add.reduce(p * q))


def _eliminate(table: list[list[float]], k: int) -> None:
    for i in range(k + 1, len(table)):
        share = table[i][k] / table[k][k]
        for j in range(k + 1, len(table)):
            table[i][j] -= share * table[k][j]


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
