import json
from decimal import Decimal
from math import isclose

import pytest
import risk_figures
from market_days import CASH, DAY, FIRST_CLOSE, SYMBOLS, Logbook, year
from msgspec import structs

from firm.domain.order import OrderType, Side, TimeInForce
from firm.events import CODEC, Record
from firm.events import orders as o
from firm.events.risk import BookMarked, RiskMeasured, RiskRunCompleted
from firm.events.system import CycleKind, RunStarted
from firm.report.book import POINTS_MAX
from firm.report.ledger import KEPT
from firm.report.summary import Summary, percentiles
from firm.risk.backtests import kupiec

HEAD = bytes(range(32))


def fold(records: list[Record]) -> Summary:
    summary = Summary()
    for record in records:
        summary.note(record)
    return summary


def mark(equity: str, quantity: str = "0", price: str = "0") -> BookMarked:
    zero, held = Decimal(0), Decimal(quantity) * Decimal(price)
    total = Decimal(equity)
    return BookMarked(
        total - held, total, abs(held), held, zero, zero, zero, (Decimal(quantity),), (Decimal(price),)
    )


def measured(var: float) -> RiskMeasured:
    return risk_figures.measured(var, var, var * 2, var * 2, var * 3, var * 4)


def decisions(*days: tuple[BookMarked, RiskMeasured | None]) -> Logbook:
    log = Logbook()
    log.open(["KO"])
    for n, (book, risk) in enumerate(days):
        log.cycle(FIRST_CLOSE + n * DAY, CycleKind.DECISION)
        log.say(book, "bookkeeper")
        if risk is not None:
            log.say(risk, "risk")
    return log


def one_order(log: Logbook, quantity: int = 100) -> tuple[int, int]:
    size, price = Decimal(quantity), Decimal("50.00")
    order = log.say(o.OrderProposed(o.Proposed(0, Side.BUY, size, price), "why"), "cio")
    child = o.Child(0, 1000, Side.BUY, size, OrderType.LIMIT, price, TimeInForce.DAY)
    return order, log.say(o.OrderSubmitted(order, "twap", child), "execution")


def fill(child: int, exec_id: str, quantity: str, price: str = "50.10", revision: int = 1) -> o.OrderFilled:
    return o.OrderFilled(child, exec_id, revision, 0, Side.BUY, Decimal(quantity), Decimal(price), "NASDAQ")


def test_a_year_is_counted_to_the_last_entry():
    records = year(seed=7, days=60)
    said = fold(records).as_dict(HEAD, [3.0, 1.0, 2.0])
    by_kind = [CODEC.event(record) for record in records]

    assert said["log_head"] == HEAD.hex()
    assert said["events"] == len(records)
    assert said["decisions"] == 60
    assert said["signals"] == 60 * 21
    assert said["signals_by_agent"] == {"momentum": 60 * 20, "stat_arb": 60}
    assert said["orders_proposed"] == sum(isinstance(e, o.OrderProposed) for e in by_kind) == 180
    assert said["orders_sent"] == sum(isinstance(e, o.OrderSubmitted) for e in by_kind)
    assert said["orders_sent_by_algo"] == {"twap": said["orders_sent"]}
    assert said["fills"] == said["fills_buy"] + said["fills_sell"]
    assert said["fills"] == sum(isinstance(e, o.OrderFilled) for e in by_kind)
    assert said["orders_refused"].keys() == {"max_leverage", "restricted_list", "201"}
    assert sum(said["orders_refused"].values()) == sum(
        isinstance(e, o.RiskRefused | o.ComplianceRefused | o.BrokerRejected) for e in by_kind
    )
    assert said["orders_refused_by"]["limit"] == {"max_leverage": said["orders_refused"]["max_leverage"]}
    assert said["first_at"] == "2024-01-02T20:00:00Z"
    assert said["ended"] == "end of data"
    assert said["tick_to_order_ms"] == {"p50": 2.0, "p99": 3.0}
    assert json.loads(json.dumps(said)) == said


