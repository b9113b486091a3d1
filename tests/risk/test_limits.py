from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from firm.config import Risk, Var
from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.events.orders import OrderFilled, Proposed
from firm.events.risk import BookMarked
from firm.risk.book import Book
from firm.risk.factor_model import FactorModel
from firm.risk.history import ReturnHistory
from firm.risk.limits import (
    Breaks,
    BrokerLink,
    History,
    Leverage,
    Limit,
    Marks,
    MonteCarlo,
    OrderShape,
    PortfolioVar,
    PositionVar,
    PositionWeight,
    TradingHalt,
    limits,
)
from firm.risk.var_calculator import VarEs

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
KO = Instrument(0, "KO", 1000, "STK", "XNYS", "USD", D(1), D("0.01"), D(1))
ES = Instrument(1, "ES", 1001, "FUT", "XCME", "USD", D(50), D("0.25"), D(1))
SETTINGS = Risk(
    max_portfolio_var=1000,
    max_position_var=500,
    max_leverage=1.5,
    max_position_weight=0.15,
    max_drawdown=0.2,
    max_daily_loss=0.05,
    var=Var(
        confidence=0.99,
        horizon_bars=1,
        history_bars=500,
        min_history_bars=250,
        factors=1,
        scenarios=192,
        degrees_of_freedom=6,
        seed=1,
        run_timeout_ms=1000,
    ),
)


def mark(equity: str = "100000", prices: tuple[str, str] = ("100", "100")) -> BookMarked:
    zero = D(0)
    money = (zero, D(equity), zero, zero, zero, zero, zero)
    return BookMarked(*money, quantities=(zero, zero), prices=(D(prices[0]), D(prices[1])))


def returns(size: float = 0.01, measured: tuple[bool, bool] = (True, True)) -> ReturnHistory:
    """Both instruments move by +-size together: the VaR of a book is `size` times its net value."""
    count = sum(measured)
    simple = np.tile([[size], [-size]], (50, count))
    return ReturnHistory(
        measured=np.array(measured),
        simple=simple,
        covariance=np.full((count, count), 1e-12),
        model=FactorModel(np.zeros((count, 1)), np.zeros(count)),
        unit_loss=np.array([[0.02] * count, [0.03] * count]),
        confidence=0.99,
        horizon_bars=1,
    )


def book(**changes: Any) -> Book:
    content = {
        "instruments": (KO, ES),
        "mark": mark(),
        "history": returns(),
        "monte_carlo": VarEs(900.0, 1000.0),
        "broker": None,
    }
    return Book(**{**content, **changes})


def order(quantity: object, side: Side = BUY, instrument: int = 0) -> Proposed:
    return Proposed(instrument, side, D(str(quantity)), D(100))


def fill(child_seq: int, exec_id: str, quantity: int, revision: int = 1) -> OrderFilled:
    return OrderFilled(child_seq, exec_id, revision, 0, BUY, D(quantity), D(100), "XNYS")


@pytest.mark.parametrize(
    ("limit", "largest", "beyond", "reason"),
    [
        (
            PositionWeight(0.15),
            order(150),
            order(151),
            "position weight: would hold 151 KO, 0.151000 of equity, limit is 0.15",
        ),
        (
            PositionWeight(0.15),
            order(150, SELL),
            order(151, SELL),
            "position weight: would hold -151 KO, 0.151000 of equity, limit is 0.15",
        ),
        (
            PositionWeight(0.15),
            order(3, instrument=1),
            order(4, instrument=1),
            "position weight: would hold 4 ES, 0.200000 of equity, limit is 0.15",
        ),
        (
            PositionVar(500),
            order(250),
            order(251),
            "position VaR: would hold 251 KO with a VaR of 502.00, limit is 500.00",
        ),
        (
            PositionVar(510),
            order(170, SELL),
            order(171, SELL),
            "position VaR: would hold -171 KO with a VaR of 513.00, limit is 510.00",
        ),
        (
            Leverage(1.5),
            order(1500),
            order(1501),
            (
                "leverage: gross exposure would be 150100.00, 1.501000 times the equity of 100000.00, "
                "limit is 1.5"
            ),
        ),
        (
            PortfolioVar(1000),
            order(1000),
            order(1001),
            "portfolio VaR: historical VaR would be 1001.00, limit is 1000.00",
        ),
    ],
)
def test_an_order_at_the_limit_passes_and_one_unit_more_is_refused_with_the_numbers(
    limit: Limit, largest: Proposed, beyond: Proposed, reason: str
):
    assert limit.objection(largest, book()) is None
    assert limit.objection(beyond, book()) == reason


def test_parametric_var_counts_where_it_is_the_larger():
    history = returns(1e-6)
    history.covariance[:] = 1e-4  # one standard deviation of 1 %
    limit = PortfolioVar(2326.4)

    assert limit.objection(order(1000), book(history=history)) is None
    reason = limit.objection(order(1001), book(history=history))
    assert reason == "portfolio VaR: parametric VaR would be 2328.67, limit is 2326.40"


