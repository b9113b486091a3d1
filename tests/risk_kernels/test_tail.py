"""Tails: selection, exact merging with its certificate, VaR and ES in the fixed convention."""

import pickle
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firm.risk_kernels.tail import (
    Tail,
    TailTooShort,
    merge_tails,
    pairwise_sum,
    shard_request,
    shard_tail,
    tail_size,
    var_es,
    weighted_quantile,
    weighted_var_es,
)

Array = npt.NDArray[np.float64]

# few distinct values: ties are the hard part
tied_pnl = st.lists(st.integers(-4, 3), min_size=2, max_size=60).map(lambda xs: np.array(xs, np.float64))


def split(pnl: Array, cuts: set[int], k: int) -> list[Tail]:
    edges = [0, *sorted(cut for cut in cuts if cut < len(pnl)), len(pnl)]
    return [shard_tail(pnl[a:b], a, k) for a, b in pairwise(edges)]


def worst(pnl: Array, k: int) -> list[tuple[float, int]]:
    return sorted(zip(pnl.tolist(), range(len(pnl)), strict=True))[:k]


def pairs(tail: Tail) -> list[tuple[float, int]]:
    return list(zip(tail.pnl.tolist(), tail.index.tolist(), strict=True))


@given(pnl=tied_pnl, k=st.integers(1, 70))
def test_a_shard_returns_its_worst_scenarios_in_order_with_ties_by_index(pnl: Array, k: int):
    assert pairs(shard_tail(pnl, 0, k)) == worst(pnl, k)


@given(pnl=tied_pnl, cuts=st.sets(st.integers(1, 59)), data=st.data())
def test_a_merge_of_any_split_is_the_tail_of_the_whole_or_asks_for_more(
    pnl: Array, cuts: set[int], data: st.DataObject
):
    k = data.draw(st.integers(1, len(pnl)))
    asked = data.draw(st.integers(1, k))

    try:
        merged = merge_tails(split(pnl, cuts, asked), k)
    except TailTooShort:
        merged = merge_tails(split(pnl, cuts, k), k)

    assert pairs(merged) == worst(pnl, k)


def test_a_shard_that_may_hold_back_a_worse_scenario_is_named():
    parts = [shard_tail(np.array([-9.0, -8.0, -7.0]), 0, 2), shard_tail(np.array([-1.0, 0.0, 1.0]), 3, 2)]

    with pytest.raises(TailTooShort, match=r"the 3 worst scenarios .* found shards \[0\]") as refused:
        merge_tails(parts, 3)

    assert pickle.loads(pickle.dumps(refused.value)).shards == (0,)


def test_a_tie_with_the_last_of_the_merge_is_held_back_only_behind_it():
    parts = [shard_tail(np.array([-2.0, -2.0, -2.0]), 0, 2), shard_tail(np.array([-1.0]), 3, 1)]

    assert pairs(merge_tails(parts, 2)) == [(-2.0, 0), (-2.0, 1)]


def test_the_request_to_a_shard_covers_its_share_with_a_wide_margin():
    k = tail_size(100_000, 0.99)
    pnl = np.random.default_rng(11).standard_t(4, 100_000)
    shards = [
        shard_tail(pnl[a : a + 10_000], a, shard_request(k, 10_000, len(pnl)))
        for a in range(0, len(pnl), 10_000)
    ]

    merged = merge_tails(shards, k)

    assert (k, len(shards[0].pnl)) == (1001, 169)
    assert np.array_equal(merged.pnl, np.sort(pnl)[:k])


def test_the_same_scenario_from_two_shards_is_refused():
    part = shard_tail(np.array([-1.0, 2.0]), 0, 1)

    with pytest.raises(ValueError, match="disjoint, found 1 scenarios twice"):
        merge_tails([part, part], 1)


