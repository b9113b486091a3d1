"""The control port's language: one JSON object a line in, one out. Pure.

`{"cmd":"step","until":ns or null}`, `{"cmd":"status"}`, `{"cmd":"orders"}`; to make things go wrong `inject`,
`withhold`, `double`, `cut`. A `client_id` of null means every client.
"""

from typing import Any, assert_never

import msgspec
from msgspec import Struct

from firm.gateway_sim.codec.kinds import plain
from firm.gateway_sim.gateway import Gateway
from firm.gateway_sim.session import Session


class StepCommand(Struct, tag_field="cmd", tag="step", frozen=True, forbid_unknown_fields=True):
    """Move the clock to the next frame, or to `until` (ns UTC) if that is earlier."""

    until: int | None = None


class StatusCommand(Struct, tag_field="cmd", tag="status", frozen=True, forbid_unknown_fields=True):
    """Where things stand."""


class OrdersCommand(Struct, tag_field="cmd", tag="orders", frozen=True, forbid_unknown_fields=True):
    """Every order ever placed, for audits."""


class InjectCommand(Struct, tag_field="cmd", tag="inject", frozen=True, forbid_unknown_fields=True):
    """Say an error or notice (1100, 1102, 2103, 10349, ...) that has no cause here."""

    code: int
    text: str
    req_id: int = -1
    client_id: int | None = None


class WithholdCommand(Struct, tag_field="cmd", tag="withhold", frozen=True, forbid_unknown_fields=True):
    """Do not say these messages (by name, `*` for all) until switched off: a half-open or lossy link."""

    messages: list[str]
    client_id: int | None = None
    on: bool = True


class DoubleCommand(Struct, tag_field="cmd", tag="double", frozen=True, forbid_unknown_fields=True):
    """Say these messages twice until switched off."""

    messages: list[str]
    client_id: int | None = None
    on: bool = True


class CutCommand(Struct, tag_field="cmd", tag="cut", frozen=True, forbid_unknown_fields=True):
    """Reset the connection."""

    client_id: int | None = None


ControlCommand = (
    StepCommand | StatusCommand | OrdersCommand | InjectCommand | WithholdCommand | DoubleCommand | CutCommand
)


RUNS_BY_ITSELF = "the clock runs by itself; start the gateway with --clock stepped"


def answer(gateway: Gateway, line: bytes, *, stepped: bool) -> dict[str, Any]:
    """Carry out one line; `{"error": ...}` if it cannot be. Steps are refused unless the clock is stepped."""
    try:
        command = msgspec.json.decode(line, type=ControlCommand)
    except msgspec.DecodeError as reason:
        return {"error": f'a command such as {{"cmd":"status"}} is needed: {reason}'}
    match command:
        case StepCommand(until=until):
            return _stepped(gateway, until) if stepped else {"error": RUNS_BY_ITSELF}
        case StatusCommand():
            return status(gateway)
        case OrdersCommand():
            return {"orders": orders(gateway)}
        case WithholdCommand(messages=messages, client_id=client_id, on=on):
            gateway.faults.withhold(client_id, messages, on=on)
        case DoubleCommand(messages=messages, client_id=client_id, on=on):
            gateway.faults.double(client_id, messages, on=on)
        case InjectCommand(code=code, text=text, req_id=req_id, client_id=client_id):
            for session in _sessions(gateway, client_id):
                session.error(req_id, code, text)
        case CutCommand(client_id=client_id):
            for session in _sessions(gateway, client_id):
                session.cut = True
        case _ as never:
            assert_never(never)
    return {"done": True}


def _stepped(gateway: Gateway, until: int | None) -> dict[str, Any]:
    try:
        return gateway.step(until)._asdict()
    except ValueError as reason:
        return {"error": str(reason)}


def _sessions(gateway: Gateway, client_id: int | None) -> list[Session]:
    return [s for s in gateway.sessions if client_id in {None, s.client_id}]


def status(gateway: Gateway) -> dict[str, Any]:
    """Clock, tape and account. Quantities and money are texts, exact."""
    brokerage = gateway.brokerage
    tape, account = brokerage.tape, brokerage.exchange.account
    return {
        "at": brokerage.at,
        "first_at": tape.frames[0].at,
        "last_at": tape.frames[-1].at,
        "symbols": list(tape.symbols),
        "frames": len(tape.frames),
        "frames_left": len(tape.frames) - brokerage.cursor,
        "label": tape.label,
        "source_sha256": tape.source_sha256,
        "account": brokerage.account,
        "sessions_opens": list(tape.sessions.opens),
        "sessions_closes": list(tape.sessions.closes),
        "orders": len(brokerage.orders),
        "positions": {
            tape.symbols[i]: plain(p.quantity) for i, p in enumerate(account.positions) if p.quantity
        },
        "cash": plain(account.cash),
        "equity": plain(round(account.equity, 8)),
        "commissions": plain(account.commissions),
        "clients": sorted(s.client_id for s in gateway.sessions if s.client_id is not None),
        "unknown_requests": gateway.unknown,
        "over_pace": gateway.over_pace,
    }


def orders(gateway: Gateway) -> list[dict[str, Any]]:
    """Every order with what it asked for and what became of it."""
    return [
        {
            "perm_id": order.perm_id,
            "client_id": order.client_id,
            "order_id": order.order_id,
            "order_ref": order.ticket.ref,
            "symbol": order.instrument.symbol,
            "side": order.ticket.side.value,
            "type": order.ticket.order_type.value,
            "tif": order.ticket.tif.value,
            "quantity": plain(order.ticket.quantity),
            "limit_price": None if order.ticket.limit_price is None else plain(order.ticket.limit_price),
            "status": order.status,
            "filled": plain(order.filled),
            "average_price": plain(order.average),
        }
        for order in gateway.brokerage.orders.values()
    ]
