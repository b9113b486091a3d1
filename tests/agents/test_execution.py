from decimal import Decimal

import pytest
from desk import BUY, DECIDE, RECONCILED, SELL, TIMER, d, filled, instrument, quote, resolved, settings
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from telling import START, tell

from firm.agents.execution import Execution
from firm.domain.order import OrderType, Side, TimeInForce
from firm.domain.session import Sessions
from firm.events import Event
from firm.events.orders import (
    BrokerRejected,
    Child,
    Cleared,
    ExecutionRefused,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRequested,
    OrderCleared,
    OrderDone,
    OrderExpired,
    OrderNotAccepted,
    OrderSubmitted,
    OrderUnknown,
)
from firm.events.risk import RiskHaltRequested
from firm.events.scheduled import SessionsLoaded, TimerRequested
from firm.events.system import (
    BrokerConnected,
    BrokerDisconnected,
    CycleAborted,
    OperatorHaltRequested,
    Reconciled,
    TradingHalted,
    TradingRearmed,
)

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
OPEN, CLOSE = 24 * HOUR, 24 * HOUR + 390 * MINUTE
NOON = OPEN + 2 * HOUR
SESSIONS = SessionsLoaded(Sessions((OPEN, 48 * HOUR), (CLOSE, 54 * HOUR)), ())
STOCKS = resolved(instrument(0, "KO"), instrument(1, "PEP"))
QUOTES = quote((0, 99.99, 100.01), (1, 99.99, 100.01))
NAMED = 500
KNOWN = (
    "execution.max_slippage_bps=25",
    "execution.twap_slices=4",
    "execution.twap_interval_ms=3600000",
    "execution.max_messages_per_cycle=200",
    "compliance.max_quote_age_ms=27000000",
)


def trader(algo: str = "limit", *overrides: str):
    """An execution agent that knows market and calendar at noon of the first session."""
    chosen = settings(f"execution.default_algo={algo}", *KNOWN, *overrides)
    agent = Execution(chosen.execution, chosen.compliance.max_quote_age_ms)
    tell(agent, (START, STOCKS), SESSIONS, RECONCILED, (NOON, QUOTES))
    return agent


def cleared(
    quantity: object = 100,
    side: Side = BUY,
    order_seq: int = 7,
    price: object = 100,
    valid_until: int = 80 * HOUR,
    instrument: int = 0,
):
    band = (d("97.00"), d("103.00"))
    return OrderCleared(order_seq, Cleared(instrument, side, d(quantity), d(price), *band, valid_until))


def child(quantity: object, price: object = "100.26", side: Side = BUY, index: int = 0):
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    limit = None if price is None else d(price)
    return Child(index, 1000 + index, side, d(quantity), kind, limit, TimeInForce.DAY)


def send(agent: Execution, order: OrderCleared | None = None, at: int = NOON, first: int = NAMED):
    """Have an order sent and its intents heard back; the first child is named `first + 1`."""
    said = tell(agent, (at, order or cleared()), first=first)
    intents = [event for event in said if type(event) is OrderSubmitted]
    assert tell(agent, *((at, intent) for intent in intents), first=first + 1) == []
    return said


def test_a_limit_order_in_the_session_is_sent_at_once_at_the_touch_and_the_slippage():
    assert tell(trader(), (NOON, cleared())) == [OrderSubmitted(7, "limit", child(100))]
    assert tell(trader(), (NOON, cleared(side=SELL))) == [
        OrderSubmitted(7, "limit", child(100, "99.75", SELL))
    ]


def test_a_market_order_has_no_price_and_its_touch_must_lie_within_the_bounds():
    agent = trader("market")

    assert tell(agent, (NOON, cleared())) == [OrderSubmitted(7, "market", child(100, None))]
    said = tell(agent, (NOON, quote((0, 103.00, 103.01))), cleared(order_seq=8), first=90)
    reason = "price: the touch 103.01 is outside the cleared 97.00 to 103.00"
    assert said == [
        ExecutionRefused(8, d(100), "price", reason),
        OrderDone(8, d(0), f"0 of 100 filled; {reason}"),
    ]


