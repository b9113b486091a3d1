"""What named scenarios cost, worst first, who pays, and which unnamed moves would cost too much."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firm.analysis.book import MeasuredBook
from firm.analysis.unknown import Unknown, known
from firm.risk.reverse_stress import (
    ReverseStress,
    WorstMove,
    contracts_pnl,
    linear_reverse_stress,
    reverse_stress,
)
from firm.risk.stress_scenarios import Scenario
from firm.risk_kernels.contracts import Payoff

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

STARTS: Final = 16
OPTIMA_SHOWN: Final = 5
MOVES_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class StressRow:
    """One scenario: loss of the book (positive = loss), over equity, and what leaving would cost on top.

    `leaving` is what the scenario's wider spreads cost beyond today's; Unknown without quotes.
    """

    scenario: str
    kind: str
    start: str
    end: str
    loss: float
    of_equity: float
    leaving: float | Unknown


@dataclass(frozen=True, slots=True)
class Payer:
    """What one position loses in the worst scenario, and its price's move (None: an option, revalued)."""

    symbol: str
    loss: float
    price_move: float | None


@dataclass(frozen=True, slots=True)
class Stresses:
    """All scenarios, worst first; `payers` of the worst one, worst first; its limit over equity."""

    rows: tuple[StressRow, ...]
    payers: tuple[Payer, ...]
    limit: float


@dataclass(frozen=True, slots=True)
class FactorMove:
    """The simple return of one factor, and what the book loses by it alone."""

    symbol: str
    move: float
    loss: float


@dataclass(frozen=True, slots=True)
class Reverse:
    """A least unlikely move that loses the amount: `distance` in standard deviations of the horizon.

    `probability` under the normal law; `moves` the ones that cost most.
    """

    distance: float
    probability: float
    loss: float
    settled: bool
    moves: tuple[FactorMove, ...]


@dataclass(frozen=True, slots=True)
class ReverseStresses:
    """The distinct answers of `starts` searches, nearest first; `linear_distance` were the book linear."""

    target: float
    starts: int
    radius: float
    found: tuple[Reverse, ...]
    linear_distance: float | Unknown


def stresses(book: MeasuredBook) -> Stresses | Unknown:
    """The scenarios of the configuration; Unknown where one says nothing about something held."""
    return known(lambda: _stresses(book))


def reverse_stresses(book: MeasuredBook, loss: float | None) -> ReverseStresses | Unknown:
    """Moves that lose `loss` (None: the daily loss at which trading halts), account currency."""
    target = book.settings.risk.max_daily_loss * book.equity if loss is None else loss
    return known(lambda: _reverse(book, target))


def _stresses(book: MeasuredBook) -> Stresses:
    compiled, unit = book.measures.stress, book.measures.unit_stress
    if book.measures.unmapped is not None:
        compiled.require_mapped(book.quantities != 0)
    losses = compiled.book_losses(unit, book.quantities)
    leaving = known(lambda: compiled.spread_costs(_half_spreads(book), book.quantities))
    order = sorted(range(len(losses)), key=lambda row: (-losses[row], row))
    worst = unit[order[0], book.held] * book.quantities[book.held]
    payers = sorted(range(len(book.held)), key=lambda row: (-worst[row], row))
    return Stresses(
        tuple(
            _row(
                book,
                compiled.scenarios[row],
                float(losses[row]),
                leaving if isinstance(leaving, Unknown) else float(leaving[row]),
            )
            for row in order
        ),
        tuple(_payer(book, unit[order[0]], int(book.held[row]), float(worst[row])) for row in payers),
        book.settings.risk.stress.max_loss,
    )


def _row(book: MeasuredBook, scenario: Scenario, loss: float, leaving: float | Unknown) -> StressRow:
    return StressRow(
        scenario.name,
        scenario.kind,
        scenario.start.isoformat(),
        scenario.end.isoformat(),
        loss,
        loss / book.equity if book.equity > 0 else float("nan"),
        leaving,
    )


def _payer(book: MeasuredBook, unit_losses: Vector, instrument: int, loss: float) -> Payer:
    contract = book.measures.contracts[instrument]
    linear = contract["payoff"] == Payoff.LINEAR
    worth = float(contract["unit"] * contract["price"])
    return Payer(book.symbol(instrument), loss, -float(unit_losses[instrument]) / worth if linear else None)


def _half_spreads(book: MeasuredBook) -> Vector:
    """Of one unit in account currency, at the last decision; NaN where there was no quote."""
    worth = book.measures.contracts["unit"] * book.measures.contracts["price"]
    last = book.spreads[-1] if len(book.spreads) else np.full(len(worth), np.nan)
    return np.asarray(np.where(book.quantities != 0, last * worth / 2, 0.0))


def _reverse(book: MeasuredBook, target: float) -> ReverseStresses:
    factors, contracts = _own_factors(book)
    quantities = book.quantities[book.held]
    covariance = book.measures.history.covariance[np.ix_(factors, factors)]
    pnl = contracts_pnl(contracts, quantities)
    found = reverse_stress(pnl, covariance, target, starts=STARTS, seed=book.settings.risk.var.seed)
    deltas = book.factor_exposures[factors]
    linear = known(lambda: linear_reverse_stress(deltas, covariance, target).distance)
    return ReverseStresses(
        target, found.starts, found.radius, _answers(book, found, factors, contracts), linear
    )


def _own_factors(book: MeasuredBook) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """The factors of what is held, and its contracts with factors numbered among them."""
    contracts = book.measures.contracts[book.held].copy()
    factors, numbers = np.unique(contracts["factor"], return_inverse=True)
    contracts["factor"] = numbers
    return factors.astype(np.int64), contracts


def _answers(
    book: MeasuredBook, found: ReverseStress, factors: NDArray[np.int64], contracts: NDArray[np.void]
) -> tuple[Reverse, ...]:
    pnl = contracts_pnl(contracts, book.quantities[book.held])
    answers = []
    for worst in found.optima[:OPTIMA_SHOWN]:
        alone = -pnl(np.diag(worst.move))
        answers.append(
            Reverse(
                worst.distance,
                worst.probability,
                worst.loss,
                worst.settled,
                _moves(book, worst, factors, alone),
            )
        )
    return tuple(answers)


def _moves(
    book: MeasuredBook, worst: WorstMove, factors: NDArray[np.int64], alone: Vector
) -> tuple[FactorMove, ...]:
    order = sorted(range(len(factors)), key=lambda row: (-alone[row], row))[:MOVES_SHOWN]
    return tuple(
        FactorMove(book.symbol(int(factors[row])), float(np.expm1(worst.move[row])), float(alone[row]))
        for row in order
    )
