"""A log of every released schema must replay: a decision that changes is a bug, or a line in CHANGELOG.md.

After a change on purpose: python tools/record_replay_log.py tests/replay/schema_1.msgpack
"""

from pathlib import Path

import msgspec
import pytest

from firm.bus.replay import replay
from firm.events import CODEC, Record, broker
from firm.events.base import Event
from firm.events.orders import OrderProposed
from firm.events.signals import BarrierClosed
from firm.events.system import InstrumentsResolved
from firm.local import LocalCrew
from firm.risk_kernels.fingerprint import numeric_fingerprint
from firm.roster import recorded_settings, rules
from firm.store.memory import MemoryStore

LOGS = sorted(Path(__file__).parent.glob("schema_*.msgpack"))


def test_there_is_a_recorded_log():
    assert LOGS


def test_the_newest_log_has_every_word_of_the_broker_and_what_was_decided_then():
    events = [CODEC.event(Record(*row)) for row in msgspec.msgpack.decode(LOGS[-1].read_bytes())]
    words = {cls for cls in vars(broker).values() if isinstance(cls, type) and issubclass(cls, Event)} - {
        Event
    }
    [ko] = [
        i.index
        for e in events
        if isinstance(e, InstrumentsResolved)
        for i in e.instruments
        if i.symbol == "KO"
    ]
    proposed: list[set[int]] = []
    for event in events:
        if isinstance(event, BarrierClosed):
            proposed.append(set())
        if isinstance(event, OrderProposed):
            proposed[-1].add(event.order.instrument)

    assert len(words) == 7
    assert words <= {type(event) for event in events}
    stale_ko, one_share_too_many, frozen_gate, all_well = proposed
    assert stale_ko
    assert ko not in stale_ko
    assert one_share_too_many == frozen_gate == set()
    assert ko in all_well


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_a_recorded_log_replays_to_the_last_word(path):
    store = MemoryStore()
    store.commit([Record(*row) for row in msgspec.msgpack.decode(path.read_bytes())])
    started, settings = recorded_settings(store)
    if started.fingerprint != numeric_fingerprint():
        pytest.skip("recorded on another kind of machine: floats may differ in the last bit")

    replayed = replay(store, rules(settings), LocalCrew(settings))

    assert replayed.head == store.head
    assert replayed.recomputed == replayed.recorded
    assert all(replayed.recorded.values())
