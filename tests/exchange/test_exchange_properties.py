"""The exchange under any sequence of frames and orders of every kind, beside a naive model.

The model adds up fills, remembers what was shown and printed, and holds every fill against it.
"""

import random
from decimal import Decimal

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from firm.domain.order import OrderType, Side, TimeInForce
from firm.exchange import (
    ExchangeState,
    OrderAccepted,
    OrderCancelled,
    OrderElected,
    OrderExpired,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderTicket,
    Special,
    TieredFees,
    Trail,
)
from firm.exchange.orders import Algo
from tests.exchange.worlds import CASH, CLOSE_1, CLOSE_2, OPEN_1, OPEN_2, exchange, frame

START = OPEN_1 - 10
CENTS = st.integers(9_940, 10_060)
SIZES = st.integers(0, 40)
QUANTITIES = st.integers(1, 60)
MOMENTS = st.integers(1, 60)
SOME_TRAILS = (
    Trail(Decimal("0.05"), None, None),
    Trail(None, Decimal("0.1"), None),
    Trail(Decimal("0.08"), None, Decimal("0.02")),
)
SOME_ALGOS = tuple(
    Algo(name, None, None, past_end=False, volume_max=most, patience_ns=20)
    for name in ("Twap", "Vwap", "Adaptive")
    for most in (None, Decimal("0.1"))
)
TRAILS = st.sampled_from(SOME_TRAILS)
ALGOS = st.sampled_from(SOME_ALGOS)


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
        self.elected: set[int] = set()
        self.shown = self.at_close = [Shown(), Shown()]
        self.print_left = Decimal(0)
        self.print_price = Decimal(0)
        self.accepted: dict[int, int] = {}
        self.asked: dict[int, Decimal] = {}

    def tick(self, gap: int) -> int:
        """A little later; now and then straight across the night."""
        before = self.at
        self.at += gap
        if before < CLOSE_1 <= self.at < OPEN_2:
            self.at = OPEN_2 - 5
        for close in (CLOSE_1, CLOSE_2):
            if before < close <= self.at:
                self.at_close, self.shown = self.shown, [Shown(), Shown()]
        return self.at

    def learn(self, events: list) -> None:
        for event in events:
            match event:
                case OrderFilled():
                    self.check(event)
                case OrderAccepted(perm_id=perm_id, at=at):
                    self.live.add(perm_id)
                    self.accepted[perm_id] = at
                case OrderElected(perm_id=perm_id, limit_price=limit_price):
                    self.check_election(self.tickets[perm_id])
                    self.tickets[perm_id] = msgspec.structs.replace(
                        self.tickets[perm_id], limit_price=limit_price
                    )
                    self.elected.add(perm_id)
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
        if fill.at in {CLOSE_1, CLOSE_2}:
            shown = self.at_close[fill.instrument]
        limit = self.tickets[fill.perm_id].limit_price
        assert limit is None or (limit - fill.price) * sign >= 0
        if fill.removed_liquidity:
            assert fill.price == shown.price[fill.side]
            shown.left[fill.side] -= fill.quantity
            assert shown.left[fill.side] >= 0
        else:
            algo = self.tickets[fill.perm_id].special.algo
            if algo is not None and algo.name == "Adaptive":
                near = shown.price[Side.SELL if fill.side is Side.BUY else Side.BUY]
                limit = near if limit is None else limit
            assert limit is not None
            assert (limit - self.print_price) * sign >= 0
            assert not shown.size[fill.side] or (shown.price[fill.side] - fill.price) * sign >= 0
            self.print_left -= fill.quantity
            assert self.print_left >= 0
        self.fills.append(fill)
        done = sum(f.quantity for f in self.fills if f.perm_id == fill.perm_id)
        assert fill.cumulative == done
        assert fill.leaves == self.tickets[fill.perm_id].quantity - done
        self.check_terms(fill)
        if not fill.leaves:
            self.live.remove(fill.perm_id)

    def check_election(self, ticket: OrderTicket) -> None:
        """A stop is elected by a quote or a print at or through it."""
        stop, sign = ticket.special.stop, ticket.side.sign
        if stop is None:
            return
        near = self.shown[ticket.instrument].price[Side.SELL if ticket.side is Side.BUY else Side.BUY]
        assert (near and (near - stop) * sign >= 0) or (self.print_price - stop) * sign >= 0

    def check_terms(self, fill: OrderFilled) -> None:
        """What the special terms of the order allow."""
        special = self.tickets[fill.perm_id].special
        if special.stop is not None or special.trail is not None:
            assert fill.perm_id in self.elected
        if special.all_at_once:
            assert fill.quantity == self.tickets[fill.perm_id].quantity
        if special.good_till is not None:
            assert fill.at < special.good_till
        if special.good_after is not None:
            assert fill.at >= special.good_after
        if special.auction == "close":
            assert fill.at in {CLOSE_1, CLOSE_2}
        else:
            assert fill.at not in {CLOSE_1, CLOSE_2}
        if special.parent:
            assert special.parent not in self.live
            assert any(f.perm_id == special.parent for f in self.fills)
        if special.oca_group:
            self.check_group(special)
        if special.algo is not None and special.algo.name == "Twap":
            close = CLOSE_1 if fill.at < CLOSE_1 else CLOSE_2
            began = max(self.accepted[fill.perm_id], OPEN_1 if fill.at < CLOSE_1 else 0)
            if began >= OPEN_1:
                share = Decimal(fill.at - began) / (close - began)
                assert (
                    fill.cumulative <= self.asked[fill.perm_id] * share / Decimal("0.95")
                    or began < OPEN_2 <= fill.at
                )

    def check_group(self, special: Special) -> None:
        members = [p for p, t in self.tickets.items() if t.special.oca_group == special.oca_group]
        filled = {p: sum(f.quantity for f in self.fills if f.perm_id == p) for p in members}
        if special.oca_type == 1:
            assert sum(bool(done) for done in filled.values()) <= 1
        assert sum(Decimal(done) / self.asked[p] for p, done in filled.items()) <= 1

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
        self.send(instrument, side, quantity, cents, tif, Special())

    @rule(
        instrument=st.integers(0, 1),
        side=st.sampled_from(Side),
        quantity=QUANTITIES,
        cents=st.none() | CENTS,
        kind=st.sampled_from(["stop", "trail", "fok", "gtd", "gat", "open", "close", "iceberg", "algo"]),
        stop=CENTS,
        trail=TRAILS,
        algo=ALGOS,
        moments=MOMENTS,
    )
    def submit_special(
        self,
        instrument: int,
        side: Side,
        quantity: int,
        cents: int | None,
        kind: str,
        stop: int,
        trail: Trail,
        algo: Algo,
        moments: int,
    ) -> None:
        later = self.at + moments
        special, tif = {
            "stop": (Special(stop=Decimal(stop) / 100), TimeInForce.GTC),
            "trail": (Special(trail=trail), TimeInForce.DAY),
            "fok": (Special(all_at_once=True), TimeInForce.IOC),
            "gtd": (Special(good_till=later), TimeInForce.GTC),
            "gat": (Special(good_after=later), TimeInForce.DAY),
            "open": (Special(auction="open"), TimeInForce.DAY),
            "close": (Special(auction="close"), TimeInForce.DAY),
            "iceberg": (Special(display=Decimal(moments)), TimeInForce.GTC),
            "algo": (Special(algo=algo), TimeInForce.DAY),
        }[kind]
        market = cents is None or kind == "trail"
        self.send(instrument, side, quantity, None if market else cents, tif, special)

    @rule(
        side=st.sampled_from(Side),
        quantity=QUANTITIES,
        cents=CENTS,
        group=st.sampled_from(["a", "b", "c"]),
        instrument=st.integers(0, 1),
    )
    def submit_grouped(self, side: Side, quantity: int, cents: int, group: str, instrument: int) -> None:
        special = Special(oca_group=group, oca_type={"a": 1, "b": 2, "c": 3}[group])
        known = [t for t in self.tickets.values() if t.special.oca_group == group]
        filled = {f.perm_id for f in self.fills}
        if not any(p in filled for p, t in self.tickets.items() if t in known):
            self.send(instrument, side, quantity, cents, TimeInForce.GTC, special)

    @rule(choice=st.integers(0, 100), quantity=QUANTITIES, cents=CENTS, stop=CENTS)
    def submit_bracket(self, choice: int, quantity: int, cents: int, stop: int) -> None:
        """Two children for a living order."""
        if self.live:
            parent = sorted(self.live)[choice % len(self.live)]
            ticket = self.tickets[parent]
            side = Side.SELL if ticket.side is Side.BUY else Side.BUY
            profit, loss = Special(parent=parent), Special(parent=parent, stop=Decimal(stop) / 100)
            self.send(ticket.instrument, side, quantity, cents, TimeInForce.GTC, profit)
            if parent in self.live:
                self.send(ticket.instrument, side, quantity, None, TimeInForce.GTC, loss)

    def send(
        self,
        instrument: int,
        side: Side,
        quantity: int,
        cents: int | None,
        tif: TimeInForce,
        special: Special,
    ) -> None:
        kind = OrderType.MARKET if cents is None else OrderType.LIMIT
        price = None if cents is None else Decimal(cents) / 100
        ref = f"{len(self.tickets)}"
        ticket = OrderTicket(instrument, side, Decimal(quantity), kind, price, tif, ref, special)
        at = self.tick(1)
        events = self.exchange.submit(ticket, at)
        named = next(e for e in events if isinstance(e, OrderAccepted | OrderRejected) and e.ref == ref)
        self.tickets[named.perm_id] = ticket
        self.asked[named.perm_id] = ticket.quantity
        self.learn(events)

    @rule(choice=st.integers(0, 100), quantity=QUANTITIES, cents=CENTS)
    def modify(self, choice: int, quantity: int, cents: int) -> None:
        if self.tickets:
            perm_id = sorted(self.tickets)[choice % len(self.tickets)]
            if self.tickets[perm_id].special.oca_group:
                return
            self.asked[perm_id] = max(self.asked[perm_id], Decimal(quantity))
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


