"""The broker's side in `summary.json`: closures, openings, breaks by class, data that were not live."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from firm.domain.session import NS_PER_SECOND
from firm.report.broker import BrokerSeries
from firm.report.outage import Outage


def broker_summary(broker: BrokerSeries, now: int | None, symbol: Callable[[int], str]) -> dict[str, Any]:
    """Seconds are of log time, up to `now` (ns UTC) where something goes on; None: nobody has told."""
    found: Counter[str] = Counter()
    severities: Counter[str] = Counter()
    for (kind, severity), count in broker.found.items():
        found[kind.value] += count
        severities[severity.value] += count
    impaired = {symbol(i): row for i, row in sorted(broker.data.items()) if _ever_broke(row.outage)}
    return {
        "gate": broker.gate,
        "gate_closures": broker.gate_closures,
        **_lasted("gate_closed", broker.gate_outage, broker, now),
        "circuit": broker.circuit,
        "circuit_openings": broker.circuit_openings,
        **_lasted("circuit_open", broker.circuit_outage, broker, now),
        "breaks_found": dict(sorted(found.items())),
        "breaks_by_severity": dict(sorted(severities.items())),
        "breaks_open": dict(sorted(Counter(row.kind.value for row in broker.open_breaks).items())),
        "data_not_live": {
            name: {
                "state": row.state,
                "times": row.outage.times,
                **_lasted("not_live", row.outage, broker, now),
            }
            for name, row in impaired.items()
        },
    }


def _ever_broke(outage: Outage) -> bool:
    return outage.times > 0 or outage.since is not None


def _lasted(name: str, outage: Outage, broker: BrokerSeries, now: int | None) -> dict[str, float | None]:
    """How long in all, and in sessions if it is known when these are."""
    if now is None:
        return {f"{name}_s": None, f"{name}_in_session_s": None}
    known = broker.sessions
    in_session = None if known is None else outage.in_session(now, known) / NS_PER_SECOND
    return {f"{name}_s": outage.lasted(now) / NS_PER_SECOND, f"{name}_in_session_s": in_session}
