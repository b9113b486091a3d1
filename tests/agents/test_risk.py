from decimal import Decimal
from functools import cache
from itertools import product

import numpy as np
import pytest
from desk import (
    BUY,
    DECIDE,
    RECONCILED,
    SELL,
    TIMER,
    approved,
    d,
    filled,
    history,
    instrument,
    proposed,
    quote,
    resolved,
    settings,
    submitted,
)
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from telling import START, tell

from firm.agents.risk import Risk
from firm.domain.order import Side
from firm.events import Entry, Event, Origin
from firm.events.broker import AccountReported
from firm.events.orders import (
    ComplianceRefused,
    ExecutionRefused,
    OrderApproved,
    OrderDone,
    OrderProposed,
    RiskRefused,
)
from firm.events.risk import (
    BookMarked,
    PositionChanged,
    RiskHaltRequested,
    RiskMeasured,
    RiskRunCompleted,
    RiskRunFailed,
    RiskRunRequested,
)
from firm.events.system import (
    BrokerConnected,
    BrokerDisconnected,
    CycleAborted,
    CycleKind,
    CycleOpened,
    Reconciled,
    TradingHalted,
    TradingRearmed,
)
from firm.risk.cube import KeptCubes
from firm.risk.history import ReturnHistory, return_history
from firm.risk.var_calculator import VarEs, historical_var, parametric_var
from firm.risk_kernels.contracts import CONTRACT, Payoff
from firm.risk_kernels.montecarlo import BLOCK

SEED = 7
DAY = 86_400_000_000_000
PRICE = 100
STOCKS = resolved(instrument(0, "KO"), instrument(1, "PEP"), instrument(2, "XOM"))
QUOTES = quote(*((i, 99.99, 100.01) for i in range(3)))
LIMITS = (
    "risk.max_portfolio_var=2000",
    "risk.max_position_var=1000",
    "risk.max_leverage=1.5",
    "risk.max_position_weight=0.15",
    "risk.max_drawdown=0.2",
    "risk.max_daily_loss=0.05",
    "risk.var.min_history_bars=250",
    "risk.var.history_bars=300",
    "risk.var.horizon_bars=1",
    "risk.var.factors=2",
    "risk.var.seed=1000",
    "risk.var.scenarios=1920",
)
ACCOUNT = AccountReported("DU1", d(100_000), d(100_000), d(0), d(0), d(100_000))
CLOSES = np.exp(np.cumsum(np.random.default_rng(SEED).normal(0, 0.01, (300, 3)), axis=0))
CLOSES *= PRICE / CLOSES[-1]


def marked(quantities: tuple[object, ...] = (0, 0, 0), equity: object = 100_000) -> BookMarked:
    held = tuple(d(q) for q in quantities)
    net = sum((q * PRICE for q in held), Decimal(0))
    gross = sum((abs(q) * PRICE for q in held), Decimal(0))
    zero = Decimal(0)
    return BookMarked(d(equity) - net, d(equity), gross, net, zero, zero, zero, held, (d(PRICE),) * 3)


def officer(*overrides: str) -> Risk:
    """A risk agent with market, history and a reconciled broker, before its first decision."""
    agent = fresh(*overrides)
    assert tell(agent, STOCKS, history(CLOSES), QUOTES, RECONCILED, ACCOUNT) == []
    return agent


def fresh(*overrides: str) -> Risk:
    config = settings(*LIMITS, *overrides)
    return Risk(config.risk, config.universe.reference, KeptCubes())


def decide(
    agent: Risk, mark: BookMarked, first: int = 100, at: int = START, var: float = 10.0
) -> list[Event]:
    """A decision up to the CIO's turn: tick, mark, the run's request heard back, and its result."""
    said = tell(agent, (at, DECIDE), mark, first=first)
    requests = [event for event in said if type(event) is RiskRunRequested]
    for request in requests:
        run = RiskRunCompleted(first + 2, request.scenarios, var, 2 * var, 3 * var, (("crash", var),))
        said += tell(agent, (at, request), run, first=first + 2)
    return said


def ask(agent: Risk, quantity: object, side: Side = BUY, seq: int = 200, instrument: int = 0) -> Event:
    (said,) = tell(agent, OrderProposed(proposed(instrument, side, quantity), "test"), first=seq)
    return said


@cache
def expected_history() -> ReturnHistory:
    risk = settings(*LIMITS).risk
    found = return_history(np.vstack([CLOSES, [[PRICE] * 3]]), risk.var, risk.correlation)
    assert isinstance(found, ReturnHistory)
    return found