def test_money_is_a_number_and_an_exact_string_of_the_last_mark():
    records = year(seed=7, days=60)
    last = [e for e in map(CODEC.event, records) if isinstance(e, BookMarked)][-1]
    said = fold(records).as_dict(HEAD)

    assert said["final_equity"] == float(last.equity)
    assert said["final_equity_exact"] == str(last.equity)
    assert said["final_cash_exact"] == str(last.cash)
    assert isclose(said["realized_pnl"], float(last.realized_pnl))
    assert Decimal(said["commissions_exact"]) == last.commissions
    held = {SYMBOLS[i]: float(q) for i, q in enumerate(last.quantities) if q}
    assert said["positions"] == held == said["positions_broker"]
    assert said["var_99"] < said["es_975"]
    assert (said["var_confidence"], said["es_confidence"], said["es_99"]) == (0.99, 0.975, None)


def test_what_was_never_said_is_none_and_not_zero():
    log = Logbook()
    log.open()
    said = fold(log.records).as_dict(HEAD)

    for name in ("final_equity", "final_equity_exact", "max_drawdown", "tick_to_order_ms"):
        assert said[name] is None
    for name in ("var_99", "es_975", "es", "stress", "greeks", "stressed_var", "limits_unknown"):
        assert said[name] is None
    assert said["correlation"] == {"average": None, "regime": None}
    assert said["positions_broker"] == {}
    assert said["var_backtest"] == {}
    assert Summary().as_dict(HEAD)["positions_broker"] is None


def test_var_at_another_confidence_is_not_called_var_99():
    records = year(seed=1, days=3)
    first = CODEC.event(records[0])
    assert isinstance(first, RunStarted)
    log = Logbook()
    config = json.loads(first.config)
    config["risk"]["var"]["confidence"] = 0.95
    log.say(RunStarted(1, "0.1.0", json.dumps(config), "f", "real data"))
    summary = fold(log.records)

    assert summary.confidence == 0.95
    assert summary.as_dict(HEAD)["var_99"] is None


def test_es_at_another_confidence_is_not_called_es_975():
    log = decisions((mark("1000", "10", "50"), structs.replace(measured(20.0), es_confidence=0.99)))
    log.say(RiskRunCompleted(1, 960, 60.0, 80.0, 99.0, ()), "risk")
    said = fold(log.records).as_dict(HEAD)

    assert (said["es_confidence"], said["es_975"], said["es_99"]) == (0.99, None, 80.0)
    assert said["es_by_method"] == {"historical": 20.0, "parametric": 40.0, "monte_carlo": 80.0}


def test_stress_losses_are_told_worst_first_and_a_zero_has_no_sign():
    log = decisions((mark("1000", "10", "50"), structs.replace(measured(20.0), delta=-0.0)))
    stress = (("calm", -5.0), ("crash", 70.0), ("nothing", -0.0), ("dip", 7.0))
    log.say(RiskRunCompleted(1, 960, -0.0, 80.0, 99.0, stress), "risk")
    summary = fold(log.records)
    said = summary.as_dict(HEAD)

    assert [row["scenario"] for row in said["stress"]] == ["crash", "dip", "nothing", "calm"]
    assert summary.book.worst_stress_loss == 70.0
    assert "-0.0" not in json.dumps(said)


def test_a_correlation_that_was_not_measured_is_none_and_not_zero():
    unknown = structs.replace(measured(1.0), average_correlation=0.0, regime="too few windows")
    log = decisions((mark("1000", "10", "50"), unknown))
    said = fold(log.records).as_dict(HEAD)

    assert said["correlation"] == {"average": None, "regime": "too few windows"}


