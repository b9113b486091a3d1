"""Whether standard errors and intervals of a simulated VaR are what repetition finds."""

from collections.abc import Callable

import numpy as np
import pytest

from firm.errors import InsufficientHistory
from firm.risk.var_calculator import (
    convergence,
    convergence_tail_size,
    historical_var,
    normal_var,
    scenarios_needed,
)
from firm.risk_kernels.tail import shard_tail

CONFIDENCE, SCENARIOS, RUNS = 0.99, 20_000, 600


@pytest.fixture(scope="module")
def runs() -> np.ndarray:
    """var, es, var_low, var_high, var_error, es_error of many independent runs of Student-t P&L."""
    print("seed 77")
    rng, size = np.random.default_rng(77), convergence_tail_size(SCENARIOS, CONFIDENCE)
    rows = []
    for _ in range(RUNS):
        found = convergence(shard_tail(rng.standard_t(6, SCENARIOS), 0, size), CONFIDENCE)
        rows.append((found.var, found.es, found.var_low, found.var_high, found.var_error, found.es_error))
    return np.array(rows)


def test_standard_errors_are_those_of_repetition(runs: np.ndarray):
    var, es, _, _, var_error, es_error = runs.T

    assert var_error.mean() == pytest.approx(var.std(), rel=0.15)
    assert es_error.mean() == pytest.approx(es.std(), rel=0.15)


def test_the_interval_covers_the_true_var_as_often_as_it_says(runs: np.ndarray):
    from scipy import stats

    true = stats.t.ppf(CONFIDENCE, 6)
    covered = np.mean((runs[:, 2] <= true) & (true <= runs[:, 3]))

    assert 0.93 <= covered <= 0.985


def test_var_and_es_are_the_official_ones_and_inside_their_interval():
    print("seed 78")
    pnl = np.random.default_rng(78).standard_normal(50_000)
    found = convergence(shard_tail(pnl, 0, convergence_tail_size(50_000, 0.975)), 0.975)

    plain = historical_var(pnl, 0.975)

    assert (found.var, found.es) == (plain.var, plain.es)
    assert found.var_low < found.var < found.var_high
    assert found.var_low <= normal_var(1.0, 0.975).var <= found.var_high


def test_four_times_the_scenarios_halve_the_error():
    print("seed 79")
    pnl = np.random.default_rng(79).standard_normal(160_000)
    small, large = (
        convergence(shard_tail(pnl[:n], 0, convergence_tail_size(n, 0.99)), 0.99) for n in (40_000, 160_000)
    )

    assert large.es_error == pytest.approx(0.5 * small.es_error, rel=0.1)
    needed = scenarios_needed(small, relative_error=0.5 * small.es_error / small.es)
    assert needed == pytest.approx(160_000, rel=1e-6)


def test_a_run_too_small_to_bound_its_var_says_infinite():
    pnl = -np.arange(100.0)

    found = convergence(shard_tail(pnl, 0, convergence_tail_size(100, 0.99)), 0.99)

    assert found.var_high == np.inf
    assert found.var_low < found.var


def test_all_losses_equal_leave_no_error():
    found = convergence(shard_tail(np.full(1000, -5.0), 0, 1000), 0.95)

    assert (found.var, found.es, found.var_error, found.es_error) == (5.0, 5.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: convergence(shard_tail(np.zeros(1000), 0, 11), 0.99),
            ValueError,
            "worst scenarios, found 11",
        ),
        (lambda: convergence_tail_size(99, 0.99), InsufficientHistory, "needs 100 .* found 99"),
        (lambda: convergence_tail_size(1000, 1.0), ValueError, "found 1.0"),
        (lambda: convergence_tail_size(1000, 0.99, level=95.0), ValueError, "found 95.0"),
    ],
)
def test_what_has_no_answer_is_refused_with_the_numbers(
    call: Callable[[], object], error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        call()
