"""What every store agrees on: how a batch must be numbered, and what an operation looks like."""

from collections.abc import Sequence
from typing import NamedTuple

from firm.errors import StoreError
from firm.events.record import Record


class Operation(NamedTuple):
    """A fact about a run that is no part of the log: a restart, a latency, a pid. Not hashed."""

    at_wall_ns: int
    epoch: int
    name: str
    value: object


def require_next(last_seq: int, records: Sequence[Record]) -> None:
    """Refuse a batch that does not continue the log at `last_seq` + 1 without a gap."""
    for expected, record in enumerate(records, last_seq + 1):
        if record.seq != expected:
            raise StoreError(
                f"the next entry must have seq {expected}, found {record.seq}; nothing of this batch was"
                f" stored. Number entries from last_seq + 1 = {last_seq + 1} without gaps."
            )
