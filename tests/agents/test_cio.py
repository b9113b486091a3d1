from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telling import entries, tell

from firm import config
from firm.agents.cio import Cio
from firm.domain.instrument import Instrument
from firm.domain.order import OrderType, Side, TimeInForce
from firm.events import Event
from firm.events.market import QUOTE, market_data
from firm.events.orders import (
    Approved,
    Child,
    ComplianceRefused,
    OrderApproved,
    OrderDone,
    OrderProposed,
    OrderSubmitted,
    Proposed,
)
from firm.events.risk import BookMarked, PositionChanged, RiskRunCompleted, RiskRunFailed, RiskRunRequested
from firm.events.scheduled import Occasion, ScheduledTick
from firm.events.signals import BarrierClosed, LateAnswer, Signal, View
from firm.events.system import (
    BrokerDisconnected,
    CycleAborted,
    CycleKind,
    CycleOpened,
    InstrumentsResolved,
    Reconciled,
    TradingHalted,
    TradingRearmed,
)

Answers: TypeAlias = dict[tuple[str, str], list[float]]

SYMBOLS = ("A", "B", "C")
PRICES = (100.0, 50.0, 20.0)
ZERO = Decimal(0)
SETTINGS = config.Cio(
    weights={"momentum": 1.0, "stat_arb": 1.0}, gross_target=1.0, max_weight=0.4, min_trade_usd=1000
)
REQUESTED = RiskRunRequested(b"", b"", b"", b"", 1, 6, 192, 1, 0.99, 0.975)
COMPLETED = RiskRunCompleted(3, 192, 1.0, 1.0, 1.0, ())
OPENED = CycleOpened(1, CycleKind.DECISION, 1)
DECIDE = ScheduledTick(Occasion.DECIDE)


def instrument(index: int, symbol: str, multiplier: int = 1):
    return Instrument(
        index, symbol, 100 + index, "STK", "SMART", "USD", Decimal(multiplier), Decimal("0.01"), Decimal(1)
    )


RESOLVED = InstrumentsResolved(tuple(instrument(i, symbol) for i, symbol in enumerate(SYMBOLS)))


def quotes(prices: tuple[float | None, ...] = PRICES):
    rows = [(i, p - 0.01, p + 0.01, 100, 100) for i, p in enumerate(prices) if p is not None]
    return market_data(np.array(rows, dtype=QUOTE))


def marked(*held: int, equity: int = 100_000):
    quantities = tuple(Decimal(q) for q in held or (0, 0, 0))
    return BookMarked(ZERO, Decimal(equity), ZERO, ZERO, ZERO, ZERO, ZERO, quantities, ())


def think(unit: str, *views: tuple[str, float], agent: str = "momentum"):
    directed = tuple(View(SYMBOLS.index(s), (c > 0) - (c < 0), abs(c)) for s, c in views)
    return Signal(agent, unit, directed, 5, "why")


def flat(unit: str, agent: str = "momentum"):
    return Signal(agent, unit, (), 5, "inside band")


def closed(answered: int = 3, missing: Sequence[tuple[str, str]] = ()):
    return BarrierClosed(answered + len(missing), answered, tuple(missing))


def a_cio(*known: Event, quorum: float = 0.5):
    cio = Cio(SETTINGS, quorum)
    assert tell(cio, RESOLVED, quotes(), *(known or (marked(),))) == []
    return cio


def cycle(
    cio: Cio,
    *signals: Signal,
    missing: Sequence[tuple[str, str]] = (),
    risk: Sequence[Event] = (REQUESTED, COMPLETED),
):
    return tell(cio, OPENED, DECIDE, *risk, *signals, closed(len(signals), missing))


def orders(said: list[Event]):
    return [
        (SYMBOLS[e.order.instrument], str(e.order.side), int(e.order.quantity), str(e.order.reference_price))
        for e in said
    ]


CONVINCED = think("A", ("A", 0.5)), think("B", ("B", -0.25)), flat("C")


