"""How each control of the firm is tripped: the cases of test_every_limit.py."""

from decimal import Decimal

import stage
from case import KO, XOM, Case, asleep, bent, cio_says, filled_twice_over, told
from figure_controls import FIGURES
from stage import CLOSE, MINUTE, OPEN, StageBroker, deaf_to

from firm.domain.order import Side
from firm.events.broker import (
    CircuitChanged,
    CircuitState,
    DataState,
    DataStateChanged,
    GateChanged,
    GateState,
)
from firm.events.external import ExternalEvent, Topic
from firm.events.orders import OrderFilled
from firm.events.risk import PositionChanged, RiskRunFailed, RiskRunRequested
from firm.events.system import (
    BrokerConnected,
    BrokerDisconnected,
    OperatorHaltRequested,
    Reconciled,
    TradingHalted,
)

KO_PRICE, XOM_PRICE = "62.86", "106.92"
HALT = OperatorHaltRequested("drill")
STRANGER = OrderFilled(10**6, "by-hand", 1, XOM, Side.BUY, Decimal(100), Decimal(XOM_PRICE), "SIM")
DEAF = deaf_to(TradingHalted)
DEAF_EXECUTION = {"cio": DEAF, "risk": DEAF, "compliance": DEAF}
MISMATCH = Reconciled(((KO, Decimal(7)),), Decimal(1_000_000), ("KO: broker 7, ledger 0",))
LINK_LOST = BrokerDisconnected("link lost")
RESTART = "the gateway restarts at 23:45 New York time"
FROZEN = GateChanged(GateState.OPEN, GateState.FROZEN, RESTART)
SYNCING = GateChanged(GateState.FROZEN, GateState.SYNCING, "the time of the restart is over")
REOPENED = GateChanged(GateState.SYNCING, GateState.OPEN, "reconciled")
TRIPPED = CircuitChanged(CircuitState.CLOSED, CircuitState.OPEN, "5 failures in a row")
COOLED = CircuitChanged(CircuitState.OPEN, CircuitState.HALF_OPEN, "60000 ms have passed")
DELAYED = DataStateChanged(KO, DataState.LIVE, DataState.DELAYED, "the gateway gives data of type 3")
LIVE = DataStateChanged(KO, DataState.DELAYED, DataState.LIVE, "live quotes")

