"""What each kind of message about an order means: the gateway's faults, one conversation each."""

from decimal import Decimal

import pytest
from conversation import (
    CLIENT,
    ORDER_ID,
    PERM_ID,
    RUN,
    SEQ,
    asks,
    child,
    completed,
    error,
    executed,
    fee,
    fresh_session,
    hear,
    holding,
    kinds,
    opened,
    query,
    reconciled,
    status,
    submitted,
    working,
)

from firm.broker.messages import CancelOrder, Query, Resubscribe, UnreadableMessage
from firm.domain.order import OrderState, Side
from firm.events.broker import GateChanged, GateState
from firm.events.orders import (
    BrokerRejected,
    CommissionReported,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderNotAccepted,
    OrderUnknown,
)
from firm.events.system import BrokerDisconnected

EXEC = "0000e0d5.6553f7a8.01"


def fill(quantity: int, exec_id: str = EXEC, revision: int = 1, price: str = "100") -> OrderFilled:
    amounts = (Decimal(quantity), Decimal(price))
    return OrderFilled(SEQ, exec_id, revision, 0, Side.BUY, *amounts, "ISLAND")


def test_a_limit_order_is_accepted_once_and_filled_by_its_executions():
    session = submitted()

    events = hear(
        session,
        opened("PreSubmitted"),
        status("PreSubmitted"),
        opened(),
        status("Submitted"),
        executed(4),
        status("Submitted", 4),
        fee("0.35"),
        executed(6, f"{EXEC[:-2]}02.01"),
        opened("Filled"),
        status("Filled", 10),
        status("Filled", 10),
        fee("0.65", f"{EXEC[:-2]}02.01"),
    )

    assert events == [
        OrderAccepted(SEQ, PERM_ID),
        fill(4),
        CommissionReported(EXEC, Decimal("0.35")),
        fill(6, f"{EXEC[:-2]}02"),
        CommissionReported(f"{EXEC[:-2]}02", Decimal("0.65")),
    ]
    assert session.children[SEQ].state is OrderState.FILLED
    assert not asks(session)


@pytest.mark.parametrize("code", [10349, 399, 404, 2109, 2137])
def test_a_notice_leaves_a_working_order_working(code: int):
    session = working()

    assert hear(session, error(code)) == []
    assert session.children[SEQ].state is OrderState.NEW
    assert not asks(session)
    assert hear(session, executed(10)) == [fill(10)]


@pytest.mark.parametrize("code", [161, 10148, 10147, 103, 201, 10318, 10052, 110, 99999])
def test_an_error_on_a_live_order_makes_it_unknown_until_a_query_finds_it_working(code: int):
    session = working()

    assert hear(session, error(code)) == [OrderUnknown(SEQ, f"{code}: words")]
    assert session.children[SEQ].state is OrderState.UNKNOWN
    assert asks(session)
    assert query(session, opened(), status("Submitted")) == []
    assert session.children[SEQ].state is OrderState.NEW
    assert not asks(session)
    assert hear(session, executed(10)) == [fill(10)]


def test_a_refused_cancel_and_then_the_fill_counts_the_fill_once_and_cancels_nothing():
    session = working()

    assert session.cancel(SEQ, "enough") == [CancelOrder(ORDER_ID)]
    events = hear(session, error(161), executed(10), opened("Filled"), status("Filled", 10))

    assert events == [OrderUnknown(SEQ, "161: words"), fill(10)]
    assert session.children[SEQ].state is OrderState.FILLED
    assert query(session, executed(10), completed("Filled", 10)) == []


def test_a_cancel_that_came_to_nothing_is_sent_again_after_a_query():
    session = working()
    session.cancel(SEQ, "no longer wanted")

    query(session, opened("PendingCancel"))
    assert session.cancels_due() == []
    query(session, opened())
    assert session.cancels_due() == [CancelOrder(ORDER_ID)]


def test_a_refused_cancel_is_sent_again_a_query_later():
    session = working()
    session.cancel(SEQ, "no longer wanted")
    hear(session, error(161))

    query(session, opened())
    assert session.cancels_due() == []
    query(session, opened())
    assert session.cancels_due() == [CancelOrder(ORDER_ID)]


