"""The real gateway process over TCP: unmodified ib_async, raw clients of older versions, crashes."""

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ib_async import IB, LimitOrder, MarketOrder, Option, Order, ScannerSubscription, Stock, Trade

from firm.errors import GatewayUnavailable
from firm.gateway_sim.codec.framing import Deframer, fields_of, frame
from firm.gateway_sim.process import GatewayProcess, start_gateway

pytestmark = pytest.mark.process

DEADLINE = 10.0
AAPL = Stock("AAPL", "SMART", "USD")


@pytest.fixture
def running() -> Iterator[GatewayProcess]:
    with start_gateway(days=3) as gateway:
        yield gateway


async def connected(gateway: GatewayProcess, client_id: int = 1) -> IB:
    ib = IB()
    ib.TimezoneTWS = "UTC"
    await ib.connectAsync(gateway.host, gateway.port, client_id, timeout=DEADLINE, raiseSyncErrors=True)
    return ib


async def stepped(gateway: GatewayProcess, ib: IB, until: int | None = None) -> dict[str, Any]:
    """A step, and a fence: everything it caused has been read when the current time is answered."""
    loop = asyncio.get_running_loop()
    answer = await loop.run_in_executor(None, gateway.step, until)
    await ib.reqCurrentTimeAsync()
    return answer