@pytest.mark.parametrize("k", [0, 3])
def test_a_merge_of_more_scenarios_than_there_are_is_refused(k: int):
    with pytest.raises(ValueError, match=rf"k in 1\.\.2, .* found {k}"):
        merge_tails([shard_tail(np.array([-1.0, 2.0]), 0, 2)], k)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_counted_and_refused_never_sorted_among_the_mild(poison: float):
    pnl = np.array([1.0, poison, -3.0, poison])

    with pytest.raises(ValueError, match="found 2 NaN or infinite of 4; no VaR is published"):
        shard_tail(pnl, 0, 2)
    with pytest.raises(ValueError, match="found 2 NaN or infinite of 4"):
        var_es(pnl, 100, 0.99)
    with pytest.raises(ValueError, match="found 2 NaN or infinite of 4"):
        merge_tails([Tail(pnl, np.arange(4), 4)], 2)


def test_a_read_only_vector_is_accepted():
    pnl = np.array([3.0, -1.0])
    pnl.flags.writeable = False

    assert pairs(shard_tail(pnl, 0, 1)) == [(-1.0, 1)]


def test_var_is_the_inverted_distribution_function_of_numpy():
    losses = np.arange(1.0, 501.0)

    var, _ = var_es(shard_tail(-losses, 0, 6), 500, 0.99)

    assert var == 495.0 == np.quantile(losses, 0.99, method="inverted_cdf")


@given(
    losses=st.lists(st.integers(-50, 50), min_size=1, max_size=200).map(lambda xs: np.array(xs, np.float64)),
    confidence=st.sampled_from([0.5, 0.9, 0.95, 0.975, 0.99]),
)
def test_var_agrees_with_numpy_and_es_is_at_least_var_also_with_ties(losses: Array, confidence: float):
    tail = shard_tail(-losses, 0, tail_size(len(losses), confidence))

    var, es = var_es(tail, len(losses), confidence)

    assert var == np.quantile(losses, confidence, method="inverted_cdf")
    assert es >= var


def test_es_of_a_fractional_tail_takes_the_fraction_of_the_next_loss():
    var, es = var_es(np.array([-30.0, -20.0, -10.0]), 10, 0.75)

    assert (var, es) == (10.0, (30.0 + 20.0 + 0.5 * 10.0) / 2.5)


def test_es_with_ties_is_neither_the_mean_from_var_nor_the_mean_beyond_it():
    losses = np.array([20.0] * 2 + [10.0] * 8 + [1.0] * 90)

    var, es = var_es(shard_tail(-losses, 0, 6), 100, 0.95)

    assert (var, es) == (10.0, 14.0)


def test_binary_noise_in_the_tail_mass_does_not_move_the_quantile():
    assert 1000 * (1 - 0.99) > 10.0
    assert tail_size(1000, 0.99) == 11


def test_the_mth_worst_is_one_loss_more_severe():
    tail = np.array([-5.0, -4.0, -3.0])

    assert var_es(tail, 200, 0.99)[0] == 3.0
    assert var_es(tail, 200, 0.99, convention="mth_worst")[0] == 4.0


@pytest.mark.parametrize(
    ("tail", "scenarios", "confidence", "message"),
    [
        ([-1.0], 500, 0.99, "needs the 6 worst, found 1"),
        ([-1.0, -2.0], 100, 0.99, "sorted worst first"),
        ([-1.0], 100, 1.0, "strictly between 0 and 1, found 1.0"),
        ([-1.0], 0, 0.99, "0 scenarios have no tail"),
    ],
)
def test_a_tail_that_cannot_give_the_figures_is_refused(
    tail: list[float], scenarios: int, confidence: float, message: str
):
    with pytest.raises(ValueError, match=message):
        var_es(np.array(tail), scenarios, confidence)


def test_the_mth_worst_of_less_than_one_scenario_is_refused():
    with pytest.raises(ValueError, match="needs m >= 1, found 0"):
        var_es(np.array([-1.0]), 50, 0.99, convention="mth_worst")


