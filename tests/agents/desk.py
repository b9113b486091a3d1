"""Words for conversations with the agents: instruments, quotes, orders and reports, short to write."""

from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np

from firm import config
from firm.domain.instrument import Instrument
from firm.domain.order import OrderType, Side, TimeInForce
from firm.events.market import QUOTE, HistoryLoaded, MarketData, market_data
from firm.events.orders import Approved, Child, OrderFilled, OrderSubmitted, Proposed
from firm.events.scheduled import Occasion, ScheduledTick
from firm.events.system import InstrumentsResolved, Reconciled

PAPER = Path(__file__).resolve().parents[2] / "config" / "paper.yaml"
DECIDE = ScheduledTick(Occasion.DECIDE)
TIMER = ScheduledTick(Occasion.TIMER, 1)
RECONCILED = Reconciled((), Decimal(0), ())
BUY, SELL = Side.BUY, Side.SELL


def d(value: object) -> Decimal:
    return Decimal(str(value))


@cache
def settings(*overrides: str) -> config.Settings:
    return config.load_settings(PAPER, overrides)


def instrument(
    index: int = 0, symbol: str = "KO", multiplier: object = 1, lot: object = 1, currency: str = "USD"
) -> Instrument:
    return Instrument(index, symbol, 1000 + index, "STK", "XNYS", currency, d(multiplier), d("0.01"), d(lot))


def resolved(*instruments: Instrument) -> InstrumentsResolved:
    return InstrumentsResolved(instruments)


def quote(*rows: tuple[int, float, float]) -> MarketData:
    table = np.array([(i, bid, ask, 100, 100) for i, bid, ask in rows], dtype=QUOTE)
    return market_data(table)


def history(closes: np.ndarray) -> HistoryLoaded:
    times = tuple(range(1, len(closes) + 1))
    return HistoryLoaded(times, closes.shape[1], np.ascontiguousarray(closes, "<f8").tobytes())


def proposed(instrument: int, side: Side, quantity: object, price: object = 100) -> Proposed:
    return Proposed(instrument, side, d(quantity), d(price))


def approved(instrument: int, side: Side, quantity: object, price: object = 100) -> Approved:
    return Approved(instrument, side, d(quantity), d(price))


def filled(
    child_seq: int,
    exec_id: str,
    side: Side,
    quantity: object,
    price: object = 100,
    revision: int = 1,
    instrument: int = 0,
) -> OrderFilled:
    return OrderFilled(child_seq, exec_id, revision, instrument, side, d(quantity), d(price), "XNYS")


def submitted(order_seq: int, quantity: object, side: Side = BUY, price: object = 100) -> OrderSubmitted:
    child = Child(0, 1000, side, d(quantity), OrderType.LIMIT, d(price), TimeInForce.DAY)
    return OrderSubmitted(order_seq, "limit", child)
