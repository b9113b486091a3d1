from decimal import Decimal
from fractions import Fraction

import pytest
from desk import BUY, DECIDE, SELL, TIMER, d, filled, instrument, quote, resolved
from hypothesis import given, note
from hypothesis import strategies as st
from telling import START, tell

from firm.agents.bookkeeper import Bookkeeper
from firm.domain.order import Side
from firm.events.orders import CommissionReported, OrderFilled
from firm.events.risk import BookMarked, PositionChanged
from firm.events.system import BrokerConnected, Reconciled

STOCKS = resolved(instrument(0, "KO"), instrument(1, "PEP"), instrument(2, "ES", multiplier=50))
CONNECTED = BrokerConnected("DU1", d(100_000))


MINUTE_MS = 60_000


def test_a_fill_becomes_a_position_and_cash():
    said = tell(Bookkeeper(MINUTE_MS), STOCKS, CONNECTED, filled(7, "a", BUY, 10, "50.25"))

    assert said == [PositionChanged(0, d(10), d("50.25"), d(0), d("99497.50"))]


def test_closing_half_realises_its_profit_and_crossing_zero_starts_at_the_new_price():
    said = tell(
        Bookkeeper(MINUTE_MS),
        STOCKS,
        CONNECTED,
        filled(7, "a", BUY, 10, 50),
        filled(8, "b", SELL, 5, 60),
        filled(9, "c", SELL, 15, 40),
    )

    assert said[1] == PositionChanged(0, d(5), d(50), d(50), d(99_800))
    assert said[2] == PositionChanged(0, d(-10), d(40), d(0), d(100_400))


def test_the_same_execution_heard_twice_counts_once():
    keeper = Bookkeeper(MINUTE_MS)
    tell(keeper, STOCKS, CONNECTED, filled(7, "a", BUY, 10, 50))

    assert tell(keeper, filled(7, "a", BUY, 10, 50), first=4) == []


def test_a_higher_revision_replaces_the_former_and_what_came_after_is_worked_out_anew():
    said = tell(
        Bookkeeper(MINUTE_MS),
        STOCKS,
        CONNECTED,
        filled(7, "a", BUY, 10, 50),
        filled(8, "b", SELL, 10, 60),
        filled(7, "a", BUY, 10, 55, revision=2),
    )

    assert said[1] == PositionChanged(0, d(0), d(0), d(100), d(100_100))
    assert said[2] == PositionChanged(0, d(0), d(0), d(50), d(100_050))


def test_a_revision_that_comes_before_its_original_stays():
    keeper = Bookkeeper(MINUTE_MS)
    tell(keeper, STOCKS, CONNECTED, filled(7, "a", BUY, 8, 50, revision=2))

    assert tell(keeper, filled(7, "a", BUY, 10, 50, revision=1), first=4) == []


def test_a_correction_to_nothing_takes_the_fill_back():
    said = tell(
        Bookkeeper(MINUTE_MS),
        STOCKS,
        CONNECTED,
        filled(7, "a", BUY, 10, 50),
        filled(7, "a", BUY, 0, 50, revision=2),
    )

    assert said[-1] == PositionChanged(0, d(0), d(0), d(0), d(100_000))


def test_a_correction_that_moves_the_fill_to_another_instrument_changes_both():
    said = tell(
        Bookkeeper(MINUTE_MS),
        STOCKS,
        CONNECTED,
        filled(7, "a", BUY, 10, 50),
        filled(7, "a", BUY, 10, 50, revision=2, instrument=1),
    )

    assert said[1:] == [
        PositionChanged(0, d(0), d(0), d(0), d(99_500)),
        PositionChanged(1, d(10), d(50), d(0), d(99_500)),
    ]


def test_a_fee_counts_once_before_or_after_its_fill_and_shows_in_the_next_statement():
    fee = CommissionReported("a", d("0.35"))
    before = tell(Bookkeeper(MINUTE_MS), STOCKS, CONNECTED, fee, fee, filled(7, "a", BUY, 1, 100))
    after = tell(
        Bookkeeper(MINUTE_MS),
        STOCKS,
        CONNECTED,
        filled(7, "a", BUY, 1, 100),
        fee,
        fee,
        quote((0, 99, 101)),
        DECIDE,
    )

    assert before == [PositionChanged(0, d(1), d(100), d(0), d("99899.65"))]
    assert after[1].cash == d("99899.65")
    assert after[1].commissions == d("0.35")


