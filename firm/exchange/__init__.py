"""The simulated exchange: user orders against replayed quotes and prints, with accounts and fees. Pure.

Driven over TCP by `firm.gateway_sim` and in process by the local runner. See `exchange.Exchange`.
"""

from firm.exchange.conditions import Condition
from firm.exchange.exchange import Exchange
from firm.exchange.fees import TieredFees
from firm.exchange.margin import MarginEffect, MarginRules
from firm.exchange.money import Money
from firm.exchange.orders import Algo, ExchangeState, OrderTicket, Special, Trail, WorkingOrder
from firm.exchange.reports import (
    ExchangeEvent,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
    OrderElected,
    OrderExpired,
    OrderFilled,
    OrderModified,
    OrderRejected,
    RequestRefused,
)
from firm.exchange.ticks import TickRule
from firm.exchange.venues import Venue

__all__ = [
    "Algo",
    "Condition",
    "Exchange",
    "ExchangeEvent",
    "ExchangeState",
    "MarginEffect",
    "MarginRules",
    "Money",
    "OrderAccepted",
    "OrderActivated",
    "OrderCancelled",
    "OrderElected",
    "OrderExpired",
    "OrderFilled",
    "OrderModified",
    "OrderRejected",
    "OrderTicket",
    "RequestRefused",
    "Special",
    "TickRule",
    "TieredFees",
    "Trail",
    "Venue",
    "WorkingOrder",
]