def approved(seq: int, symbol: str, side: Side, quantity: int):
    order = Approved(SYMBOLS.index(symbol), side, Decimal(quantity), Decimal(1))
    return OrderApproved(seq, order)


def submitted(seq: int):
    child = Child(0, 100, Side.BUY, Decimal(1), OrderType.LIMIT, Decimal(1), TimeInForce.DAY)
    return OrderSubmitted(seq, "limit", child)


def test_conviction_becomes_weight_and_weight_becomes_lots():
    said = cycle(a_cio(), *CONVINCED)

    assert said == [
        OrderProposed(
            Proposed(0, Side.BUY, Decimal(400), Decimal("100.00")),
            "A: conviction +0.500 from momentum +0.500 (1); weight +0.4000 of equity 100000.00; "
            "target 400, held 0",
        ),
        OrderProposed(
            Proposed(1, Side.SELL, Decimal(500), Decimal("50.00")),
            "B: conviction -0.250 from momentum -0.250 (1); weight -0.2500 of equity 100000.00; "
            "target -500, held 0",
        ),
    ]


def test_much_conviction_is_scaled_to_the_gross_target():
    said = cycle(a_cio(), *(think(s, (s, 1.0)) for s in SYMBOLS))

    assert orders(said) == [
        ("A", "BUY", 333, "100.00"),
        ("B", "BUY", 666, "50.00"),
        ("C", "BUY", 1666, "20.00"),
    ]


def test_two_agents_share_by_weight_and_the_rationale_says_how():
    pair = think("A/B", ("A", -1.0), ("B", 0.5), agent="stat_arb")

    said = cycle(a_cio(), *CONVINCED, pair)

    assert orders(said) == [("A", "SELL", 250, "100.00"), ("B", "BUY", 250, "50.00")]
    assert "conviction -0.250 from momentum +0.500 (1), stat_arb -1.000 (1)" in said[0].rationale


def test_only_the_difference_to_what_is_held_is_ordered_and_small_differences_are_not():
    cio = a_cio(marked(391, -600, 100))

    assert orders(cycle(cio, *CONVINCED)) == [("B", "BUY", 100, "50.00"), ("C", "SELL", 100, "20.00")]


def test_a_position_is_turned_in_one_order():
    assert orders(cycle(a_cio(marked(0, 300, 0)), *CONVINCED))[1] == ("B", "SELL", 800, "50.00")


def test_a_fill_is_known_from_the_bookkeeper():
    cio = a_cio()
    tell(cio, PositionChanged(0, Decimal(150), Decimal(100), ZERO, ZERO))

    assert orders(cycle(cio, *CONVINCED))[0] == ("A", "BUY", 250, "100.00")


def test_a_multiplier_counts():
    cio = Cio(SETTINGS, 0.5)
    tell(cio, InstrumentsResolved((instrument(0, "A", 50),)), quotes((100.0,)), marked(0))

    assert orders(cycle(cio, think("A", ("A", 1.0)))) == [("A", "BUY", 8, "100.00")]


def test_the_reference_price_is_the_mid_on_the_tick_grid():
    cio = a_cio()
    tell(cio, market_data(np.array([(0, 100.0, 100.05, 1, 1)], dtype=QUOTE)))

    assert orders(cycle(cio, *CONVINCED))[0] == ("A", "BUY", 399, "100.02")


def test_without_equity_nothing_is_proposed():
    nobody = Cio(SETTINGS, 0.5)
    tell(nobody, RESOLVED, quotes())

    assert cycle(nobody, *CONVINCED) == []
    assert cycle(a_cio(marked(100, 0, 0, equity=0)), *CONVINCED) == []
    assert cycle(a_cio(marked(100, 0, 0, equity=-5)), *CONVINCED) == []


def test_when_nobody_was_asked_nothing_is_proposed():
    assert tell(a_cio(marked(100, 0, 0)), OPENED, DECIDE, BarrierClosed(0, 0, ())) == []


