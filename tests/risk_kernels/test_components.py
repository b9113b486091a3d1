"""Contributions to VaR and ES: they sum to the whole, are slopes, and do not depend on the shards."""

from itertools import pairwise
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firm.risk_kernels.components import (
    covariance_contributions,
    replayed_columns,
    scenario_contributions,
    tail_contributions,
    tail_rows,
)
from firm.risk_kernels.contracts import FactorLaw, linear_contracts
from firm.risk_kernels.montecarlo import BLOCK, scenario_columns, scenario_pnl
from firm.risk_kernels.tail import shard_tail, tail_size, var_es

Array = npt.NDArray[np.float64]

SEED = 1999


def cut(columns: Array, edges: list[int]) -> list[Array]:
    return [np.ascontiguousarray(columns[:, a:b]) for a, b in pairwise([0, *edges, columns.shape[1]])]


def figures(pnl: Array, confidence: float) -> tuple[float, float]:
    return var_es(shard_tail(pnl, 0, tail_size(len(pnl), confidence)), len(pnl), confidence)


def book_pnl(columns: Array, quantities: Array) -> Array:
    pnl = np.zeros(columns.shape[1])
    for quantity, column in zip(quantities, columns, strict=True):
        pnl += quantity * column
    return pnl


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    confidence=st.sampled_from([0.9, 0.95, 0.99]),
    es_confidence=st.sampled_from([0.9, 0.975]),
    integers=st.booleans(),
    edges=st.lists(st.integers(0, 500), max_size=3),
)
def test_components_sum_to_the_whole_and_do_not_depend_on_the_shards(
    seed: int, confidence: float, es_confidence: float, integers: bool, edges: list[int]
):
    rng = np.random.default_rng(seed)
    columns = rng.standard_t(4, (5, 500))
    if integers:
        columns = np.round(columns)
    quantities = rng.normal(size=5) * rng.integers(0, 2, 5)
    var, es = (
        figures(book_pnl(columns, quantities), confidence)[0],
        figures(book_pnl(columns, quantities), es_confidence)[1],
    )

    of_var, of_es = scenario_contributions([columns], quantities, confidence, es_confidence)
    again = scenario_contributions(cut(columns, sorted(edges)), quantities, confidence, es_confidence)

    assert of_var.component.sum() == pytest.approx(var, rel=1e-9, abs=1e-12)
    assert of_es.component.sum() == pytest.approx(es, rel=1e-9, abs=1e-12)
    assert np.array_equal([*of_var, *of_es], [*again[0], *again[1]])


def test_incremental_is_the_figure_less_that_of_the_book_without_the_position():
    print("seed", SEED)
    columns = np.random.default_rng(SEED).normal(size=(4, 3000))
    quantities = np.array([3.0, -2.0, 0.0, 0.5])

    of_var, of_es = scenario_contributions([columns], quantities, 0.99, 0.975)

    for i in range(4):
        without = np.where(np.arange(4) == i, 0.0, quantities)
        var = figures(book_pnl(columns, quantities), 0.99)[0] - figures(book_pnl(columns, without), 0.99)[0]
        es = figures(book_pnl(columns, quantities), 0.975)[1] - figures(book_pnl(columns, without), 0.975)[1]
        assert of_var.incremental[i] == pytest.approx(var, abs=1e-12)
        assert of_es.incremental[i] == pytest.approx(es, abs=1e-12)


def test_the_marginal_es_is_the_slope_of_es():
    columns = np.random.default_rng(SEED).normal(size=(3, 5000))
    quantities, step = np.array([2.0, 1.0, -1.0]), 1e-7
    of_es = scenario_contributions([columns], quantities, 0.99, 0.975)[1]

    for i in range(3):
        move = np.where(np.arange(3) == i, step, 0.0)
        up = figures(book_pnl(columns, quantities + move), 0.975)[1]
        down = figures(book_pnl(columns, quantities - move), 0.975)[1]
        assert of_es.marginal[i] == pytest.approx((up - down) / (2.0 * step), rel=1e-5)


def test_scenario_and_covariance_components_agree_on_a_normal_book():
    print("seed", SEED)
    rng = np.random.default_rng(SEED)
    covariance = np.array([[4.0, 1.0, 0.0], [1.0, 2.0, -0.5], [0.0, -0.5, 1.0]])
    columns = np.linalg.cholesky(covariance) @ rng.normal(size=(3, 400_000))
    quantities = np.array([1.0, 2.0, -3.0])
    deviation = float(np.sqrt(quantities @ covariance @ quantities))
    z = NormalDist().inv_cdf(0.99)

    of_var, of_es = scenario_contributions([columns], quantities, 0.99, 0.99)
    expected = covariance_contributions(covariance, quantities, z * deviation)

    np.testing.assert_allclose(of_var.component, expected.component, rtol=0.06)
    np.testing.assert_allclose(
        of_es.component, expected.component * NormalDist().pdf(z) / 0.01 / z, rtol=0.06
    )