def test_monte_carlo_var_of_the_book_counts_whatever_the_order():
    limit = PortfolioVar(1000)

    assert limit.objection(order(1), book(monte_carlo=VarEs(1000.0, 1200.0))) is None
    assert (
        limit.objection(order(1), book(monte_carlo=VarEs(1000.01, 1200.0)))
        == "portfolio VaR: Monte Carlo VaR of the book now is 1000.01, limit is 1000.00"
    )


def test_what_was_approved_counts_for_every_limit_before_it_is_filled():
    full = book(held={0: D(50)}, monte_carlo=VarEs(1.0, 1.0))
    full.approve(7, order(60))

    assert PositionWeight(0.15).objection(order(40), full) is None
    assert "would hold 151 KO" in str(PositionWeight(0.15).objection(order(41), full))
    assert PositionVar(300).objection(order(40), full) is None
    assert "would hold 151 KO" in str(PositionVar(300).objection(order(41), full))
    assert Leverage(0.15).objection(order(40), full) is None
    assert "15100.00" in str(Leverage(0.15).objection(order(41), full))
    assert PortfolioVar(150).objection(order(40), full) is None
    assert "historical VaR would be 151.00" in str(PortfolioVar(150).objection(order(41), full))


def test_an_approved_sale_does_not_make_room_for_a_purchase_before_it_is_filled():
    waiting = book(held={0: D(150)})
    waiting.approve(7, order(100, SELL))

    assert PositionWeight(0.15).objection(order(1), waiting) is not None
    assert "151" in str(Leverage(0.15).objection(order(1), waiting))


def test_leverage_takes_the_worst_of_what_may_fill_in_each_instrument():
    mixed = book(held={0: D(100), 1: D(-2)})
    mixed.approve(7, order(50, SELL))
    mixed.approve(8, order(6, BUY, instrument=1))

    assert mixed.worst_gross(order(0)) == 100 * 100 + 4 * 100 * 50
    assert mixed.worst_gross(order(200, SELL)) == 150 * 100 + 4 * 100 * 50


def test_fills_corrections_and_refusals_shrink_what_is_waiting():
    waiting = book()
    waiting.approve(7, order(100))
    waiting.submitted(20, 7)

    def left() -> Decimal:
        return waiting.waiting(0, BUY)

    waiting.filled(fill(20, "a", 30))
    waiting.filled(fill(20, "a", 30))
    waiting.filled(fill(99, "z", 30))
    assert left() == 70
    waiting.filled(fill(20, "a", 20, revision=2))
    assert left() == 80
    waiting.give_up(7, D(25))
    waiting.give_up(99, D(25))
    assert left() == 55
    waiting.filled(fill(20, "b", 100))
    assert left() == 0
    waiting.end(7)
    waiting.end(7)
    assert waiting.approvals == waiting.children == {}


def test_an_aborted_approval_comes_back_if_it_is_submitted_after_all():
    waiting = book()
    for seq in (7, 12, 13, 14):
        waiting.approve(seq, order(10))
    waiting.submitted(20, 12)

    waiting.abort(since_seq=10)
    assert waiting.waiting(0, BUY) == 20
    waiting.submitted(21, 13)
    waiting.end(14)
    assert waiting.waiting(0, BUY) == 30
    assert waiting.aborted == {}


@pytest.mark.parametrize(
    ("rule", "a_book", "reason"),
    [
        (TradingHalt(), book(halted="kill"), "trading is halted: kill"),
        (BrokerLink(), Book(), "broker: positions are not known: never reconciled since the start"),
        (
            Breaks(),
            book(breaks=("KO 5", "ES 1")),
            "reconciliation: 2 unresolved breaks with the broker, first: KO 5",
        ),
        (
            Marks(),
            book(mark=None),
            "marks: the book was not marked at this decision: cash or the price of a position is unknown",
        ),
        (
            Marks(),
            book(mark=mark("0")),
            "marks: equity must be positive to measure an order against it, found 0.00",
        ),
        (
            Marks(),
            book(mark=mark("-1")),
            "marks: equity must be positive to measure an order against it, found -1.00",
        ),
        (
            Marks(),
            book(mark=mark("NaN")),
            "marks: equity must be positive to measure an order against it, found nan",
        ),
        (Marks(), book(mark=mark(prices=("0", "100"))), "marks: KO has no price"),
        (Marks(), book(mark=mark(prices=("100", "0")), held={1: D(1)}), "marks: ES has no price"),
        (History(), book(history=None, no_history="too short"), "history: too short"),
        (
            History(),
            book(history=returns(measured=(False, True))),
            "history: KO has too few returns to be measured",
        ),
        (
            History(),
            book(history=returns(measured=(True, False)), held={1: D(1)}),
            "history: ES has too few returns to be measured",
        ),
        (
            MonteCarlo(),
            book(monte_carlo=None, no_monte_carlo="the run failed"),
            "monte carlo: the run failed",
        ),
    ],
)
def test_what_was_never_fed_is_refused_and_says_so(rule: Limit, a_book: Book, reason: str):
    assert rule.objection(order(1), a_book) == reason
    assert rule.objection(order(1), book()) is None


