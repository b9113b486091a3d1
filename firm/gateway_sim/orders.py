"""Orders as the gateway's clients know them, and how they are written on the wire. Pure."""

from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from firm.domain.instrument import Instrument
from firm.domain.order import OrderType, Side, TimeInForce
from firm.domain.position import ZERO
from firm.exchange import OrderFilled, OrderTicket
from firm.gateway_sim.catalogue import FILL_VENUE, contract
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

    @property
    def live(self) -> bool:
        """Whether it can still fill."""
        return self.completed_at is None


class Execution(NamedTuple):
    """A fill and the order it belongs to."""

    order: PlacedOrder
    fill: OrderFilled


# Attributes that change how an order trades, and that the simulated exchange does not know. An order that
# asks for one is refused: trading it as a plain order would be a lie.
UNSUPPORTED: dict[str, tuple[object, ...]] = {
    "parentId": (0, None),
    "transmit": (True,),
    "ocaGroup": ("",),
    "goodAfterTime": ("",),
    "goodTillDate": ("",),
    "displaySize": (0, None),
    "hidden": (False,),
    "allOrNone": (False,),
    "minQty": (0, None),
    "algoStrategy": ("",),
    "conditions": ([], None),
    "hedgeType": ("",),
    "deltaNeutralContract": (False,),
    "deltaNeutralOrderType": ("", "None"),
    "discretionaryAmt": (0.0, None),
    "scalePriceIncrement": (0.0, None),
    "adjustedOrderType": ("", "None"),
    "cashQty": (0.0, None),
    "activeStartTime": ("",),
    "faGroup": ("",),
    "modelCode": ("",),
}


def unsupported(values: Values) -> list[str]:
    """The attributes of a placeOrder request that this gateway cannot honour."""
    return [name for name, plain in UNSUPPORTED.items() if values.get(name, plain[0]) not in plain]


def ticket_of(values: Values, instrument: Instrument) -> OrderTicket:
    """The exchange's order; ValueError with the gateway's words for kinds of order it has not got."""
    if values["orderType"] not in set(OrderType):
        raise ValueError(f"Unsupported order type for this exchange and security type: {values['orderType']}")
    tif = values["tif"] or TimeInForce.DAY.value
    if tif not in set(TimeInForce):
        raise ValueError(f"Invalid time in force: {tif}; this gateway knows {', '.join(TimeInForce)}")
    if values["action"] not in set(Side):
        raise ValueError(f"Invalid side: {values['action']}")
    order_type = OrderType(values["orderType"])
    limit = values["lmtPrice"]
    return OrderTicket(
        instrument=instrument.index,
        side=Side(values["action"]),
        quantity=values["totalQuantity"] or ZERO,
        order_type=order_type,
        limit_price=(limit or ZERO) if order_type is OrderType.LIMIT else None,
        tif=TimeInForce(tif),
        ref=values["orderRef"],
    )


def open_order(order: PlacedOrder, account: str, status: str | None = None) -> Outgoing:
    """The order as it stands, `status` instead of its own if given."""
    values = {
        **_terms(order, account),
        "orderId": order.order_id,
        "clientId": order.client_id,
        "sharesAllocation": f"{order.perm_id}.{order.modifications}/{account}/100",
        "right": "?",
        "status": status or order.status,
    }
    if order.ticket.limit_price is not None and order.ticket.side is Side.BUY:
        # Recorded: real gateways fill this in on plain limit buys, one above the limit.
        values["trailStopPrice"] = values["adjustedTrailStopPrice"] = float(order.ticket.limit_price + 1)
    return Outgoing(order.client_id, "openOrder", values)


def _terms(order: PlacedOrder, account: str) -> Values:
    ticket = order.ticket
    return {
        **contract(order.instrument, order.values["exchange"] or "SMART"),
        "action": ticket.side.value,
        "totalQuantity": ticket.quantity,
        "orderType": ticket.order_type.value,
        "lmtPrice": ticket.limit_price or ZERO,
        "auxPrice": ZERO,
        "tif": ticket.tif.value,
        "account": account,
        "openClose": order.values["openClose"],
        "origin": order.values["origin"],
        "orderRef": ticket.ref,
        "permId": order.perm_id,
        "outsideRth": order.values["outsideRth"],
        "triggerMethod": order.values["triggerMethod"],
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
        "lastFillPrice": order.last_price,
        "clientId": order.client_id,
    }
    return Outgoing(order.client_id, "orderStatus", values)


def completed_order(order: PlacedOrder, account: str) -> Values:
    """The order after its end. Recorded: the total quantity of a filled order is given as zero."""
    assert order.completed_at is not None, "only completed orders can be written so"
    filled = order.status == "Filled"
    return {
        **_terms(order, account),
        "totalQuantity": ZERO if filled else order.ticket.quantity,
        "right": "?",
        "status": order.status,
        "filledQuantity": order.filled,
        "completedTime": execution_time(order.completed_at, 174),
        "completedStatus": order.completed_status,
    }


def exec_details(execution: Execution, account: str, req_id: int = -1) -> Values:
    """One execution; `req_id` is -1 when it has just happened. `at` becomes a time in `Session.say`."""
    order, fill = execution
    return {
        **contract(order.instrument, FILL_VENUE),
        "reqId": req_id,
        "orderId": order.order_id,
        "execId": fill.exec_id,
        "at": fill.at,
        "account": account,
        "execExchange": FILL_VENUE,
        "side": "BOT" if fill.side is Side.BUY else "SLD",
        "shares": fill.quantity,
        "price": fill.price,
        "permId": order.perm_id,
        "clientId": order.client_id,
        "cumQty": fill.cumulative,
        "avgPrice": round(fill.average_price, 8),
        "orderRef": fill.ref,
        "lastLiquidity": REMOVED if fill.removed_liquidity else ADDED,
    }


def commission_report(fill: OrderFilled) -> Values:
    """What the execution cost; realised P&L after the commission, unset when the fill only opened."""
    realized = None if fill.realized_pnl is None else float(fill.realized_pnl - fill.commission)
    return {
        "execId": fill.exec_id,
        "commission": fill.commission,
        "currency": "USD",
        "realizedPNL": realized,
        "yield": None,
    }


def error(client_id: int, req_id: int, code: int, text: str) -> Outgoing:
    """An error or a notice about the request or order `req_id` (-1: about the session)."""
    return Outgoing(client_id, "error", {"reqId": req_id, "code": code, "text": text})
