"""Replay: every agent is run again from the recorded inputs, and everything it says is compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from firm.bus.chain import GENESIS, extend
from firm.bus.crew import Crew
from firm.bus.cycle import Cycle, Rules
from firm.bus.log import Log
from firm.bus.recorded import cycle_starts, recorded_batch
from firm.errors import ReplayDiverged
from firm.events import Origin, Record
from firm.events.record import LogReader


@dataclass(frozen=True)
class Replayed:
    """The outcome: entries compared, the head they give, and derived entries by author."""

    entries: int
    head: bytes
    recorded: dict[str, int]
    recomputed: dict[str, int]


def replay(
    store: LogReader, rules: Rules, crew: Crew, progress: Callable[[int, int], None] = lambda _a, _b: None
) -> Replayed:
    """Live the whole log again. `progress` is told (entries done, entries in all) after each cycle.

    Raises ReplayDiverged at the first entry that comes out differently, or does not come out at all.
    """
    records = store.read()
    log = Log(None, records[1:], next_seq=2)
    cycle = Cycle(rules, crew, store)
    cycle.rebuild(records[:1])
    for start, end in pairwise([*cycle_starts(records), len(records)]):
        if log.next_seq != records[start].seq:
            raise ReplayDiverged(log.next_seq, repr(records[log.next_seq - 1]), "the cycle had ended")
        batch, at = recorded_batch(records[start:end])
        cycle.run(log, batch, at)
        progress(min(log.next_seq - 1, len(records)), len(records))
    if log.next_seq <= len(records):
        raise ReplayDiverged(log.next_seq, repr(records[log.next_seq - 1]), "the run had ended")
    recorded = _by_author(records)
    for author, count in recorded.items():
        if log.matched.get(author, 0) != count:
            raise ReplayDiverged(0, f"{count} entries of {author}", f"{log.matched.get(author, 0)}")
    return Replayed(len(records), extend(GENESIS, records)[-1], recorded, log.matched)


def _by_author(records: Sequence[Record]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for record in records:
        if record.origin == Origin.DERIVED:
            counts[record.author] = counts.get(record.author, 0) + 1
    return counts
