"""Lives the live firm's log cycle by cycle; at each decision the candidate decides from the same state."""

import copy
from collections.abc import Sequence

from firm.bus.cycle import Cycle
from firm.bus.log import Log
from firm.bus.recorded import RecordedCrew, recorded_batch
from firm.config import Settings
from firm.errors import ConfigError
from firm.events import CODEC, Record
from firm.events.record import LogReader
from firm.events.signals import BarrierClosed
from firm.events.system import CycleKind, CycleOpened, TradingHalted, TradingRearmed
from firm.roster import rules
from firm.shadow.candidate import Candidate, Following
from firm.shadow.decision import Decision, compared

TOLD_OF_HALTS = ("risk", "cio", "compliance")


class CollectingLog(Log):
    """A log without a store that keeps what is appended: the candidate's words of one cycle."""

    def __init__(self, next_seq: int) -> None:
        super().__init__(None, next_seq=next_seq)
        self.records: list[Record] = []

    def append(self, record: Record) -> bool:
        """See Log."""
        self.records.append(record)
        return super().append(record)


class _NoHistory:
    """A LogReader of nothing: whoever follows the record is never rebuilt from it."""

    last_seq = 0
    head = bytes(32)

    def read(self, since: int = 0, limit: int | None = None, kinds: object = None) -> list[Record]:
        """See LogReader."""
        del since, limit, kinds
        return []


class Shadow:
    """Two configurations, one log. It takes records and returns comparisons: there is nothing to send with.

    At each decision the candidate sees the live firm's market, positions, cash, open orders, halts and
    breaks; it decides; the comparison is kept; and everything its orders would have led to is forgotten. Its
    own opinions of before (the CIO's targets) and its own loss watch stay.
    """

    def __init__(self, first: Record, live: Settings, candidate: Settings) -> None:
        """`first` is the log's first entry. ConfigError if the two cannot be compared on one log."""
        _require_comparable(live, candidate)
        self._live_rules, self._rules = rules(live), rules(candidate)
        self._candidate = Candidate(candidate)
        self._following = Following(self._candidate)
        self._history: LogReader = _NoHistory()
        self._cycle = Cycle(self._live_rules, self._following, self._history)
        self._cycle.rebuild([first])
        self._halted_alone: str | None = None
        self.first_seq = first.seq

    def compare(self, cycle: Sequence[Record]) -> tuple[Decision, list[Record]] | None:
        """The candidate's decision beside the recorded one, and all its words; None if it is no decision.

        `cycle` holds the records from `CycleOpened` on, at least to the end of the order chain.
        """
        opened = CODEC.event(cycle[0])
        assert isinstance(opened, CycleOpened)
        if opened.kind is not CycleKind.DECISION:
            return None
        halted = self._cycle.halt.reason
        own = self._own_cycle()
        log = CollectingLog(cycle[0].seq)
        self._candidate.expect(cycle)
        own.run(log, *recorded_batch(cycle))
        self._candidate.decided(log.records, max(r.seq for r in cycle if r.kind == BarrierClosed.KIND))
        self._halted_alone = own.halt.reason if halted is None else None
        decision = compared(opened.cycle, cycle, log.records, self._cycle.market.instruments)
        return decision, log.records

    def live(self, cycle: Sequence[Record]) -> Decision | None:
        """Take in one finished cycle of the live firm; the comparison if it was a decision.

        ReplayDiverged if the cycle cannot be lived again with the recorded configuration.
        """
        found = self.compare(cycle)
        log = Log(None, cycle, cycle[0].seq)
        self._following.recorded = RecordedCrew(log)
        self._cycle.run(log, *recorded_batch(cycle))
        assert not log.beyond, "a finished cycle came out longer than its record"
        if found is None:
            return None
        self._settle_halts(cycle[-1])
        return found[0]

    def _own_cycle(self) -> Cycle:
        """The bus's state as of now, in the candidate's hands: its rules and its crew instead of the live."""
        exchanged = {
            id(self._live_rules): self._rules,
            id(self._following): self._candidate,
            id(self._history): self._history,
        }
        return copy.deepcopy(self._cycle, exchanged)

    def _settle_halts(self, last: Record) -> None:
        """The live firm's halt is the candidate's: one of its own is reported and ends with the decision."""
        live = self._cycle.halt.reason
        if live is not None:
            self._candidate.tell(TOLD_OF_HALTS, last.seq, last.at, TradingHalted(live))
        elif self._halted_alone is not None:
            self._candidate.tell(TOLD_OF_HALTS, last.seq, last.at, TradingRearmed("shadow", "live goes on"))


def _require_comparable(live: Settings, candidate: Settings) -> None:
    for name, ours, theirs in (
        ("schedule", live.schedule, candidate.schedule),
        ("universe.symbols", live.universe.symbols, candidate.universe.symbols),
        ("system.base_currency", live.system.base_currency, candidate.system.base_currency),
    ):
        if ours != theirs:
            raise ConfigError(
                f"a shadow decides when the live firm does, on its instruments: {name} needs {ours!r} as in"
                f" the log, found {theirs!r}; take the live firm's value"
            )
