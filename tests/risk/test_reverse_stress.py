"""Reverse stress: the move found loses the amount, none nearer does, and the same seed finds the same."""

from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firm.errors import DataError
from firm.risk.reverse_stress import _nearest, contracts_pnl, linear_reverse_stress, reverse_stress
from firm.risk.stress_options import option_values
from firm.risk_kernels.contracts import CONTRACT, Payoff

COVARIANCE = np.array([[0.0004, 0.0001], [0.0001, 0.0009]])
COVARIANCE_3 = np.diag([0.0004, 0.0004, 0.0009])


def covariance_of(dimensions: int, seed: int) -> np.ndarray:
    factors = np.random.default_rng(seed).normal(0.0, 0.01, (dimensions, dimensions + 2))
    return factors @ factors.T


def nearest_of_random_moves(pnl, covariance: np.ndarray, loss: float, seed: int) -> float:
    """The least distance at which 2,000 random directions lose the amount, by bisection."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(2_000, len(covariance)))
    directions /= np.sqrt((directions**2).sum(1))[:, None]
    rays = directions @ np.linalg.cholesky(covariance).T
    low, high = np.zeros(len(rays)), np.full(len(rays), 12.0)
    beyond = pnl(rays * high[:, None]) <= -loss
    for _ in range(40):
        middle = 0.5 * (low + high)
        lost = pnl(rays * middle[:, None]) <= -loss
        low, high = np.where(lost, low, middle), np.where(lost, middle, high)
    return float(high[beyond].min())


def options_book() -> tuple[np.ndarray, np.ndarray]:
    """Short straddles on two shares and a long call on a third factor, with their prices."""
    rows = [
        (0, Payoff.EUROPEAN, 100.0, 0.0, 100.0, 100.0, 0.25, 0.3, 0.03, 0.0, 1.0),
        (0, Payoff.EUROPEAN, 100.0, 0.0, 100.0, 100.0, 0.25, 0.3, 0.03, 0.0, -1.0),
        (1, Payoff.EUROPEAN, 100.0, 0.0, 50.0, 52.0, 0.5, 0.4, 0.03, 0.0, 1.0),
        (2, Payoff.AMERICAN, 100.0, 0.0, 80.0, 85.0, 0.5, 0.35, 0.03, 0.0, -1.0),
        (1, Payoff.LINEAR, 1.0, 50.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    ]
    table = np.array(rows, CONTRACT)
    table["price"][:4] = option_values(table[:4])
    return table, np.array([-20.0, -20.0, -15.0, 5.0, 900.0])


def test_a_linear_book_has_its_answer_in_closed_form():
    d = np.array([1e6, -5e5])

    worst = linear_reverse_stress(d, COVARIANCE, 60_000.0)

    direction = COVARIANCE @ d
    deviation = sqrt(d @ direction)
    assert worst.move == pytest.approx(-60_000.0 * direction / deviation**2, rel=1e-12)
    assert d @ worst.move == pytest.approx(-60_000.0, rel=1e-12)
    assert worst.distance == pytest.approx(60_000.0 / deviation, rel=1e-12)
    assert worst.distance == pytest.approx(
        sqrt(worst.move @ np.linalg.solve(COVARIANCE, worst.move)), rel=1e-9
    )
    assert worst.probability == pytest.approx(NormalDist().cdf(-60_000.0 / deviation), rel=1e-12)


@pytest.mark.parametrize("dimensions", [1, 2, 5, 12])
def test_the_search_finds_the_closed_form_of_a_linear_book(dimensions: int):
    covariance = covariance_of(dimensions, seed=dimensions)
    d = np.random.default_rng(dimensions).normal(0.0, 1e6, dimensions)
    exact = linear_reverse_stress(d, covariance, 3.0 * sqrt(d @ covariance @ d))

    found = reverse_stress(lambda x: x @ d, covariance, exact.loss)

    assert len(found.optima) == 1
    assert found.optima[0].distance == pytest.approx(3.0, rel=1e-6)
    assert found.optima[0].move == pytest.approx(exact.move, abs=1e-5 * np.abs(exact.move).max())


def test_a_quadratic_book_has_its_optimum_on_the_axis_that_loses_fastest_and_both_sides_are_found():
    lost = np.array([5e7, 1e7])

    found = reverse_stress(lambda x: -(x**2) @ lost, np.diag([0.0004, 0.0009]), 60_000.0)

    # 5e7 x^2 = 60,000 at x = 0.03464, 1.732 deviations; the other axis (2.58) is a saddle, not an optimum.
    assert [worst.distance for worst in found.optima] == pytest.approx([sqrt(3.0)] * 2, rel=1e-6)
    assert sorted(worst.move[0] for worst in found.optima) == pytest.approx([-0.034641, 0.034641], abs=1e-6)
    assert [worst.move[1] for worst in found.optima] == pytest.approx([0.0, 0.0], abs=1e-6)


def test_all_optima_of_a_lopsided_book_are_reported_nearest_first():
    def pnl(x: np.ndarray) -> np.ndarray:
        return 2e5 * x[:, 0] - 3e7 * x[:, 0] ** 2

    found = reverse_stress(pnl, COVARIANCE, 50_000.0)

    roots = [(2e5 - sign * sqrt(4e10 + 4 * 3e7 * 5e4)) / (2 * 3e7) for sign in (1, -1)]
    assert [worst.move[0] for worst in found.optima] == pytest.approx(roots, rel=1e-6)
    assert [worst.distance for worst in found.optima] == pytest.approx(
        [abs(r) / 0.02 for r in roots], rel=1e-6
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_book_of_options_loses_the_amount_at_the_move_and_no_random_move_is_nearer(seed: int):
    table, quantities = options_book()
    pnl, covariance = contracts_pnl(table, quantities), covariance_of(3, seed)
    loss = 8_000.0

    found = reverse_stress(pnl, covariance, loss, starts=8)

    best = found.optima[0]
    assert best.loss == pytest.approx(loss, rel=1e-6)
    assert -pnl(best.move[None, :])[0] == pytest.approx(loss, rel=1e-6)
    assert best.distance == pytest.approx(sqrt(best.move @ np.linalg.solve(covariance, best.move)), rel=1e-6)
    assert best.distance <= nearest_of_random_moves(pnl, covariance, loss, seed) * (1 + 1e-9)
    assert [worst.distance for worst in found.optima] == sorted(worst.distance for worst in found.optima)


def test_a_short_straddle_is_hurt_from_both_sides():
    table, _ = options_book()
    pnl = contracts_pnl(table, np.array([-20.0, -20.0, 0.0, 0.0, 0.0]))

    found = reverse_stress(pnl, np.diag([0.0009, 0.0004, 0.0004]), 10_000.0)

    assert sorted(np.sign(worst.move[0]) for worst in found.optima) == [-1.0, 1.0]
    assert all(worst.loss == pytest.approx(10_000.0, rel=1e-6) for worst in found.optima)


def test_the_same_seed_finds_the_same_bits_and_another_the_same_optimum():
    table, quantities = options_book()
    pnl, covariance = contracts_pnl(table, quantities), covariance_of(3, 7)

    once, again = (reverse_stress(pnl, covariance, 9_000.0, starts=4, seed=5) for _ in range(2))
    other = reverse_stress(pnl, covariance, 9_000.0, starts=4, seed=6)

    assert [w.move.tobytes() for w in once.optima] == [w.move.tobytes() for w in again.optima]
    assert other.optima[0].distance == pytest.approx(once.optima[0].distance, rel=1e-6)


def test_a_singular_covariance_keeps_the_move_in_its_range():
    together = np.array([[0.0004, 0.0004], [0.0004, 0.0004]])

    found = reverse_stress(lambda x: x @ np.array([1e6, 1e6]), together, 80_000.0)

    assert found.optima[0].move == pytest.approx([-0.04, -0.04], rel=1e-6)
    assert found.optima[0].distance == pytest.approx(2.0, rel=1e-6)


def test_an_amount_that_is_out_of_reach_is_not_found_and_the_reach_is_said():
    table, _ = options_book()
    pnl = contracts_pnl(table, np.array([0.0, 0.0, 0.0, 1.0, 0.0]))

    found = reverse_stress(pnl, COVARIANCE_3, 100_000.0, starts=2)

    assert found.optima == ()
    assert (found.starts, found.radius) == (1 + 2 + 2 + 2, 12.0)


def test_at_a_kink_the_nearest_move_found_is_reported_as_not_settled():
    def pnl(x: np.ndarray) -> np.ndarray:
        return -1e6 * np.maximum(np.minimum(x[:, 0], x[:, 1]), 0.0)

    (only,) = reverse_stress(pnl, np.diag([0.0004, 0.0004]), 40_000.0, starts=32).optima

    assert not only.settled
    assert only.loss >= 40_000.0 * (1 - 1e-6)
    assert 2.0 * sqrt(2.0) <= only.distance < 2.2 * sqrt(2.0)  # exact: 0.04 in both, two deviations each


def test_a_book_that_jumps_is_met_where_it_jumps():
    def pnl(x: np.ndarray) -> np.ndarray:
        return np.where(x[:, 0] > 0.05, -50_000.0, 0.0)

    found = reverse_stress(pnl, np.diag([0.0004, 0.0004]), 40_000.0)

    assert found.optima[0].distance == pytest.approx(2.5)
    assert found.optima[0].loss == 50_000.0


def test_a_search_without_a_slope_or_a_better_point_stays_where_it_is():
    start = np.array([3.0, 0.0])

    assert _nearest(lambda z: np.full(len(z), -1.0), start, 12.0, 1.0) is start
    assert _nearest(lambda z: np.where((z == start).all(1), 0.0, 1e3 + z[:, 1]), start, 12.0, 1.0) is start


def test_a_book_that_loses_the_amount_without_a_move_is_refused():
    with pytest.raises(DataError, match="the book loses 7 without one, asked for 5"):
        reverse_stress(lambda x: x.sum(1) - 7.0, COVARIANCE, 5.0)


def test_a_book_without_positions_cannot_lose():
    assert reverse_stress(lambda x: np.zeros(len(x)), COVARIANCE, 1.0).optima == ()
    with pytest.raises(DataError, match="needs a book whose P&L varies"):
        linear_reverse_stress(np.zeros(2), COVARIANCE, 1.0)


@pytest.mark.parametrize("loss", [0.0, -1.0, float("nan"), float("inf")])
def test_a_loss_that_is_not_positive_is_refused(loss: float):
    with pytest.raises(DataError, match="positive loss"):
        linear_reverse_stress(np.ones(2), COVARIANCE, loss)
    with pytest.raises(DataError, match="positive loss"):
        reverse_stress(lambda x: x.sum(1), COVARIANCE, loss)


@pytest.mark.parametrize(
    ("covariance", "said"),
    [
        (np.array([[1.0, 2.0], [2.0, 1.0]]), "eigenvalues that are not negative"),
        (np.zeros((2, 2)), "not all zero"),
        (np.array([[1.0, 0.5], [0.4, 1.0]]), "symmetric"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "finite"),
    ],
)
def test_what_is_no_covariance_is_refused(covariance: np.ndarray, said: str):
    with pytest.raises(DataError, match=said):
        reverse_stress(lambda x: x.sum(1), covariance, 1.0)


def test_a_covariance_that_is_not_square_and_a_pnl_that_is_no_number_are_refused():
    with pytest.raises(ValueError, match="square"):
        linear_reverse_stress(np.ones(2), np.ones((2, 3)), 1.0)
    with pytest.raises(DataError, match="P&L in reverse stress"):
        reverse_stress(lambda x: x.sum(1) * np.nan, COVARIANCE, 1.0)
    with pytest.raises(DataError, match="quantities"):
        contracts_pnl(np.zeros(1, CONTRACT), np.array([np.nan]))


def test_the_pnl_of_contracts_is_the_growth_of_linear_ones():
    table = np.zeros(2, CONTRACT)
    table["factor"], table["unit"], table["price"] = [1, 0], [50.0, 1.0], [5_000.0, 100.0]

    pnl = contracts_pnl(table, np.array([2.0, -10.0]))(np.array([[0.0, 0.0], [np.log(1.1), np.log(0.9)]]))

    assert pnl == pytest.approx([0.0, -50_000.0 - 100.0])


@given(st.integers(0, 10_000), st.floats(0.5, 6.0))
def test_no_move_of_the_same_loss_is_nearer_than_the_closed_form(seed: int, deviations: float):
    rng = np.random.default_rng(seed)
    covariance, d = covariance_of(4, seed), rng.normal(0.0, 1e6, 4)
    worst = linear_reverse_stress(d, covariance, deviations * sqrt(d @ covariance @ d))
    others = rng.normal(size=(200, 4)) @ np.linalg.cholesky(covariance).T
    others *= (-worst.loss / (others @ d))[:, None]

    distances = np.sqrt((others * np.linalg.solve(covariance, others.T).T).sum(1))

    assert worst.distance <= distances.min() * (1 + 1e-9), f"seed {seed}"
