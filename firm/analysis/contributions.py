"""Which position carries the risk: marginal, component and incremental VaR and ES of everything held."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firm.analysis.book import MeasuredBook
from firm.analysis.simulated import Simulated
from firm.analysis.unknown import Unknown, known
from firm.risk.var_calculator import parametric_var
from firm.risk_kernels.components import (
    Contributions,
    covariance_contributions,
    replayed_columns,
    scenario_contributions,
    tail_contributions,
    tail_rows,
)
from firm.risk_kernels.tail import shard_tail

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Share:
    """Of one figure: `marginal` a unit more, `component` (these add up), `incremental`: without it, less."""

    marginal: float
    component: float
    incremental: float | Unknown


@dataclass(frozen=True, slots=True)
class Position:
    """One position, its value at the mark, and its shares of Monte Carlo VaR and ES, worst component first.

    `normal` is its component of the delta-normal VaR; that of an option is with its underlying.
    """

    symbol: str
    quantity: float
    value: float
    var: Share
    es: Share
    normal: float


def contributions(book: MeasuredBook, simulated: Simulated) -> tuple[Position, ...] | Unknown:
    """Every position held, the one that carries most of ES first."""
    return known(lambda: _positions(book, *_shares(book, simulated)))


def _shares(book: MeasuredBook, simulated: Simulated) -> tuple[Contributions, Contributions]:
    """Of VaR and ES, by what is held; incremental figures are NaN where the scenarios do not fit."""
    var = book.settings.risk.var
    levels = var.confidence, var.es_confidence
    if simulated.fits:
        return scenario_contributions([simulated.columns], simulated.quantities, *levels)
    rows = tail_rows(book.request.scenarios, *levels)
    worst = shard_tail(simulated.pnl, 0, rows).index
    columns = replayed_columns(
        worst, simulated.law, simulated.contracts, book.request.seed, simulated.ladders
    )
    found = tail_contributions(columns, simulated.quantities, book.request.scenarios, *levels)
    nothing = np.full(len(book.held), np.nan)
    marginals = found.var_marginal, found.es_marginal
    of_var, of_es = (Contributions(slope, slope * simulated.quantities, nothing) for slope in marginals)
    return of_var, of_es


def _positions(book: MeasuredBook, var: Contributions, es: Contributions) -> tuple[Position, ...]:
    normal = _normal(book)
    contracts = book.measures.contracts
    value = book.quantities * contracts["unit"] * contracts["price"]
    order = sorted(range(len(book.held)), key=lambda row: (-es.component[row], row))
    return tuple(
        Position(
            book.symbol(int(book.held[row])),
            float(book.quantities[book.held[row]]),
            float(value[book.held[row]]),
            _share(var, row),
            _share(es, row),
            float(normal[book.held[row]]),
        )
        for row in order
    )


def _normal(book: MeasuredBook) -> Vector:
    covariance, exposures = book.measures.history.covariance, book.factor_exposures
    figure = parametric_var(covariance, exposures, book.settings.risk.var.confidence).var
    return covariance_contributions(covariance, exposures, figure).component


def _share(found: Contributions, row: int) -> Share:
    incremental = float(found.incremental[row])
    too_large = Unknown("the scenarios of every position do not fit into risk.cube_bytes_max")
    return Share(
        float(found.marginal[row]),
        float(found.component[row]),
        too_large if np.isnan(incremental) else incremental,
    )