def test_an_order_cleared_while_the_market_is_closed_waits_a_minute_into_the_next_session():
    agent = trader()

    asked = tell(agent, (CLOSE, cleared()), first=90)
    early = tell(agent, (48 * HOUR + MINUTE - 1, TIMER), first=91)
    said = tell(agent, (48 * HOUR + MINUTE, quote((0, 99.99, 100.01))), TIMER, first=92)

    assert asked == [TimerRequested(48 * HOUR + MINUTE, 7)]
    assert early == []
    assert said == [OrderSubmitted(7, "limit", child(100))]


def test_a_twap_sends_now_and_asks_for_the_hours_to_come():
    agent = trader("twap")

    said = tell(agent, (NOON, cleared(103)), first=90)

    assert said == [
        OrderSubmitted(7, "twap", child(26)),
        TimerRequested(NOON + HOUR, 7),
        TimerRequested(NOON + 2 * HOUR, 7),
        TimerRequested(NOON + 3 * HOUR, 7),
    ]
    assert tell(agent, (NOON + HOUR, TIMER), first=99) == [OrderSubmitted(7, "twap", child(26))]
    assert tell(agent, (NOON + HOUR, TIMER), first=100) == []
    assert [s.child.quantity for s in tell(agent, (NOON + 4 * HOUR - 1, TIMER), first=101)] == [d(26), d(25)]


def test_a_moment_is_asked_for_once_however_many_orders_want_it():
    agent = trader("twap")

    first = tell(agent, (NOON, cleared(4)), first=90)
    second = tell(agent, (NOON, cleared(4, order_seq=8)), first=91)
    at_one = tell(agent, (NOON + HOUR, TIMER), first=92)

    assert [type(event) for event in first].count(TimerRequested) == 3
    assert [type(event) for event in second] == [OrderSubmitted]
    assert [event.order_seq for event in at_one] == [7, 8]


def test_fills_end_an_order_once_with_their_sum():
    agent = trader()
    send(agent)

    part = tell(agent, filled(NAMED + 1, "a", BUY, 40), first=600)
    again = tell(agent, filled(NAMED + 1, "a", BUY, 40), first=601)
    rest = tell(agent, filled(NAMED + 1, "b", BUY, 60), first=602)
    late = tell(agent, filled(NAMED + 1, "c", BUY, 1), OrderExpired(NAMED + 1, d(101)), first=603)

    assert (part, again) == ([], [])
    assert rest == [OrderDone(7, d(100), "filled")]
    assert late == []


def test_a_correction_changes_what_was_filled_but_does_not_open_a_finished_child():
    agent = trader("twap", "execution.twap_slices=2")
    send(agent)
    tell(agent, filled(NAMED + 1, "a", BUY, 50), first=600)

    corrected = tell(agent, filled(NAMED + 1, "a", BUY, 40, revision=2), first=601)
    second = tell(agent, (NOON + HOUR, TIMER), first=602)
    tell(agent, (NOON + HOUR, second[0]), first=603)
    said = tell(agent, filled(603, "b", BUY, 50), first=604)

    assert corrected == []
    assert second == [OrderSubmitted(7, "twap", child(50))]
    assert said == [OrderDone(7, d(90), "90 of 100 filled; every child has ended")]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (OrderExpired(NAMED + 1, d(30)), "30 of 100 filled; expired at the close"),
        (OrderCanceled(NAMED + 1, d(30), "by hand"), "30 of 100 filled; cancelled: by hand"),
        (BrokerRejected(NAMED + 1, 201, "margin"), "30 of 100 filled; rejected by the broker: 201 margin"),
        (OrderNotAccepted(NAMED + 1), "30 of 100 filled; never reached the broker"),
    ],
)
def test_the_brokers_word_ends_a_child_and_the_remainder_is_not_chased(end: Event, reason: str):
    agent = trader()
    send(agent)
    tell(agent, OrderAccepted(NAMED + 1, 1), filled(NAMED + 1, "a", BUY, 30), first=600)

    assert tell(agent, end, first=610) == [OrderDone(7, d(30), reason)]


def test_an_order_is_not_done_before_the_fills_the_broker_counted_were_heard():
    agent = trader()
    send(agent)

    canceled = tell(agent, OrderCanceled(NAMED + 1, d(30), "by hand"), first=600)
    said = tell(agent, filled(NAMED + 1, "a", BUY, 30), first=601)

    assert canceled == []
    assert said == [OrderDone(7, d(30), "30 of 100 filled; cancelled: by hand")]


