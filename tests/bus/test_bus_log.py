"""The log as a cycle sees it: what is recorded must come out again, what is new is appended and committed."""

import pytest

from firm.bus.log import Log
from firm.errors import ReplayDiverged
from firm.events import Event, Origin, Record, encode
from firm.events.risk import RiskHaltRequested
from firm.events.system import CycleKind, CycleOpened, TradingHalted
from firm.store.memory import MemoryStore

OPENED = CycleOpened(1, CycleKind.REACTION, 0)


def entry(seq: int, event: Event = OPENED, author: str = "bus", origin: Origin = Origin.INPUT) -> Record:
    return Record(seq, 100, origin, author, 0, 0, event.KIND, encode(event))


def said(seq: int, reason: str, author: str = "risk") -> Record:
    return entry(seq, RiskHaltRequested(reason), author, Origin.DERIVED)


def test_new_entries_are_kept_back_until_the_commit_and_then_stored_together():
    store = MemoryStore()
    log = Log(store)

    assert log.append(entry(1))
    assert log.append(said(2, "loss"))
    assert store.last_seq == 0
    log.commit()
    assert store.read() == [entry(1), said(2, "loss")]
    log.commit()
    assert store.last_seq == 2
    assert log.next_seq == 3


def test_what_is_recorded_already_is_not_stored_again_and_is_counted_by_author():
    store = MemoryStore()
    recorded = [entry(1), said(2, "a"), said(3, "b"), said(4, "c", "cio")]
    store.commit(recorded)
    log = Log(store, recorded)

    assert [log.append(record) for record in recorded] == [False] * 4
    assert log.append(said(5, "d"))
    log.commit()

    assert store.read(since=4) == [said(5, "d")]
    assert log.matched == {"risk": 2, "cio": 1}


@pytest.mark.parametrize(
    "other",
    [
        said(2, "another reason"),
        said(2, "loss", "cio"),
        said(2, "loss")._replace(at=101),
        said(2, "loss")._replace(cause=1),
        said(2, "loss")._replace(index=1),
        said(2, "loss")._replace(origin=Origin.INPUT),
        entry(2, TradingHalted("loss"), "risk", Origin.DERIVED),
    ],
)
def test_an_entry_that_differs_from_the_record_in_anything_is_refused_with_both(other: Record):
    log = Log(None, [entry(1), said(2, "loss")])
    log.append(entry(1))

    with pytest.raises(ReplayDiverged) as diverged:
        log.append(other)

    assert diverged.value.seq == 2
    assert "[risk at 100 on 0/0] RiskHaltRequested(reason='loss')" in diverged.value.recorded
    assert f"[{other.author} at {other.at}" in diverged.value.recomputed


def test_an_entry_out_of_turn_is_a_bug():
    with pytest.raises(AssertionError, match="seq 2 out of turn, 1 is next"):
        Log(MemoryStore()).append(entry(2))


def test_without_a_store_what_lies_beyond_the_record_is_counted_and_dropped():
    log = Log(None, [entry(7)])

    log.append(entry(7))
    log.append(said(8, "a"))
    log.append(said(9, "b"))
    log.commit()

    assert (log.beyond, log.next_seq, log.matched) == (2, 10, {})


def test_the_rest_of_the_cycle_ends_where_the_next_one_opens():
    log = Log(None, [entry(1), said(2, "a"), said(3, "b"), entry(4), said(5, "c")])

    log.append(entry(1))
    assert log.recorded_in_cycle() == [said(2, "a"), said(3, "b")]
    log.append(said(2, "a"))
    log.append(said(3, "b"))
    assert log.recorded_in_cycle() == []