def past(exposures: np.ndarray, confidence: float = 0.99) -> VarEs:
    """Historical VaR and ES, worked out again."""
    return historical_var(np.expm1(expected_history().returns) @ exposures, confidence)


def normal(exposures: np.ndarray, confidence: float = 0.99) -> VarEs:
    """Parametric VaR and ES, worked out again."""
    return parametric_var(expected_history().covariance, exposures, confidence)


def test_a_marked_book_is_answered_with_all_that_a_risk_run_needs():
    agent = officer()

    (request,) = tell(agent, DECIDE, marked((100, -50, 0)), first=100)

    expected, table = expected_history(), np.frombuffer(request.contracts, CONTRACT)
    assert np.frombuffer(request.quantities).tolist() == [100.0, -50.0, 0.0]
    assert (table["factor"].tolist(), table["price"].tolist()) == ([0, 1, 2], [100.0] * 3)
    assert (table["unit"].tolist(), table["payoff"].tolist()) == ([1.0] * 3, [Payoff.LINEAR] * 3)
    loadings = np.frombuffer(request.loadings).reshape(3, request.factors)
    assert loadings.tolist() == expected.loadings.tolist()
    assert np.frombuffer(request.idiosyncratic).tolist() == expected.idiosyncratic.tolist()
    assert (request.factors, request.confidence, request.es_confidence) == (2, 0.99, 0.975)
    assert request.degrees_of_freedom == 6
    assert request.scenarios % BLOCK == 0
    assert request.seed == 1000 + 301


def heard_at(seq: int, at: int, event: Event) -> Entry[Event]:
    return Entry(seq, at, Origin.INPUT, "test", 0, 0, event)


def test_every_cycle_draws_other_scenarios():
    agent = officer()

    seeds = [event.seed for n in range(3) for event in tell(agent, DECIDE, marked(), first=100 + 2 * n)]

    assert seeds == [1301, 1302, 1303]


def test_the_result_of_the_run_is_answered_with_all_measures_of_the_book_once():
    agent = officer()

    said = decide(agent, marked((100, -50, 0)), var=123.0)

    exposures = np.array([10_000.0, -5_000.0, 0.0])
    (found,) = said[1:]
    assert (found.monte_carlo_var, found.monte_carlo_es) == (123.0, 246.0)
    assert found.historical_var == pytest.approx(past(exposures).var, rel=1e-12)
    assert found.historical_es == pytest.approx(past(exposures, 0.975).es, rel=1e-12)
    assert found.parametric_var == pytest.approx(normal(exposures).var, rel=1e-12)
    assert found.parametric_es == pytest.approx(normal(exposures, 0.975).es, rel=1e-12)
    assert (found.worst_stress, found.worst_stress_loss, found.delta) == ("crash", 123.0, 5_000.0)
    assert [factor for factor, _ in found.components] == [0, 1]
    assert sum(share for _, share in found.components) == pytest.approx(found.parametric_var, rel=1e-12)
    assert found.stressed_var > 0
    assert found.unknown == ()


def test_a_limit_whose_input_was_never_fed_is_named_in_the_measure_and_refuses():
    agent = fresh("universe.reference={KO: {sector: Energy, average_daily_volume: 1e6}}")
    tell(agent, STOCKS, history(CLOSES), QUOTES, RECONCILED)

    measured = decide(agent, marked((10, 0, 0)))[-1]

    assert [reason.partition(":")[0] for reason in measured.unknown] == [
        "liquidity",
        "sector",
        "stress",
        "margin",
    ]
    assert ask(agent, 1).reason == "margin: the broker has not reported its figures yet"
    assert ask(agent, 1, seq=201, instrument=1).limit == "liquidity"
    assert type(ask(agent, 5, SELL, seq=202)) is OrderApproved


def test_an_old_account_report_is_no_knowledge():
    agent = officer("risk.margin.max_age_ms=1000")
    late = START + 2_000_000_000

    measured = decide(agent, marked(), at=late)[-1]

    assert measured.unknown[0].startswith("margin: the broker's figures are")
    assert ask(agent, 1).limit == "margin"


