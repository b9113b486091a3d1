"""Which stress factors move an instrument, and how: by its symbol, its kind, its region and its sector.

Nothing is guessed: an instrument without a rule, or a factor that neither a scenario nor one of the factor's
declared parents moves, is an error where the position is measured, never a loss of zero.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import Field

from firm.config import Section
from firm.domain.instrument import Instrument
from firm.errors import ConfigError, UnknownInstrument
from firm.risk.stress_scenarios import UNITS, Scenario, Shock
from firm.risk.stress_yaml import Number, Text, parse_file, read_text

_MONTH_CODE = re.compile(r"(.+)[FGHJKMNQUVXZ]\d{1,2}")
_YIELDS = ("rates", "credit")


class Leg(Section):
    """One factor that an instrument follows.

    Factors that move by relative changes: price return = `beta` times the move. Factors of yield, by a rise
    dy: price return = -`duration` dy + `convexity` / 2 dy^2, or `points` of price for a rise of 1.00 (-100
    for a future quoted as 100 minus a rate). Volatility: `points` of price for a rise of 1.00.
    """

    factor: Text
    beta: Number | None = None
    duration: Number | None = None
    convexity: Number = 0.0
    points: Number | None = None

    def move(self, shock: Shock) -> tuple[float, float]:
        """The instrument's relative change and its change in points of price."""
        if self.points is not None:
            return shock.relative, self.points * shock.shift
        if self.duration is not None:
            return -self.duration * shock.shift + 0.5 * self.convexity * shock.shift**2, 0.0
        assert self.beta is not None, "a leg was made without its sensitivity"
        return self.beta * shock.relative, 0.0


class _Options(Section):
    volatility: dict[str, Text]
    rate: dict[str, Text]
    reference_days: Annotated[Number, Field(gt=0)]


class _File(Section):
    base_currency: Text
    parents: dict[str, Text]
    regions: dict[str, Text]
    sectors: dict[str, Text]
    instruments: dict[str, dict[str, Text | Leg | tuple[Leg, ...]]]
    options: _Options


@dataclass(frozen=True, slots=True)
class Rule:
    """What moves an instrument: its own factor where a scenario has it, else all the legs.

    `own` is empty for instruments that have no factor of their own. A currency pair has no legs: it is the
    move of the currency `pair` against the one it is priced in.
    """

    own: str
    legs: tuple[Leg, ...]
    pair: str = ""


@dataclass(frozen=True, slots=True)
class StressMap:
    """The rules, checked. Make one with `read_stress_map` or `packaged_stress_map`."""

    base_currency: str
    parents: Mapping[str, str]
    regions: Mapping[str, str]
    sectors: Mapping[str, str]
    instruments: Mapping[str, Mapping[str, tuple[Leg, ...]]]
    volatility: Mapping[str, str]
    rate: Mapping[str, str]
    reference_years: float

    def rule(self, instrument: Instrument, sectors: Mapping[str, str] | None) -> Rule:
        """What moves a share, a fund, a future or a currency pair. `sectors` by symbol; None: regions alone.

        Raises
        ------
        UnknownInstrument
            If no rule says it, or a share has no sector where others have.
        """
        legs = self._listed(instrument)
        match instrument.sec_type:
            case "STK":
                own = f"name.{instrument.symbol}"
                return Rule(own, legs or (self._region(instrument, sectors),))
            case "CASH":
                return Rule("", legs, pair="" if legs else self._first_currency(instrument))
            case "FUT" if legs:
                return Rule("", legs)
            case kind:
                raise UnknownInstrument(
                    f"stress needs to know what moves {kind} {instrument.symbol}, found no rule; "
                    f"add it under instruments.{kind} of the stress map"
                )

    def volatility_factor(self, rule: Rule, symbol: str) -> str:
        """The volatility factor of options on what `rule` moves: by the longest matching beginning."""
        factor = rule.legs[0].factor if rule.legs else f"fx.{rule.pair.lower()}"
        words = factor.split(".")
        for length in range(len(words), 0, -1):
            if found := self.volatility.get(".".join(words[:length])):
                return found
        raise UnknownInstrument(
            f"stress needs the volatility factor of options on {factor} ({symbol}), found none; "
            "add it under options.volatility of the stress map"
        )

    def rate_factor(self, currency: str, symbol: str) -> str:
        """The interest rate that discounts options in this currency."""
        if currency not in self.rate:
            raise UnknownInstrument(
                f"stress needs the {currency} rate for the option {symbol}, found none; "
                "add it under options.rate of the stress map"
            )
        return self.rate[currency]

    def shock(self, scenario: Scenario, factor: str) -> Shock | None:
        """The move of the factor, or of the nearest parent that the scenario moves; None if it moves none."""
        moved: str | None = factor
        while moved is not None and moved not in scenario.shocks:
            moved = _parent(self.parents, moved)
        return None if moved is None else scenario.shocks[moved]

    def _listed(self, instrument: Instrument) -> tuple[Leg, ...]:
        listed = self.instruments.get(instrument.sec_type, {})
        if instrument.symbol in listed:
            return listed[instrument.symbol]
        root = _MONTH_CODE.fullmatch(instrument.symbol) if instrument.sec_type == "FUT" else None
        return listed.get(root[1], ()) if root else ()

    def _region(self, instrument: Instrument, sectors: Mapping[str, str] | None) -> Leg:
        symbol, region = instrument.symbol, self.regions.get(instrument.currency)
        if region is None:
            raise UnknownInstrument(
                f"stress needs the region of {symbol} by its currency {instrument.currency}, found none; "
                "add it under regions of the stress map"
            )
        if sectors is None:
            return Leg(factor=region, beta=1.0)
        if symbol not in sectors:
            raise UnknownInstrument(
                f"stress needs the sector of {symbol}, found none; give it one, or list {symbol} under "
                "instruments.STK of the stress map"
            )
        if sectors[symbol] not in self.sectors:
            raise UnknownInstrument(
                f"stress does not know the sector {sectors[symbol]!r} of {symbol}; add it under sectors of "
                f"the stress map (known: {', '.join(self.sectors)})"
            )
        return Leg(factor=f"{region}.{self.sectors[sectors[symbol]]}", beta=1.0)

    def _first_currency(self, instrument: Instrument) -> str:
        first = instrument.symbol.split(".")[0]
        if len(first) == 6 and first.endswith(instrument.currency):
            first = first[:3]
        if len(first) != 3:
            raise UnknownInstrument(
                f"stress needs a currency pair as its first currency (EUR, EUR.USD or EURUSD), "
                f"found {instrument.symbol!r}"
            )
        return first


