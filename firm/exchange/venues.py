"""Venues behind SMART: what each shows, charges and pays, and in which order an order goes to them. Pure.

An order takes liquidity only at the consolidated touch (the best price any venue shows): sent to SMART, from
the cheapest venue first, then the largest, then in the order in which they are listed; sent to one venue,
from that one alone, and it waits while another shows a better price. A resting order sent to SMART rests
where adding liquidity is cheapest.
"""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct


class Venue(Struct, frozen=True, array_like=True):
    """A place where an instrument trades.

    `maker` and `taker` are fees for one unit that adds or removes liquidity, in the instrument's currency; a
    negative one is a rebate. `feed` is the column of the tape with its own quotes; without one (-1) it shows
    the consolidated price with `share` of the consolidated size, on the lot grid (what is left over by
    rounding is at the first venue).
    """

    name: str
    maker: Decimal
    taker: Decimal
    share: Decimal
    feed: int = -1

    def fee(self, *, removed_liquidity: bool) -> Decimal:
        """What one unit costs."""
        return self.taker if removed_liquidity else self.maker


class Offer(Struct, frozen=True, array_like=True):
    """What is left at one venue at the touch: `size` units; `column` is where its next quote comes from."""

    venue: str
    column: int
    size: Decimal


def routed(venues: Sequence[Venue], offers: Sequence[Offer], route: str) -> list[Offer]:
    """The offers an order sent to `route` (empty: SMART) takes, in that order."""
    cost = {venue.name: venue.taker for venue in venues}
    mine = [offer for offer in offers if offer.size > 0 and route in {"", offer.venue}]
    return sorted(mine, key=lambda offer: (cost[offer.venue], -offer.size))


def resting_place(venues: Sequence[Venue], route: str) -> str:
    """Where an order sent to `route` rests."""
    return route or min(venues, key=lambda venue: venue.maker).name
