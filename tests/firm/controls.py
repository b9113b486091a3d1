"""How each control of the firm is tripped: the cases of test_every_limit.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import stage
import whole_firm
from msgspec.structs import replace
from stage import CLOSE, MINUTE, OPEN, Change, StageBroker, deaf_to, play, twisted

from firm.config import Settings
from firm.domain.order import Side
from firm.events import Event
from firm.events.external import ExternalEvent, Topic
from firm.events.orders import OrderFilled, OrderProposed
from firm.events.risk import PositionChanged, RiskRunFailed, RiskRunRequested
from firm.events.system import (
    BrokerConnected,
    BrokerDisconnected,
    OperatorHaltRequested,
    Reconciled,
    TradingHalted,
)
from firm.exchange.reports import ExchangeEvent
from firm.local_broker import LocalBroker
from firm.store.memory import MemoryStore

BEFORE = CLOSE[0] - MINUTE
"""Just before the first decision."""
KO, XOM = 9, 19
KO_PRICE, XOM_PRICE = "62.86", "106.92"


@dataclass(frozen=True)
class Case:
    """How one control is tripped, and how not: `tight` and `loose` overrides, or what else is the matter.

    In `reason`, `#` stands for a number or a symbol. `only` names the instrument it is about (None: any).
    With `same` the refused order is, to the last digit, the one that passes when loosened.
    """

    control: str
    reason: str
    tight: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    story: Callable[[Settings], LocalBroker] = StageBroker
    loose_story: Callable[[Settings], LocalBroker] | None = None
    changes: Mapping[str, Change] = field(default_factory=dict)
    loose_changes: Mapping[str, Change] | None = None
    crew: Mapping[str, Callable[[int], bool]] = field(default_factory=dict)
    only: int | None = None
    decision: int = 0
    same: bool = True
    title: str = ""

    def run(self, *, tight: bool) -> MemoryStore:
        overrides = self.tight if tight else self.loose
        story = self.story if tight or self.loose_story is None else self.loose_story
        changes = self.changes if tight or self.loose_changes is None else self.loose_changes
        settings = whole_firm.settings(*stage.BASE, *overrides)
        crew = stage.ChangedCrew(settings, changes, **(self.crew if tight else {}))
        return play(*overrides, story=story, crew=crew)


def told(*events: Event, at: int = BEFORE) -> Callable[[Settings], LocalBroker]:
    return lambda settings: StageBroker(settings, {at: events})


def bent(bend: stage.Bend) -> Callable[[Settings], LocalBroker]:
    return lambda settings: StageBroker(settings, bend=bend)


def asleep(start: int, end: int) -> Callable[[Settings], LocalBroker]:
    return lambda settings: StageBroker(settings, asleep=(start, end))


def cio_says(**changes: object) -> Change:
    """A CIO whose orders for KO come out wrong."""

    def twist(event: Event) -> Event:
        if isinstance(event, OrderProposed) and event.order.instrument == KO:
            return replace(event, order=replace(event.order, **changes))
        return event

    return twisted(twist)


def filled_twice_over(settings: Settings) -> LocalBroker:
    """The broker reports more fills of KO's first child than were ordered."""
    seen: list[OrderFilled] = []

    class Generous(StageBroker):
        def _report(self, report: ExchangeEvent) -> list[Event]:
            said = super()._report(report)
            for event in said:
                if isinstance(event, OrderFilled) and event.instrument == KO and not seen:
                    seen.append(event)
                    return [*said, replace(event, exec_id="surplus", quantity=Decimal(150))]
            return said

    return Generous(settings)


HALT = OperatorHaltRequested("drill")
STRANGER = OrderFilled(10**6, "by-hand", 1, XOM, Side.BUY, Decimal(100), Decimal(XOM_PRICE), "SIM")
DEAF = deaf_to(TradingHalted)
DEAF_EXECUTION = {"cio": DEAF, "risk": DEAF, "compliance": DEAF}
MISMATCH = Reconciled(((KO, Decimal(7)),), Decimal(1_000_000), ("KO: broker 7, ledger 0",))
LINK_LOST = BrokerDisconnected("link lost")

CASES = [
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
    ),
    Case(
        "risk.history",
        "history: VaR needs 600 returns, found 504",
        tight=("risk.var.min_history_bars=600", "risk.var.history_bars=900"),
        loose=("risk.var.min_history_bars=250", "risk.var.history_bars=900"),
    ),
    Case(
        "risk.monte_carlo",
        "monte carlo: the run of this cycle failed: the workers are gone",
        crew={"risk_fails": lambda _cycle: True},
        changes={"cio": deaf_to(RiskRunRequested, RiskRunFailed)},
        loose_changes={},
    ),
    Case(
        "risk.position_weight",
        "position weight: would hold # #, # of equity, limit is 0.05",
        tight=("risk.max_position_weight=0.05",),
        loose=("risk.max_position_weight=0.15",),
    ),
    Case(
        "risk.position_var",
        "position VaR: would hold # # with a VaR of #, limit is 2500.00",
        tight=("risk.max_position_var=2500",),
        loose=("risk.max_position_var=8000",),
    ),
    Case(
        "risk.leverage",
        "leverage: gross exposure would be #, # times the equity of 1000000.00, limit is 0.9",
        tight=("risk.max_leverage=0.9",),
        loose=("risk.max_leverage=1.5",),
    ),
    Case(
        "risk.portfolio_var",
        "portfolio VaR: # VaR would be #, limit is 9000.00",
        tight=("risk.max_portfolio_var=9000",),
        loose=("risk.max_portfolio_var=35000",),
    ),
    Case(
        "risk.portfolio_var",
        "portfolio VaR: Monte Carlo VaR of the book now is #, limit is 24000.00",
        tight=("risk.max_portfolio_var=24000",),
        loose=("risk.max_portfolio_var=35000",),
        decision=1,
        title="Monte Carlo",
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
