"""Simulated P&L: the independent definition, the same bits for every split, and refusals."""

import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from books import law_of, mixed_book, reference_columns
from hypothesis import given, settings
from hypothesis import strategies as st
from independent import scenario_returns

from firm.risk_kernels.contracts import FactorLaw, linear_contracts
from firm.risk_kernels.montecarlo import (
    BLOCK,
    columns_from_returns,
    factor_scenarios,
    pnl_from_returns,
    scenario_columns,
    scenario_pnl,
    scenario_run,
    warm_up,
)
from firm.risk_kernels.terms import Precision

SEED = 0x1234_5678_9ABC_DEF0
Array = npt.NDArray[np.float64]

SEVEN = law_of(7, 3)
BOOK, QUANTITIES = mixed_book(7, 40)


def pnl(first: int, blocks: int, nu: int = 0, seed: int = SEED, precision: Precision = "double") -> Array:
    law = SEVEN._replace(degrees_of_freedom=nu)
    return scenario_pnl(first, blocks, law, BOOK, QUANTITIES, seed, precision=precision)


def in_double_and_single(*parameters: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("precision", parameters or ("double", "single"))


@pytest.mark.parametrize("nu", [0, 4, 10])
@pytest.mark.parametrize(("m", "k"), [(1, 1), (3, 5), (4, 8), (5, 4), (7, 3), (9, 20)])
@pytest.mark.parametrize("first_block", [0, 2**32 // BLOCK])
def test_the_returns_agree_with_the_definition(m: int, k: int, first_block: int, nu: int):
    law, lanes = law_of(m, k, nu), [0, 1, 63, 130, BLOCK - 1]

    returns = factor_scenarios(first_block, 1, law, SEED)[:, lanes]

    expected = [
        scenario_returns(first_block * BLOCK + lane, law.loadings, law.idiosyncratic, SEED, nu)
        for lane in lanes
    ]
    np.testing.assert_allclose(returns, law.drift[:, None] + np.transpose(expected), rtol=0, atol=2e-12)


@pytest.mark.parametrize("m", [1, 3, 4, 5, 7, 8, 9])
def test_the_columns_are_the_textbook_s_values_of_those_returns(m: int):
    contracts, _ = mixed_book(m, 30)
    law = law_of(m, 2)

    columns = scenario_columns(3, 2, law, contracts, SEED)

    expected = reference_columns(factor_scenarios(3, 2, law, SEED), contracts)
    np.testing.assert_allclose(columns, expected, rtol=0, atol=2e-9)


@pytest.mark.parametrize("nu", [0, 6])
def test_adding_the_columns_in_order_gives_the_bits_of_the_total(nu: int):
    law, total = SEVEN._replace(degrees_of_freedom=nu), np.zeros(3 * BLOCK)

    for quantity, column in zip(QUANTITIES, scenario_columns(4, 3, law, BOOK, SEED), strict=True):
        total += quantity * column

    assert np.array_equal(total, pnl(4, 3, nu))


@in_double_and_single()
def test_a_run_gives_the_bits_of_the_book_and_of_the_columns_it_keeps(precision: Precision):
    total, kept = scenario_run(2, 4, SEVEN, BOOK, QUANTITIES, SEED, 3, precision=precision)

    assert np.array_equal(total, pnl(2, 4, precision=precision))
    assert np.array_equal(kept, scenario_columns(2, 3, SEVEN, BOOK, SEED, precision=precision))


@in_double_and_single()
def test_drawn_returns_revalued_give_the_bits_of_the_simulation(precision: Precision):
    returns = factor_scenarios(2, 3, SEVEN, SEED, precision=precision)

    again = pnl_from_returns(returns, BOOK, QUANTITIES, precision=precision)
    columns = columns_from_returns(returns, BOOK, precision=precision)

    assert np.array_equal(again, pnl(2, 3, precision=precision))
    assert np.array_equal(columns, scenario_columns(2, 3, SEVEN, BOOK, SEED, precision=precision))


@settings(deadline=None, max_examples=30)
@given(cuts=st.sets(st.integers(1, 15)), nu=st.sampled_from([0, 6]), first=st.sampled_from([0, 11, 2**34]))
@in_double_and_single()
def test_any_uneven_split_into_shards_gives_the_same_bits(
    precision: Precision, cuts: set[int], nu: int, first: int
):
    edges = [0, *sorted(cuts), 16]

    shards = [pnl(first + a, b - a, nu, precision=precision) for a, b in pairwise(edges)]

    assert np.concatenate(shards).tobytes() == pnl(first, 16, nu, precision=precision).tobytes()


def test_threads_side_by_side_give_the_same_bits():
    with ThreadPoolExecutor(4) as pool:
        shards = list(pool.map(lambda first: pnl(first, 2, nu=4), range(0, 16, 2)))

    assert np.concatenate(shards).tobytes() == pnl(0, 16, nu=4).tobytes()


@pytest.mark.skipif(platform.machine().lower() not in {"x86_64", "amd64"}, reason="names of x86 processors")
@pytest.mark.parametrize(("processor", "features"), [("generic", ""), ("haswell", "+avx2,+fma")])
def test_an_older_processor_gives_the_same_bits(processor: str, features: str):
    program = "from test_montecarlo import fixed_run; print(fixed_run())"
    environment = os.environ | {
        "NUMBA_CPU_NAME": processor,
        "NUMBA_CPU_FEATURES": features,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }

    answer = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment
    )

    assert answer.stdout.strip() == fixed_run()


def fixed_run() -> str:
    columns = scenario_columns(2**33, 2, SEVEN._replace(degrees_of_freedom=6), BOOK, SEED)
    results = (pnl(0, 3), columns, pnl(0, 2, precision="single"), factor_scenarios(1, 1, triangular(), SEED))
    return sha256(b"".join(result.tobytes() for result in results)).hexdigest()


def triangular() -> FactorLaw:
    """The covariance of SEVEN through its Cholesky factor."""
    covariance = SEVEN.loadings @ SEVEN.loadings.T + np.diag(SEVEN.idiosyncratic**2)
    return FactorLaw(np.linalg.cholesky(covariance), np.zeros(7), SEVEN.drift, 0)


def test_a_contract_more_does_not_change_the_scenarios_of_the_others():
    narrower = scenario_columns(0, 2, SEVEN, BOOK[:25], SEED)

    assert np.array_equal(scenario_columns(0, 2, SEVEN, BOOK, SEED)[:25], narrower)


def test_contracts_on_one_factor_share_its_draw():
    twice = linear_contracts(7)[[2, 2]]

    columns = scenario_columns(0, 2, SEVEN, twice, SEED)

    assert np.array_equal(columns[0], columns[1])
    assert np.array_equal(columns[0], scenario_columns(0, 2, SEVEN, linear_contracts(7), SEED)[2])


def test_read_only_and_unaligned_arrays_are_accepted_and_give_the_same():
    def shifted(values: Array) -> Array:
        return np.frombuffer(b"x" + values.tobytes(), values.dtype, offset=1).reshape(values.shape)

    law = FactorLaw(shifted(SEVEN.loadings), shifted(SEVEN.idiosyncratic), shifted(SEVEN.drift), 0)

    assert not law.drift.flags.aligned
    assert not law.drift.flags.writeable
    assert np.array_equal(scenario_pnl(0, 2, law, shifted(BOOK), shifted(QUANTITIES), SEED), pnl(0, 2))


def test_seeds_give_different_scenarios():
    assert not np.any(pnl(0, 1, seed=1) == pnl(0, 1, seed=2))


@in_double_and_single()
def test_warming_up_compiles_what_a_run_needs(precision: Precision):
    warm_up(precision)


def covariance_error(returns: Array, expected: Array) -> float:
    """The largest difference of the sample's covariance, in standard errors of a normal sample."""
    variances = np.diag(expected)
    error = np.sqrt((np.outer(variances, variances) + expected**2) / returns.shape[1])
    return float(np.abs((np.cov(returns) - expected) / error).max())


@pytest.mark.parametrize("law", [SEVEN, triangular()], ids=["low rank", "cholesky"])
def test_covariance_of_simulated_returns_is_that_of_the_law(law: FactorLaw):
    print("seed", SEED)

    returns = factor_scenarios(0, 1500, law, SEED)

    expected = SEVEN.loadings @ SEVEN.loadings.T + np.diag(SEVEN.idiosyncratic**2)
    assert covariance_error(returns, expected) < 4.0
    assert (
        np.abs((returns.mean(axis=1) - law.drift) / np.sqrt(np.diag(expected) / returns.shape[1])).max() < 4
    )


def test_a_cholesky_factor_and_its_low_rank_law_give_the_same_distribution_of_p_and_l():
    print("seed", SEED)
    books = [scenario_pnl(0, 800, law, BOOK, QUANTITIES, SEED) for law in (SEVEN, triangular())]

    low_rank, cholesky = (np.sort(book) for book in books)

    n = len(low_rank)
    grid = np.concatenate([low_rank, cholesky])
    gap = np.abs(np.searchsorted(low_rank, grid) - np.searchsorted(cholesky, grid)).max() / n
    assert gap * np.sqrt(n / 2.0) < 1.95  # Kolmogorov-Smirnov, exceeded once in 1,000


def test_student_returns_have_their_dispersion_times_nu_over_nu_minus_two():
    print("seed", SEED)
    nu = 12

    returns = factor_scenarios(0, 1500, SEVEN._replace(degrees_of_freedom=nu), SEED)

    dispersion = SEVEN.loadings @ SEVEN.loadings.T + np.diag(SEVEN.idiosyncratic**2)
    np.testing.assert_allclose(np.diag(np.cov(returns)), np.diag(dispersion) * nu / (nu - 2), rtol=0.015)


@pytest.mark.parametrize("nu", [0, 4])
def test_single_precision_is_within_two_millionths_of_the_gross_value(nu: int):
    gross = np.abs(QUANTITIES) @ np.where(
        BOOK["payoff"] == 0, BOOK["unit"] * BOOK["price"], 100 * BOOK["unit"]
    )

    difference = pnl(0, 50, nu, precision="single") - pnl(0, 50, nu)

    assert np.abs(difference).max() < 2e-6 * gross
    assert np.abs(difference).max() > 0.0


@pytest.mark.parametrize("field", ["loadings", "idiosyncratic", "drift"])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused_by_name(field: str, poison: float):
    values = getattr(SEVEN, field).copy()
    values.flat[1] = poison

    with pytest.raises(ValueError, match=f"{field} needs finite values, found 1 NaN or infinite"):
        scenario_pnl(0, 1, SEVEN._replace(**{field: values}), BOOK, QUANTITIES, SEED)


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("loadings", np.ones(7), r"loadings need the shape \(factors, common factors\), found \(7,\)"),
        ("drift", np.ones(6), r"drift needs one value for each of 7 factors, found shape \(6,\)"),
        ("drift", np.ones((7, 1)), r"drift needs one value for each of 7 factors, found shape \(7, 1\)"),
        ("idiosyncratic", -np.ones(7), r"standard deviations of at least 0, found -1\.0"),
    ],
)
def test_a_law_of_the_wrong_shape_or_sign_is_refused(field: str, values: Array, message: str):
    with pytest.raises(ValueError, match=message):
        factor_scenarios(0, 1, SEVEN._replace(**{field: values}), SEED)


@pytest.mark.parametrize("nu", [-2, 3, 202])
def test_degrees_that_the_kernel_cannot_draw_are_refused(nu: int):
    with pytest.raises(ValueError, match=f"even and at most 200, found {nu}"):
        pnl(0, 1, nu)


@pytest.mark.parametrize(("first", "blocks"), [(-1, 2), (0, 0), (2**40, 1)])
def test_a_shard_outside_the_run_is_refused(first: int, blocks: int):
    with pytest.raises(ValueError, match=f"found {blocks} from block {first}"):
        pnl(first, blocks)


@pytest.mark.parametrize("kept", [-1, 3])
def test_a_run_cannot_keep_more_than_it_has(kept: int):
    with pytest.raises(ValueError, match=f"can keep 0..2 of them, found {kept}"):
        scenario_run(0, 2, SEVEN, BOOK, QUANTITIES, SEED, kept)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="double or single, found 'half'"):
        pnl(0, 1, precision="half")  # type: ignore[arg-type]
