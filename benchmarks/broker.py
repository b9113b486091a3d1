"""The broker's side against the simulated gateway in a process of its own, over TCP.

python benchmarks/broker.py [--orders 1200] [--json FILE]

Measured: an urgent cancel behind 100 orders, of which 40 have just left and 60 wait for their place on the
wire; an order's way to the gateway and its first answer back; connecting and reconciling with many open
orders; pages and messages a second while a gateway is stepped; ticks a second into the firm without any
gateway, from bytes to quotes. The pacer is on for the first (45 messages a second, as at a real gateway).
"""

import argparse
import asyncio
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path

from firm.broker.control import ControlStream
from firm.broker.desk import Desk, GatewayClock, Terms
from firm.broker.quotes import QuoteBoard
from firm.broker.recorder import RecordingIB
from firm.config import Broker, load_settings
from firm.domain.instrument import Instrument
from firm.domain.order import OrderState, OrderType, Side, TimeInForce
from firm.events import Event, Origin, Record, encode
from firm.events.market import MarketData, Ticks
from firm.events.orders import Child, OrderCancelRequested, OrderSubmitted
from firm.gateway_sim.codec.framing import frame
from firm.gateway_sim.process import GatewayProcess, start_gateway
from firm.store.memory import MemoryStore

CONFIG = Path(__file__).parent.parent / "config" / "paper.yaml"
RUN, SYMBOLS = "cafe0001", ("AAPL", "AMD", "KO")
QUEUED, ROUND_TRIPS, CANCELS = 100, 500, 5
URGENT_MS_MAX = 50.0

Figures = dict[str, float]


class Firm:
    """A log and a desk, and orders sent by hand."""

    def __init__(self, process: GatewayProcess, directory: Path, clock: GatewayClock) -> None:
        settings: Broker = load_settings(CONFIG).broker
        live = settings.model_copy(update={"gateway_port": process.port})
        terms = Terms(live, SYMBOLS, directory / "latch", clock, history_bars=30)
        self.desk = Desk(terms, ControlStream(process.host, process.control_port))
        self.store = MemoryStore()
        self.at = 0

    async def open(self) -> None:
        """Connect and commit what is reported."""
        at, events = await self.desk.open(self.store.read(), RUN)
        self.commit(at, events)

    def commit(self, at: int, events: Sequence[Event]) -> None:
        """Into the log, quotes left out."""
        self.at = at
        for event in events:
            if not isinstance(event, MarketData | Ticks):
                self.record("broker", event)

    def record(self, author: str, event: Event) -> Record:
        """One more entry."""
        record = Record(
            self.store.last_seq + 1, self.at, Origin.INPUT, author, 0, 0, event.KIND, encode(event)
        )
        self.store.commit([record])
        return record

    def resting(self) -> Record:
        """An order that nobody will fill."""
        assert self.desk.pump is not None
        con_id = self.desk.pump.session.positions.instruments[0].con_id
        gtc, limit = TimeInForce.GTC, OrderType.LIMIT
        child = Child(0, con_id, Side.BUY, Decimal(1), limit, Decimal(1), gtc)
        return self.record("execution", OrderSubmitted(1, "limit", child))

    async def until(self, reached: Callable[[], bool]) -> None:
        """Hear what comes until that is so."""
        assert self.desk.pump is not None
        while not reached():
            await asyncio.sleep(0)
            self.desk.pump.post.drain()

    def state(self, seq: int) -> OrderState:
        """Where the order stands."""
        assert self.desk.pump is not None
        return self.desk.pump.session.children[seq].state


async def urgent_cancels(process: GatewayProcess, directory: Path) -> Figures:
    """From the wish to the broker's word, while 100 orders wait for their place."""
    firm = Firm(process, directory, "free")
    await firm.open()
    took = []
    for _ in range(CANCELS):
        first = firm.resting()
        await firm.desk.carry_out([first])
        await firm.until(lambda seq=first.seq: firm.state(seq) is OrderState.NEW)  # type: ignore[misc]
        crowd = [firm.resting() for _ in range(QUEUED)]
        wish = firm.record("execution", OrderCancelRequested(first.seq, "urgent"))
        await firm.desk.carry_out(crowd)
        started = time.perf_counter()
        await firm.desk.carry_out([wish])
        await firm.until(lambda seq=first.seq: firm.state(seq) is OrderState.CANCELED)  # type: ignore[misc]
        took.append((time.perf_counter() - started) * 1000)
        wishes = [firm.record("execution", OrderCancelRequested(c.seq, "drill")) for c in crowd]
        await firm.desk.carry_out(wishes)
        await asyncio.sleep(2.0)  # the window of the pacer passes: the next drill begins alike
    await firm.desk.close()
    return {"urgent_cancel_ms_p50": statistics.median(took), "urgent_cancel_ms_max": max(took)}