def test_unknown_is_not_cancelled():
    agent = trader()
    send(agent)

    assert tell(agent, OrderUnknown(NAMED + 1, "no answer"), first=600) == []
    assert tell(agent, filled(NAMED + 1, "a", BUY, 100), first=601) == [OrderDone(7, d(100), "filled")]


def test_reports_about_strangers_change_nothing():
    assert tell(trader(), filled(3, "a", BUY, 1), OrderCanceled(3, d(0), "by hand"), DECIDE) == []


def test_a_slice_still_working_does_not_hold_up_the_next_and_all_end_together():
    agent = trader("twap", "execution.twap_slices=2")
    send(agent)
    (second,) = tell(agent, (NOON + HOUR, TIMER), first=600)
    tell(agent, (NOON + HOUR, second), first=601)

    first_end = tell(agent, (CLOSE, OrderExpired(NAMED + 1, d(0))), first=602)
    said = tell(agent, (CLOSE, OrderExpired(601, d(0))), first=603)

    assert first_end == []
    assert said == [OrderDone(7, d(0), "0 of 100 filled; expired at the close")]


@pytest.mark.parametrize(
    "stop", [TradingHalted("kill"), OperatorHaltRequested("kill"), RiskHaltRequested("kill")]
)
def test_a_halt_cancels_what_works_drops_what_is_planned_and_asks_once(stop: Event):
    agent = trader("twap")
    send(agent)
    tell(agent, (NOON + MINUTE, cleared(4, order_seq=600, valid_until=NOON + MINUTE)), first=601)

    said = tell(agent, (NOON + 2 * MINUTE, stop), stop, first=610)
    timer = tell(agent, (NOON + HOUR, TIMER), first=612)
    ended = tell(agent, OrderCanceled(NAMED + 1, d(0), "asked"), first=613)

    assert said[0] == OrderCancelRequested(NAMED + 1, "kill")
    assert [type(event) for event in said].count(OrderCancelRequested) == 1
    assert timer == []
    assert ended == [OrderDone(7, d(0), "0 of 100 filled; cancelled: asked")]


def test_a_halt_ends_at_once_what_has_nothing_at_the_broker():
    agent = trader()
    tell(agent, (CLOSE, cleared()), first=90)

    assert tell(agent, TradingHalted("kill"), first=91) == [
        OrderDone(7, d(0), "0 of 100 filled; halted: kill")
    ]


def test_nothing_is_sent_during_a_halt_and_a_rearm_allows_new_orders_only():
    agent = trader()

    refused = tell(agent, (NOON, TradingHalted("kill")), cleared(), first=90)
    rearmed = tell(agent, (NOON, TradingRearmed("ada", "ok")), cleared(order_seq=8), first=93)

    assert refused == [
        ExecutionRefused(7, d(100), "halt", "trading is halted: kill"),
        OrderDone(7, d(0), "0 of 100 filled; trading is halted: kill"),
    ]
    assert rearmed == [OrderSubmitted(8, "limit", child(100))]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (BrokerDisconnected("reset"), "broker: disconnected: reset"),
        (BrokerConnected("DU1", Decimal(0)), "broker: connected, but not reconciled yet"),
        (
            Reconciled((), Decimal(0), ("KO 5",)),
            "broker: 1 unresolved breaks since the order was approved: KO 5",
        ),
    ],
)
def test_nothing_is_sent_while_the_broker_is_not_reconciled(state: Event, reason: str):
    said = tell(trader(), (NOON, state), cleared(), first=90)

    assert said[0] == ExecutionRefused(7, d(100), "broker", reason)


def test_breaks_stop_what_was_approved_before_them_and_not_what_was_approved_knowing_them():
    broken = Reconciled((), Decimal(0), ("KO 5",))

    said = tell(trader(), (NOON, broken), broken, cleared(order_seq=95), first=90)

    assert said == [OrderSubmitted(95, "limit", child(100))]


def test_the_same_breaks_reported_again_stop_nothing_and_other_ones_do():
    agent = trader("twap")
    broken, worse = (Reconciled((), Decimal(0), breaks) for breaks in (("KO 5",), ("KO 5", "PEP 1")))
    tell(agent, (NOON, broken), first=90)
    send(agent, cleared(4, order_seq=95))

    same = tell(agent, (NOON + HOUR, broken), TIMER, first=600)
    other = tell(agent, (NOON + 2 * HOUR, worse), TIMER, first=602)

    assert [type(event) for event in same] == [OrderSubmitted]
    assert [event.reason for event in other] == [
        "broker: 2 unresolved breaks since the order was approved: KO 5"
    ]


