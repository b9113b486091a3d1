"""The log as a cycle sees it: what is recorded already must come out again, what is new is appended."""

from collections import deque
from collections.abc import Iterable, Sequence

from firm.errors import ReplayDiverged
from firm.events import CODEC, Origin, Record
from firm.events.record import EventStore
from firm.events.system import CycleOpened


class Log:
    """Appends to a store; first checks against `recorded`, the part of the log that is being lived again."""

    def __init__(self, store: EventStore | None, recorded: Iterable[Record] = (), next_seq: int = 1) -> None:
        """Without a store (a pure replay), entries beyond the record are counted and dropped."""
        self._store = store
        self._recorded = deque(recorded)
        self._fresh: list[Record] = []
        self.next_seq = self._recorded[0].seq if self._recorded else next_seq
        self.matched: dict[str, int] = {}
        self.beyond = 0

    def append(self, record: Record) -> bool:
        """Take the next record; True if it is new. One that differs from the log raises ReplayDiverged."""
        assert record.seq == self.next_seq, f"seq {record.seq} out of turn, {self.next_seq} is next"
        self.next_seq += 1
        if self._recorded:
            expected = self._recorded.popleft()
            if expected != record:
                raise ReplayDiverged(record.seq, describe(expected), describe(record))
            if record.origin == Origin.DERIVED:
                self.matched[record.author] = self.matched.get(record.author, 0) + 1
            return False
        self._fresh.append(record)
        return True

    def commit(self) -> None:
        """Make everything appended durable."""
        fresh, self._fresh = self._fresh, []
        if self._store is None:
            self.beyond += len(fresh)
        elif fresh:
            self._store.commit(fresh)

    def recorded_in_cycle(self) -> Sequence[Record]:
        """What the log already holds of the rest of the current cycle."""
        rest = []
        for record in self._recorded:
            if record.kind == CycleOpened.KIND:
                break
            rest.append(record)
        return rest


def describe(record: Record) -> str:
    """A record for people: who, what, with which content."""
    event = CODEC.event(record)
    return f"[{record.author} at {record.at} on {record.cause}/{record.index}] {event!r}"