def test_a_flat_instrument_without_price_or_returns_is_in_nobodys_way():
    flat = book(held={1: D(0)}, mark=mark(prices=("100", "0")), history=returns(measured=(True, False)))

    assert Marks().objection(order(1), flat) is None
    assert History().objection(order(1), flat) is None


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (order(1, instrument=2), "order: instrument 2 is not one of the 2 resolved"),
        (order(1, instrument=-1), "order: instrument -1 is not one of the 2 resolved"),
        (order(0), "order: quantity must be positive and below 1e16, found 0"),
        (order(-1), "order: quantity must be positive and below 1e16, found -1"),
        (order("NaN"), "order: quantity must be positive and below 1e16, found NaN"),
        (order("sNaN"), "order: quantity must be positive and below 1e16, found sNaN"),
        (order("Infinity"), "order: quantity must be positive and below 1e16, found Infinity"),
        (order("1E+16"), "order: quantity must be positive and below 1e16, found 1E+16"),
    ],
)
def test_an_order_that_is_none_is_refused(wrong: Proposed, found: str):
    assert OrderShape().objection(wrong, book()) == found
    assert limits(SETTINGS).objection(wrong, book()) == ("order", found)


def test_reducing_means_smaller_and_never_beyond_zero_whatever_else_fills():
    long = book(held={0: D(100)})
    assert long.reduces(order(100, SELL))
    assert not long.reduces(order(101, SELL))
    assert not long.reduces(order(1, BUY))
    assert not book().reduces(order(1, SELL))
    assert book(held={0: D(-100)}).reduces(order(100, BUY))

    long.approve(7, order(40, SELL))
    long.approve(8, order(90, BUY))
    assert long.reduces(order(60, SELL))
    assert not long.reduces(order(61, SELL))


def test_with_breaks_the_position_at_the_broker_has_to_become_smaller_too():
    disputed = book(held={0: D(100)}, breaks=("KO 40",), broker_holds={0: D(60)})

    assert disputed.reduces(order(60, SELL))
    assert not disputed.reduces(order(61, SELL))
    assert not book(held={0: D(100)}, breaks=("KO 100",)).reduces(order(1, SELL))


def test_a_reducing_order_passes_a_limit_that_is_broken_already_and_others_do_not():
    heavy = book(held={0: D(400)}, monte_carlo=VarEs(9e9, 9e9))

    assert limits(SETTINGS).objection(order(100, SELL), heavy) is None
    assert limits(SETTINGS).objection(order(1, BUY), heavy)[0] == "position_weight"
    assert limits(SETTINGS).objection(order(801, SELL), heavy)[0] == "position_weight"
    assert limits(SETTINGS).objection(order(1, BUY, instrument=1), heavy)[0] == "portfolio_var"


def test_a_reducing_order_that_itself_breaks_a_limit_is_refused():
    hedged = book(held={0: D(1100), 1: D(-20)}, mark=mark("1000000"))
    rules = limits(SETTINGS.model_copy(update={"max_position_var": 1e9}))

    assert rules.objection(order(18, BUY, instrument=1), hedged) is None
    assert rules.objection(order(19, BUY, instrument=1), hedged) == (
        "portfolio_var",
        "portfolio VaR: historical VaR would be 1050.00, limit is 1000.00",
    )


@pytest.mark.parametrize(
    "missing",
    [
        {"mark": None},
        {"mark": mark("-5")},
        {"history": None},
        {"monte_carlo": None},
        {"breaks": ("x",), "broker_holds": {0: D(9)}},
    ],
)
def test_a_reducing_order_passes_when_inputs_are_missing_and_no_other_does(missing: dict[str, Any]):
    poor = book(held={0: D(10)}, **missing)

    assert limits(SETTINGS).objection(order(5, SELL), poor) is None
    assert limits(SETTINGS).objection(order(5, BUY), poor) is not None


@pytest.mark.parametrize(
    ("state", "name"), [({"halted": "kill"}, "halted"), ({"broker": "disconnected"}, "broker")]
)
def test_nothing_passes_a_halt_or_a_broken_link_not_even_a_reduction(state: dict[str, Any], name: str):
    assert limits(SETTINGS).objection(order(5, SELL), book(held={0: D(10)}, **state))[0] == name


def test_a_good_order_passes_all_rules():
    assert limits(SETTINGS).objection(order(100), book()) is None
