"""Several venues, currencies and a future under any sequence of quotes and orders: nothing is made or lost.

On every fill: the consolidated touch and the limit hold, the venue showed what it gave, and each currency's
cash is its deposit minus what was paid, plus what was settled.
"""

import random
from collections import defaultdict
from decimal import Decimal

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from firm.domain.order import OrderType, Side, TimeInForce
from firm.exchange import (
    Exchange,
    ExchangeEvent,
    ExchangeState,
    MarginRules,
    Money,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    OrderTicket,
    Special,
    TieredFees,
    Venue,
)
from tests.exchange.test_money import instruments
from tests.exchange.worlds import CLOSE_1, OPEN_1, OPEN_2, SESSIONS, frame, stock

D = Decimal
FEEDS = (Venue("NYSE", D("-0.002"), D("0.003"), D(0), 4), Venue("BATS", D("0.001"), D("0.0005"), D(0), 5))
SHARES = (
    Venue("XETRA", D(0), D("0.01"), D("0.7")),
    Venue("TRADEGATE", D("-0.01"), D("0.02"), D("0.3")),
)
DEPOSITS = {"USD": D(1_000_000), "EUR": D(50_000)}
PRICES = {0: 5_000, 1: 11_000, 2: 16_000, 4: 10_000, 5: 10_000}  # in ticks
TICKS = {0: D("0.01"), 1: D("0.0001"), 2: D("0.25"), 4: D("0.01"), 5: D("0.01")}
ROUTES = {0: ("", "XETRA", "TRADEGATE"), 1: ("",), 2: ("",), 3: ("", "NYSE", "BATS")}
CURRENCY = {0: "EUR", 1: "USD", 2: "USD", 3: "USD"}
MULTIPLIER = {0: 1, 1: 1, 2: 50, 3: 1}
SIZES = st.integers(0, 30)
Quote = tuple[Decimal, Decimal, Decimal, Decimal]
NONE: Quote = (D(0), D(0), D(0), D(0))


def world() -> Exchange:
    """A stock in euros at two venues that share a quote, a pair, a future, a stock whose venues quote."""
    traded = [*instruments(), stock(3, "AAA"), stock(4, "AAA@NYSE"), stock(5, "AAA@BATS")]
    money = Money("USD", (("EUR", DEPOSITS["EUR"]),))
    rules, fees = MarginRules(D(4), shorts_allowed=True), TieredFees(D("0.01"), D(1), D("0.01"), D("0.0001"))
    return Exchange(
        *(traded, DEPOSITS["USD"], "DU1", SESSIONS, fees, rules, [50.0, 1.1, 4000.0, 100.0, 100.0, 100.0]),
        venues={0: SHARES, 3: FEEDS},
        money=money,
    )


