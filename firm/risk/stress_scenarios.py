"""Stress scenarios: named, dated moves of stress factors with their sources, from YAML or from history.

A factor is a dotted name whose first word says what is moved and in which unit: `equity`, `name`, `fx`,
`commodity` move by a relative change of price, `rates` and `credit` by basis points of yield, `volatility` by
points (0.10 is ten volatility points) or relatively.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, Strict

from firm.config import Section
from firm.errors import ConfigError, InsufficientHistory
from firm.risk.factor_model import require_finite
from firm.risk.stress_yaml import Number, Text, parse_file, read_text

Day = Annotated[date, Strict()]

UNITS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "equity": frozenset({"relative"}),
        "name": frozenset({"relative"}),
        "fx": frozenset({"relative"}),
        "commodity": frozenset({"relative"}),
        "rates": frozenset({"bp"}),
        "credit": frozenset({"bp"}),
        "volatility": frozenset({"relative", "points"}),
    }
)
"""How each kind of factor is moved; the kind is the first word of the factor's name."""

PACKAGED = ("historical.yaml", "hypothetical.yaml")


@dataclass(frozen=True, slots=True)
class Shock:
    """The move of one factor: to value (1 + relative) + shift, where it came from and from which days.

    `shift` is in the factor's own unit as a fraction: 0.01 is 100 bp, or one volatility point.
    """

    relative: float
    shift: float
    source: str
    provenance: str
    start: date
    end: date

    def mirrored(self) -> "Shock":
        """The same move the other way."""
        return Shock(-self.relative, -self.shift, self.source, self.provenance, self.start, self.end)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens at once. `shocks` by factor; what is not in it has not been thought about, and is no zero.

    `spread_multiplier` widens every bid-offer spread (1: as now); `correlation_blend` is the share by which
    correlations go to one in a VaR measured under this scenario (0: as now).
    """

    name: str
    kind: str
    start: date
    end: date
    shocks: Mapping[str, Shock]
    spread_multiplier: float = 1.0
    correlation_blend: float = 0.0


class _Source(Section):
    text: Text
    provenance: Literal["S", "M", "C", "H"]


class _Group(Section):
    source: Text
    start: Day | None = Field(default=None, alias="from")
    end: Day | None = Field(default=None, alias="to")
    relative: dict[str, Number] = Field(default_factory=dict)
    points: dict[str, Number] = Field(default_factory=dict)
    bp: dict[str, Number] = Field(default_factory=dict)
    unchanged: tuple[Text, ...] = ()


class _Liquidity(Section):
    source: Text
    spread_multiplier: Annotated[Number, Field(ge=1)]


class _Correlation(Section):
    source: Text
    blend_to_one: Annotated[Number, Field(ge=0, le=1)]


class _Scenario(Section):
    name: Text
    kind: Literal["historical", "hypothetical"]
    note: str = ""
    day: Day | None = Field(default=None, alias="date")
    start: Day | None = Field(default=None, alias="from")
    end: Day | None = Field(default=None, alias="to")
    shocks: tuple[_Group, ...]
    liquidity: _Liquidity | None = None
    correlation: _Correlation | None = None


class _File(Section):
    sources: dict[str, _Source]
    scenarios: tuple[_Scenario, ...]


def read_scenarios(text: str, origin: str) -> tuple[Scenario, ...]:
    """The scenarios of a YAML text, in its order; `origin` names it in errors. Format: docs/stress.md.

    Raises
    ------
    ConfigError
        If a key is unknown, missing or doubled, a value no finite number, a scenario or shock without source
        or date, a factor of unknown kind or in the wrong unit or given twice, a price moved to or below zero.
    """
    content = parse_file(_File, text, origin)
    if not content.scenarios:
        raise ConfigError(f"{origin}: needs at least one scenario, found none")
    scenarios = tuple(_scenario(found, content.sources, origin) for found in content.scenarios)
    return distinct(scenarios, origin)


def load_scenarios(path: Path) -> tuple[Scenario, ...]:
    """The scenarios of a YAML file; errors as of `read_scenarios`."""
    return read_scenarios(read_text(path), str(path))


def packaged_scenarios() -> tuple[Scenario, ...]:
    """The scenarios that come with the firm, historical ones first."""
    folder = resources.files("firm.risk") / "scenarios"
    texts = ((folder / name).read_text(encoding="utf-8") for name in PACKAGED)
    read = (read_scenarios(text, name) for text, name in zip(texts, PACKAGED, strict=True))
    return distinct([scenario for file in read for scenario in file], "the packaged scenarios")


def distinct(scenarios: Iterable[Scenario], origin: str) -> tuple[Scenario, ...]:
    """The scenarios, if no two share a name; else ConfigError."""
    found = tuple(scenarios)
    names = [scenario.name for scenario in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{origin}: scenario names need to differ, found twice: {', '.join(twice)}")
    return found


def chosen(scenarios: Iterable[Scenario], names: Sequence[str]) -> tuple[Scenario, ...]:
    """The scenarios of these names, in their order; a name nobody has is a ConfigError."""
    known = {scenario.name: scenario for scenario in scenarios}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"no stress scenario is called {', '.join(unknown)}; there are: {', '.join(known)}")
    return tuple(known[name] for name in names)


def historical_window(
    returns: npt.NDArray[np.float64], dates: Sequence[date], start: date, end: date
) -> npt.NDArray[np.float64]:
    """What each series earned from the close of `start` to the close of `end`: simple returns float64[n].

    Parameters
    ----------
    returns : float64[days, n]
        Simple returns, each earned up to the close of its day.
    dates
        The days, rising, one a row.

    Raises
    ------
    InsufficientHistory
        If the dates do not reach from `start` to `end`: `start` at most one week before the first return.
    DataError, ValueError
        If a return is not finite; if shapes disagree, dates do not rise, or the window ends before it starts.
    """
    days = np.array(dates, dtype="datetime64[D]")
    first, last = np.datetime64(start, "D"), np.datetime64(end, "D")
    if returns.ndim != 2 or len(returns) != len(days) or np.any(np.diff(days) <= np.timedelta64(0)):
        raise ValueError(f"needed one rising date a row of returns, found {len(days)} for {returns.shape}")
    if not first < last:
        raise ValueError(f"a window needs to end after it starts, found {start} to {end}")
    if len(days) == 0 or days[-1] < last or days[0] > first + np.timedelta64(7):
        span = f"{days[0]} to {days[-1]}" if len(days) else "nothing"
        raise InsufficientHistory(f"the window {start} to {end} needs returns of those days, found {span}")
    inside = returns[(days > first) & (days <= last)]
    require_finite("returns of a stress window", inside)
    growth = np.ones(returns.shape[1])
    for row in inside:
        growth *= 1.0 + row
    return growth - 1.0


def scenario_from_window(
    name: str,
    factors: Sequence[str],
    returns: npt.NDArray[np.float64],
    dates: Sequence[date],
    start: date,
    end: date,
    source: str,
) -> Scenario:
    """The window of one's own data as a scenario: `factors` (e.g. `name.AAPL`), one a column of `returns`."""
    moves = historical_window(returns, dates, start, end)
    shocks: dict[str, Shock] = {}
    for factor, move in zip(factors, moves.tolist(), strict=True):
        _check_factor(factor, "relative", move, name)
        shocks[factor] = Shock(move, 0.0, source, "C", start, end)
    return Scenario(name, "historical", start, end, MappingProxyType(shocks))


