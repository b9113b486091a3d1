"""The documented limits on historical data requests, counted in real time. Pure: the time is given."""

from collections import deque
from collections.abc import Hashable

TEN_MINUTES_S, IN_TEN_MINUTES = 600.0, 60
SAME_CONTRACT_S, OF_SAME_CONTRACT = 2.0, 6
IDENTICAL_S = 15.0


class HistoryPace:
    """Requests of one session: 60 in ten minutes, 6 of a contract in two seconds, none twice in fifteen."""

    def __init__(self) -> None:
        self._all: deque[tuple[float, Hashable, Hashable]] = deque()

    def violation(self, now: float, contract: Hashable, request: Hashable) -> str | None:
        """The rule this request breaks at `now` (seconds), None if none; it counts either way."""
        while self._all and now - self._all[0][0] >= TEN_MINUTES_S:
            self._all.popleft()
        same = sum(1 for at, c, _ in self._all if c == contract and now - at < SAME_CONTRACT_S)
        twice = any(r == request and now - at < IDENTICAL_S for at, _, r in self._all)
        count = len(self._all)
        self._all.append((now, contract, request))
        if twice:
            return f"identical request within {IDENTICAL_S:.0f} seconds"
        if same >= OF_SAME_CONTRACT:
            return f"more than {OF_SAME_CONTRACT} requests for one contract in {SAME_CONTRACT_S:.0f} seconds"
        if count >= IN_TEN_MINUTES:
            return f"more than {IN_TEN_MINUTES} requests in ten minutes"
        return None
