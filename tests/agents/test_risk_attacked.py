"""Ways round Risk that were found by attacking it, each closed: see also test_risk.py."""

import numpy as np
from desk import BUY, DECIDE, RECONCILED, SELL, d, filled, history, proposed, submitted
from telling import START, tell
from test_risk import ACCOUNT, CLOSES, QUOTES, STOCKS, ask, decide, fresh, heard_at, marked, officer

from firm.agents.risk import Risk
from firm.events import Event
from firm.events.orders import OrderApproved, OrderDone, OrderProposed, RiskRefused
from firm.events.risk import PositionChanged, RiskRunCompleted, RiskRunRequested
from firm.events.system import CycleAborted, CycleKind, CycleOpened, Reconciled, TradingHalted, TradingRearmed

WIDE = (
    "risk.max_position_weight=10",
    "risk.max_leverage=10",
    "risk.max_net_leverage=10",
    "risk.max_sector_weight=10",
    "risk.max_factor_loss=10",
    "risk.stress.max_loss=1",
    "risk.max_portfolio_es=1e9",
    "risk.max_position_var=1e9",
    "risk.margin.min_headroom=0",
    "risk.liquidity.max_days_to_liquidate=1000",
    "risk.greeks={max_delta: 1e12, max_gamma: 1, max_vega: 1, interest_rate: 0}",
)
"""Nothing binds but what a test sets."""


def hedgeable(limit: int) -> Risk:
    """KO and PEP move nearly as one."""
    draws = np.random.default_rng(3)
    common = draws.normal(0, 0.01, (300, 1))
    moves = np.hstack([common, common + draws.normal(0, 0.001, (300, 1)), draws.normal(0, 0.01, (300, 1))])
    closes = np.exp(np.cumsum(moves, axis=0))
    agent = fresh(*WIDE, f"risk.max_portfolio_var={limit}")
    tell(agent, STOCKS, history(100 * closes / closes[-1]), QUOTES, RECONCILED, ACCOUNT)
    return agent


def test_taking_the_hedge_off_is_refused_though_it_makes_a_position_smaller_and_the_limit_is_broken():
    agent = hedgeable(limit=100)
    measured = decide(agent, marked((500, -500, 0)))[-1]
    assert measured.parametric_var > 100

    refused = ask(agent, 500, BUY, instrument=1)

    assert type(refused) is RiskRefused
    assert refused.limit == "portfolio_var"


def test_a_hedge_that_is_only_approved_makes_no_room():
    agent = hedgeable(limit=1000)
    decide(agent, marked())

    assert type(ask(agent, 250, SELL, seq=200, instrument=1)) is OrderApproved
    assert ask(agent, 500, BUY, seq=201).limit == "portfolio_var"


def test_with_breaks_the_position_at_the_broker_is_not_turned_by_selling_it_twice():
    agent = officer()
    decide(agent, marked((20, 0, 0)))
    tell(agent, Reconciled(((0, d(10)),), d(0), ("KO: we 20, broker 10",)), first=150)
    assert type(ask(agent, 10, SELL, seq=200)) is OrderApproved
    change = PositionChanged(0, d(10), d(100), d(0), d(0))
    done = OrderDone(200, d(10), "filled")
    tell(agent, submitted(200, 10, SELL), filled(210, "a", SELL, 10), change, done, first=210)
    decide(agent, marked((10, 0, 0)), first=220)

    assert ask(agent, 10, SELL, seq=230).limit == "reconciliation"


def test_margin_counts_from_the_positions_the_broker_reported_on():
    agent = officer(*WIDE, "risk.margin.min_headroom=0.9", "risk.max_portfolio_var=1e9")
    decide(agent, marked())
    assert type(ask(agent, 600, BUY, seq=200)) is OrderApproved
    change = PositionChanged(0, d(600), d(100), d(0), d(0))
    tell(
        agent,
        submitted(200, 600),
        filled(210, "a", BUY, 600),
        change,
        OrderDone(200, d(600), "filled"),
        first=210,
    )
    decide(agent, marked((600, 0, 0)), first=220)

    assert ask(agent, 600, BUY, seq=230).limit == "margin"


def test_instruments_that_stand_still_for_a_while_stop_no_decision():
    agent = fresh()
    closes = CLOSES.copy()
    closes[100:200, :2] = closes[100, :2]
    tell(agent, STOCKS, history(closes), QUOTES, RECONCILED, ACCOUNT)

    measured = decide(agent, marked((10, 0, 0)))[-1]

    assert measured.regime.startswith("unknown: an average correlation needs 2 instruments that move")
    assert type(ask(agent, 1)) is OrderApproved


def test_an_order_approved_after_its_cycle_was_aborted_is_recalled_as_it_was_lived():
    lived, heard = officer(), []

    def hear(seq: int, event: Event, at: int = START) -> list[Event]:
        heard.append(heard_at(seq, at, event))
        return list(lived.handle(heard[-1]))

    (request,) = [*hear(10, CycleOpened(1, CycleKind.DECISION, 1)), *hear(11, DECIDE), *hear(12, marked())]
    hear(13, request)
    hear(14, RiskRunCompleted(13, request.scenarios, 1.0, 2.0, 3.0, (("crash", 1.0),)))
    (approval,) = hear(20, OrderProposed(proposed(0, SELL, 60), "A"))  # late: Risk had failed on 21
    hear(22, CycleAborted("risk", 21, "bug", 19))
    hear(23, TradingHalted("cycle aborted"))
    hear(26, TradingRearmed("ada", "ok"))
    hear(30, CycleOpened(2, CycleKind.DECISION, 1))
    hear(31, DECIDE)
    (again,) = hear(32, marked())
    for seq, event in ((33, approval), (34, again)):
        hear(seq, event)
    hear(35, RiskRunCompleted(34, again.scenarios, 1.0, 2.0, 3.0, (("crash", 1.0),)))

    recalled = fresh()
    opening = [
        heard_at(1 + i, START, e)
        for i, e in enumerate([STOCKS, history(CLOSES), QUOTES, RECONCILED, ACCOUNT])
    ]
    recalled.recall([*opening, *heard])

    assert type(approval) is OrderApproved
    assert isinstance(request, RiskRunRequested)
    assert recalled._book.approvals == lived._book.approvals == {}
    assert ask(recalled, 140, BUY, seq=40) == ask(lived, 140, BUY, seq=40)
