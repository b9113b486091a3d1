"""The broker's side against a real simulated gateway whose clock it steps, over TCP."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from trading import RUN, Trader, free_port, plain, settings

from firm.broker.ib import IbGateway
from firm.bus.gateway import CommandBatch
from firm.domain.order import Side, TimeInForce
from firm.errors import GatewayClosed, GatewayError, GatewayUnavailable, UnknownInstrument
from firm.events.broker import AccountReported
from firm.events.market import HistoryLoaded, MarketData
from firm.events.orders import (
    BrokerRejected,
    CommissionReported,
    OrderCanceled,
    OrderFilled,
    OrderUnknown,
)
from firm.events.system import BrokerConnected, BrokerDisconnected, InstrumentsResolved, Reconciled
from firm.gateway_sim.process import GatewayProcess, start_gateway
from firm.store.memory import MemoryStore

pytestmark = pytest.mark.process
DAYS = 3


@pytest.fixture
def process() -> Iterator[GatewayProcess]:
    with start_gateway(days=DAYS) as started:
        yield started
        assert started.status()["unknown_requests"] == {}


@contextmanager
def trading(process: GatewayProcess, latch: Path, store: MemoryStore | None = None) -> Iterator[Trader]:
    trader = Trader(process, latch / "latch", store=store)
    try:
        yield trader
    finally:
        trader.gateway.close()


def quotes(trader: Trader) -> dict[int, tuple[float, float]]:
    (market,) = [event for event in trader.page.inputs if isinstance(event, MarketData)]
    return {int(row["instrument"]): (float(row["bid"]), float(row["ask"])) for row in market.table()}


def test_a_new_log_begins_with_instruments_history_connection_and_reconciliation(
    process: GatewayProcess, tmp_path: Path
):
    with trading(process, tmp_path) as trader:
        events = plain(trader.open())

        kinds = [InstrumentsResolved, HistoryLoaded, BrokerConnected, Reconciled, AccountReported]
        assert [type(e) for e in events] == kinds
        instruments, history, connected, reconciled, account = events
        assert [i.symbol for i in instruments.instruments] == ["AAPL", "AMD", "KO"]
        assert {(i.tick_size, i.lot_size) for i in instruments.instruments} == {(Decimal("0.01"), Decimal(1))}
        assert history.matrix().shape == (30, 3)
        assert np.isfinite(history.matrix()).all()
        assert list(history.times) == sorted(history.times)
        status = process.status()
        assert history.times[-1] < status["first_at"]
        assert connected == BrokerConnected("DU1234567", Decimal("1000000.00"))
        million, nothing = Decimal("1000000.00"), Decimal("0.00")
        assert account == AccountReported("DU1234567", million, million, nothing, nothing, million)
        assert reconciled == Reconciled((), Decimal("1000000.00"), ())
        assert trader.page.at == status["at"]


def test_a_market_order_is_accepted_and_filled_within_its_turn(process: GatewayProcess, tmp_path: Path):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        ask = quotes(trader)[1][1]
        seq = trader.submit(1, 100)

        events = trader.turn()

        assert trader.of(seq) == ["OrderAccepted", "OrderFilled"]
        (fill,) = [event for event in events if isinstance(event, OrderFilled)]
        assert (fill.quantity, fill.price, fill.side) == (Decimal(100), Decimal(repr(ask)), Side.BUY)
        assert len(trader.logged(CommissionReported)) == 1
        assert process.status()["positions"] == {"AMD": "100"}
        (order,) = process.orders()
        assert order["order_ref"] == f"{RUN}-{seq}"


def test_the_accounts_figures_follow_the_market_at_most_once_a_minute(
    process: GatewayProcess, tmp_path: Path
):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        trader.submit(1, 100)
        said = [
            (trader.page.at, e) for _ in range(30) for e in trader.turn() if isinstance(e, AccountReported)
        ]

        assert len(said) >= 3
        times = [at for at, _ in said]
        assert min(np.diff(times)) >= 60 * 10**9
        for _, figures in said:
            assert figures.excess_liquidity == figures.net_liquidation - figures.maintenance_margin
        held = said[-1][1]
        assert held.net_liquidation == round(Decimal(process.status()["equity"]), 2)
        assert held.cash == round(Decimal(process.status()["cash"]), 2)
        assert 0 < held.initial_margin < held.net_liquidation


def test_a_resting_limit_order_is_cancelled_and_the_cancel_is_told_once(
    process: GatewayProcess, tmp_path: Path
):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        seq = trader.submit(0, 10, limit="1.00")
        trader.turn()
        trader.cancel(seq)
        trader.turns(2)

        assert trader.of(seq) == ["OrderAccepted", "OrderCanceled"]
        assert trader.logged(OrderCanceled) == [OrderCanceled(seq, Decimal(0), "no longer wanted")]


def test_an_order_that_is_cancelled_before_it_was_sent_never_is(process: GatewayProcess, tmp_path: Path):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        seq = trader.submit(0, 10, limit="1.00")
        trader.cancel(seq)
        trader.turn()

        assert trader.logged(OrderCanceled) == [OrderCanceled(seq, Decimal(0), "no longer wanted")]
        assert trader.of(seq) == ["OrderCanceled"]
        assert process.orders() == []


def test_a_day_order_expires_at_the_close_of_its_session(process: GatewayProcess, tmp_path: Path):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        seq = trader.submit(0, 10, limit="1.00")
        close = process.status()["sessions_closes"][0]
        while trader.page.at < close:
            trader.turn(until=close)

        assert trader.of(seq) == ["OrderAccepted", "OrderExpired"]


@pytest.mark.parametrize(
    ("quantity", "limit", "code"), [("10000000", None, 201), ("1.5", None, 10318), ("10", "1.001", 110)]
)
def test_an_order_that_the_gateway_refuses_is_rejected_with_its_code(
    process: GatewayProcess, tmp_path: Path, quantity: str, limit: str | None, code: int
):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        seq = trader.submit(0, quantity, limit=limit)
        trader.turn()

        assert trader.of(seq) == ["BrokerRejected"]
        assert [reject.code for reject in trader.logged(BrokerRejected)] == [code]


def test_an_unacknowledged_page_is_returned_again_and_its_batch_is_not_repeated(
    process: GatewayProcess, tmp_path: Path
):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        seq = trader.submit(0, 10)
        acked, batch = trader.page.number, CommandBatch(trader.page.number + 1, tuple(trader.commands))

        first = trader.gateway.turn(acked, batch, None)
        again = trader.gateway.turn(acked, batch, None)

        assert again is first
        assert [order["order_ref"] for order in process.orders()] == [f"{RUN}-{seq}"]
        assert trader.gateway.turn(first.number, batch, None).number == first.number + 1
        assert len(process.orders()) == 1


def test_a_step_goes_no_further_than_asked_and_a_moment_that_is_past_needs_no_step(
    process: GatewayProcess, tmp_path: Path
):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        at = trader.page.at

        trader.turn(until=at + 1_000)
        assert trader.page.at == at + 1_000
        assert trader.page.inputs == ()
        trader.turn(until=at)
        assert trader.page.at == at + 1_000


def test_the_last_frame_is_done(process: GatewayProcess, tmp_path: Path):
    with trading(process, tmp_path) as trader:
        trader.open()
        while not trader.page.done:
            trader.turn()

        assert process.status()["frames_left"] == 0


def everything(latch: Path) -> list[tuple[int, ...]]:
    """A busy little run, as the bytes of its log."""
    with start_gateway(days=DAYS) as process, trading(process, latch) as trader:
        trader.open()
        for n in range(12):
            trader.turn()
            trader.submit(n % 3, 50 + n, side=Side.SELL if n % 4 == 3 else Side.BUY)
            trader.cancel(trader.submit(n % 3, 10, limit="2.00", tif=TimeInForce.GTC))
        trader.turns(2)
        return [tuple(record) for record in trader.store.read()]


def test_two_runs_on_the_same_data_write_the_same_log(tmp_path: Path):
    first = everything(tmp_path)

    assert first == everything(tmp_path)
    assert sum(record[6] == OrderFilled.KIND for record in first) == 12
    assert sum(record[6] == OrderCanceled.KIND for record in first) == 12


def test_a_gateway_that_is_killed_and_comes_back_is_reconciled_and_nothing_is_told_twice(tmp_path: Path):
    ports = {"port": free_port(), "control_port": free_port(), "journal": tmp_path / "journal", "days": DAYS}
    with start_gateway(**ports) as process, trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        filled, resting = trader.submit(0, 100), trader.submit(1, 10, limit="1.00", tif=TimeInForce.GTC)
        trader.turn()
        process.kill()
        with start_gateway(**ports) as second:
            trader.cancel(resting)
            later = trader.submit(2, 20)
            events = plain(trader.turn())

            kinds = [BrokerDisconnected, BrokerConnected, Reconciled, AccountReported]
            assert [type(e) for e in events[:4]] == kinds
            assert events[2].breaks == ()
            trader.turns(2)
            assert trader.of(filled) == ["OrderAccepted", "OrderFilled"]
            assert trader.of(resting) == ["OrderAccepted", "OrderCanceled"]
            assert trader.of(later) == ["OrderAccepted", "OrderFilled"]
            assert second.status()["positions"] == {"AAPL": "100", "KO": "20"}
            assert len(second.orders()) == 3


def test_a_gateway_that_goes_away_for_good_ends_the_run_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("firm.broker.turns.STEPPED_RETRIES_S", (0.05, 0.05))
    with start_gateway(days=DAYS) as doomed, trading(doomed, tmp_path) as trader:
        trader.open()
        trader.turn()
        doomed.kill()

        with pytest.raises(GatewayClosed, match="--journal"):
            trader.turn()


def test_a_log_that_missed_a_page_gets_its_fills_and_its_last_words_and_none_twice(
    process: GatewayProcess, tmp_path: Path
):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        told = trader.submit(0, 100)
        trader.turn()
        missed = trader.submit(1, 30)
        cancelled = trader.submit(2, 5, limit="1.00")
        orders, acked = tuple(trader.commands), trader.page.number
        trader.gateway.turn(acked, CommandBatch(acked + 1, orders), None)  # carried out, and its page is lost
        trader.cancel(cancelled)
        cancels = tuple(trader.commands)[len(orders) :]
        trader.gateway.turn(acked, CommandBatch(acked + 2, cancels), None)
    with trading(process, tmp_path, trader.store) as reborn:
        events = plain(reborn.open())

        assert [type(e).__name__ for e in events] == [
            "BrokerConnected",
            "OrderAccepted",
            "OrderFilled",
            "CommissionReported",
            "OrderCanceled",
            "Reconciled",
            "AccountReported",
        ]
        assert events[-2].breaks == ()
        assert reborn.of(told) == ["OrderAccepted", "OrderFilled"]
        assert reborn.of(missed) == ["OrderAccepted", "OrderFilled"]
        assert reborn.of(cancelled) == ["OrderCanceled"]
        assert len(reborn.logged(InstrumentsResolved)) == len(reborn.logged(HistoryLoaded)) == 1


def test_an_intent_that_never_left_the_firm_was_not_accepted_and_is_never_sent(
    process: GatewayProcess, tmp_path: Path
):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        seq = trader.submit(0, 100)
        commands = trader.commands
    with trading(process, tmp_path, trader.store) as reborn:
        reborn.open()
        reborn.commands = commands  # the bus offers its last cycle's orders again
        reborn.turns(2)

        assert reborn.of(seq) == ["OrderNotAccepted"]
        assert process.orders() == []


def test_a_live_order_survives_a_restart_of_the_firm_and_can_be_cancelled(
    process: GatewayProcess, tmp_path: Path
):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        seq = trader.submit(0, 10, limit="1.00", tif=TimeInForce.GTC)
        trader.turn()
    with trading(process, tmp_path, trader.store) as reborn:
        reborn.open()
        reborn.cancel(seq)
        reborn.turn()

        assert reborn.of(seq) == ["OrderAccepted", "OrderCanceled"]
        assert len(process.orders()) == 1


def test_a_cancel_that_never_left_the_firm_is_sent_after_the_next_reconciliation(
    process: GatewayProcess, tmp_path: Path
):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        seq = trader.submit(0, 10, limit="1.00", tif=TimeInForce.GTC)
        trader.turn()
        trader.cancel(seq)  # in the log, and the firm dies before it is sent
    with trading(process, tmp_path, trader.store) as reborn:
        reborn.open()
        reborn.turn()

        assert reborn.of(seq) == ["OrderAccepted", "OrderCanceled"]
        assert reborn.logged(OrderCanceled) == [OrderCanceled(seq, Decimal(0), "no longer wanted")]
        assert process.orders()[0]["status"] == "Cancelled"


def test_a_latch_that_comes_down_before_the_firm_hangs_up_cancels_all_the_same(
    process: GatewayProcess, tmp_path: Path
):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        trader.submit(0, 10, limit="1.00", tif=TimeInForce.GTC)
        trader.turn()
        (tmp_path / "latch").write_text("drill")
        trader.gateway.close()

        assert process.orders()[0]["status"] == "Cancelled"


def test_a_latch_is_looked_at_in_a_turn_without_commands(process: GatewayProcess, tmp_path: Path):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        trader.submit(0, 10, limit="1.00", tif=TimeInForce.GTC)
        trader.turn()
        (tmp_path / "latch").write_text("drill")
        trader.turn(until=trader.page.at)

        assert process.orders()[0]["status"] == "Cancelled"


def test_an_order_of_an_older_client_id_is_a_break_and_no_number_of_ours(
    process: GatewayProcess, tmp_path: Path
):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        seq = trader.submit(0, 10, limit="1.00", tif=TimeInForce.GTC)
        trader.turn()
    other = Trader(process, tmp_path / "latch", store=trader.store, client_id=12)
    try:
        other.open()
        found = trader.logged(Reconciled)[-1].breaks
        other.cancel(seq)
        other.turns(2)

        assert [text.partition(" is live under")[2] for text in found] == [
            " client id 11, the firm's is 12: it cannot be cancelled from here"
        ]
        assert process.orders()[0]["status"] == "Submitted"
        assert other.of(seq) == ["OrderAccepted"]
    finally:
        other.gateway.close()


def test_a_last_reconciliation_without_a_gateway_ends_in_order(tmp_path: Path):
    with start_gateway(days=DAYS) as doomed, trading(doomed, tmp_path) as trader:
        trader.open()
        trader.turn()
        doomed.kill()

        assert [type(event) for event in plain(trader.gateway.reconcile())] == [BrokerDisconnected]


def test_the_latch_cancels_working_orders_once_and_stops_everything_new(
    process: GatewayProcess, tmp_path: Path
):
    with trading(process, tmp_path) as trader:
        trader.open()
        trader.turn()
        resting = trader.submit(0, 10, limit="1.00")
        trader.turn()
        (tmp_path / "latch").write_text("drill")
        refused = trader.submit(1, 10)
        trader.turns(2)

        assert trader.of(resting) == ["OrderAccepted", "OrderCanceled"]
        assert trader.logged(OrderCanceled) == [OrderCanceled(resting, Decimal(0), "halted: drill")]
        assert trader.logged(BrokerRejected) == [BrokerRejected(refused, 0, "halted: drill")]
        (tmp_path / "latch").unlink()
        allowed = trader.submit(1, 10)
        trader.turn()
        assert trader.of(allowed) == ["OrderAccepted", "OrderFilled"]
        assert trader.logged(OrderUnknown) == []


def test_a_client_id_that_is_in_use_is_said_to_be(
    process: GatewayProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("firm.broker.connection.SAME_CLIENT_ID_AGAIN_S", 0.01)
    with trading(process, tmp_path) as first, trading(process, tmp_path) as second:
        first.open()

        with pytest.raises(GatewayUnavailable, match=r"client id 11 .* in use .* 5 times"):
            second.open()
        first.turn()
        assert first.page.inputs


def test_a_client_id_that_becomes_free_is_taken_again(process: GatewayProcess, tmp_path: Path):
    with trading(process, tmp_path) as first:
        first.open()
        first.gateway.open(first.store.read(), RUN)
        first.page = first.gateway._page
        first.turn()

        assert first.page.inputs


def test_nobody_at_the_address_says_where_and_how_to_start_a_gateway(tmp_path: Path):
    port = free_port()
    gateway = IbGateway(settings(port), ("AAPL",), tmp_path / "latch", "wall")

    with pytest.raises(GatewayUnavailable, match=f"127.0.0.1:{port}.*python -m firm.gateway_sim"):
        gateway.open([], RUN)
    gateway.close()


def test_a_symbol_that_nobody_knows_is_refused(process: GatewayProcess, tmp_path: Path):
    trader = Trader(process, tmp_path / "latch", symbols=("AAPL", "NOSUCH"))

    with pytest.raises(UnknownInstrument, match=r"'NOSUCH'.*found none"):
        trader.open()


def test_an_account_that_the_gateway_does_not_manage_is_refused(process: GatewayProcess, tmp_path: Path):
    trader = Trader(process, tmp_path / "latch", account="U7654321")

    with pytest.raises(GatewayError, match=r"U7654321.*found DU1234567"):
        trader.open()


def test_a_log_of_another_account_is_refused(tmp_path: Path):
    with start_gateway(days=DAYS) as mine, trading(mine, tmp_path) as trader:
        trader.open()
    with (
        start_gateway(days=DAYS, account="DU7654321") as other,
        trading(other, tmp_path, trader.store) as stranger,
        pytest.raises(GatewayError, match=r"account DU1234567.*offers DU7654321"),
    ):
        stranger.open()
