"""Reads the log as it grows and hands the shadow whole cycles; a finished log is one that grows no more."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from firm.bus.recorded import cycle_starts
from firm.events import Record
from firm.events.orders import OrderProposed
from firm.events.record import LogReader
from firm.events.signals import BarrierClosed
from firm.events.system import ShutdownRequested
from firm.shadow.decision import Decision
from firm.shadow.shadow import Shadow

CHUNK: Final = 20_000
"""Entries read at once."""


def decisions(log: LogReader, shadow: Shadow, wait: Callable[[], bool]) -> Iterator[Decision]:
    """Every decision in `log`, as soon as the cycle after it has begun, until the firm has shut down.

    `wait` is called when there is nothing new: it returns True when it is time to look again, False to end
    with what there is. A cycle that may not be whole is only compared if its orders are: they are one commit.
    """
    since, pending, settled = shadow.first_seq, [], False
    while True:
        news = log.read(since, CHUNK)
        if news:
            settled, since = False, news[-1].seq
            pending += news
            *_, last = starts = [0, *cycle_starts(pending)[1:]]
            for start, end in pairwise(starts):
                decision = shadow.live(pending[start:end])
                if decision is not None:
                    yield decision
            del pending[:last]
        elif settled or not wait():
            break
        else:
            settled = any(record.kind == ShutdownRequested.KIND for record in pending)
    if _chain_is_whole(pending):
        compared = shadow.compare(pending)
        if compared is not None:
            yield compared[0]


def _chain_is_whole(cycle: Sequence[Record]) -> bool:
    kinds = [record.kind for record in cycle]
    return BarrierClosed.KIND in kinds and OrderProposed.KIND in kinds
