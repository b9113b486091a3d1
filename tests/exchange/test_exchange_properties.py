"""The exchange under any sequence of frames and orders, beside a naive model that only adds up fills."""

from decimal import Decimal

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from firm.domain.order import OrderType, Side, TimeInForce
from firm.exchange import (
    ExchangeState,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderTicket,
    TieredFees,
)
from tests.exchange.worlds import CASH, CLOSE_1, CLOSE_2, OPEN_1, OPEN_2, exchange, frame

START = OPEN_1 - 10
CENTS = st.integers(9_000, 11_000)
SIZES = st.integers(0, 40)
QUANTITIES = st.integers(1, 60)


class Shown:
    """The naive model of one instrument's quote: prices, and what is left of the sizes."""

    def __init__(self) -> None:
        self.price = {Side.BUY: Decimal(0), Side.SELL: Decimal(0)}
        self.size = {Side.BUY: Decimal(0), Side.SELL: Decimal(0)}
        self.left = dict(self.size)


class ExchangeAgainstModel(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.exchange = exchange(fees=TieredFees(), leverage=2)
        self.at = START
        self.exchange.advance_to(self.at)
        self.fills: list[OrderFilled] = []
        self.tickets: dict[int, OrderTicket] = {}
        self.live: set[int] = set()
        self.shown = [Shown(), Shown()]
        self.print_left = Decimal(0)
        self.print_price = Decimal(0)

    def tick(self, gap: int) -> int:
        """A little later; now and then straight across the night."""
        before = self.at
        self.at += gap
        if before < CLOSE_1 <= self.at < OPEN_2:
            self.at = OPEN_2 - 5
        for close in (CLOSE_1, CLOSE_2):
            if before < close <= self.at:
                self.shown = [Shown(), Shown()]
        return self.at

    def learn(self, events: list) -> None:
        for event in events:
            match event:
                case OrderFilled():
                    self.check(event)
                case OrderAccepted(perm_id=perm_id):
                    self.live.add(perm_id)
                case OrderCancelled(perm_id=perm_id) | OrderExpired(perm_id=perm_id):
                    self.live.remove(perm_id)
                case OrderModified(perm_id=perm_id, quantity=quantity, limit_price=limit_price):
                    self.tickets[perm_id] = msgspec.structs.replace(
                        self.tickets[perm_id], quantity=quantity, limit_price=limit_price
                    )
                case _:
                    pass

    def check(self, fill: OrderFilled) -> None:
        """Never worse than touch or limit, never more than was shown or printed."""
        shown, sign = self.shown[fill.instrument], fill.side.sign
        limit = self.tickets[fill.perm_id].limit_price
        assert limit is None or (limit - fill.price) * sign >= 0
        if fill.removed_liquidity:
            assert fill.price == shown.price[fill.side]
            shown.left[fill.side] -= fill.quantity
            assert shown.left[fill.side] >= 0
        else:
            assert limit is not None
            assert (limit - self.print_price) * sign > 0
            assert not shown.size[fill.side] or (shown.price[fill.side] - fill.price) * sign >= 0
            self.print_left -= fill.quantity
            assert self.print_left >= 0
        self.fills.append(fill)
        done = sum(f.quantity for f in self.fills if f.perm_id == fill.perm_id)
        assert fill.cumulative == done
        assert fill.leaves == self.tickets[fill.perm_id].quantity - done
        if not fill.leaves:
            self.live.remove(fill.perm_id)

    @rule(instrument=st.integers(0, 1), bid=CENTS, spread=st.integers(1, 50), sizes=st.tuples(SIZES, SIZES))
    def quote(self, instrument: int, bid: int, spread: int, sizes: tuple[int, int]) -> None:
        at = self.tick(1)
        ask = bid + spread
        self.shown[instrument].price = {Side.BUY: Decimal(ask) / 100, Side.SELL: Decimal(bid) / 100}
        self.shown[instrument].size = {Side.BUY: Decimal(sizes[1]), Side.SELL: Decimal(sizes[0])}
        self.shown[instrument].left = dict(self.shown[instrument].size)
        quoted = (instrument, bid / 100, ask / 100, float(sizes[0]), float(sizes[1]))
        self.learn(self.exchange.advance(frame(at, quoted)))

    @rule(instrument=st.integers(0, 1), cents=CENTS, size=SIZES)
    def print_(self, instrument: int, cents: int, size: int) -> None:
        at = self.tick(1)
        self.print_left, self.print_price = Decimal(size), Decimal(cents) / 100
        self.learn(self.exchange.advance(frame(at, prints=((instrument, cents / 100, float(size)),))))

    @rule(gap=st.sampled_from([1, 5, CLOSE_1 - OPEN_1, OPEN_2 - OPEN_1]))
    def time_passes(self, gap: int) -> None:
        self.learn(self.exchange.advance_to(self.tick(gap)))

    @rule(
        instrument=st.integers(0, 1),
        side=st.sampled_from(Side),
        quantity=QUANTITIES,
        cents=st.none() | CENTS,
        tif=st.sampled_from(TimeInForce),
    )
    def submit(self, instrument: int, side: Side, quantity: int, cents: int | None, tif: TimeInForce) -> None:
        kind = OrderType.MARKET if cents is None else OrderType.LIMIT
        price = None if cents is None else Decimal(cents) / 100
        ticket = OrderTicket(instrument, side, Decimal(quantity), kind, price, tif, f"{len(self.tickets)}")
        at = self.tick(1)
        events = self.exchange.submit(ticket, at)
        named = next(e for e in events if isinstance(e, OrderAccepted | OrderRejected))
        self.tickets[named.perm_id] = ticket
        self.learn(events)

    @rule(choice=st.integers(0, 100), quantity=QUANTITIES, cents=CENTS)
    def modify(self, choice: int, quantity: int, cents: int) -> None:
        if self.tickets:
            perm_id = sorted(self.tickets)[choice % len(self.tickets)]
            price = Decimal(cents) / 100 if self.tickets[perm_id].limit_price else None
            self.learn(self.exchange.modify(perm_id, Decimal(quantity), price, self.tick(1)))

    @rule(choice=st.integers(0, 100))
    def cancel(self, choice: int) -> None:
        if self.tickets:
            perm_id = sorted(self.tickets)[choice % len(self.tickets)]
            self.learn(self.exchange.cancel(perm_id, self.tick(1)))

    @rule()
    def crash_and_restore(self) -> None:
        stored = msgspec.msgpack.encode(self.exchange.state())
        self.exchange = exchange(fees=TieredFees(), leverage=2)
        self.exchange.restore(msgspec.msgpack.decode(stored, type=ExchangeState))

    @invariant()
    def fills_add_up(self) -> None:
        if not hasattr(self, "exchange"):
            return
        for instrument in (0, 1):
            held = sum(f.quantity * f.side.sign for f in self.fills if f.instrument == instrument)
            assert self.exchange.account.positions[instrument].quantity == held
        spent = sum(f.quantity * f.side.sign * f.price for f in self.fills)
        fees = sum(f.commission for f in self.fills)
        assert self.exchange.account.cash == CASH - spent - fees
        assert self.exchange.account.commissions == fees
        assert {o.perm_id for o in self.exchange.orders()} == self.live
        assert len({f.exec_id for f in self.fills}) == len(self.fills)

    @invariant()
    def commissions_are_those_of_whole_orders(self) -> None:
        if not hasattr(self, "exchange"):
            return
        for perm_id in {f.perm_id for f in self.fills}:
            mine = [f for f in self.fills if f.perm_id == perm_id]
            value = sum((f.quantity * f.price for f in mine), start=Decimal(0))
            total = TieredFees().total(mine[-1].cumulative, value)
            assert sum(f.commission for f in mine) == total


ExchangeAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestExchangeAgainstModel = ExchangeAgainstModel.TestCase
