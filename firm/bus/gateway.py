"""What the bus asks of its gateways: the broker's side with its clock, and the operator's mailbox."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from firm.events import Event, Record


@dataclass(frozen=True)
class Page:
    """What a gateway has to report: `inputs` in the order they became known, at log time `at` (ns UTC).

    The page is acknowledged by its `number` in the next call, after its commit; until then the gateway keeps
    it. `done`: the data have ended (simulation only). `measured`: latencies and the like, by name, for the
    unhashed operations table.
    """

    number: int
    at: int
    inputs: tuple[Event, ...]
    done: bool
    measured: tuple[tuple[str, float], ...] = field(default=())


@dataclass(frozen=True)
class CommandBatch:
    """Committed `OrderSubmitted` and `OrderCancelRequested` records, to be carried out once, in order."""

    number: int
    commands: tuple[Record, ...]


class BrokerGateway(Protocol):
    """The broker and its clock. One call outstanding at a time; pages and batches are numbered."""

    def open(self, memory: Sequence[Record], run: str) -> Page:
        """Connect, reconcile against the log so far, and report; `run` begins every order's name."""

    def turn(self, acked: int, batch: CommandBatch, until: int | None) -> Page:
        """Carry out `batch`, then wait until something happens, at the latest until log time `until`."""

    def reconcile(self) -> tuple[Event, ...]:
        """Compare with the broker now: what was missed, then `Reconciled`."""

    def close(self) -> None:
        """End the session; working orders stay where they are."""


class OperatorGateway(Protocol):
    """What named people want: halts, re-arming, skips, shutdown, facts from outside."""

    def take(self, halted: str | None) -> list[Event]:
        """New wishes, oldest first. `halted`: the log's halt, None if trading."""

    def done(self, halted: str | None) -> None:
        """What was taken is committed; `halted` is the log's halt now."""