async def until(ib: IB, condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + DEADLINE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "the condition did not come true"
        await asyncio.wait_for(ib.updateEvent, DEADLINE)


def statuses(trade: Trade) -> list[str]:
    return [entry.status for entry in trade.log]


def test_ib_async_connects_qualifies_and_reads_history_and_quotes(running: GatewayProcess):
    async def scenario() -> None:
        ib = await connected(running)
        known, unknown = await ib.qualifyContractsAsync(AAPL, Stock("NOSUCH", "SMART", "USD"))
        history = await ib.reqHistoricalDataAsync(known, "", "30 D", "1 day", "TRADES", useRTH=True)
        ticker = ib.reqMktData(known)
        await stepped(running, ib)
        today = await ib.reqHistoricalDataAsync(known, "", "1 D", "30 mins", "MIDPOINT", useRTH=True)

        assert unknown is None
        assert known.conId > 0
        assert len(history) == 30
        assert ticker.close == history[-1].close
        assert 0 < ticker.bid < ticker.ask
        assert (ticker.bidSize, ticker.askSize) == (5000, 5000)
        assert [bar.close for bar in today] == [pytest.approx((ticker.bid + ticker.ask) / 2)]
        assert ib.client.serverVersion() == 178
        ib.disconnect()

    asyncio.run(scenario())


def test_ib_async_trades(running: GatewayProcess):
    async def scenario() -> None:
        ib = await connected(running)
        (contract,) = await ib.qualifyContractsAsync(AAPL)
        await stepped(running, ib)
        market = ib.placeOrder(contract, MarketOrder("BUY", 6000, tif="DAY", orderRef="abc-1"))
        await until(ib, lambda: market.orderStatus.filled == 5000)
        await stepped(running, ib)
        assert market.orderStatus.status == "Filled"
        assert [f.execution.shares for f in market.fills] == [5000, 1000]
        assert [f.commissionReport.commission for f in market.fills] == [17.5, 3.5]

        high = LimitOrder("SELL", 100, round(market.orderStatus.avgFillPrice * 1.1, 2), tif="GTC")
        limit = ib.placeOrder(contract, high)
        await until(ib, lambda: limit.orderStatus.status == "Submitted")
        high.totalQuantity = 50
        ib.placeOrder(contract, high)
        await until(ib, lambda: statuses(limit)[-1] == "Submitted" and len(limit.log) == 4)
        perm_id = limit.order.permId
        ib.cancelOrder(high)
        await until(ib, limit.isDone)

        assert limit.orderStatus.status == "Cancelled"
        assert limit.order.permId == perm_id
        assert ib.positions()[0].position == 6000
        assert (
            await ib.whatIfOrderAsync(contract, LimitOrder("BUY", 1, 100.0, tif="DAY"))
        ).commission == 0.35
        executions = await ib.reqExecutionsAsync()
        completed = await ib.reqCompletedOrdersAsync(apiOnly=False)
        assert [f.execution.orderRef for f in executions] == ["abc-1", "abc-1"]
        assert [t.orderStatus.status for t in completed] == ["Filled", "Cancelled"]
        assert completed[0].order.filledQuantity == 6000
        summary = {v.tag: v.value for v in await ib.accountSummaryAsync() if v.currency in {"", "USD"}}
        assert float(summary["TotalCashValue"]) == pytest.approx(float(running.status()["cash"]), abs=0.01)
        assert running.status()["unknown_requests"] == {}
        ib.disconnect()

    asyncio.run(scenario())


def test_ib_async_brackets_trails_and_reads_the_reference_data(running: GatewayProcess):
    async def scenario() -> None:
        ib = await connected(running)
        (contract,) = await ib.qualifyContractsAsync(AAPL)
        depth = ib.reqMktDepth(contract)
        await stepped(running, ib)
        ask = depth.domAsks[0].price
        parent, profit, loss = ib.bracketOrder("BUY", 10, ask, round(ask * 1.2, 2), round(ask * 0.8, 2))
        trades = [ib.placeOrder(contract, order) for order in (parent, profit, loss)]
        await until(ib, lambda: trades[0].orderStatus.status == "Filled")
        await until(ib, lambda: trades[1].orderStatus.status == "Submitted")
        trail = ib.placeOrder(contract, Order(action="SELL", totalQuantity=10, orderType="TRAIL", auxPrice=3))
        await until(ib, lambda: trail.orderStatus.status == "PreSubmitted")
        chains = await ib.reqSecDefOptParamsAsync("AAPL", "", "STK", contract.conId)
        option = Option("AAPL", chains[0].expirations[0], chains[0].strikes[0], "C", "SMART")
        (option,) = await ib.qualifyContractsAsync(option)
        ticker = ib.reqMktData(option)
        ticks = await ib.reqHistoricalTicksAsync(contract, "20200101-00:00:00", "", 5, "BID_ASK", useRth=True)
        await stepped(running, ib)
        scan = await ib.reqScannerDataAsync(ScannerSubscription(instrument="STK", locationCode="STK.US"))

        assert trades[2].orderStatus.whyHeld == "trigger"
        assert [chain.exchange for chain in chains] == ["SMART", "CBOE", "ISE"]
        assert option.localSymbol.startswith("AAPL")
        assert ticker.modelGreeks.delta > 0.9
        assert [tick.priceAsk for tick in ticks] == [ask]
        assert len(scan) == 0
        assert [p.code for p in await ib.reqNewsProvidersAsync()] == ["SIM"]
        assert running.status()["unknown_requests"] == {}
        ib.disconnect()

    asyncio.run(scenario())


def test_a_rejected_order_and_a_second_client_with_the_same_id(running: GatewayProcess):
    async def scenario() -> None:
        ib = await connected(running, 7)
        errors: list[int] = []
        ib.errorEvent += lambda _req, code, *_: errors.append(code)
        (contract,) = await ib.qualifyContractsAsync(AAPL)
        await stepped(running, ib)
        trade = ib.placeOrder(contract, MarketOrder("BUY", 10_000_000, tif="DAY"))
        await until(ib, lambda: 201 in errors)
        assert trade.orderStatus.status == "Inactive"

        twin = IB()
        refused: list[int] = []
        twin.errorEvent += lambda _req, code, *_: refused.append(code)
        with pytest.raises((TimeoutError, ConnectionError)):
            await twin.connectAsync(running.host, running.port, 7, timeout=1)
        assert refused == [326]
        assert await ib.reqCurrentTimeAsync()
        ib.disconnect()

    asyncio.run(scenario())


def test_a_killed_gateway_continues_where_it_was(tmp_path: Path):
    async def before(gateway: GatewayProcess) -> list[str]:
        ib = await connected(gateway)
        (contract,) = await ib.qualifyContractsAsync(AAPL)
        await stepped(gateway, ib)
        market = ib.placeOrder(contract, MarketOrder("BUY", 6000, tif="DAY", orderRef="open-1"))
        await until(ib, lambda: market.orderStatus.filled == 5000)
        gateway.kill()
        return [f.execution.execId for f in market.fills]

    async def after(gateway: GatewayProcess, exec_ids: list[str]) -> None:
        ib = await connected(gateway)
        (trade,) = ib.openTrades()
        assert (trade.order.orderRef, trade.orderStatus.filled) == ("open-1", 5000)
        assert [f.execution.execId for f in ib.fills()] == exec_ids
        assert ib.client.getReqId() > trade.order.orderId
        await stepped(gateway, ib)
        assert trade.orderStatus.status == "Filled"
        ib.disconnect()

    journal = tmp_path / "journal"
    with start_gateway(days=3, journal=journal) as gateway:
        exec_ids = asyncio.run(before(gateway))
    with start_gateway(days=3, journal=journal) as gateway:
        at = gateway.status()["at"]
        assert at == gateway.status()["first_at"]
        asyncio.run(after(gateway, exec_ids))
        assert [order["filled"] for order in gateway.orders()] == ["6000"]


def test_a_cut_connection_comes_back_with_its_orders(running: GatewayProcess):
    async def scenario() -> None:
        ib = await connected(running)
        (contract,) = await ib.qualifyContractsAsync(AAPL)
        await stepped(running, ib)
        trade = ib.placeOrder(contract, LimitOrder("BUY", 10, 20.0, tif="GTC", orderRef="kept"))
        await until(ib, lambda: trade.orderStatus.status == "Submitted")
        assert running.ask(cmd="cut", client_id=1) == {"done": True}
        await asyncio.wait_for(ib.disconnectedEvent, DEADLINE)

        back = await connected(running)
        assert [t.order.orderRef for t in back.openTrades()] == ["kept"]
        back.disconnect()

    asyncio.run(scenario())


class RawClient:
    """A client that negotiates an older version and reads fields as they come."""

    def __init__(self, gateway: GatewayProcess, offer: str) -> None:
        self.socket = socket.create_connection((gateway.host, gateway.port), timeout=DEADLINE)
        self._deframer, self._pending = Deframer(), []  # type: ignore[var-annotated]
        self.socket.sendall(b"API\0" + struct.pack(">I", len(offer)) + offer.encode())
        self.version = int(self.read()[0])

    def send(self, *fields: object) -> None:
        self.socket.sendall(frame([str(field) for field in fields]))

    def read(self) -> list[str]:
        while not self._pending:
            data = self.socket.recv(65536)
            assert data, "the gateway hung up"
            self._pending += [fields_of(payload) for payload in self._deframer.feed(data)]
        return self._pending.pop(0)

    def read_until(self, number: int) -> list[list[str]]:
        heard = [self.read()]
        while heard[-1][0] != str(number):
            heard.append(self.read())
        return heard

    def order(self, order_id: int, action: str) -> None:
        contract = ["", "AAPL", "STK", "", "0.0", "", "", "SMART", "", "USD", "", "", "", ""]
        terms = [action, 10, "MKT", "", "", "DAY", "", "", "", 0, f"raw-{order_id}", 1, 0, 0, 0, 0, 0, 0, 0]
        routing = ["", 0, "", "", "", "", ""] + ([""] if self.version < 177 else [])
        rest = ["", 0, "", -1, 0, "", "", 0, "", "", 0, 0, "", 0, "", "", "", "", "", 0, "", "", "", ""]
        rest += [0, "", "", "", "", "", "", "", "", "", "", 0, "", "", 0, 0, "", "", 0, "", 0, 0, 0, 0]
        later = ["", "", "", "", "", "", 0, "", "", "", "", "", "", "", "", 0, 0, 0, 0]
        gates = ((158, ""), (160, ""), (162, 0), (166, ""), (169, ""))
        later += [field for since, field in gates if self.version >= since]
        self.send(3, order_id, *contract, *terms, *routing, *rest, *later)


@pytest.mark.parametrize(("offer", "version"), [("v100..157", 157), ("v157..176", 176)])
def test_clients_of_older_versions_trade(running: GatewayProcess, offer: str, version: int):
    client = RawClient(running, offer)
    client.send(71, 2, 3, "")
    hello = [client.read() for _ in range(5)]
    running.step()
    client.order(1, "BUY")
    heard = client.read_until(59)
    contract = ["", "AAPL", "STK", "", "", "", "", "SMART", "", "USD", "", ""]
    client.send(9, 8, 5, *contract, 0, "", "", *[""] * (version >= 176))
    details = client.read_until(52)[0]

    assert client.version == version
    assert [fields[0] for fields in hello[:3]] == ["15", "9", "4"]
    assert len(hello[2]) == (6 if version >= 166 else 5)
    assert [fields[0] for fields in heard] == ["5", "3", "11", "5", "3", "5", "3", "59"]
    assert heard[-2][2] == "Filled"
    assert len(heard[2]) == 31
    assert details[0] == "10"
    assert details[1] == ("8" if version < 164 else "5")
    client.socket.close()


def test_a_client_that_breaks_the_protocol_is_cut_off_alone(running: GatewayProcess):
    good = RawClient(running, "v157..178")
    good.send(71, 2, 1, "")
    good.read_until(4)
    for bytes_ in (b"GET / HTTP/1.0\r\n\r\n", b"API\0\xff\xff\xff\xff", b"API\0\0\0\0\x04v100"):
        bad = socket.create_connection((running.host, running.port), timeout=DEADLINE)
        bad.sendall(bytes_)
        assert bad.recv(100) == b""
        bad.close()
    good.send(49, 1)

    assert good.read_until(49)[-1][0] == "49"
    good.socket.close()


def test_a_taken_port_and_a_bad_data_file_are_explained(running: GatewayProcess, tmp_path: Path):
    taken = f"cannot listen on 127.0.0.1:{running.port}"
    with pytest.raises(GatewayUnavailable, match=taken), start_gateway(days=3, port=running.port):
        pass
    bad = tmp_path / "data.npz"
    bad.write_bytes(b"not an archive")
    with pytest.raises(GatewayUnavailable, match="is not a whole npz archive"), start_gateway(data=bad):
        pass


def test_a_free_running_gateway_shows_several_quotes_a_second():
    async def scenario(gateway: GatewayProcess) -> None:
        ib = await connected(gateway)
        (contract,) = await ib.qualifyContractsAsync(AAPL)
        ticker = ib.reqMktData(contract)
        seen: list[float] = []
        ticker.updateEvent += lambda t: seen.extend(tick.price for tick in t.ticks if tick.tickType == 1)
        started = time.monotonic()
        await until(ib, lambda: len(seen) >= 4)
        assert time.monotonic() - started < 4
        assert gateway.ask(cmd="step")["error"].startswith("the clock runs by itself")
        ib.disconnect()

    with start_gateway(clock="auto", days=3) as gateway:
        asyncio.run(scenario(gateway))


def test_a_flood_of_messages_is_paced_when_the_clock_runs():
    with start_gateway(clock="x1", days=3) as gateway:
        client = RawClient(gateway, "v157..178")
        client.send(71, 2, 1, "")
        client.read_until(4)
        for _ in range(60):
            client.send(49, 1)
        errors = [fields for fields in (client.read() for _ in range(60)) if fields[0] == "4"]

        assert {fields[3] for fields in errors if fields[3] not in {"2106", "2158"}} == {"100"}
        client.socket.close()