def test_an_agent_that_recalls_its_past_judges_as_if_it_had_lived_it():
    lived, heard = officer(), []
    said = []
    for n, quantities in enumerate([(0, 0, 0), (40, 0, 0), (40, -30, 0)]):
        first = 1000 * n + 100
        at = START + n
        opening = [
            heard_at(first, at, DECIDE),
            heard_at(first + 1, at, marked(quantities)),
        ]
        heard += opening
        for entry in opening:
            said = lived.handle(entry)
        request = heard_at(first + 2, at, said[-1])
        run = RiskRunCompleted(first + 2, 1920, 10.0, 20.0, 30.0, (("crash", 1.0),))
        rest = [request, heard_at(first + 3, at, run)]
        orders = [proposed(0, BUY, 30), proposed(1, SELL, 20), proposed(0, BUY, 100)]
        rest += [heard_at(first + 10 + i, at, OrderProposed(order, "test")) for i, order in enumerate(orders)]
        approvals = []
        for entry in rest:
            approvals += [answer for answer in lived.handle(entry) if type(answer) is OrderApproved]
        own = [heard_at(first + 20 + i, at, answer) for i, answer in enumerate(approvals)]
        for entry in own:
            lived.handle(entry)
        heard += rest + own

    recalled = fresh()
    told = [STOCKS, history(CLOSES), QUOTES, RECONCILED, ACCOUNT]
    recalled.recall([*(heard_at(1 + i, START, event) for i, event in enumerate(told)), *heard])

    for n, (quantity, side) in enumerate([(1, BUY), (25, SELL), (60, BUY)]):
        assert ask(recalled, quantity, side, seq=9000 + n) == ask(lived, quantity, side, seq=9000 + n)
    assert recalled._book.approvals == lived._book.approvals


def test_the_result_of_another_run_is_not_this_cycles():
    agent = officer()
    (request,) = tell(agent, DECIDE, marked(), first=100)

    said = tell(agent, request, RiskRunCompleted(55, 192, 1.0, 1.0, 1.0, ()), first=102)

    assert said == []
    assert ask(agent, 1).reason == "monte carlo: the run has not come back in this cycle"


def test_a_good_order_is_approved_under_its_own_name():
    agent = officer()
    decide(agent, marked())

    assert ask(agent, 100, seq=217) == OrderApproved(217, approved(0, BUY, 100))


def test_an_order_at_the_position_limit_passes_and_one_more_is_refused_with_the_numbers():
    at_limit, beyond = officer(), officer()
    decide(at_limit, marked((50, 0, 0)))
    decide(beyond, marked((50, 0, 0)))

    reason = "position weight: would hold 151 KO, 0.151000 of equity, limit is 0.15"
    assert type(ask(at_limit, 100)) is OrderApproved
    assert ask(beyond, 101) == RiskRefused(200, "position_weight", reason)


def test_what_was_approved_in_this_cycle_counts_for_the_next_order():
    agent = officer()
    decide(agent, marked())

    assert type(ask(agent, 100, seq=200)) is OrderApproved
    assert ask(agent, 51, seq=202).reason.startswith("position weight: would hold 151 KO")
    assert type(ask(agent, 50, seq=204)) is OrderApproved


@pytest.mark.parametrize(
    "end",
    [
        OrderDone(200, Decimal(0), "expired"),
        ComplianceRefused(200, "restricted", "list"),
        ExecutionRefused(200, Decimal(100), "quote", "old"),
    ],
)
def test_an_approval_counts_no_longer_when_the_order_has_ended(end: Event):
    agent = officer()
    decide(agent, marked())
    ask(agent, 100, seq=200)
    assert type(ask(agent, 100, seq=202)) is RiskRefused

    tell(agent, end, first=210)

    assert type(ask(agent, 150, seq=212)) is OrderApproved


def test_a_fill_moves_from_the_approval_to_the_position_and_counts_once():
    agent = officer()
    decide(agent, marked())
    ask(agent, 100, seq=200)
    change = PositionChanged(0, d(60), d(100), d(0), d(94_000))
    tell(agent, submitted(200, 100), filled(210, "a", BUY, 60), filled(210, "a", BUY, 60), change, first=210)
    decide(agent, marked((60, 0, 0)), first=220)

    assert ask(agent, 51, seq=230).reason.startswith("position weight: would hold 151 KO")
    assert type(ask(agent, 50, seq=232)) is OrderApproved


def test_after_the_order_is_done_only_the_position_counts():
    agent = officer()
    decide(agent, marked())
    ask(agent, 100, seq=200)
    change = PositionChanged(0, d(60), d(100), d(0), d(94_000))
    done = OrderDone(200, d(60), "expired")
    tell(agent, submitted(200, 100), filled(210, "a", BUY, 60), change, done, first=210)

    assert ask(agent, 91, seq=230).reason.startswith("position weight: would hold 151 KO")
    assert type(ask(agent, 90, seq=232)) is OrderApproved


