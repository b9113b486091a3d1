"""When an order may first trade and when it ends by itself, and the order as it stands at its arrival."""

from firm.domain.order import TimeInForce
from firm.domain.position import ZERO
from firm.domain.session import Sessions
from firm.exchange.orders import AT_OPEN, OrderTicket, Special, WorkingOrder


def entry_time(special: Special, at: int, sessions: Sessions) -> int | None:
    """When an order given `at` may first trade (ns UTC); None when no session is left for it.

    An order for the opening that comes during a session is for the next one.
    """
    earliest: int | None = max(at, special.good_after or 0)
    assert earliest is not None, "a time"
    if special.auction == AT_OPEN and sessions.is_open(earliest):
        earliest = sessions.close_of(earliest)
        assert earliest is not None, "an open session closes"
    return sessions.next_open(earliest)


def entered(perm_id: int, ticket: OrderTicket, at: int, priority: int, sessions: Sessions) -> WorkingOrder:
    """The order at its arrival: held if it may not trade yet, ending at its session's close or its date."""
    special = ticket.special
    enters = entry_time(special, at, sessions)
    assert enters is not None, "an order that can never trade is not accepted"
    expires = special.good_till
    if expires is None and ticket.tif is not TimeInForce.GTC:
        expires = sessions.close_of(enters)
    if special.algo is not None and special.algo.end is not None and not special.algo.past_end:
        expires = min(expires or special.algo.end, special.algo.end)
    return WorkingOrder(
        perm_id,
        ticket,
        priority,
        held=enters > at,
        expires=expires,
        enters=enters,
        elected=special.stop is None and special.trail is None,
        stop=special.stop,
        clip=special.display or ZERO,
    )
