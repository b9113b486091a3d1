"""The broker's side at a gateway whose clock runs by itself: waiting, outages, the kill switch."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from trading import Trader, free_port

from firm.broker.control import SimulatorControl
from firm.domain.order import TimeInForce
from firm.events.market import MarketData
from firm.events.system import BrokerConnected, BrokerDisconnected, Reconciled
from firm.gateway_sim.process import GatewayProcess, start_gateway

pytestmark = pytest.mark.process
DAYS = 3
PATIENCE_S = 20.0


@contextmanager
def trading(process: GatewayProcess, tmp_path: Path, clock: str = "free") -> Iterator[Trader]:
    trader = Trader(process, tmp_path / "latch", clock)
    try:
        yield trader
    finally:
        trader.gateway.close()


def turn_until(trader: Trader, reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, "it did not happen in time"
        trader.turn()


def test_orders_fill_while_time_passes_by_itself_and_log_time_is_the_gateways(tmp_path: Path):
    with start_gateway(days=DAYS, clock="x7200") as process, trading(process, tmp_path) as trader:
        trader.open()
        times = [trader.page.at]
        turn_until(trader, lambda: any(isinstance(e, MarketData) for e in trader.page.inputs))
        seq = trader.submit(0, 100)
        while "OrderFilled" not in trader.of(seq):
            trader.turn()
            times.append(trader.page.at)

        assert trader.of(seq) == ["OrderAccepted", "OrderFilled"]
        assert times == sorted(times)
        assert process.status()["first_at"] - 10**9 <= times[-1] <= process.status()["at"]


def test_an_outage_is_told_and_healed_between_turns(tmp_path: Path):
    ports = {"port": free_port(), "control_port": free_port(), "journal": tmp_path / "journal", "days": DAYS}
    with start_gateway(**ports, clock="wall") as process, trading(process, tmp_path, "wall") as trader:
        trader.open()
        resting = trader.submit(0, 10, limit="1.00", tif=TimeInForce.GTC)
        turn_until(trader, lambda: trader.of(resting) == ["OrderAccepted"])
        process.kill()
        turn_until(trader, lambda: bool(trader.logged(BrokerDisconnected)))
        refused = trader.submit(1, 10)
        trader.turn()
        assert trader.of(refused) == ["BrokerRejected"]
        with start_gateway(**ports, clock="wall"):
            turn_until(trader, lambda: len(trader.logged(Reconciled)) == 2)
            trader.cancel(resting)
            turn_until(trader, lambda: "OrderCanceled" in trader.of(resting))

        assert [e.breaks for e in trader.logged(Reconciled)] == [(), ()]
        assert len(trader.logged(BrokerConnected)) == 2
        assert trader.of(resting) == ["OrderAccepted", "OrderCanceled"]


def test_the_latch_cancels_working_orders_while_the_bus_is_busy(tmp_path: Path):
    with start_gateway(days=DAYS, clock="wall") as process, trading(process, tmp_path, "wall") as trader:
        trader.open()
        resting = trader.submit(0, 10, limit="1.00", tif=TimeInForce.GTC)
        turn_until(trader, lambda: trader.of(resting) == ["OrderAccepted"])
        (tmp_path / "latch").write_text("drill")
        control = SimulatorControl(process.host, process.control_port)
        deadline = time.monotonic() + PATIENCE_S
        while control.orders()[0]["status"] != "Cancelled":  # nobody calls turn meanwhile
            assert time.monotonic() < deadline, "the kill waited for the bus"
        control.close()
        trader.turn()

        assert trader.of(resting) == ["OrderAccepted", "OrderCanceled"]


def test_a_turn_waits_for_news_but_not_longer_than_asked_or_a_second(tmp_path: Path):
    with start_gateway(days=DAYS, clock="wall") as process, trading(process, tmp_path, "wall") as trader:
        trader.open()
        trader.turn(until=time.time_ns())
        before = time.time_ns()
        trader.turn(until=before + 200_000_000)
        assert trader.page.at >= before
        assert time.time_ns() - before < 1_000_000_000
        before = time.time_ns()
        trader.turn()
        assert time.time_ns() - before < 3_000_000_000


def test_a_silent_gateway_is_found_out_by_the_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("firm.broker.turns.QUIET_S", 0.5)
    monkeypatch.setattr("firm.broker.turns.HEARTBEAT_TIMEOUT_S", 0.5)
    with start_gateway(days=DAYS, clock="wall") as process, trading(process, tmp_path, "wall") as trader:
        trader.open()
        trader.turn()
        os.kill(process.pid, signal.SIGSTOP)
        try:
            turn_until(trader, lambda: bool(trader.logged(BrokerDisconnected)))
        finally:
            os.kill(process.pid, signal.SIGCONT)
        turn_until(trader, lambda: len(trader.logged(Reconciled)) == 2)

        assert "no answer within 0.5 s" in trader.logged(BrokerDisconnected)[0].reason