def test_a_fill_that_was_on_its_way_is_told_after_the_cancellation():
    session = working()
    session.cancel(SEQ, "enough")

    assert hear(session, status("Cancelled")) == [OrderCanceled(SEQ, Decimal(0), "enough")]
    assert hear(session, executed(10)) == [fill(10)]
    assert session.children[SEQ].state is OrderState.FILLED


def test_a_correction_replaces_the_execution_it_corrects():
    session = working()
    hear(session, executed(10))

    corrected = hear(session, executed(10, f"{EXEC}.02", price="99.5"))

    assert corrected == [fill(10, revision=2, price="99.5")]
    assert session.fills.filled(SEQ) == 10
    assert session.fills.positions == {0: Decimal(10)}
    assert hear(session, executed(10)) == []


def test_doubled_messages_are_told_once():
    session = submitted()
    messages = [opened(), status("Submitted"), executed(10), fee(), status("Filled", 10)]

    events = hear(session, *(m for message in messages for m in (message, message)))

    assert kinds(events) == ["OrderAccepted", "OrderFilled", "CommissionReported"]


def test_a_commission_that_comes_first_waits_for_its_execution():
    session = working()

    assert hear(session, fee("1.25")) == []
    assert hear(session, executed(10)) == [fill(10), CommissionReported(EXEC, Decimal("1.25"))]
    assert hear(session, fee("1.25")) == []


def test_a_corrected_commission_is_told_again():
    session = working()
    hear(session, executed(10), fee("1.25"))

    assert hear(session, fee("1.00", f"{EXEC}.02")) == [CommissionReported(EXEC, Decimal("1.00"))]
    assert hear(session, fee("1.25")) == []


def test_a_cancel_behind_a_lost_link_is_kept_and_one_that_was_on_its_way_is_sent_again():
    session = working()

    assert session.cancel(SEQ, "enough") == [CancelOrder(ORDER_ID)]
    hear(session, error(1100, "lost", about=-1))
    assert session.cancels_due() == []
    assert session.cancel(SEQ, "at once") == []
    hear(session, error(1102, "restored", about=-1))
    assert session.cancels_due() == [CancelOrder(ORDER_ID)]
    assert session.cancels_due() == []
    assert hear(session, status("Cancelled")) == [OrderCanceled(SEQ, Decimal(0), "enough")]


def test_a_manual_trade_in_our_account_is_noticed_and_is_a_break():
    session = fresh_session()

    assert hear(session, executed(5, perm_id=77, order_id=0, client=0, ref=""), holding(5)) == []
    assert asks(session)
    assert query(session, executed(5, perm_id=77, order_id=0, client=0, ref=""), holding(5)) == []
    outcome = reconciled(session, Decimal(1000))
    assert outcome.positions == ((0, Decimal(5)),)
    assert outcome.breaks == ("AAPL: the broker holds 5, the log adds up to 0",)
    assert not asks(session)


def test_a_position_that_changes_without_an_execution_is_noticed_and_so_is_its_return():
    session = fresh_session()

    hear(session, holding(-3))
    assert asks(session)
    query(session, holding(-3))
    assert reconciled(session, Decimal(0)).breaks == ("AAPL: the broker holds -3, the log adds up to 0",)
    hear(session, holding(0))
    assert asks(session)
    query(session)
    assert reconciled(session, Decimal(0)).breaks == ()


def test_a_holding_outside_the_universe_is_a_break():
    session = fresh_session()
    query(session, holding(100, con_id=4711, symbol="GME"))

    assert reconciled(session, Decimal(0)).breaks == (
        "GME (conId 4711): the broker holds 100, which is not in the universe",
    )


def test_an_order_that_is_live_twice_is_unknown_and_both_are_cancelled():
    session = working()

    events = hear(session, opened(perm_id=9002))

    assert events == [OrderUnknown(SEQ, "live twice at the broker, as permId 9001 and 9002")]
    assert CancelOrder(ORDER_ID) in session.wants()
    assert hear(session, status("Cancelled", 0, perm_id=9002)) == []
    assert hear(session, status("Cancelled", 0)) == [
        OrderCanceled(SEQ, Decimal(0), "the broker has it twice")
    ]


