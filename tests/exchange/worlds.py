"""Small hand-made worlds for the exchange: two instruments, two one-hour sessions, frames in a sentence."""

from decimal import Decimal

import msgspec
import numpy as np

from firm.domain.instrument import Instrument
from firm.domain.order import OrderType, Side, TimeInForce
from firm.domain.session import Sessions
from firm.exchange import (
    Exchange,
    ExchangeEvent,
    MarginRules,
    OrderAccepted,
    OrderActivated,
    OrderFilled,
    OrderModified,
    OrderTicket,
    Special,
    TieredFees,
)
from firm.exchange.table import FIRST_PERM_ID
from firm.tape.tape import PRINT, QUOTE, Frame

HOUR = 3_600_000_000_000
OPEN_1, CLOSE_1, OPEN_2, CLOSE_2 = 100 * HOUR, 101 * HOUR, 124 * HOUR, 125 * HOUR
SESSIONS = Sessions((OPEN_1, OPEN_2), (CLOSE_1, CLOSE_2))
CASH = Decimal(100_000)
FIRST_QUOTE = (0, 99.0, 101.0, 50.0, 60.0)
SECOND = 1_000_000_000
FIRST, NEXT, THIRD = FIRST_PERM_ID, FIRST_PERM_ID + 1, FIRST_PERM_ID + 2
FREE = TieredFees(Decimal(0), Decimal(0), Decimal(0))


def stock(index: int, symbol: str) -> Instrument:
    return Instrument(
        index, symbol, 1000 + index, "STK", "NASDAQ", "USD", Decimal(1), Decimal("0.01"), Decimal(1)
    )


def exchange(
    *,
    cash: Decimal = CASH,
    fees: TieredFees = FREE,
    leverage: int = 4,
    shorts: bool = True,
    marks: tuple[float, float] = (100.0, 50.0),
) -> Exchange:
    instruments = [stock(0, "AAA"), stock(1, "BBB")]
    margin = MarginRules(Decimal(leverage), shorts_allowed=shorts)
    return Exchange(instruments, cash, "DU1", SESSIONS, fees, margin, marks)


def frame(
    at: int,
    *quotes: tuple[int, float, float, float, float],
    prints: tuple[tuple[int, float, float], ...] = (),
) -> Frame:
    """Quotes are (instrument, bid, ask, bid size, ask size), prints (instrument, price, size)."""
    return Frame(at, np.array(list(quotes), dtype=QUOTE), np.array(list(prints), dtype=PRINT))


def market(side: Side, quantity: int, *, tif: TimeInForce = TimeInForce.DAY, ref: str = "m") -> OrderTicket:
    return OrderTicket(0, side, Decimal(quantity), OrderType.MARKET, None, tif, ref)


def limit(
    side: Side, quantity: int, price: str, *, tif: TimeInForce = TimeInForce.DAY, ref: str = "l"
) -> OrderTicket:
    return OrderTicket(0, side, Decimal(quantity), OrderType.LIMIT, Decimal(price), tif, ref)


def opened(quote: tuple[int, float, float, float, float] = FIRST_QUOTE) -> Exchange:
    x = exchange()
    x.advance(frame(OPEN_1, quote))
    return x


def special(ticket: OrderTicket, **terms: object) -> OrderTicket:
    return msgspec.structs.replace(ticket, special=Special(**terms))  # type: ignore[arg-type]


def kinds(events: list[ExchangeEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def fills(events: list[ExchangeEvent]) -> list[tuple[str, Decimal, Decimal]]:
    return [(e.ref, e.quantity, e.price) for e in events if isinstance(e, OrderFilled)]


def waits(event: ExchangeEvent) -> str:
    assert isinstance(event, OrderAccepted | OrderActivated | OrderModified)
    return event.waits


def bracket(x: Exchange, quantity: int = 10) -> None:
    x.submit(special(limit(Side.BUY, quantity, "98", ref="parent"), transmit=False), OPEN_1 + 1)
    profit = special(limit(Side.SELL, quantity, "104", ref="profit"), parent=FIRST, transmit=False)
    x.submit(profit, OPEN_1 + 1)
    x.submit(special(market(Side.SELL, quantity, ref="loss"), parent=FIRST, stop=Decimal(95)), OPEN_1 + 1)
