"""Which positions to trim for the most margin relief at the least change of risk.

Trims only make positions smaller, in whole lots. Each step is measured anew, margin and expected shortfall
both, so what is returned is what the book will need, not a sum of marginal guesses. The margin is the scan's
estimate; ask the broker's what-if before trusting the relief.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from firm.errors import DataError
from firm.risk.factor_model import require_finite
from firm.risk.margin import ScanBook, scan_margin
from firm.risk.var_calculator import historical_var
from firm.risk_kernels.tail import pairwise_sum

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
Lots = npt.NDArray[np.int64]

NO_CHANGE: Final = 0.01
"""A change of ES by this part of it counts as none, and the fewest lots decide: an ES of 10,000 scenarios at
97.5 % is itself not known better than to several times that."""


@dataclass(frozen=True, slots=True, eq=False)
class TrimBook:
    """The positions, what they need and what they risk.

    `quantity` float64[n] signed, `lot` float64[n] the smallest quantity that can be traded; `scan` with its
    `margin_pnl` float64[n, s] and `correlation` as in `firm.risk.margin.scan_margin`; `scenario_pnl`
    float64[n, m] the P&L of each position in equally likely scenarios, for ES at `confidence`. Both P&L are
    of the positions held: a position half as large has half of them.
    """

    quantity: Vector
    lot: Vector
    scan: ScanBook
    margin_pnl: Matrix
    correlation: Matrix
    scenario_pnl: Matrix
    confidence: float

    def __post_init__(self) -> None:
        """Refuse what does not fit together: ValueError for shapes, DataError for numbers."""
        n = len(self.quantity)
        shapes = (self.lot.shape, self.margin_pnl.shape[:1], self.scenario_pnl.shape[:1])
        if (
            self.quantity.shape != (n,)
            or any(shape != (n,) for shape in shapes)
            or self.scenario_pnl.ndim != 2
        ):
            raise ValueError(
                f"a trim needs lots, margin P&L and scenario P&L of each of {n} positions, found {shapes}"
            )
        for name, values in (("quantities", self.quantity), ("scenario P&L", self.scenario_pnl)):
            require_finite(name, values)
        if not bool(((self.lot > 0.0) & np.isfinite(self.lot)).all()):
            raise DataError(f"lots need to be positive, found {self.lot.min()}")


@dataclass(frozen=True, slots=True)
class Trim:
    """One step: sell (long) or buy back (short) these lots of these positions, and what that leaves.

    `lots` has (position, whole lots to trade, signed); margin and ES are of the book after this and all steps
    before it, in account currency.
    """

    lots: tuple[tuple[int, int], ...]
    margin: float
    es: float


@dataclass(frozen=True, slots=True)
class TrimPlan:
    """Trades that bring the margin to the target, or as near as it gets (`reached` says which).

    `lots` are whole signed lots by position, the sum of `steps` less what the last ones could give back.
    """

    lots: tuple[tuple[int, int], ...]
    margin_before: float
    margin_after: float
    es_before: float
    es_after: float
    target: float
    reached: bool
    steps: tuple[Trim, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """How many lots of each position are trimmed, and what is left."""

    trimmed: Lots
    pnl: Vector
    margin: float
    es: float


def trim_for_margin(book: TrimBook, target: float, es_rise_max: float, step: float = 0.05) -> TrimPlan:
    """Trades that bring the scan's requirement down to `target` and change expected shortfall the least.

    Greedy: of all steps (a part of one position, of one class, of the whole book), the one that frees the
    most margin for each unit that ES moves away from its present value; equals go to the larger relief, then
    to the lower number. Trimming one leg of a hedge can raise the margin, so a step may need both; where no
    step frees any, the whole book is closed. At the end lots that are not needed are given back. This is done
    with steps of the size asked for, of five times it, and of whole positions, and the plan nearest to the
    present ES is the answer: near the best, not proven so. Where ES may not rise and lots are not too large,
    any target can be reached, by closing everything.

    Parameters
    ----------
    book : TrimBook
    target : float
        Requirement to reach, account currency, at least 0.
    es_rise_max : float
        How much ES may rise over its present value at any step (a hedge taken off), at least 0.
    step : float
        Part of a position in one step, above 0 to 1, at least a lot. Smaller is slower and nearer the best.

    Raises
    ------
    DataError, InsufficientHistory, ValueError
        As `scan_margin` and `historical_var`; and if target, es_rise_max or step is out of bounds.
    """
    if not (0.0 <= target < float("inf") and 0.0 <= es_rise_max < float("inf") and 0.0 < step <= 1.0):
        raise ValueError(
            f"a trim needs target >= 0, es_rise_max >= 0 and step in (0, 1], found {target}, {es_rise_max} "
            f"and {step}"
        )
    available = _whole_lots(book)
    start = _measure(book, np.zeros(len(available), dtype=np.int64))
    task = _Task(book, available, start, target, start.es + es_rise_max)
    sizes = dict.fromkeys((step, min(1.0, 5.0 * step), 1.0))
    ways: list[tuple[_State, tuple[Trim, ...]]] = [(start, ())]
    if start.margin > target:
        ways = [_greedy(task, size) for size in sizes]
    finished = [(_give_back(task, end), steps) for end, steps in ways]
    state, steps = min(finished, key=lambda way: task.preference(way[0]))
    state = _measure(book, state.trimmed)  # steps of one position leave rounding behind
    return TrimPlan(
        lots=_signed(book, state.trimmed),
        margin_before=start.margin,
        margin_after=state.margin,
        es_before=start.es,
        es_after=state.es,
        target=target,
        reached=state.margin <= target,
        steps=steps,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    book: TrimBook
    available: Lots
    start: _State
    target: float
    es_max: float

    def cost(self, state: _State) -> float:
        """How far ES is from where it was; what is within NO_CHANGE of it counts alike."""
        return max(abs(state.es - self.start.es), NO_CHANGE * abs(self.start.es))

    def allows(self, state: _State) -> bool:
        return state.margin <= self.target and state.es <= self.es_max

    def preference(self, state: _State) -> tuple[bool, float, float, int]:
        """Smaller is better: what reaches the target, then the least change of ES, then the fewest lots."""
        missed = 0.0 if self.allows(state) else state.margin
        return not self.allows(state), missed, self.cost(state), int(state.trimmed.sum())


def _greedy(task: _Task, size: float) -> tuple[_State, tuple[Trim, ...]]:
    chunk = np.maximum(1, np.ceil(size * task.available).astype(np.int64))
    state, steps = task.start, []
    while state.margin > task.target:
        left = task.available - state.trimmed
        best = _best_step(task, state, _moves(task.book, left, chunk))
        for whole in (np.minimum(chunk, left), left):
            if best is None and whole.any():  # nothing smaller frees margin
                best = _best_step(task, state, iter([whole]))
        if best is None:
            break
        steps.append(Trim(_signed(task.book, best.trimmed - state.trimmed), best.margin, best.es))
        state = best
    return state, tuple(steps)


def _moves(book: TrimBook, left: Lots, chunk: Lots) -> Iterator[Lots]:
    """What one step may trim, in the order that decides between equals."""
    n = len(left)
    for position in np.flatnonzero(left):
        move = np.zeros(n, dtype=np.int64)
        move[position] = min(chunk[position], left[position])
        yield move
    for number in range(len(book.scan.classes)):
        members = (book.scan.class_of == number) & (left > 0)
        if np.count_nonzero(members) > 1:
            yield np.where(members, np.minimum(chunk, left), 0)
    if (chunk < left).any():
        yield np.minimum(chunk, left)


def _best_step(task: _Task, state: _State, moves: Iterator[Lots]) -> _State | None:
    best, best_key = None, (0.0, 0.0)
    least = 1e-12 * max(abs(state.es), float(np.abs(state.pnl).max(initial=0.0)), 1e-300)
    for move in moves:
        margin = _margin(task.book, state.trimmed + move)
        relief = state.margin - margin
        if relief <= 0.0:
            continue
        after = _moved(task.book, state, move, margin)
        key = (relief / max(task.cost(after) - task.cost(state), least), relief)
        if after.es <= task.es_max and key > best_key:
            best, best_key = after, key
    return best


def _give_back(task: _Task, state: _State) -> _State:
    """Return lots the target does not need, the ones that bring ES nearest its start first."""
    while task.allows(state):
        trials = (_given_back(task, state, int(position)) for position in np.flatnonzero(state.trimmed))
        better = [trial for trial in trials if task.allows(trial) and task.cost(trial) <= task.cost(state)]
        if not better:
            break
        state = min(better, key=task.preference)
    return state


def _given_back(task: _Task, state: _State, position: int) -> _State:
    """As few lots of one position trimmed as the target allows, at least one fewer than now if it can be."""
    trial = state.trimmed.copy()
    few, enough = -1, int(trial[position])  # `enough` meets the target; `few` does not, or is none at all
    while enough - few > 1:
        trial[position] = (few + enough) // 2
        if _margin(task.book, trial) <= task.target:
            enough = int(trial[position])
        else:
            few = int(trial[position])
    trial[position] = enough
    if enough == state.trimmed[position]:  # nothing to return: a state that costs more than any
        return replace(state, es=float("inf"))
    return _measure(task.book, trial)


def _whole_lots(book: TrimBook) -> Lots:
    return np.floor(np.abs(book.quantity) / book.lot + 1e-9).astype(np.int64)


def _kept(book: TrimBook, trimmed: Lots) -> Vector:
    """The part of each position that is left, 0 to 1."""
    size = np.where(book.quantity == 0.0, 1.0, np.abs(book.quantity))
    return np.maximum(1.0 - trimmed * book.lot / size, 0.0)


def _margin(book: TrimBook, trimmed: Lots) -> float:
    kept = _kept(book, trimmed)
    scan = replace(book.scan, minimum=book.scan.minimum * kept)
    return scan_margin(scan, book.margin_pnl * kept[:, None], book.correlation).total


def _measure(book: TrimBook, trimmed: Lots) -> _State:
    pnl = np.asarray(pairwise_sum(book.scenario_pnl * _kept(book, trimmed)[:, None]))
    return _State(trimmed, pnl, _margin(book, trimmed), historical_var(pnl, book.confidence).es)


def _moved(book: TrimBook, state: _State, move: Lots, margin: float) -> _State:
    """The state after a step that trims few positions, without adding up the others again."""
    trimmed = state.trimmed + move
    changed = np.flatnonzero(move)
    if len(changed) > 1:
        return _measure(book, trimmed)
    less = (_kept(book, trimmed) - _kept(book, state.trimmed))[changed[0]]
    pnl = state.pnl + less * book.scenario_pnl[changed[0]]
    return _State(trimmed, pnl, margin, historical_var(pnl, book.confidence).es)


def _signed(book: TrimBook, lots: Lots) -> tuple[tuple[int, int], ...]:
    return tuple(
        (int(position), -int(np.sign(book.quantity[position])) * int(lots[position]))
        for position in np.flatnonzero(lots)
    )
