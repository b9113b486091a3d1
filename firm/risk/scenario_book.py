"""A book in simulated scenarios: its VaR and ES, and exactly what one more trade would make of them.

Made once a decision from the columns that a risk run left in the object store; asked in the order path, in
process. Figures are positive losses in account currency; conventions as in `firm.risk_kernels.tail`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from typing import NamedTuple

import numpy as np

from firm.domain.summing import plain_sum
from firm.errors import DataError, InsufficientHistory, UnknownInstrument
from firm.risk.var_calculator import Matrix, VarEs, Vector
from firm.risk_kernels.pretrade import LARGEST, Prefix, Rank, add_column, rounding, stream_var_es

_PREFIX_TAILS = 2
"""Rows kept sorted, in tails: small orders and some approvals stay inside, a column's copy stays small."""

_PREFIX_EXTRA = 256
_ADDING = 1e-9
"""More than rounding can take from a sum of losses, as a part of them."""

_PRUNED_SPAN = 0.1
"""A trade whose P&L spans more than this part of the book's is not looked for among the worst rows."""


@dataclass(slots=True, eq=False)
class _Column:
    """One instrument's P&L of one unit: its shards, its extremes, and its values in the prefix's order.

    `units` are the tails of +1 (True) and -1 (False) unit alone.
    """

    parts: tuple[Vector, ...]
    lowest: float
    highest: float
    ordered: Vector | None = None
    units: dict[bool, "_Tails"] = field(default_factory=dict)


class _Tails(NamedTuple):
    """VaR and ES, each at its confidence; and what neither exceeds: the ES at either confidence."""

    figures: VarEs
    ceiling: VarEs


