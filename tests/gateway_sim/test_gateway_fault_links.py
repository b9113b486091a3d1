"""Faults of connections and messages, over TCP: commanded in JSON, and seen by a client to happen."""

import contextlib
import time

import pytest

from tests.gateway_sim.fault_world import AAA, FILL, order_rows, values_of
from tests.gateway_sim.tcp_world import TcpClient, TcpGateway
from tests.gateway_sim.wire_world import Client

# 1: a client id in use


def test_a_client_id_in_use_hears_326_and_is_hung_up_on(world: TcpGateway, client: TcpClient):
    second = TcpClient(world)

    assert second.hello[-1][1]["code"] == 326
    with pytest.raises(ConnectionError):
        second.read()
    assert client.place(1, "BUY", 10) == FILL


# 11, 12: the link behind the gateway


def test_fills_during_an_outage_are_not_told_but_can_be_asked_for(world: TcpGateway, client: TcpClient):
    client.place(1, "BUY", 700)
    client.ask("reqMktData", reqId=7, **AAA)
    world.do("link", up=False)
    lost = client.until("error")
    world.step()
    world.do("link", up=True, lost=True)
    restored = client.until("error")
    found = values_of(client.ask("reqExecutions", reqId=9), "execDetails")
    world.step()

    assert lost[-1][1]["code"] == 1100
    assert [(name, v["code"]) for name, v in restored] == [("error", 1101)]
    assert [v["shares"] for v in found] == [600, 100]
    assert values_of(client.heard(), "tickPrice") == []


def test_a_link_restored_without_loss_keeps_its_subscriptions(world: TcpGateway, client: TcpClient):
    client.ask("reqMktData", reqId=7, **AAA)
    world.do("link", up=False)
    world.do("link", up=True)
    client.until("error")
    assert client.read()[1]["code"] == 1102
    world.step()

    assert len(values_of(client.heard(), "tickPrice")) == 2


# 14, and the limits on history


def test_too_many_messages_are_error_100_and_then_the_end(world: TcpGateway, client: TcpClient):
    world.do("pace")
    for _ in range(60):
        client.send("reqIds")
    heard: list[str] = []
    with contextlib.suppress(ConnectionError):
        while True:
            heard += Client.short([client.read()])

    assert heard == ["nextValidId"] * heard.count("nextValidId") + ["error 100"] * 3


# 15, 16: connections that break


@pytest.mark.parametrize("how", ["rst", "fin"])
def test_a_connection_is_cut(world: TcpGateway, client: TcpClient, how: str):
    world.do("cut", client_id=1, how=how)

    with pytest.raises(ConnectionResetError if how == "rst" else ConnectionError) as ended:
        client.read()
    assert (type(ended.value) is ConnectionResetError) == (how == "rst")
    back = TcpClient(world)
    back.heard()
    assert back.place(1, "BUY", 10) == FILL
    back.close()


@pytest.mark.parametrize("how", ["rst", "fin"])
def test_a_connection_is_cut_at_a_byte(world: TcpGateway, client: TcpClient, how: str):
    before = client.bytes_read
    world.do("cut", client_id=1, how=how, after_bytes=37)
    client.order(1, "BUY", 10)
    with pytest.raises(ConnectionError):
        client.read()

    assert client.bytes_read - before == 37
    assert order_rows(world) == [("ref-1", "Filled", False)]


def test_a_half_open_connection_is_open_and_dead(world: TcpGateway, client: TcpClient):
    world.do("cut", client_id=1, how="silent", after_bytes=10)
    client.order(1, "BUY", 10)
    client.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.read()
    client.order(2, "BUY", 10)
    other = TcpClient(world, 2)
    other.heard()

    assert world.ask("status")["clients"] == [1, 2]
    assert [ref for ref, _, _ in order_rows(world)] == ["ref-1"]
    other.close()


# 17: a request that is never answered


def test_a_request_is_never_answered(world: TcpGateway, client: TcpClient):
    world.do("ignore", requests=["reqPositions"], client_id=1, times=1)

    assert client.ask("reqPositions") == []
    assert [name for name, _ in client.ask("reqPositions")] == ["positionEnd"]


# a slow gateway


def test_messages_are_late(world: TcpGateway, client: TcpClient):
    world.do("delay", messages=["positionEnd"], ms=200)
    started = time.monotonic()
    early = client.ask("reqPositions")
    client.until("positionEnd")

    assert early == []
    assert time.monotonic() - started >= 0.19


# the rest


def test_messages_are_dropped_for_one_client_only(world: TcpGateway, client: TcpClient):
    other = TcpClient(world, 2)
    other.heard()
    world.do("withhold", messages=["orderStatus", "execDetails"], client_id=1)

    assert client.place(1, "BUY", 10) == [w for w in FILL if "Status" not in w and "exec" not in w]
    assert other.place(1, "BUY", 10) == FILL
    world.do("withhold", messages=["orderStatus", "execDetails"], client_id=1, on=False)
    assert client.place(2, "BUY", 10) == FILL
    other.close()


def test_clear_ends_every_fault(world: TcpGateway, client: TcpClient):
    world.do("withhold", messages=["openOrder"])
    world.do("hold", messages=["execDetails"])
    world.do("entitle", symbol="AAA", level="none")
    client.place(1, "BUY", 10)
    world.do("clear")

    assert client.short() == ["execDetails 10@101"]
    assert client.place(2, "BUY", 10) == FILL
    assert "tickPrice" in Client.short(client.ask("reqMktData", reqId=8, **AAA))