def test_a_decision_marks_the_book_at_the_mids_with_multipliers():
    said = tell(
        Bookkeeper(MINUTE_MS),
        STOCKS,
        CONNECTED,
        quote((0, 59.99, 60.01), (2, 99.0, 101.0)),
        filled(7, "a", BUY, 10, 50),
        filled(8, "b", SELL, 2, 102, instrument=2),
        CommissionReported("a", d(1)),
        DECIDE,
    )

    cash = d(100_000) - 500 + 2 * 102 * 50 - 1
    assert said[-1] == BookMarked(
        cash=cash,
        equity=cash + 600 - 10_000,
        gross_exposure=d(10_600),
        net_exposure=d(-9_400),
        realized_pnl=d(0),
        unrealized_pnl=d(100 + 200),
        commissions=d(1),
        quantities=(d(10), d(0), d(-2)),
        prices=(d(60), d(0), d(100)),
    )


def test_a_corrected_fee_replaces_the_former():
    fees = [CommissionReported("a", d("1.00")), CommissionReported("a", d("0.60"))]
    said = tell(Bookkeeper(MINUTE_MS), STOCKS, CONNECTED, *fees, filled(7, "a", BUY, 1, 100))

    assert said[0].cash == CONNECTED.cash - d("100.60")


def test_a_position_whose_quote_is_too_old_is_not_marked():
    opening = [STOCKS, CONNECTED, filled(7, "a", BUY, 1, 100)]
    at = START
    fresh = [(at, quote((0, 99, 101))), (at + MINUTE_MS * 1_000_000, DECIDE)]
    stale = [(at, quote((0, 99, 101))), (at + MINUTE_MS * 1_000_000 + 1, DECIDE)]

    assert len(tell(Bookkeeper(MINUTE_MS), *opening, *fresh)) == 2
    assert len(tell(Bookkeeper(MINUTE_MS), *opening, *stale)) == 1


def test_a_mid_has_the_digits_of_the_feed_and_no_others():
    said = tell(Bookkeeper(MINUTE_MS), STOCKS, CONNECTED, quote((0, 0.1, 0.2)), DECIDE)

    assert said[-1].prices[0] == d("0.15")


def test_a_book_with_a_position_nobody_prices_is_not_marked():
    keeper = Bookkeeper(MINUTE_MS)
    tell(keeper, STOCKS, CONNECTED, filled(7, "a", BUY, 10, 50), quote((1, 9, 11)))

    assert tell(keeper, DECIDE, first=5) == []


def test_a_position_in_another_currency_is_not_marked_for_want_of_a_rate():
    foreign = resolved(instrument(0, "SAP", currency="EUR"))

    assert (
        tell(Bookkeeper(MINUTE_MS), foreign, CONNECTED, quote((0, 9, 11)), filled(1, "a", BUY, 1), DECIDE)[1:]
        == []
    )


def test_without_cash_or_instruments_there_is_nothing_to_mark_and_a_timer_marks_nothing():
    assert tell(Bookkeeper(MINUTE_MS), STOCKS, quote((0, 9, 11)), DECIDE) == []
    assert tell(Bookkeeper(MINUTE_MS), CONNECTED, DECIDE) == []
    assert tell(Bookkeeper(MINUTE_MS), STOCKS, CONNECTED, TIMER) == []


def test_a_report_before_the_broker_has_said_what_cash_there_is_is_a_bug():
    with pytest.raises(AssertionError, match="before it said what cash"):
        tell(Bookkeeper(MINUTE_MS), STOCKS, filled(7, "a", BUY, 1))


def test_reconnecting_does_not_reset_the_cash():
    said = tell(
        Bookkeeper(MINUTE_MS),
        STOCKS,
        CONNECTED,
        filled(7, "a", BUY, 10, 50),
        BrokerConnected("DU1", d(7)),
        filled(8, "b", BUY, 10, 50),
    )

    assert said[-1].cash == d(99_000)


def test_positions_held_before_the_run_are_taken_over_at_the_mid():
    said = tell(
        Bookkeeper(MINUTE_MS),
        STOCKS,
        CONNECTED,
        quote((0, 59, 61)),
        Reconciled(((0, d(10)), (1, d(0))), d(0), ()),
        DECIDE,
    )

    assert said[0] == PositionChanged(0, d(10), d(60), d(0), d(100_000))
    assert (said[1].equity, said[1].unrealized_pnl) == (d(100_600), d(0))