def test_an_aborted_cycle_is_a_halt_and_frees_what_nobody_acted_upon():
    agent = officer()
    decide(agent, marked())
    tell(agent, CycleOpened(1, CycleKind.DECISION, 1), first=190)
    ask(agent, 100, seq=200, instrument=0)
    ask(agent, 100, seq=201, instrument=1)
    tell(agent, submitted(201, 100), CycleAborted("execution", 205, "bug", 204), first=206)

    halted = ask(agent, 10, seq=208)
    tell(agent, TradingRearmed("ada", "ok"), first=209)

    reason = "trading is halted: the cycle was aborted: execution failed on entry 205"
    assert halted == RiskRefused(208, "halted", reason)
    assert type(ask(agent, 150, seq=210, instrument=0)) is OrderApproved
    assert type(ask(agent, 51, seq=211, instrument=1)) is RiskRefused


def test_an_abort_in_a_later_cycle_leaves_waiting_approvals_alone():
    agent = officer()
    decide(agent, marked())
    ask(agent, 100, seq=200)
    tell(
        agent,
        CycleOpened(2, CycleKind.REACTION, 1),
        CycleAborted("bookkeeper", 211, "bug", 210),
        TradingRearmed("ada", "ok"),
        first=210,
    )

    assert type(ask(agent, 51, seq=220)) is RiskRefused


def test_without_a_mark_of_this_decision_nothing_that_adds_risk_passes():
    agent = officer()
    decide(agent, marked((10, 0, 0)))
    tell(agent, DECIDE, first=150)

    reason = "marks: the book was not marked at this decision: cash or the price of a position is unknown"
    assert ask(agent, 1) == RiskRefused(200, "marks", reason)
    assert type(ask(agent, 10, SELL, seq=201)) is OrderApproved


def test_without_enough_history_no_run_is_requested_and_nothing_that_adds_risk_passes():
    agent = fresh()
    tell(agent, STOCKS, history(CLOSES[:249]), QUOTES, RECONCILED, ACCOUNT)

    assert decide(agent, marked((10, 0, 0))) == []
    assert ask(agent, 1) == RiskRefused(200, "history", "history: VaR needs 250 returns, found 249")
    assert type(ask(agent, 10, SELL, seq=201)) is OrderApproved


def test_a_position_without_returns_cannot_be_simulated_and_nothing_is_pretended():
    agent = fresh()
    holes = CLOSES.copy()
    holes[:100, 2] = np.nan
    tell(agent, STOCKS, history(holes), QUOTES, RECONCILED, ACCOUNT)

    assert decide(agent, marked((0, 0, 10))) == []
    assert ask(agent, 1).reason == "history: XOM has too few returns to be measured"
    assert [type(event) for event in decide(agent, marked((10, 0, 0)), first=300)] == [
        RiskRunRequested,
        RiskMeasured,
    ]


def test_a_failed_run_means_no_new_risk_in_that_cycle():
    agent = officer()
    (request,) = tell(agent, DECIDE, marked((10, 0, 0)), first=100)
    tell(agent, request, RiskRunFailed(99, "another"), RiskRunFailed(102, "timed out"), first=102)

    refused = RiskRefused(200, "monte_carlo", "monte carlo: the run of this cycle failed: timed out")
    assert ask(agent, 1) == refused
    assert type(ask(agent, 10, SELL, seq=201)) is OrderApproved
    decide(agent, marked((0, 0, 0)), first=300)
    assert type(ask(agent, 1, seq=310)) is OrderApproved


def test_the_result_of_the_cycle_before_is_not_used_again():
    agent = officer()
    decide(agent, marked())
    tell(agent, DECIDE, marked(), first=150)

    assert ask(agent, 1).reason == "monte carlo: no run was requested in this cycle"


def test_a_timer_forgets_nothing():
    agent = officer()
    decide(agent, marked())
    tell(agent, TIMER, first=150)

    assert type(ask(agent, 1)) is OrderApproved


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (BrokerDisconnected("reset"), "broker: positions are not known: disconnected: reset"),
        (
            BrokerConnected("DU1", Decimal(0)),
            "broker: positions are not known: connected, but not reconciled yet",
        ),
    ],
)
def test_nothing_passes_while_the_broker_is_not_reconciled(state: Event, reason: str):
    agent = officer()
    decide(agent, marked((10, 0, 0)))
    tell(agent, state, first=150)

    assert ask(agent, 10, SELL) == RiskRefused(200, "broker", reason)
    tell(agent, RECONCILED, first=201)
    assert type(ask(agent, 10, SELL, seq=202)) is OrderApproved


