"""However the gateway's messages about an order are ordered or doubled, the order ends the same way."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from conversation import SEQ, error, executed, fee, hear, log_of, opened, query, status, submitted
from hypothesis import given
from hypothesis import strategies as st

from firm.broker.ib_session import IbSession
from firm.broker.memory import remember
from firm.broker.messages import Message
from firm.domain.order import OrderState
from firm.events import Event
from firm.events.orders import (
    BrokerRejected,
    CommissionReported,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderNotAccepted,
    OrderSubmitted,
)

EXECS = tuple(f"0000e0d5.0000000{n}.01.01" for n in (1, 2, 3))
LAST_WORDS = (OrderCanceled, OrderExpired, BrokerRejected, OrderNotAccepted)

FILLED = (
    [opened("PreSubmitted"), status("PreSubmitted"), opened(), status("Submitted")]
    + [executed(n, exec_id) for n, exec_id in zip((2, 3, 5), EXECS, strict=True)]
    + [status("Submitted", 2), status("Submitted", 5), opened("Filled"), status("Filled", 10)]
    + [fee(f"0.{n}0", exec_id) for n, exec_id in zip((2, 3, 5), EXECS, strict=True)]
)
CANCELLED = [
    *(opened(), status("Submitted"), executed(3, EXECS[0]), fee("0.30", EXECS[0])),
    *(status("Submitted", 3), status("Cancelled", 3), error(202, "Order Canceled - reason:")),
]
EXPIRED = [
    *(opened(), status("Submitted"), executed(3, EXECS[0]), fee("0.30", EXECS[0])),
    *(status("Cancelled", 3), error(202, "Order Canceled - reason:the order expired at the close")),
]
REJECTED = [opened("Inactive"), status("Inactive"), error(201, "Order rejected - reason:no funds")]
LIVES: dict[OrderState, list[Message]] = {
    OrderState.FILLED: FILLED,
    OrderState.CANCELED: CANCELLED,
    OrderState.EXPIRED: EXPIRED,
    OrderState.REJECTED: REJECTED,
}


def heard_in(order: Sequence[int], life: Sequence[Message]) -> tuple[IbSession, list[Event]]:
    """Every message at least once: in the order given first, then those that were left out."""
    session = submitted()
    rest = [n for n in range(len(life)) if n not in order]
    return session, hear(session, *(life[n] for n in (*order, *rest)))


@pytest.mark.parametrize("end", LIVES, ids=str)
@given(data=st.data())
def test_any_order_and_repetition_of_messages_ends_in_the_same_state(end: OrderState, data: st.DataObject):
    life = LIVES[end]
    order = data.draw(st.lists(st.integers(0, len(life) - 1), max_size=3 * len(life)))

    session, events = heard_in(order, life)

    assert session.children[SEQ].state is end
    fills = [event for event in events if isinstance(event, OrderFilled)]
    expected = [m for m in life if type(m) is type(executed(1))]
    assert sorted(f.exec_id for f in fills) == sorted(m.exec_id[:-3] for m in expected)
    fees = [event.exec_id for event in events if isinstance(event, CommissionReported)]
    assert sorted(fees) == sorted(f.exec_id for f in fills)
    assert sum(isinstance(event, LAST_WORDS) for event in events) == (end is not OrderState.FILLED)
    assert sum(isinstance(event, OrderAccepted) for event in events) <= 1
    last = [event for event in events if isinstance(event, OrderCanceled | OrderExpired)]
    assert [event.filled for event in last] == [Decimal(3)] * len(last)


@pytest.mark.parametrize("end", LIVES, ids=str)
@given(data=st.data())
def test_a_session_rebuilt_from_the_log_at_any_point_ends_like_one_that_was_never_interrupted(
    end: OrderState, data: st.DataObject
):
    life = LIVES[end]
    cut = data.draw(st.integers(0, len(life)))
    before = submitted()
    told = hear(before, *life[:cut])
    log = log_of(OrderSubmitted(3, "limit", before.children[SEQ].order), first_seq=SEQ)
    log += log_of(*told, first_seq=SEQ + 1)

    session = IbSession("cafe0001", 11, Decimal(1))
    remember(session, log)
    session.new_connection()
    session.children.number(session.children[SEQ], 40)
    told += query(session, *life)

    assert session.children[SEQ].state is end
    assert len({e.exec_id for e in told if isinstance(e, OrderFilled)}) == sum(
        isinstance(e, OrderFilled) for e in told
    )
    assert len({e.exec_id for e in told if isinstance(e, CommissionReported)}) == sum(
        isinstance(e, CommissionReported) for e in told
    )
    assert sum(isinstance(e, LAST_WORDS) for e in told) == (end is not OrderState.FILLED)
    assert sum(isinstance(e, OrderAccepted) for e in told) <= 1


@given(data=st.data())
def test_corrections_in_any_order_leave_the_newest_revision(data: st.DataObject):
    versions = [
        executed(quantity, f"0000e0d5.00000001.01.0{revision}")
        for revision, quantity in ((1, 4), (2, 6), (3, 5))
    ]
    session = submitted()

    events = hear(session, *data.draw(st.permutations(versions)))

    revisions = [event.revision for event in events if isinstance(event, OrderFilled)]
    assert revisions == sorted(set(revisions))
    assert revisions[-1] == 3
    assert session.fills.filled(SEQ) == 5