class Walk:
    """A long random walk through the same machine, its orders close enough to the market to trade."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.machine = ExchangeAgainstModel()
        self.machine.begin()
        self.middle = 10_000

    def step(self) -> None:
        dice, machine = self.dice, self.machine
        near = self.middle + dice.randrange(-12, 13)
        order = {
            "instrument": dice.randrange(2),
            "side": dice.choice(list(Side)),
            "quantity": dice.randrange(1, 40),
            "cents": near,
        }
        match dice.randrange(12):
            case 0 | 1 | 2:
                self.middle += dice.randrange(-4, 5)
                bid, sizes = self.middle - dice.randrange(1, 5), (dice.randrange(30), dice.randrange(30))
                machine.quote(
                    instrument=order["instrument"], bid=bid, spread=dice.randrange(1, 8), sizes=sizes
                )
            case 3 | 4:
                machine.print_(instrument=order["instrument"], cents=near, size=dice.randrange(60))
            case 5:
                machine.submit(
                    **{**order, "cents": dice.choice([None, near])}, tif=dice.choice(list(TimeInForce))
                )
            case 6 | 7:
                machine.submit_special(
                    **{**order, "cents": dice.choice([None, near])},
                    kind=dice.choice(
                        ["stop", "trail", "fok", "gtd", "gat", "open", "close", "iceberg", "algo"]
                    ),
                    stop=self.middle + dice.randrange(-20, 21),
                    trail=dice.choice(SOME_TRAILS),
                    algo=dice.choice(SOME_ALGOS),
                    moments=dice.randrange(1, 60),
                )
            case 8:
                machine.submit_grouped(**order, group=dice.choice("abc"))
            case 9:
                stop = self.middle + dice.randrange(-20, 21)
                machine.submit_bracket(choice=dice.randrange(100), quantity=5, cents=near, stop=stop)
            case 10:
                machine.modify(choice=dice.randrange(100), quantity=dice.randrange(1, 50), cents=near)
            case _:
                dice.choice([lambda: machine.cancel(choice=dice.randrange(100)), machine.crash_and_restore])()
        machine.fills_add_up()


@pytest.mark.parametrize("seed", range(20))
def test_a_long_walk_among_orders_of_every_kind_keeps_every_rule(seed: int):
    print(f"seed {seed}")
    walk = Walk(seed)
    for turn in range(400):
        walk.step()
        if turn == 250:
            walk.machine.time_passes(gap=CLOSE_1 - walk.machine.at)
            walk.machine.time_passes(gap=OPEN_2 - walk.machine.at)
    walk.machine.commissions_are_those_of_whole_orders()

    assert len(walk.machine.fills) > 50