def _scenario(found: _Scenario, sources: Mapping[str, _Source], origin: str) -> Scenario:
    where = f"{origin}, scenario {found.name!r}"
    start, end = _window(found, where)
    if not found.shocks:
        raise ConfigError(f"{where}: needs at least one group of shocks, found none")
    shocks: dict[str, Shock] = {}
    for group in found.shocks:
        for factor, shock in _shocks(group, sources, start, end, where):
            shocks[factor] = _added(shocks.get(factor), shock, factor, where)
    for part in (found.liquidity, found.correlation):
        if part is not None:
            _source(part.source, sources, where)
    return Scenario(
        found.name,
        found.kind,
        start,
        end,
        MappingProxyType(shocks),
        1.0 if found.liquidity is None else found.liquidity.spread_multiplier,
        0.0 if found.correlation is None else found.correlation.blend_to_one,
    )


def _window(found: _Scenario, where: str) -> tuple[date, date]:
    match (found.day, found.start, found.end):
        case (date() as day, None, None):
            return day, day
        case (None, date() as start, date() as end) if start <= end:
            return start, end
        case _:
            given = f"date {found.day}, from {found.start}, to {found.end}"
            raise ConfigError(f"{where}: needs either `date`, or `from` and a later `to`; found {given}")


def _shocks(
    group: _Group, sources: Mapping[str, _Source], start: date, end: date, where: str
) -> list[tuple[str, Shock]]:
    source = _source(group.source, sources, where)
    first, last = group.start or start, group.end or end
    if first > last:
        raise ConfigError(f"{where}: shocks need to end after they start, found {first} to {last}")
    moves = [("relative", factor, move, 0.0) for factor, move in group.relative.items()]
    moves += [("points", factor, 0.0, move) for factor, move in group.points.items()]
    moves += [("bp", factor, 0.0, move / 10_000.0) for factor, move in group.bp.items()]
    moves += [("unchanged", factor, 0.0, 0.0) for factor in group.unchanged]
    if not moves:
        raise ConfigError(f"{where}: a group of shocks needs relative, points, bp or unchanged; found none")
    for unit, factor, relative, _ in moves:
        _check_factor(factor, unit, relative, where)
    return [
        (factor, Shock(relative, shift, source.text, source.provenance, first, last))
        for _, factor, relative, shift in moves
    ]


def _source(name: str, sources: Mapping[str, _Source], where: str) -> _Source:
    if name not in sources:
        raise ConfigError(f"{where}: the source {name!r} needs an entry under `sources`; found none")
    return sources[name]


def _check_factor(factor: str, unit: str, relative: float, where: str) -> None:
    kind = factor.split(".", maxsplit=1)[0]
    if kind not in UNITS or "" in factor.split("."):
        raise ConfigError(f"{where}: a factor begins with {', '.join(UNITS)}; found {factor!r}")
    if unit != "unchanged" and unit not in UNITS[kind]:
        raise ConfigError(f"{where}: {factor} moves by {' or '.join(sorted(UNITS[kind]))}, found {unit}")
    if relative <= -1.0:
        raise ConfigError(f"{where}: {factor} needs a relative move above -1, found {relative}")


def _added(former: Shock | None, shock: Shock, factor: str, where: str) -> Shock:
    """Both parts of a volatility that moves relatively and by points; anything else may be given once."""
    if former is None:
        return shock
    parts = (former.relative, former.shift), (shock.relative, shock.shift)
    if factor.split(".", maxsplit=1)[0] != "volatility" or not all(any(part) for part in parts):
        raise ConfigError(f"{where}: {factor} is given twice; remove one")
    if (former.relative != 0.0) == (shock.relative != 0.0):
        raise ConfigError(f"{where}: {factor} is given twice in the same unit; remove one")
    return Shock(
        former.relative + shock.relative,
        former.shift + shock.shift,
        former.source,
        former.provenance,
        min(former.start, shock.start),
        max(former.end, shock.end),
    )
