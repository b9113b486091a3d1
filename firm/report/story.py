"""What a reader of the report must know besides numbers: halts, a lost broker, agents that failed."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from firm.events import CODEC, Record
from firm.events.system import (
    BrokerConnected,
    BrokerDisconnected,
    CycleAborted,
    EntrySkipped,
    Reconciled,
    ShutdownRequested,
    TradingHalted,
    TradingRearmed,
)

HAPPENINGS_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened, at log time `at`, and why."""

    at: int
    what: str
    reason: str


class Story:
    """A fold of the run's incidents; `happenings` holds the newest, the counts are of all."""

    KINDS: Final = frozenset(
        cls.KIND
        for cls in (
            BrokerConnected,
            BrokerDisconnected,
            CycleAborted,
            EntrySkipped,
            Reconciled,
            ShutdownRequested,
            TradingHalted,
            TradingRearmed,
        )
    )

    def __init__(self) -> None:
        self.happenings: deque[Happening] = deque(maxlen=HAPPENINGS_KEPT)
        self.halts = 0
        self.halted: str | None = None
        self.ended: str | None = None
        self.reconciled: Reconciled | None = None
        self.reconciled_at: int | None = None
        self.account: str | None = None

    def note(self, record: Record) -> None:
        """Take in one record of `KINDS`."""
        at = record.at
        match CODEC.event(record):
            case TradingHalted(reason=reason):
                self.halts, self.halted = self.halts + 1, reason
                self._tell(at, "trading halted", reason)
            case TradingRearmed(by=by, reason=reason):
                self.halted = None
                self._tell(at, "trading re-armed", f"{by}: {reason}")
            case BrokerConnected(account=account):
                self.account = account
            case BrokerDisconnected(reason=reason):
                self._tell(at, "broker disconnected", reason)
            case CycleAborted(stage=stage, failed_seq=seq, reason=reason):
                self._tell(at, "agent failed", f"{stage} on entry {seq}: {reason}")
            case EntrySkipped(agent=agent, skipped_seq=seq, by=by, reason=reason):
                self._tell(at, "entry skipped", f"{agent} passes over {seq}, says {by}: {reason}")
            case Reconciled(breaks=breaks) as reconciled:
                self.reconciled, self.reconciled_at = reconciled, at
                if breaks:
                    self._tell(at, "positions disagree", "; ".join(breaks))
            case ShutdownRequested(reason=reason):
                self.ended = reason
                self._tell(at, "shut down", reason)

    def _tell(self, at: int, what: str, reason: str) -> None:
        self.happenings.append(Happening(at, what, reason))
