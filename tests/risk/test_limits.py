from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firm import config
from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.events.orders import OrderFilled, Proposed
from firm.events.risk import BookMarked
from firm.risk.book import Book
from firm.risk.fed_figures import DaysToLiquidate, MarginHeadroom, SectorWeight, StressLoss
from firm.risk.figures import (
    FactorLoss,
    Figure,
    Leverage,
    NetLeverage,
    PortfolioEs,
    PortfolioVar,
    PositionVar,
    PositionWeight,
    Sensitivity,
)
from firm.risk.history import ReturnHistory
from firm.risk.limits import (
    Breaks,
    BrokerLink,
    Marks,
    Measurable,
    MonteCarlo,
    OrderShape,
    Rule,
    TradingHalt,
    limits,
)
from firm.risk.margin_scan import MarginScan
from firm.risk.margin_view import BrokerMargin
from firm.risk.measures import Measures, MovingBook
from firm.risk.parametric import Covariance
from firm.risk.stress_map import packaged_stress_map
from firm.risk.stress_scenarios import read_scenarios
from firm.risk.stress_tester import CompiledStress, StressTester
from firm.risk.would_be import WouldBe
from firm.risk_kernels.contracts import linear_contracts

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
KO = Instrument(0, "KO", 1000, "STK", "XNYS", "USD", D(1), D("0.01"), D(1))
ES = Instrument(1, "ES", 1001, "FUT", "XCME", "USD", D(50), D("0.25"), D(1))
UNIT_VALUES = np.array([100.0, 5000.0])
SETTINGS = config.load_settings(
    Path(__file__).resolve().parents[2] / "config" / "paper.yaml",
    (
        "risk.max_portfolio_var=1000",
        "risk.max_portfolio_es=5000",
        "risk.max_position_var=500",
        "risk.max_leverage=1.5",
        "risk.max_net_leverage=9",
        "risk.max_position_weight=0.15",
        "risk.max_sector_weight=9",
        "risk.stress.max_loss=1",
        (
            "universe.reference={KO: {sector: Staples, average_daily_volume: 1e6}, "
            "ES: {sector: Index, average_daily_volume: 1e6}}"
        ),
    ),
)
ACCOUNT = BrokerMargin(100_000.0, 0.0, 0.0, 100_000.0, at=0)
CRASH = """
sources: {made: {text: made up for a test, provenance: H}}
scenarios:
  - name: crash
    kind: hypothetical
    date: 2020-01-01
    shocks: [{source: made, relative: {equity: -0.2}}]
"""


def mark(equity: str = "100000", prices: tuple[str, str] = ("100", "100")) -> BookMarked:
    zero = D(0)
    money = (zero, D(equity), zero, zero, zero, zero, zero)
    return BookMarked(*money, quantities=(zero, zero), prices=(D(prices[0]), D(prices[1])))


def moves(size: float) -> MovingBook:
    """A hundred scenarios in which both instruments move by +-size together."""
    columns = UNIT_VALUES[:, None] * np.tile([size, -size], 50)
    return MovingBook(lambda: [columns], 0.99, 0.975)


UNMAPPED = (
    "KO (STK) has no loss in the stress scenario 'crash': it follows equity.us, which neither the scenario "
    "nor a declared parent moves; add equity.us to the scenario, give it a parent in the stress map, or "
    "leave the scenario out"
)


def gold_alone() -> CompiledStress:
    """A scenario that says nothing of shares."""
    moved = read_scenarios(CRASH.replace("equity", "commodity.gold"), "test")
    return StressTester(moved, packaged_stress_map()).shocks((KO, ES))


def measures(
    size: float = 0.01, variance: float = 1e-12, valued: tuple[bool, bool] = (True, True), **changes: Any
) -> Measures:
    """The historical VaR of a book is `size` times its net value."""
    contracts = linear_contracts(2)
    contracts["price"], contracts["unit"] = [100.0, 100.0], [1.0, 50.0]
    stress = StressTester(read_scenarios(CRASH, "test"), packaged_stress_map()).shocks((KO, ES))
    content = {
        "valued": np.array(valued),
        "contracts": contracts,
        "history": ReturnHistory(
            measured=np.array(valued),
            returns=np.zeros((100, 2)),
            covariance=np.full((2, 2), variance),
            loadings=np.full((2, 1), 0.01),
            idiosyncratic=np.zeros(2),
            correlation=None,
        ),
        "historical": moves(size),
        "covariance": Covariance(np.full((2, 2), variance)),
        "deltas": UNIT_VALUES,
        "gammas": np.array([0.0, 2.0]),
        "vegas": np.array([0.0, 3.0]),
        "stress": stress,
        "unit_stress": stress.unit_losses(contracts),
        "unmapped": None,
        "margin": MarginScan(contracts),
    }
    return Measures(**{**content, **changes})