class ScenarioBook:
    """The P&L of a book in every scenario, and that of one unit of each instrument.

    The same numbers come out, to the bit, however the scenarios are cut into shards and whatever was asked
    before. `pruned` counts the answers found from the worst scenarios alone, `streamed` those that needed all
    of them, `sorted` how often the worst ones were sorted.
    """

    def __init__(
        self, columns: Sequence[Matrix], quantities: Vector, confidence: float, es_confidence: float
    ) -> None:
        """A book of `quantities` units.

        Parameters
        ----------
        columns : sequence of float64[n, S_j]
            The shards in the order of scenarios: P&L of one unit of each instrument in account currency,
            gains positive. They are kept, not copied, and not written to; rows are contiguous.
        quantities : float64[n]
            Signed units held. A column with quantity 0 is not read until it is asked for.
        confidence, es_confidence : float
            Of VaR and of ES, each strictly between 0 and 1.

        Raises
        ------
        DataError
            If a quantity, or a P&L of an instrument held, is NaN or infinite.
        InsufficientHistory
            If a tail is less than one scenario.
        ValueError
            If shapes disagree or a confidence is out of bounds.
        """
        self._shards = _checked_shards(columns, quantities)
        ends = np.cumsum([0, *(shard.shape[1] for shard in self._shards)])
        self.scenarios = int(ends[-1])
        self._ranks = tuple(_rank(self.scenarios, value) for value in (confidence, es_confidence))
        self.pruned = self.streamed = self.sorted = 0
        self._columns: dict[int, _Column] = {}
        self._base = np.zeros(self.scenarios)
        self._bases = tuple(self._base[first:end] for first, end in pairwise(ends))
        self._prefix: Prefix | None = None
        self._present: _Tails | None = None
        self._lowest = self._highest = 0.0
        self._fill(quantities)

    @property
    def pnl(self) -> Vector:
        """float64[S]: the book's P&L in account currency, scenario by scenario; read-only, and live."""
        view = self._base.view()
        view.flags.writeable = False
        return view

    def measure(self) -> VarEs:
        """VaR and ES of the book as it is."""
        return self._tails().figures

    def at_most(self, trades: Vector) -> VarEs:
        """Bounds of VaR and ES after trades of float64[n] signed units, without looking at a scenario again.

        In one set of scenarios the ES of a sum is at most the sum of the ES, and VaR at most the ES at its
        confidence: the book's and each trade's own are added up, and what adding may have rounded away.

        Source: Acerbi and Tasche, On the coherence of expected shortfall (2002), proposition 3.1.
        """
        ceilings = [self._tails().ceiling]
        for instrument in np.flatnonzero(trades).tolist():
            unit, size = self._unit(instrument, trades[instrument] > 0.0).ceiling, abs(trades[instrument])
            ceilings.append(VarEs(size * unit.var, size * unit.es))
        return VarEs(_ceiling([each.var for each in ceilings]), _ceiling([each.es for each in ceilings]))

    def with_trade(self, instrument: int, quantity: float) -> VarEs:
        """VaR and ES the book would have with a trade of `quantity` signed units; the book stays as it is.

        VaR is that of a full sort of P&L + quantity * column, to the bit; ES is summed exactly and rounded.

        Raises
        ------
        DataError
            If the quantity, or a P&L of the instrument, is not finite, or the sum is beyond a double.
        UnknownInstrument
            If there is no such column.
        """
        column = self._column(instrument)
        low, high = self._step(column, quantity)
        if high - low <= _PRUNED_SPAN * (self._highest - self._lowest):
            found = self._from_prefix(column, quantity, low, high)
            if found is not None:
                self.pruned += 1
                return found
        self.streamed += 1
        lowest, highest = self._lowest + low, self._highest + high
        return self._all_rows(self._bases, column.parts, quantity, lowest, highest).figures

    def apply(self, instrument: int, quantity: float) -> None:
        """Make a trade part of the book: from now on it is counted. Errors as `with_trade`.

        Taking it back (the negative quantity) restores the P&L but for rounding.
        """
        column = self._column(instrument)
        low, high = self._step(column, quantity)
        if self._prefix is not None:
            if self._prefix.full:
                self._forget_prefix()
            else:
                self._prefix.move(self._ordered(column, self._prefix), quantity, low, high)
        self._add(column, quantity)

    def position(self, instrument: int, quantity: float) -> VarEs:
        """VaR and ES of `quantity` signed units of one instrument alone. Errors as `with_trade`."""
        self._step(self._column(instrument), quantity)
        unit, size = self._unit(instrument, quantity > 0.0).figures, abs(quantity)
        return VarEs(size * unit.var, size * unit.es)

    def _tails(self) -> _Tails:
        if self._present is None:
            self._present = self._all_rows(self._bases, self._bases, 0.0, self._lowest, self._highest)
        return self._present

    def _unit(self, instrument: int, long: bool) -> _Tails:
        column = self._column(instrument)
        if long not in column.units:
            flip = 0.0 if long else -2.0  # c - 2 c is exactly -c
            column.units[long] = self._all_rows(
                column.parts, column.parts, flip, column.lowest, column.highest
            )
        return column.units[long]

    def _fill(self, quantities: Vector) -> None:
        held = np.flatnonzero(quantities).tolist()
        for instrument in held:
            for base, shard in zip(self._bases, self._shards, strict=True):
                add_column(base, shard[instrument], float(quantities[instrument]))
        with np.errstate(invalid="ignore"):
            sound = bool(np.isfinite(self._base.min()) and np.isfinite(self._base.max()))
        if not sound:
            for instrument in held:
                self._step(self._column(instrument), float(quantities[instrument]))
        self._bound()

    def _add(self, column: _Column, quantity: float) -> None:
        for base, part in zip(self._bases, column.parts, strict=True):
            add_column(base, part, quantity)
        self._bound()

    def _bound(self) -> None:
        self._lowest, self._highest = float(self._base.min()), float(self._base.max())
        if not (self._lowest > -LARGEST and self._highest < LARGEST):
            raise DataError(
                f"the P&L of a book needs to be within +-{LARGEST:.3g}, found {self._lowest}.."
                f"{self._highest}; check quantities and units"
            )
        self._present = None

    def _column(self, instrument: int) -> _Column:
        column = self._columns.get(instrument)
        if column is None:
            column = self._columns[instrument] = self._read(instrument)
        return column

    def _read(self, instrument: int) -> _Column:
        known = len(self._shards[0])
        if not 0 <= instrument < known:
            raise UnknownInstrument(f"instrument {instrument} is not one of the {known} with scenarios")
        parts = tuple(shard[instrument] for shard in self._shards)
        with np.errstate(invalid="ignore"):
            lowest = float(np.min([part.min() for part in parts]))
            highest = float(np.max([part.max() for part in parts]))
        if not (isfinite(lowest) and isfinite(highest)):
            bad = sum(int(np.count_nonzero(~np.isfinite(part))) for part in parts)
            raise DataError(
                f"the P&L of instrument {instrument} needs to be finite in every scenario, found {bad} NaN "
                f"or infinite of {self.scenarios}; repair its inputs or exclude it"
            )
        return _Column(parts, lowest, highest)

    def _step(self, column: _Column, quantity: float) -> tuple[float, float]:
        """The least and the greatest P&L of the trade in any scenario."""
        ends = quantity * column.lowest, quantity * column.highest
        low, high = min(ends), max(ends)
        if not (isfinite(quantity) and self._lowest + low > -LARGEST and self._highest + high < LARGEST):
            raise DataError(
                f"a trade needs a finite quantity and P&L within +-{LARGEST:.3g}, found {quantity} units "
                f"with P&L in {low}..{high} on a book with P&L in {self._lowest}..{self._highest}"
            )
        return low, high

    def _from_prefix(self, column: _Column, quantity: float, low: float, high: float) -> VarEs | None:
        prefix = self._prefix
        if prefix is None:
            rows = _PREFIX_TAILS * (1 + max(rank.worse for rank in self._ranks)) + _PREFIX_EXTRA
            prefix = self._prefix = Prefix(self._base, self._bases, rows)
            self.sorted += 1
        ordered = self._ordered(column, prefix)
        split = rounding(max(-(self._lowest + low), self._highest + high, 0.0), self.scenarios)
        found = [
            prefix.var_es(ordered, quantity, low, high, rank, split) for rank in dict.fromkeys(self._ranks)
        ]
        first, last = found[0], found[-1]
        if first is None or last is None:
            if prefix.slack > high - low:
                self._forget_prefix()
            return None
        return VarEs(first[0], last[1])

    def _ordered(self, column: _Column, prefix: Prefix) -> Vector:
        if column.ordered is None:
            column.ordered = prefix.in_order(column.parts)
        return column.ordered

    def _forget_prefix(self) -> None:
        """Sort again when next asked: the bounds have become too wide."""
        self._prefix = None
        for column in self._columns.values():
            column.ordered = None

    def _all_rows(
        self,
        bases: tuple[Vector, ...],
        columns: tuple[Vector, ...],
        quantity: float,
        lowest: float,
        highest: float,
    ) -> _Tails:
        split = rounding(max(-lowest, highest, 0.0), self.scenarios)
        (var, ceiling), (_, es) = stream_var_es(bases, columns, quantity, self._ranks, split)
        return _Tails(VarEs(var, es), VarEs(ceiling, es))


