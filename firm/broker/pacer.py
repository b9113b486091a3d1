"""Keeps the firm's messages below the gateway's limit of 50 a second, the urgent ones first."""

import asyncio
import heapq
from collections import deque
from enum import IntEnum
from typing import Final

WINDOW_S: Final = 1.0
ORDINARY_PER_S: Final = 40
URGENT_PER_S: Final = 45


class Priority(IntEnum):
    """Who goes first when there is not room for all. Only cancels may use the last five places."""

    CANCEL = 0
    REDUCE = 1
    NEW = 2
    DATA = 3
    HISTORY = 4


class Pacer:
    """A rolling window of sending times for everything that goes over the wire, and those who wait for it.

    Off (a simulated clock stands still meanwhile): never waits.
    """

    def __init__(self, *, on: bool) -> None:
        self._on = on
        self._sent: deque[float] = deque()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = 0
        self._alarm: asyncio.TimerHandle | None = None

    def try_take(self, priority: Priority) -> bool:
        """Take a place now if there is one, and nobody of the same or a higher rank waits for it."""
        if not self._on:
            return True
        self._let_in()
        if (self._waiting and self._waiting[0][0] <= priority) or not self._room(priority):
            return False
        self._sent.append(asyncio.get_running_loop().time())
        return True

    async def take(self, priority: Priority = Priority.DATA) -> None:
        """Wait until one more message may be sent."""
        if self.try_take(priority):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (priority, self._arrivals, turn))
        self._let_in()
        await turn

    def _let_in(self) -> None:
        """Give the places that have become free to those who wait, then sleep until the next one does."""
        now = asyncio.get_running_loop().time()
        while self._sent and now - self._sent[0] >= WINDOW_S:
            self._sent.popleft()
        while self._waiting:
            priority, _, turn = self._waiting[0]
            if turn.done():  # whoever waited has been told to end
                heapq.heappop(self._waiting)
            elif self._room(Priority(priority)):
                heapq.heappop(self._waiting)
                self._sent.append(now)
                turn.set_result(None)
            else:
                break
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._waiting:
            leaves = self._sent[len(self._sent) - _limit(Priority(self._waiting[0][0]))]
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_at(leaves + WINDOW_S + 0.001, self._let_in)

    def _room(self, priority: Priority) -> bool:
        return len(self._sent) < _limit(priority)


def _limit(priority: Priority) -> int:
    return URGENT_PER_S if priority is Priority.CANCEL else ORDINARY_PER_S
