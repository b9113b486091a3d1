"""The decision diff: what a candidate would have decided otherwise, as text and as JSON. Deterministic."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from firm.config import Settings
from firm.domain.position import ZERO
from firm.shadow.decision import CLEARED, KINDS, Child, Decision, Difference, Order, Said

SCHEMA: Final = 1
_LINE: Final = "{:<17}{:>6}  {:<11}{:<7}{:<15}{:>28}  {:>28}"


@dataclass(frozen=True)
class Totals:
    """Sums of one firm over all decisions; values at reference prices, account currency."""

    proposed: int
    proposed_value: Decimal
    cleared: int
    cleared_value: Decimal
    halts: int
    refusals: tuple[tuple[str, int], ...]


def totals(sides: Iterable[Said]) -> Totals:
    """Add up what one firm said."""
    orders: list[Order] = []
    halts = 0
    for side in sides:
        orders += side.orders.values()
        halts += side.halt is not None
    cleared = [order for order in orders if order.fate == CLEARED]
    refusals = Counter(order.fate for order in orders if order.fate != CLEARED)
    refusals.update(f"execution: {gate}" for order in orders for gate in order.gates)
    return Totals(
        len(orders),
        sum((order.value for order in orders), ZERO),
        len(cleared),
        sum((order.value for order in cleared), ZERO),
        halts,
        tuple(sorted(refusals.items())),
    )


def differing(decision: Decision) -> bool:
    """Whether anything an order's way or a halt shows is not the same."""
    return bool(decision.differences) or (decision.live.halt is None) != (decision.candidate.halt is None)


def changed_settings(live: Settings, candidate: Settings) -> dict[str, tuple[Any, Any]]:
    """What decisions depend on and is not the same: key -> (live, candidate)."""
    ours, theirs = (_flat(json.loads(each.logged())) for each in (live, candidate))
    keys = sorted({*ours, *theirs})
    return {key: (ours.get(key), theirs.get(key)) for key in keys if ours.get(key) != theirs.get(key)}


