"""A firm without opinions: a log, a gateway, and orders sent by hand, as the bus would send them."""

import socket
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from firm.broker.ib import GatewayClock, IbGateway
from firm.bus.gateway import CommandBatch, Page
from firm.config import Broker
from firm.domain.order import OrderType, Side, TimeInForce
from firm.events import CODEC, Event, Origin, Record, encode
from firm.events.broker import GateChanged
from firm.events.market import MarketData, Ticks
from firm.events.orders import Child, OrderCancelRequested, OrderSubmitted
from firm.events.system import InstrumentsResolved
from firm.gateway_sim.process import GatewayProcess
from firm.store.memory import MemoryStore

RUN = "cafe0001"
CLIENT = 11
E = TypeVar("E", bound=Event)


def settings(port: int, **changes: Any) -> Broker:
    """Settings for a test, with keys of `broker` changed."""
    content: dict[str, Any] = {
        "gateway_host": "127.0.0.1",
        "gateway_port": port,
        "client_id": CLIENT,
        "account": None,
        "connect_timeout_ms": 5000,
        "request_timeout_ms": 5000,
        "heartbeat_ms": 5000,
        "reconcile_every_ms": 300_000,
        "data_stale_ms": 27_000_000,
        "cash_tolerance": 1,
        "restart_at": None,
        "restart_guard_ms": 120_000,
        "login_by": None,
        "circuit": {
            "failures_in_a_row": 5,
            "error_rate_max": 0.5,
            "outcomes_min": 20,
            "window_ms": 600_000,
            "cool_down_ms": 60_000,
        },
    }
    return Broker.model_validate(content | changes)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def plain(events: Sequence[Event]) -> list[Event]:
    """What was said beside the gate's own moves."""
    return [event for event in events if not isinstance(event, GateChanged)]


class Trader:
    """Commits every page, and sends what it is told to with the next turn."""

    def __init__(
        self,
        process: GatewayProcess,
        latch: Path,
        clock: GatewayClock = "stepped",
        symbols: Sequence[str] = ("AAPL", "AMD", "KO"),
        store: MemoryStore | None = None,
        **broker: Any,
    ) -> None:
        self.store = store or MemoryStore()
        control = None if clock == "wall" else (process.host, process.control_port)
        self.gateway = IbGateway(
            settings(process.port, **broker), tuple(symbols), latch, clock, control, history_bars=30
        )
        self.page = Page(0, 0, (), done=False)
        self.commands: list[Record] = []
        self.batch = 0

    def open(self) -> list[Event]:
        self.page = self.gateway.open(self.store.read(), RUN)
        return self.commit(self.page)

    def commit(self, page: Page) -> list[Event]:
        """Put a page into the log; market data are left out to keep it small."""
        reports = [event for event in page.inputs if not isinstance(event, MarketData | Ticks)]
        for event in reports:
            self._record("broker", Origin.INPUT, event)
        return reports

    def turn(self, until: int | None = None) -> list[Event]:
        self.batch = self.page.number + 1
        batch, self.commands = CommandBatch(self.batch, tuple(self.commands)), []
        self.page = self.gateway.turn(self.page.number, batch, until)
        return self.commit(self.page)

    def turns(self, count: int) -> list[Event]:
        return [event for _ in range(count) for event in self.turn()]

    def submit(
        self,
        instrument: int,
        quantity: int | str,
        limit: str | None = None,
        side: Side = Side.BUY,
        tif: TimeInForce = TimeInForce.DAY,
    ) -> int:
        con_id = next(iter(self.logged(InstrumentsResolved))).instruments[instrument].con_id
        kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        price = None if limit is None else Decimal(limit)
        child = Child(instrument, con_id, side, Decimal(quantity), kind, price, tif)
        record = self._record("execution", Origin.DERIVED, OrderSubmitted(1, "market", child))
        self.commands.append(record)
        return record.seq

    def cancel(self, child_seq: int) -> None:
        wish = OrderCancelRequested(child_seq, "no longer wanted")
        self.commands.append(self._record("execution", Origin.DERIVED, wish))

    def logged(self, kind: type[E]) -> list[E]:
        events = [CODEC.event(record) for record in self.store.read(kinds={kind.KIND})]
        return [event for event in events if isinstance(event, kind)]

    def of(self, child_seq: int) -> list[str]:
        """What the log says of a child, by kind."""
        events = [CODEC.event(record) for record in self.store.read()]
        mine = [e for e in events if getattr(e, "child_seq", None) == child_seq]
        return [type(e).__name__ for e in mine if not isinstance(e, OrderCancelRequested)]

    def _record(self, author: str, origin: Origin, event: Event) -> Record:
        at = max(self.page.at, 1)
        record = Record(self.store.last_seq + 1, at, origin, author, 0, 0, event.KIND, encode(event))
        self.store.commit([record])
        return record