def book(**changes: Any) -> Book:
    content = {
        "instruments": (KO, ES),
        "mark": mark(),
        "measures": measures(),
        "simulated": moves(1e-6),
        "broker": None,
        "account": ACCOUNT,
    }
    return Book(**{**content, **changes})


def would(a_book: Book, an_order: Proposed) -> WouldBe:
    return WouldBe(a_book, an_order, 0.99, 0.975, 1)


def objection(figure: Figure, an_order: Proposed, a_book: Book) -> str | None:
    return figure.objection(would(a_book, an_order))


RULES = limits(SETTINGS.risk, SETTINGS.universe.reference)


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
            PositionVar(250),
            order(250),
            order(251),
            "position VaR: would hold 251 KO with a VaR of 251.00, limit is 250.00",
        ),
        (
            PositionVar(170),
            order(170, SELL),
            order(171, SELL),
            "position VaR: would hold -171 KO with a VaR of 171.00, limit is 170.00",
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
            NetLeverage(1.5),
            order(1500, SELL),
            order(1501, SELL),
            (
                "net leverage: net exposure could be -150100.00, -1.501000 times the equity of 100000.00, "
                "limit is 1.5"
            ),
        ),
        (
            SectorWeight(0.2, {"KO": "Staples", "ES": "Index"}),
            order(200),
            order(201),
            "sector: Staples could be 20100.00, 0.201000 times the equity of 100000.00, limit is 0.2",
        ),
        (
            FactorLoss(0.001),
            order(100),
            order(101),
            (
                "factor: one standard deviation of factor 1 moves the book by 101.00, 0.001010 of equity, "
                "limit is 0.001"
            ),
        ),
        (
            PortfolioVar(1000),
            order(1000),
            order(1001),
            "portfolio VaR: historical VaR would be 1001.00, limit is 1000.00",
        ),
        (
            PortfolioEs(1000),
            order(1000),
            order(1001),
            "portfolio ES: historical ES would be 1001.00, limit is 1000.00",
        ),
        (
            Sensitivity("delta", 10_000),
            order(100, SELL),
            order(101, SELL),
            "greeks: delta would be -10100.00, limit is 10000.00",
        ),
        (
            Sensitivity("gamma", 10),
            order(5, instrument=1),
            order(6, instrument=1),
            "greeks: gamma would be 12.00, limit is 10.00",
        ),
        (
            Sensitivity("vega", 15),
            order(5, instrument=1),
            order(6, instrument=1),
            "greeks: vega would be 18.00, limit is 15.00",
        ),
        (
            StressLoss(0.2),
            order(1000),
            order(1001),
            "stress: scenario 'crash' would cost 20020.00, 0.200200 of equity, limit is 0.2",
        ),
        (
            DaysToLiquidate(
                config.Liquidity(max_days_to_liquidate=2, participation=0.1), {"KO": 1000.0, "ES": 1.0}
            ),
            order(200),
            order(201),
            "liquidity: would hold 201 KO, 2.01 days to sell at 100 a day, limit is 2.0",
        ),
        (
            MarginHeadroom(config.Margin(min_headroom=0.7, max_age_ms=1)),
            order(2000),
            order(2001),
            "margin: headroom would be 0.699850 of equity by broker and estimate, at least 0.7 is needed",
        ),
    ],
)
def test_an_order_at_the_limit_passes_and_one_unit_more_is_refused_with_the_numbers(
    limit: Figure, largest: Proposed, beyond: Proposed, reason: str
):
    assert objection(limit, largest, book()) is None
    assert objection(limit, beyond, book()) == reason


