"""Orders and faults mixed at random: the gateway's books agree with each other and with its journal."""

import json
import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from firm.gateway_sim.control import answer, executions
from firm.gateway_sim.gateway import Gateway
from tests.gateway_sim.wire_world import CASH, SYMBOLS, Client, gateway

TURNS = 150
COMMANDS: tuple[dict[str, Any], ...] = (
    {"cmd": "withhold", "messages": ["*"], "times": 3},
    {"cmd": "double", "messages": ["execDetails"], "times": 2},
    {"cmd": "hold", "messages": ["orderStatus"], "until": "commissionReport"},
    {"cmd": "rewrite", "message": "openOrder", "values": {"permId": 0}, "times": 1},
    {"cmd": "ignore", "requests": ["placeOrder"], "times": 1},
    {"cmd": "link", "up": False},
    {"cmd": "link", "up": True, "lost": True},
    {"cmd": "twin", "times": 1},
    {"cmd": "refuse_cancel", "times": 1},
    {"cmd": "lend", "symbol": "AAA", "quantity": "20"},
    {"cmd": "lend", "symbol": "AAA"},
    {"cmd": "manual", "symbol": "BBB", "side": "SELL", "quantity": "3"},
    {"cmd": "clear"},
)
KINDS: tuple[dict[str, Any], ...] = (
    {},
    {"tif": "GTC", "limit": 0},
    {"tif": "IOC", "limit": 2},
    {"tif": "FOK", "limit": 2},
    {"orderType": "STP", "stop": 1, "tif": "GTC"},
    {"orderType": "TRAIL", "auxPrice": Decimal(1)},
    {"orderType": "MOC"},
    {"tif": "OPG"},
    {"limit": 0, "ocaGroup": "g", "ocaType": 1},
    {"limit": 0, "displaySize": 5, "tif": "GTC"},
    {"algoStrategy": "Adaptive"},
)


class Chaos:
    """One client, one random sequence, and the checks after every turn of it."""

    def __init__(self, seed: int, journal: Path) -> None:
        self.dice, self.gateway = random.Random(seed), gateway(journal)
        self.client = Client(self.gateway)
        self.next_id = 1

    def turn(self) -> None:
        dice = self.dice
        match dice.randrange(8):
            case 0 if self.gateway.brokerage.next_frame() is not None and dice.random() < 0.3:
                self.gateway.step(None)
            case 1 | 2:
                self.command(dice.choice(COMMANDS))
            case 3:
                self.client.send("cancelOrder", orderId=dice.randrange(1, self.next_id + 1))
            case 4:
                self.amend()
            case 5:
                self.order(dice.randrange(1, self.next_id + 1))
            case _:
                self.order(self.next_id)
                self.next_id += 1
        self.client.session.out.clear()

    def order(self, order_id: int) -> None:
        dice, values = self.dice, dict(self.dice.choice(KINDS))
        middle = 100 + self.gateway.brokerage.cursor
        if "limit" in values:
            values["lmtPrice"] = Decimal(middle + values.pop("limit") + dice.randrange(-2, 3))
        if "stop" in values:
            values["auxPrice"] = Decimal(middle + values.pop("stop") * dice.randrange(-3, 4))
        if dice.random() < 0.2:
            values |= {"parentId": dice.randrange(1, self.next_id + 1)}
        order = {
            "orderId": order_id,
            "symbol": "AAA",
            "secType": "STK",
            "exchange": "SMART",
            "action": dice.choice(["BUY", "SELL"]),
            "totalQuantity": Decimal(dice.randrange(1, 40)),
            "orderType": "LMT" if "lmtPrice" in values else "MKT",
            "tif": "DAY",
            "transmit": dice.random() < 0.9,
        }
        self.client.send("placeOrder", **{**order, **values})

    def amend(self) -> None:
        if found := executions(self.gateway):
            exec_id = self.dice.choice(found)["exec_id"]
            answer(self.gateway, json.dumps({"cmd": "bust", "exec_id": exec_id}).encode(), stepped=True)
            self.command({"cmd": "executions"})

    def command(self, command: dict[str, Any]) -> None:
        said = answer(self.gateway, json.dumps(command).encode(), stepped=True)
        assert "error" not in said, said

    def check(self) -> None:
        exchange = self.gateway.brokerage.exchange
        held: Counter[str] = Counter()
        spent = fees = Decimal(0)
        for e in executions(self.gateway):
            signed = Decimal(e["quantity"]) * (1 if e["side"] == "BUY" else -1)
            held[e["symbol"]] += signed  # type: ignore[assignment]
            spent, fees = spent + signed * Decimal(e["price"]), fees + Decimal(e["commission"])
        for index, symbol in enumerate(SYMBOLS):
            assert exchange.account.positions[index].quantity == held[symbol]
        assert (exchange.account.cash, exchange.account.commissions) == (CASH - spent - fees, fees)
        for order in self.gateway.brokerage.orders.values():
            working = exchange.order(order.perm_id)
            assert order.live == (working is not None), (order.perm_id, order.status)
            assert working is None or (order.ticket, order.filled) == (working.ticket, working.cumulative)


def restarted(journal: Path, before: Gateway) -> Gateway:
    before.commit()
    before._journal.close()  # type: ignore[union-attr]
    return gateway(journal)


@pytest.mark.parametrize("seed", range(12))
def test_the_books_agree_after_every_turn_and_after_a_restart(tmp_path: Path, seed: int):
    print(f"seed {seed}")
    chaos = Chaos(seed, tmp_path / "journal")
    chaos.gateway.step(None)
    for _ in range(TURNS):
        chaos.turn()
        chaos.check()
    before = chaos.gateway
    again = restarted(tmp_path / "journal", before)

    assert again.brokerage.exchange.state() == before.brokerage.exchange.state()
    assert executions(again) == executions(before)
    assert [(o.perm_id, o.order_id, o.status, o.filled) for o in again.brokerage.orders.values()] == [
        (o.perm_id, o.order_id, o.status, o.filled) for o in before.brokerage.orders.values()
    ]
    assert len(executions(before)) + len(before.brokerage.orders) > 40
