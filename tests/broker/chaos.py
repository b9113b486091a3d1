"""A firm without opinions at a gateway that misbehaves: a script of actions, and what must hold after it.

A script is a list of plain values, made from a seed or written by hand, so that a failing one can be cut down
to what it takes and kept.
"""

import asyncio
import json
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from trading import RUN, settings
from virtual import VirtualLoop, Wire, WireControl

from firm.broker.desk import Desk, Terms
from firm.domain.order import OrderType, Side, TimeInForce
from firm.errors import FirmError, GatewayError
from firm.events import CODEC, Event, Origin, Record, encode
from firm.events.broker import BreakFound
from firm.events.market import MarketData, Ticks
from firm.events.orders import (
    BrokerRejected,
    Child,
    CommissionReported,
    OrderCanceled,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderNotAccepted,
    OrderSubmitted,
)
from firm.events.system import InstrumentsResolved, Reconciled
from firm.exchange import MarginRules
from firm.gateway_sim import control
from firm.gateway_sim.brokerage import Brokerage, Command
from firm.gateway_sim.gateway import Gateway
from firm.gateway_sim.orders import open_order, order_status
from firm.gateway_sim.session import Cut
from firm.store.memory import MemoryStore
from firm.tape.load import load_tape
from firm.tape.tape import Tape

SYMBOLS = ("AAPL", "AMD", "KO")
CASH = Decimal(1_000_000)
LAST_WORDS = (OrderCanceled, OrderExpired, BrokerRejected, OrderNotAccepted)
DAY_NS = 86_400_000_000_000
HIDING = {"withhold", "hold", "delay", "ignore", "link"}
QUIET_TURNS = 12
PATIENCE_S = 400.0

Action = tuple[Any, ...]


class Broken(AssertionError):
    """An invariant does not hold."""


@cache
def tape() -> Tape:
    return load_tape(None, 3)


