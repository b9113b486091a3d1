"""The firm about itself: runs, cycles, halts, and the state of the broker's side."""

from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from firm.domain.instrument import Instrument
from firm.events.base import Event


class CycleKind(StrEnum):
    """A decision cycle asks the signal agents; a reaction cycle does not."""

    DECISION = "decision"
    REACTION = "reaction"


class RunStarted(Event, frozen=True, array_like=True):
    """The first entry: all that replay needs to hire the same firm again. `config` is canonical JSON."""

    KIND: ClassVar[int] = 701
    schema: int
    code_version: str
    config: str
    fingerprint: str
    data_label: str


class InstrumentsResolved(Event, frozen=True, array_like=True):
    """The universe as the broker knows it, in index order."""

    KIND: ClassVar[int] = 702
    instruments: tuple[Instrument, ...]


class CycleOpened(Event, frozen=True, array_like=True):
    """Timing fact: a batch of `inputs` entries follows, and everything said about it carries this time."""

    KIND: ClassVar[int] = 703
    cycle: int
    kind: CycleKind
    inputs: int


class CycleAborted(Event, frozen=True, array_like=True):
    """Timing fact: an agent failed twice on the same entry; its part of the cycle did not happen.

    `heard_to` is the last seq the agent had heard before the hearing that failed.
    """

    KIND: ClassVar[int] = 704
    stage: str
    failed_seq: int
    reason: str
    heard_to: int


class EntrySkipped(Event, frozen=True, array_like=True):
    """Timing fact: a named person lets an agent pass over an entry it cannot digest."""

    KIND: ClassVar[int] = 705
    agent: str
    skipped_seq: int
    by: str
    reason: str


class TradingHalted(Event, frozen=True, array_like=True):
    """No new risk until a named person re-arms. Only the bus says this."""

    KIND: ClassVar[int] = 706
    reason: str


class TradingRearmed(Event, frozen=True, array_like=True):
    """Trading may go on. Only the bus says this."""

    KIND: ClassVar[int] = 707
    by: str
    reason: str


class OperatorHaltRequested(Event, frozen=True, array_like=True):
    """The kill switch was pulled."""

    KIND: ClassVar[int] = 708
    reason: str


class OperatorRearmRequested(Event, frozen=True, array_like=True):
    """A named person wants to trade again."""

    KIND: ClassVar[int] = 709
    by: str
    reason: str


class ShutdownRequested(Event, frozen=True, array_like=True):
    """The firm is to stop in an orderly way: `end of data`, or an operator's reason."""

    KIND: ClassVar[int] = 710
    reason: str


class BrokerConnected(Event, frozen=True, array_like=True):
    """The session with the broker is up; cash is what the account holds in its base currency."""

    KIND: ClassVar[int] = 751
    account: str
    cash: Decimal


class BrokerDisconnected(Event, frozen=True, array_like=True):
    """The link to the broker is gone; what happens there is unknown until it is back and reconciled."""

    KIND: ClassVar[int] = 752
    reason: str


class Reconciled(Event, frozen=True, array_like=True):
    """Executions, open and completed orders and positions were fetched and joined.

    `positions` are the broker's non-zero positions (instrument, quantity); `breaks` say where they differ
    from the firm's own ledger. With breaks, no new risk is opened.
    """

    KIND: ClassVar[int] = 753
    positions: tuple[tuple[int, Decimal], ...]
    cash: Decimal
    breaks: tuple[str, ...]
