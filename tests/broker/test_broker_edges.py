"""The small parts at the edge: quotes, the pacer, the latch, error codes, durations, the control port."""

import asyncio
import json
import socket
import threading
import time
from pathlib import Path

import pytest
from conversation import APPLE

from firm.broker.control import SimulatorControl
from firm.broker.latch import Latch
from firm.broker.pacer import URGENT_PER_S, Pacer, Priority
from firm.broker.quotes import QuoteBoard
from firm.broker.universe import bar_size_of, duration
from firm.broker.waiting import within
from firm.errors import ConfigError, GatewayClosed, GatewayError, GatewayUnavailable
from firm.events.market import MarketData, Ticks


def board() -> QuoteBoard:
    quotes = QuoteBoard((APPLE,))
    quotes.subscribed(5, 0)
    return quotes


def quote(quotes: QuoteBoard, bid: float, ask: float) -> None:
    quotes.price(5, 1, bid, 100)
    quotes.price(5, 2, ask, 200)


def test_only_the_last_quote_of_an_instrument_is_taken():
    quotes = board()
    quote(quotes, 99, 101)
    quote(quotes, 100, 100.5)
    quotes.size(5, 3, 300)

    events = quotes.take()

    assert [type(event) for event in events] == [MarketData]
    assert events[0].table().tolist() == [(0, 100.0, 100.5, 100.0, 300.0)]
    assert not quotes.has_news
    assert quotes.take() == []


def test_a_crossed_quote_is_kept_back_until_it_makes_sense():
    quotes = board()
    quote(quotes, 102, 101)

    assert quotes.take() == []
    assert quotes.kept_back == 1
    quotes.price(5, 1, 100.5, 50)
    assert quotes.take()[0].table().tolist() == [(0, 100.5, 101.0, 50.0, 200.0)]


@pytest.mark.parametrize(("price", "size"), [(-1, 0), (100, 0), (float("nan"), 100), (0, 100)])
def test_a_side_without_a_price_is_no_quote(price: float, size: float):
    quotes = board()
    quote(quotes, 99, 101)
    quotes.price(5, 2, price, size)

    assert quotes.take() == []


def test_of_more_prints_than_are_kept_the_oldest_go_and_are_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("firm.broker.quotes.PRINTS_MAX", 3)
    quotes = board()
    for size in range(1, 6):
        quotes.text(5, 48, f"100.5;{size};1671633000000;10;101.5;true")

    (event,) = quotes.take()

    assert isinstance(event, Ticks)
    assert event.table().tolist() == [(0, 100.5, 3.0), (0, 100.5, 4.0), (0, 100.5, 5.0)]
    assert (quotes.dropped, quotes.kept_back) == (2, 0)


def test_prints_come_in_their_order_and_senseless_ones_are_kept_back():
    quotes = board()
    for value in (
        "101.5;10;1671633000000;10;101.5;true",
        ";0;1;1;;false",
        "nan;5;1;1;1;true",
        "-2;5;1;1;1;true",
    ):
        quotes.text(5, 48, value)
    quotes.text(5, 48, "101.25;3;1671633000001;13;101.4;true")

    (event,) = quotes.take()

    assert isinstance(event, Ticks)
    assert event.table().tolist() == [(0, 101.5, 10.0), (0, 101.25, 3.0)]
    assert quotes.kept_back == 2


def test_ticks_of_an_old_subscription_are_ignored():
    quotes = board()

    assert quotes.unsubscribe_all() == [5]
    quote(quotes, 99, 101)
    assert quotes.take() == []


def test_an_instrument_whose_data_are_refused_has_no_quote_until_both_sides_come_again():
    quotes = board()
    quote(quotes, 99, 101)
    quotes.refused(5, "354: not subscribed")

    assert quotes.take() == []
    quotes.price(5, 1, 99, 100)
    assert quotes.take() == []
    quotes.price(5, 2, 101, 100)
    assert len(quotes.take()) == 1


def test_a_size_of_zero_empties_its_side():
    quotes = board()
    quote(quotes, 99, 101)
    quotes.size(5, 0, 0)

    assert quotes.take() == []
    quotes.size(5, 0, 30)
    assert quotes.take()[0].table()["bid_size"].tolist() == [30.0]


def test_a_schedule_needs_bars_that_the_broker_has():
    with pytest.raises(ConfigError, match="found 90000 ms"):
        bar_size_of(90_000)


