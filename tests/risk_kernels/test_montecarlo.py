"""Simulated P&L: the independent definition, the same bits for every split, and refusals."""

import os
import platform
import subprocess
import sys
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from independent import scenario_returns

from firm.risk_kernels.montecarlo import BLOCK, _compiled, _pnl_blocks, scenario_columns, scenario_pnl
from firm.risk_kernels.philox import key_words

SEED = 0x1234_5678_9ABC_DEF0
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LinearBook:
    loadings: Array
    idiosyncratic: Array
    drift: Array
    exposures: Array

    def arrays(self) -> tuple[Array, Array, Array, Array]:
        return self.loadings, self.idiosyncratic, self.drift, self.exposures

    def pnl(self, first: int, blocks: int, nu: int = 0, seed: int = SEED) -> Array:
        return scenario_pnl(first, blocks, *self.arrays(), seed, nu)

    def columns(self, first: int, blocks: int, nu: int = 0) -> Array:
        return scenario_columns(first, blocks, *self.arrays(), SEED, nu)


def book(n: int, k: int) -> LinearBook:
    rng = np.random.default_rng(7)
    return LinearBook(
        loadings=rng.normal(0.0, 0.01, (n, k)),
        idiosyncratic=rng.uniform(0.0, 0.02, n),
        drift=rng.normal(0.0, 0.0005, n),
        exposures=rng.normal(0.0, 1e6, n),
    )


SEVEN = book(7, 3)