@pytest.mark.parametrize(("pnl", "k"), [(np.zeros(0), 1), (np.zeros((2, 2)), 1), (np.zeros(3), 0)])
def test_a_tail_of_nothing_is_refused(pnl: Array, k: int):
    with pytest.raises(ValueError, match=f"k of at least 1, found shape .* and k = {k}"):
        shard_tail(pnl, 0, k)


@given(st.lists(st.integers(-(2**40), 2**40), max_size=100))
def test_the_pairwise_sum_adds_everything_once(values: list[int]):
    assert pairwise_sum(np.array(values, np.float64)) == sum(values)


def test_the_pairwise_sum_of_rows_is_that_of_each_column():
    rows = np.random.default_rng(3).normal(size=(13, 4))

    assert np.array_equal(pairwise_sum(rows), [pairwise_sum(rows[:, j].copy()) for j in range(4)])


@given(
    losses=st.lists(st.integers(-50, 50), min_size=2, max_size=100).map(lambda xs: np.array(xs, np.float64)),
    confidence=st.sampled_from([0.5, 0.9, 0.95, 0.975]),
)
def test_equal_weights_give_the_figures_of_equally_likely_scenarios(losses: Array, confidence: float):
    n = len(losses)
    plain = var_es(shard_tail(-losses, 0, tail_size(n, confidence)), n, confidence)

    weighted = weighted_var_es(-losses, np.full(n, 1.0 / n), confidence)

    assert weighted == pytest.approx(plain, rel=1e-9, abs=1e-9)


@given(
    pairs=st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 9)), min_size=2, max_size=40),
    confidence=st.sampled_from([0.5, 0.75, 0.9]),
)
def test_a_weight_of_n_is_n_scenarios(pairs: list[tuple[int, int]], confidence: float):
    pnl, counts = np.array(pairs, np.float64).T
    total = int(counts.sum())
    repeated = np.repeat(pnl, counts.astype(int))
    expected = var_es(shard_tail(repeated, 0, tail_size(total, confidence)), total, confidence)

    assert weighted_var_es(pnl, counts / total, confidence) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_published_example_of_age_weights_is_reproduced():
    """Hull, Risk Management and Financial Institutions, four-index example: 282.204 and 400.914 ($000)."""
    pnl = np.zeros(500)
    pnl[[493, 338, 348, 328, 487]] = -477.841, -345.435, -282.204, -277.041, -253.385
    weights = 0.995 ** np.arange(499, -1, -1) * 0.005 / (1.0 - 0.995**500)

    var, es = weighted_var_es(pnl, weights, 0.99)

    assert weights[493] == pytest.approx(0.00528, abs=5e-6)
    assert var == 282.204
    assert es == pytest.approx(400.914, abs=0.05)


def test_only_the_weights_of_the_tail_matter():
    pnl = np.array([-4.0, -3.0, 0.0, 1.0])

    assert weighted_var_es(pnl, np.array([0.1, 0.2, 0.3, 5.0]), 0.85) == (3.0, (0.4 + 0.15) / 0.15)


def test_the_quantile_of_an_empty_tail_is_the_worst_loss():
    assert weighted_quantile(np.array([1.0, -2.0]), np.array([0.5, 0.5]), 0.0) == 2.0


@pytest.mark.parametrize(
    ("pnl", "weights", "message"),
    [
        ([-1.0, np.nan], [0.5, 0.5], "found 1 NaN or infinite of 2"),
        ([-1.0, 2.0], [0.5, np.nan], "weights need to be finite"),
        ([-1.0, 2.0], [0.5, -0.5], "at least 0"),
        ([-1.0, 2.0], [1.0], "shape of the P&L"),
        ([-1.0, 2.0], [0.01, 0.01], "needs weights beyond it, found a sum of 0.02"),
    ],
)
def test_weights_or_pnl_that_cannot_give_a_tail_are_refused(
    pnl: list[float], weights: list[float], message: str
):
    with pytest.raises(ValueError, match=message):
        weighted_var_es(np.array(pnl), np.array(weights), 0.9)
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        weighted_var_es(np.array([-1.0]), np.array([1.0]), 1.0)
