"""The contracts the firm trades against the broker's own description of them, by conId. Pure.

A wrong multiplier makes every position wrong by a factor; nobody can trade out of an expired contract.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from firm.broker.breaks import Break
from firm.domain.instrument import Instrument
from firm.events.broker import BreakClass


class ContractFacts(NamedTuple):
    """What the broker says of one conId; `expiry` is YYYYMMDD, empty if it has none."""

    con_id: int
    symbol: str
    sec_type: str
    currency: str
    multiplier: Decimal
    expiry: str


class ContractBook:
    """What was found at the last check."""

    def __init__(self) -> None:
        self._objections: dict[int, str] = {}
        self.breaks: tuple[Break, ...] = ()

    def objection(self, instrument: int) -> str | None:
        """Why no new risk may be taken on the instrument; None if its contract is as it was resolved."""
        return self._objections.get(instrument)

    def check(
        self, instruments: Sequence[Instrument], told: Sequence[Sequence[ContractFacts]], today: str
    ) -> None:
        """Compare each instrument with what the broker told of its conId on the day `today` (YYYYMMDD)."""
        self._objections, breaks = {}, []
        for instrument, facts in zip(instruments, told, strict=True):
            if text := _difference(instrument, facts):
                breaks.append(Break(BreakClass.CONTRACT, instrument.symbol, text))
                self._objections[instrument.index] = text
            elif instrument.expiry and instrument.expiry < today:
                self._objections[instrument.index] = f"{instrument.symbol} expired on {instrument.expiry}"
        self.breaks = tuple(breaks)


def _difference(instrument: Instrument, facts: Sequence[ContractFacts]) -> str | None:
    name = f"{instrument.symbol} (conId {instrument.con_id})"
    if len(facts) != 1:
        return f"{name} must be one contract at the broker, found {len(facts)}"
    told, found = facts[0], []
    for what, ours, theirs in (
        ("conId", instrument.con_id, told.con_id),
        ("security type", instrument.sec_type, told.sec_type),
        ("currency", instrument.currency, told.currency),
        ("multiplier", instrument.multiplier, told.multiplier),
        ("expiry", instrument.expiry, told.expiry),
    ):
        if ours != theirs:
            found.append(f"{what} was {ours or 'none'} and is {theirs or 'none'}")
    return f"{name}: {'; '.join(found)}" if found else None