def test_the_daily_record_tells_zone_and_tests_and_counts_a_day_without_forecast_as_unknown():
    days = [(mark("1000", "10", "50"), measured(20.0)), (mark("990", "10", "47"), None)]
    days += [(mark("980", "10", "46"), measured(20.0)), (mark("970", "10", "46"), measured(20.0))]
    record = fold(decisions(*days).records).as_dict(HEAD)["var_backtest"]["historical"]["record"]

    assert (record["days"], record["unknown"], record["exceptions"]) == (2, 1, 1)
    assert record["basel_zone"] == "red"  # P(at most 1 of 2) is 99.99 %
    assert record["kupiec_p_value"] == pytest.approx(kupiec(2, 1, 0.99).p_value)
    assert record["acerbi_szekely"] is None  # VaR at 99 %, ES at 97.5 %: two levels


def test_the_normal_method_has_var_at_the_level_of_es_by_its_quantiles():
    log = decisions((mark("1000", "10", "50"), measured(20.0)), (mark("900", "10", "40"), None))
    found = fold(log.records).as_dict(HEAD)["var_backtest"]["parametric"]["record"]["acerbi_szekely"]

    assert found["days"] == 1
    assert found["z1"] == pytest.approx(1 - 100 / 40)  # a loss of 100, ES 40
    assert found["z2"] == pytest.approx(1 - 100 / 40 / 0.025)


def test_drawdown_is_measured_from_the_highest_equity_before():
    log = decisions((mark("100"), None), (mark("120"), None), (mark("90"), None), (mark("110"), None))
    summary = fold(log.records)

    assert summary.book.max_drawdown == 0.25
    assert summary.drawdown == pytest.approx(1 - 110 / 120)
    assert [m.drawdown for m in summary.book.marks] == [0, 0, 0.25, pytest.approx(1 / 12)]


def test_var_is_compared_with_what_the_measured_book_lost_by_the_next_decision():
    log = decisions(
        (mark("1000", "10", "50"), measured(20.0)),  # holds 10 at 50
        (
            mark("990", "10", "47"),
            measured(30.0),
        ),  # lost 30 on the book: beyond 20, not beyond Monte Carlo's 60
        (mark("900", "0", "46"), None),  # lost 10 on the book, 90 with trades
    )
    book = fold(log.records).book

    assert [(p.static, p.actual) for p in book.points] == [(-30.0, -10.0), (-10.0, -90.0)]
    rows = {row.method: row for row in book.backtests()}
    assert (rows["historical"].static, rows["historical"].actual) == (1, 1)
    assert (rows["monte_carlo"].static, rows["monte_carlo"].actual) == (0, 0)
    assert rows["historical"].days == 2
    assert rows["historical"].expected == pytest.approx(0.02)


def test_a_measurement_whose_horizon_has_not_passed_waits():
    book = fold(decisions((mark("1000"), measured(20.0))).records).book

    assert book.points == []
    assert [point.actual for point in book.pending()] == [None]
    assert book.backtests()[0].p_value is None


def test_a_longer_horizon_is_compared_that_many_decisions_later():
    log = decisions(
        (mark("1000"), measured(5.0)), (mark("990"), measured(5.0)), (mark("970"), None), (mark("975"), None)
    )
    summary = Summary()
    for record in log.records:
        summary.note(record)
        summary.book.horizon = 2

    assert [point.actual for point in summary.book.points] == [-30.0, -15.0]


def test_an_order_is_followed_to_its_end():
    log = Logbook()
    log.open(["KO"])
    order, child = one_order(log)
    log.say(fill(child, "a", "40", "50.10"))
    log.say(fill(child, "b", "60", "50.20"))
    log.say(o.OrderDone(order, Decimal(100), "filled"), "execution")
    row = fold(log.records).ledger.orders[order]

    assert (row.state, row.algo, row.filled, row.symbol) == ("filled", "twap", 100, "KO")
    assert row.average_price == Decimal("50.16")
    assert row.slippage_bps == pytest.approx(32.0)


