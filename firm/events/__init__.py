"""The facts: every event class of the firm, their codec, and who may put an input in the log."""

from typing import Final

from firm.events import external, market, orders, risk, scheduled, signals, system
from firm.events.base import Codec, Entry, Event, encode
from firm.events.record import Origin, Record

EVENTS: Final[tuple[type[Event], ...]] = (
    market.MarketData,
    market.Ticks,
    market.HistoryLoaded,
    scheduled.SessionsLoaded,
    scheduled.ScheduledTick,
    scheduled.TimerRequested,
    external.ExternalEvent,
    signals.Signal,
    signals.BarrierClosed,
    signals.LateAnswer,
    orders.OrderProposed,
    orders.OrderApproved,
    orders.RiskRefused,
    orders.OrderCleared,
    orders.ComplianceRefused,
    orders.OrderSubmitted,
    orders.OrderCancelRequested,
    orders.ExecutionRefused,
    orders.OrderDone,
    orders.OrderAccepted,
    orders.OrderFilled,
    orders.CommissionReported,
    orders.OrderCanceled,
    orders.OrderExpired,
    orders.BrokerRejected,
    orders.OrderUnknown,
    orders.OrderNotAccepted,
    risk.RiskRunRequested,
    risk.RiskRunCompleted,
    risk.RiskRunFailed,
    risk.RiskMeasured,
    risk.RiskHaltRequested,
    risk.PositionChanged,
    risk.BookMarked,
    system.RunStarted,
    system.InstrumentsResolved,
    system.CycleOpened,
    system.CycleAborted,
    system.EntrySkipped,
    system.TradingHalted,
    system.TradingRearmed,
    system.OperatorHaltRequested,
    system.OperatorRearmRequested,
    system.ShutdownRequested,
    system.BrokerConnected,
    system.BrokerDisconnected,
    system.Reconciled,
)

CODEC: Final = Codec(EVENTS)

INPUT_AUTHORS: Final[dict[type[Event], str]] = {
    market.MarketData: "broker",
    market.Ticks: "broker",
    market.HistoryLoaded: "broker",
    scheduled.SessionsLoaded: "clock",
    scheduled.ScheduledTick: "clock",
    external.ExternalEvent: "operator",
    signals.BarrierClosed: "bus",
    signals.LateAnswer: "bus",
    orders.OrderAccepted: "broker",
    orders.OrderFilled: "broker",
    orders.CommissionReported: "broker",
    orders.OrderCanceled: "broker",
    orders.OrderExpired: "broker",
    orders.BrokerRejected: "broker",
    orders.OrderUnknown: "broker",
    orders.OrderNotAccepted: "broker",
    risk.RiskRunFailed: "bus",
    system.RunStarted: "bus",
    system.InstrumentsResolved: "broker",
    system.CycleOpened: "bus",
    system.CycleAborted: "bus",
    system.EntrySkipped: "operator",
    system.OperatorHaltRequested: "operator",
    system.OperatorRearmRequested: "operator",
    system.ShutdownRequested: "operator",
    system.BrokerConnected: "broker",
    system.BrokerDisconnected: "broker",
    system.Reconciled: "broker",
}
"""Who writes each input. Everything else is derived: said by an agent, or by the bus in answer."""

USER_EVENT_TYPES: Final[dict[str, tuple[type[Event], ...]]] = {
    "market_data": (market.MarketData,),
    "tick": (market.Ticks,),
    "order_submit": (orders.OrderSubmitted,),
    "order_fill": (orders.OrderFilled,),
    "order_cancel": (orders.OrderCancelRequested, orders.OrderCanceled),
    "order_reject": (orders.BrokerRejected, orders.RiskRefused, orders.ComplianceRefused),
    "signal": (signals.Signal,),
    "scheduled_tick": (scheduled.ScheduledTick,),
    "kill_switch": (system.OperatorHaltRequested, risk.RiskHaltRequested, system.TradingHalted),
    "shutdown": (system.ShutdownRequested,),
}
"""The event types of the specification, and the classes that carry them."""

__all__ = [
    "CODEC",
    "EVENTS",
    "INPUT_AUTHORS",
    "USER_EVENT_TYPES",
    "Entry",
    "Event",
    "Origin",
    "Record",
    "encode",
]
