"""The log in memory: the same rules as on disk, nothing survives. For backtests and tests."""

import json
import time
from collections.abc import Collection, Sequence

from firm.bus.chain import GENESIS, extend
from firm.errors import StoreError
from firm.events.record import Record
from firm.store.rows import Operation, require_next


class MemoryStore:
    """An EventStore whose log lives as long as the object. It has one writer, so its epoch is always 1."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._head = GENESIS
        self._operations: list[Operation] = []
        self._closed = False

    @property
    def last_seq(self) -> int:
        """See EventStore."""
        return len(self._records)

    @property
    def head(self) -> bytes:
        """See EventStore."""
        return self._head

    @property
    def epoch(self) -> int:
        """See EventStore."""
        return 1

    def commit(self, records: Sequence[Record]) -> bytes:
        """See EventStore."""
        if self._closed:
            raise StoreError("this store is closed; what was in it is gone. Make a new MemoryStore.")
        require_next(self.last_seq, records)
        if records:
            self._head = extend(self._head, records)[-1]
            self._records.extend(records)
        return self._head

    def read(
        self, since: int = 0, limit: int | None = None, kinds: Collection[int] | None = None
    ) -> list[Record]:
        """See EventStore."""
        found = self._records[max(since, 0) :]
        if kinds is not None:
            found = [record for record in found if record.kind in kinds]
        return found if limit is None else found[:limit]

    def operation(self, name: str, value: object) -> None:
        """See EventStore."""
        self._operations.append(Operation(time.time_ns(), self.epoch, name, json.loads(json.dumps(value))))

    def operations(self, since: int = 0) -> list[Operation]:
        """Every operation noted so far but the first `since`, oldest first."""
        return self._operations[since:]

    def flush(self) -> None:
        """Nothing to do: an operation is kept as soon as it is noted."""

    def close(self) -> None:
        """Refuse further commits."""
        self._closed = True
