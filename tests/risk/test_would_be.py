"""The book as it would be: all filled, and the worst that may fill."""

from decimal import Decimal

import numpy as np
import pytest
from contracts_of import NOW, closes, option, settings, share
from numpy.typing import NDArray

from firm.domain.order import Side
from firm.events.orders import Approved, OrderFilled, Proposed
from firm.events.risk import BookMarked
from firm.risk.book import Book
from firm.risk.measures import Measures, MovingBook
from firm.risk.measuring import Measurer
from firm.risk.parametric import parametric_var
from firm.risk.would_be import WouldBe
from firm.risk_kernels.montecarlo import columns_from_returns

D, BUY, SELL = Decimal, Side.BUY, Side.SELL
UNIVERSE = share(0, "KO"), share(1, "XOM"), share(2, "PEP"), option(3, 1, "100", "P")
PRICES = [60.0, 100.0, 180.0, 8.0]
HELD = {0: D(100), 1: D(-40), 3: D(2)}
SEED = 3


def moving(measures: Measures) -> tuple[MovingBook, NDArray[np.float64]]:
    """A thousand scenarios, and the P&L of one unit of each in them."""
    returns = np.zeros((4, 1000))
    returns[:3] = np.random.default_rng(SEED).normal(0.0, 0.02, (3, 1000))
    columns = columns_from_returns(returns, measures.contracts)
    return MovingBook(lambda: [columns], 0.99, 0.975), columns


def book(*approved: tuple[int, Side, int]) -> tuple[Book, NDArray[np.float64]]:
    conf = settings()
    measurer = Measurer(conf.risk, conf.universe.reference)
    measurer.resolve(UNIVERSE)
    measures = measurer.measures(NOW, np.array(PRICES), closes(PRICES))
    assert isinstance(measures, Measures)
    simulated, columns = moving(measures)
    zero = D(0)
    prices = tuple(D(str(price)) for price in PRICES)
    held = tuple(HELD.get(i, zero) for i in range(4))
    mark = BookMarked(zero, D(50_000), zero, zero, zero, zero, zero, held, prices)
    made = Book(UNIVERSE, dict(HELD), mark=mark, measures=measures, simulated=simulated)
    for seq, (instrument, side, quantity) in enumerate(approved):
        made.approve(seq, Approved(instrument, side, D(quantity), prices[instrument]))
    return made, columns


def would(made: Book, instrument: int, side: Side, quantity: int, bars: int = 1) -> WouldBe:
    order = Proposed(instrument, side, D(quantity), D(100))
    return WouldBe(made, order, 0.99, 0.975, bars)


def sorted_figures(columns: NDArray[np.float64], quantities: list[float]) -> tuple[float, float]:
    """VaR at 99 % and ES at 97.5 % of a full sort of a thousand scenarios."""
    losses = np.sort(-(np.array(quantities) @ columns))[::-1]
    return float(losses[10]), float(losses[:25].mean())


def test_filled_is_held_and_approved_and_ordered():
    made, _ = book((0, SELL, 30), (2, BUY, 10), (0, BUY, 5))
    asked = would(made, 0, SELL, 20)

    assert asked.expected.tolist() == [75.0, -40.0, 10.0, 2.0]
    assert asked.trade == -20.0
    assert asked.quantities.tolist() == [55.0, -40.0, 10.0, 2.0]
    assert asked.exposures[:3].tolist() == [3300.0, -4000.0, 1800.0]
    assert asked.equity == 50_000.0


def test_the_bounds_are_the_worst_of_whatever_fills_either_way():
    made, _ = book((0, SELL, 30), (2, BUY, 10), (0, BUY, 5))
    low, high = would(made, 0, SELL, 20).bounds

    assert low[:3].tolist() == [50 * 60.0, -4000.0, 0.0]
    assert high[:3].tolist() == [105 * 60.0, -4000.0, 1800.0]


def test_the_bounds_of_a_put_turn_with_its_negative_delta():
    made, _ = book((3, BUY, 3))
    low, high = would(made, 3, SELL, 1).bounds
    assert made.measures is not None
    delta = made.measures.deltas[3]

    assert delta < 0
    assert (low[3], high[3]) == (5 * delta, 1 * delta)


def test_all_filled_is_always_within_the_bounds():
    made, _ = book((0, SELL, 300), (1, BUY, 90), (3, SELL, 9), (2, SELL, 4), (2, BUY, 6))
    for instrument in range(4):
        for side in (BUY, SELL):
            asked = would(made, instrument, side, 25)
            low, high = asked.bounds
            assert (low <= asked.exposures).all()
            assert (asked.exposures <= high).all()


def test_the_position_counts_the_orders_of_its_own_side_alone():
    made, _ = book((0, SELL, 30), (0, BUY, 5))

    assert would(made, 0, SELL, 20).position == 50.0
    assert would(made, 0, BUY, 20).position == 125.0