def test_perm_id_zero_is_nobodys_name():
    session = fresh_session()
    session.submit(7, child(), 40)
    session.submit(8, child(), 41)

    hear(session, status("PendingSubmit", perm_id=0, order_id=40))
    hear(session, status("PendingSubmit", perm_id=0, order_id=41))
    events = hear(session, executed(10, perm_id=0, order_id=41, ref=f"{RUN}-8"))

    assert [(type(e), e.child_seq) for e in events] == [(OrderFilled, 8)]
    assert session.fills.filled(7) == 0


def test_an_order_id_alone_joins_nothing_of_another_client():
    session = working()

    assert hear(session, executed(10, perm_id=5, client=3, ref="")) == []
    assert session.fills.filled(SEQ) == 0
    assert asks(session)


def test_fills_during_an_outage_come_with_the_query_after_it():
    session = working(50)

    assert hear(session, error(1100, "lost", about=-1)) == [
        BrokerDisconnected("1100: lost"),
        GateChanged(GateState.OPEN, GateState.FROZEN, "1100: lost"),
    ]
    assert hear(session, error(1100, "lost", about=-1)) == []
    assert session.link.frozen == "1100: lost"
    assert hear(session, error(1102, "restored", about=-1)) == [
        GateChanged(GateState.FROZEN, GateState.SYNCING, "1102: restored")
    ]
    assert session.wants() == [Query("1102: restored")]
    events = query(session, executed(30), fee(), opened(), status("Submitted", 30), holding(30))
    assert events == [fill(30), CommissionReported(EXEC, Decimal("1.00"))]
    assert reconciled(session, Decimal(0)).breaks == ()


@pytest.mark.parametrize(
    ("before", "code"), [([], 1101), ([], 10182), ([error(2103, about=-1)], 2104)], ids=str
)
def test_lost_subscriptions_are_asked_for_again(before: list, code: int):
    session = fresh_session()

    hear(session, *before, error(code, about=-1))

    assert Resubscribe() in session.wants()


def test_a_farm_that_was_never_broken_needs_no_new_subscription():
    session = fresh_session()

    hear(session, error(2104, about=-1))

    assert session.wants() == []


def test_a_live_order_with_our_name_that_the_log_does_not_know_is_a_break():
    session = fresh_session()

    hear(session, opened(ref=f"{RUN}-99", perm_id=70, order_id=3))
    assert asks(session)
    query(session, opened(ref=f"{RUN}-99", perm_id=70, order_id=3))
    assert reconciled(session, Decimal(0)).breaks == (
        f"order {RUN}-99 (permId 70) is live and not in the log",
    )


def test_other_peoples_orders_are_none_of_our_business():
    session = fresh_session()

    hear(session, opened(ref="theirs-1", client=CLIENT + 1, perm_id=70))

    assert session.wants() == []
    assert reconciled(session, Decimal(0)).breaks == ()


@pytest.mark.parametrize("error_first", [False, True])
def test_a_reject_is_told_once_with_its_reason(error_first: bool):
    session = submitted()
    inactive, reason = [opened("Inactive"), status("Inactive")], [error(201, "Order rejected - no funds")]

    events = hear(session, *(reason + inactive if error_first else inactive + reason))

    assert events == [BrokerRejected(SEQ, 201, "Order rejected - no funds")]
    assert hear(session, *inactive, *reason) == []
    assert not asks(session)


def test_a_refusal_without_a_status_is_a_reject_once_a_query_does_not_find_the_order():
    session = submitted()

    assert hear(session, error(387, "Unsupported order type")) == []
    assert session.wants() == [
        Query(f"order {RUN}-{SEQ}: refused with 387 (Unsupported order type), which is not confirmed")
    ]
    assert query(session) == [BrokerRejected(SEQ, 387, "Unsupported order type")]


def test_a_refusal_of_an_order_that_a_query_finds_live_was_not_about_this_order():
    session = submitted()

    hear(session, error(103, "Duplicate order id"))
    assert query(session, opened(), status("Submitted")) == [OrderAccepted(SEQ, PERM_ID)]
    assert session.children[SEQ].state is OrderState.NEW


def test_inactive_without_a_reason_is_unknown_and_cancelled():
    session = submitted()

    assert hear(session, opened("Inactive"), status("Inactive")) == []
    assert asks(session)
    events = query(session, opened("Inactive"), status("Inactive"))
    assert events == [OrderUnknown(SEQ, "inactive at the broker, which gives no reason")]
    assert session.wants() == [CancelOrder(ORDER_ID)]


