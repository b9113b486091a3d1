"""The last quote of an instrument in exact decimals: what bookkeeper, Compliance and Execution count with."""

from decimal import Decimal
from math import isnan

from msgspec import Struct

from firm.agents.market import Market


class ExactQuote(Struct, frozen=True, array_like=True):
    """Bid and ask as the shortest decimals that name the feed's floats; `at` is when it was heard, ns UTC."""

    bid: Decimal
    ask: Decimal
    at: int

    @property
    def mid(self) -> Decimal:
        """Half way between bid and ask, not rounded to the tick."""
        return (self.bid + self.ask) / 2


def last_quote(market: Market, instrument: int) -> ExactQuote | None:
    """The last quote; None if there never was one, or no such instrument."""
    if not 0 <= instrument < len(market.instruments):
        return None
    bid, ask = float(market.bid[instrument]), float(market.ask[instrument])
    if isnan(bid) or isnan(ask):
        return None
    return ExactQuote(Decimal(repr(bid)), Decimal(repr(ask)), int(market.quoted_at[instrument]))