@pytest.mark.parametrize("price", [None, 0.012])
def test_an_instrument_without_a_price_is_left_out(price: float | None):
    cio = Cio(SETTINGS, 0.5)
    tiny = Instrument(0, "A", 1, "STK", "X", "USD", Decimal(1), Decimal("0.05"), Decimal(1))
    tell(cio, InstrumentsResolved((tiny, *RESOLVED.instruments[1:])), quotes((price, *PRICES[1:])), marked())

    assert orders(cycle(cio, *CONVINCED)) == [("B", "SELL", 500, "50.00")]


def test_a_position_without_a_price_stops_new_risk():
    cio = Cio(SETTINGS, 0.5)
    tell(cio, RESOLVED, quotes((None, 50.0, 20.0)), marked(100, 0, 500))

    (only,) = cycle(cio, *CONVINCED)

    assert orders([only]) == [("C", "SELL", 500, "20.00")]
    assert "only reducing: positions without a price: instruments [0]" in only.rationale


def test_an_answer_without_views_is_a_flat_opinion():
    assert orders(cycle(a_cio(marked(0, 0, 300)), *CONVINCED))[2] == ("C", "SELL", 300, "20.00")


def test_a_missing_unit_is_unknown_and_its_instruments_keep_their_targets():
    cio = a_cio(marked(300, -500, 300))

    said = cycle(cio, *CONVINCED, missing=[("stat_arb", "A/C")])

    assert orders(said) == [("B", "BUY", 383, "50.00")]


def test_a_missing_unit_lets_a_wanted_reduction_go_on_but_starts_none():
    cio = a_cio(marked(900, 0, 0))
    assert orders(cycle(cio, *CONVINCED))[0] == ("A", "SELL", 500, "100.00")
    tell(cio, marked(700, 0, 0))

    (first, *_) = cycle(cio, *CONVINCED[1:], missing=[("momentum", "A")])

    assert orders([first]) == [("A", "SELL", 300, "100.00")]
    assert first.rationale == "A: keeps its target: a signal is missing; target 400, held 700"
    tell(cio, marked(200, 0, 0))
    assert [o for o in orders(cycle(cio, *CONVINCED[1:], missing=[("momentum", "A")])) if o[0] == "A"] == []


def test_an_instrument_left_alone_keeps_its_share_of_the_gross_target():
    cio = a_cio()
    everyone = [think(s, (s, 1.0)) for s in SYMBOLS]
    cycle(cio, *everyone)
    tell(cio, marked(333, 0, 0))

    said = cycle(cio, *everyone[1:], missing=[("momentum", "A")])

    assert orders(said) == [("B", "BUY", 666, "50.00"), ("C", "BUY", 1666, "20.00")]


def test_what_is_left_alone_takes_its_room_from_the_others():
    cio = a_cio(marked(800, 0, 0))

    said = cycle(cio, think("B", ("B", 1.0)), think("C", ("C", 1.0)), missing=[("momentum", "A")])

    assert orders(said) == [("B", "BUY", 199, "50.00"), ("C", "BUY", 499, "20.00")]


def test_a_missing_unit_that_does_not_say_what_it_touches_freezes_all():
    assert cycle(a_cio(marked(900, 0, 300)), *CONVINCED, missing=[("stat_arb", "universe")]) == []


def test_below_quorum_only_risk_is_reduced_and_a_flip_stops_at_flat():
    cio = a_cio(marked(500, 300, 0), quorum=0.8)

    said = cycle(cio, *CONVINCED, missing=[("momentum", "D")])

    assert orders(said) == []
    said = cycle(cio, *CONVINCED[:2], missing=[("momentum", "C")])
    assert orders(said) == [("A", "SELL", 215, "100.00"), ("B", "SELL", 300, "50.00")]
    assert "only reducing: 2 of 3 signals, quorum 0.8" in said[1].rationale


def test_at_quorum_exactly_business_goes_on():
    said = cycle(a_cio(quorum=0.75), *CONVINCED, missing=[("stat_arb", "B/C")])

    assert orders(said) == [("A", "BUY", 111, "100.00")]