def test_what_was_filled_has_become_a_position_and_is_not_counted_twice():
    made, _ = book((0, BUY, 50))
    made.submitted(900, 0)
    made.filled(OrderFilled(900, "e1", 1, 0, BUY, D(20), D(60), "SIM"))
    made.held[0] += 20

    assert would(made, 0, BUY, 0).expected[0] == 150.0


@pytest.mark.parametrize(
    ("instrument", "side", "quantity"),
    [(0, BUY, 20), (1, SELL, 60), (3, BUY, 5), (2, SELL, 1), (3, SELL, 40)],
)
def test_simulated_figures_are_those_of_a_full_sort_of_the_book_all_filled(
    instrument: int, side: Side, quantity: int
):
    print(f"seed {SEED}")
    made, columns = book((0, SELL, 30), (2, BUY, 10))
    asked = would(made, instrument, side, quantity)

    expected = sorted_figures(columns, asked.quantities.tolist())

    assert (asked.losses.simulated.var, asked.losses.simulated.es) == pytest.approx(expected, rel=1e-12)


def test_a_sequence_of_orders_is_measured_as_if_each_book_were_new():
    made, columns = book()
    dice = np.random.default_rng(SEED)
    for seq in range(40):
        instrument, quantity = int(dice.integers(4)), int(dice.integers(1, 60))
        side = BUY if dice.random() < 0.5 else SELL
        asked = would(made, instrument, side, quantity)
        expected = sorted_figures(columns, asked.quantities.tolist())
        assert (asked.losses.simulated.var, asked.losses.simulated.es) == pytest.approx(expected, rel=1e-9)
        if dice.random() < 0.6:
            made.approve(100 + seq, asked.order)


def test_the_past_is_scaled_to_the_horizon():
    made, _ = book()
    one, four = (would(made, 0, BUY, 20, bars=bars).losses.historical for bars in (1, 4))

    assert four.var == pytest.approx(2 * one.var)
    assert four.es == pytest.approx(2 * one.es)


def test_the_parametric_figures_count_an_option_with_its_underlying():
    made, _ = book()
    asked = would(made, 3, BUY, 3)
    assert made.measures is not None
    put = 5 * made.measures.deltas[3]

    assert asked.factor_exposures.tolist() == pytest.approx([6000.0, -4000.0 + put, 0.0, 0.0])
    covariance = made.measures.history.covariance
    assert asked.losses.parametric.var == parametric_var(covariance, asked.factor_exposures, 0.99).var
    assert asked.losses.parametric.es == parametric_var(covariance, asked.factor_exposures, 0.975).es


@pytest.mark.parametrize(("instrument", "side"), [(0, BUY), (1, SELL), (3, BUY), (3, SELL)])
def test_a_position_alone_is_as_bad_as_its_worst_method(instrument: int, side: Side):
    made, columns = book((0, SELL, 30))
    asked = would(made, instrument, side, 30)
    assert made.measures is not None
    units = np.zeros(4)
    units[instrument] = asked.position
    driver = int(made.measures.contracts["factor"][instrument])
    variance = made.measures.history.covariance[driver, driver]
    normal = 2.3263478740408408 * abs(asked.position * made.measures.deltas[instrument]) * variance**0.5
    past = -np.sort(made.measures.historical.at(units).pnl)[3]

    drawn, _ = sorted_figures(columns, units.tolist())

    assert asked.losses.alone == pytest.approx(max(drawn, past, normal), rel=1e-9)


def test_the_cheap_bounds_are_never_below_the_exact_figures():
    print(f"seed {SEED}")
    made, _ = book()
    dice = np.random.default_rng(SEED)
    for seq in range(40):
        instrument, quantity = int(dice.integers(4)), int(dice.integers(1, 60))
        side = BUY if dice.random() < 0.5 else SELL
        for fills in (True, False):
            order = Proposed(instrument, side, D(quantity), D(100))
            asked = WouldBe(made, order, 0.99, 0.975, 4, approved_fill=fills)
            for method in ("simulated", "historical", "parametric"):
                exact, bound = getattr(asked.losses, method), getattr(asked.losses, f"{method}_at_most")
                assert exact.var <= bound.var
                assert exact.es <= bound.es
        if dice.random() < 0.6:
            made.approve(100 + seq, asked.order)


def test_the_worst_stress_is_that_of_the_book_all_filled():
    made, _ = book()
    long, short = would(made, 2, BUY, 500).losses.stress, would(made, 2, SELL, 500).losses.stress
    assert made.measures is not None
    losses = made.measures.unit_stress @ np.array([100.0, -40.0, 500.0, 2.0])

    assert long[1] == pytest.approx(losses.max())
    assert long[0] == made.measures.stress.scenarios[int(losses.argmax())].name
    assert short[0] != long[0]
