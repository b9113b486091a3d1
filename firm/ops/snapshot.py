"""One look at the firm: what the endpoints answer from, a value that can be sent between processes."""

from dataclasses import dataclass

from firm.ops.broker_state import utc
from firm.ops.figures import Figures
from firm.ops.health import Facts, Health, Tolerances, assess
from firm.ops.status import StatusView


@dataclass(frozen=True)
class Snapshot:
    """Status and figures from the log, facts from outside, and how old things may be."""

    status: StatusView
    figures: Figures
    facts: Facts
    tolerances: Tolerances

    def health(self) -> Health:
        """Every part, judged."""
        return assess(self.status, self.facts, self.tolerances)

    def as_dict(self) -> dict[str, object]:
        """The answer of `/status`: where the firm stands, down to single instruments and breaks."""
        health, status = self.health(), self.status
        readiness = health.readiness()
        return {
            "status": health.status,
            "ready": readiness.ready,
            "reasons": list(readiness.reasons),
            "at": None if status.at is None else utc(status.at),
            "entries": self.figures.entries,
            "equity": self.figures.equity,
            "halted": status.halted or self.facts.latch or None,
            "broker": {
                "connected": status.connected,
                "account": status.account or None,
                **status.broker.as_dict(),
            },
        }