def test_a_fill_heard_twice_counts_once_and_a_correction_replaces_it():
    log = Logbook()
    log.open(["KO"])
    order, child = one_order(log)
    for said in (fill(child, "a", "40"), fill(child, "a", "40"), fill(child, "a", "30", "49.00", revision=2)):
        log.say(said)
    log.say(o.CommissionReported("a", Decimal("1.05")))
    log.say(o.CommissionReported("a", Decimal("1.05")))
    summary = fold(log.records)

    assert summary.fills_by_side == {"BUY": 1, "SELL": 0}
    assert (summary.ledger.orders[order].filled, summary.ledger.orders[order].average_price) == (30, 49)
    assert summary.as_dict(HEAD)["commissions_exact"] == "1.05"
    log.say(fill(child, "a", "0", revision=3))
    assert fold(log.records).fills_by_side == {"BUY": 0, "SELL": 0}


def test_who_refused_is_told_by_the_name_of_the_rule():
    log = Logbook()
    log.open(["KO"])
    orders = [one_order(log) for _ in range(4)]
    log.say(o.RiskRefused(orders[0][0], "max_leverage", "1.6 is above 1.5"), "risk")
    log.say(o.ComplianceRefused(orders[1][0], "restricted_list", "insider"), "compliance")
    log.say(o.ExecutionRefused(orders[2][0], Decimal(100), "collar", "too far"), "execution")
    log.say(o.BrokerRejected(orders[3][1], 201, "margin"))
    log.say(o.OrderUnknown(orders[3][1], "link lost"))
    summary = fold(log.records)
    said = summary.as_dict(HEAD)

    assert said["orders_refused"] == {"max_leverage": 1, "restricted_list": 1, "collar": 1, "201": 1}
    assert said["orders_refused_by"] == {
        "limit": {"max_leverage": 1},
        "rule": {"restricted_list": 1},
        "gate": {"collar": 1},
        "broker": {"201": 1},
    }
    assert said["orders_unknown"] == 1
    assert [row.order.seq for row in summary.ledger.refusals if row.order] == [order for order, _ in orders]
    assert {summary.ledger.orders[order].state for order, _ in orders} == {"refused"}


def test_only_the_newest_orders_are_kept_but_all_are_counted():
    log = Logbook()
    log.open(["KO"])
    for _ in range(KEPT + 50):
        one_order(log)
    oldest = next(r for r in log.records if r.kind == o.OrderProposed.KIND).seq
    log.say(o.RiskRefused(oldest, "max_leverage", "late"), "risk")
    log.say(fill(oldest + 1, "old", "10"))
    summary = fold(log.records)

    assert len(summary.ledger.orders) == KEPT
    assert summary.orders_proposed == KEPT + 50
    assert summary.ledger.refusals[-1].order is None
    assert summary.fills_by_side["BUY"] == 1


def test_a_long_run_keeps_a_bounded_curve_with_both_ends_and_the_exact_extreme():
    days = [(mark(str(1000 - n % 7)), None) for n in range(POINTS_MAX + 10)]
    book = fold(decisions(*days).records).book

    assert len(book.marks) < POINTS_MAX
    assert (book.marks[0].at, book.marks[-1].at) == (FIRST_CLOSE, FIRST_CLOSE + (POINTS_MAX + 9) * DAY)
    assert book.max_drawdown == 0.006


def test_halts_are_told_with_their_reasons_and_the_last_state():
    summary = fold(year(seed=2, days=10, halt=True))
    said = summary.as_dict(HEAD)

    assert said["halts"] == 2
    assert said["halted"] == "risk: drawdown 0.2013 is beyond 0.20 <limit>"
    assert [h.what for h in summary.story.happenings] == [
        "trading halted",
        "trading re-armed",
        "trading halted",
        "shut down",
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], None), ([5.0], {"p50": 5.0, "p99": 5.0}), (range(1, 201), {"p50": 100, "p99": 198})],
)
def test_percentiles_are_nearest_ranks(values: list[float], expected: dict[str, float] | None):
    assert percentiles(values) == expected


def test_cash_is_where_the_run_began():
    assert fold(year(seed=1, days=1)).equity == float(CASH)
