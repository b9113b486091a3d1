"""The pruned and the streamed tail of base + quantity * column: against a full sort, and each other."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firm.risk_kernels.pretrade import (
    STEPS_MAX,
    Prefix,
    Rank,
    add_column,
    rounding,
    stream_var_es,
)
from firm.risk_kernels.pretrade_loops import _add, _collect, _pruned, compiled
from firm.risk_kernels.tail import pairwise_sum

Array = npt.NDArray[np.float64]

SEED = 4_12_1986


def full_sort(pnl: Array, rank: Rank) -> tuple[float, float]:
    worst = np.sort(pnl)
    value = worst[rank.worse]
    return -value, -(pairwise_sum(worst[: rank.worse]) + (rank.mass - rank.worse) * value) / rank.mass


def extremes(quantity: float, column: Array) -> tuple[float, float]:
    moves = quantity * column
    return float(moves.min()), float(moves.max())


def in_parts(values: Array, edges: list[int]) -> list[Array]:
    return [values[a:b] for a, b in pairwise([0, *edges, len(values)])]


def test_three_thousand_random_trades_on_prefixes_of_every_length_agree_with_a_full_sort():
    print("seed", SEED)
    rng = np.random.default_rng(SEED)
    answered = refused = 0
    for _ in range(3000):
        rows = int(rng.integers(20, 800))
        base, column = rng.normal(size=(2, rows))
        if rng.random() < 0.5:
            base, column = np.round(2.0 * base), np.round(2.0 * column)
        quantity = float(rng.choice([-1.0, 1.0]) * 10.0 ** rng.uniform(-4, 1))
        rank = Rank.of(rows, float(rng.uniform(0.8, 1.0 - 1.0 / rows)))
        parts = sorted(rng.integers(0, rows, 2).tolist())
        bases, columns = in_parts(base, parts), in_parts(column, parts)
        split = rounding(float(np.abs(base).max() + abs(quantity) * np.abs(column).max()), rows)
        prefix = Prefix(base, bases, max(1, int(rows * 10.0 ** rng.uniform(-2.3, 0))))

        expected = full_sort(base + quantity * column, rank)
        [streamed] = stream_var_es(bases, columns, quantity, [rank], split)
        found = prefix.var_es(prefix.in_order(columns), quantity, *extremes(quantity, column), rank, split)

        assert streamed[0] == expected[0]
        assert streamed[1] == pytest.approx(expected[1], rel=1e-12, abs=1e-14)
        if found is None:
            refused += 1
        else:
            answered += 1
            assert found == streamed
    print("answered", answered, "left to the other path", refused)
    assert answered > 700
    assert refused > 700


def test_a_prefix_that_has_taken_in_trades_still_answers_exactly_or_not_at_all():
    print("seed", SEED)
    rng = np.random.default_rng(SEED)
    answered = 0
    for _ in range(200):
        base, *columns = rng.normal(size=(4, 2000))
        prefix, rank = Prefix(base, [base], 400), Rank.of(2000, 0.97)
        now = base.copy()
        for _ in range(8):
            column = columns[int(rng.integers(3))]
            quantity = float(rng.normal(0.0, 0.02))
            bounds, ordered = extremes(quantity, column), prefix.in_order([column])
            found = prefix.var_es(ordered, quantity, *bounds, rank, rounding(20.0, 2000))
            if found is not None:
                answered += 1
                assert found[0] == full_sort(now + quantity * column, rank)[0]
            prefix.move(ordered, quantity, *bounds)
            add_column(now, column, quantity)
    print("answered", answered)
    assert answered > 1000


def test_a_prefix_takes_in_only_so_many_trades():
    base = np.arange(10.0)
    prefix = Prefix(base, [base], 5)
    for _ in range(STEPS_MAX - 1):
        assert not prefix.full
        prefix.move(np.zeros(5), 0.0, 0.0, 0.0)

    assert prefix.full


def test_a_prefix_shorter_than_the_tail_does_not_answer():
    base = np.arange(100.0)
    prefix = Prefix(base, [base], 10)

    assert prefix.var_es(np.zeros(10), 1.0, 0.0, 0.0, Rank.of(100, 0.9), rounding(100.0, 100)) is None


def test_the_trade_happens_where_the_book_was_best_and_is_still_seen():
    base = np.linspace(-1.0, 1.0, 1000)
    column = np.where(np.arange(1000) == 999, -100.0, 0.0)
    prefix, rank = Prefix(base, [base], 100), Rank.of(1000, 0.99)

    found = prefix.var_es(prefix.in_order([column]), 1.0, -100.0, 0.0, rank, rounding(200.0, 1000))
    [streamed] = stream_var_es([base], [column], 1.0, [rank], rounding(200.0, 1000))

    assert found is None
    assert streamed[0] == full_sort(base + column, rank)[0]
    assert streamed[1] > 10.0


@settings(deadline=None)
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), seed=st.integers(0, 1000))
def test_es_is_the_correctly_rounded_sum_in_any_order(values: list[float], seed: int):
    pnl = np.array(values)
    order = np.random.default_rng(seed).permutation(len(pnl))
    rank, split = Rank(len(pnl) - 1, float(len(pnl))), rounding(1e6, len(pnl))

    [found] = stream_var_es([pnl], [pnl], 0.0, [rank], split)
    [shuffled] = stream_var_es([pnl[order]], [pnl[order]], 0.0, [rank], split)

    assert found == shuffled
    exact = -sum(map(Fraction, values)) / len(values)
    assert (
        abs(Fraction(found[1]) - exact)
        <= Fraction(1e6) * Fraction(2) ** -51 / len(values) + abs(exact) * Fraction(2) ** -51
    )


def test_two_ranks_at_once_are_two_questions():
    base, column = np.random.default_rng(5).normal(size=(2, 5000))
    ranks, split = [Rank.of(5000, 0.99), Rank.of(5000, 0.975)], rounding(20.0, 5000)

    both = stream_var_es([base], [column], 0.5, ranks, split)

    assert both == [stream_var_es([base], [column], 0.5, [rank], split)[0] for rank in ranks]


def test_a_sorted_run_that_defeats_the_sample_is_still_exact():
    base = np.sort(np.random.default_rng(6).normal(size=50_000))
    base[:2000] = -50.0
    rank, split = Rank.of(50_000, 0.99), rounding(64.0, 50_000)
    for values in (base, base[::-1].copy(), np.zeros(50_000)):
        [found] = stream_var_es([values], [values], 0.0, [rank], split)
        assert found[0] == full_sort(values, rank)[0]
        assert found[1] == pytest.approx(full_sort(values, rank)[1], rel=1e-12)


def test_the_compiled_loops_give_the_bits_of_their_python_source():
    rng = np.random.default_rng(7)
    base, column = rng.normal(size=(2, 300))
    sorted_base = np.sort(base)[:150]
    steps = np.array([-0.1, 0.0]), np.array([0.1, 0.0])
    arguments = (sorted_base, sorted_base, column[:150], 0.01, False, *steps, 2, 10, 10.5, 1.5e20, 1.5e10)
    compiled_out, python_out = np.empty(300), np.empty(300)

    assert compiled().pruned(*arguments, np.empty(150)) == _pruned(*arguments, np.empty(150))
    counts = [
        collect(base, column, 0.3, -1.0, out, 0)
        for collect, out in ((compiled().collect, compiled_out), (_collect, python_out))
    ]
    assert counts[0] == counts[1]
    assert np.array_equal(compiled_out[: counts[0]], python_out[: counts[0]])
    moved = base.copy(), base.copy()
    compiled().add(moved[0], column, 0.7)
    _add(moved[1], column, 0.7)
    assert np.array_equal(*moved)
    assert np.array_equal(moved[0], base + 0.7 * column)
