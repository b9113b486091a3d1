"""The broker's side at a gateway whose clock runs by itself: waiting, outages, the kill switch."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from trading import RUN, Trader, free_port

from firm.broker.control import SimulatorControl
from firm.domain.order import TimeInForce
from firm.errors import GatewayError
from firm.events.market import MarketData
from firm.events.system import BrokerConnected, BrokerDisconnected, Reconciled
from firm.gateway_sim.process import GatewayProcess, start_gateway

pytestmark = pytest.mark.process
DAYS = 3
PATIENCE_S = 20.0
ABOUT_ORDERS = ["openOrder", "orderStatus", "completedOrder"]


@contextmanager
def trading(process: GatewayProcess, tmp_path: Path, clock: str = "free", **broker: Any) -> Iterator[Trader]:
    trader = Trader(process, tmp_path / "latch", clock, **broker)
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
    monkeypatch.setattr("firm.broker.turns.HEARTBEAT_TIMEOUT_S", 0.5)
    with (
        start_gateway(days=DAYS, clock="wall") as process,
        trading(process, tmp_path, "wall", heartbeat_ms=500) as trader,
    ):
        trader.open()
        trader.turn()
        os.kill(process.pid, signal.SIGSTOP)
        try:
            turn_until(trader, lambda: bool(trader.logged(BrokerDisconnected)))
        finally:
            os.kill(process.pid, signal.SIGCONT)
        turn_until(trader, lambda: len(trader.logged(Reconciled)) == 2)

        assert "no answer within 0.5 s" in trader.logged(BrokerDisconnected)[0].reason


def silence(process: GatewayProcess, messages: list[str], *, on: bool) -> None:
    process.ask(cmd="withhold", messages=messages, client_id=None, on=on)


def reconcile_now(process: GatewayProcess, trader: Trader) -> None:
    """Make the firm ask for everything, as after an outage of the gateway's own link."""
    before = len(trader.logged(Reconciled))
    process.ask(cmd="inject", code=1102, text="restored")
    turn_until(trader, lambda: len(trader.logged(Reconciled)) > before)


def test_an_order_that_a_query_overtakes_is_not_given_up(tmp_path: Path):
    with start_gateway(days=DAYS, clock="wall") as process, trading(process, tmp_path, "wall") as trader:
        trader.open()
        trader.turn()
        silence(process, ABOUT_ORDERS, on=True)
        seq = trader.submit(0, 10, limit="1.00", tif=TimeInForce.GTC)
        trader.turn()
        reconcile_now(process, trader)
        assert trader.of(seq) == []
        silence(process, ABOUT_ORDERS, on=False)
        reconcile_now(process, trader)

        assert trader.of(seq) == ["OrderAccepted"]


def test_an_order_that_turns_up_after_it_was_given_up_is_cancelled_and_a_break_until_then(tmp_path: Path):
    with (
        start_gateway(days=DAYS, clock="wall") as process,
        trading(process, tmp_path, "wall", request_timeout_ms=1500) as trader,
    ):
        trader.open()
        trader.turn()
        silence(process, ABOUT_ORDERS, on=True)
        seq = trader.submit(0, 10, limit="1.00", tif=TimeInForce.GTC)
        sent = time.monotonic()
        turn_until(trader, lambda: "OrderNotAccepted" in trader.of(seq))
        assert time.monotonic() - sent > 2.4, "it had 1.5 s to be answered, and a second between two queries"
        silence(process, ABOUT_ORDERS, on=False)
        reconcile_now(process, trader)
        turn_until(trader, lambda: process.orders()[0]["status"] == "Cancelled")
        turn_until(trader, lambda: trader.logged(Reconciled)[-1].breaks == ())

        assert trader.of(seq) == ["OrderUnknown", "OrderNotAccepted"]
        found = {text for reconciled in trader.logged(Reconciled) for text in reconciled.breaks}
        assert found == {f"order {RUN}-{seq} is over in the log (NotAccepted) and live at the broker"}


def test_a_gateway_that_does_not_know_its_account_yet_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("firm.broker.turns.LIVE_RETRY_S", 0.1)
    with start_gateway(days=DAYS, clock="wall") as process, trading(process, tmp_path, "wall") as trader:
        trader.open()
        trader.turn()
        silence(process, ["accountSummary"], on=True)
        process.ask(cmd="cut")
        turn_until(trader, lambda: bool(trader.logged(BrokerDisconnected)))
        for _ in range(3):
            trader.turn()
        assert len(trader.logged(Reconciled)) == 1
        silence(process, ["accountSummary"], on=False)
        turn_until(trader, lambda: len(trader.logged(Reconciled)) == 2)

        assert trader.logged(Reconciled)[-1].breaks == ()


def test_a_refusal_at_the_first_opening_is_said_at_once(tmp_path: Path):
    with start_gateway(days=DAYS, clock="wall") as process, trading(process, tmp_path, "wall") as trader:
        silence(process, ["accountSummary"], on=True)

        with pytest.raises(GatewayError, match="TotalCashValue"):
            trader.open()


def test_a_reconciliation_asked_for_from_outside_waits_for_the_keepers_own(tmp_path: Path):
    often = {"heartbeat_ms": 1, "reconcile_every_ms": 1}
    with (
        start_gateway(days=DAYS, clock="wall") as process,
        trading(process, tmp_path, "wall", **often) as trader,
    ):
        trader.open()
        trader.turn()
        for _ in range(20):
            events = trader.gateway.reconcile()

            assert any(isinstance(event, Reconciled) for event in events)
            assert not any(isinstance(event, BrokerDisconnected) for event in events)


def test_the_last_reconciliation_of_a_gateway_that_has_gone_says_so(tmp_path: Path):
    with (
        start_gateway(days=DAYS, clock="wall") as process,
        trading(process, tmp_path, "wall", request_timeout_ms=2000) as trader,
    ):
        trader.open()
        trader.turn()
        os.kill(process.pid, signal.SIGSTOP)
        try:
            events = trader.gateway.reconcile()
        finally:
            os.kill(process.pid, signal.SIGCONT)

        assert any(isinstance(event, BrokerDisconnected) for event in events)
        assert not any(isinstance(event, Reconciled) for event in events)
