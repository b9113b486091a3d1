"""The report's section about the broker: its gate and circuit breaker, breaks, data that were not live."""

from collections import Counter
from collections.abc import Iterator
from html import escape

from firm.events.broker import CircuitState, DataState
from firm.report.broker import BreakRow, BrokerSeries, Switch
from firm.report.outage import Outage
from firm.report.summary import Summary
from firm.report.tables import Column, note, table
from firm.report.times import duration, minute
from firm.report.words import NOTHING

SILENT = (
    "The broker's side has said nothing of a gate, of breaks or of the state of its data: this run had no "
    "gateway, or is older than these events."
)


def broker_section(summary: Summary) -> str:
    """Cards, then a table each for switches, breaks and data; only those with anything in them."""
    broker, now = summary.broker, summary.last_at or 0
    if broker.gate is None and not (broker.data or broker.found):
        return note(SILENT)
    cards = "".join(
        f'<div class="{css}"><dt>{escape(name)}</dt><dd>{escape(value)}</dd>'
        f'<dd class="sub">{escape(detail)}</dd></div>'
        for name, value, detail, css in _cards(broker, now)
    )
    switches = _switches(broker) if broker.switches else ""
    breaks = _breaks(broker) if broker.breaks else ""
    return f'<dl class="cards">{cards}</dl>{switches}{breaks}{_data(summary, now)}'


def _cards(broker: BrokerSeries, now: int) -> Iterator[tuple[str, str, str, str]]:
    gate = broker.gate
    shut = gate is not None and not gate.passes_orders
    closures = _times("closed", broker.gate_closures, broker.gate_outage, broker, now)
    yield "Gate at the end", gate or NOTHING, closures, "loss" * shut
    is_open = broker.circuit is CircuitState.OPEN
    passes = "no order passes" if is_open else "orders pass"
    openings = _times("open", broker.circuit_openings, broker.circuit_outage, broker, now)
    yield "Circuit breaker at the end", broker.circuit, f"{passes}; {openings}", "loss" * is_open
    still = broker.open_breaks
    stopping = any(row.severity.stops_new_risk for row in still)
    yield "Breaks still there", str(len(still)), _found(broker), "loss" * stopping
    states = Counter(row.state for row in broker.data.values())
    live, others = states.pop(DataState.LIVE, 0), sum(states.values())
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    value = f"{live} of {live + others}" if broker.data else NOTHING
    yield "Instruments with live data", value, told or "at the end", "loss" * bool(others)
    if broker.login_by is not None:
        yield "Log in again before", minute(broker.login_by), "UTC, by a person at the gateway", ""


def _times(word: str, times: int, outage: Outage, broker: BrokerSeries, now: int) -> str:
    lasted = outage.lasted(now)
    if not lasted:
        return f"never {word}" if not times else f"{word} {_often(times)}, for no time"
    known = broker.sessions
    of_it = f", {duration(outage.in_session(now, known))} of it in sessions" if known else ""
    return f"{word} {_often(times)}, {duration(lasted)} in all{of_it}"


def _often(times: int) -> str:
    return {0: "from the start", 1: "once", 2: "twice"}.get(times, f"{times:,} times")


def _found(broker: BrokerSeries) -> str:
    by_severity: Counter[str] = Counter()
    for (_, severity), count in broker.found.items():
        by_severity[severity] += count
    told = ", ".join(f"{count:,} {severity}" for severity, count in sorted(by_severity.items()))
    return f"{broker.found.total():,} found: {told}" if told else "none was ever found"


def _switches(broker: BrokerSeries) -> str:
    columns = (
        Column("Time (UTC)"),
        Column("What", css="strong"),
        Column("From"),
        Column("To", css="strong"),
        Column("Reason", css="why"),
    )
    rows = (_switch(switch) for switch in reversed(broker.switches))
    left = broker.switched - len(broker.switches)
    older = note(f"{left:,} older ones are not shown.") if left else ""
    heading = "<h3>Switches of the gate and the circuit breaker</h3>"
    return heading + table(columns, rows, "gate and circuit breaker") + older


def _switch(switch: Switch) -> tuple[str, ...]:
    return (minute(switch.at), switch.what, switch.before, switch.after, switch.reason)


def _breaks(broker: BrokerSeries) -> str:
    columns = (
        Column("Found (UTC)"),
        Column("Class"),
        Column("Severity", css="strong"),
        Column("Subject", css="strong"),
        Column("Lasted", numeric=True),
        Column("What differs", css="why"),
    )
    rows = (_break(row) for row in reversed(broker.breaks))
    left = broker.found.total() - len(broker.breaks)
    older = note(f"{left:,} older ones are not shown.") if left else ""
    heading = "<h3>Where the broker and the log differed</h3>"
    return heading + table(columns, rows, "breaks") + older


def _break(row: BreakRow) -> tuple[str, ...]:
    until = "still there" if row.closed_at is None else duration(row.closed_at - row.at)
    return (minute(row.at), row.kind, row.severity, row.subject, until, row.text)


def _data(summary: Summary, now: int) -> str:
    broker = summary.broker
    columns = (
        Column("Symbol", css="strong"),
        Column("At the end"),
        Column("Times not live", numeric=True),
        Column("Not live for", numeric=True),
        Column("In sessions", numeric=True),
        Column("Why, the last time", css="why"),
    )
    rows = [
        (
            summary.ledger.symbol(index),
            row.state,
            f"{row.outage.times:,}",
            duration(row.outage.lasted(now)),
            duration(row.outage.in_session(now, broker.sessions)) if broker.sessions else NOTHING,
            row.reason,
        )
        for index, row in sorted(broker.data.items())
        if row.outage.times
    ]
    heading = "<h3>Data that were not live: no new risk on them meanwhile</h3>"
    return heading + table(columns, rows, "data that were not live") if rows else ""
