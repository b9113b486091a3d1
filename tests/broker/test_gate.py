"""The gate to the broker: what moves it, and what it lets through."""

from itertools import product

import pytest
from conversation import error, fresh_session, hear

from firm.broker.gate import TRANSITIONS, Gate, Signal
from firm.events.broker import GateChanged, GateState

CLOSED, SYNCING, OPEN, DEGRADED, FROZEN = GateState


def gate(*signals: Signal) -> Gate:
    made = Gate()
    for signal in (Signal.CONNECTED, Signal.RECONCILED, *signals):
        made.hear(signal, signal.name)
    return made


@pytest.mark.parametrize(
    ("signals", "state", "orders", "cancels"),
    [
        ((), OPEN, True, True),
        ((Signal.DATA_IMPAIRED,), DEGRADED, True, True),
        ((Signal.DATA_IMPAIRED, Signal.DATA_WELL), OPEN, True, True),
        ((Signal.LINK_LOST,), FROZEN, False, False),
        ((Signal.LINK_LOST, Signal.LINK_BACK), SYNCING, False, True),
        ((Signal.LINK_LOST, Signal.LINK_BACK, Signal.RECONCILED), OPEN, True, True),
        ((Signal.DATA_IMPAIRED, Signal.LINK_LOST, Signal.LINK_BACK, Signal.RECONCILED), DEGRADED, True, True),
        ((Signal.DISCONNECTED,), CLOSED, False, False),
        ((Signal.DISCONNECTED, Signal.RECONCILED), CLOSED, False, False),
        ((Signal.RESTART_NEAR,), FROZEN, False, True),
        ((Signal.RESTART_NEAR, Signal.LINK_LOST), FROZEN, False, False),
        ((Signal.RESTART_NEAR, Signal.LINK_LOST, Signal.RESTART_PAST), FROZEN, False, False),
        ((Signal.RESTART_NEAR, Signal.RESTART_PAST), SYNCING, False, True),
        (
            (Signal.RESTART_NEAR, Signal.DISCONNECTED, Signal.CONNECTED, Signal.RECONCILED),
            FROZEN,
            False,
            True,
        ),
    ],
    ids=lambda value: "-".join(s.name for s in value) if isinstance(value, tuple) else str(value),
)
def test_where_the_gate_stands_and_what_may_pass(
    signals: tuple[Signal, ...], state: GateState, orders: bool, cancels: bool
):
    found = gate(*signals)

    assert (found.state, found.orders, found.cancels) == (state, orders, cancels)


@pytest.mark.parametrize("start", [(), (Signal.LINK_LOST,), (Signal.RESTART_NEAR,), (Signal.DISCONNECTED,)])
def test_every_move_is_told_and_is_in_the_table(start: tuple[Signal, ...]):
    for signals in product(Signal, repeat=3):
        found = gate(*start)
        for signal in signals:
            before = found.state
            for event in found.hear(signal, "why"):
                assert isinstance(event, GateChanged)
                assert event.before is before
                assert event.after in {to for (state, _), to in TRANSITIONS.items() if state is before}
                before = event.after
            assert found.state is before


@pytest.mark.parametrize("code", [1100, 2110])
def test_a_lost_link_freezes_the_gate_and_its_return_needs_a_reconciliation(code: int):
    session = fresh_session()

    hear(session, error(code, about=-1))
    assert session.link.gate.state is FROZEN
    session.link.restored()
    assert session.link.gate.state is FROZEN
    hear(session, error(1102, about=-1))
    assert session.link.gate.state is SYNCING
    session.link.restored()
    assert session.link.gate.state is OPEN


def test_farms_are_counted_one_by_one_and_only_those_of_quotes():
    session = fresh_session()

    hear(session, error(2103, "Market data farm connection is broken:usfarm", about=-1))
    hear(session, error(2103, "Market data farm connection is broken:eufarm", about=-1))
    hear(session, error(2105, "HMDS data farm connection is broken:ushmds", about=-1))
    assert session.link.farms == "down: eufarm, usfarm"
    hear(session, error(2104, "Market data farm connection is OK:usfarm", about=-1))
    assert session.link.farms == "down: eufarm"
    hear(
        session,
        error(2108, "Market data farm connection is inactive but should be available:eufarm", about=-1),
    )
    assert session.link.farms is None
