"""Executions that are corrected or busted after the fact. Pure.

Documented: a correction has the execution id of what it corrects, the last digits one higher. Assumed: a bust
is told as a correction to a quantity of zero, and both revisions are among today's executions.
"""

from decimal import Decimal

from msgspec.structs import replace

from firm.domain.position import ZERO
from firm.exchange import Exchange
from firm.gateway_sim.orders import Execution, Outgoing, commission_report, exec_details


def base_of(exec_id: str) -> str:
    """The part of an execution id that its corrections share."""
    return exec_id.rpartition(".")[0]


def standing(executions: list[Execution]) -> list[Execution]:
    """The newest revision of each execution, in order of their first; busted ones left out."""
    newest = {base_of(execution.fill.exec_id): execution for execution in executions}
    return [execution for execution in newest.values() if execution.fill.quantity]


def amended(
    exchange: Exchange, execution: Execution, quantity: Decimal, price: Decimal, at: int
) -> Execution:
    """The next revision of the execution, with the account and the order as if it had always been so."""
    order, fill = execution
    base, _, revision = fill.exec_id.rpartition(".")
    commission = fill.commission if quantity else ZERO
    realized = exchange.amend(fill, quantity, price, commission)
    worth = order.filled * order.average - fill.quantity * fill.price + quantity * price
    order.filled += quantity - fill.quantity
    order.average = round(worth / order.filled, 8) if order.filled else ZERO
    new = replace(
        fill,
        at=at,
        exec_id=f"{base}.{int(revision) + 1:02}",
        quantity=quantity,
        price=price,
        commission=commission,
        realized_pnl=realized,
        cumulative=order.filled,
        average_price=order.average,
    )
    return Execution(order, new)


def told(execution: Execution, account: str) -> list[Outgoing]:
    """What the owner hears of a new revision."""
    client_id = execution.order.client_id
    return [
        Outgoing(client_id, "execDetails", exec_details(execution, account)),
        Outgoing(
            client_id,
            "commissionReport",
            commission_report(execution.fill, execution.order.instrument.currency),
        ),
    ]