def test_with_breaks_only_what_reduces_both_ledgers_passes():
    agent = officer()
    decide(agent, marked((10, 0, 0)))
    tell(agent, Reconciled(((0, Decimal(6)),), Decimal(0), ("KO: we 10, broker 6",)), first=150)

    reason = "reconciliation: 1 unresolved breaks with the broker, first: KO: we 10, broker 6"
    assert ask(agent, 1) == RiskRefused(200, "reconciliation", reason)
    assert type(ask(agent, 7, SELL, seq=201)) is RiskRefused
    assert type(ask(agent, 6, SELL, seq=202)) is OrderApproved


def test_nothing_passes_a_halt_until_trading_is_rearmed():
    agent = officer()
    decide(agent, marked((10, 0, 0)))

    tell(agent, TradingHalted("operator: fire drill"), first=150)
    assert ask(agent, 1, SELL) == RiskRefused(200, "halted", "trading is halted: operator: fire drill")
    tell(agent, TradingRearmed("ada", "over"), first=201)
    assert type(ask(agent, 1, SELL, seq=202)) is OrderApproved


def test_a_loss_beyond_its_limit_asks_for_a_halt_once_and_halts_risk_itself():
    agent = officer()
    decide(agent, marked())

    said = decide(agent, marked(equity=94_999), first=120, at=START + 1)
    again = decide(agent, marked(equity=94_000), first=130, at=START + 2)

    reason = "daily loss: equity 94999 is 0.0500 below 100000, limit is 0.05"
    assert [type(event) for event in said] == [RiskHaltRequested, RiskRunRequested, RiskMeasured]
    assert said[0] == RiskHaltRequested(reason)
    assert [type(event) for event in again] == [RiskRunRequested, RiskMeasured]
    assert ask(agent, 1) == RiskRefused(200, "halted", f"trading is halted: {reason}")


def test_a_rearm_after_a_loss_accepts_it_and_after_another_halt_does_not():
    lost, stopped = officer(), officer()
    for agent in (lost, stopped):
        decide(agent, marked())
    decide(lost, marked(equity=90_000), first=120)
    decide(stopped, marked(equity=97_000), first=120)
    tell(stopped, TradingHalted("operator: drill"), first=130)
    for agent in (lost, stopped):
        tell(agent, TradingRearmed("ada", "ok"), first=140)

    assert type(decide(lost, marked(equity=86_000), first=150)[0]) is RiskRunRequested
    assert type(decide(stopped, marked(equity=94_000), first=150)[0]) is RiskHaltRequested


proposals = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(Side), st.integers(1, 160), st.booleans()), max_size=12
)


@given(proposals, st.integers(0, 100))
@hypothesis_settings(deadline=None, max_examples=60)
def test_whatever_is_asked_in_whatever_order_and_whatever_fills_no_limit_breaks(
    asked: list[tuple[int, Side, int, bool]], percent: int
):
    agent = officer("risk.max_portfolio_var=350", "risk.max_position_var=330")
    decide(agent, marked())
    held, waiting = [0, 0, 0], []
    for n, (index, side, quantity, fills) in enumerate(asked):
        seq = 200 + 10 * n
        if type(ask(agent, quantity, side, seq=seq, instrument=index)) is not OrderApproved:
            continue
        part = quantity * percent // 100 if fills else 0
        held[index] += side.sign * part
        waiting.append((index, side.sign * (quantity - part)))
        change = PositionChanged(index, d(held[index]), d(PRICE), d(0), d(0))
        fill = filled(seq + 1, f"x{n}", side, part, instrument=index)
        tell(agent, submitted(seq, quantity, side), fill, change, first=seq + 1)
    note(f"{held} {waiting}")
    for choice in product([0, 1], repeat=min(len(waiting), 8)):
        after = np.array(held, float)
        for take, (index, quantity) in zip(choice, waiting, strict=False):
            after[index] += take * quantity
        assert np.abs(after).sum() * PRICE <= 150_000
        assert np.abs(after).max() * PRICE <= 15_000
        for i, value in enumerate(after * PRICE):
            alone = np.eye(3)[i] * value
            assert max(past(alone).var, normal(alone).var) <= 330 + 1e-6
    everything = np.array(held, float)
    for index, quantity in waiting:
        everything[index] += quantity
    assert past(everything * PRICE).var <= 350 + 1e-6
    assert normal(everything * PRICE).var <= 350 + 1e-6
