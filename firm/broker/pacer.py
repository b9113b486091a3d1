"""Keeps the firm's messages below the gateway's limit of 50 a second; cancels have a reserve of their own."""

import asyncio
from collections import deque

WINDOW_S = 1.0
ORDINARY_PER_S = 40
URGENT_PER_S = 45


class Pacer:
    """A rolling window of sending times. Off (a simulated clock stands still meanwhile): never waits."""

    def __init__(self, *, on: bool) -> None:
        self._on = on
        self._sent: deque[float] = deque()

    async def take(self, *, urgent: bool = False) -> None:
        """Wait until one more message may be sent; urgent ones may use what ordinary ones must leave."""
        if not self._on:
            return
        limit = URGENT_PER_S if urgent else ORDINARY_PER_S
        clock = asyncio.get_running_loop().time
        while True:
            while self._sent and clock() - self._sent[0] > WINDOW_S:
                self._sent.popleft()
            if len(self._sent) < limit:
                break
            await asyncio.sleep(WINDOW_S - (clock() - self._sent[-limit]) + 0.001)
        self._sent.append(clock())
