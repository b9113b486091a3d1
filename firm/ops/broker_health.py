"""Whether the broker's side is well, in words for whoever is woken by it: what, since when, what to do."""

from collections.abc import Iterable
from typing import Final

from firm.domain.session import NS_PER_SECOND
from firm.events.broker import BreakClass, BreakFound, CircuitState, DataState, GateState
from firm.ops.broker_state import Dull, utc
from firm.ops.component import Component
from firm.ops.status import StatusView

NAMED_MAX: Final = 10
"""So many symbols are named one by one; of the others only the number is said. `/status` has them all."""

GATE_WAYS_OUT: Final = {
    GateState.CLOSED: "the firm reconnects by itself, look at IB Gateway",
    GateState.SYNCING: "orders, executions and positions are being asked for, which takes seconds;"
    " if it stays, look at IB Gateway and at the log of the broker actor",
    GateState.FROZEN: "it opens by itself when the cause is over and everything was reconciled; if it stays,"
    " look at IB Gateway's own connection",
}
BREAK_WAYS_OUT: Final = {
    BreakClass.POSITION: "compare the broker's executions with the fills in the report: a trade by hand is"
    " put right by the opposite trade, for any other difference ask the broker's trade desk",
    BreakClass.HOLDING_OUTSIDE: "the account holds what the firm does not trade: close it by hand, or give"
    " the firm an account of its own",
    BreakClass.STRAY_ORDER: "cancel the order in TWS or the broker's portal",
    BreakClass.FOREIGN_CLIENT: "cancel the order in TWS, or through the client id that sent it",
    BreakClass.RISEN_ORDER: "the firm cancels the order by itself; if it stays, cancel it in TWS",
    BreakClass.CONTRACT: "the contract is another one than at the start of the log (a split, an expiry, a new"
    " multiplier): close the position by hand and start a new log",
    BreakClass.CASH: "look for interest, dividends, fees or a transfer in the account statement",
    BreakClass.COMMISSION: "look the fee up in the account statement",
}
DATA_WAYS_OUT: Final = {
    DataState.DELAYED: "the account lacks a real-time subscription, or another login of its user has them",
    DataState.FROZEN: "for the broker the exchange is closed: look at its calendar",
    DataState.STALE: "the feed is silent and asked for again by itself: look at the data farms in IB Gateway",
    DataState.MISSING: "the broker refuses the data: look at the market data permissions of the account",
}


def broker(status: StatusView) -> Component:
    """The connection and the gate: whether orders can be sent."""
    gate, side = status.broker.gate, status.broker
    if status.connected is None:
        return Component("unknown", "never connected; start IB Gateway or correct broker.gateway_port")
    if not status.connected:
        why = f"connection lost: {status.disconnect_reason}"
        return Component("degraded", f"{why}; {GATE_WAYS_OUT[GateState.CLOSED]}")
    if gate is None:
        return Component("ok", f"connected to account {status.account}")
    if not gate.passes_orders:
        told = f"connected, but the gate is {gate}{_since(side.gate_since)} and no order is sent"
        return Component("degraded", f"{told}: {side.gate_reason}; {GATE_WAYS_OUT[gate]}")
    impaired = f": {side.gate_reason}" if gate is GateState.DEGRADED else ""
    return Component("ok", f"connected to account {status.account}, the gate is {gate}{impaired}")


def circuit(status: StatusView) -> Component:
    """The circuit breaker. Half-open is well: the next order decides, and somebody has to send it."""
    side = status.broker
    match side.circuit:
        case _ if status.connected is None:
            return Component("unknown", "no order can have been answered: never connected")
        case CircuitState.CLOSED:
            return Component("ok", "closed: orders go to the broker")
        case CircuitState.HALF_OPEN:
            return Component(
                "ok", f"half-open{_since(side.circuit_since)}: the next order is sent as a trial"
            )
        case CircuitState.OPEN:
            return Component(
                "degraded",
                f"open{_since(side.circuit_since)}, no order is sent: {side.circuit_reason}; after"
                " broker.circuit.cool_down_ms one order is tried by itself. If it opens again and again,"
                " find out why the broker refuses (Refusals in firm report) before anything else",
            )


