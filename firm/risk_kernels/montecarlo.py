"""Monte Carlo P&L of contracts under a factor model: the same bits for every split over a cluster.

Scenario s of a run is a pure function of (law, contracts, seed, s); a shard is a range of whole blocks of
BLOCK scenarios. So any shards, on any number of workers, put together the same arrays. `scenario_pnl` is the
book, `scenario_columns` each contract, `scenario_run` both in one pass; scenarios that come from elsewhere
(history, stress, a sampler) are revalued by the same code through `pnl_from_returns`.

Source: McNeil, Frey and Embrechts, Quantitative Risk Management (2015), chapters 6 (normal variance
mixtures, factor models) and 9 (Monte Carlo).
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit

from firm.risk_kernels.contracts import Contracts, FactorLaw, Ladders, Matrix, Vector, linear_contracts
from firm.risk_kernels.factors import block_draws, draw_scratch, draws_of
from firm.risk_kernels.normals import BLOCK, lanes
from firm.risk_kernels.philox import key_words
from firm.risk_kernels.revalue import block_revaluation, revalue_scratch
from firm.risk_kernels.terms import Precision, real_of, terms_of

__all__ = [
    "BLOCK",
    "columns_from_returns",
    "factor_scenarios",
    "pnl_from_returns",
    "scenario_columns",
    "scenario_pnl",
    "scenario_run",
    "warm_up",
]

_BLOCKS_MAX = 2**40


def scenario_pnl(
    first_block: int,
    blocks: int,
    law: FactorLaw,
    contracts: Contracts,
    quantities: Vector,
    seed: int,
    *,
    ladders: Ladders | None = None,
    precision: Precision = "double",
) -> Vector:
    """P&L of a book in scenarios first_block * BLOCK .. (first_block + blocks) * BLOCK - 1.

    With degrees of freedom nu, the log-returns are multivariate Student-t whose *dispersion* is
    loadings loadings' + idiosyncratic^2 and whose covariance is nu / (nu - 2) times that. To keep a
    covariance, scale both by sqrt((nu - 2) / nu) first. The expected loss of a short position is then
    infinite (exp of a Student-t has no mean): its sample ES is finite but does not converge.

    Parameters
    ----------
    first_block, blocks : int
        The shard: whole blocks of BLOCK scenarios, numbered from 0 over the whole run.
    law : FactorLaw
        Of the log-returns of m factors over the horizon; degrees of freedom 0 (normal) or even, at most 200.
    contracts : CONTRACT[n]
        What is held; several may share a factor, which is then drawn once.
    quantities : float64[n]
        Signed units of each contract; shorts are negative.
    seed : int
        0 .. 2**64 - 1; same seed, same scenarios.
    ladders : Ladders or None
        A row for each American option that has not expired.
    precision : "double" or "single"
        Single takes about half the time, from the same random words; the result differs by some 1e-6 of the
        gross value. Figures of record are double.

    Returns
    -------
    float64[blocks * BLOCK]
        P&L in account currency, gains positive, in the order of scenarios. The same bits for every split. NaN
        where a return leaves the range of a ladder: such a run must be refused.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, or a number is out of its bounds.

    >>> calm = FactorLaw(np.zeros((1, 1)), np.zeros(1), np.zeros(1), 0)
    >>> pnl = scenario_pnl(0, 1, calm, linear_contracts(1), np.ones(1), seed=1)
    >>> pnl.shape, float(pnl.max())
    ((192,), 0.0)
    """
    return scenario_run(
        first_block, blocks, law, contracts, quantities, seed, 0, ladders=ladders, precision=precision
    )[0]


def scenario_columns(
    first_block: int,
    blocks: int,
    law: FactorLaw,
    contracts: Contracts,
    seed: int,
    *,
    ladders: Ladders | None = None,
    precision: Precision = "double",
) -> Matrix:
    """P&L of one unit of each contract in the scenarios of `scenario_pnl`, same parameters and errors.

    Returns
    -------
    float64[n, blocks * BLOCK]
        Row i is the contiguous column of P&L of contract i, in account currency. In double precision, adding
        quantities_i times row i, in order, gives the bits of `scenario_pnl`.
    """
    nothing = np.zeros(len(contracts))
    return scenario_run(
        first_block, blocks, law, contracts, nothing, seed, blocks, ladders=ladders, precision=precision
    )[1]


def scenario_run(
    first_block: int,
    blocks: int,
    law: FactorLaw,
    contracts: Contracts,
    quantities: Vector,
    seed: int,
    kept_blocks: int,
    *,
    ladders: Ladders | None = None,
    precision: Precision = "double",
) -> tuple[Vector, Matrix]:
    """`scenario_pnl` and, for the first `kept_blocks` blocks of the shard, `scenario_columns` in one pass.

    Returns
    -------
    float64[blocks * BLOCK], float64[n, kept_blocks * BLOCK]
        The bits of the two functions.
    """
    _check_shard(first_block, blocks)
    if not 0 <= kept_blocks <= blocks:
        raise ValueError(f"a run of {blocks} blocks can keep 0..{blocks} of them, found {kept_blocks}")
    k0, k1 = key_words(seed)
    terms = terms_of(contracts, quantities, len(law.drift), ladders, precision)
    draws = draws_of(law, terms.factors, precision)
    total = np.empty((blocks, BLOCK))
    columns = np.empty((len(contracts), kept_blocks, BLOCK))
    scratch = revalue_scratch(len(draws.drift), precision)
    kernel = _simulation(precision)
    kernel(total, columns, first_block, draws, terms, *draw_scratch(draws, precision), scratch, k0, k1)
    return total.reshape(-1), columns.reshape(len(contracts), kept_blocks * BLOCK)


def factor_scenarios(
    first_block: int, blocks: int, law: FactorLaw, seed: int, *, precision: Precision = "double"
) -> Matrix:
    """The log-returns of the factors in the scenarios of `scenario_pnl`; parameters and errors as there.

    Returns
    -------
    float64[m, blocks * BLOCK]
        Row i is the contiguous column of factor i. Revalued by `pnl_from_returns` they give the bits of
        `scenario_pnl`.
    """
    _check_shard(first_block, blocks)
    k0, k1 = key_words(seed)
    m = len(law.drift)
    draws = draws_of(law, np.arange(m), precision)
    out = np.empty((m, blocks, BLOCK))
    _drawing(precision)(out, first_block, draws, *draw_scratch(draws, precision), k0, k1)
    return out.reshape(m, blocks * BLOCK)


def pnl_from_returns(
    returns: Matrix,
    contracts: Contracts,
    quantities: Vector,
    *,
    ladders: Ladders | None = None,
    precision: Precision = "double",
) -> Vector:
    """P&L of a book in given scenarios: historical, filtered historical, stressed or sampled.

    Parameters
    ----------
    returns : float64[m, S]
        Log-return over the horizon of each factor in each of any number S of scenarios; finite.
    contracts, quantities, ladders, precision
        As for `scenario_pnl`.

    Returns
    -------
    float64[S]
        P&L in account currency, gains positive; each scenario's bits depend on its own returns alone. NaN
        where a return leaves the range of a ladder.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, or a number is out of its bounds.
    """
    return _revalued(returns, contracts, quantities, ladders, precision, kept=False)[0]


def columns_from_returns(
    returns: Matrix,
    contracts: Contracts,
    *,
    ladders: Ladders | None = None,
    precision: Precision = "double",
) -> Matrix:
    """P&L of one unit of each contract in given scenarios: float64[n, S], as `pnl_from_returns` otherwise."""
    nothing = np.zeros(len(contracts))
    return _revalued(returns, contracts, nothing, ladders, precision, kept=True)[1]


def warm_up(precision: Precision = "double") -> None:
    """Compile the kernels of a precision now (a few seconds a process), so that no run pays for it."""
    contracts = linear_contracts(1)
    law = FactorLaw(np.ones((1, 1)), np.ones(1), np.zeros(1), 0)
    scenario_run(0, 1, law, contracts, np.ones(1), 0, 1, precision=precision)
    returns = factor_scenarios(0, 1, law, 0, precision=precision)
    pnl_from_returns(returns, contracts, np.ones(1), precision=precision)


def _revalued(
    returns: Matrix,
    contracts: Contracts,
    quantities: Vector,
    ladders: Ladders | None,
    precision: Precision,
    *,
    kept: bool,
) -> tuple[Vector, Matrix]:
    if returns.ndim != 2 or 0 in returns.shape:
        raise ValueError(f"returns need the shape (factors, scenarios), found {returns.shape}")
    if bad := int(np.count_nonzero(~np.isfinite(returns))):
        raise ValueError(f"returns need finite values, found {bad} NaN or infinite of {returns.size}")
    m, scenarios = returns.shape
    terms = terms_of(contracts, quantities, m, ladders, precision)
    blocks = -(-scenarios // BLOCK)
    n, given = len(contracts), np.array(returns, np.float64, order="C")
    total = np.empty((blocks, BLOCK))
    columns = np.empty((n, blocks if kept else 0, BLOCK))
    scratch = revalue_scratch(m, precision)
    _revaluation(precision)(total, columns, given, lanes((m,), real_of(precision)), terms, scratch)
    each = columns.reshape(n, -1)[:, : scenarios if kept else 0]
    return total.reshape(-1)[:scenarios], np.ascontiguousarray(each)


@cache
def _simulation(precision: Precision) -> Any:
    """The kernel in machine code, made once a process at the first call (`warm_up`)."""
    draw, revalue = block_draws(precision), block_revaluation(precision)

    @njit(nogil=True, error_model="numpy")
    def simulate(
        total: Any,
        columns: Any,
        first_block: int,
        draws: Any,
        terms: Any,
        returns: Any,
        drawing: Any,
        scratch: Any,
        k0: Any,
        k1: Any,
    ) -> None:
        for block in range(total.shape[0]):
            draw(returns, np.uint64((first_block + block) * BLOCK), draws, drawing, k0, k1)
            revalue(total, columns, block, returns, scratch, terms)

    return simulate


@cache
def _drawing(precision: Precision) -> Any:
    draw = block_draws(precision)

    @njit(nogil=True, error_model="numpy")
    def scenarios(
        out: Any, first_block: int, draws: Any, returns: Any, scratch: Any, k0: Any, k1: Any
    ) -> None:
        for block in range(out.shape[1]):
            draw(returns, np.uint64((first_block + block) * BLOCK), draws, scratch, k0, k1)
            for factor in range(out.shape[0]):
                for lane in range(BLOCK):
                    out[factor, block, lane] = returns[factor, lane]

    return scenarios


@cache
def _revaluation(precision: Precision) -> Any:
    revalue = block_revaluation(precision)

    @njit(nogil=True, error_model="numpy")
    def from_returns(total: Any, columns: Any, given: Any, returns: Any, terms: Any, scratch: Any) -> None:
        for block in range(total.shape[0]):
            first = block * BLOCK
            lanes = min(BLOCK, given.shape[1] - first)
            for factor in terms.factors:
                for lane in range(lanes):
                    returns[factor, lane] = given[factor, first + lane]
            revalue(total, columns, block, returns, scratch, terms)

    return from_returns


def _check_shard(first_block: int, blocks: int) -> None:
    if first_block < 0 or blocks < 1 or first_block + blocks > _BLOCKS_MAX:
        raise ValueError(
            f"a shard needs 1 or more blocks within 0..{_BLOCKS_MAX}, found {blocks} from block {first_block}"
        )