def test_an_older_revision_that_comes_late_changes_nothing():
    agent = trader()
    send(agent)
    late = filled(NAMED + 1, "a", BUY, 90)

    tell(agent, filled(NAMED + 1, "a", BUY, 40, revision=2), late, first=600)

    assert tell(agent, OrderExpired(NAMED + 1, d(40)), first=602)[0].filled == 40


def test_nothing_is_sent_before_the_first_reconciliation_or_without_a_calendar():
    chosen = settings("execution.default_algo=limit")
    agent = Execution(chosen.execution, chosen.compliance.max_quote_age_ms)
    tell(agent, STOCKS, (NOON, QUOTES))
    unknown = tell(agent, (NOON, cleared()), first=90)
    tell(agent, (NOON, SESSIONS), first=91)

    reason = "session: no session opens while the clearance is valid"
    assert unknown == [
        ExecutionRefused(7, d(100), "session", reason),
        OrderDone(7, d(0), f"0 of 100 filled; {reason}"),
    ]
    said = tell(agent, (NOON, cleared()), first=92)
    assert said[0].reason == "broker: never reconciled since the start"


def test_an_old_quote_or_none_refuses_the_slice():
    old = trader("limit", "compliance.max_quote_age_ms=1000")
    said = tell(old, (NOON + 1001 * 1_000_000, cleared()), first=90)
    chosen = settings("execution.default_algo=limit")
    blind = Execution(chosen.execution, 1000)
    tell(blind, STOCKS, SESSIONS, RECONCILED)

    assert said[0].reason == "quote: the last quote is 1001 ms old, limit is 1000 ms"
    assert tell(blind, (NOON, cleared()), first=90)[0].reason == "quote: the instrument was never quoted"


def test_a_timer_that_fires_after_the_close_or_after_the_clearance_sends_nothing():
    closed, stale = trader("twap"), trader("twap")
    send(closed, cleared(4))
    send(stale, cleared(4, valid_until=NOON + 4 * HOUR))

    after_close = tell(closed, (CLOSE, TIMER), first=600)
    too_late = tell(stale, (NOON + 4 * HOUR + 1, TIMER), first=600)

    assert [(event.gate, event.quantity) for event in after_close] == [("session", d(1))] * 3
    assert [event.gate for event in too_late] == ["validity"] * 3


def test_a_refused_slice_ends_the_order_only_when_nothing_else_is_open():
    agent = trader("twap", "execution.twap_slices=2")
    send(agent)

    refused = tell(agent, (NOON + HOUR, quote((0, 103.0, 103.01))), TIMER, first=600)
    said = tell(agent, filled(NAMED + 1, "a", BUY, 50), first=602)

    reason = "price: the limit price 103.26 is outside the cleared 97.00 to 103.00"
    assert refused == [ExecutionRefused(7, d(50), "price", reason)]
    assert said == [OrderDone(7, d(50), f"50 of 100 filled; {reason}")]


def test_more_messages_than_allowed_in_one_cycle_are_refused_and_the_next_cycle_starts_at_zero():
    agent = trader("limit", "execution.max_messages_per_cycle=2")

    said = tell(agent, (NOON, cleared(order_seq=7)), cleared(order_seq=8), cleared(order_seq=9), first=90)
    later = tell(agent, (NOON + 1, cleared(order_seq=10)), first=95)

    assert [type(event) for event in said] == [OrderSubmitted, OrderSubmitted, ExecutionRefused, OrderDone]
    assert said[2].reason == "message rate: 2 messages in this cycle already, limit is 2"
    assert type(later[0]) is OrderSubmitted


def test_cancels_count_as_messages_but_are_never_refused():
    agent = trader("limit", "execution.max_messages_per_cycle=2")
    for n in range(3):
        send(agent, cleared(order_seq=7 + n), at=NOON + n, first=NAMED + 10 * n)

    said = tell(agent, (NOON + HOUR, TradingHalted("kill")), first=600)

    assert [type(event) for event in said] == [OrderCancelRequested] * 3