def test_a_var_of_next_to_nothing_is_that_of_its_own_scenario():
    columns = np.tile([-1.0, 1.0], 100)[None, :] * np.array([[1.0], [-1.0]])

    of_var, of_es = scenario_contributions([columns], np.array([1.0, 1.0]), 0.95, 0.95)

    assert of_var.component.sum() == 0.0
    assert of_es.component.sum() == 0.0


def test_covariance_components_sum_to_the_figure_and_increments_are_differences():
    covariance = np.array([[0.04, 0.01], [0.01, 0.09]])
    exposures, z = np.array([100.0, -50.0]), 2.5
    deviation = np.sqrt(exposures @ covariance @ exposures)

    found = covariance_contributions(covariance, exposures, z * deviation)

    assert found.component.sum() == pytest.approx(z * deviation, rel=1e-12)
    assert found.incremental == pytest.approx([z * (deviation - 15.0), z * (deviation - 20.0)], rel=1e-12)
    step = 1e-4
    up = exposures + np.array([step, 0.0])
    slope = z * (np.sqrt(up @ covariance @ up) - deviation) / step
    assert found.marginal[0] == pytest.approx(slope, rel=1e-4)


def test_a_book_without_variance_has_no_covariance_components():
    found = covariance_contributions(np.ones((2, 2)), np.array([1.0, -1.0]), 0.0)

    assert not np.any(list(found))


@pytest.mark.parametrize(
    ("covariance", "exposures", "message"),
    [
        (np.eye(3), np.ones(2), "need one n"),
        (np.array([[np.nan]]), np.ones(1), "covariance need to be finite, found 1"),
        (np.eye(1), np.array([np.inf]), "exposures need to be finite, found 1"),
        (-np.eye(2), np.ones(2), "variance of at least 0, found -2"),
    ],
)
def test_a_covariance_that_is_none_is_refused(covariance: Array, exposures: Array, message: str):
    with pytest.raises(ValueError, match=message):
        covariance_contributions(covariance, exposures, 1.0)


def test_nan_in_a_column_is_never_mild():
    columns = np.random.default_rng(SEED).normal(size=(2, 500))
    columns[1, 7] = np.nan

    with pytest.raises(ValueError, match="NaN or infinite"):
        scenario_contributions([columns], np.ones(2), 0.99, 0.99)
    with pytest.raises(ValueError, match="NaN or infinite"):
        tail_contributions(columns, np.ones(2), 500, 0.9, 0.9)


def test_a_tail_that_is_too_short_or_unsorted_is_refused():
    columns = np.sort(np.random.default_rng(SEED).normal(size=(1, 100)))

    with pytest.raises(ValueError, match=r"columns \(n, 12 or more\)"):
        tail_contributions(columns[:, :11], np.ones(1), 100, 0.9, 0.9)
    with pytest.raises(ValueError, match="worst first"):
        tail_contributions(columns[:, ::-1], np.ones(1), 100, 0.9, 0.9)


@pytest.mark.parametrize("degrees", [0, 6])
def test_replayed_tail_scenarios_give_the_components_of_the_whole_run(degrees: int):
    print("seed", SEED)
    rng = np.random.default_rng(SEED)
    law = FactorLaw(rng.normal(0.0, 0.01, (5, 2)), np.full(5, 0.01), np.zeros(5), degrees)
    contracts, quantities = linear_contracts(5), rng.normal(0.0, 1e6, 5)
    pnl = scenario_pnl(0, 40, law, contracts, quantities, SEED)
    rows = tail_rows(len(pnl), 0.99, 0.975)

    tail = shard_tail(pnl, 0, rows)
    replayed = replayed_columns(tail.index, law, contracts, SEED)
    found = tail_contributions(replayed, quantities, len(pnl), 0.99, 0.975)

    columns = scenario_columns(0, 40, law, contracts, SEED)
    assert np.array_equal(replayed, columns[:, tail.index])
    of_var, of_es = scenario_contributions([columns], quantities, 0.99, 0.975)
    assert np.array_equal(found.var_marginal, of_var.marginal)
    assert np.array_equal(found.es_marginal, of_es.marginal)
    assert (quantities * found.es_marginal).sum() == pytest.approx(figures(pnl, 0.975)[1], rel=1e-9)
    assert found.var == figures(pnl, 0.99)[0]


def test_a_replay_of_a_few_scenarios_far_into_a_run_computes_only_their_blocks():
    law = FactorLaw(np.full((1, 1), 0.01), np.zeros(1), np.zeros(1), 0)
    far = np.array([2**33 * BLOCK + 5, 3, 2**33 * BLOCK + 1])

    replayed = replayed_columns(far, law, linear_contracts(1), SEED)

    blocks = [scenario_columns(first, 1, law, linear_contracts(1), SEED)[0] for first in (0, 2**33)]
    assert np.array_equal(replayed[0], [blocks[1][5], blocks[0][3], blocks[1][1]])