def _flat(content: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def text(compared: Sequence[Decision], changes: Mapping[str, tuple[Any, Any]]) -> str:
    """The report for people: what was changed, each difference, and the sums."""
    lines = ["settings that differ (live -> candidate):"] if changes else ["no setting differs"]
    lines += [f"  {key}: {_shown(ours)} -> {_shown(theirs)}" for key, (ours, theirs) in changes.items()]
    if any(differing(decision) for decision in compared):
        lines += [
            "",
            _LINE.format("decision (UTC)", "cycle", "first in", "symbol", "what", "live", "candidate"),
        ]
    for decision in compared:
        lines += _told(decision)
    ours, theirs = (totals(d.live for d in compared), totals(d.candidate for d in compared))
    return "\n".join([*lines, "", *_sums(compared, ours, theirs)]) + "\n"


def _told(decision: Decision) -> list[str]:
    def line(symbol: str, what: str, ours: str, theirs: str) -> str:
        at = datetime.fromtimestamp(decision.at / 1e9, UTC)
        cells = (f"{at:%Y-%m-%d %H:%M}", decision.cycle, decision.first or "", symbol, what, ours, theirs)
        return _LINE.format(*cells).rstrip()

    live, candidate = decision.live, decision.candidate
    lines = [
        line(d.symbol, d.kind, _cell(d.kind, d.live), _cell(d.kind, d.candidate))
        for d in decision.differences
    ]
    if (live.halt is None) != (candidate.halt is None):
        lines.append(line("", "halt", live.halt or "trades on", candidate.halt or "trades on"))
    if live.aborted is not None:
        lines.append(line("", "aborted", live.aborted, "was not"))
    return lines


def _cell(kind: str, order: Order | None) -> str:
    """What of an order the difference is about."""
    if order is None:
        return "-"
    match kind:
        case "fate":
            return order.fate
        case "bounds":
            return "-" if order.bounds is None else f"{order.bounds[0]} to {order.bounds[1]}"
        case "sent":
            return ", ".join([*(_child(child) for child in order.sent), *order.gates]) or "nothing yet"
        case _:
            return f"{order.quantity:+f}" if order.fate == CLEARED else f"{order.quantity:+f} ({order.fate})"


def _child(child: Child) -> str:
    return f"{child.quantity:+f} {child.order_type}" + ("" if child.limit is None else f" {child.limit}")


def _sums(compared: Sequence[Decision], live: Totals, candidate: Totals) -> list[str]:
    different = sum(differing(decision) for decision in compared)
    words = sum(decision.first is not None for decision in compared)
    lines = [
        f"{len(compared)} decisions compared: {different} differ in orders or halts, {words} in any word",
        f"{'':<32}{'live':>16}{'candidate':>16}",
    ]

    def row(name: str, ours: object, theirs: object) -> str:
        return f"{name:<32}{ours!s:>16}{theirs!s:>16}"

    lines.append(row("orders proposed", live.proposed, candidate.proposed))
    lines.append(row("  value", f"{live.proposed_value:,.0f}", f"{candidate.proposed_value:,.0f}"))
    lines.append(row("orders cleared", live.cleared, candidate.cleared))
    lines.append(row("  value", f"{live.cleared_value:,.0f}", f"{candidate.cleared_value:,.0f}"))
    lines.append(row("halts wanted by risk", live.halts, candidate.halts))
    ours, theirs = dict(live.refusals), dict(candidate.refusals)
    lines += [
        row(f"refused, {name}", ours.get(name, 0), theirs.get(name, 0)) for name in sorted({*ours, *theirs})
    ]
    found = Counter(each.kind for decision in compared for each in decision.differences)
    lines.append("differences: " + ", ".join(f"{found[kind]} {kind}" for kind in KINDS))
    return lines


def _shown(value: object) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def as_json(run: str, compared: Sequence[Decision], changes: Mapping[str, tuple[Any, Any]]) -> str:
    """The whole comparison; `run` is the name that begins the live run's orders. Decimals are strings."""
    content = {
        "schema": SCHEMA,
        "run": run,
        "settings": {key: {"live": ours, "candidate": theirs} for key, (ours, theirs) in changes.items()},
        "decisions": [_decision(decision) for decision in compared],
        "totals": {
            "decisions": len(compared),
            "differing": sum(differing(decision) for decision in compared),
            "live": _totals(totals(decision.live for decision in compared)),
            "candidate": _totals(totals(decision.candidate for decision in compared)),
            "differences": {
                kind: sum(each.kind == kind for decision in compared for each in decision.differences)
                for kind in KINDS
            },
        },
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _totals(sums: Totals) -> dict[str, Any]:
    return {
        "proposed": sums.proposed,
        "proposed_value": str(sums.proposed_value),
        "cleared": sums.cleared,
        "cleared_value": str(sums.cleared_value),
        "halts": sums.halts,
        "refusals": dict(sums.refusals),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "seq": decision.seq,
        "cycle": decision.cycle,
        "at_ns": decision.at,
        "first_difference": decision.first,
        "live": _said(decision.live),
        "candidate": _said(decision.candidate),
        "differences": [_one(each) for each in decision.differences],
    }


def _one(difference: Difference) -> dict[str, Any]:
    return {"symbol": difference.symbol, "kind": difference.kind}


def _said(side: Said) -> dict[str, Any]:
    return {
        "orders": {order.symbol: _order(order) for order in side.orders.values()},
        "monte_carlo_var": side.monte_carlo_var,
        "halt": side.halt,
        "aborted": side.aborted,
    }


def _order(order: Order) -> dict[str, Any]:
    return {
        "quantity": str(order.quantity),
        "value": str(order.value),
        "fate": order.fate,
        "bounds": None if order.bounds is None else [str(price) for price in order.bounds],
        "sent": [
            {
                "quantity": str(child.quantity),
                "type": child.order_type,
                "limit": None if child.limit is None else str(child.limit),
            }
            for child in order.sent
        ],
        "gates": list(order.gates),
    }