def test_a_position_taken_over_without_a_quote_costs_the_first_mid_heard_after():
    said = tell(
        Bookkeeper(MINUTE_MS),
        STOCKS,
        CONNECTED,
        Reconciled(((0, d(10)),), d(0), ()),
        filled(7, "a", SELL, 4, 65),
        quote((1, 1, 2)),
        quote((0, 59, 61)),
        quote((0, 69, 71)),
        filled(8, "b", SELL, 1, 62),
    )

    assert said[-1] == PositionChanged(0, d(5), d(60), d(4 * 5 + 2), d(100_322))


def test_only_the_first_reconciliation_hands_over_positions_and_own_fills_stand():
    said = tell(
        Bookkeeper(MINUTE_MS),
        STOCKS,
        CONNECTED,
        filled(7, "a", BUY, 10, 50),
        Reconciled(((0, d(10)), (1, d(3))), d(0), ()),
        Reconciled(((0, d(99)), (1, d(99))), d(0), ("position",)),
    )

    assert [(change.instrument, change.quantity) for change in said] == [(0, d(10)), (1, d(3))]


class NaiveBooks:
    """Average cost in fractions, from nothing, each time it is asked."""

    def __init__(self, fills: list[OrderFilled], fees: dict[str, Decimal], cash: Decimal) -> None:
        best: dict[str, OrderFilled] = {}
        for fill in fills:
            if fill.exec_id not in best or fill.revision > best[fill.exec_id].revision:
                best[fill.exec_id] = fill
        self.cash = Fraction(cash) - sum(Fraction(fee) for fee in fees.values())
        self.quantity = dict.fromkeys(range(3), Fraction(0))
        self.cost = dict.fromkeys(range(3), Fraction(0))
        self.realized = dict.fromkeys(range(3), Fraction(0))
        for fill in best.values():
            self._enter(fill, 50 if fill.instrument == 2 else 1)

    def _enter(self, fill: OrderFilled, multiplier: int) -> None:
        i, price = fill.instrument, Fraction(fill.price)
        signed = Fraction(fill.quantity) * fill.side.sign
        self.cash -= signed * price * multiplier
        for _ in range(abs(int(signed))):
            unit = 1 if signed > 0 else -1
            held = self.quantity[i]
            if held * unit >= 0:
                self.cost[i] = (self.cost[i] * abs(held) + price) / (abs(held) + 1)
            else:
                self.realized[i] += (price - self.cost[i]) * (1 if held > 0 else -1) * multiplier
            self.quantity[i] = held + unit


fills = st.builds(
    OrderFilled,
    child_seq=st.integers(1, 9),
    exec_id=st.sampled_from("abcdef"),
    revision=st.integers(1, 3),
    instrument=st.integers(0, 2),
    side=st.sampled_from(Side),
    quantity=st.integers(0, 12).map(Decimal),
    price=st.decimals(1, 200, places=2),
    venue=st.just("XNYS"),
)
fees = st.builds(CommissionReported, st.sampled_from("abcdef"), st.decimals(-1, 5, places=2))


@given(st.lists(fills | fees, max_size=25))
def test_the_books_equal_a_naive_model_under_any_mix_of_fills_duplicates_revisions_and_fees(
    reports: list[OrderFilled | CommissionReported],
):
    keeper = Bookkeeper(MINUTE_MS)
    tell(keeper, STOCKS, CONNECTED, quote((0, 100, 100), (1, 100, 100), (2, 100, 100)))
    tell(keeper, *reports, first=4)
    (marked,) = tell(keeper, DECIDE, first=100)
    heard_fees: dict[str, Decimal] = {}
    for report in reports:
        if isinstance(report, CommissionReported):
            heard_fees[report.exec_id] = report.commission
    model = NaiveBooks([r for r in reports if isinstance(r, OrderFilled)], heard_fees, d(100_000))
    note(str(model.__dict__))

    close = pytest.approx
    assert Fraction(marked.cash) == model.cash
    assert [Fraction(q) for q in marked.quantities] == list(model.quantity.values())
    assert float(marked.realized_pnl) == close(float(sum(model.realized.values())), abs=1e-9)
    assert marked.equity == marked.cash + marked.net_exposure
    total = marked.realized_pnl + marked.unrealized_pnl - marked.commissions
    assert marked.equity - 100_000 == close(total, abs=Decimal("1e-15"))
