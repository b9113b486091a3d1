"""Who takes too much of the gateway: too many requests, subscriptions or connections, or never reads."""

from pathlib import Path
from typing import Any

import pytest

from firm.gateway_sim.server import READ_BYTES, TURN_BYTES
from tests.gateway_sim.several_world import client_of
from tests.gateway_sim.tcp_world import TcpClient, TcpGateway
from tests.gateway_sim.wire_world import Client, gateway

MORE_THAN_THE_KERNEL_HOLDS = 100
LONG = "x" * 1_000_000
AAA = {"symbol": "AAA", "secType": "STK", "exchange": "SMART", "currency": "USD"}
BARS = {"endDateTime": "", "duration": "1 D", "barSize": "1 min", "whatToShow": "MIDPOINT"}
SUBSCRIPTIONS: list[tuple[str, str, int, int, dict[str, Any]]] = [
    ("reqMktData", "cancelMktData", 100, 101, {**AAA}),
    ("reqRealTimeBars", "cancelRealTimeBars", 100, 101, {**AAA, "whatToShow": "MIDPOINT"}),
    ("reqMktDepth", "cancelMktDepth", 3, 309, {**AAA, "smartDepth": False}),
    ("reqTickByTickData", "cancelTickByTickData", 3, 10190, {**AAA, "tickType": "BidAsk"}),
    ("reqHistoricalData", "cancelHistoricalData", 50, 322, {**AAA, **BARS, "keepUpToDate": True}),
    ("reqAccountSummary", "cancelAccountSummary", 2, 322, {"group": "All", "tags": "NetLiquidation"}),
    ("reqAccountUpdatesMulti", "cancelAccountUpdatesMulti", 50, 322, {"account": ""}),
    ("reqPositionsMulti", "cancelPositionsMulti", 50, 322, {"account": ""}),
    ("reqPnL", "cancelPnL", 1000, 322, {"account": ""}),
]


@pytest.mark.parametrize(("ask", "cancel", "most", "code", "terms"), SUBSCRIPTIONS, ids=lambda v: str(v)[:22])
def test_one_subscription_too_many_is_refused_until_another_ends(
    ask: str, cancel: str, most: int, code: int, terms: dict[str, Any]
):
    client = Client(gateway())
    client.step()
    for request in range(most):
        assert "error" not in {name for name, _ in client.ask(ask, reqId=request, **terms)}

    assert [values["code"] for _, values in client.ask(ask, reqId=most, **terms)] == [code]
    again = client.ask(ask, reqId=0, **terms)
    client.send(cancel, reqId=1)
    another = client.ask(ask, reqId=most, **terms)

    assert "error" not in {name for name, _ in again + another}


def test_nothing_is_kept_of_subscriptions_that_have_ended():
    client = Client(gateway())
    client.step()
    for request, (ask, cancel, _, _, terms) in enumerate(SUBSCRIPTIONS):
        client.ask(ask, reqId=request, **terms)
        client.step(until=client.gateway.brokerage.at)
        client.send(cancel, reqId=request)

    session = client.session
    assert not session.lines | session.position_requests | session.account_requests
    assert not any(
        (session.depth, session.tick_by_tick, session.growing_bars, session.summaries, session.pnl)
    )
    assert session.told == {}


def test_a_subscription_under_an_id_that_was_used_before_is_told_everything(tmp_path: Path):
    client = client_of(tmp_path)
    first = client.ask("reqMktData", reqId=1, **AAA)
    client.send("cancelMktData", reqId=1)

    assert "tickString" in {name for name, _ in first}
    assert client.ask("reqMktData", reqId=1, **AAA) == first
    assert client.ask("reqMktData", reqId=1, **AAA) == first


def test_requests_nobody_knows_are_counted_by_name_up_to_a_bound():
    gw = gateway()
    client = Client(gw)
    for number in range(1000, 3000):
        client.raw(str(number))

    assert len(gw.unknown) == 201
    assert sum(gw.unknown.values()) == 2000


def test_more_bars_than_fit_into_a_message_are_refused(monkeypatch: pytest.MonkeyPatch):
    client = Client(gateway())
    client.step()
    client.step()
    terms = {**AAA, **BARS, "duration": "5 D", "keepUpToDate": False}
    assert client.ask("reqHistoricalData", reqId=1, **terms)[0][0] == "historicalData"
    monkeypatch.setattr("firm.gateway_sim.answers_data.BARS_MAX", 1)

    assert client.short(client.ask("reqHistoricalData", reqId=2, **terms)) == ["error 162"]


@pytest.mark.parametrize("duration", ["9000 Y", "100000 M", "100000 W", "100000 D", "100000 S"])
def test_a_history_longer_than_time_itself_is_what_there_is(duration: str):
    client = Client(gateway())
    client.step()

    ((name, values),) = client.ask("reqHistoricalData", reqId=1, **AAA, **{**BARS, "duration": duration})

    assert (name, len(values["bars"])) == ("historicalData", 1)


def test_a_client_that_asks_for_more_than_it_reads_fills_no_memory(world: TcpGateway, client: TcpClient):
    greedy = TcpClient(world, client_id=2)
    (session,) = [each for each in world.gateway.sessions if each.client_id == 2]
    asked = {"reqId": 1, "symbol": "AAA", "secType": "OPT", "exchange": "SMART", "currency": "USD"}
    before = len(client.ask("reqContractDetails", **asked))
    for _ in range(3000):
        greedy.send("reqContractDetails", **asked)
    assert before > 10

    assert client.heard() == []
    writer = world.server._writers.get(session)
    waiting = 0 if writer is None else writer.transport.get_write_buffer_size()
    assert waiting + len(session.out) < 3 * TURN_BYTES + READ_BYTES
    greedy.close()


def test_a_client_that_does_not_read_is_cut_off_and_the_others_are_served(
    world: TcpGateway, client: TcpClient
):
    deaf = TcpClient(world, client_id=2)
    (session,) = [each for each in world.gateway.sessions if each.client_id == 2]

    for _ in range(MORE_THAN_THE_KERNEL_HOLDS):
        session.error(-1, 2104, LONG)
    world.step()

    with pytest.raises(ConnectionError):
        deaf.until("more than it has been sent")
    assert client.heard() == []
    assert session not in world.gateway.sessions
    deaf.close()


def test_of_more_clients_than_there_is_room_for_the_last_is_hung_up_on(
    world: TcpGateway, client: TcpClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("firm.gateway_sim.server.CLIENTS_MAX", 2)
    second = TcpClient(world, client_id=2)

    with pytest.raises(ConnectionError):
        TcpClient(world, client_id=3)

    second.close()
    assert client.heard() == []
