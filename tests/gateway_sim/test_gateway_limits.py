"""Who takes too much of the simulated gateway: a client that never reads, and one client too many."""

import pytest

from tests.gateway_sim.tcp_world import TcpClient, TcpGateway

MORE_THAN_THE_KERNEL_HOLDS = 100
LONG = "x" * 1_000_000


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