def test_parametric_var_counts_where_it_is_the_larger():
    known = book(measures=measures(1e-6, variance=1e-4))  # one standard deviation of 1 %
    limit = PortfolioVar(2326.4)

    assert objection(limit, order(1000), known) is None
    reason = objection(limit, order(1001), known)
    assert reason == "portfolio VaR: parametric VaR would be 2328.67, limit is 2326.40"


def test_simulated_var_counts_where_it_is_the_larger_with_the_order_and_all_that_was_approved():
    limit = PortfolioVar(1000)
    known = book(simulated=moves(0.02), held={0: D(200)})
    known.approve(7, order(100))

    assert objection(limit, order(200), known) is None
    assert (
        objection(limit, order(201), known)
        == "portfolio VaR: simulated VaR would be 1002.00, limit is 1000.00"
    )
    assert objection(limit, order(400, SELL), known) is None


@pytest.mark.parametrize(
    ("figure", "changes", "reason"),
    [
        (
            SectorWeight(1, {"ES": "Index"}),
            {},
            "sector: universe.reference has no sector of KO",
        ),
        (
            DaysToLiquidate(config.Liquidity(max_days_to_liquidate=2, participation=0.1), {"ES": 1.0}),
            {},
            "liquidity: universe.reference has no volume of KO",
        ),
        (
            StressLoss(1),
            {"measures": measures(stress=gold_alone(), unmapped=UNMAPPED)},
            f"stress: {UNMAPPED}",
        ),
        (
            MarginHeadroom(config.Margin(min_headroom=0.1, max_age_ms=1)),
            {"account": None},
            "margin: the broker has not reported its figures yet",
        ),
        (
            MarginHeadroom(config.Margin(min_headroom=0.1, max_age_ms=1)),
            {"marked_at": 2_000_000},
            "margin: the broker's figures are 0.002 s old, allowed are 0 to 0.001 s",
        ),
    ],
)
def test_a_figure_whose_input_was_never_fed_or_is_stale_refuses_and_is_named(
    figure: Figure, changes: dict[str, Any], reason: str
):
    unknown = book(**changes)

    assert figure.missing(unknown) == reason
    assert objection(figure, order(1), unknown) == reason


def test_every_figure_with_its_inputs_is_known():
    assert RULES.unknown(book()) == ()


def test_what_was_approved_counts_for_every_limit_before_it_is_filled():
    full = book(held={0: D(50)})
    full.approve(7, order(60))

    assert objection(PositionWeight(0.15), order(40), full) is None
    assert "would hold 151 KO" in str(objection(PositionWeight(0.15), order(41), full))
    assert objection(PositionVar(150), order(40), full) is None
    assert "would hold 151 KO" in str(objection(PositionVar(150), order(41), full))
    assert objection(Leverage(0.15), order(40), full) is None
    assert "15100.00" in str(objection(Leverage(0.15), order(41), full))
    assert objection(PortfolioVar(150), order(40), full) is None
    assert "historical VaR would be 151.00" in str(objection(PortfolioVar(150), order(41), full))


def test_an_approved_sale_does_not_make_room_for_a_purchase_before_it_is_filled():
    waiting = book(held={0: D(150)})
    waiting.approve(7, order(100, SELL))

    assert objection(PositionWeight(0.15), order(1), waiting) is not None
    for limit in (Leverage(0.15), NetLeverage(0.15), SectorWeight(0.15, {"KO": "a", "ES": "b"})):
        assert "15100.00" in str(objection(limit, order(1), waiting))


def test_leverage_takes_the_worst_of_what_may_fill_in_each_instrument():
    mixed = book(held={0: D(100), 1: D(-2)})
    mixed.approve(7, order(50, SELL))
    mixed.approve(8, order(6, BUY, instrument=1))
    gross = 100 * 100 + 4 * 100 * 50

    assert objection(Leverage(gross / 100_000), order(0), mixed) is None
    assert f"{gross}.00" in str(objection(Leverage(gross / 100_001), order(0), mixed))
    assert f"{gross + 5000}.00" in str(objection(Leverage(0.1), order(200, SELL), mixed))


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
        (Measurable(), book(measures=None, no_measures="too short"), "history: too short"),
        (
            Measurable(),
            book(measures=measures(valued=(False, True))),
            "history: KO has too few returns to be measured",
        ),
        (
            Measurable(),
            book(measures=measures(valued=(True, False)), held={1: D(1)}),
            "history: ES has too few returns to be measured",
        ),
        (
            MonteCarlo(),
            book(simulated=None, no_simulated="the run failed"),
            "monte carlo: the run failed",
        ),
    ],
)
def test_what_was_never_fed_is_refused_and_says_so(rule: Rule, a_book: Book, reason: str):
    assert rule.objection(order(1), a_book) == reason
    assert rule.objection(order(1), book()) is None