def _checked_shards(columns: Sequence[Matrix], quantities: Vector) -> tuple[Matrix, ...]:
    n = len(quantities)
    if not columns or quantities.ndim != 1 or any(shard.ndim != 2 or len(shard) != n for shard in columns):
        raise ValueError(
            f"columns need shards of shape (n, scenarios) and quantities (n,) with one n, found "
            f"{[shard.shape for shard in columns]} and {quantities.shape}"
        )
    if bad := int(np.count_nonzero(~np.isfinite(quantities))):
        raise DataError(f"quantities need to be finite, found {bad} NaN or infinite of {n}")
    for shard in columns:
        contiguous = shard.strides[1] == shard.itemsize or shard.shape[1] <= 1
        if shard.dtype != np.float64 or not contiguous or not shard.flags.aligned:
            raise ValueError(
                f"a shard needs aligned float64 with contiguous rows, found {shard.dtype} with strides "
                f"{shard.strides}"
            )
    return tuple(shard for shard in columns if shard.shape[1])


def _ceiling(losses: Sequence[float]) -> float:
    return plain_sum(losses) + _ADDING * plain_sum(abs(loss) for loss in losses)


def _rank(scenarios: int, confidence: float) -> Rank:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence needs to be strictly between 0 and 1, found {confidence}")
    if round(scenarios * (1.0 - confidence), 9) < 1.0:
        raise InsufficientHistory(
            f"a tail at {confidence:.4%} needs a scenario in it, found {scenarios} scenarios; ask for more "
            "or lower the confidence"
        )
    return Rank.of(scenarios, confidence)
