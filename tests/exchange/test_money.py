"""Several currencies, futures that settle every day, halts and the opening cross."""

from decimal import Decimal

import msgspec
import pytest

from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.errors import DataError
from firm.exchange import (
    Exchange,
    ExchangeState,
    MarginRules,
    Money,
    OrderFilled,
    OrderRejected,
    TieredFees,
)
from firm.exchange.corporate import pay_dividend, settle
from firm.exchange.exchange import FIRST_PERM_ID
from firm.exchange.orders import OrderTicket
from tests.exchange.worlds import (
    CLOSE_1,
    FREE,
    OPEN_1,
    OPEN_2,
    SESSIONS,
    exchange,
    fills,
    frame,
    kinds,
    limit,
    market,
    opened,
    special,
    stock,
)

D = Decimal
RULES = MarginRules(D(4), shorts_allowed=True)
COSTS = TieredFees(D(0), D(0), D(1), D("0.001"))
QUOTES = (
    (0, 49.0, 51.0, 500.0, 500.0),
    (1, 1.0999, 1.1001, 1_000_000.0, 1_000_000.0),
    (2, 4000.0, 4000.5, 10.0, 10.0),
)


def instruments() -> list[Instrument]:
    """A stock in euros, the pair, and a future in dollars."""
    euro = msgspec.structs.replace(stock(0, "SAP"), currency="EUR")
    pair = Instrument(1, "EUR.USD", 7, "CASH", "IDEALPRO", "USD", D(1), D("0.0001"), D(1))
    future = Instrument(2, "ESH4", 8, "FUT", "CME", "USD", D(50), D("0.25"), D(1), "20240315")
    return [euro, pair, future]


def world(
    *, cash: int = 100_000, fees: TieredFees = COSTS, money: Money | None = None, rules: MarginRules = RULES
) -> Exchange:
    money = money or Money("USD", (("EUR", D(10_000)),))
    x = Exchange(instruments(), D(cash), "DU1", SESSIONS, fees, rules, [50.0, 1.1, 4000.0], money=money)
    x.advance(frame(OPEN_1, *QUOTES))
    return x


def order(instrument: int, side: Side, quantity: int) -> OrderTicket:
    return msgspec.structs.replace(market(side, quantity), instrument=instrument)


def test_a_stock_in_euros_is_paid_in_euros_and_valued_in_dollars():
    x = world()

    x.submit(order(0, Side.BUY, 100), OPEN_1 + 1)

    assert x.account.purses["EUR"].cash == 10_000 - 5_100 - D("5.1")
    assert x.account.purses["USD"].cash == 100_000
    assert x.account.cash == 100_000 + D("4894.9") * D("1.1")
    assert x.account.equity == x.account.cash + 100 * 50 * D("1.1")
    assert x.account.gross == 5_000 * D("1.1")


def test_cash_can_be_borrowed_in_a_currency_as_long_as_the_margin_in_base_allows_it():
    x = world(cash=1_000, money=Money("USD", ()), fees=FREE)

    taken = x.submit(order(0, Side.BUY, 70), OPEN_1 + 1)
    refused = x.submit(order(0, Side.BUY, 10), OPEN_1 + 2)

    assert kinds(taken) == ["OrderAccepted", "OrderFilled"]
    assert x.account.purses["EUR"].cash == -3_570
    (rejected,) = refused
    assert isinstance(rejected, OrderRejected)
    assert "would be 4400.00 USD, the limit is 3692.00 USD" in rejected.reason


def test_buying_a_pair_moves_money_between_currencies_and_makes_no_wealth():
    x = world(fees=FREE)
    before = x.account.equity

    x.submit(order(1, Side.BUY, 20_000), OPEN_1 + 1)

    assert x.account.purses["EUR"].cash == 30_000
    assert x.account.purses["USD"].cash == 100_000 - 20_000 * D("1.1001")
    assert x.account.positions[1].quantity == 20_000
    assert before - x.account.equity == 20_000 * D("0.0001")
    assert x.account.gross == 20_000 * D("1.1")


def test_money_and_futures_are_sold_without_being_borrowed():
    x = world(fees=FREE, rules=MarginRules(D(4), shorts_allowed=False))

    assert kinds(x.submit(order(1, Side.SELL, 5_000), OPEN_1 + 1)) == ["OrderAccepted", "OrderFilled"]
    assert kinds(x.submit(order(2, Side.SELL, 1), OPEN_1 + 2)) == ["OrderAccepted", "OrderFilled"]
    assert kinds(x.submit(order(0, Side.SELL, 1), OPEN_1 + 3)) == ["OrderRejected"]


def test_the_base_may_be_the_other_currency_of_the_pair():
    x = world(money=Money("EUR", (("USD", D(11_000)),)))

    assert x.account.rates.of("USD") == 1 / D("1.1")
    assert x.account.cash == D(100_000) + D(11_000) * (1 / D("1.1"))


def test_a_currency_nobody_quotes_needs_a_rate():
    francs = [msgspec.structs.replace(stock(0, "NESN"), currency="CHF")]

    def account(money: Money) -> Exchange:
        return Exchange(francs, D(1000), "DU1", SESSIONS, FREE, RULES, [100.0], money=money)

    with pytest.raises(DataError, match="no rate is known from CHF to USD"):
        account(Money())
    fixed = account(Money("USD", (("CHF", D(10)),), (("CHF", D("1.25")),)))
    assert fixed.account.cash == 1000 + D("12.50")


