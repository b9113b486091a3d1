"""Orders as the gateway's clients know them, and how they are written on the wire. Pure."""

from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.exchange import OrderFilled, OrderTicket
from firm.gateway_sim.catalogue import contract, fill_venue
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.times import execution_time

REMOVED, ADDED = 2, 1


class Outgoing(NamedTuple):
    """A message for one client (by client id), to be encoded for the version it speaks."""

    client_id: int
    message: str
    values: Values


class PlacedOrder(Struct):
    """One order of one client, through its life. `status` is Interactive Brokers' word."""

    perm_id: int
    client_id: int
    order_id: int
    instrument: Instrument
    ticket: OrderTicket
    values: Values
    status: str
    filled: Decimal = ZERO
    average: Decimal = ZERO
    last_price: Decimal = ZERO
    modifications: int = 0
    completed_at: int | None = None
    completed_status: str = ""
    why_held: str = ""
    stop: Decimal | None = None

    @property
    def live(self) -> bool:
        """Whether it can still fill."""
        return self.completed_at is None


class Execution(NamedTuple):
    """A fill and the order it belongs to."""

    order: PlacedOrder
    fill: OrderFilled


def open_order(order: PlacedOrder, account: str, status: str | None = None) -> Outgoing:
    """The order as it stands, `status` instead of its own if given."""
    values = {
        **_terms(order, account),
        "orderId": order.order_id,
        "clientId": order.client_id,
        "sharesAllocation": f"{order.perm_id}.{order.modifications}/{account}/100",
        "status": status or order.status,
        "parentId": order.values["parentId"] or 0,
        "hidden": False,
    }
    limit = order.ticket.limit_price
    if order.stop is not None and order.ticket.special.trail is not None:
        values["trailStopPrice"] = values["adjustedTrailStopPrice"] = float(order.stop)
    elif limit is not None and order.ticket.side is Side.BUY:
        # Recorded: real gateways fill this in on plain limit buys, one above the limit.
        values["trailStopPrice"] = values["adjustedTrailStopPrice"] = float(limit + 1)
    return Outgoing(order.client_id, "openOrder", values)


ECHOED = (
    *("openClose", "origin", "outsideRth", "triggerMethod", "ocaGroup", "goodAfterTime", "goodTillDate"),
    *("allOrNone", "trailingPercent", "lmtPriceOffset", "algoStrategy", "algoParams", "conditions"),
    *("conditionsIgnoreRth", "conditionsCancelOrder"),
)


def _terms(order: PlacedOrder, account: str) -> Values:
    """What the order asks for, as both long replies have it."""
    ticket, asked = order.ticket, order.values
    return {
        **{name: asked[name] for name in ECHOED if name in asked},
        **contract(order.instrument, asked["exchange"] or "SMART"),
        "right": order.instrument.right or "?",
        "action": ticket.side.value,
        "totalQuantity": ticket.quantity,
        "orderType": asked["orderType"],
        "lmtPrice": ticket.limit_price or ZERO,
        "auxPrice": asked["auxPrice"] or ZERO,
        "tif": asked["tif"] or ticket.tif.value,
        "account": account,
        "orderRef": ticket.ref,
        "permId": order.perm_id,
        "displaySize": asked["displaySize"] or None,
        "ocaType": ticket.special.oca_type or 3,
    }


def order_status(order: PlacedOrder, status: str | None = None) -> Outgoing:
    """Status, filled and remaining quantity."""
    done = order.status in {"Cancelled", "Inactive"}
    values: Values = {
        "orderId": order.order_id,
        "status": status or order.status,
        "filled": order.filled,
        "remaining": ZERO if done and order.status == "Inactive" else order.ticket.quantity - order.filled,
        "avgFillPrice": order.average,
        "permId": order.perm_id,
        "parentId": order.values["parentId"] or 0,
        "lastFillPrice": order.last_price,
        "clientId": order.client_id,
        "whyHeld": order.why_held if order.live else "",
    }
    return Outgoing(order.client_id, "orderStatus", values)


def completed_order(order: PlacedOrder, account: str) -> Values:
    """The order after its end. Recorded: the total quantity of a filled order is given as zero."""
    assert order.completed_at is not None, "only completed orders can be written so"
    filled = order.status == "Filled"
    return {
        **_terms(order, account),
        "totalQuantity": ZERO if filled else order.ticket.quantity,
        "status": order.status,
        "filledQuantity": order.filled,
        "completedTime": execution_time(order.completed_at, 174),
        "completedStatus": order.completed_status,
    }


def exec_details(execution: Execution, account: str, req_id: int = -1) -> Values:
    """One execution; `req_id` is -1 when it has just happened. `at` becomes a time in `Session.say`."""
    order, fill = execution
    venue = fill_venue(order.instrument, fill.venue)
    return {
        **contract(order.instrument, venue),
        "reqId": req_id,
        "orderId": order.order_id,
        "execId": fill.exec_id,
        "at": fill.at,
        "account": account,
        "execExchange": venue,
        "side": "BOT" if fill.side is Side.BUY else "SLD",
        "shares": fill.quantity,
        "price": fill.price,
        "permId": order.perm_id,
        "clientId": order.client_id,
        "liquidation": int(order.order_id < 0),
        "cumQty": fill.cumulative,
        "avgPrice": round(fill.average_price, 8),
        "orderRef": fill.ref,
        "lastLiquidity": REMOVED if fill.removed_liquidity else ADDED,
    }


def commission_report(fill: OrderFilled, currency: str) -> Values:
    """What the execution cost; realised P&L after the commission, unset when the fill only opened."""
    realized = None if fill.realized_pnl is None else float(fill.realized_pnl - fill.commission)
    return {
        "execId": fill.exec_id,
        "commission": fill.commission,
        "currency": currency,
        "realizedPNL": realized,
        "yield": None,
    }


def error(client_id: int, req_id: int, code: int, text: str) -> Outgoing:
    """An error or a notice about the request or order `req_id` (-1: about the session)."""
    return Outgoing(client_id, "error", {"reqId": req_id, "code": code, "text": text})