def test_partly_filled_and_cancelled_while_we_were_away():
    session = working(50)
    session.new_connection()

    events = query(
        session,
        executed(30, order_id=0, client=0),
        completed("Cancelled", 30, "Cancelled by Trader"),
        holding(30),
    )

    assert events == [fill(30), OrderCanceled(SEQ, Decimal(30), "Cancelled by Trader")]


def test_a_cancellation_waits_for_the_executions_it_counts():
    session = working()
    session.cancel(SEQ, "enough")

    assert hear(session, status("Cancelled", 4)) == []
    assert asks(session)
    assert hear(session, executed(4)) == [fill(4), OrderCanceled(SEQ, Decimal(4), "enough")]


def test_executions_that_cannot_be_had_make_a_filled_order_unknown_not_filled():
    session = working()

    assert hear(session, status("Filled", 10)) == []
    assert asks(session)
    events = query(session, completed("Filled", 10, "Filled Size: 10"))
    assert events == [OrderUnknown(SEQ, "10 filled at the broker, only 0 to be had as executions")]
    assert not asks(session)


@pytest.mark.parametrize("text_first", [False, True])
def test_a_day_order_expires_at_the_close(text_first: bool):
    session = working()
    over, why = status("Cancelled"), error(202, "Order Canceled - reason:the order expired at the close")

    events = hear(session, *((why, over) if text_first else (over, why)))

    assert events == [OrderExpired(SEQ, Decimal(0))]
    assert not asks(session)


def test_an_order_that_expired_while_we_were_away():
    session = working()
    session.new_connection()

    assert query(session, completed("Cancelled", 0, "Expired")) == [OrderExpired(SEQ, Decimal(0))]


def test_an_order_found_nowhere_twice_was_not_accepted():
    session = submitted()
    session.new_connection()

    session.begin_query()
    assert session.end_query() == ([], True)
    session.begin_query()
    assert session.end_query() == ([OrderNotAccepted(SEQ)], False)
    assert session.children[SEQ].state is OrderState.NOT_ACCEPTED


def test_an_accepted_order_found_nowhere_twice_is_gone():
    session = working()
    session.new_connection()

    events = query(session) + query(session)

    assert events == [OrderCanceled(SEQ, Decimal(0), "neither open nor completed at the broker, asked twice")]


def test_an_order_that_nobody_answers_to_is_unknown_and_asked_for():
    session = submitted()

    assert session.unanswered(SEQ, 5000) == [OrderUnknown(SEQ, "no answer for 5000 ms")]
    assert asks(session)
    assert hear(session, opened(), status("Submitted")) == [OrderAccepted(SEQ, PERM_ID)]
    assert query(session, opened(), status("Submitted")) == []
    assert session.children[SEQ].state is OrderState.NEW


def test_order_ids_of_an_older_connection_mean_nothing():
    session = working()
    session.new_connection()

    assert hear(session, error(201)) == []
    assert session.cancel(SEQ, "enough") == []
    assert asks(session)
    query(session, opened(order_id=3), status("Submitted", order_id=3))
    assert session.cancels_due() == [CancelOrder(3)]
    assert session.cancels_due() == []


def test_a_message_that_cannot_be_read_raises_a_query():
    session = fresh_session()

    hear(session, UnreadableMessage("3", "ValueError()"))

    assert session.wants() == [Query("message 3 could not be read (ValueError())")]


def test_a_query_raises_no_query():
    session = working()
    session.begin_query()

    hear(session, error(161), UnreadableMessage("3", "x"), executed(1, perm_id=5, ref="x", client=0))
    session.end_query()

    assert not asks(session)


def test_what_is_held_at_the_first_reconciliation_was_there_before():
    session = fresh_session()
    session.positions.opening = None

    query(session, holding(25))

    assert reconciled(session, Decimal(0)).breaks == ()
    hear(session, holding(35))
    assert asks(session)


def test_an_order_that_is_not_sent_is_rejected_by_the_gateways_last_look():
    session = fresh_session()

    assert session.children.refuse(SEQ, child(), "halted: fire") == [BrokerRejected(SEQ, 0, "halted: fire")]
    assert session.cancel(SEQ, "enough") == []