def test_a_dividend_is_income_in_its_own_currency():
    x = world(fees=FREE)
    x.submit(order(0, Side.BUY, 10), OPEN_1 + 1)

    pay_dividend(x, 0, D("1.5"))

    assert x.account.purses["EUR"].income == 15
    assert x.account.purses["EUR"].cash == 10_000 - 510 + 15


def test_a_future_is_not_paid_for_and_settles_into_cash_every_day():
    x = world(fees=FREE)
    x.submit(order(2, Side.BUY, 2), OPEN_1 + 1)
    bought = x.account.purses["USD"].cash
    x.advance(frame(OPEN_1 + 2, (2, 4009.75, 4010.25, 10.0, 10.0)))
    gained = x.account.purses["USD"].cash, x.account.open_gain(2)
    x.advance_to(CLOSE_1)
    settled = x.account.purses["USD"].cash, x.account.open_gain(2)
    x.advance(frame(OPEN_2, (2, 4004.75, 4005.25, 10.0, 10.0)))
    x.submit(order(2, Side.SELL, 2), OPEN_2 + 1)

    assert bought == 100_000
    assert gained == (100_000, 2 * 50 * D("9.5"))
    assert settled == (100_950, 0)
    assert x.account.purses["USD"].cash == 100_000 + 2 * 50 * D("4.25")
    assert x.account.positions[2].realized_pnl == 2 * 50 * D("4.25")
    assert x.account.settled[2].quantity == 0


def test_the_last_settlement_of_a_future_pays_what_the_daily_ones_have_not():
    x = world(fees=FREE)
    x.submit(order(2, Side.SELL, 1), OPEN_1 + 1)
    x.advance(frame(OPEN_1 + 2, (2, 3989.75, 3990.25, 10.0, 10.0)))
    x.advance_to(CLOSE_1)

    settle(x, 2, D(3980))

    assert x.account.purses["USD"].cash == 100_000 + 50 * 20
    assert x.account.equity == x.account.cash


def test_purses_and_settlements_survive_a_restart():
    x = world()
    x.submit(order(0, Side.BUY, 10), OPEN_1 + 1)
    x.submit(order(2, Side.BUY, 1), OPEN_1 + 2)
    x.halt(0, on=True)
    y = world()
    y.restore(msgspec.json.decode(msgspec.json.encode(x.state()), type=ExchangeState))

    for one in (x, y):
        one.advance(frame(OPEN_1 + 3, (2, 4010.0, 4010.5, 10.0, 10.0)))
        one.advance_to(CLOSE_1)
    assert y.state() == x.state()
    assert y.book.halted == {0}


def test_nothing_trades_in_a_halted_instrument_until_it_goes_on():
    x = exchange()
    x.advance(frame(OPEN_1, (0, 99.0, 101.0, 50.0, 60.0)))
    x.submit(limit(Side.BUY, 10, "98"), OPEN_1 + 1)
    x.submit(special(market(Side.SELL, 10, ref="stop"), stop=D(97)), OPEN_1 + 2)

    assert x.halt(0, on=True) == []
    assert kinds(x.submit(market(Side.BUY, 5), OPEN_1 + 3)) == ["OrderAccepted"]
    assert x.advance(frame(OPEN_1 + 4, (0, 95.0, 96.0, 50.0, 60.0), prints=((0, 95.0, 100.0),))) == []
    assert x.cancel(FIRST_PERM_ID, OPEN_1 + 5)[0].perm_id == FIRST_PERM_ID
    resumed = x.halt(0, on=False)

    assert kinds(resumed) == ["OrderElected", "OrderFilled", "OrderFilled"]
    assert fills(resumed) == [("m", 5, 96), ("stop", 10, 95)]


def test_an_order_for_the_opening_waits_for_the_end_of_a_halt():
    x = exchange()
    x.submit(special(market(Side.BUY, 5), auction="open"), OPEN_1 - 5)
    x.halt(0, on=True)

    assert x.advance(frame(OPEN_1, (0, 99.0, 101.0, 50.0, 60.0))) == []
    assert fills(x.halt(0, on=False)) == [("m", 5, 101)]


def test_orders_for_the_opening_meet_the_opening_print_and_then_the_quote():
    x = exchange()
    x.submit(special(market(Side.BUY, 50), auction="open"), OPEN_1 - 5)
    x.submit(special(limit(Side.BUY, 10, "100.2"), auction="open"), OPEN_1 - 4)

    events = x.advance(frame(OPEN_1, (0, 99.0, 101.0, 50.0, 60.0), prints=((0, 100.5, 30.0),)))

    assert fills(events) == [("m", 30, D("100.5")), ("m", 20, 101)]
    assert [e.removed_liquidity for e in events if isinstance(e, OrderFilled)] == [False, True]
    assert kinds(events)[-1] == "OrderCancelled"


def test_an_opening_print_worse_than_the_quote_is_not_taken():
    x = exchange()
    x.submit(special(market(Side.BUY, 50), auction="open"), OPEN_1 - 5)

    events = x.advance(frame(OPEN_1, (0, 99.0, 101.0, 50.0, 60.0), prints=((0, 101.5, 30.0),)))

    assert fills(events) == [("m", 50, 101)]


def test_a_halt_leaves_other_instruments_alone():
    x = opened()
    x.halt(1, on=True)

    assert fills(x.submit(market(Side.BUY, 5), OPEN_1 + 1)) == [("m", 5, 101)]
