"""The account's cash against what the log adds up to. Pure.

Only what is paid for in full moves cash when it trades: stocks and options. A future settles daily and a
currency pair moves two balances, so with a fill in one of those nothing is compared: no number is better than
a wrong one.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from firm.broker.breaks import Break
from firm.domain.instrument import Instrument
from firm.domain.position import ZERO
from firm.events.broker import BreakClass

PAID_IN_FULL: Final = frozenset({"STK", "OPT"})


class CashBook:
    """What the cash was before the first fill of this log; None before the first reconciliation."""

    def __init__(self) -> None:
        self.instruments: Sequence[Instrument] = ()
        self.opening: Decimal | None = None
        self._suspect: Decimal | None = None

    def flow(self, spent: Mapping[int, Decimal]) -> Decimal | None:
        """What these fills took from the account: `spent` is the sum of signed quantity times price."""
        traded = [(self.instruments[i], amount) for i, amount in spent.items()]
        currencies = {i.currency for i, _ in traded}
        if len(currencies) > 1 or any(i.sec_type not in PAID_IN_FULL for i, _ in traded):
            return None
        return sum((amount * i.multiplier for i, amount in traded), start=ZERO)

    def open_with(self, cash: Decimal, spent: Mapping[int, Decimal], fees: Decimal) -> None:
        """At the first reconciliation of a log."""
        flow = self.flow(spent)
        if self.opening is None and flow is not None:
            self.opening = cash + flow + fees

    def breaks(
        self, cash: Decimal, spent: Mapping[int, Decimal], fees: Decimal, tolerance: Decimal
    ) -> tuple[Break, ...]:
        """The difference, if it is more than `tolerance` and was the same the last time.

        The gateway tells the cash up to three minutes after the fills that moved it.
        """
        flow = self.flow(spent)
        if self.opening is None or flow is None:
            return ()
        expected = self.opening - flow - fees
        difference = cash - expected
        before, self._suspect = self._suspect, difference
        if abs(difference) <= tolerance or before is None or abs(difference - before) > tolerance:
            return ()
        text = f"the account has {cash} in cash, the log adds up to {round(expected, 2)}"
        return (Break(BreakClass.CASH, "cash", text),)
