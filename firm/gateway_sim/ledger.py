"""Every order the gateway ever took and every execution, found by the names clients use. Pure."""

from firm.gateway_sim.amendments import standing
from firm.gateway_sim.orders import Execution, PlacedOrder


class Ledger:
    """`orders` by permanent id, in order of arrival; `executions` with all their revisions, oldest first."""

    def __init__(self) -> None:
        self.orders: dict[int, PlacedOrder] = {}
        self.executions: list[Execution] = []
        self._by_client: dict[tuple[int, int], int] = {}

    def enter(self, order: PlacedOrder) -> None:
        """A new order with its permanent id; it has its order id from now on."""
        self.orders[order.perm_id] = order
        self._by_client[order.client_id, order.order_id] = order.perm_id

    def next_order_id(self, client_id: int) -> int:
        """One more than the largest order id this client ever used, at least 1."""
        return max((o for c, o in self._by_client if c == client_id), default=0) + 1

    def named(self, client_id: int, order_id: int) -> PlacedOrder | None:
        """The newest order of this client and id."""
        return self.orders.get(self._by_client.get((client_id, order_id), 0))

    def all_named(self, client_id: int, order_id: int) -> list[PlacedOrder]:
        """Every order of this client and id, oldest first: more than one if there were twins."""
        return [o for o in self.orders.values() if (o.client_id, o.order_id) == (client_id, order_id)]

    def standing(self) -> list[Execution]:
        """The executions that hold, newest revision each."""
        return standing(self.executions)

    def execution(self, exec_id: str) -> Execution | None:
        """The standing execution with this id; None if it was corrected or busted, or never was."""
        return next((e for e in self.standing() if e.fill.exec_id == exec_id), None)
