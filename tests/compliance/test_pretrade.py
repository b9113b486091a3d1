from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firm.compliance.pretrade import (
    Facts,
    Halted,
    MaxOrderQuantity,
    MaxOrderValue,
    OrderSanity,
    PriceCollar,
    Restricted,
    bounds,
    rules,
)
from firm.config import Compliance, Restriction
from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.events.orders import Approved

D = Decimal
MS = 1_000_000
KO = Instrument(0, "KO", 1000, "STK", "XNYS", "USD", D(1), D("0.01"), D(1))
FUTURE = Instrument(1, "ES", 1001, "FUT", "XCME", "USD", D(50), D("0.25"), D(1))
FOREIGN = Instrument(2, "SAP", 1002, "STK", "XETR", "EUR", D(1), D("0.01"), D("0.5"))
POLICY = Compliance(
    restricted=(Restriction(symbol="SAP", reason="insider list"),),
    price_collar=0.03,
    max_order_value_usd=D(150_000),
    max_order_quantity=D(20_000),
    max_quote_age_ms=1000,
    cleared_for_ms=5000,
)


def facts(**changes: Any):
    content = {
        "at": 2_000 * MS,
        "instruments": (KO, FUTURE, FOREIGN),
        "mid": D(100),
        "quoted_at": 2_000 * MS,
        "halted": None,
        "restricted": {},
    }
    return Facts(**{**content, **changes})


def order(quantity: str = "10", price: str = "100", instrument: int = 0, side: object = Side.BUY):
    return Approved(instrument, side, D(quantity), D(price))


def test_a_well_formed_order_passes_every_rule():
    assert [rule.objection(order(), facts()) for rule in rules(POLICY)] == [None] * 6


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (order(instrument=3), "order sanity: instrument 3 is not one of the 3 resolved"),
        (order(instrument=-1), "order sanity: instrument -1 is not one of the 3 resolved"),
        (order(side="BUY"), "order sanity: side must be BUY or SELL, found 'BUY'"),
        (order(side="HOLD"), "order sanity: side must be BUY or SELL, found 'HOLD'"),
        (order("0"), "quantity must be a positive decimal between 1e-12 and 1e13, found Decimal('0')"),
        (order("-1"), "found Decimal('-1')"),
        (order("NaN"), "found Decimal('NaN')"),
        (order("sNaN"), "found Decimal('sNaN')"),
        (order("Infinity"), "found Decimal('Infinity')"),
        (order("1E+13"), "found Decimal('1E+13')"),
        (order("9E-13"), "found Decimal('9E-13')"),
        (order("1.5"), "order sanity: quantity 1.5 is not a multiple of the lot 1"),
        (order(price="100.005"), "order sanity: reference price 100.005 is not a multiple of the tick 0.01"),
        (order(price="NaN"), "reference price must be a positive decimal"),
        (
            Approved(0, Side.BUY, 10.0, D(100)),
            "quantity must be a positive decimal between 1e-12 and 1e13, found 10.0",
        ),
    ],
)
def test_an_order_that_is_not_well_formed_is_refused_with_what_was_found(wrong: Approved, reason: str):
    assert reason in OrderSanity().objection(wrong, facts())


def test_the_grids_are_those_of_the_instrument():
    assert OrderSanity().objection(order("0.5", instrument=2), facts()) is None
    assert OrderSanity().objection(order(price="100.25", instrument=1), facts()) is None
    assert OrderSanity().objection(order(price="100.1", instrument=1), facts()) is not None


def test_nothing_passes_during_a_halt():
    assert Halted().objection(order(), facts(halted="drawdown")) == "trading is halted: drawdown"
    assert Halted().objection(order(), facts()) is None


def test_a_restricted_symbol_is_refused_in_both_directions():
    listed = facts(restricted={"KO": "insider list"})

    reasons = {Restricted().objection(order(side=side), listed) for side in Side}

    assert reasons == {"restricted list: KO may not be traded: insider list"}
    assert Restricted().objection(order(instrument=1), listed) is None


def test_the_largest_quantity_passes_and_one_more_does_not():
    rule = MaxOrderQuantity(D(20_000))

    assert rule.objection(order("20000"), facts()) is None
    assert rule.objection(order("20001"), facts()) == "order quantity: 20001 units, limit is 20000"


