"""What must hold between a firm's log and its gateway, whatever went wrong in between.

The gateway tells only the executions of its own day. What it hid from the firm until its midnight nobody can
know: such a fill may be missing in the log, and then the difference must be a break with the very numbers.
Everything else must agree to the last share and cent.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trading import CLIENT, RUN
from world import ASKED_WITHIN_S, CASH, LAST_WORDS, SYMBOLS, World

from firm.domain.position import ZERO
from firm.events import CODEC, Event, Record
from firm.events.broker import BreakFound
from firm.events.orders import (
    BrokerRejected,
    CommissionReported,
    OrderCanceled,
    OrderCancelRequested,
    OrderFilled,
    OrderNotAccepted,
    OrderSubmitted,
    OrderUnknown,
)
from firm.events.system import BrokerConnected, BrokerDisconnected, Reconciled
from firm.gateway_sim import control
from firm.gateway_sim.amendments import base_of
from firm.gateway_sim.codec.place_order import PLACE_ORDER
from firm.gateway_sim.commands import Place
from firm.gateway_sim.gateway import Gateway
from firm.gateway_sim.orders import Execution
from firm.gateway_sim.times import local_date

UNSENT = (OrderCanceled, BrokerRejected, OrderNotAccepted)
ASKED_WITHIN_PAGES = 3
CENT = Decimal("0.01")


class Broken(AssertionError):
    """An invariant does not hold."""


@dataclass(frozen=True)
class Missing:
    """What one execution differs by from what the log has of it: `quantity` shares, `cash` paid for them.

    `whole`: the log has nothing of it.
    """

    ref: str
    symbol: str
    quantity: Decimal
    cash: Decimal
    whole: bool


def check(world: World) -> None:
    """Raise Broken unless everything holds."""
    assert world.wire.gateway is not None, "settle first"
    Books(world, world.wire.gateway).check()


class Books:
    """Both sides' books, and what the one cannot have of the other's."""

    def __init__(self, world: World, gateway: Gateway) -> None:
        self._world, self._gateway = world, gateway
        self._fills = _newest(world.logged(OrderFilled))
        self._fees = _newest_fees(world.logged(CommissionReported))
        self._breaks = world.logged(Reconciled)[-1].breaks
        self._cancelled = {wish.child_seq for wish in world.logged(OrderCancelRequested)}
        self._intents = world.store.read(kinds={OrderSubmitted.KIND})
        self._missing = [m for group in self._revisions().values() if (m := self._difference(group))]

    def check(self) -> None:
        """Sums of fills, positions, cash; no intent lost or sent twice; one live order an intent."""
        self._check_sent_once()
        self._check_doubts_were_asked()
        by_ref: dict[str, list[dict[str, Any]]] = {}
        for order in control.orders(self._gateway):
            by_ref.setdefault(order["order_ref"], []).append(order)
        for record in self._intents:
            self._check_intent(record, by_ref.get(f"{RUN}-{record.seq}", []))
        self._check_positions()
        self._check_cash()
        self._check_breaks(by_ref)

    def _revisions(self) -> dict[str, list[Execution]]:
        revisions: dict[str, list[Execution]] = {}
        for execution in self._gateway.brokerage.executions:
            revisions.setdefault(base_of(execution.fill.exec_id), []).append(execution)
        return revisions

    def _difference(self, revisions: list[Execution]) -> Missing | None:
        """What the log lacks of one execution; Broken if it could have had it."""
        newest = revisions[-1]
        base = base_of(newest.fill.exec_id)
        known, fee = self._fills.get(base), self._fees.get(base, ZERO)
        if newest.order.client_id == CLIENT and newest.fill.ref != f"{RUN}-99999":
            for revision in revisions[known.revision if known else 0 :]:
                self._excuse(revision, revision.fill.exec_id, "execDetails")
            if known and fee != newest.fill.commission:
                self._excuse(newest, f"commission of {newest.fill.exec_id}", "commissionReport")
        quantity = newest.fill.quantity - (known.quantity if known else ZERO)
        sign = newest.fill.side.sign
        spent = newest.fill.quantity * newest.fill.price - (known.quantity * known.price if known else ZERO)
        cash = spent * sign + newest.fill.commission - fee
        if not quantity and abs(cash) < CENT:
            return None
        if known and known.revision == len(revisions) and quantity:
            raise Broken(f"{known} is {newest.fill} at the gateway")
        return Missing(newest.fill.ref, newest.order.instrument.symbol, quantity * sign, cash, not known)

    def _excuse(self, revision: Execution, what: str, message: str) -> None:
        """`what` is not in the log: no `message` has told it, and none could have by midnight."""
        world, day = self._world, local_date(revision.fill.at)
        what_of = f"{what} of {revision.fill.ref}"
        if what in world.told:
            raise Broken(f"{what_of} was told, and is not in the log")
        if day == local_date(self._gateway.brokerage.at):
            raise Broken(f"{what_of} is of today, and is not in the log")
        if message not in world.dark.get(day, ()):
            raise Broken(f"{what_of} was there to be asked for on {day}")

    def _check_sent_once(self) -> None:
        sent: Counter[str] = Counter()
        for command in self._world.journal.commands:
            if isinstance(command, Place) and not any(command is other for other in self._world.foreign):
                sent[PLACE_ORDER.decode(command.fields, command.version)["orderRef"]] += 1
        names: dict[int, str] = {}
        for order_id, ref in self._world.sent:
            if names.setdefault(order_id, ref) != ref:
                raise Broken(f"order id {order_id} was used for {names[order_id]} and again for {ref}")
        sent |= Counter(ref for _, ref in self._world.sent)
        if twice := {ref: n for ref, n in sent.items() if n > 1 and ref != f"{RUN}-99999"}:
            raise Broken(f"sent more than once: {twice}")
        if beyond := sent.keys() - {f"{RUN}-{record.seq}" for record in self._intents} - {f"{RUN}-99999"}:
            raise Broken(f"sent without an intent: {beyond}")

    def _check_doubts_were_asked(self) -> None:
        """Where the link stands, an unknown order leads to a complete query in no time."""
        kinds = {kind.KIND for kind in (BrokerConnected, BrokerDisconnected, OrderUnknown, Reconciled)}
        up, doubt = False, None
        for record in self._world.store.read(kinds=kinds):
            if record.kind == OrderUnknown.KIND:
                doubt = doubt or (record if up else None)
                continue
            if record.kind != Reconciled.KIND:
                up = record.kind == BrokerConnected.KIND
            if doubt is not None and record.kind != BrokerConnected.KIND:
                (said_at, page), (asked_at, later) = (self._world.noted[r.seq] for r in (doubt, record))
                slow = self._world.clock == "stepped" or asked_at - said_at > ASKED_WITHIN_S
                if slow and later - page > ASKED_WITHIN_PAGES:
                    raise Broken(
                        f"{CODEC.event(doubt)} was asked after {later - page} pages, {asked_at - said_at} s"
                    )
                doubt = None

    def _check_intent(self, record: Record, orders: Sequence[dict[str, Any]]) -> None:
        """`orders`: all at the gateway that bear its name; more than one are twins."""
        seq, quantity = record.seq, CODEC.event(record).child.quantity
        ref = f"{RUN}-{seq}"
        said: list[Event] = [e for kind in LAST_WORDS for e in self._world.logged(kind) if e.child_seq == seq]
        filled = sum((f.quantity for f in self._fills.values() if f.child_seq == seq), start=ZERO)
        if len(said) > 1:
            raise Broken(f"order {seq} ended more than once: {said}")
        unknown = not said and self._may_be_unknown(record)
        if not orders:
            if filled or not (unknown or [type(e) for e in said] in [[kind] for kind in UNSENT]):
                raise Broken(f"order {seq} is not at the gateway; the log says {said}, {filled} filled")
            return
        missing = sum((abs(m.quantity) for m in self._missing if m.ref == ref), start=ZERO)
        there = sum((Decimal(order["filled"]) for order in orders), start=ZERO)
        if there != filled and not missing:
            raise Broken(f"order {seq}: {there} filled at the gateway, {filled} in the log, {missing} unseen")
        live = [order["perm_id"] for order in orders if order["live"]]
        if len(live) > 1:
            raise Broken(f"order {seq} is live more than once: {live}")
        if seq in self._world.buried:
            raise Broken(f"order {seq} was live at the gateway when the log said {said}")
        if any(order["live"] and Decimal(order["quantity"]) != quantity for order in orders):
            raise Broken(f"order {seq} was for {quantity}, somebody has changed it, and it is live: {orders}")
        if live and seq in self._cancelled:
            raise Broken(f"order {seq} was to be cancelled and is live")
        if live and (said or filled >= quantity):
            raise Broken(f"order {seq} is live at the gateway, the log says {said or 'filled'}")
        whole = filled >= quantity or all(order["status"] == "Filled" for order in orders)
        refused = any(isinstance(event, BrokerRejected) for event in said)
        unseen = any(m.whole and m.ref == ref for m in self._missing)
        if said and not refused and unseen and self._was_told_apart(record):
            raise Broken(f"order {seq} has fills that nobody has seen, and the log says {said}")
        if not live and not said and not whole and not unknown:
            raise Broken(f"order {seq} has ended at the gateway, the log has no last word: {orders}")

    def _may_be_unknown(self, record: Record) -> bool:
        """The log says unknown, and the position in its instrument differs, whoever has moved it."""
        symbol = SYMBOLS[CODEC.event(record).child.instrument]
        apart = sum((m.quantity for m in self._missing if m.symbol == symbol), start=ZERO)
        told = any(e.child_seq == record.seq for e in self._world.logged(OrderUnknown))
        return told and apart != ZERO

    def _was_told_apart(self, intent: Record) -> bool:
        """Whether the positions differed in the order's instrument when it had its last word."""
        kinds = {kind.KIND for kind in (*LAST_WORDS, Reconciled)}
        later = iter([CODEC.event(record) for record in self._world.store.read(kinds=kinds)])
        for event in later:
            if not isinstance(event, Reconciled) and event.child_seq == intent.seq:
                break
        symbol = SYMBOLS[CODEC.event(intent).child.instrument]
        outcome = next(event for event in later if isinstance(event, Reconciled))
        return any(text.startswith(f"{symbol}: ") for text in outcome.breaks)

    def _check_positions(self) -> None:
        status = control.status(self._gateway)
        sums: Counter[str] = Counter()
        for fill in self._fills.values():
            sums[SYMBOLS[fill.instrument]] += int(fill.quantity) * fill.side.sign
        held = {symbol: int(Decimal(q)) for symbol, q in status["positions"].items()}
        told = {SYMBOLS[i]: int(q) for i, q in self._world.logged(Reconciled)[-1].positions}
        if told != held:
            raise Broken(f"the gateway holds {held}, the log was told {told}")
        for missing in self._missing:
            sums[missing.symbol] += int(missing.quantity)
        if {symbol: n for symbol, n in sums.items() if n} != held:
            raise Broken(
                f"fills add up to {dict(sums)}, {self._missing} of it unseen; the gateway holds {held}"
            )

    def _check_cash(self) -> None:
        cash = CASH - sum((m.cash for m in self._missing), start=ZERO)
        cash -= sum(self._fees.values(), start=ZERO)
        for fill in self._fills.values():
            cash -= fill.quantity * fill.side.sign * fill.price
        there = Decimal(control.status(self._gateway)["cash"])
        if abs(cash - there) > CENT:
            raise Broken(f"the log and what it cannot have add up to {cash} in cash, the gateway has {there}")

    def _check_breaks(self, by_ref: dict[str, list[dict[str, Any]]]) -> None:
        """Exactly the differences that are there, each with its numbers."""
        status = control.status(self._gateway)["positions"]
        expected = set()
        for symbol in {m.symbol for m in self._missing}:
            apart = sum((m.quantity for m in self._missing if m.symbol == symbol), start=ZERO)
            held = int(Decimal(status.get(symbol, 0)))
            if apart:
                text = f"{symbol}: the broker holds {held}, the log adds up to {held - int(apart)}"
                expected.add(text)
        for order in by_ref.get(f"{RUN}-99999", []):
            if order["live"]:
                name = f"order {RUN}-99999 (permId {order['perm_id']})"
                expected.add(f"{name} is live and not in the log")
        if set(self._breaks) != expected:
            raise Broken(f"the breaks that are left should be {expected}, found {self._breaks}")
        for missing in self._missing:
            if not missing.quantity and missing.ref.startswith(RUN) and not self._world.logged(BreakFound):
                raise Broken(f"{missing} was missed and no break was ever told")


def _newest(fills: Sequence[OrderFilled]) -> dict[str, OrderFilled]:
    newest: dict[str, OrderFilled] = {}
    for fill in fills:
        known = newest.get(fill.exec_id)
        if known is not None and known.revision >= fill.revision:
            raise Broken(f"execution {fill.exec_id} was told twice: {known} and {fill}")
        newest[fill.exec_id] = fill
    return newest


def _newest_fees(fees: Sequence[CommissionReported]) -> dict[str, Decimal]:
    newest: dict[str, Decimal] = {}
    for fee in fees:
        if newest.get(fee.exec_id) == fee.commission:
            raise Broken(f"the commission of {fee.exec_id} was told twice: {fee.commission}")
        newest[fee.exec_id] = fee.commission
    return newest
