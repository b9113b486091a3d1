"""What the session wants done at the broker, each thing once. Pure."""

from firm.broker.messages import CancelOrder, Query, Resubscribe, Want


class Wants:
    """Collects; while a query runs no other one is wanted, since its answers may settle everything."""

    def __init__(self) -> None:
        self.in_query = False
        self._wanted: list[Want] = []

    def query(self, reason: str) -> None:
        """Something is uncertain; the first reason is enough."""
        if not self.in_query and not any(isinstance(want, Query) for want in self._wanted):
            self._wanted.append(Query(reason))

    def resubscribe(self) -> None:
        """Market data subscriptions are dead."""
        self._add(Resubscribe())

    def cancel(self, order_id: int | None) -> None:
        """The order should not be there. None: it has no id in this connection, and cannot be cancelled."""
        if order_id is not None:
            self._add(CancelOrder(order_id))

    def forget(self) -> None:
        """The connection they were for is gone."""
        self.in_query = False
        self._wanted.clear()

    def take(self) -> list[Want]:
        """All that was collected since the last time."""
        wanted, self._wanted = self._wanted, []
        return wanted

    def _add(self, want: Want) -> None:
        if want not in self._wanted:
            self._wanted.append(want)