def test_delayed_ticks_are_no_quotes_and_are_mentioned_once(caplog: pytest.LogCaptureFixture):
    quotes = board()
    for kind, price in ((66, 99), (67, 101), (66, 98)):
        quotes.price(5, kind, price, 1)
    for kind in (69, 70):
        quotes.size(5, kind, 100)

    assert not quotes.has_news
    assert quotes.take() == []
    assert quotes.delayed == {0: 5}
    assert [record.message for record in caplog.records] == [
        "delayed market data for AAPL are dropped: they are no quotes"
    ]


def test_delayed_ticks_do_not_change_a_live_quote():
    quotes = board()
    quote(quotes, 99, 101)
    quotes.price(5, 67, 90, 7)

    assert quotes.take()[0].table().tolist() == [(0, 99.0, 101.0, 100.0, 200.0)]


def test_the_latch_is_news_once_until_it_is_lifted(tmp_path: Path):
    path = tmp_path / "latch"
    latch = Latch(path)

    assert latch.reason() is None
    path.write_text("fire in the hall\n")
    assert latch.has_come_down() == "halted: fire in the hall"
    assert latch.has_come_down() is None
    assert latch.reason() == "halted: fire in the hall"
    path.unlink()
    assert latch.has_come_down() is None
    path.touch()
    assert latch.has_come_down() == "halted: the kill switch is down"


def test_a_latch_that_cannot_be_read_halts(tmp_path: Path):
    assert str(Latch(tmp_path).reason()).startswith("halted: the latch file cannot be read")


def test_a_task_that_is_told_to_end_ends_even_if_what_it_waits_for_comes_at_the_same_moment():
    async def keep(event: asyncio.Event) -> None:
        while True:
            await within(event, 10)
            event.clear()

    async def end_it() -> bool:
        event = asyncio.Event()
        keeper = asyncio.create_task(keep(event))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        event.set()
        await asyncio.sleep(0)
        keeper.cancel()
        done, _ = await asyncio.wait({keeper}, timeout=1)
        return keeper in done

    assert asyncio.run(end_it())


def test_the_pacer_never_exceeds_its_rate_and_lets_urgent_messages_use_the_reserve():
    async def burst() -> list[float]:
        pacer, clock = Pacer(on=True), asyncio.get_running_loop().time
        for _ in range(40):
            await pacer.take()
        before = clock()
        for _ in range(5):
            await pacer.take(Priority.CANCEL)
        urgent = clock() - before
        await pacer.take()
        return [urgent, clock() - before]

    urgent, ordinary = asyncio.run(burst())

    assert urgent < 0.5
    assert ordinary > 0.5


def test_a_pacer_that_is_off_never_waits():
    async def burst() -> float:
        pacer, started = Pacer(on=False), time.perf_counter()
        for _ in range(10 * URGENT_PER_S):
            await pacer.take()
        return time.perf_counter() - started

    assert asyncio.run(burst()) < 0.5


@pytest.mark.parametrize(
    ("bars", "size", "asked"),
    [(504, "1 day", "3 Y"), (20, "1 day", "21 D"), (390, "1 min", "3 D"), (7, "1 hour", "3 D")],
)
def test_history_is_asked_for_with_room_for_the_growing_bar(bars: int, size: str, asked: str):
    assert duration(bars, size) == asked


def answering(*replies: bytes) -> tuple[int, threading.Thread]:
    """A control port that gives these answers and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as line, line.makefile("rb") as commands:
            for reply in replies:
                commands.readline()
                line.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    return listener.getsockname()[1], thread


def test_a_control_line_steps_and_reports_refusals_and_ends():
    step = json.dumps({"at": 5, "advanced": "frame", "done": True, "frames_left": 0}).encode() + b"\n"
    port, thread = answering(step, b'{"error": "time cannot go back"}\n')
    control = SimulatorControl("127.0.0.1", port)

    assert control.step(None) == (5, True)
    with pytest.raises(GatewayError, match="time cannot go back"):
        control.step(1)
    with pytest.raises(GatewayClosed, match=f"127.0.0.1:{port}"):
        control.status()
    control.close()
    thread.join()


def test_a_control_port_where_nobody_listens_says_how_to_start_one():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(GatewayUnavailable, match=f"python -m firm.gateway_sim --control-port {port}"):
        SimulatorControl("127.0.0.1", port)
