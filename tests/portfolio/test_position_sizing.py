from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firm.domain.instrument import Instrument
from firm.portfolio.position_sizing import (
    capped,
    change_of_position,
    exposure_scale,
    reduced_only,
    target_quantity,
)

weights = st.floats(-1, 1)
convictions = st.lists(st.floats(-1, 1), max_size=12)
quantities = st.decimals(-10_000, 10_000, places=2)
equities = st.decimals("0.01", 10_000_000, places=2)
prices = st.decimals("0.01", 5_000, places=2)


def contract(lot: str = "1", multiplier: str = "1"):
    return Instrument(0, "A", 1, "STK", "SMART", "USD", Decimal(multiplier), Decimal("0.01"), Decimal(lot))


contracts = st.builds(
    contract, st.sampled_from(["0.01", "0.5", "1", "100"]), st.sampled_from(["0.1", "1", "50"])
)


def test_conviction_below_the_target_is_not_levered_up():
    assert exposure_scale([0.2, -0.3], [], 0.0, 1.2) == 1.0


def test_conviction_above_the_target_is_scaled_to_it():
    assert exposure_scale([1.0, -1.0, 0.5], [], 0.0, 1.0) == pytest.approx(0.4)


def test_what_is_left_alone_keeps_its_share():
    assert exposure_scale([1.0], [1.0, -1.0, 0.0], 0.1, 0.9) == pytest.approx(0.3)


def test_what_the_others_hold_is_no_longer_there_to_be_given():
    assert exposure_scale([1.0, 1.0], [0.0], 0.8, 1.0) == pytest.approx(0.1)
    assert exposure_scale([1.0, 1.0], [0.0], 1.3, 1.0) == 0.0


def test_no_conviction_is_no_exposure():
    assert exposure_scale([0.0, 0.0], [0.4], 0.0, 1.0) == exposure_scale([], [], 0.0, 1.0) == 0.0


@given(convictions, convictions, st.floats(0, 2), st.floats(0.01, 2))
def test_the_whole_never_exceeds_the_target_and_is_never_levered(
    decided: list[float], alone: list[float], taken: float, target: float
):
    scale = exposure_scale(decided, alone, taken, target)
    gross = scale * sum(abs(c) for c in decided)

    assert 0 <= scale <= 1
    assert gross == 0 or gross + taken <= target * (1 + 1e-12)


@given(convictions, convictions, st.floats(-1, 1), st.floats(0, 2), st.floats(0.01, 2))
def test_leaving_one_more_alone_never_gives_the_others_more(
    decided: list[float], alone: list[float], one: float, taken: float, target: float
):
    before = exposure_scale(decided, alone, taken, target)

    assert exposure_scale(decided, [*alone, one], taken, target) <= before * (1 + 1e-12)


def test_a_weight_is_cut_to_its_cap_on_both_sides():
    assert [capped(w, 0.1) for w in (-0.5, -0.1, 0.05, 0.3)] == [-0.1, -0.1, 0.05, 0.1]


@pytest.mark.parametrize(
    ("weight", "equity", "price", "lot", "multiplier", "quantity"),
    [
        (0.1, "100000", "33.33", "1", "1", "300"),
        (-0.1, "100000", "33.33", "1", "1", "-300"),
        (0.1, "100000", "33.34", "1", "1", "299"),
        (0.1, "100000", "33.33", "100", "1", "300"),
        (0.1, "100000", "33.34", "100", "1", "200"),
        (0.5, "1000000", "4000", "1", "50", "2"),
        (0.5, "100", "4000", "0.01", "1", "0.01"),
        (0.0, "100000", "1", "1", "1", "0"),
        (-0.00001, "1000", "1", "1", "1", "0"),
    ],
)
def test_a_weight_becomes_lots_by_hand(
    weight: float, equity: str, price: str, lot: str, multiplier: str, quantity: str
):
    found = target_quantity(weight, Decimal(equity), Decimal(price), contract(lot, multiplier))

    assert found == Decimal(quantity)
    assert str(found) == str(found + 0)


@given(weights, equities, prices, contracts)
def test_a_target_is_on_the_lot_grid_of_the_right_sign_and_within_its_weight(
    weight: float, equity: Decimal, price: Decimal, instrument: Instrument
):
    quantity = target_quantity(weight, equity, price, instrument)

    assert quantity % instrument.lot_size == 0
    assert abs(quantity) * price * instrument.multiplier <= abs(Decimal(repr(weight))) * equity
    assert quantity == 0 or (quantity > 0) == (weight > 0)


@given(weights, weights, equities, prices, contracts)
def test_more_weight_is_never_less_quantity(
    one: float, other: float, equity: Decimal, price: Decimal, instrument: Instrument
):
    low, high = sorted((one, other))

    assert target_quantity(low, equity, price, instrument) <= target_quantity(high, equity, price, instrument)


@pytest.mark.parametrize(
    ("equity", "price", "needs"), [("0", "1", "equity, found 0"), ("1", "0", "price, found 0")]
)
def test_sizing_without_equity_or_price_is_a_bug(equity: str, price: str, needs: str):
    with pytest.raises(AssertionError, match=f"needs .*{needs}"):
        target_quantity(0.1, Decimal(equity), Decimal(price), contract())


@given(quantities, quantities)
def test_only_reducing_never_enlarges_nor_flips(held: Decimal, wanted: Decimal):
    after = reduced_only(held, wanted)

    assert abs(after) <= abs(held)
    assert after * held >= 0
    assert after == wanted or (after in (0, held))
    assert reduced_only(held, after) == after


@given(quantities, quantities, contracts)
def test_a_change_is_on_the_grid_and_never_goes_beyond_what_is_wanted(
    held: Decimal, wanted: Decimal, instrument: Instrument
):
    change = change_of_position(held, wanted, instrument)

    assert change % instrument.lot_size == 0
    assert abs(change) <= abs(wanted - held) < abs(change) + instrument.lot_size
    assert change * (wanted - held) >= 0
