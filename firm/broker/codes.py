"""What the gateway's error codes mean for an order: a notice, a refused cancel, a refusal, or only a doubt.

Meanings are Interactive Brokers' (TWS API message codes); which of them leave an order alive was found by
sending each to a live order. No code by itself ends an order: see `firm.broker.ib_session`.
"""

from enum import Enum


class Meaning(Enum):
    """What an error code on an order says."""

    NOTICE = "the order goes on as it was"
    ENDING = "the text that goes with a cancellation"
    CANCEL_REFUSED = "a cancel could not be carried out: the order may be filled, gone, or working"
    REFUSAL = "the order was refused, if the order's own status or a query confirms it"
    DOUBT = "something is wrong, and only a query can say what it means for the order"


NOTICES = frozenset({399, 404, 10167, 10349})
"""399 held until the open, 404 locating shares to sell short, 10349 a preset gave it its time in force."""

WARNINGS = range(2100, 2200)
"""The gateway's range for warnings (2109: an attribute is ignored)."""

CANCEL_REFUSALS = frozenset({135, 161, 10147, 10148})
"""135 and 10147 not found, 161 and 10148 not in a state to be cancelled."""

REFUSALS = frozenset({103, 110, 200, 201, 203, 321, 387, 388, 434, 460, 10052, 10318})
"""103 order id used before, 110 price off the grid, 200 no such contract, 201 rejected, 203 not allowed for
the account, 321 invalid request, 387 order type or time in force, 388 and 434 size, 460 no permission, 10052
time in force, 10318 fraction of a share."""

LINK_LOST = frozenset({1100, 2110})
"""1100 the gateway lost Interactive Brokers; 2110 likewise, from the terminal."""

LINK_BACK_DATA_LOST = 1101
LINK_BACK = 1102
CLIENT_ID_IN_USE = 326
PACING = 100
FARM_BROKEN = frozenset({2103})
FARM_OK = frozenset({2104, 2108})
"""2103 broken; 2104 OK and 2108 inactive but available on demand: the farm will answer a new subscription.
The history farm (2105, 2106, 2107) and the contract farm (2157, 2158) say nothing about quotes."""

DATA_LOST = 10182
NO_DATA = frozenset({101, 200, 354, 10089, 10168, 10190, 10197, 10225})
"""101 too many lines, 200 no such contract, 354, 10089 and 10168 not subscribed, 10190 too many tick-by-tick
lines, 10197 another session has the data, 10225 a trade was bust and the subscription ended with it."""


def meaning(code: int) -> Meaning:
    """What `code` says when it comes with an order's id; an unknown code is a doubt."""
    if code in NOTICES or code in WARNINGS:
        return Meaning.NOTICE
    if code == 202:
        return Meaning.ENDING
    if code in CANCEL_REFUSALS:
        return Meaning.CANCEL_REFUSED
    return Meaning.REFUSAL if code in REFUSALS else Meaning.DOUBT
