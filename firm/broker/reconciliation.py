"""The broker's word against the log: positions, orders, contracts, cash, fees. Pure."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from firm.broker.breaks import Break, BreakBook
from firm.broker.cash import CashBook
from firm.broker.contracts import ContractBook
from firm.broker.fills import FillLedger
from firm.broker.positions import Positions
from firm.domain.instrument import Instrument
from firm.events import Event
from firm.events.broker import BreakClass
from firm.events.system import Reconciled


class Reconciliation:
    """The books of one run, and the breaks that were told about them."""

    def __init__(self, fills: FillLedger, positions: Positions, cash_tolerance: Decimal) -> None:
        """`cash_tolerance`: a difference in cash up to this, in account currency, is rounding."""
        self._fills, self._positions, self._cash_tolerance = fills, positions, cash_tolerance
        self.cash = CashBook()
        self.breaks = BreakBook()
        self.contracts = ContractBook()

    def know(self, instruments: Sequence[Instrument]) -> None:
        """The universe of the run, in index order."""
        self._positions.know(instruments)
        self.cash.instruments = instruments

    def outcome(self, cash: Decimal, astray: Iterable[Break]) -> list[Event]:
        """After a complete query: breaks that are new or gone, then `Reconciled` with those that stop."""
        fills = self._fills
        self._positions.reported = self._positions.breaks(fills.positions)
        found = [*self._positions.reported, *astray, *self.contracts.breaks]
        given_up = fills.long_unpaid()
        for exec_id in given_up:
            text = f"execution {exec_id} has had no commission report for two reconciliations"
            found.append(Break(BreakClass.COMMISSION, exec_id, text))
        self.note_cash(cash)
        if fills.unpaid() <= set(given_up):
            found += self.cash.breaks(cash, fills.spent, fills.fees, self._cash_tolerance)
        held = tuple(sorted(self._positions.held().items()))
        stopping = tuple(b.text for b in found if b.stops)
        return [*self.breaks.compared(found), Reconciled(held, cash, stopping)]

    def note_cash(self, cash: Decimal) -> None:
        """What the account had at a reconciliation; the first one tells what it had before this log."""
        if not self._fills.unpaid():
            self.cash.open_with(cash, self._fills.spent, self._fills.fees)