class MemoryJournal:
    """The gateway's journal without a disk: what was committed survives a restart."""

    def __init__(self, commands: Sequence[Command] = ()) -> None:
        self.commands = list(commands)

    def append(self, command: Command) -> None:
        self.commands.append(command)

    def commit(self, *, disk: bool) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class World:
    """A gateway and a firm on one wire. `story` is what was done, for people."""

    directory: Path
    clock: str = "free"
    wire: Wire = field(default_factory=Wire)
    store: MemoryStore = field(default_factory=MemoryStore)
    commands: list[Record] = field(default_factory=list)
    offered: list[Record] = field(default_factory=list)
    desk: Desk | None = None
    at: int = 0
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    broker: dict[str, Any] = field(default_factory=dict)
    breaks: str = ""
    seen: list[str] = field(default_factory=list)
    withheld: set[str] = field(default_factory=set)
    hidden_at_midnight: bool = False
    hid_on: int = 1 << 60

    # the two sides

    def start_gateway(self) -> None:
        """Begin, or begin again from the journal."""
        margin = MarginRules(Decimal(4), shorts_allowed=True)
        brokerage = Brokerage(tape(), CASH, "DU1", margin, preset_notice=False)
        self.journal = MemoryJournal(self.journal.commands)
        self.wire.start(Gateway(brokerage, self.journal))

    def ask_gateway(self, **command: Any) -> dict[str, Any]:
        """A command on the control port; nothing if the gateway is away."""
        if self.wire.gateway is None:
            return {}
        answer = control.answer(self.wire.gateway, json.dumps(command).encode(), stepped=True)
        self.wire.flush()
        return answer

    async def start_firm(self) -> None:
        """Begin, or begin again from the log; then the bus offers its last commands once more."""
        self.commands = [*self.offered, *(c for c in self.commands if c not in self.offered)]
        terms = Terms(
            settings(0, request_timeout_ms=2000, connect_timeout_ms=2000, **self.broker),
            SYMBOLS,
            self.directory / "latch",
            self.clock,
            history_bars=5,
        )
        while self.desk is None:
            desk = Desk(terms, WireControl(self.wire), self.wire.client)
            try:
                at, events = await desk.open(self.store.read(), RUN)
            except GatewayError:
                await desk.close()
                await asyncio.sleep(5)
                if self.wire.gateway is None:
                    self.start_gateway()
                self.heal_lines()
            else:
                self.desk = desk
                self.commit(at, events)

    async def stop_firm(self, *, kill: bool) -> None:
        """End the firm; killed, it does not even hang up, and what it has not committed is lost."""
        desk, self.desk = self.desk, None
        if desk is None:
            return
        if kill:
            for line in list(self.wire.lines):
                line.broken()
        await desk.close()

    # the bus

    def commit(self, at: int, events: Sequence[Event]) -> None:
        faults = self.wire.gateway and self.wire.gateway.faults
        hidden = faults is None or self.withheld
        if hidden and self.at // DAY_NS != at // DAY_NS:
            self.hidden_at_midnight = True
        self.at = max(self.at, at)
        for event in events:
            if isinstance(event, MarketData | Ticks):
                self.seen.append(type(event).__name__)
            else:
                self.record("broker", Origin.INPUT, event)

    def record(self, author: str, origin: Origin, event: Event) -> Record:
        record = Record(self.store.last_seq + 1, self.at, origin, author, 0, 0, event.KIND, encode(event))
        self.store.commit([record])
        return record

    async def turn(self, until: int | None = None, *, lose: bool = False) -> None:
        """One turn; `lose`: the firm dies before its page is committed."""
        assert self.desk is not None
        commands, self.commands = self.commands, []
        self.offered = commands or self.offered
        try:
            at, events, _ = await self.desk.turn(commands, until)
        except GatewayError:
            await self.stop_firm(kill=True)
            if self.wire.gateway is None:
                self.start_gateway()
            await self.start_firm()
            return
        if lose:
            await self.stop_firm(kill=True)
            await self.start_firm()
            return
        self.commit(at, events)

    # the script

    async def do(self, action: Action) -> None:
        kind, *rest = action
        if kind == "lost_page" or (kind == "ask" and rest[0]["cmd"] in HIDING):
            self.hid_on = min(self.hid_on, self.at // DAY_NS)
        await getattr(self, f"do_{kind}")(*rest)

    async def do_turn(self) -> None:
        await self.turn()

    async def do_step(self) -> None:
        """The market moves on by one frame."""
        if self.clock == "free" and self.wire.gateway is not None:
            self.wire.gateway.step(None)
            self.wire.flush()
        await self.turn()

    async def do_submit(
        self, instrument: int, side: str, quantity: int, kind: str, tif: str, turn: bool
    ) -> None:
        instruments = self.logged(InstrumentsResolved)[0].instruments
        price = {"far": Decimal("1.00") if side == "BUY" else Decimal("9999.00"), "market": None}[kind]
        order_type = OrderType.MARKET if price is None else OrderType.LIMIT
        child = Child(
            instrument,
            instruments[instrument].con_id,
            Side(side),
            Decimal(quantity),
            order_type,
            price,
            TimeInForce(tif),
        )
        self.commands.append(self.record("execution", Origin.DERIVED, OrderSubmitted(1, "market", child)))
        if turn:
            await self.turn()

    async def do_cancel(self, which: int, turn: bool) -> None:
        seqs = [r.seq for r in self.store.read(kinds={OrderSubmitted.KIND})]
        if seqs:
            wish = OrderCancelRequested(seqs[which % len(seqs)], "no longer wanted")
            self.commands.append(self.record("execution", Origin.DERIVED, wish))
            if turn:
                await self.turn()

    async def do_lost_page(self) -> None:
        """The firm dies with a page that nobody has committed."""
        await self.turn(lose=True)

    async def do_kill_firm(self) -> None:
        """The firm dies before it has sent what is committed, and lives again."""
        await self.stop_firm(kill=True)
        await self.start_firm()

    async def do_restart_gateway(self) -> None:
        self.wire.stop()
        await asyncio.sleep(1)
        self.start_gateway()

    async def do_gateway_away(self, seconds: float) -> None:
        """The gateway dies, the firm goes on meanwhile."""
        self.wire.stop()
        asyncio.get_running_loop().call_later(seconds, self.start_if_away)
        await self.turn()

    def start_if_away(self) -> None:
        if self.wire.gateway is None:
            self.start_gateway()

    async def do_cut(self, how: str = "rst") -> None:
        self.ask_gateway(cmd="cut", how=how)

    async def do_occupy(self, seconds: float) -> None:
        """A dead session keeps the firm's client id for a while after the next connection broke."""
        gateway = self.wire.gateway
        assert gateway is not None
        ghost = gateway.connect(178)
        for session in gateway.sessions:
            session.cut = Cut("rst", 0)
        self.wire.flush()
        await asyncio.sleep(0.1)
        ghost.client_id, ghost.cut = 11, None
        asyncio.get_running_loop().call_later(seconds, gateway.disconnect, ghost)

    async def do_twin(self, which: int) -> None:
        """An order of the firm lives a second time, under another permId."""
        gateway = self.wire.gateway
        assert gateway is not None
        live = [order for order in gateway.brokerage.orders.values() if order.live]
        order = live[which % len(live)]
        for said in (open_order(order, "DU1"), order_status(order)):
            values = {**said.values, "permId": order.perm_id + 10_000}
            gateway.sessions[0].say(said.message, **values)
        self.wire.flush()

    async def do_stray(self) -> None:
        """An order that bears the run's name and is not in its log."""
        desk = self.desk
        assert desk is not None
        assert desk.pump is not None
        connection = desk.pump.connection
        instrument = self.logged(InstrumentsResolved)[0].instruments[0]
        child = Child(
            0, instrument.con_id, Side.BUY, Decimal(7), OrderType.LIMIT, Decimal(1), TimeInForce.GTC
        )
        connection.place(connection.next_order_id(), f"{RUN}-99999", instrument, child)

    async def do_odd(self, quantity: str, price: str) -> None:
        """An order that no market takes."""
        con_id = self.logged(InstrumentsResolved)[0].instruments[0].con_id
        child = Child(
            0, con_id, Side.BUY, Decimal(quantity), OrderType.LIMIT, Decimal(price), TimeInForce.DAY
        )
        self.commands.append(self.record("execution", Origin.DERIVED, OrderSubmitted(1, "market", child)))
        await self.turn()

    async def do_deaf(self) -> None:
        """The link goes half-open: nobody is told, nothing arrives."""
        for line in self.wire.lines:
            line.deaf = True

    async def do_mute(self) -> None:
        """What the firm sends from now on is lost in flight, until the connection is made anew."""
        for line in self.wire.lines:
            line.mute = True

    async def do_lag(self, seconds: float) -> None:
        for line in self.wire.lines:
            line.lag_s = seconds

    def heal_lines(self) -> None:
        for line in self.wire.lines:
            line.lag_s = 0.0

    async def do_inject(self, code: int, turn: bool) -> None:
        """A notice about the session."""
        self.ask_gateway(cmd="inject", code=code, text=f"notice {code}")
        if turn:
            await self.turn()

    async def do_error_on(self, which: int, code: int) -> None:
        """An error with the id of a live order, which does it no harm."""
        if self.wire.gateway is None:
            return
        live = [o for o in control.orders(self.wire.gateway) if o["live"]]
        if live:
            order_id = live[which % len(live)]["order_id"]
            self.ask_gateway(cmd="inject", code=code, text=f"error {code}", req_id=order_id)

    async def do_withhold(self, messages: list[str], on: bool) -> None:
        self.withheld = self.withheld | set(messages) if on else self.withheld - set(messages)
        self.ask_gateway(cmd="withhold", messages=list(messages), on=on)

    async def do_double(self, messages: list[str], on: bool) -> None:
        self.ask_gateway(cmd="double", messages=list(messages), on=on)

    async def do_ask(self, command: dict[str, Any]) -> None:
        """Any command of the control port."""
        self.ask_gateway(**command)

    async def do_amend(self, which: int, quantity: int) -> None:
        """An execution of an order that has ended is corrected to `quantity`, or busted (0)."""
        if self.wire.gateway is None:
            return
        ended = {o["perm_id"] for o in control.orders(self.wire.gateway) if not o["live"]}
        found = [e for e in self.ask_gateway(cmd="executions")["executions"] if e["perm_id"] in ended]
        if found:
            exec_id = found[which % len(found)]["exec_id"]
            if quantity:
                self.ask_gateway(cmd="correct", exec_id=exec_id, quantity=quantity)
            else:
                self.ask_gateway(cmd="bust", exec_id=exec_id)

    async def do_wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def do_latch(self, down: bool) -> None:
        latch = self.directory / "latch"
        if down:
            latch.write_text("drill")
        else:
            latch.unlink(missing_ok=True)

    # what must hold

    def logged(self, kind: type[Any]) -> list[Any]:
        return [CODEC.event(record) for record in self.store.read(kinds={kind.KIND})]

    async def settle(self) -> None:
        """Every fault is over; the firm gets the time it needs to find the truth."""
        if self.wire.gateway is None:
            self.start_gateway()
        self.heal_lines()
        for fault in ({"cmd": "clear"}, {"cmd": "link", "up": True}, {"cmd": "farm", "ok": True}):
            self.ask_gateway(**fault)
        (self.directory / "latch").unlink(missing_ok=True)
        if self.desk is None:
            await self.start_firm()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        quiet = 0
        while quiet < QUIET_TURNS and loop.time() < deadline:
            before = self.store.last_seq
            await asyncio.sleep(0.01)
            await self.turn(until=self.at if self.clock == "stepped" else None)
            quiet = quiet + 1 if self.store.last_seq == before else 0
        compared = 0
        while compared < 2 and loop.time() < deadline + PATIENCE_S:
            assert self.desk is not None
            events = await self.desk.reconcile()
            self.commit(self.at, events)
            compared += any(isinstance(event, Reconciled) for event in events)
            await self.turn(until=self.at if self.clock == "stepped" else None)

    def check(self) -> None:
        """What must hold. What the gateway hid beyond its midnight nobody can know: that must be a break."""
        if self.breaks:
            left = self.logged(Reconciled)[-1].breaks
            if not any(self.breaks in text for text in left):
                raise Broken(f"a break with {self.breaks!r} was to be left, found {left}")
            return
        try:
            self._check()
        except Broken:
            told = self.logged(Reconciled)[-1].breaks or self.logged(BreakFound)
            hidden = self.hidden_at_midnight or self.hid_on < self.at // DAY_NS
            if not (hidden and told):
                raise

    def _check(self) -> None:
        """Sums of fills, positions, one live order an intent, no intent lost or sent twice, cash."""
        gateway = self.wire.gateway
        assert gateway is not None
        orders = control.orders(gateway)
        status = control.status(gateway)
        self._check_orders(orders)
        fills = self._fills()
        self._check_positions(fills, status)
        self._check_cash(fills, status)
        last = self.logged(Reconciled)[-1]
        if last.breaks:
            raise Broken(f"breaks are left: {last.breaks}")

    def _fills(self) -> dict[str, OrderFilled]:
        newest: dict[str, OrderFilled] = {}
        for fill in self.logged(OrderFilled):
            known = newest.get(fill.exec_id)
            if known is not None and known.revision >= fill.revision:
                raise Broken(f"execution {fill.exec_id} was told twice: {known} and {fill}")
            newest[fill.exec_id] = fill
        return newest

    def _check_orders(self, orders: Sequence[dict[str, Any]]) -> None:
        by_ref = Counter(order["order_ref"] for order in orders)
        twice = {ref: n for ref, n in by_ref.items() if n > 1}
        if twice:
            raise Broken(f"sent more than once: {twice}")
        found = {order["order_ref"]: order for order in orders}
        ends: dict[int, list[Event]] = {}
        for kind in LAST_WORDS:
            for event in self.logged(kind):
                ends.setdefault(event.child_seq, []).append(event)
        filled: Counter[int] = Counter()
        for fill in self._fills().values():
            filled[fill.child_seq] += int(fill.quantity)
        for record in self.store.read(kinds={OrderSubmitted.KIND}):
            self._check_intent(record, found.get(f"{RUN}-{record.seq}"), ends, filled[record.seq])

    def _check_intent(
        self, record: Record, order: dict[str, Any] | None, ends: dict[int, list[Event]], filled: int
    ) -> None:
        seq, child = record.seq, CODEC.event(record).child
        said = ends.get(seq, [])
        if len(said) > 1:
            raise Broken(f"order {seq} ended more than once: {said}")
        whole = filled == int(child.quantity)
        if order is None:
            unsent = [OrderNotAccepted], [BrokerRejected], [OrderCanceled]
            if filled or [type(e) for e in said] not in unsent:
                raise Broken(f"order {seq} is not at the gateway; the log says {said}, {filled} filled")
            return
        if filled != int(Decimal(order["filled"])):
            raise Broken(f"order {seq}: {order['filled']} filled at the gateway, {filled} in the log")
        live, whole = order["live"], whole or order["status"] == "Filled"
        if live and said:
            raise Broken(f"order {seq} is live at the gateway, the log says {said}")
        if not live and not said and not whole:
            raise Broken(f"order {seq} is {order['status']} at the gateway, the log has no last word")

    def _check_positions(self, fills: dict[str, OrderFilled], status: dict[str, Any]) -> None:
        sums: Counter[str] = Counter()
        for fill in fills.values():
            sums[SYMBOLS[fill.instrument]] += int(fill.quantity) * fill.side.sign
        held = {symbol: int(Decimal(q)) for symbol, q in status["positions"].items()}
        ours = {symbol: n for symbol, n in sums.items() if n}
        last = {SYMBOLS[i]: int(q) for i, q in self.logged(Reconciled)[-1].positions}
        if not ours == held == last:
            raise Broken(f"fills add up to {ours}, the gateway holds {held}, the log was told {last}")

    def _check_cash(self, fills: dict[str, OrderFilled], status: dict[str, Any]) -> None:
        fees = {fee.exec_id: fee.commission for fee in self.logged(CommissionReported)}
        missing = fills.keys() - fees.keys()
        if missing:
            raise Broken(f"no commission of {sorted(missing)}")
        spent = sum((f.quantity * f.side.sign * f.price for f in fills.values()), start=Decimal(0))
        expected = CASH - spent - sum(fees.values(), start=Decimal(0))
        if abs(expected - Decimal(status["cash"])) > Decimal("0.01"):
            raise Broken(f"the log adds up to {expected} in cash, the gateway has {status['cash']}")


MESSAGES = ["orderStatus", "openOrder", "execDetails", "commissionReport", "error", "completedOrder"]
CODES_ON_ORDERS = (161, 10147, 10148, 103, 104, 110, 201, 10318, 10052, 399, 404, 2109, 10349, 99999)
NOTICES = (1100, 1101, 1102, 2103, 2104, 2105, 2106, 2110, 10182, 2157, 2158, 1300)


def script(seed: int, length: int) -> list[Action]:
    """What happens in one run, by its seed."""
    dice = random.Random(seed)

    def submit() -> Action:
        kind = dice.choice(("market", "market", "far"))
        return (
            "submit",
            dice.randrange(3),
            dice.choice(("BUY", "SELL")),
            dice.randrange(1, 300),
            kind,
            dice.choice(("DAY", "GTC")),
            dice.random() < 0.5,
        )

    def fault() -> Action:
        """One of the gateway's own faults, for so many messages or until it is cleared."""
        few = dice.randrange(1, 4)
        some = [dice.choice(MESSAGES)]
        kinds: tuple[dict[str, Any], ...] = (
            {"cmd": "withhold", "messages": some, "times": few},
            {"cmd": "double", "messages": some, "times": few},
            {"cmd": "delay", "messages": some, "ms": dice.choice((5, 700, 4000)), "times": few},
            {"cmd": "hold", "messages": some, "times": few},
            {"cmd": "release", "order": dice.choice(("same", "reverse"))},
            {"cmd": "lose", "count": few},
            {"cmd": "link", "up": False},
            {"cmd": "link", "up": True, "lost": dice.random() < 0.5},
            {"cmd": "link", "up": True},
            {"cmd": "cut", "how": dice.choice(("rst", "fin", "silent")), "after_bytes": dice.randrange(600)},
            {"cmd": "farm", "ok": dice.random() < 0.5, "mute": dice.random() < 0.3},
            {"cmd": "compete", "on": dice.random() < 0.3},
            {"cmd": "entitle", "symbol": "AMD", "level": dice.choice(("live", "live", "delayed", "none"))},
            {"cmd": "refuse_cancel", "times": few},
            {"cmd": "ignore", "requests": [dice.choice(("cancelOrder", "reqPositions"))], "times": few},
            {"cmd": "rewrite", "message": "openOrder", "values": {"permId": 0}, "times": few},
            {"cmd": "clear"},
        )
        return ("ask", dice.choice(kinds))

    makers = {
        submit: 30,
        lambda: ("cancel", dice.randrange(50), dice.random() < 0.6): 12,
        lambda: ("turn",): 15,
        lambda: ("step",): 16,
        lambda: ("lost_page",): 3,
        lambda: ("kill_firm",): 3,
        lambda: ("restart_gateway",): 2,
        lambda: ("gateway_away", dice.choice((0.5, 3.0, 20.0))): 2,
        lambda: ("cut",): 3,
        lambda: ("mute",): 3,
        lambda: ("lag", dice.choice((0.0, 0.1, 1.5))): 3,
        lambda: ("inject", dice.choice(NOTICES), dice.random() < 0.5): 5,
        lambda: ("error_on", dice.randrange(9), dice.choice(CODES_ON_ORDERS)): 8,
        lambda: ("withhold", [dice.choice(MESSAGES)], dice.random() < 0.4): 5,
        lambda: ("amend", dice.randrange(50), dice.choice((0, 5, 400))): 3,
        fault: 22,
        lambda: ("wait", dice.choice((0.01, 1.0, 6.0, 400.0))): 6,
        lambda: ("latch", dice.random() < 0.3): 2,
    }
    chosen = dice.choices(list(makers), list(makers.values()), k=length)
    return [make() for make in chosen]


def play(actions: Sequence[Action], clock: str = "free", breaks: str = "", **broker: Any) -> World:
    """Live the script in a world of its own and check what must hold; Broken if it does not.

    `breaks`: the words of a break that is right to be left at the end; then the books need not agree.
    """
    loop = VirtualLoop()
    try:
        with tempfile.TemporaryDirectory() as directory:
            world = World(Path(directory), clock, broker=broker, breaks=breaks)
            loop.run_until_complete(_play(world, actions))
            return world
    finally:
        loop.close()


async def _play(world: World, actions: Sequence[Action]) -> None:
    world.start_gateway()
    try:
        await world.start_firm()
        await world.turn()
        for action in actions:
            if world.desk is None:
                await world.start_firm()
            await world.do(action)
        await world.settle()
        world.check()
    finally:
        await world.stop_firm(kill=False)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def smallest(actions: Sequence[Action], fails: Any) -> list[Action]:
    """A shorter script that fails as well: pieces are left out while it still does."""
    kept = list(actions)
    size = max(len(kept) // 2, 1)
    while size:
        at = 0
        while at < len(kept):
            tried = kept[:at] + kept[at + size :]
            if fails(tried):
                kept = tried
            else:
                at += size
        size //= 2
    return kept


def fails(actions: Sequence[Action], clock: str = "free") -> str | None:
    """What went wrong, if anything did."""
    try:
        play(actions, clock)
    except (Broken, FirmError, AssertionError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return None