class MarketAgainstModel(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.exchange = world()
        self.at = OPEN_1
        self.exchange.advance_to(self.at)
        self.shown: dict[int, Quote] = defaultdict(lambda: NONE)
        self.left: dict[tuple[int, str, Side], Decimal] = {}
        self.tickets: dict[int, OrderTicket] = {}
        self.fills: list[OrderFilled] = []
        self.printed: tuple[Decimal, Decimal] = D(0), D(0)
        self.halted: set[int] = set()
        self.settled: dict[int, Decimal] = {}
        self.variation = D(0)

    def venues_of(self, instrument: int) -> list[tuple[str, Quote]]:
        """What each venue shows, by the rule in words: shares of the quote on the lot grid, or their own."""
        if instrument == 3:
            return [("NYSE", self.shown[4]), ("BATS", self.shown[5])]
        bid, ask, bids, asks = self.shown[instrument]
        if instrument != 0:
            return [("", self.shown[instrument])]
        small = [(size * 3 // 10) for size in (bids, asks)]
        return [
            ("XETRA", (bid, ask, bids - small[0], asks - small[1])),
            ("TRADEGATE", (bid, ask, small[0], small[1])),
        ]

    def touch(self, instrument: int, side: Side) -> Decimal | None:
        n = 1 if side is Side.BUY else 0
        prices = [quote[n] for _, quote in self.venues_of(instrument) if quote[n] and quote[n + 2]]
        return (min if side is Side.BUY else max)(prices) if prices else None

    def learn(self, events: list[ExchangeEvent]) -> None:
        for event in events:
            if isinstance(event, OrderFilled):
                self.check(event)

    def check(self, fill: OrderFilled) -> None:
        ticket, sign = self.tickets[fill.perm_id], fill.side.sign
        touch = self.touch(fill.instrument, fill.side)
        assert fill.instrument not in self.halted
        assert touch is None or (fill.price - touch) * sign <= 0
        assert ticket.limit_price is None or (fill.price - ticket.limit_price) * sign <= 0
        assert ticket.venue in {"", fill.venue}
        if fill.removed_liquidity:
            assert fill.price == touch
            self.left[fill.instrument, fill.venue, fill.side] -= fill.quantity
            assert self.left[fill.instrument, fill.venue, fill.side] >= 0
            cheaper = [
                (name, self.left[fill.instrument, name, fill.side])
                for name, taker in self.takers(fill.instrument)
                if taker < dict(self.takers(fill.instrument))[fill.venue]
                and self.at_touch(fill.instrument, name, fill.side)
            ]
            assert ticket.venue or all(not left for _, left in cheaper)
        else:
            price, size = self.printed
            assert (ticket.limit_price or price) * sign >= price * sign
            assert fill.quantity <= size
            self.printed = price, size - fill.quantity
        if fill.instrument == 2:
            self.settle_fill(fill)
        self.fills.append(fill)

    def takers(self, instrument: int) -> list[tuple[str, Decimal]]:
        venues = {0: SHARES, 3: FEEDS}.get(instrument, ())
        return [(v.name, v.taker) for v in venues] or [("", D(0))]

    def at_touch(self, instrument: int, name: str, side: Side) -> bool:
        quote = dict(self.venues_of(instrument))[name]
        n = 1 if side is Side.BUY else 0
        return bool(quote[n + 2]) and quote[n] == self.touch(instrument, side)

    def settle_fill(self, fill: OrderFilled) -> None:
        """The future's gains, lot by lot is not needed: its cash is price against settlement, summed."""
        self.variation -= fill.quantity * fill.side.sign * fill.price * 50

    @rule(
        column=st.sampled_from(sorted(PRICES)),
        bid=st.integers(-20, 20),
        spread=st.integers(1, 10),
        sizes=st.tuples(SIZES, SIZES),
    )
    def quote(self, column: int, bid: int, spread: int, sizes: tuple[int, int]) -> None:
        self.at += 1
        tick = TICKS[column]
        shown = ((PRICES[column] + bid) * tick, (PRICES[column] + bid + spread) * tick, *map(D, sizes))
        self.shown[column] = shown
        rows = [(column, *map(float, shown))]
        if column >= 4:
            rows.append((3, *map(float, self.consolidated())))
        self.replenish(column)
        self.printed = D(0), D(0)
        self.learn(self.exchange.advance(frame(self.at, *rows)))

    def consolidated(self) -> Quote:
        bid, ask = self.touch(3, Side.SELL) or D(0), self.touch(3, Side.BUY) or D(0)
        bids = sum((q[2] for _, q in self.venues_of(3) if q[0] == bid), start=D(0))
        asks = sum((q[3] for _, q in self.venues_of(3) if q[1] == ask), start=D(0))
        return bid, ask, bids if bid else D(0), asks if ask else D(0)

    def replenish(self, column: int) -> None:
        owner = 3 if column >= 4 else column
        names = {4: {"NYSE"}, 5: {"BATS"}}.get(column)
        for name, quote in self.venues_of(owner):
            if names is None or name in names:
                self.left[owner, name, Side.BUY], self.left[owner, name, Side.SELL] = quote[3], quote[2]

    @rule(instrument=st.sampled_from([0, 2, 3]), ticks=st.integers(-25, 25), size=SIZES)
    def print_(self, instrument: int, ticks: int, size: int) -> None:
        self.at += 1
        column = 4 if instrument == 3 else instrument
        price = (PRICES[column] + ticks) * TICKS[column]
        self.printed = price, D(size)
        self.learn(self.exchange.advance(frame(self.at, prints=((instrument, float(price), float(size)),))))

    @rule(
        instrument=st.integers(0, 3),
        side=st.sampled_from(Side),
        quantity=st.integers(1, 40),
        ticks=st.none() | st.integers(-25, 25),
        tif=st.sampled_from(TimeInForce),
        route=st.integers(0, 2),
        whole=st.booleans(),
    )
    def submit(
        self,
        instrument: int,
        side: Side,
        quantity: int,
        ticks: int | None,
        tif: TimeInForce,
        route: int,
        whole: bool,
    ) -> None:
        self.at += 1
        self.printed = D(0), D(0)
        column = 4 if instrument == 3 else instrument
        price = None if ticks is None else (PRICES[column] + ticks) * TICKS[column]
        kind = OrderType.MARKET if ticks is None else OrderType.LIMIT
        venue = ROUTES[instrument][route % len(ROUTES[instrument])]
        special = Special(all_at_once=whole and tif is TimeInForce.IOC)
        ref = str(len(self.tickets))
        ticket = OrderTicket(instrument, side, D(quantity), kind, price, tif, ref, special, venue)
        events = self.exchange.submit(ticket, self.at)
        named = next(e for e in events if isinstance(e, OrderAccepted | OrderRejected))
        self.tickets[named.perm_id] = ticket
        self.learn(events)
        if special.all_at_once:
            assert sum(f.quantity for f in self.fills if f.perm_id == named.perm_id) in {0, quantity}

    @rule(instrument=st.integers(0, 3), on=st.booleans())
    def halt(self, instrument: int, on: bool) -> None:
        self.printed = D(0), D(0)
        (self.halted.add if on else self.halted.discard)(instrument)
        self.learn(self.exchange.halt(instrument, on=on))

    @rule()
    def night(self) -> None:
        self.at = CLOSE_1 if self.at < CLOSE_1 else max(self.at, OPEN_2) + 1
        before = self.exchange.account.purses["USD"].cash
        gain = self.exchange.account.open_gain(2)
        self.learn(self.exchange.advance_to(self.at))
        if self.at == CLOSE_1:
            self.shown.clear()
            assert self.exchange.account.purses["USD"].cash == before + gain
            self.at = OPEN_2
            self.learn(self.exchange.advance_to(self.at))

    @rule()
    def crash_and_restore(self) -> None:
        state = self.exchange.state()
        self.exchange = world()
        self.exchange.restore(msgspec.json.decode(msgspec.json.encode(state), type=ExchangeState))
        assert self.exchange.state() == state

    @invariant()
    def each_currency_adds_up(self) -> None:
        account = self.exchange.account
        cash = dict(DEPOSITS)
        for f in self.fills:
            signed = f.quantity * f.side.sign
            cash[CURRENCY[f.instrument]] -= f.commission
            if f.instrument != 2:
                cash[CURRENCY[f.instrument]] -= signed * f.price * MULTIPLIER[f.instrument]
            if f.instrument == 1:
                cash["EUR"] += signed
        held = account.settled[2]
        cash["USD"] += self.variation + held.quantity * held.average_price * 50
        assert account.purses["EUR"].cash == cash["EUR"]
        assert abs(account.purses["USD"].cash - cash["USD"]) < D("1e-12")
        assert account.positions[2].quantity == held.quantity

    @invariant()
    def commissions_are_in_their_currency(self) -> None:
        for currency in ("USD", "EUR"):
            paid = sum((f.commission for f in self.fills if CURRENCY[f.instrument] == currency), start=D(0))
            assert self.exchange.account.purses[currency].commissions == paid


MarketAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestTheMarketAgainstTheModel = MarketAgainstModel.TestCase


@pytest.mark.parametrize("seed", range(5))
def test_a_long_walk_reaches_every_venue_and_instrument(seed: int):
    print(f"seed {seed}")
    dice, machine = random.Random(seed), MarketAgainstModel()
    machine.begin()
    for turn in range(400):
        if turn in {150, 300}:
            machine.night()
        match dice.randrange(8):
            case 0 | 1 | 2:
                sizes = dice.randrange(0, 30), dice.randrange(0, 30)
                column = dice.choice(sorted(PRICES))
                machine.quote(column=column, bid=dice.randrange(-20, 20), spread=3, sizes=sizes)
            case 3:
                machine.print_(
                    instrument=dice.choice([0, 2, 3]), ticks=dice.randrange(-25, 25), size=dice.randrange(30)
                )
            case 4 | 5 | 6:
                machine.submit(
                    instrument=dice.randrange(4),
                    side=dice.choice([*Side]),
                    quantity=dice.randrange(1, 40),
                    ticks=dice.choice([None, dice.randrange(-25, 25)]),
                    tif=dice.choice([*TimeInForce]),
                    route=dice.randrange(3),
                    whole=dice.random() < 0.3,
                )
            case _:
                if dice.random() < 0.3:
                    machine.halt(instrument=dice.randrange(4), on=dice.random() < 0.3)
        machine.each_currency_adds_up()
    machine.commissions_are_in_their_currency()

    assert {f.instrument for f in machine.fills} == {0, 1, 2, 3}
    assert {f.venue for f in machine.fills} == {"", "XETRA", "TRADEGATE", "NYSE", "BATS"}
    assert {f.removed_liquidity for f in machine.fills} == {True, False}
