"""One pacer for everything that leaves the firm, the rules for history, and what a restart remembers."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from conversation import child
from hypothesis import given
from hypothesis import strategies as st
from virtual import VirtualLoop

from firm.broker.backoff import Backoff
from firm.broker.history_rules import HistoryRequest, HistoryRules
from firm.broker.notebook import RESERVE, Notebook
from firm.broker.pacer import Pacer, Priority
from firm.broker.waiting_orders import WaitingOrders
from firm.errors import GatewayError

CANCEL, REDUCE, NEW, DATA, HISTORY = Priority


def live(work: Coroutine[Any, Any, Any]) -> Any:
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def test_those_who_wait_are_let_in_by_rank_and_within_a_rank_in_order():
    async def queue() -> list[str]:
        pacer, order = Pacer(on=True), []

        async def go(name: str, priority: Priority) -> None:
            await pacer.take(priority)
            order.append(name)

        for _ in range(45):
            await pacer.take(CANCEL)
        ranks = [("h", HISTORY), ("d", DATA), ("n1", NEW), ("n2", NEW), ("r", REDUCE), ("c", CANCEL)]
        await asyncio.gather(*(go(*rank) for rank in ranks))
        return order

    assert live(queue()) == ["c", "r", "n1", "n2", "d", "h"]


@given(st.lists(st.sampled_from(Priority), min_size=1, max_size=300))
def test_no_second_ever_holds_more_than_45_messages_nor_more_than_40_ordinary_ones(ranks: list[Priority]):
    async def burst() -> list[tuple[float, Priority]]:
        pacer, sent = Pacer(on=True), []
        clock = asyncio.get_running_loop().time

        async def go(priority: Priority) -> None:
            await pacer.take(priority)
            sent.append((clock(), priority))

        await asyncio.gather(*(go(rank) for rank in ranks))
        return sent

    sent = live(burst())

    assert len(sent) == len(ranks)
    for at, _ in sent:
        second = [rank for when, rank in sent if at <= when < at + 1.0]
        assert len(second) <= 45
        assert len(second) <= 40 or CANCEL in second


def test_a_cancel_behind_a_hundred_waiting_orders_goes_at_once():
    async def urgent() -> float:
        pacer, clock = Pacer(on=True), asyncio.get_running_loop().time
        orders = [asyncio.ensure_future(pacer.take(NEW)) for _ in range(100)]
        await asyncio.sleep(0.1)
        before = clock()
        await pacer.take(CANCEL)
        waited = clock() - before
        await asyncio.gather(*orders)
        return waited

    assert live(urgent()) == 0.0


def test_whoever_is_told_to_end_takes_no_place():
    async def queue() -> float:
        pacer, clock = Pacer(on=True), asyncio.get_running_loop().time
        for _ in range(40):
            await pacer.take(NEW)
        given_up = [asyncio.ensure_future(pacer.take(NEW)) for _ in range(200)]
        await asyncio.sleep(0)
        for task in given_up:
            task.cancel()
        before = clock()
        await pacer.take(NEW)
        return clock() - before

    assert live(queue()) < 1.1


def test_orders_wait_by_rank_and_may_be_taken_out():
    waiting = WaitingOrders()
    for seq, rank in ((5, NEW), (6, REDUCE), (7, NEW), (8, REDUCE)):
        waiting.push(rank, seq, child(seq))

    assert waiting.take(6) == child(6)
    assert 6 not in waiting
    assert waiting.first is REDUCE
    assert [waiting.pop()[0] for _ in range(3)] == [8, 5, 7]
    assert not waiting


def asked(at: float, con_id: int = 1, what: str = "TRADES", terms: str = "1 D") -> HistoryRequest:
    return HistoryRequest(at, con_id, what, terms)


def test_the_same_historical_request_waits_fifteen_seconds():
    rules = HistoryRules([asked(100.0)])

    assert rules.wait_s(asked(101.0)) == 14.0
    assert rules.wait_s(asked(101.0, terms="2 D")) == 0.0
    assert rules.wait_s(asked(115.0)) == 0.0


def test_a_sixth_request_of_a_contract_waits_until_two_seconds_are_over():
    rules = HistoryRules(asked(100.0 + n / 10, terms=str(n)) for n in range(5))

    assert rules.wait_s(asked(100.5)) == pytest.approx(1.5)
    assert rules.wait_s(asked(100.5, con_id=2)) == 0.0


def test_sixty_requests_in_ten_minutes_are_the_limit_and_bid_ask_counts_twice():
    trades = HistoryRules(asked(100.0 + 10 * n, con_id=n) for n in range(59))
    assert trades.wait_s(asked(690.0, con_id=99)) == 0.0
    assert trades.wait_s(asked(690.0, con_id=99, what="BID_ASK")) == 10.0

    quotes = HistoryRules(asked(100.0 + 10 * n, con_id=n, what="BID_ASK") for n in range(30))
    assert quotes.wait_s(asked(400.0, con_id=99)) == 300.0


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 3), st.sampled_from(["TRADES", "BID_ASK"]))))
def test_whoever_waits_as_told_never_breaks_a_rule(requests: list[tuple[float, int, str]]):
    rules, now, sent = HistoryRules(), 1000.0, []
    for pause, con_id, what in requests:
        now += pause
        while (wait := rules.wait_s(asked(now, con_id, what))) > 0:
            now += wait
        rules.asked(asked(now, con_id, what))
        sent.append(asked(now, con_id, what))

    for n, request in enumerate(sent):
        recent = [r for r in sent[:n] if request.at - r.at < 600.0 - 1e-6]
        assert sum(r.weight for r in recent) + request.weight <= 60
        assert not [r for r in recent if r[1:] == request[1:] and request.at - r.at < 15.0 - 1e-6]


def test_the_notebook_remembers_marks_and_history_across_a_restart(tmp_path: Path):
    path = tmp_path / "broker.json"
    first = Notebook(path)
    assert (first.mark(11), first.history) == (0, ())
    assert first.reserve(11, 5) == 5 + RESERVE - 1
    first.asked([asked(1.5)])

    again = Notebook(path)
    assert (again.mark(11), again.mark(12)) == (5 + RESERVE - 1, 0)
    assert again.history == (asked(1.5),)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"order_ids": {"11": "x"}, "history": []}'])
def test_a_damaged_notebook_stops_the_firm_instead_of_using_ids_again(tmp_path: Path, content: str):
    path = tmp_path / "broker.json"
    path.write_text(content)

    with pytest.raises(GatewayError, match="order ids that were used"):
        Notebook(path)


def test_waits_grow_to_a_limit_differ_by_seed_and_begin_anew_after_a_success():
    def waits(seed: str) -> list[float]:
        backoff = Backoff(1.0, 30.0, seed)
        return [backoff.next() for _ in range(10)]

    assert waits("a") == waits("a") != waits("b")
    assert all(0.5 * min(2**n, 30) <= wait <= min(2**n, 30) for n, wait in enumerate(waits("a")))
    backoff = Backoff(1.0, 30.0, "a")
    for _ in range(8):
        backoff.next()
    backoff.succeeded()
    assert backoff.next() <= 1.0
