"""Answers to questions about orders and executions. Placing and cancelling is the brokerage's. Pure."""

from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.orders import (
    PlacedOrder,
    commission_report,
    completed_order,
    exec_details,
    open_order,
    order_status,
)
from firm.gateway_sim.session import Session
from firm.gateway_sim.times import local_date, parse_time


def say_open_orders(brokerage: Brokerage, session: Session, *, everyone: bool) -> None:
    """Each working order (of this client, or of all) with its status."""
    for order in brokerage.live_orders():
        if everyone or order.client_id == session.client_id:
            session.say("openOrder", **open_order(order, brokerage.account).values)
            session.say("orderStatus", **order_status(order).values)


def open_orders(brokerage: Brokerage, session: Session, _asked: Values) -> None:
    """Working orders of this client."""
    say_open_orders(brokerage, session, everyone=False)
    session.say("openOrderEnd")


def all_open_orders(brokerage: Brokerage, session: Session, _asked: Values) -> None:
    """Working orders of all clients."""
    say_open_orders(brokerage, session, everyone=True)
    session.say("openOrderEnd")


def completed_orders(brokerage: Brokerage, session: Session, _asked: Values) -> None:
    """Orders that ended today, every client's."""
    for order in brokerage.orders.values():
        if _ended_today(brokerage, order) and order.status != "Inactive":
            session.say("completedOrder", **completed_order(order, brokerage.account))
    session.say("completedOrdersEnd")


def _ended_today(brokerage: Brokerage, order: PlacedOrder) -> bool:
    return order.completed_at is not None and local_date(order.completed_at) == local_date(brokerage.at)


def executions(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """Today's executions that pass the filter, each with its commission; empty filter fields pass all.

    Recorded only from the documentation: a client sees the executions of all clients unless it filters.
    """
    try:
        since = parse_time(asked["time"]) if asked["time"] else 0
    except ValueError as reason:
        return session.error(asked["reqId"], 321, f"Error validating request: {reason}")
    for execution in brokerage.executions:
        order, fill = execution
        side = {"BUY": "BOT", "SELL": "SLD"}[fill.side.value]
        passes = (
            local_date(fill.at) == local_date(brokerage.at)
            and fill.at >= since
            and asked["clientId"] in {0, None, order.client_id}
            and asked["account"] in {"", brokerage.account}
            and asked["symbol"] in {"", order.instrument.symbol}
            and asked["secType"] in {"", order.instrument.sec_type}
            and asked["side"] in {"", side, fill.side.value}
        )
        if passes:
            session.say("execDetails", **exec_details(execution, brokerage.account, asked["reqId"]))
            session.say("commissionReport", **commission_report(fill, order.instrument.currency))
    return session.say("execDetailsEnd", reqId=asked["reqId"])
