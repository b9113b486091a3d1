"""One look at the firm: what the endpoints answer from, a value that can be sent between processes."""

from dataclasses import dataclass

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
