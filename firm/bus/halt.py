"""The halt latch of the log: only the bus says that trading is halted or goes on."""

from firm.events import CODEC, Record
from firm.events.risk import RiskHaltRequested
from firm.events.system import (
    CycleAborted,
    OperatorHaltRequested,
    OperatorRearmRequested,
    TradingHalted,
    TradingRearmed,
)


class HaltLatch:
    """Folds halts and answers requests for them: the first latches, only an operator's re-arming releases."""

    REQUESTS = frozenset(
        cls.KIND for cls in (RiskHaltRequested, CycleAborted, OperatorHaltRequested, OperatorRearmRequested)
    )
    FACTS = frozenset(cls.KIND for cls in (TradingHalted, TradingRearmed))

    def __init__(self) -> None:
        self.reason: str | None = None

    def note(self, record: Record) -> None:
        """Take in one of `FACTS`."""
        event = CODEC.event(record)
        self.reason = event.reason if isinstance(event, TradingHalted) else None

    def answer(self, request: Record) -> TradingHalted | TradingRearmed | None:
        """What the bus says to one of `REQUESTS`; None if it changes nothing."""
        match CODEC.event(request):
            case OperatorRearmRequested(by=by, reason=reason) if self.reason is not None:
                return TradingRearmed(by, reason)
            case _ if self.reason is not None:
                return None
            case RiskHaltRequested(reason=reason):
                return TradingHalted(f"risk: {reason}")
            case CycleAborted(stage=stage, failed_seq=seq, reason=reason):
                return TradingHalted(f"{stage} failed twice on entry {seq}: {reason}")
            case OperatorHaltRequested(reason=reason):
                return TradingHalted(f"operator: {reason}")
            case _:
                return None
