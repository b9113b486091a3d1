"""Orders that wait for their place on the wire: those that reduce risk first, else first come. Pure."""

import heapq

from firm.broker.pacer import Priority
from firm.events.orders import Child


class WaitingOrders:
    """Committed intents of which nothing has been sent."""

    def __init__(self) -> None:
        self._heap: list[tuple[Priority, int]] = []
        self._children: dict[int, Child] = {}

    def __len__(self) -> int:
        return len(self._children)

    def __contains__(self, seq: int) -> bool:
        return seq in self._children

    def push(self, priority: Priority, seq: int, child: Child) -> None:
        """One more, named by its seq."""
        self._children[seq] = child
        heapq.heappush(self._heap, (priority, seq))

    @property
    def first(self) -> Priority:
        """The priority of who is next; there must be one."""
        while self._heap[0][1] not in self._children:
            heapq.heappop(self._heap)
        return self._heap[0][0]

    def pop(self) -> tuple[int, Child]:
        """Who is next."""
        assert self.first is not None, "nobody waits"
        seq = heapq.heappop(self._heap)[1]
        return seq, self._children.pop(seq)

    def take(self, seq: int) -> Child:
        """Out of turn: it is not to be sent."""
        return self._children.pop(seq)
