"""A gateway on TCP after its first frame, and a client of it."""

from collections.abc import Iterator

import pytest

from tests.gateway_sim.tcp_world import TcpClient, TcpGateway, tcp_gateway


@pytest.fixture
def world() -> Iterator[TcpGateway]:
    with tcp_gateway() as running:
        running.step()
        yield running


@pytest.fixture
def client(world: TcpGateway) -> Iterator[TcpClient]:
    connected = TcpClient(world)
    connected.heard()
    yield connected
    connected.close()