def test_an_aborted_cycle_is_a_halt_and_what_was_proposed_before_it_never_leaves():
    agent = trader("twap")
    send(agent, cleared(4))

    said = tell(agent, (NOON, CycleAborted("compliance", 605, "bug", 600)), first=610)
    tell(agent, (NOON, TradingRearmed("ada", "ok")), first=611)
    stale = tell(agent, (NOON, cleared(4, order_seq=604)), first=612)
    fresh = tell(agent, (NOON, cleared(4, order_seq=613)), first=614)

    reason = "the cycle was aborted: compliance failed on entry 605"
    assert said == [OrderCancelRequested(NAMED + 1, reason)]
    assert stale == [
        ExecutionRefused(604, d(4), "cycle", "cycle: the order's own cycle was aborted"),
        OrderDone(604, d(0), "0 of 4 filled; cycle: the order's own cycle was aborted"),
    ]
    assert type(fresh[0]) is OrderSubmitted


def test_clearing_twice_or_hearing_of_an_unsaid_child_is_a_bug():
    agent = trader()
    send(agent)

    with pytest.raises(AssertionError, match="cleared twice"):
        tell(agent, (NOON, cleared()), first=600)
    with pytest.raises(AssertionError, match="order 7 has no child that could be called 601"):
        tell(agent, (NOON, OrderSubmitted(7, "limit", child(100))), first=601)


class Desk:
    """A world of one order at a time around the agent: keeps what it said and answers as a broker might."""

    def __init__(self, algo: str) -> None:
        self.agent, self.seq, self.at = trader(algo), 700, NOON
        self.cleared, self.sent, self.got, self.done = {}, {}, {}, {}
        self.children = {}

    def hear(self, event: Event):
        self.seq += 1
        for answer in tell(self.agent, (self.at, event), first=self.seq):
            if type(answer) is OrderSubmitted:
                self.sent[answer.order_seq] = self.sent.get(answer.order_seq, 0) + answer.child.quantity
                self.hear(answer)
                self.children[self.seq] = [answer.order_seq, answer.child.quantity, Decimal(0)]
            elif type(answer) is OrderDone:
                assert answer.order_seq not in self.done, "done twice"
                self.done[answer.order_seq] = answer.filled

    def clear(self, quantity: object):
        order_seq = self.seq + 1
        self.seq += 1
        self.cleared[order_seq] = Decimal(quantity)
        self.hear(cleared(quantity, order_seq=order_seq))

    def fill(self, pick: int, quantity: object):
        child_seq = sorted(self.children)[pick % len(self.children)]
        entry = self.children[child_seq]
        part = min(Decimal(quantity), entry[1] - entry[2])
        if part > 0:
            entry[2] += part
            self.got[entry[0]] = self.got.get(entry[0], 0) + part
            self.hear(filled(child_seq, f"x{self.seq}", BUY, part))

    def end(self, pick: int):
        child_seq = sorted(self.children)[pick % len(self.children)]
        entry = self.children[child_seq]
        entry[1] = entry[2]
        self.hear(OrderCanceled(child_seq, entry[2], "by hand"))


steps = st.lists(
    st.tuples(
        st.sampled_from(["clear", "fill", "end", "wait", "halt"]), st.integers(0, 9), st.integers(1, 60)
    ),
    max_size=40,
)


@given(st.sampled_from(["market", "limit", "twap"]), steps)
@hypothesis_settings(deadline=None)
def test_children_never_exceed_the_cleared_quantity_and_every_order_ends_once_with_its_fills(
    algo: str, story: list[tuple[str, int, int]]
):
    desk = Desk(algo)
    for what, pick, amount in story:
        match what:
            case "clear":
                desk.clear(amount)
            case "fill" if desk.children:
                desk.fill(pick, amount)
            case "end" if desk.children:
                desk.end(pick)
            case "wait":
                desk.at += amount * MINUTE
                desk.hear(TIMER)
            case "halt" if pick == 0:
                desk.hear(TradingHalted("kill"))
                desk.hear(TradingRearmed("ada", "ok"))
        note(f"{what} {pick} {amount}")
        assert all(desk.sent.get(seq, 0) <= quantity for seq, quantity in desk.cleared.items())
    desk.at = 100 * HOUR
    desk.hear(TIMER)
    for pick in range(len(desk.children)):
        desk.end(pick)

    assert desk.done == {seq: desk.got.get(seq, 0) for seq in desk.cleared}