@pytest.mark.parametrize(
    ("risk", "why"),
    [
        ((REQUESTED, RiskRunFailed(3, "late")), "the risk run failed: late"),
        ((REQUESTED,), "the risk run has not come back"),
    ],
)
def test_without_risk_figures_only_risk_is_reduced_in_that_cycle(risk: Sequence[Event], why: str):
    cio = a_cio(marked(500, 300, 0))

    said = cycle(cio, *CONVINCED, risk=risk)

    assert orders(said) == [("A", "SELL", 100, "100.00"), ("B", "SELL", 300, "50.00")]
    assert f"only reducing: {why}" in said[0].rationale
    assert orders(cycle(cio, *CONVINCED))[1] == ("B", "SELL", 800, "50.00")


def test_a_risk_agent_that_asked_for_no_run_is_not_waited_for():
    assert len(cycle(a_cio(), *CONVINCED, risk=())) == 2


def test_breaks_with_the_broker_stop_new_risk_until_they_are_gone():
    cio = a_cio(marked(500, 300, 0))
    tell(cio, Reconciled((), ZERO, ("A: broker 400, firm 500",)))

    said = cycle(cio, *CONVINCED)

    assert orders(said) == [("A", "SELL", 100, "100.00"), ("B", "SELL", 300, "50.00")]
    assert "only reducing: 1 unresolved breaks with the broker, first: A: broker 400" in said[0].rationale
    tell(cio, Reconciled((), ZERO, ()))
    assert orders(cycle(cio, *CONVINCED))[1] == ("B", "SELL", 800, "50.00")


def test_while_halted_nothing_is_proposed_until_somebody_rearms():
    cio = a_cio(marked(500, 0, 0))
    tell(cio, TradingHalted("kill"))

    assert cycle(cio, *CONVINCED) == []
    tell(cio, TradingRearmed("A. Person", "checked"))
    assert len(cycle(cio, *CONVINCED)) == 2


def test_while_the_broker_is_away_nothing_is_proposed_until_reconciled():
    cio = a_cio(marked(500, 0, 0))
    tell(cio, BrokerDisconnected("reset"))

    assert cycle(cio, *CONVINCED) == []
    tell(cio, Reconciled((), ZERO, ()))
    assert len(cycle(cio, *CONVINCED)) == 2


@pytest.mark.parametrize(
    ("fate", "symbols"),
    [
        ((), ["B"]),
        ((submitted(9),), ["B"]),
        ((OrderDone(9, ZERO, "expired"),), ["A", "B"]),
        ((submitted(9), OrderDone(9, Decimal(10), "cancelled")), ["A", "B"]),
        ((ComplianceRefused(9, "collar", "too far"),), ["A", "B"]),
        ((OrderDone(7, ZERO, "another's"),), ["B"]),
        ((CycleAborted("compliance", 12, "bug", 11),), ["A", "B"]),
        ((submitted(9), CycleAborted("execution", 12, "bug", 11)), ["B"]),
        ((CycleAborted("execution", 12, "bug", 11), submitted(9)), ["B"]),
        ((CycleOpened(2, CycleKind.REACTION, 1), CycleAborted("execution", 12, "bug", 11)), ["B"]),
    ],
)
def test_an_instrument_with_an_open_order_is_left_alone(fate: tuple[Event, ...], symbols: list[str]):
    cio = a_cio()
    tell(cio, approved(9, "A", Side.BUY, 400), *fate)

    assert [order[0] for order in orders(cycle(cio, *CONVINCED))] == symbols


def test_an_open_order_counts_as_if_it_were_filled():
    cio = a_cio()
    tell(cio, approved(9, "A", Side.BUY, 900))

    assert orders(cycle(cio, *CONVINCED)) == [("B", "SELL", 199, "50.00")]


def test_opinions_of_an_earlier_cycle_are_forgotten():
    cio = a_cio(marked(0, 0, 300))
    tell(cio, OPENED, DECIDE, think("A", ("A", 1.0)))

    assert orders(cycle(cio, flat("A"), flat("B"), flat("C"))) == [("C", "SELL", 300, "20.00")]


