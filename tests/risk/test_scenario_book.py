"""A book in scenarios: exact figures with a trade, the same bits for every split and path, and refusals."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firm.errors import DataError, InsufficientHistory, UnknownInstrument
from firm.risk.scenario_book import ScenarioBook
from firm.risk.var_calculator import VarEs, historical_var

Array = npt.NDArray[np.float64]

SEED = 20261122


def cut(columns: Array, edges: list[int]) -> list[Array]:
    return [np.ascontiguousarray(columns[:, a:b]) for a, b in pairwise([0, *edges, columns.shape[1]])]


def full_sort(pnl: Array, confidence: float, es_confidence: float) -> VarEs:
    return VarEs(historical_var(pnl, confidence).var, historical_var(pnl, es_confidence).es)


def total(columns: Array, quantities: Array) -> Array:
    pnl = np.zeros(columns.shape[1])
    for i in np.flatnonzero(quantities):
        pnl += quantities[i] * columns[i]
    return pnl


def random_case(rng: np.random.Generator) -> tuple[Array, Array, float]:
    scenarios = int(rng.integers(40, 3000))
    columns = rng.normal(size=(4, scenarios)) * 10.0 ** rng.integers(-3, 4, (4, 1))
    if rng.random() < 0.4:
        columns = np.round(columns)  # ties
    quantities = rng.normal(size=4) * rng.integers(0, 2, 4)
    size = 10.0 ** rng.uniform(-4, 1) * (1.0 if rng.random() < 0.5 else -1.0)
    return columns, quantities, size


def assert_same(found: VarEs, expected: VarEs, scale: float) -> None:
    assert found.var == expected.var
    assert abs(found.es - expected.es) <= 1e-12 * max(abs(expected.es), 1e-3 * scale)


def test_three_thousand_random_trades_agree_with_a_full_sort_and_both_paths_give_the_same_bits():
    print("seed", SEED)
    rng = np.random.default_rng(SEED)
    pruned = unpruned = 0
    for _ in range(600):
        columns, quantities, size = random_case(rng)
        scenarios = columns.shape[1]
        confidence = float(rng.uniform(0.5, 1.0 - 2.0 / scenarios))
        es_confidence = float(rng.uniform(0.5, 1.0 - 2.0 / scenarios)) if rng.random() < 0.5 else confidence
        shards = cut(columns, sorted(rng.integers(0, scenarios, 2).tolist()))
        book = ScenarioBook(shards, quantities, confidence, es_confidence)
        pnl = total(columns, quantities)
        assert np.array_equal(book.pnl, pnl)
        assert_same(book.measure(), full_sort(pnl, confidence, es_confidence), np.abs(pnl).max())
        for _ in range(5):
            instrument, quantity = int(rng.integers(4)), size * float(rng.uniform(0.1, 1.0))
            after = pnl + quantity * columns[instrument]
            found = book.with_trade(instrument, quantity)
            assert_same(found, full_sort(after, confidence, es_confidence), np.abs(after).max())
            assert found == streamed(book, instrument, quantity)
            if rng.random() < 0.4:
                book.apply(instrument, quantity)
                pnl = after
                assert np.array_equal(book.pnl, pnl)
        pruned, unpruned = pruned + book.pruned, unpruned + book.streamed
    print("pruned", pruned, "streamed", unpruned)
    assert pruned > 500
    assert unpruned > 500


def streamed(book: ScenarioBook, instrument: int, quantity: float) -> VarEs:
    """The same question, answered from all scenarios."""
    column = book._column(instrument)
    low, high = book._step(column, quantity)
    lowest, highest = book._lowest + low, book._highest + high
    return book._all_rows(book._bases, column.parts, quantity, lowest, highest).figures


def market(scenarios: int = 20_000, instruments: int = 3) -> Array:
    print("seed", SEED)
    return np.random.default_rng(SEED).standard_t(5, (instruments, scenarios))


def test_a_small_order_is_answered_from_the_worst_scenarios_alone():
    columns = market()
    book = ScenarioBook([columns], np.array([100.0, 50.0, 0.0]), 0.99, 0.99)

    for quantity in (0.3, -0.3, 1.0):
        book.with_trade(2, quantity)

    assert (book.pruned, book.streamed, book.sorted) == (3, 0, 1)


def test_a_large_order_is_answered_from_all_scenarios():
    columns = market()
    book = ScenarioBook([columns], np.array([100.0, 50.0, 0.0]), 0.99, 0.99)

    found = book.with_trade(2, 500.0)

    assert found == streamed(book, 2, 500.0)
    assert (book.pruned, book.streamed) == (0, 1)


def test_many_applied_trades_loosen_the_bounds_until_the_worst_are_sorted_again_and_stay_exact():
    columns = market()
    book = ScenarioBook([columns], np.array([100.0, 50.0, 0.0]), 0.99, 0.975)
    pnl = total(columns, np.array([100.0, 50.0, 0.0]))
    rng = np.random.default_rng(1)

    for _ in range(200):
        instrument, quantity = int(rng.integers(3)), float(rng.normal(0.0, 2.0))
        pnl = pnl + quantity * columns[instrument]
        assert book.with_trade(instrument, quantity).var == full_sort(pnl, 0.99, 0.975).var
        book.apply(instrument, quantity)

    assert_same(book.measure(), full_sort(pnl, 0.99, 0.975), 100.0)
    assert 1 < book.sorted < 60
    assert book.pruned > 100


@settings(deadline=None, max_examples=40)
@given(edges=st.lists(st.integers(0, 600), max_size=5), quantity=st.floats(-300.0, 300.0))
def test_any_cut_into_shards_gives_the_same_bits(edges: list[int], quantity: float):
    columns = np.random.default_rng(3).normal(size=(2, 600))
    held = np.array([10.0, -4.0])
    whole = ScenarioBook([columns], held, 0.95, 0.9)
    parts = ScenarioBook(cut(columns, sorted(edges)), held, 0.95, 0.9)

    for book in (whole, parts):
        book.apply(0, 0.25)

    assert parts.measure() == whole.measure()
    assert parts.with_trade(1, quantity) == whole.with_trade(1, quantity)
    assert parts.position(1, quantity) == whole.position(1, quantity)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    quantity=st.floats(-100.0, 100.0),
    scale=st.sampled_from([0.5, 2.0, 64.0]),
    shift=st.integers(-50, 50),
)
def test_var_and_es_are_homogeneous_translation_invariant_and_es_is_at_least_var_and_subadditive(
    seed: int, quantity: float, scale: float, shift: int
):
    columns = np.random.default_rng(seed).integers(-9, 9, (3, 200)).astype(np.float64)
    columns[2] = 1.0  # cash
    held = np.array([3.0, 0.0, 0.0])
    book = ScenarioBook([columns], held, 0.95, 0.95)

    found = book.with_trade(1, quantity)

    assert found.es >= found.var
    alone, held_only = book.position(1, quantity), book.measure()
    assert found.es <= alone.es + held_only.es + 1e-9
    shifted = book.with_trade(2, float(shift))
    assert shifted.var == held_only.var - shift
    assert shifted.es == pytest.approx(held_only.es - shift, abs=1e-12)
    larger = ScenarioBook([columns], held * scale, 0.95, 0.95).with_trade(1, quantity * scale)
    assert larger.var == scale * found.var
    assert larger.es == pytest.approx(scale * found.es, rel=1e-12, abs=1e-9)


def test_a_position_alone_is_its_column_times_its_quantity():
    columns = market(500)
    book = ScenarioBook(cut(columns, [100]), np.zeros(3), 0.99, 0.975)

    for quantity in (7.5, -0.3):
        expected = full_sort(quantity * columns[1], 0.99, 0.975)
        assert_same(book.position(1, quantity), expected, 10.0)
    assert book.position(1, 0.0) == VarEs(0.0, 0.0)


def test_an_empty_book_has_no_risk_and_a_trade_of_it_is_the_position():
    book = ScenarioBook([market(500)], np.zeros(3), 0.99, 0.975)

    assert book.measure() == VarEs(0.0, 0.0)
    assert book.with_trade(0, -2.0).var == book.position(0, -2.0).var


def test_what_trades_can_bring_at_most_is_never_less_than_what_they_bring():
    print("seed", SEED)
    rng = np.random.default_rng(SEED)
    tight = 0
    for _ in range(300):
        columns, quantities, size = random_case(rng)
        confidence, es_confidence = rng.uniform(0.5, 1.0 - 2.0 / columns.shape[1], 2).tolist()
        book = ScenarioBook([columns], quantities, confidence, es_confidence)
        trades = size * rng.normal(size=4) * rng.integers(0, 2, 4)
        bound = book.at_most(trades)
        after = full_sort(total(columns, quantities + trades), confidence, es_confidence)
        es_too = full_sort(total(columns, quantities + trades), es_confidence, confidence).es
        assert bound.var >= max(after.var, es_too)
        assert bound.es >= after.es
        tight += bound.es <= after.es * (1 + 1e-6)
    assert tight > 0, "a bound that is never reached would say nothing"


def test_the_bound_of_a_book_without_trades_is_its_es_at_either_confidence():
    columns, held = market(500), np.array([3.0, -1.0, 0.0])
    bound = ScenarioBook([columns], held, 0.99, 0.975).at_most(np.zeros(3))

    assert bound.var == pytest.approx(full_sort(total(columns, held), 0.99, 0.99).es, rel=1e-8)
    assert bound.es == pytest.approx(full_sort(total(columns, held), 0.975, 0.975).es, rel=1e-8)


def test_shards_are_read_only_memory_and_not_copied():
    shard = market(500)
    shard.flags.writeable = False
    book = ScenarioBook([shard], np.array([1.0, 0.0, 0.0]), 0.99, 0.99)

    book.apply(1, 2.0)
    book.with_trade(2, 1.0)

    assert np.shares_memory(book._columns[1].parts[0], shard)
    with pytest.raises(ValueError, match="read-only"):
        book.pnl[0] = 1.0


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_pnl_that_is_not_finite_is_refused_where_it_counts_and_only_there(poison: float):
    columns = market(500)
    columns[1, 499] = poison
    shards = cut(columns, [200])

    with pytest.raises(DataError, match=r"instrument 1 .* found 1 NaN or infinite of 500"):
        ScenarioBook(shards, np.array([1.0, 1e-9, 0.0]), 0.99, 0.99)
    book = ScenarioBook(shards, np.array([1.0, 0.0, 0.0]), 0.99, 0.99)
    before = book.with_trade(2, 0.001)
    for ask in (book.with_trade, book.apply, book.position):
        with pytest.raises(DataError, match=r"instrument 1 .* found 1 NaN or infinite of 500"):
            ask(1, 1.0)
    assert book.with_trade(2, 0.001) == before


@pytest.mark.parametrize("quantity", [np.nan, np.inf, -np.inf, 1e300])
def test_a_quantity_that_is_not_finite_or_too_large_is_refused(quantity: float):
    book = ScenarioBook([market(500)], np.array([1.0, 0.0, 0.0]), 0.99, 0.99)

    for ask in (book.with_trade, book.apply, book.position):
        with pytest.raises(DataError, match="finite quantity and P&L within"):
            ask(1, quantity)
    assert np.isfinite(book.pnl).all()


@pytest.mark.parametrize("quantities", [[np.nan, 1.0, 1.0], [1e300, 0.0, 0.0]])
def test_a_book_of_impossible_quantities_is_refused(quantities: list[float]):
    with pytest.raises(DataError):
        ScenarioBook([market(500)], np.array(quantities), 0.99, 0.99)


@pytest.mark.parametrize("instrument", [-1, 3])
def test_an_instrument_without_scenarios_is_refused(instrument: int):
    book = ScenarioBook([market(500)], np.zeros(3), 0.99, 0.99)

    with pytest.raises(UnknownInstrument, match=f"instrument {instrument} is not one of the 3"):
        book.with_trade(instrument, 1.0)


def test_fewer_scenarios_than_the_tail_needs_are_refused():
    with pytest.raises(InsufficientHistory, match="found 99 scenarios"):
        ScenarioBook([market(99)], np.zeros(3), 0.99, 0.99)
    with pytest.raises(InsufficientHistory, match="found 99 scenarios"):
        ScenarioBook([market(99)], np.zeros(3), 0.9, 0.99)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.1, np.nan])
def test_a_confidence_that_is_none_is_refused(confidence: float):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        ScenarioBook([market(500)], np.zeros(3), confidence, 0.99)


@pytest.mark.parametrize(
    "columns",
    [[], [np.zeros((2, 500))], [np.zeros((3, 500), np.float32)], [np.zeros((500, 3)).T]],
    ids=["nothing", "other instruments", "single precision", "strided rows"],
)
def test_shards_of_the_wrong_shape_or_kind_are_refused(columns: list[Array]):
    with pytest.raises(ValueError, match="need"):
        ScenarioBook(columns, np.zeros(3), 0.99, 0.99)
