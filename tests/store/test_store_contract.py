"""What every store must do, checked on each."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from store_attack import batches, record, records

from firm.bus.chain import GENESIS, extend, link
from firm.errors import StoreError
from firm.events.record import EventStore
from firm.store.keys import Keys
from firm.store.memory import MemoryStore
from firm.store.sqlite import SqliteStore

Store = MemoryStore | SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
def fresh(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, keys: Keys
) -> Iterator[Callable[[], Store]]:
    opened: list[Store] = []

    def make() -> Store:
        if request.param == "memory":
            opened.append(MemoryStore())
        else:
            opened.append(SqliteStore.open(tmp_path_factory.mktemp("store"), keys))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(fresh: Callable[[], Store]) -> Store:
    return fresh()


def test_a_new_store_is_empty(store: EventStore):
    assert (store.last_seq, store.head, store.epoch, store.read()) == (0, GENESIS, 1, [])


def test_what_is_committed_is_read_back_in_order(store: EventStore):
    store.commit(records(1, 3))
    store.commit(records(4, 5))

    assert store.read() == records(1, 5)
    assert store.last_seq == 5


def test_the_head_is_the_chain_over_all_records(store: EventStore):
    returned = store.commit(records(1, 3))

    by_hand = link(link(link(GENESIS, record(1)), record(2)), record(3))
    assert returned == store.head == by_hand == extend(GENESIS, records(1, 3))[-1]


def test_an_empty_batch_changes_nothing(store: EventStore):
    head = store.commit(records(1, 2))

    assert store.commit([]) == head
    assert store.last_seq == 2


@pytest.mark.parametrize("seqs", [[2], [1, 3], [1, 1], [0], [1, 2, 4]])
def test_a_batch_that_does_not_continue_the_log_is_refused_whole(store: EventStore, seqs: list[int]):
    with pytest.raises(StoreError, match="nothing of this batch was stored"):
        store.commit([record(seq) for seq in seqs])

    assert (store.last_seq, store.head, store.read()) == (0, GENESIS, [])


def test_a_committed_seq_cannot_be_committed_again(store: EventStore):
    store.commit(records(1, 2))

    with pytest.raises(StoreError, match="must have seq 3, found 2"):
        store.commit([record(2)])


def test_a_record_that_cannot_be_encoded_takes_its_whole_batch_with_it(store: EventStore):
    store.commit([record(1)])
    head = store.head

    with pytest.raises(UnicodeEncodeError):
        store.commit([record(2), record(3)._replace(author="\ud800")])

    assert (store.last_seq, store.head, store.read()) == (1, head, [record(1)])


def test_reading_can_begin_later_and_stop_earlier(store: EventStore):
    store.commit(records(1, 9))

    assert store.read(since=6) == records(7, 9)
    assert store.read(since=2, limit=3) == records(3, 5)
    assert store.read(limit=0) == []
    assert store.read(since=9) == store.read(since=100) == []


def test_reading_can_choose_kinds(store: EventStore):
    mixed = [record(seq, kind=seq % 4) for seq in range(1, 13)]
    store.commit(mixed)

    assert [each.seq for each in store.read(kinds={1, 3})] == [1, 3, 5, 7, 9, 11]
    assert [each.seq for each in store.read(since=3, limit=2, kinds=[1, 3])] == [5, 7]
    assert store.read(kinds=set()) == []


def test_operations_are_kept_beside_the_log_and_do_not_change_the_head(store: Store):
    store.operation("restart", {"pid": 12, "reasons": ["crash"]})
    store.commit(records(1, 1))
    store.operation("latency_ms", 3.5)
    store.flush()

    assert [(each.epoch, each.name, each.value) for each in store.operations()] == [
        (1, "restart", {"pid": 12, "reasons": ["crash"]}),
        (1, "latency_ms", 3.5),
    ]
    assert store.head == link(GENESIS, record(1))


def test_a_closed_store_refuses_commits(store: Store):
    store.close()
    store.close()

    with pytest.raises(StoreError):
        store.commit([record(1)])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_batches=batches())
def test_any_records_come_back_bit_for_bit(fresh: Callable[[], Store], given_batches: list):
    store = fresh()
    for batch in given_batches:
        store.commit(batch)

    flat = [each for batch in given_batches for each in batch]
    assert store.read() == flat
    assert store.head == (extend(GENESIS, flat) or [GENESIS])[-1]
    store.close()