def test_a_timer_that_rings_within_a_cycle_changes_nothing():
    said = tell(
        a_cio(),
        OPENED,
        DECIDE,
        ScheduledTick(Occasion.TIMER, 4),
        *CONVINCED,
        ScheduledTick(Occasion.TIMER),
        closed(),
    )

    assert len(said) == 2


def test_an_event_it_does_not_hear_is_a_bug():
    (entry,) = entries(LateAnswer("momentum", "A", 1))

    with pytest.raises(AssertionError):
        Cio(SETTINGS, 0.5).handle(entry)


units = [("momentum", s) for s in SYMBOLS] + [("stat_arb", p) for p in ("A/B", "A/C", "B/C")]
books = st.tuples(*[st.integers(-3000, 3000)] * 3)
opinion = st.floats(-1, 1)
answers = st.fixed_dictionaries(
    {}, optional={u: st.one_of(st.just([]), st.lists(opinion, min_size=1, max_size=1)) for u in units}
)


def spoken(answered: Answers):
    said = []
    for (agent, unit), convictions in answered.items():
        legs = unit.split("/")
        views = [(leg, c if i == 0 else -c) for c in convictions for i, leg in enumerate(legs)]
        said.append(think(unit, *views, agent=agent))
    return said


def after(held: Sequence[int], said: list[Event]):
    position = dict(enumerate(held))
    for event in said:
        position[event.order.instrument] += event.order.side.sign * int(event.order.quantity)
    return position


@settings(max_examples=100, deadline=None)
@given(books, answers, st.randoms(use_true_random=False))
def test_the_order_of_the_signals_within_a_cycle_does_not_matter(
    held: tuple[int, ...], answered: Answers, random: Random
):
    signals = spoken(answered)
    missing = [u for u in units if u not in answered]

    said = cycle(a_cio(marked(*held)), *signals, missing=missing)

    assert said == cycle(a_cio(marked(*held)), *random.sample(signals, len(signals)), missing=missing)
    assert [e.order.instrument for e in said] == sorted({e.order.instrument for e in said})


@settings(max_examples=100, deadline=None)
@given(books, answers)
def test_what_a_missing_unit_touches_never_grows_nor_flips(held: tuple[int, ...], answered: Answers):
    missing = [u for u in units if u not in answered]

    position = after(held, cycle(a_cio(marked(*held), quorum=0.0), *spoken(answered), missing=missing))

    for i in {SYMBOLS.index(s) for _, unit in missing for s in unit.split("/")}:
        assert abs(position[i]) <= abs(held[i])
        assert position[i] * held[i] >= 0


@settings(max_examples=100, deadline=None)
@given(books, answers)
def test_below_quorum_no_position_grows_nor_flips(held: tuple[int, ...], answered: Answers):
    missing = [u for u in units if u not in answered]

    said = cycle(a_cio(marked(*held), quorum=1.0), *spoken(answered), missing=missing or [("momentum", "D")])

    position = after(held, said)
    assert all(abs(position[i]) <= abs(held[i]) and position[i] * held[i] >= 0 for i in range(3))


@settings(max_examples=100, deadline=None)
@given(books, answers)
def test_what_is_ordered_is_within_the_weights_and_worth_the_trouble(
    held: tuple[int, ...], answered: Answers
):
    missing = [u for u in units if u not in answered]

    said = cycle(a_cio(marked(*held)), *spoken(answered), missing=missing)

    position = after(held, said)
    assert all(e.order.quantity * e.order.reference_price >= 1000 for e in said)
    assert all(abs(position[i]) <= max(abs(held[i]), 40_000 / PRICES[i]) for i in range(3))
    assert sum(abs(position[i]) * PRICES[i] for i in range(3)) <= max(
        sum(abs(held[i]) * PRICES[i] for i in range(3)), 100_000 + 3 * 1000
    )
