"""Who has heard what: each agent's unheard entries, and what it must be told again after a death."""

from collections.abc import Iterable, Sequence

from firm.bus.relay import Seat, Stage
from firm.events import Record
from firm.events.orders import OrderCleared, OrderProposed, OrderSubmitted
from firm.events.record import LogReader
from firm.events.scheduled import ScheduledTick
from firm.events.signals import BarrierClosed
from firm.events.system import CycleAborted, EntrySkipped

INBOX_MAX = 10_000
"""An agent that has nothing to answer is called all the same when so many entries wait for it."""

_MOMENTS = frozenset({ScheduledTick.KIND, BarrierClosed.KIND})
_ACTIONS = frozenset({OrderProposed.KIND, OrderSubmitted.KIND})


class Inboxes:
    """One queue an agent. The unheard entries of an agent are always a suffix of all it listens to."""

    def __init__(self, seats: Iterable[Seat], history: LogReader) -> None:
        """`history` is read only to tell an agent again what it had heard."""
        self._seats = {seat.name: seat for seat in seats}
        self._history = history
        self._unheard: dict[str, list[Record]] = {name: [] for name in self._seats}
        self._poisoned: dict[str, tuple[int, int]] = {}
        self._skipped: dict[str, set[int]] = {name: set() for name in self._seats}
        self._last_seq = 0

    @property
    def names(self) -> tuple[str, ...]:
        """All agents, in seating order."""
        return tuple(self._seats)

    def route(self, record: Record, heard_already: Sequence[str] = ()) -> None:
        """Queue a record for everybody who listens to its kind and has not heard it in its own chain."""
        self._last_seq = record.seq
        for name, seat in self._seats.items():
            if record.kind in seat.hears and name not in heard_already:
                self._unheard[name].append(record)

    def called(self, names: Sequence[str]) -> list[str]:
        """Who of `names` has something to answer, or may get it from someone called before.

        And whose inbox is full: what it hears then it answers nothing to, so the log stays the same.
        """
        called: list[str] = []
        may_be_said: frozenset[int] = frozenset()
        for name in names:
            seat = self._seats[name]
            unheard = self._unheard[name]
            waiting = len(unheard) >= INBOX_MAX or any(record.kind in seat.answers for record in unheard)
            if name not in self._poisoned and (waiting or may_be_said & seat.answers):
                called.append(name)
                may_be_said |= seat.says
        return called

    def may_say(self, name: str, kind: int) -> bool:
        """Whether an agent has declared that it says this kind."""
        return kind in self._seats[name].says

    def stage(self, name: str) -> Stage:
        """The agent's turn in a chain: its name and all it has not heard."""
        return Stage(name, tuple(self._unheard[name]))

    def heard(self, names: Iterable[str]) -> None:
        """These agents have heard all there was."""
        for name in names:
            self._unheard[name].clear()

    def poison(self, aborted: CycleAborted) -> None:
        """An agent failed twice: it is not called until a named person lets it skip the entry."""
        self._poisoned[aborted.stage] = (aborted.failed_seq, self._last_seq)

    @property
    def anyone_ill(self) -> bool:
        """Whether an agent waits for a named person to let it skip an entry."""
        return bool(self._poisoned)

    def skip(self, skipped: EntrySkipped) -> None:
        """Let an agent pass over the entry it cannot digest; skipping anything else changes nothing.

        The moments it missed have passed, and what was cleared in the cycle it aborted counts as refused: it
        does not hear of these any more.
        """
        name = skipped.agent
        failed, aborted = self._poisoned.get(name, (0, 0))
        if failed != skipped.skipped_seq:
            return
        del self._poisoned[name]
        late = [r.seq for r in self._unheard[name] if r.kind == OrderCleared.KIND and r.seq <= aborted]
        self._leave_out(name, {failed, *late, *self._missed(name)})

    def halt(self) -> None:
        """Trading is halted: who proposes or sends does not hear of the moments before it any more.

        Whoever is ill keeps them until it may skip, lest the entry it failed on is lost among them.
        """
        for name, seat in self._seats.items():
            if seat.says & _ACTIONS and name not in self._poisoned:
                self._leave_out(name, self._missed(name))

    def _missed(self, name: str) -> set[int]:
        moments = _MOMENTS & self._seats[name].answers
        return {record.seq for record in self._unheard[name] if record.kind in moments}

    def _leave_out(self, name: str, seqs: set[int]) -> None:
        self._skipped[name] |= seqs
        self._unheard[name] = [record for record in self._unheard[name] if record.seq not in seqs]

    def heard_to(self, name: str) -> int:
        """The last seq of which the agent has heard everything that it listens to."""
        unheard = self._unheard[name]
        return unheard[0].seq - 1 if unheard else self._last_seq

    def memory(self, name: str) -> Iterable[Record]:
        """What the agent has heard so far, to rebuild it."""
        end, skipped = self.heard_to(name), self._skipped[name]
        records = self._history.read(kinds=self._seats[name].hears)
        return (record for record in records if record.seq <= end and record.seq not in skipped)
