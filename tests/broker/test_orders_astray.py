"""Orders that live at the broker and should not: told dead and turned up, or held by another client id."""

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
    hear,
    holding,
    log_of,
    opened,
    query,
    reconciled,
    status,
    submitted,
    working,
)

from firm.broker.ib_session import IbSession
from firm.broker.memory import remember
from firm.broker.messages import CancelOrder
from firm.domain.order import OrderState
from firm.events.orders import (
    CommissionReported,
    OrderCanceled,
    OrderFilled,
    OrderNotAccepted,
    OrderSubmitted,
    OrderUnknown,
)

NOTHING = Decimal(0)
OTHER_CLIENT = CLIENT + 1
RISEN = f"order {RUN}-{SEQ} is over in the log (NotAccepted) and live at the broker"


def not_accepted() -> IbSession:
    """A session that has sent `SEQ`, asked twice, and found it nowhere."""
    session = submitted()
    assert query(session) + query(session) == [OrderNotAccepted(SEQ)]
    return session


def breaks(session: IbSession) -> tuple[str, ...]:
    return reconciled(session, NOTHING).breaks


@pytest.mark.parametrize("word", ["PendingSubmit", "PreSubmitted", "Submitted"])
def test_an_order_that_was_called_not_accepted_and_turns_up_is_cancelled_and_is_a_break(word: str):
    session = not_accepted()

    assert hear(session, opened(word), status(word)) == []
    assert session.cancels_due() == [CancelOrder(ORDER_ID)]
    assert asks(session)
    assert query(session, opened(word), status(word)) == []
    assert breaks(session) == (RISEN,)
    assert not asks(session)


def test_the_break_is_over_once_the_order_has_ended():
    session = not_accepted()
    query(session, opened(), status("Submitted"))
    assert breaks(session) == (RISEN,)

    assert hear(session, error(10147), status("PendingCancel")) == []
    assert not asks(session)
    assert hear(session, status("Cancelled")) == []
    assert asks(session)
    query(session, completed("Cancelled"))
    assert breaks(session) == ()


def test_a_cancel_that_had_no_effect_is_sent_again_by_the_next_query():
    session = not_accepted()
    for _ in range(2):
        query(session, opened(), status("Submitted"))
        assert session.cancels_due() == [CancelOrder(ORDER_ID)]
        assert session.cancels_due() == []


def test_what_was_thought_gone_is_cancelled_under_its_number_in_the_new_connection():
    session = working()
    session.new_connection()
    gone = "neither open nor completed at the broker, asked twice"
    assert query(session) + query(session) == [OrderCanceled(SEQ, NOTHING, gone)]

    session.new_connection()
    query(session, opened(order_id=3), status("Submitted", order_id=3))

    assert session.cancels_due() == [CancelOrder(3)]
    assert session.cancel(SEQ, "halted: drill") == [CancelOrder(3)]
    assert [c.seq for c in session.children.live()] == [SEQ]
    assert breaks(session) == (RISEN.replace("NotAccepted", "Canceled"),)


def test_a_restarted_firm_knows_that_it_called_the_order_not_accepted():
    session = IbSession(RUN, CLIENT, Decimal(1))
    told = log_of(OrderSubmitted(3, "limit", child()), OrderNotAccepted(SEQ), first_seq=SEQ)
    remember(session, told)
    session.new_connection()

    query(session, opened(order_id=3), status("Submitted", order_id=3))

    assert breaks(session) == (RISEN,)
    assert session.cancels_due() == [CancelOrder(3)]


def test_fills_of_an_order_that_was_called_not_accepted_are_told():
    session = not_accepted()

    events = hear(session, executed(10), fee("1.00"), status("Filled", 10))

    assert [type(event) for event in events] == [OrderFilled, CommissionReported]
    assert session.fills.positions == {0: Decimal(10)}
    query(session, executed(10), completed("Filled", 10), holding(10))
    assert breaks(session) == ()


def test_a_late_word_about_a_filled_order_is_nothing():
    session = working()
    hear(session, executed(10))

    assert hear(session, opened(), status("Submitted", 4), status("Filled", 10)) == []
    assert session.cancels_due() == []
    assert not asks(session)


def test_a_twin_of_a_filled_order_is_cancelled_and_a_break():
    session = working()
    hear(session, executed(10), status("Filled", 10), holding(10))

    hear(session, opened(perm_id=9002), status("Submitted", perm_id=9002))

    assert session.cancels_due() == [CancelOrder(ORDER_ID)]
    assert breaks(session) == (RISEN.replace("NotAccepted", "Filled"),)


def test_not_to_be_found_means_nothing_for_an_order_that_is_still_under_way():
    session = submitted()
    for _ in range(3):
        session.begin_query({SEQ})
        assert session.end_query() == ([], False)

    assert session.children[SEQ].state is OrderState.PENDING_NEW
    session.begin_query()
    assert session.end_query() == ([], True)


def test_what_a_query_finds_counts_for_an_order_that_is_still_under_way():
    session = submitted()

    session.begin_query({SEQ})
    hear(session, completed("Cancelled", 0, "Cancelled by Trader"))

    assert session.end_query()[0] == []
    assert session.children[SEQ].state is OrderState.CANCELED


def test_another_clients_number_is_not_ours():
    session = working()
    session.new_connection()
    session.cancel(SEQ, "enough")

    query(session, opened(order_id=3, client=OTHER_CLIENT))

    assert session.children[SEQ].order_id is None
    assert session.cancels_due() == []
    assert session.children.by_order_id(3) is None


def test_an_order_of_ours_under_another_client_id_is_a_break_until_it_has_ended():
    session = working()
    session.new_connection()
    query(session, opened(order_id=3, client=OTHER_CLIENT))

    order = f"order {RUN}-{SEQ} (permId {PERM_ID}) is live under client id {OTHER_CLIENT}"
    assert breaks(session) == (f"{order}, the firm's is {CLIENT}: it cannot be cancelled from here",)
    hear(session, status("Cancelled"))
    assert asks(session)
    query(session, completed("Cancelled"))
    assert breaks(session) == ()


def test_an_order_that_rises_while_it_is_doubted_is_not_told_twice():
    session = submitted()
    session.unanswered(SEQ, 5000)
    assert query(session) + query(session) == [OrderNotAccepted(SEQ)]

    events = hear(session, error(103), opened(), status("Submitted"))

    assert not [event for event in events if isinstance(event, OrderUnknown | OrderNotAccepted)]
    assert session.cancels_due() == [CancelOrder(ORDER_ID)]
