"""The simulated exchange: user orders against replayed quotes and prints, with accounts and fees. Pure.

Driven over TCP by `firm.gateway_sim` and in process by the local runner. See `exchange.Exchange`.
"""

from firm.exchange.exchange import Exchange
from firm.exchange.fees import TieredFees
from firm.exchange.margin import MarginEffect, MarginRules
from firm.exchange.orders import ExchangeState, OrderTicket, WorkingOrder
from firm.exchange.reports import (
    ExchangeEvent,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderModified,
    OrderRejected,
    RequestRefused,
)

__all__ = [
    "Exchange",
    "ExchangeEvent",
    "ExchangeState",
    "MarginEffect",
    "MarginRules",
    "OrderAccepted",
    "OrderActivated",
    "OrderCancelled",
    "OrderExpired",
    "OrderFilled",
    "OrderModified",
    "OrderRejected",
    "OrderTicket",
    "RequestRefused",
    "TieredFees",
    "WorkingOrder",
]
