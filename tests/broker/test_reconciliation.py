"""Breaks with their class, cash against the log, fees that never come, and all of it across a restart."""

from decimal import Decimal

from conversation import (
    CLIENT,
    ORDER_ID,
    RUN,
    SEQ,
    asks,
    child,
    completed,
    executed,
    fee,
    fresh_session,
    hear,
    holding,
    log_of,
    opened,
    query,
    reconciled,
    status,
    working,
)

from firm.broker.exposure import reduces
from firm.broker.ib_session import CHANGED, IbSession
from firm.broker.memory import remember
from firm.domain.order import Side
from firm.events.broker import BreakClass, BreakClosed, BreakFound, Severity
from firm.events.orders import CommissionReported, OrderCanceled, OrderUnknown

HUNDRED_K = Decimal(100_000)
FILLED = (executed(10), fee("1.00"), completed("Filled", 10), holding(10))


def settled(session: IbSession, *answers: object, cash: Decimal) -> list:
    query(session, *answers)
    return session.reconciled(cash)[:-1]


def test_a_position_break_is_found_once_and_closed_once():
    session = fresh_session()
    text = "AAPL: the broker holds 5, the log adds up to 0"

    assert settled(session, holding(5), cash=HUNDRED_K) == [
        BreakFound(BreakClass.POSITION, Severity.CRITICAL, "AAPL", text)
    ]
    assert settled(session, holding(5), cash=HUNDRED_K) == []
    assert settled(session, cash=HUNDRED_K) == [BreakClosed(BreakClass.POSITION, "AAPL")]


def test_a_break_that_grows_is_told_again():
    session = fresh_session()
    settled(session, holding(5), cash=HUNDRED_K)

    (again,) = settled(session, holding(7), cash=HUNDRED_K)
    assert again.text == "AAPL: the broker holds 7, the log adds up to 0"


def test_an_order_that_ended_with_less_than_the_log_has_stays_unknown_until_the_positions_agree():
    session = working()
    hear(session, executed(8))  # corrected to 3 unseen, which hides that 4 more were executed

    (unknown,) = query(session, completed("Filled", 7), holding(7))

    assert unknown == OrderUnknown(SEQ, "ended with 7 filled at the broker, the log adds up to 8")
    assert not asks(session)
    corrected, unseen = executed(3, "0000e0d5.6553f7a8.01.02"), executed(4, "0000e0d5.6553f7a8.02.01")
    *_, last = hear(session, corrected, unseen)
    assert last == OrderCanceled(SEQ, Decimal(7), CHANGED)


def test_an_order_that_ended_with_less_than_the_log_has_is_over_if_the_positions_agree():
    session = working()
    hear(session, status("Cancelled", 4), executed(6))

    assert asks(session)
    (over,) = query(session, completed("Cancelled", 4, "Cancelled by Trader"), holding(6))
    assert isinstance(over, OrderCanceled)
    assert over.filled == Decimal(6)


def test_a_stray_order_alarms():
    session = fresh_session()

    (found,) = settled(session, opened(ref=f"{RUN}-999", perm_id=77), cash=HUNDRED_K)
    assert (found.kind, found.severity, found.subject) == (
        BreakClass.STRAY_ORDER,
        Severity.ALARM,
        "permId 77",
    )
    assert reconciled(session, HUNDRED_K).breaks == (
        f"order {RUN}-999 (permId 77) is live and not in the log",
    )


def test_cash_that_follows_from_the_fills_and_their_fees_is_no_break():
    session = working()
    settled(session, opened(), cash=HUNDRED_K)

    hear(session, *FILLED[:2], status("Filled", 10))
    for _ in range(3):
        assert settled(session, *FILLED, cash=HUNDRED_K - 1001) == []


def test_cash_that_differs_twice_alike_is_a_warning_that_stops_nothing():
    session = working()
    settled(session, opened(), cash=HUNDRED_K)

    assert settled(session, opened(), cash=HUNDRED_K - 500) == []
    text = "the account has 99500 in cash, the log adds up to 100000.00"
    assert settled(session, opened(), cash=HUNDRED_K - 500) == [
        BreakFound(BreakClass.CASH, Severity.WARNING, "cash", text)
    ]
    assert reconciled(session, HUNDRED_K - 500).breaks == ()


def test_cash_that_is_told_late_is_no_break():
    session = working()
    settled(session, opened(), cash=HUNDRED_K)
    hear(session, *FILLED[:2])

    assert settled(session, *FILLED, cash=HUNDRED_K) == []
    assert settled(session, *FILLED, cash=HUNDRED_K - 1001) == []


def test_a_fee_that_never_comes_is_a_warning_at_the_second_reconciliation():
    session = working()
    without = (executed(10), completed("Filled", 10), holding(10))

    assert settled(session, *without, cash=HUNDRED_K) == []
    (found,) = settled(session, *without, cash=HUNDRED_K)
    assert (found.kind, found.severity) == (BreakClass.COMMISSION, Severity.WARNING)
    assert settled(session, *FILLED, cash=HUNDRED_K) == [BreakClosed(BreakClass.COMMISSION, found.subject)]


def test_the_fee_of_an_execution_that_was_corrected_is_asked_for_anew():
    session = working()
    hear(session, *FILLED[:2])
    assert not session.questionable

    corrected = executed(9, exec_id="0000e0d5.6553f7a8.01.02")
    hear(session, corrected)
    assert session.questionable
    assert hear(session, fee("0.90", corrected.exec_id)) == [
        CommissionReported(fee().exec_id[:-3], Decimal("0.90"))
    ]
    assert not session.questionable


def test_cash_is_compared_again_once_a_fee_is_given_up():
    session = working()
    settled(session, opened(), cash=HUNDRED_K)
    without = (executed(10), completed("Filled", 10), holding(10))

    told = [settled(session, *without, cash=HUNDRED_K - 1005) for _ in range(3)]
    assert [[event.kind for event in events] for events in told] == [
        [],
        [BreakClass.COMMISSION],
        [BreakClass.CASH],
    ]


def test_a_bust_takes_the_fill_out_of_position_and_cash():
    session = working()
    settled(session, opened(), cash=HUNDRED_K)
    hear(session, *FILLED[:2])
    busted = executed(0, exec_id="0000e0d5.6553f7a8.01.02")

    (event,) = hear(session, busted)
    assert (event.quantity, event.revision) == (Decimal(0), 2)
    assert session.fills.filled(SEQ) == 0
    assert settled(session, busted, fee("0", busted.exec_id), cash=HUNDRED_K) == []


def test_an_open_break_and_the_opening_cash_survive_a_restart():
    first = working()
    log = [*query(first, opened(), holding(5)), *first.reconciled(HUNDRED_K)]
    again = IbSession(RUN, CLIENT, Decimal(1))
    again.books.know(first.positions.instruments)
    remember(again, log_of(*log))
    again.positions.opening = {}

    assert again.books.cash.opening == HUNDRED_K
    assert settled(again, holding(5), cash=HUNDRED_K) == []
    assert settled(again, cash=HUNDRED_K) == [BreakClosed(BreakClass.POSITION, "AAPL")]


def test_only_what_brings_the_position_nearer_to_zero_with_all_that_works_reduces():
    session = fresh_session()
    session.positions.opening = {0: Decimal(10)}

    assert reduces(session, child(10, Side.SELL))
    assert not reduces(session, child(11, Side.SELL))
    assert not reduces(session, child(1, Side.BUY))
    session.submit(SEQ, child(6, Side.SELL), ORDER_ID)
    assert reduces(session, child(4, Side.SELL))
    assert not reduces(session, child(5, Side.SELL))
