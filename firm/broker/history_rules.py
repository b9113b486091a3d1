"""The broker's own limits on historical data, which its gateway punishes rather than queues. Pure.

Source: Interactive Brokers, TWS API, "Historical Data Limitations": no identical request within 15 seconds,
no six requests of the same contract within two, no more than 60 in ten minutes, BID_ASK counts twice.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

IDENTICAL_S: Final = 15.0
SAME_CONTRACT_S, SAME_CONTRACT_MAX = 2.0, 5
TEN_MINUTES_S, REQUESTS_MAX = 600.0, 60


class HistoryRequest(NamedTuple):
    """One request: when it was sent (s), for which contract, the rest of what tells it from others."""

    at: float
    con_id: int
    what: str
    terms: str

    @property
    def weight(self) -> int:
        """How much it counts in ten minutes."""
        return 2 if self.what == "BID_ASK" else 1


class HistoryRules:
    """What was asked in the last ten minutes, and how long the next request must wait."""

    def __init__(self, asked: Iterable[HistoryRequest] = ()) -> None:
        """Go on from what was `asked` before a restart."""
        self._asked = deque(sorted(asked))

    def wait_s(self, request: HistoryRequest) -> float:
        """Seconds from `request.at` until it may be sent; 0 now."""
        now = request.at
        while self._asked and now - self._asked[0].at >= TEN_MINUTES_S:
            self._asked.popleft()
        waits = [0.0]
        waits += [r.at + IDENTICAL_S - now for r in self._asked if r[1:] == request[1:]]
        same = [r.at for r in self._asked if r.con_id == request.con_id and r.what == request.what]
        if len(same) >= SAME_CONTRACT_MAX:
            waits.append(same[-SAME_CONTRACT_MAX] + SAME_CONTRACT_S - now)
        room = REQUESTS_MAX - request.weight
        counted = 0
        for earlier in reversed(self._asked):
            counted += earlier.weight
            if counted > room:
                waits.append(earlier.at + TEN_MINUTES_S - now)
                break
        return max(waits)

    def asked(self, request: HistoryRequest) -> None:
        """It has been sent at `request.at`."""
        self._asked.append(request)

    def recent(self) -> tuple[HistoryRequest, ...]:
        """What to keep for after a restart."""
        return tuple(self._asked)