def read_stress_map(text: str, origin: str) -> StressMap:
    """The map of a YAML text; `origin` names it in errors. Format: docs/stress.md.

    Raises
    ------
    ConfigError
        If a key is unknown, missing or doubled, a factor of unknown kind, a leg without the sensitivity its
        kind needs, a parent of another kind, or parents that go in a circle.
    """
    content = parse_file(_File, text, origin)
    _check_parents(content.parents, origin)
    factors = [
        *content.regions.values(),
        *content.options.volatility.values(),
        *content.options.rate.values(),
    ]
    for factor in factors:
        _kind(factor, origin)
    listed = {
        sec_type: {symbol: _legs(found, f"{origin}, {sec_type} {symbol}") for symbol, found in rules.items()}
        for sec_type, rules in content.instruments.items()
    }
    return StressMap(
        content.base_currency,
        content.parents,
        content.regions,
        content.sectors,
        listed,
        content.options.volatility,
        content.options.rate,
        content.options.reference_days / 365.0,
    )


def load_stress_map(path: Path) -> StressMap:
    """The map of a YAML file; errors as of `read_stress_map`."""
    return read_stress_map(read_text(path), str(path))


def packaged_stress_map() -> StressMap:
    """The map that comes with the firm."""
    path = resources.files("firm.risk") / "scenarios" / "map.yaml"
    return read_stress_map(path.read_text(encoding="utf-8"), "map.yaml")


def _legs(found: str | Leg | tuple[Leg, ...], where: str) -> tuple[Leg, ...]:
    match found:
        case str():
            legs: tuple[Leg, ...] = (Leg(factor=found, beta=1.0),)
        case Leg():
            legs = (found,)
        case _:
            legs = found
    if not legs:
        raise ConfigError(f"{where}: needs at least one factor, found none")
    for leg in legs:
        _check_leg(leg, where)
    return legs


def _check_leg(leg: Leg, where: str) -> None:
    kind = _kind(leg.factor, where)
    given = [name for name in ("beta", "duration", "points") if getattr(leg, name) is not None]
    if kind in _YIELDS:
        allowed = ["duration", "points"]
    elif kind == "volatility":
        allowed = ["points"]
    else:
        allowed = ["beta"]
    if len(given) != 1 or given[0] not in allowed:
        raise ConfigError(
            f"{where}: {leg.factor} needs just {' or '.join(allowed)}, found {', '.join(given) or 'nothing'}"
        )


def _check_parents(parents: Mapping[str, str], origin: str) -> None:
    for child, parent in parents.items():
        if _kind(child, origin) != _kind(parent, origin):
            raise ConfigError(f"{origin}: {child} and its parent {parent} need to be of one kind")
        seen, factor = {child}, _parent(parents, parent)
        seen.add(parent)
        while factor is not None:
            if factor in seen:
                raise ConfigError(f"{origin}: the parents of {child} go in a circle over {factor}")
            seen.add(factor)
            factor = _parent(parents, factor)


def _parent(parents: Mapping[str, str], factor: str) -> str | None:
    """Its own line, or that of all factors one word longer than its beginning; None at the top."""
    return parents.get(factor) or parents.get(f"{factor.rpartition('.')[0]}.*")


def _kind(factor: str, where: str) -> str:
    kind = factor.split(".", maxsplit=1)[0]
    if kind not in UNITS:
        raise ConfigError(f"{where}: a factor begins with {', '.join(UNITS)}; found {factor!r}")
    return kind
