"""What the tests of faults expect and look at."""

from typing import Any

from tests.gateway_sim.tcp_world import Heard, TcpGateway

AAA = {"symbol": "AAA", "secType": "STK", "exchange": "SMART", "currency": "USD"}
FILL = [
    "openOrder PreSubmitted",
    "orderStatus PreSubmitted 0",
    "execDetails 10@101",
    *["openOrder Filled", "orderStatus Filled 10"] * 2,
    "commissionReport",
]
RESTING = ["openOrder Submitted", "orderStatus Submitted 0"]


def values_of(heard: Heard, name: str) -> list[dict[str, Any]]:
    return [values for said, values in heard if said == name]


def order_rows(world: TcpGateway) -> list[tuple[str, str, bool]]:
    return [(o["order_ref"], o["status"], o["live"]) for o in world.ask("orders")["orders"]]
