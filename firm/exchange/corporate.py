"""What happens to positions without trading: dividends, splits, and the end of futures and options.

Assumptions: dividends are paid at once and without tax; a split cancels the orders of its instrument and pays
the fraction of a share at the mark; futures settle in cash; options are exercised if they are in the money by
anything at all, into the instrument they are written on if there is one, else in cash.
"""

from decimal import Decimal

from firm.domain.order import Side
from firm.domain.position import ZERO, Position
from firm.exchange.exchange import Exchange
from firm.exchange.reports import ExchangeEvent


def pay_dividend(exchange: Exchange, instrument: int, amount: Decimal) -> Decimal:
    """Pay `amount` for each share held (a short position pays it); what the account got."""
    paid = exchange.account.positions[instrument].quantity * amount
    exchange.account.receive(paid, exchange.instruments[instrument].currency)
    return paid


def split(exchange: Exchange, instrument: int, new: int, old: int) -> list[ExchangeEvent]:
    """`new` shares for every `old`; cost and value of the position stay, but for the fraction paid out."""
    events = _cancel_all(exchange, instrument)
    account, lot = exchange.account, exchange.instruments[instrument].lot_size
    mark = exchange.book.mark(instrument)
    before = account.positions[instrument]
    exact = before.quantity * new / old
    whole = exchange.instruments[instrument].round_quantity(exact)
    exchange.book.rescale(instrument, old / new)
    if whole != exact and mark is not None and lot:
        price = mark * old / new
        traits = exchange.instruments[instrument]
        account.receive((exact - whole) * price * traits.multiplier, traits.currency)
    account.positions[instrument] = Position(whole, before.average_price * old / new, before.realized_pnl)
    return events


def settle(exchange: Exchange, instrument: int, price: Decimal) -> list[ExchangeEvent]:
    """The contract ends: its orders are cancelled and its position is closed at `price`, free of charge."""
    events = _cancel_all(exchange, instrument)
    held = exchange.account.positions[instrument].quantity
    if held:
        side = Side.SELL if held > 0 else Side.BUY
        exchange.account.enter(instrument, side, abs(held), price, ZERO)
    return events


def exercise(exchange: Exchange, instrument: int) -> list[ExchangeEvent]:
    """An option ends: out of the money it is worthless, in the money it is exercised or assigned."""
    option = exchange.instruments[instrument]
    held = exchange.account.positions[instrument].quantity
    spot = exchange.book.mark(option.underlying) if option.underlying >= 0 else None
    if spot is None:
        return settle(exchange, instrument, ZERO)
    sign = 1 if option.right == "C" else -1
    worth = max(ZERO, (spot - option.strike) * sign)
    delivers = exchange.instruments[option.underlying].sec_type == "STK"
    if not delivers or not worth:
        return settle(exchange, instrument, worth)
    events = settle(exchange, instrument, ZERO)
    shares = held * option.multiplier * sign
    if shares:
        side = Side.BUY if shares > 0 else Side.SELL
        exchange.account.enter(option.underlying, side, abs(shares), option.strike, ZERO)
    return events


def _cancel_all(exchange: Exchange, instrument: int) -> list[ExchangeEvent]:
    events: list[ExchangeEvent] = []
    for order in exchange.orders():
        if order.ticket.instrument == instrument and exchange.order(order.perm_id) is not None:
            events += exchange.cancel(order.perm_id, exchange.at)
    return events
