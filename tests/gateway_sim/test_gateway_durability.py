"""kill -9 in the middle of trading: after a restart every order, execution and position is there."""

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from firm.gateway_sim.process import GatewayProcess, start_gateway
from tests.gateway_sim.tcp_world import TcpClient

pytestmark = pytest.mark.process

SEED = 20260101
KILLS = 4


def client_of(gateway: GatewayProcess) -> TcpClient:
    client = TcpClient.dial(gateway.host, gateway.port)
    client.heard()
    return client


def picture(gateway: GatewayProcess) -> dict[str, Any]:
    status = gateway.status()
    kept = ("at", "positions", "cash", "commissions", "orders", "frames_left")
    return {
        **{name: status[name] for name in kept},
        "rows": gateway.orders(),
        "executions": gateway.ask(cmd="executions")["executions"],
    }


def trade(client: TcpClient, gateway: GatewayProcess, dice: random.Random, next_id: int) -> int:
    """A few orders of every kind, a cancel, perhaps a correction, and a step."""
    mark = Decimal(190)
    kinds: list[dict[str, Any]] = [
        {},
        {"lmtPrice": mark - dice.randrange(20), "tif": "GTC"},
        {"orderType": "STP", "auxPrice": mark + 5, "tif": "GTC"},
        {"orderType": "TRAIL", "auxPrice": Decimal(3)},
        {"orderType": "MOC"},
        {"tif": "OPG"},
        {"lmtPrice": mark, "displaySize": 3, "ocaGroup": "g", "ocaType": 1, "tif": "GTC"},
        {"algoStrategy": "Twap"},
    ]
    for _ in range(dice.randrange(2, 5)):
        action = dice.choice(["BUY", "SELL"])
        client.order(next_id, action, dice.randrange(1, 50), symbol="AAPL", **dice.choice(kinds))
        next_id += 1
    client.order(next_id, "BUY", 5, symbol="AAPL", lmtPrice=mark, transmit=False)
    client.order(next_id + 1, "SELL", 5, symbol="AAPL", orderType="STP", auxPrice=mark - 9, parentId=next_id)
    client.send("cancelOrder", orderId=dice.randrange(1, next_id))
    client.heard()
    gateway.step()
    client.heard()
    executions = gateway.ask(cmd="executions")["executions"]
    if executions and dice.random() < 0.5:
        chosen = dice.choice(executions)["exec_id"]
        command = dice.choice([{"cmd": "bust"}, {"cmd": "correct", "price": "150.25"}])
        gateway.ask(**command, exec_id=chosen)
    return next_id + 2


def test_killed_again_and_again_nothing_is_lost(tmp_path: Path):
    dice, next_id = random.Random(SEED), 1
    print(f"seed {SEED}")
    before: dict[str, Any] | None = None
    for _ in range(KILLS):
        with start_gateway(days=5, journal=tmp_path / "journal") as gateway:
            if before is not None:
                assert picture(gateway) == before
            client = client_of(gateway)
            for _ in range(dice.randrange(2, 6)):
                next_id = trade(client, gateway, dice, next_id)
            before = picture(gateway)
            gateway.kill()
            client.close()
    assert before is not None
    assert before["executions"]
    perms = [row["perm_id"] for row in before["rows"]]
    assert len(set(perms)) == len(perms)
    held = sum(Decimal(e["quantity"]) * (1 if e["side"] == "BUY" else -1) for e in before["executions"])
    assert before["positions"] == ({"AAPL": f"{held:f}"} if held else {})
    spent = sum(
        Decimal(e["quantity"]) * Decimal(e["price"]) * (1 if e["side"] == "BUY" else -1)
        + Decimal(e["commission"])
        for e in before["executions"]
    )
    assert Decimal(before["cash"]) == 1_000_000 - spent