def reconciliation(status: StatusView) -> Component:
    """Breaks that stop new risk."""
    if status.breaks is None:
        return Component(
            "unknown", "not reconciled since the connection was made; positions and orders are not known yet"
        )
    if not status.breaks:
        return Component("ok", "positions and orders agree with the broker's")
    graded = [found for _, found in status.broker.breaks if found.severity.stops_new_risk]
    told = _told(graded) if graded else "; ".join(status.breaks)
    ways_out = _ways_out(graded) or "find the cause and put it right at the broker"
    return Component(
        "degraded",
        f"the log differs from the broker: {told}; only what reduces a position passes. {ways_out}. The firm"
        " compares again every broker.reconcile_every_ms and goes on by itself when they agree",
    )


def differences(status: StatusView) -> Component:
    """Breaks that stop nothing but have a cause that somebody must know."""
    if status.connected is None:
        return Component("unknown", "the broker was never asked")
    minor = [found for _, found in status.broker.breaks if not found.severity.stops_new_risk]
    if not minor:
        return Component("ok", "no small difference is open")
    return Component(
        "degraded", f"{_told(minor)}; trading goes on, this can wait until morning. {_ways_out(minor)}"
    )


def data(status: StatusView, max_age_s: float) -> Component:
    """Whether quotes come, and are live."""
    if status.quoted_at is None or status.at is None:
        return Component("unknown", "no quote has been heard yet; look at the market data subscription")
    if dull := status.broker.not_live:
        return Component("degraded", _not_live(dull, sum(status.broker.data.values())))
    age = (status.at - status.quoted_at) / NS_PER_SECOND
    if age > max_age_s:
        return Component(
            "degraded",
            f"the last quote is {age:.0f} s old in log time, allowed are {max_age_s:g} s"
            " (compliance.max_quote_age_ms); normal outside trading hours, else look at the data feed",
        )
    return Component("ok", f"the last quote is {age:.0f} s old in log time")


def login(status: StatusView) -> Component:
    """Whether a person has to log in soon, or should have."""
    by, at = status.broker.login_by, status.at
    if status.connected is None or at is None:
        return Component("unknown", "never connected: log in at IB Gateway")
    if by is None:
        return Component("ok", "no login is due within a day, as far as broker.login_by tells")
    if at < by:
        hours = (by - at) / NS_PER_SECOND / 3600
        return Component(
            "degraded",
            f"a person must log in at IB Gateway again before {utc(by)}, in {hours:.1f} h of log time, or its"
            " session ends and no order goes; if that is done already there is nothing to do",
        )
    if not status.connected:
        return Component(
            "degraded", f"the gateway's login ran out at {utc(by)} and it is away: log in at IB Gateway"
        )
    return Component("ok", f"the login that was due by {utc(by)} is done")


def _since(at: int | None) -> str:
    return "" if at is None else f" since {utc(at)}"


def _told(breaks: Iterable[BreakFound]) -> str:
    return "; ".join(f"{found.severity} ({found.kind}) {found.text}" for found in breaks)


def _ways_out(breaks: Iterable[BreakFound]) -> str:
    kinds = dict.fromkeys(found.kind for found in breaks)
    return ". ".join(f"{kind.capitalize()}: {BREAK_WAYS_OUT[kind]}" for kind in kinds)


def _not_live(dull: tuple[Dull, ...], instruments: int) -> str:
    groups = []
    for state in dict.fromkeys(each.state for each in dull):
        symbols = [each.symbol for each in dull if each.state is state]
        more = f" and {len(symbols) - NAMED_MAX} more" if len(symbols) > NAMED_MAX else ""
        reason = next(each.reason for each in dull if each.state is state)
        named = f"{', '.join(symbols[:NAMED_MAX])}{more}"
        groups.append(f"{len(symbols)} {state} ({named}: {reason}): {DATA_WAYS_OUT[state]}")
    return (
        f"{len(dull)} of {instruments} instruments have no live quotes; only what reduces a position passes"
        f" on these, the others trade on. {'; '.join(groups)}"
    )
