"""Where the firm stands, folded from the log: what health is judged by."""

from dataclasses import dataclass, field
from typing import Final

from firm.events import CODEC, Record
from firm.events.market import MarketData
from firm.events.risk import RiskMeasured, RiskRunCompleted, RiskRunFailed
from firm.events.signals import BarrierClosed
from firm.events.system import (
    BrokerConnected,
    BrokerDisconnected,
    CycleAborted,
    CycleKind,
    CycleOpened,
    EntrySkipped,
    Reconciled,
    TradingHalted,
    TradingRearmed,
)
from firm.ops.broker_state import BrokerState, BrokerView


@dataclass(frozen=True)
class StatusView:
    """The state after entry `seq`; None always means: not known.

    `at` and `quoted_at` are log times (ns UTC) of the last cycle and the last quote. `breaks` is None until
    the present connection has been reconciled. At the last decision: `risk_unknown` says what limits lacked,
    `barrier` is (answered, expected). `broker` is what its side says of itself.
    """

    seq: int = 0
    at: int | None = None
    quoted_at: int | None = None
    connected: bool | None = None
    account: str = ""
    disconnect_reason: str = ""
    breaks: tuple[str, ...] | None = None
    risk_fed: bool = False
    risk_failed: str | None = None
    decisions_without_risk: int = 0
    risk_unknown: tuple[str, ...] = ()
    halted: str | None = None
    poisoned: tuple[tuple[str, int], ...] = ()
    barrier: tuple[int, int] | None = None
    broker: BrokerView = field(default_factory=BrokerView)


class Status:
    """The fold. A connection lost or made anew makes the reconciliation unknown again."""

    def __init__(self) -> None:
        self._seq = 0
        self._at: int | None = None
        self._quoted_at: int | None = None
        self._connected: bool | None = None
        self._account = self._disconnect_reason = ""
        self._breaks: tuple[str, ...] | None = None
        self._risk_fed, self._risk_failed = False, ""
        self._risk_unknown: tuple[str, ...] = ()
        self._deciding, self._measured, self._without = False, False, 0
        self._halted: str | None = None
        self._poisoned: dict[str, int] = {}
        self._barrier: tuple[int, int] | None = None
        self._broker = BrokerState()

    def note(self, record: Record) -> None:
        """Take in the next record of the log."""
        self._seq = record.seq
        if record.kind == MarketData.KIND:
            self._quoted_at = record.at
        elif record.kind in _BROKERS_OWN:
            self._broker.note(record.at, CODEC.event(record))
        elif record.kind in _KINDS:
            self._note(record)

    def _note(self, record: Record) -> None:
        match CODEC.event(record):
            case CycleOpened(kind=kind):
                self._open(record.at, kind)
            case BrokerConnected(account=account):
                self._connected, self._account, self._breaks = True, account, None
            case BrokerDisconnected(reason=reason):
                self._connected, self._disconnect_reason, self._breaks = False, reason, None
            case Reconciled(breaks=breaks):
                self._breaks = breaks
            case RiskRunCompleted():
                self._risk_failed = ""
                self._feed()
            case RiskMeasured(unknown=unknown):
                self._risk_unknown = unknown
                self._feed()
            case RiskRunFailed(reason=reason):
                self._risk_failed = reason or "no reason given"
            case BarrierClosed(answered=answered, expected=expected):
                self._barrier = (answered, expected)
            case TradingHalted(reason=reason):
                self._halted = reason
            case TradingRearmed():
                self._halted = None
            case CycleAborted(stage=stage, failed_seq=seq):
                self._poisoned[stage] = seq
            case EntrySkipped(agent=agent, skipped_seq=seq):
                if self._poisoned.get(agent) == seq:
                    del self._poisoned[agent]

    def _feed(self) -> None:
        self._risk_fed = self._measured = True
        self._without = 0

    def _open(self, at: int, kind: CycleKind) -> None:
        """A cycle begins, so the one before is over: only then can a missing measurement be told."""
        self._at = at
        if self._deciding and not self._measured:
            self._without += 1
        self._deciding, self._measured = kind is CycleKind.DECISION, False

    def view(self) -> StatusView:
        """The state now, as a value that does not change any more."""
        return StatusView(
            self._seq,
            self._at,
            self._quoted_at,
            self._connected,
            self._account,
            self._disconnect_reason,
            self._breaks,
            self._risk_fed,
            self._risk_failed or None,
            self._without,
            self._risk_unknown,
            self._halted,
            tuple(sorted(self._poisoned.items())),
            self._barrier,
            self._broker.view(),
        )


_BROKERS_OWN: Final = frozenset(cls.KIND for cls in BrokerState.HEARD)
_KINDS: Final = frozenset(
    cls.KIND
    for cls in (
        CycleOpened,
        BrokerConnected,
        BrokerDisconnected,
        Reconciled,
        RiskRunCompleted,
        RiskMeasured,
        RiskRunFailed,
        BarrierClosed,
        TradingHalted,
        TradingRearmed,
        CycleAborted,
        EntrySkipped,
    )
)
