"""Which messages follow which event of an order, in the order recorded from real gateways. Pure.

Recorded: immediate fills, resting limits, modifications and cancels. Assumed: rejects, expiries, and that a
refused modification restates the order. Each method also brings the order's own record up to date.
"""

from decimal import Decimal

from msgspec.structs import replace

from firm.exchange import (
    MarginEffect,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
    OrderElected,
    OrderExpired,
    OrderModified,
    OrderRejected,
    RequestRefused,
)
from firm.gateway_sim.codec.kinds import plain
from firm.gateway_sim.orders import (
    Execution,
    Outgoing,
    PlacedOrder,
    commission_report,
    error,
    exec_details,
    open_order,
    order_status,
)
from firm.gateway_sim.times import ZONE_NAME, local

SAID = {"child": "child", "trigger": "trigger", "locate": "locate"}  # what whyHeld has a word for
LOCATING = "Order held while securities are located."


class OrderReports:
    """Turns events into messages for the client that owns the order."""

    def __init__(self, account: str, base: str) -> None:
        self._account, self._base = account, base

    def entered(
        self,
        order: PlacedOrder,
        event: OrderAccepted | OrderRejected,
        filling: bool,
        opens_at: int | None,
    ) -> list[Outgoing]:
        """Accepted (held, resting, or about to fill) or rejected."""
        if isinstance(event, OrderRejected):
            order.status, order.completed_at = "Inactive", event.at
            order.completed_status = f"Rejected: {event.reason}"
            text = f"Order rejected - reason:{event.reason}"
            return [*self._stated(order), self._error(order, event.code, text)]
        order.status = "PreSubmitted" if event.held or event.waits or filling else "Submitted"
        order.why_held = SAID.get(event.waits, "")
        stated = self._stated(order)
        if event.waits == "locate":
            stated.append(self._error(order, 404, LOCATING))
        return [*stated, self._held_notice(order, opens_at)] if event.held else stated

    def activated(self, order: PlacedOrder, event: OrderActivated) -> list[Outgoing]:
        """What kept the order waiting does no more; it works, or waits for the next thing."""
        order.why_held = SAID.get(event.waits, "")
        order.status = "PreSubmitted" if event.waits else "Submitted"
        return self._stated(order)

    def elected(self, order: PlacedOrder, event: OrderElected) -> list[Outgoing]:
        """The stop was reached: the order works."""
        order.why_held, order.status = "", "Submitted"
        order.ticket = replace(order.ticket, limit_price=event.limit_price)
        return self._stated(order)

    def modified(self, order: PlacedOrder, event: OrderModified) -> list[Outgoing]:
        """New terms: the modification number in openOrder goes up, the permId stays."""
        order.ticket = replace(order.ticket, quantity=event.quantity, limit_price=event.limit_price)
        order.modifications += 1
        order.status = "PreSubmitted" if event.held or event.waits else "Submitted"
        order.why_held = SAID.get(event.waits, "")
        return self._stated(order)

    def filled(self, execution: Execution) -> list[Outgoing]:
        """An execution, then the order's new standing; the last fill is said twice, as recorded."""
        order, fill = execution
        order.filled, order.average = fill.cumulative, round(fill.average_price, 8)
        order.last_price = fill.price
        done = not fill.leaves
        order.status = "Filled" if done else "Submitted"
        if done:
            order.completed_at, order.completed_status = fill.at, f"Filled Size: {plain(order.filled)}"
        messages = [
            Outgoing(order.client_id, "execDetails", exec_details(execution, self._account)),
            *self._stated(order),
        ]
        if done:
            again = open_order(order, self._account)
            again.values["commission"] = float(fill.commission)
            again.values["commissionCurrency"] = order.instrument.currency
            messages += [again, order_status(order)]
        return [
            *messages,
            Outgoing(order.client_id, "commissionReport", commission_report(fill, order.instrument.currency)),
        ]

    def ended(self, order: PlacedOrder, event: OrderCancelled | OrderExpired) -> list[Outgoing]:
        """Cancelled, or expired at the close."""
        order.status, order.completed_at = "Cancelled", event.at
        if isinstance(event, OrderExpired):
            reason, order.completed_status = "the order expired at the close", "Expired"
        elif "customer" in event.reason:
            reason, order.completed_status = "", "Cancelled by Trader"
        else:
            reason, order.completed_status = event.reason, "Cancelled"
        text = f"Order Canceled - reason:{reason}"
        return [order_status(order), self._error(order, 202, text)]

    def refused(self, order: PlacedOrder, event: RequestRefused) -> list[Outgoing]:
        """A modification was refused: the error, then the order as it still is."""
        text = f"Order rejected - reason:{event.reason}" if event.code == 201 else event.reason
        return [self._error(order, event.code, text), *self._stated(order)]

    def what_if(self, draft: PlacedOrder, effect: MarginEffect) -> list[Outgoing]:
        """Margin and commission of an order that is only asked about; an error if it would be refused."""
        if effect.objection:
            return [self._error(draft, 201, f"Order rejected - reason:{effect.objection}")]
        reply = open_order(draft, self._account)
        margins = (effect.requirement_before, effect.requirement_after)
        equity = (effect.equity_before, effect.equity_after)
        for name, (before, after) in {
            "initMargin": margins,
            "maintMargin": margins,
            "equityWithLoan": equity,
        }.items():
            reply.values[f"{name}Before"] = _money(before)
            reply.values[f"{name}Change"] = _money(after - before)
            reply.values[f"{name}After"] = _money(after)
        cost = float(round(effect.commission, 4))
        reply.values.update(whatIf=True, commission=cost, minCommission=cost, maxCommission=cost)
        reply.values["commissionCurrency"] = self._base
        return [reply]

    def _stated(self, order: PlacedOrder) -> list[Outgoing]:
        return [open_order(order, self._account), order_status(order)]

    def _error(self, order: PlacedOrder, code: int, text: str) -> Outgoing:
        return error(order.client_id, order.order_id, code, text)

    def _held_notice(self, order: PlacedOrder, opens_at: int | None) -> Outgoing:
        when = "the next session" if opens_at is None else f"{local(opens_at):%Y-%m-%d %H:%M:%S} {ZONE_NAME}"
        ticket = order.ticket
        text = (
            f"Order Message:\n{ticket.side.value} {plain(ticket.quantity)} {order.instrument.symbol}\n"
            f"Warning: your order will not be placed at the exchange until {when}"
        )
        return self._error(order, 399, text)


def _money(value: Decimal) -> str:
    return f"{value:.2f}"