async def round_trips(process: GatewayProcess, directory: Path) -> Figures:
    """From the committed intent to the broker's first answer, one at a time."""
    firm = Firm(process, directory, "stepped")
    await firm.open()
    took = []
    for _ in range(ROUND_TRIPS):
        intent = firm.resting()
        started = time.perf_counter()
        await firm.desk.carry_out([intent])
        await firm.until(lambda seq=intent.seq: firm.state(seq) is OrderState.NEW)  # type: ignore[misc]
        took.append((time.perf_counter() - started) * 1000)
    await firm.desk.close()
    percentiles = statistics.quantiles(took, n=100)
    return {"round_trip_ms_p50": percentiles[49], "round_trip_ms_p99": percentiles[98]}


async def connecting(process: GatewayProcess, directory: Path, orders: int) -> Figures:
    """Open a session of a log with so many open orders: connect, ask for everything, join it."""
    firm = Firm(process, directory, "stepped")
    await firm.open()
    intents = [firm.resting() for _ in range(orders)]
    started = time.perf_counter()
    await firm.desk.carry_out(intents)
    await firm.until(lambda: firm.state(intents[-1].seq) is OrderState.NEW)
    placed_s = time.perf_counter() - started
    at, events, _ = await firm.desk.turn([], None)
    firm.commit(at, events)
    await firm.desk.close()
    again = Firm(process, directory, "stepped")
    again.store = firm.store
    started = time.perf_counter()
    await again.open()
    opened_s = time.perf_counter() - started
    await again.desk.close()
    return {"orders_a_second_unpaced": orders / placed_s, "connect_s": opened_s, "open_orders": float(orders)}


async def ticks(process: GatewayProcess, directory: Path) -> Figures:
    """Messages a second into the firm while the gateway is stepped as fast as both can."""
    firm = Firm(process, directory, "stepped")
    await firm.open()
    assert firm.desk.pump is not None
    client = firm.desk.pump.connection.ib.client
    before, turns, done = client.connectionStats().numMsgRecv, 0, False
    started = time.perf_counter()
    while not done:
        _, _, done = await firm.desk.turn([], None)
        turns += 1
    elapsed = time.perf_counter() - started
    received = client.connectionStats().numMsgRecv - before
    await firm.desk.close()
    return {"messages_a_second": received / elapsed, "pages_a_second": turns / elapsed}


async def saturated() -> Figures:
    """Price ticks from bytes as read from a socket to the board of quotes, a page taken after every read."""
    instruments = tuple(
        Instrument(i, s, i + 1, "STK", "SIM", "USD", Decimal(1), Decimal("0.01"), Decimal(1))
        for i, s in enumerate(SYMBOLS)
    )
    ib, board = RecordingIB(lambda: None), QuoteBoard(instruments)
    ib.wrapper.board = board
    for greeting in (["178", "20230103 10:00:00 UTC"], ["15", "1", "DU1"], ["9", "1", "1"]):
        ib.client._onSocketHasData(frame(greeting))  # noqa: SLF001 - where its socket hands over
    for instrument in instruments:
        board.subscribed(instrument.index + 1, instrument.index)
    prices = [100 + n / 100 for n in range(50)]
    ticks = [
        frame(["1", "6", str(request), kind, f"{price + (kind == '2')}", "100", "0"])
        for price in prices
        for request in (1, 2, 3)
        for kind in ("1", "2")
    ]
    read, repeats, taken = b"".join(ticks[:75]), 2000, 0
    started = time.perf_counter()
    for _ in range(repeats):
        ib.client._onSocketHasData(read)  # noqa: SLF001
        taken += len(board.take())
    elapsed = time.perf_counter() - started
    assert taken == repeats, "every read brought new quotes"
    return {"ticks_a_second": repeats * 75 / elapsed}


def measure(drill: Callable[[GatewayProcess, Path], Awaitable[Figures]], days: int) -> Figures:
    """One drill at a gateway of its own."""

    async def run(process: GatewayProcess, directory: Path) -> Figures:
        return await drill(process, directory)

    with tempfile.TemporaryDirectory() as directory, start_gateway(days=days) as process:
        return asyncio.run(run(process, Path(directory)))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure everything; exit code 1 if the urgent cancel is late."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--orders", type=int, default=1200, help="open orders to connect with")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args(argv)
    figures: Figures = {}
    figures |= measure(urgent_cancels, 3)
    figures |= measure(round_trips, 3)
    figures |= measure(lambda process, path: connecting(process, path, options.orders), 3)
    figures |= measure(ticks, 120)
    figures |= asyncio.run(saturated())
    for name, value in figures.items():
        sys.stdout.write(f"{name:28} {value:12.2f}\n")
    if options.json:
        options.json.write_text(json.dumps({"machine": platform.processor(), **figures}, indent=2))
    return 0 if figures["urgent_cancel_ms_max"] <= URGENT_MS_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
