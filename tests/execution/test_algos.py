from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firm.config import Execution
from firm.domain.instrument import Instrument
from firm.domain.order import OrderType, Side, TimeInForce
from firm.domain.session import Sessions
from firm.events.orders import Child, Cleared
from firm.execution.algos import OPENING_PAUSE_NS, Limit, Market, Slice, Twap, Window, algo, cut, window

D = Decimal
MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
OPEN, CLOSE = 24 * HOUR, 24 * HOUR + 390 * MINUTE
SESSIONS = Sessions((OPEN, 48 * HOUR), (CLOSE, 48 * HOUR + 210 * MINUTE))
KO = Instrument(0, "KO", 1000, "STK", "XNYS", "USD", D(1), D("0.01"), D(1))
ALWAYS = 1000 * HOUR


def order(quantity: str = "100", side: Side = Side.BUY):
    return Cleared(0, side, D(quantity), D(100), D(97), D(103), ALWAYS)


def test_the_window_inside_a_session_starts_now_and_ends_at_the_close():
    assert window(SESSIONS, OPEN, ALWAYS) == Window(OPEN, CLOSE, waits=False)
    assert window(SESSIONS, CLOSE - 1, ALWAYS) == Window(CLOSE - 1, CLOSE, waits=False)


def test_the_window_after_a_close_is_the_next_session_behind_its_opening_pause():
    following = Window(48 * HOUR + OPENING_PAUSE_NS, 48 * HOUR + 210 * MINUTE, waits=True)

    assert window(SESSIONS, CLOSE, ALWAYS) == following


def test_the_window_ends_with_the_clearance_and_without_a_session_there_is_none():
    assert window(SESSIONS, OPEN, OPEN + HOUR) == Window(OPEN, OPEN + HOUR + 1, waits=False)
    assert window(SESSIONS, CLOSE, 48 * HOUR + OPENING_PAUSE_NS - 1) is None
    assert window(SESSIONS, 60 * HOUR, ALWAYS) is None


def test_market_and_limit_are_one_slice_at_the_start():
    for way in (Market(), Limit(25.0)):
        assert way.slices(order(), D(1), Window(OPEN, CLOSE, waits=False)) == (Slice(OPEN, D(100)),)


def test_a_twap_inside_a_session_starts_now_and_sums_exactly():
    slices = Twap(4, 3_600_000, 25.0).slices(order("103"), D(1), Window(OPEN, CLOSE, waits=False))

    assert slices == (
        Slice(OPEN, D(26)),
        Slice(OPEN + HOUR, D(26)),
        Slice(OPEN + 2 * HOUR, D(26)),
        Slice(OPEN + 3 * HOUR, D(25)),
    )


def test_a_twap_that_waits_for_the_opening_starts_half_an_interval_after_it():
    slices = Twap(4, 3_600_000, 25.0).slices(order(), D(1), window(SESSIONS, 0, ALWAYS))

    assert [(part.due - OPEN) // MINUTE for part in slices] == [30, 90, 150, 210]


def test_a_twap_on_a_short_day_spreads_over_what_there_is():
    slices = Twap(4, 3_600_000, 25.0).slices(order(), D(1), window(SESSIONS, CLOSE, ALWAYS))

    assert [(part.due - 48 * HOUR) // MINUTE for part in slices] == [30, 75, 120, 165]


def test_a_twap_whose_half_interval_is_inside_the_opening_pause_or_beyond_the_window_starts_after_the_pause():
    short = Twap(2, 1000, 25.0).slices(order(), D(1), window(SESSIONS, 0, ALWAYS))
    long = Twap(2, 30 * 3_600_000, 25.0).slices(order(), D(1), window(SESSIONS, 0, ALWAYS))

    assert short[0].due == long[0].due == OPEN + OPENING_PAUSE_NS


def test_there_are_never_more_slices_than_lots():
    slices = Twap(4, 1000, 25.0).slices(order("20"), D(10), Window(OPEN, CLOSE, waits=False))

    assert [part.quantity for part in slices] == [D(10), D(10)]


def test_an_order_off_the_lot_grid_is_a_bug():
    with pytest.raises(AssertionError, match="on the lot grid; found 15 of lot 10"):
        Twap(4, 1000, 25.0).slices(order("15"), D(10), Window(OPEN, CLOSE, waits=False))


@given(
    lots=st.integers(1, 10_000),
    lot=st.sampled_from([D(1), D("0.5"), D(100)]),
    count=st.integers(1, 50),
    interval_ms=st.integers(1, 10**8),
    start=st.integers(0, CLOSE - 1),
)
def test_slices_sum_to_the_order_on_the_lot_grid_in_order_inside_the_window(
    lots: int, lot: Decimal, count: int, interval_ms: int, start: int
):
    span = window(SESSIONS, start, ALWAYS)
    slices = Twap(count, interval_ms, 25.0).slices(order(str(lots * lot)), lot, span)

    assert sum(part.quantity for part in slices) == lots * lot
    assert all(part.quantity % lot == 0 and part.quantity > 0 for part in slices)
    assert [part.due for part in slices] == sorted(part.due for part in slices)
    assert all(span.start <= part.due < span.end for part in slices)


def test_a_limit_is_the_touch_and_the_slippage_rounded_to_the_better_tick():
    way = Limit(25.0)

    assert way.limit_price(Side.BUY, D(100), D("0.01")) == D("100.25")
    assert way.limit_price(Side.SELL, D(100), D("0.01")) == D("99.75")
    assert way.limit_price(Side.BUY, D("33.33"), D("0.01")) == D("33.41")
    assert way.limit_price(Side.SELL, D("33.33"), D("0.01")) == D("33.25")
    assert Twap(4, 1000, 25.0).limit_price(Side.BUY, D(100), D("0.01")) == D("100.25")


def test_children_are_day_orders_with_the_type_of_their_algo():
    market = cut(Market(), order(), KO, D(5), D(100))
    limit = cut(Limit(25.0), order(), KO, D(5), D(100))

    assert market == Child(0, 1000, Side.BUY, D(5), OrderType.MARKET, None, TimeInForce.DAY)
    assert limit == Child(0, 1000, Side.BUY, D(5), OrderType.LIMIT, D("100.25"), TimeInForce.DAY)
    assert cut(Limit(25.0), order(), KO, D(5), None).limit_price is None


@pytest.mark.parametrize(("name", "kind"), [("market", Market), ("limit", Limit), ("twap", Twap)])
def test_the_configuration_names_the_algo(name: str, kind: type):
    settings = Execution(
        default_algo=name,
        max_slippage_bps=25,
        twap_slices=4,
        twap_interval_ms=1000,
        max_messages_per_cycle=9,
    )

    assert type(algo(settings)) is kind
    assert algo(settings).name == name
