"""What the brokerage remembers beside orders: where the day began, and headlines."""

from datetime import date
from decimal import Decimal
from typing import NamedTuple


class DayStart(NamedTuple):
    """What the account was worth, and had realised, when the exchange's calendar day began.

    `gains` are each instrument's realised and unrealised gains so far, before commissions.
    """

    day: date
    equity: Decimal
    realized: Decimal
    gains: tuple[Decimal, ...]


class NewsItem(NamedTuple):
    """A headline about one symbol. News is not durable: it is what a test says it is."""

    at: int
    symbol: str
    article_id: str
    headline: str
    text: str
