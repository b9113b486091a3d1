"""A simulated gateway and a firm without opinions on one wire, in one process whose time is made.

The firm's side is the real `Desk` with the real client library; the bus is reduced to a log that commits
pages. Both sides can die at any moment and come back: the gateway from its journal, the firm from its log.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from trading import CLIENT, RUN, settings
from virtual import MemoryJournal, VirtualLoop, Wire, WireControl

from firm.broker.control import Stepped
from firm.broker.desk import Desk, Terms
from firm.broker.recorder import RecordingIB
from firm.errors import GatewayError
from firm.events import CODEC, Event, Origin, Record, encode
from firm.events.market import MarketData, Ticks
from firm.events.orders import BrokerRejected, OrderCanceled, OrderExpired, OrderNotAccepted
from firm.events.system import Reconciled
from firm.exchange import MarginRules
from firm.gateway_sim import control
from firm.gateway_sim.brokerage import Brokerage, Command
from firm.gateway_sim.gateway import Gateway
from firm.gateway_sim.times import local_date
from firm.store.memory import MemoryStore
from firm.tape.load import load_tape
from firm.tape.tape import Tape

__all__ = ["CASH", "SYMBOLS", "VirtualLoop", "World"]

SYMBOLS = ("AAPL", "AMD", "KO")
CASH = Decimal(1_000_000)
LAST_WORDS = (OrderCanceled, OrderExpired, BrokerRejected, OrderNotAccepted)
TRADES = frozenset({"execDetails", "commissionReport"})
HIDING = ("withhold", "hold", "delay")
EVENING_S = 310.0
"""A firm that compares every five minutes has done so once between a close and midnight."""

ASKED_WITHIN_S = 60.0
"""A doubt leads to a complete query in less, over the slowest wire there is."""

SLICE_S = 20.0
QUIET_TURNS = 12
PATIENCE_S = 400.0


@cache
def tape(*, thin: bool) -> Tape:
    """Three days of half hours. `thin`: so little is displayed that most market orders fill in parts."""
    whole = load_tape(None, 3)
    if not thin:
        return whole
    frames = []
    for n, frame in enumerate(whole.frames):
        quotes = frame.quotes.copy()
        for side in ("bid_size", "ask_size"):
            quotes[side] = 40 + (n * 37 + quotes["instrument"] * 53) % 120
        frames.append(frame._replace(quotes=quotes))
    return replace(whole, frames=frames)


def _messages(command: dict[str, Any]) -> Sequence[str]:
    return command.get("messages") or [command.get("message", "")]


@dataclass
class World:
    """The two sides, the wire between them, and what is known from outside.

    Attributes
    ----------
    heard, told
        Executions and commissions that have reached the firm: since its last commit, and in committed pages.
    dark
        Days of the gateway that ended while it could not tell the firm something, and which messages.
    in_vain
        What was withheld when the firm last asked for executions, if nothing was done to the gateway since.
    sent
        Order id and name of every order that the firm has sent, whether or not it arrived.
    foreign
        Commands to the gateway that were not the firm's: a person's orders and changes.
    noted
        Of each entry of the log: the loop's time (s) and the number of the page when it was committed.
    lied
        The gateway has kept back or falsified what it says of orders.
    buried
        Orders that were said to have ended while they were live at a gateway that had never lied.
    """

    directory: Path
    clock: str = "free"
    thin: bool = False
    broker: dict[str, Any] = field(default_factory=dict)
    wire: Wire = field(default_factory=Wire)
    store: MemoryStore = field(default_factory=MemoryStore)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    desk: Desk | None = None
    at: int = 0
    commands: list[Record] = field(default_factory=list)
    offered: list[Record] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    heard: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    dark: dict[date, frozenset[str]] = field(default_factory=dict)
    in_vain: frozenset[str] = frozenset()
    sent: list[tuple[int, str]] = field(default_factory=list)
    foreign: list[Command] = field(default_factory=list)
    noted: dict[int, tuple[float, int]] = field(default_factory=dict)
    pages: int = 0
    lied: bool = False
    buried: list[int] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    # the gateway

    def start_gateway(self) -> None:
        """Begin, or begin again from the journal."""
        margin = MarginRules(Decimal(4), shorts_allowed=True)
        brokerage = Brokerage(tape(thin=self.thin), CASH, "DU1", margin, preset_notice=False)
        self.journal = MemoryJournal(self.journal.commands)
        self.wire.start(Gateway(brokerage, self.journal))

    def start_if_away(self) -> None:
        if self.wire.gateway is None:
            self.start_gateway()

    def ask_gateway(self, **command: Any) -> dict[str, Any]:
        """A command on the control port; nothing if the gateway is away."""
        if self.wire.gateway is None:
            return {}
        self.in_vain = frozenset()
        self.lied |= command["cmd"] in (*HIDING, "rewrite") and not TRADES.issuperset(_messages(command))
        answer = control.answer(self.wire.gateway, json.dumps(command).encode(), stepped=True)
        self.wire.flush()
        return answer

    def hidden(self) -> frozenset[str]:
        """Which news of trades would not reach the firm now, however it asked."""
        gateway = self.wire.gateway
        if gateway is None or self.desk is None:
            return TRADES
        down = any(s.down or s.silent or s.kept or s.cut for s in gateway.sessions)
        if down or any(line.deaf or line.mute or line.late for line in self.wire.lines):
            return TRADES
        return self._kept_back(gateway, HIDING)

    @staticmethod
    def _kept_back(gateway: Gateway, how: Sequence[str]) -> frozenset[str]:
        return frozenset(m for m in TRADES if any(gateway.faults.switch(h).find(CLIENT, m) for h in how))

    def advance(self, gateway: Gateway, until: int | None) -> Stepped:
        """The gateway's clock moves on; what is not told by midnight is not told any more."""
        day, hidden = self.day, self.hidden() | self.in_vain
        self.in_vain = frozenset()
        stepped = gateway.step(until)
        self.wire.flush()
        if hidden and self.day != day:
            self.dark[day] = hidden
        return Stepped(stepped.at, stepped.done)

    def _link_is_down(self) -> bool:
        """For the gateway, or for the firm, which was told so."""
        gateway, pump = self.wire.gateway, self.desk.pump if self.desk else None
        down = gateway is not None and any(session.down for session in gateway.sessions)
        return down or (pump is not None and pump.connection.up and not pump.session.link.gate.cancels)

    # the firm

    async def start_firm(self) -> None:
        """Begin, or begin again from the log; then the bus offers its last commands once more."""
        self.commands = [*self.offered, *(c for c in self.commands if c not in self.offered)]
        self.heard.clear()
        terms = Terms(
            settings(0, request_timeout_ms=2000, connect_timeout_ms=2000, **self.broker),
            SYMBOLS,
            self.directory / "latch",
            self.clock,
            history_bars=5,
        )
        while self.desk is None:
            desk = Desk(terms, WireControl(self.wire, self.advance), self._client)
            try:
                at, events = await desk.open(self.store.read(), RUN)
            except GatewayError:
                await desk.close()
                await asyncio.sleep(5)
                self.start_if_away()
                self.wire.heal()
            else:
                self.desk = desk
                self.commit(at, events)

    def _client(self, arrived: Callable[[], None]) -> RecordingIB:
        """The library's client, overheard: what has reached the firm of trades, and what it sends."""
        ib = self.wire.client(arrived)
        say = ib.wrapper.execDetails

        def overheard(req_id: int, contract: Any, execution: Any) -> None:
            self.heard.add(execution.execId)
            say(req_id, contract, execution)

        pay = ib.wrapper.commissionReport

        def paid(report: Any) -> None:
            self.heard.add(f"commission of {report.execId}")
            pay(report)

        place = ib.client.placeOrder

        def sent(order_id: int, contract: Any, order: Any) -> None:
            self.sent.append((order_id, order.orderRef))
            place(order_id, contract, order)

        ask = ib.client.reqExecutions

        def asked(*request: Any) -> None:
            gateway = self.wire.gateway
            self.in_vain = frozenset() if gateway is None else self._kept_back(gateway, ["withhold"])
            ask(*request)

        ib.wrapper.execDetails, ib.wrapper.commissionReport = overheard, paid
        ib.client.placeOrder, ib.client.reqExecutions = sent, asked
        return ib

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
        self.at = max(self.at, at)
        self.told |= self.heard
        self.heard.clear()
        self.pages += 1
        for event in events:
            if isinstance(event, MarketData | Ticks):
                self.seen.append(type(event).__name__)
            else:
                self.record("broker", Origin.INPUT, event)

    def record(self, author: str, origin: Origin, event: Event) -> Record:
        record = Record(self.store.last_seq + 1, self.at, origin, author, 0, 0, event.KIND, encode(event))
        self.store.commit([record])
        if isinstance(event, LAST_WORDS) and not self.lied and self._lives(event.child_seq):
            self.buried.append(event.child_seq)
        self.noted[record.seq] = asyncio.get_running_loop().time(), self.pages
        return record

    def _lives(self, seq: int) -> bool:
        gateway = self.wire.gateway
        live = [] if gateway is None else gateway.brokerage.live_orders()
        return any(order.values["orderRef"] == f"{RUN}-{seq}" for order in live)

    def logged(self, kind: type[Any]) -> list[Any]:
        return [CODEC.event(record) for record in self.store.read(kinds={kind.KIND})]

    async def turn(self, until: int | None = None, *, lose: bool = False) -> None:
        """One turn; `lose`: the firm dies before its page is committed."""
        assert self.desk is not None
        commands, self.commands = self.commands, []
        self.offered = commands or self.offered
        try:
            at, events, _ = await self.desk.turn(commands, until)
        except GatewayError:
            await self.stop_firm(kill=True)
            self.start_if_away()
            await self.start_firm()
            return
        if lose:
            await self.stop_firm(kill=True)
            await self.start_firm()
            return
        self.commit(at, events)

    async def step(self) -> None:
        """The market moves on by one frame; a firm whose clock runs by itself lives through the evening."""
        gateway = self.wire.gateway
        if self.clock != "free" or gateway is None:
            await self.turn()
            return
        frame = gateway.brokerage.next_frame()
        if frame is not None and local_date(frame.at) != self.day:
            await self.pass_time(EVENING_S)
        if self.wire.gateway is not None:
            self.advance(self.wire.gateway, None)
        await self.turn()

    async def pass_time(self, seconds: float) -> None:
        """Nothing is done; a firm whose clock runs by itself lives on."""
        while seconds > 0:
            await asyncio.sleep(min(seconds, SLICE_S))
            seconds -= SLICE_S
            if self.clock == "free" and self.desk is not None:
                await self.turn()

    @property
    def day(self) -> date:
        """The gateway's day."""
        gateway = self.wire.gateway
        return local_date(self.at if gateway is None else gateway.brokerage.at)

    async def settle(self) -> None:
        """Every fault is over; the firm gets the time it needs to find the truth."""
        self.start_if_away()
        self.wire.heal()
        self.ask_gateway(cmd="clear")
        self.ask_gateway(cmd="farm", ok=True)
        (self.directory / "latch").unlink(missing_ok=True)
        if self.desk is None:
            await self.start_firm()
        for _ in range(2):  # what is still under way may say that the link is lost
            if self._link_is_down():
                self.ask_gateway(cmd="link", up=True)
            await self.pass_time(ASKED_WITHIN_S / 2 + SLICE_S)
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
            if self._link_is_down():
                self.ask_gateway(cmd="link", up=True)
            await asyncio.sleep(0.01)
            events = await self.desk.reconcile()
            self.commit(self.at, events)
            compared += any(isinstance(event, Reconciled) for event in events)
            await self.turn(until=self.at if self.clock == "stepped" else None)