@pytest.mark.parametrize("nu", [0, 4, 10])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (7, 3), (4, 8)])
@pytest.mark.parametrize("first_block", [0, 2**32 // BLOCK])
def test_the_kernel_agrees_with_the_definition(n: int, k: int, first_block: int, nu: int):
    positions = book(n, k)
    lanes = [0, 1, 63, 130, BLOCK - 1]

    columns = positions.columns(first_block, 1, nu)[:, lanes]

    returns = [
        scenario_returns(first_block * BLOCK + lane, positions.loadings, positions.idiosyncratic, SEED, nu)
        for lane in lanes
    ]
    expected = positions.exposures[:, None] * np.expm1(positions.drift[:, None] + np.transpose(returns))
    np.testing.assert_allclose(columns, expected, rtol=1e-12, atol=1e-8)


def test_the_compiled_kernel_gives_the_bits_of_its_python_source():
    k0, k1 = key_words(SEED)
    positions = book(8, 4)
    total, each = np.zeros((2, BLOCK)), np.empty((8, 2, BLOCK))

    _pnl_blocks(total, each, 5, *positions.arrays(), 2, k0, k1)

    assert np.array_equal(total.ravel(), positions.pnl(5, 2, nu=4))
    assert np.array_equal(each.reshape(8, -1), positions.columns(5, 2, nu=4))


@settings(deadline=None, max_examples=40)
@given(cuts=st.sets(st.integers(1, 15)), nu=st.sampled_from([0, 6]), first=st.sampled_from([0, 11, 2**34]))
def test_any_uneven_split_into_shards_gives_the_same_bits(cuts: set[int], nu: int, first: int):
    edges = [0, *sorted(cuts), 16]

    shards = [SEVEN.pnl(first + a, b - a, nu) for a, b in pairwise(edges)]

    assert np.concatenate(shards).tobytes() == SEVEN.pnl(first, 16, nu).tobytes()


def test_adding_the_columns_in_order_gives_the_bits_of_the_total():
    total = np.zeros(3 * BLOCK)
    for column in SEVEN.columns(4, 3, nu=4):
        total += column

    assert np.array_equal(total, SEVEN.pnl(4, 3, nu=4))


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
    return sha256(SEVEN.pnl(0, 3).tobytes() + SEVEN.columns(2**33, 2, nu=6).tobytes()).hexdigest()


def test_an_instrument_more_does_not_change_the_scenarios_of_the_others():
    wider = book(7, 3)
    narrower = LinearBook(*(values[:5] for values in wider.arrays()))

    assert np.array_equal(wider.columns(0, 2)[:5], narrower.columns(0, 2))


def test_read_only_arrays_are_accepted_and_give_the_same():
    frozen = book(7, 3)
    for values in frozen.arrays():
        values.flags.writeable = False

    assert np.array_equal(frozen.pnl(0, 2), SEVEN.pnl(0, 2))


def test_arrays_that_start_in_the_middle_of_a_word_are_accepted():
    def shifted(values: Array) -> Array:
        return np.frombuffer(b"x" + values.tobytes(), np.float64, offset=1).reshape(values.shape)

    unaligned = LinearBook(*(shifted(values) for values in SEVEN.arrays()))

    assert not unaligned.drift.flags.aligned
    assert np.array_equal(unaligned.pnl(0, 2), SEVEN.pnl(0, 2))


@pytest.mark.parametrize("writable", [True, False])
def test_the_kernel_is_compiled_once_for_writable_and_read_only_arrays(writable: bool):
    positions, total = book(8, 4), np.zeros((1, BLOCK))
    for values in positions.arrays():
        values.flags.writeable = writable

    _compiled()(total, np.empty((0, 1, BLOCK)), 0, *positions.arrays(), 0, *key_words(SEED))

    assert np.array_equal(total.ravel(), positions.pnl(0, 1))
    assert len(_compiled().signatures) == 1


def test_seeds_give_different_scenarios():
    assert not np.any(SEVEN.pnl(0, 1, seed=1) == SEVEN.pnl(0, 1, seed=2))


def test_covariance_of_simulated_returns_is_that_of_the_model():
    print("seed", SEED)
    model = replace(book(5, 3), drift=np.zeros(5), exposures=np.ones(5))

    returns = np.log1p(model.columns(0, 1500))

    expected = model.loadings @ model.loadings.T + np.diag(model.idiosyncratic**2)
    variances = np.diag(expected)
    error = np.sqrt((np.outer(variances, variances) + expected**2) / returns.shape[1])
    assert np.abs((np.cov(returns) - expected) / error).max() < 4.0


def test_student_returns_have_their_dispersion_times_nu_over_nu_minus_two():
    print("seed", SEED)
    model = replace(book(3, 2), drift=np.zeros(3), exposures=np.ones(3))
    nu = 12

    returns = np.log1p(model.columns(0, 1500, nu))

    dispersion = model.loadings @ model.loadings.T + np.diag(model.idiosyncratic**2)
    np.testing.assert_allclose(np.diag(np.cov(returns)), np.diag(dispersion) * nu / (nu - 2), rtol=0.015)


@pytest.mark.parametrize("field", ["loadings", "idiosyncratic", "drift", "exposures"])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused_by_name(field: str, poison: float):
    values = getattr(SEVEN, field).copy()
    values.flat[1] = poison

    with pytest.raises(ValueError, match=f"{field} needs finite values, found 1 NaN or infinite"):
        replace(SEVEN, **{field: values}).pnl(0, 1)


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("loadings", np.ones(7), r"loadings need the shape \(instruments, factors\), found \(7,\)"),
        ("drift", np.ones(6), r"drift needs one value for each of 7 instruments, found shape \(6,\)"),
        ("idiosyncratic", -np.ones(7), r"standard deviations of at least 0, found -1\.0"),
    ],
)
def test_a_model_of_the_wrong_shape_or_sign_is_refused(field: str, values: Array, message: str):
    with pytest.raises(ValueError, match=message):
        replace(SEVEN, **{field: values}).pnl(0, 1)


@pytest.mark.parametrize("nu", [-2, 3, 202])
def test_degrees_that_the_kernel_cannot_draw_are_refused(nu: int):
    with pytest.raises(ValueError, match=f"even and at most 200, found {nu}"):
        SEVEN.pnl(0, 1, nu)


@pytest.mark.parametrize(("first", "blocks"), [(-1, 2), (0, 0), (2**40, 1)])
def test_a_shard_outside_the_run_is_refused(first: int, blocks: int):
    with pytest.raises(ValueError, match=f"found {blocks} from block {first}"):
        SEVEN.pnl(first, blocks)