def test_the_largest_value_passes_and_one_cent_more_does_not():
    rule = MaxOrderValue(D(150_000))

    assert rule.objection(order("1500", "100.00"), facts()) is None
    assert (
        rule.objection(order("1500", "100.01"), facts()) == "order value: 150015.00 USD, limit is 150000 USD"
    )


def test_the_value_counts_the_multiplier_and_needs_a_known_currency():
    rule = MaxOrderValue(D(150_000))

    assert rule.objection(order("30", "100", instrument=1), facts()) is None
    assert "155000" in rule.objection(order("31", "100", instrument=1), facts())
    assert (
        rule.objection(order(instrument=2), facts())
        == "order value: the limit is in USD, SAP is in EUR and there is no conversion rate"
    )


@pytest.mark.parametrize(("passes", "refused"), [("103.00", "103.01"), ("97.00", "96.99")])
def test_a_price_at_the_collar_passes_and_one_tick_beyond_does_not(passes: str, refused: str):
    rule = PriceCollar(D("0.03"), 1000)

    assert rule.objection(order(price=passes), facts()) is None
    assert (
        rule.objection(order(price=refused), facts())
        == f"price collar: reference price {refused} is 0.0301 away from the mid 100, limit is 0.03"
    )


def test_a_quote_of_the_greatest_age_passes_and_a_nanosecond_more_does_not():
    rule = PriceCollar(D("0.03"), 1000)

    assert rule.objection(order(), facts(quoted_at=1_000 * MS)) is None
    assert (
        rule.objection(order(), facts(quoted_at=1_000 * MS - 1))
        == "price collar: the quote of KO is 1000 ms old, limit is 1000 ms"
    )


def test_an_instrument_without_a_quote_has_no_collar_and_is_refused():
    assert (
        PriceCollar(D("0.03"), 1000).objection(order(), facts(mid=None, quoted_at=None))
        == "price collar: KO was never quoted, so its price cannot be checked"
    )


def test_a_collar_without_a_tick_in_it_is_refused():
    cheap = facts(mid=D("0.01"))
    odd = Instrument(0, "KO", 1, "STK", "XNYS", "USD", D(1), D("0.03"), D(1))

    assert PriceCollar(D("0.03"), 1000).objection(order(price="0.01"), cheap) is None
    assert (
        PriceCollar(D("0.01"), 1000).objection(order(price="0.01"), facts(mid=D("0.01"), instruments=(odd,)))
        == "price collar: no tick lies within 0.01 of 0.01"
    )


def test_bounds_are_rounded_inward_and_stay_above_zero():
    assert bounds(D("33.33"), D("0.03"), D("0.01")) == (D("32.34"), D("34.32"))
    assert bounds(D("100"), D("0.03"), D("0.01")) == (D("97.00"), D("103.00"))
    assert bounds(D("0.02"), D(1), D("0.01")) == (D("0.01"), D("0.04"))


anything = st.decimals(allow_nan=True, allow_infinity=True) | st.decimals(-5, 30_000, places=2)
wild = st.builds(
    Approved,
    instrument=st.integers(-2, 4),
    side=st.sampled_from([Side.BUY, Side.SELL, "BUY", ""]),
    quantity=anything | st.integers(1, 30_000).map(D),
    reference_price=anything | st.decimals(95, 105, places=2),
)


@given(wild)
@settings(max_examples=10_000, deadline=None)
@example(order("1E+999999"))
@example(order("1E-999999"))
@example(order("123456789012.123456789012345678901234567890123456789"))
def test_ten_thousand_random_orders_never_crash_the_rules_and_none_that_is_wrong_passes(
    random_order: Approved,
):
    known = facts(restricted={"SAP": "insider list"})
    first = next((r for rule in rules(POLICY) if (r := rule.objection(random_order, known))), None)

    if first is None:
        assert random_order.instrument in {0, 1}
        assert random_order.side in tuple(Side)
        assert random_order.quantity == int(random_order.quantity)
        assert 1 <= random_order.quantity <= 20_000
        assert 97 <= random_order.reference_price <= 103
        value = random_order.quantity * random_order.reference_price
        assert value * (1, 50)[random_order.instrument] <= 150_000
