"""What one client may be subscribed to at a time, and the error for one more. Pure.

Documented: 100 lines of market data, 3 of depth and (by the same table) 3 of tick-by-tick data, 50 open
requests for history, 2 account summaries. Assumed: the code for the last two, and any bound on the others.
"""

from collections.abc import Collection
from typing import NamedTuple


class Limit(NamedTuple):
    """At most `most` at a time; code and text for what is beyond."""

    most: int
    code: int
    text: str


MARKET_DATA = Limit(100, 101, "Max number of tickers has been reached")
DEPTH = Limit(3, 309, "Max number (3) of market depth requests has been reached")
EVERY_TICK = Limit(3, 10190, "Max number of tick-by-tick requests has been reached")
HISTORY = Limit(50, 322, "Error processing request: Max number of historical data requests exceeded")
SUMMARIES = Limit(2, 322, "Error processing request: Maximum number of account summary requests exceeded")
ACCOUNTS = Limit(50, 322, "Error processing request: Maximum number of account requests exceeded")
PROFITS = Limit(1000, 322, "Error processing request: Maximum number of profit and loss requests exceeded")


def beyond(limit: Limit, held: Collection[int], req_id: int) -> tuple[int, str] | None:
    """The error if one more subscription is too many; one that is `held` already only replaces itself."""
    return None if req_id in held or len(held) < limit.most else (limit.code, limit.text)