def test_a_flat_instrument_without_price_or_returns_is_in_nobodys_way():
    flat = book(held={1: D(0)}, mark=mark(prices=("100", "0")), measures=measures(valued=(True, False)))

    assert Marks().objection(order(1), flat) is None
    assert Measurable().objection(order(1), flat) is None


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
    assert RULES.objection(wrong, book()) == ("order", found)


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
    heavy = book(held={0: D(400)})

    assert RULES.objection(order(100, SELL), heavy) is None
    assert RULES.objection(order(1, BUY), heavy)[0] == "position_weight"
    assert RULES.objection(order(801, SELL), heavy)[0] == "position_weight"
    assert RULES.objection(order(1, BUY, instrument=1), heavy) is None
    deep = book(held={0: D(400)}, simulated=moves(0.05))
    assert RULES.objection(order(1, BUY, instrument=1), deep)[0] == "portfolio_var"


def test_a_reducing_order_that_itself_breaks_a_limit_is_refused():
    hedged = book(held={0: D(1100), 1: D(-20)}, mark=mark("1000000"))
    loose = SETTINGS.risk.model_copy(update={"max_position_var": 1e9})
    rules = limits(loose, SETTINGS.universe.reference)

    assert rules.objection(order(18, BUY, instrument=1), hedged) is None
    assert rules.objection(order(19, BUY, instrument=1), hedged) == (
        "portfolio_var",
        "portfolio VaR: historical VaR would be 1050.00, limit is 1000.00",
    )


def test_what_no_scenario_knows_may_be_sold_but_not_the_hedge_that_they_do_know():
    """KO has no stress loss; a unit of ES loses 100 in the one scenario, so being short gains."""
    blind = measures(stress=gold_alone(), unmapped=UNMAPPED, unit_stress=np.array([[np.nan, 100.0]]))
    held = book(held={0: D(100), 1: D(-20)}, mark=mark("1000000"), measures=blind)

    assert RULES.objection(order(50, SELL), held) is None
    assert RULES.objection(order(10, BUY, instrument=1), held) == ("stress", f"stress: {UNMAPPED}")


@pytest.mark.parametrize("figure", RULES.figures, ids=lambda figure: f"{figure.name}-{type(figure).__name__}")
def test_only_a_figure_that_depends_on_which_orders_fill_is_asked_about_both(figure: Figure):
    hedged = book(held={0: D(400)}, mark=mark("50000"))
    hedged.approve(1, order(20, SELL, instrument=1))
    asked = order(100)
    both = [
        figure.objection(WouldBe(hedged, asked, 0.99, 0.975, 1, approved_fill=filled))
        for filled in (True, False)
    ]

    assert both[0] == both[1] or not figure.whatever_fills


@pytest.mark.parametrize(
    "missing",
    [
        {"mark": None},
        {"mark": mark("-5")},
        {"measures": None},
        {"simulated": None},
        {"breaks": ("x",), "broker_holds": {0: D(9)}},
    ],
)
def test_a_reducing_order_passes_when_inputs_are_missing_and_no_other_does(missing: dict[str, Any]):
    poor = book(held={0: D(10)}, **missing)

    assert RULES.objection(order(5, SELL), poor) is None
    assert RULES.objection(order(5, BUY), poor) is not None


@pytest.mark.parametrize(
    ("state", "name"), [({"halted": "kill"}, "halted"), ({"broker": "disconnected"}, "broker")]
)
def test_nothing_passes_a_halt_or_a_broken_link_not_even_a_reduction(state: dict[str, Any], name: str):
    assert RULES.objection(order(5, SELL), book(held={0: D(10)}, **state))[0] == name


def test_a_good_order_passes_all_rules():
    assert RULES.objection(order(100), book()) is None
