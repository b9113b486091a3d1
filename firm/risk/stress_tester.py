"""What the book would lose in each stress scenario: every contract fully revalued under the shocked factors.

Losses are positive, in account currency. An option's loss is not linear in the moves, but it is in its
quantity: the loss of one unit of each contract tells the loss of any book, and what one more order adds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
import numpy.typing as npt

from firm.domain.instrument import Instrument
from firm.errors import DataError, FirmError, UnknownInstrument
from firm.risk.stress_map import Rule, StressMap
from firm.risk.stress_options import option_values
from firm.risk.stress_scenarios import Scenario, Shock, distinct
from firm.risk_kernels.contracts import Payoff

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_DAYS_A_YEAR = 365.0


class PositionNotMapped(FirmError):
    """A scenario does not say what happens to a position: its stress loss is unknown, which is not zero."""


class StressTester:
    """The scenarios and the rules of one run."""

    def __init__(self, scenarios: Sequence[Scenario], stress_map: StressMap) -> None:
        """Scenario names need to differ (ConfigError)."""
        self.scenarios = distinct(scenarios, "stress scenarios")
        self._map = stress_map

    def shocks(
        self, instruments: Sequence[Instrument], sectors: Mapping[str, str] | None = None
    ) -> "CompiledStress":
        """What every scenario does to every instrument; once a universe.

        `sectors` by symbol, each a name known to the map; None: shares follow their region alone. Nothing is
        refused here: what cannot be mapped is remembered with its reason, and refused where it is held.
        """
        shape = len(self.scenarios), len(instruments)
        reasons: dict[tuple[int, int], str] = {}
        moves = np.full((_COLUMNS, *shape), np.nan)
        moving_carry = np.zeros(len(instruments), np.bool_)
        for i, instrument in enumerate(instruments):
            try:
                mapped = _Mapped(self._map, instrument, instruments, sectors)
            except UnknownInstrument as error:
                reasons |= {(s, i): str(error) for s in range(len(self.scenarios))}
                continue
            moving_carry[i] = mapped.carries_the_rate
            for s, scenario in enumerate(self.scenarios):
                try:
                    moves[:, s, i] = mapped.moves(scenario)
                except _Missing as missing:
                    reasons[s, i] = missing.reason(instrument, scenario)
        return CompiledStress(self.scenarios, tuple(instruments), moves, moving_carry, reasons, self._map)


_COLUMNS = 6
_RELATIVE, _POINTS, _CURRENCY, _VOLATILITY_RELATIVE, _VOLATILITY_POINTS, _RATE = range(_COLUMNS)


class _Missing(Exception):
    """The scenario moves neither the factor nor a parent of it."""

    def __init__(self, factor: str) -> None:
        super().__init__(factor)
        self.factor = factor

    def reason(self, instrument: Instrument, scenario: Scenario) -> str:
        return (
            f"{instrument.symbol} ({instrument.sec_type}) has no loss in the stress scenario "
            f"{scenario.name!r}: it follows {self.factor}, which neither the scenario nor a declared parent "
            f"moves; add {self.factor} to the scenario, give it a parent in the stress map, or leave the "
            "scenario out"
        )


class _Mapped:
    """One instrument and the rules that move it."""

    def __init__(
        self,
        stress_map: StressMap,
        instrument: Instrument,
        instruments: Sequence[Instrument],
        sectors: Mapping[str, str] | None,
    ) -> None:
        self._map = stress_map
        self._currency = instrument.currency
        self._option = instrument.sec_type == "OPT"
        priced = _underlying(instrument, instruments) if self._option else instrument
        self._priced_in = priced.currency
        self._rule: Rule = stress_map.rule(priced, sectors)
        self.carries_the_rate = self._option and priced.sec_type == "FUT"
        if self._option:
            self._volatility = stress_map.volatility_factor(self._rule, instrument.symbol)
            self._rate = stress_map.rate_factor(instrument.currency, instrument.symbol)

    def moves(self, scenario: Scenario) -> tuple[float, ...]:
        """The columns of the table of moves."""
        relative, points = self._price(scenario)
        currency = self._exchange(scenario, self._currency)
        if not self._option:
            return relative, points, currency, 0.0, 0.0, 0.0
        volatility = self._shock(scenario, self._volatility)
        rate = self._shock(scenario, self._rate)
        return relative, points, currency, volatility.relative, volatility.shift, rate.shift

    def _price(self, scenario: Scenario) -> tuple[float, float]:
        if self._rule.own in scenario.shocks:
            return scenario.shocks[self._rule.own].relative, 0.0
        if self._rule.pair:
            first = self._exchange(scenario, self._rule.pair)
            second = self._exchange(scenario, self._priced_in)
            return (1.0 + first) / (1.0 + second) - 1.0, 0.0
        relative, points = 0.0, 0.0
        for leg in self._rule.legs:
            by_share, by_points = leg.move(self._shock(scenario, leg.factor))
            relative += by_share
            points += by_points
        return relative, points

    def _exchange(self, scenario: Scenario, currency: str) -> float:
        """The relative move of a currency against that of the account."""
        if currency == self._map.base_currency:
            return 0.0
        return self._shock(scenario, f"fx.{currency.lower()}").relative

    def _shock(self, scenario: Scenario, factor: str) -> Shock:
        shock = self._map.shock(scenario, factor)
        if shock is None:
            raise _Missing(factor)
        return shock


@dataclass(frozen=True, slots=True, eq=False)
class CompiledStress:
    """What the scenarios do to a universe. Tables of contracts follow its order: row i is instrument i."""

    scenarios: tuple[Scenario, ...]
    instruments: tuple[Instrument, ...]
    _moves: Matrix
    _moving_carry: Flags
    _reasons: Mapping[tuple[int, int], str]
    _map: StressMap

    def require_mapped(self, needed: Flags | None = None) -> None:
        """PositionNotMapped with the first reason, if a scenario says nothing about a needed instrument."""
        for (_, i), reason in sorted(self._reasons.items()):
            if needed is None or needed[i]:
                raise PositionNotMapped(reason)

    def unit_losses(self, contracts: npt.NDArray[np.void], needed: Flags | None = None) -> Matrix:
        """The loss of ONE unit of each contract in each scenario, float64[scenarios, n].

        Parameters
        ----------
        contracts
            The CONTRACT table: its unit, price, and an option's terms. A share or option is held (its whole
            value changes with its currency, and is never below zero), a future or currency pair is margined
            (only its profit is converted).
        needed : bool[n]
            Which instruments are asked for (None: all); the columns of the others are NaN.

        Raises
        ------
        PositionNotMapped
            If a scenario says nothing about a needed instrument.
        DataError
            If a needed price is not finite, a shocked volatility is negative, or an option cannot be valued.
        """
        needed = np.ones(len(self.instruments), np.bool_) if needed is None else needed
        self._check(contracts, needed)
        relative, points, currency = self._moves[:_VOLATILITY_RELATIVE]
        price, unit = (np.where(needed, contracts[name], np.nan) for name in ("price", "unit"))
        held = np.array([instrument.sec_type in ("STK", "OPT") for instrument in self.instruments])
        shocked = price * (1.0 + relative) + points
        shocked = np.where(held & (shocked < 0.0), 0.0, shocked)
        optional = np.flatnonzero(needed & (contracts["payoff"] != Payoff.LINEAR))
        if optional.size:
            shocked[:, optional] = self._option_prices(contracts, optional)
        whole = (1.0 + currency) * shocked - price
        profit = (1.0 + currency) * (shocked - price)
        return np.asarray(0.0 - unit * np.where(held, whole, profit))

    def losses(
        self, contracts: npt.NDArray[np.void], quantities: Sequence[float] | Vector
    ) -> tuple[tuple[str, float], ...]:
        """Each scenario's name and what these signed quantities lose in it; raises as `unit_losses`."""
        signed = np.asarray(quantities, np.float64)
        unit_losses = self.unit_losses(contracts, needed=signed != 0.0)
        total = self.book_losses(unit_losses, signed)
        return tuple((scenario.name, float(x)) for scenario, x in zip(self.scenarios, total, strict=True))

    def book_losses(self, unit_losses: Matrix, quantities: Sequence[float] | Vector) -> Vector:
        """The loss of a book in each scenario, float64[scenarios]: summed in the order of the instruments.

        One more order adds `unit_losses[:, i] * quantity`. Raises DataError where a quantity is not finite or
        a held instrument has no loss (NaN).
        """
        signed = np.asarray(quantities, np.float64)
        if signed.shape != (unit_losses.shape[1],):
            raise ValueError(f"needed a quantity for each of {unit_losses.shape[1]}, found {signed.shape}")
        total = np.zeros(unit_losses.shape[0])
        for i in np.flatnonzero(signed != 0.0):
            total += signed[i] * unit_losses[:, i]
        if not np.isfinite(total).all():
            raise DataError("stress losses need finite quantities and a loss for all that is held; found NaN")
        return total

    def spread_costs(self, half_spreads: Vector, quantities: Sequence[float] | Vector) -> Vector:
        """What leaving the book would cost beyond today's spreads, float64[scenarios], never negative.

        `half_spreads` in account currency for one unit; a scenario widens them by its multiplier. This comes
        on top of the losses, which are at mid prices.
        """
        if not (np.isfinite(half_spreads).all() and np.all(half_spreads >= 0.0)):
            raise DataError("half spreads need to be finite and not negative; leave out what has no quote")
        normal = 0.0
        for half_spread, quantity in zip(half_spreads, quantities, strict=True):
            normal += float(half_spread) * abs(float(quantity))
        return np.array([(scenario.spread_multiplier - 1.0) * normal for scenario in self.scenarios])

    def _check(self, contracts: npt.NDArray[np.void], needed: Flags) -> None:
        if len(contracts) != len(self.instruments) or len(needed) != len(self.instruments):
            raise ValueError(
                f"needed one contract an instrument, {len(self.instruments)}, found {len(contracts)}"
            )
        self.require_mapped(needed)
        for i in np.flatnonzero(needed):
            row, instrument = contracts[i], self.instruments[i]
            if not (np.isfinite(row["price"]) and np.isfinite(row["unit"])):
                raise DataError(
                    f"the stress of {instrument.symbol} needs a finite price and unit, "
                    f"found {row['price']} and {row['unit']}"
                )
            if (row["payoff"] != Payoff.LINEAR) != (instrument.sec_type == "OPT"):
                raise ValueError(
                    f"{instrument.symbol} is {instrument.sec_type}, found payoff {row['payoff']}"
                )

    def _option_prices(self, contracts: npt.NDArray[np.void], rows: npt.NDArray[np.intp]) -> Matrix:
        """Values float64[scenarios, rows] under the shocked spot, volatility, rate and carry.

        No scenario takes a rate below zero that is not there already: cuts of the past began higher up.
        """
        moves = self._moves[:, :, rows]
        table = np.tile(contracts[rows], (len(self.scenarios), 1))
        years = np.maximum(table["years"], 1.0 / _DAYS_A_YEAR)
        nearness = np.minimum(1.0, np.sqrt(self._map.reference_years / years))
        spot = table["spot"] * (1.0 + moves[_RELATIVE]) + moves[_POINTS]
        table["spot"] = np.maximum(spot, 1e-9 * table["spot"])
        table["volatility"] *= 1.0 + nearness * moves[_VOLATILITY_RELATIVE]
        table["volatility"] += nearness * moves[_VOLATILITY_POINTS]
        table["volatility"] = np.maximum(table["volatility"], 0.0)  # calmer than calm is calm; NaN stays NaN
        lowered = np.maximum(table["rate"] + moves[_RATE], np.minimum(table["rate"], 0.0))
        table["carry"] += np.where(self._moving_carry[rows], lowered - table["rate"], 0.0)
        table["rate"] = lowered
        bad = ~(table["volatility"] >= 0.0)
        if bad.any():
            s, j = np.argwhere(bad)[0]
            raise DataError(
                f"{self.instruments[rows[j]].symbol} in the stress scenario {self.scenarios[s].name!r} needs "
                f"a volatility, found {table['volatility'][s, j]}"
            )
        return option_values(table.reshape(-1)).reshape(table.shape)


def _underlying(option: Instrument, instruments: Sequence[Instrument]) -> Instrument:
    if not 0 <= option.underlying < len(instruments) or isnan(float(option.strike)):
        raise UnknownInstrument(
            f"stress needs the underlying of the option {option.symbol}, found index {option.underlying} "
            f"of {len(instruments)} instruments; add it to the universe"
        )
    return instruments[option.underlying]
