"""Small hand-made worlds for the exchange: two instruments, two one-hour sessions, frames in a sentence."""

from decimal import Decimal

import numpy as np

from firm.domain.instrument import Instrument
from firm.domain.order import OrderType, Side, TimeInForce
from firm.domain.session import Sessions
from firm.exchange import Exchange, MarginRules, OrderTicket, TieredFees
from firm.tape.tape import PRINT, QUOTE, Frame

HOUR = 3_600_000_000_000
OPEN_1, CLOSE_1, OPEN_2, CLOSE_2 = 100 * HOUR, 101 * HOUR, 124 * HOUR, 125 * HOUR
SESSIONS = Sessions((OPEN_1, OPEN_2), (CLOSE_1, CLOSE_2))
CASH = Decimal(100_000)
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