CASES = [
    *FIGURES,
    Case(
        "risk.order",
        "order: quantity must be positive and below 1e16, found 0",
        changes={"cio": cio_says(quantity=Decimal(0))},
        loose_changes={},
        only=KO,
        same=False,
    ),
    Case(
        "risk.order",
        "order: instrument 20 is not one of the 20 resolved",
        changes={"cio": cio_says(instrument=20)},
        loose_changes={},
        only=20,
        same=False,
        title="no such instrument",
    ),
    Case(
        "risk.halted",
        "trading is halted: operator: drill",
        story=told(HALT),
        loose_story=StageBroker,
        changes={"cio": DEAF},
    ),
    Case(
        "risk.broker",
        "broker: positions are not known: disconnected: link lost",
        story=told(LINK_LOST),
        loose_story=StageBroker,
        changes={"cio": deaf_to(BrokerDisconnected)},
    ),
    Case(
        "risk.broker",
        "broker: positions are not known: connected, but not reconciled yet",
        story=told(LINK_LOST, BrokerConnected("DU0000001", Decimal(1_000_000))),
        loose_story=told(
            LINK_LOST,
            BrokerConnected("DU0000001", Decimal(1_000_000)),
            Reconciled((), Decimal(1_000_000), ()),
        ),
        changes={"cio": deaf_to(BrokerDisconnected)},
        same=False,
        title="not reconciled",
    ),
    Case(
        "risk.gate",
        f"gate: nothing new may be sent to the broker: the gate is frozen: {RESTART}",
        story=told(FROZEN),
        loose_story=told(FROZEN, SYNCING, REOPENED),
        changes={"cio": deaf_to(GateChanged)},
    ),
    Case(
        "risk.gate",
        "gate: nothing new may be sent to the broker: the circuit breaker is open: 5 failures in a row",
        story=told(TRIPPED),
        loose_story=told(TRIPPED, COOLED),
        changes={"cio": deaf_to(CircuitChanged)},
        title="circuit",
    ),
    Case(
        "risk.data",
        "data: KO: its quotes are delayed: the gateway gives data of type 3",
        story=told(DELAYED),
        loose_story=told(DELAYED, LIVE),
        changes={"cio": deaf_to(DataStateChanged)},
        only=KO,
    ),
    Case(
        "risk.reconciliation",
        "reconciliation: 1 unresolved breaks with the broker, first: KO: broker 7, ledger 0",
        story=told(MISMATCH),
        loose_story=StageBroker,
        changes={"cio": deaf_to(Reconciled)},
    ),
    Case(
        "risk.marks",
        "marks: the book was not marked at this decision: cash or the price of a position is unknown",
        story=lambda s: StageBroker(s, {CLOSE[1] - MINUTE: [STRANGER]}, stage.unquoted(XOM, 0)),
        loose_story=bent(stage.unquoted(XOM, 0)),
        changes={"cio": deaf_to(PositionChanged)},
        decision=1,
        same=False,
        blind=True,
    ),
    Case(
        "risk.history",
        "history: VaR needs 600 returns, found 504",
        tight=("risk.var.min_history_bars=600", "risk.var.history_bars=900"),
        loose=("risk.var.min_history_bars=250", "risk.var.history_bars=900"),
        blind=True,
    ),
    Case(
        "risk.monte_carlo",
        "monte carlo: the run of this cycle failed: the workers are gone",
        crew={"risk_fails": lambda _cycle: True},
        changes={"cio": deaf_to(RiskRunRequested, RiskRunFailed)},
        loose_changes={},
        blind=True,
    ),
    Case(
        "compliance.order_sanity",
        f"order sanity: reference price {KO_PRICE}5 is not a multiple of the tick 0.01",
        changes={"cio": cio_says(reference_price=Decimal(KO_PRICE + "5"))},
        loose_changes={},
        only=KO,
        same=False,
    ),
    Case(
        "compliance.halted",
        "trading is halted: operator: drill",
        story=told(HALT),
        loose_story=StageBroker,
        changes={"cio": DEAF, "risk": DEAF},
    ),
    Case(
        "compliance.restricted",
        "restricted list: XOM may not be traded: insider list",
        tight=("compliance.restricted=[{symbol: XOM, reason: insider list}]",),
        only=XOM,
    ),
    Case(
        "compliance.restricted",
        "restricted list: KO may not be traded: merger talks (desk)",
        story=told(ExternalEvent(Topic.RESTRICT, "KO", "merger talks", "desk")),
        loose_story=told(
            ExternalEvent(Topic.RESTRICT, "KO", "merger talks", "desk"),
            ExternalEvent(Topic.UNRESTRICT, "KO", "talks ended", "desk"),
        ),
        only=KO,
        same=False,
        title="by the operator, lifted",
    ),
    Case(
        "compliance.max_order_quantity",
        "order quantity: # units, limit is 1000",
        tight=("compliance.max_order_quantity=1000",),
        loose=("compliance.max_order_quantity=1380",),
    ),
    Case(
        "compliance.max_order_value",
        "order value: # USD, limit is 90000 USD",
        tight=("compliance.max_order_value_usd=90000",),
        loose=("compliance.max_order_value_usd=150000",),
    ),
    Case(
        "compliance.price_collar",
        f"price collar: reference price 70.20 is # away from the mid {KO_PRICE}, limit is 0.05",
        tight=("compliance.price_collar=0.05",),
        loose=("compliance.price_collar=0.2",),
        changes={"cio": cio_says(reference_price=Decimal("70.20"))},
        only=KO,
    ),
    Case(
        "compliance.price_collar",
        "price collar: the quote of # is 1800000 ms old, limit is 1799999 ms",
        tight=("compliance.max_quote_age_ms=1799999",),
        loose=("compliance.max_quote_age_ms=1800000",),
        title="stale quote",
    ),
    Case(
        "execution.halt",
        "trading is halted: operator: drill",
        story=told(HALT),
        loose_story=StageBroker,
        changes=DEAF_EXECUTION,
    ),
    Case(
        "execution.broker",
        "broker: disconnected: link lost",
        story=told(LINK_LOST, at=OPEN[1]),
        loose_story=told(LINK_LOST, Reconciled((), Decimal(1_000_000), ()), at=OPEN[1]),
    ),
    Case(
        "execution.broker",
        "broker: 1 unresolved breaks since the order was approved: KO: broker 7, ledger 0",
        story=told(MISMATCH, at=OPEN[1]),
        loose_story=StageBroker,
        title="breaks",
    ),
    Case(
        "execution.broker",
        f"broker: the gate is frozen: {RESTART}",
        story=told(FROZEN, at=OPEN[1]),
        loose_story=told(FROZEN, SYNCING, REOPENED, at=OPEN[1]),
        title="gate",
    ),
    Case(
        "execution.broker",
        "broker: the circuit breaker is open: 5 failures in a row",
        story=told(TRIPPED, at=OPEN[1]),
        loose_story=told(TRIPPED, COOLED, at=OPEN[1]),
        title="circuit",
    ),
    Case(
        "execution.validity",
        "validity: the clearance ran out 1800000 ms ago",
        tight=("compliance.cleared_for_ms=324000000", "execution.twap_slices=1"),  # until 15:00, 90 h later
        loose=("compliance.cleared_for_ms=325800000", "execution.twap_slices=1"),
        story=asleep(OPEN[1] + MINUTE, OPEN[1] + 60 * MINUTE),
    ),
    Case(
        "execution.session",
        "session: the market is closed",
        story=asleep(OPEN[1] + MINUTE, CLOSE[1]),
        loose_story=asleep(OPEN[1] + MINUTE, OPEN[1] + 60 * MINUTE),
    ),
    Case(
        "execution.quote",
        "quote: the last quote is # ms old, limit is 27000000 ms",
        tight=("compliance.max_quote_age_ms=27000000",),
        loose=("compliance.max_quote_age_ms=400000000",),
        story=bent(stage.unquoted(KO, OPEN[1])),
        only=KO,
    ),
    Case(
        "execution.quantity",
        "quantity: 98 wanted, # of the cleared 197 are left",
        story=filled_twice_over,
        loose_story=StageBroker,
        only=KO,
    ),
    Case(
        "execution.price",
        "price: the limit price # is outside the cleared 59.72 to 66.00",
        tight=("compliance.price_collar=0.05",),
        loose=("compliance.price_collar=0.15",),
        story=bent(stage.gapped(KO, OPEN[1], 1.1)),
        only=KO,
    ),
    Case(
        "execution.message_rate",
        "message rate: 5 messages in this cycle already, limit is 5",
        tight=("execution.max_messages_per_cycle=5",),
        loose=("execution.max_messages_per_cycle=200",),
    ),
]
