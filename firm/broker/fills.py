"""The fills of the firm's own orders: every execution once, the highest revision of it, and its fee. Pure."""

from decimal import Decimal
from typing import NamedTuple

from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.events.orders import CommissionReported, OrderFilled


class ExecName(NamedTuple):
    """An execution's name and its revision: corrections keep the name and count the revision up."""

    base: str
    revision: int


def exec_name(exec_id: str) -> ExecName:
    """Take the last part of the gateway's execution id as its revision.

    >>> exec_name("0000e0d5.6553f7a8.01.02")
    ExecName(base='0000e0d5.6553f7a8.01', revision=2)
    """
    base, _, last = exec_id.rpartition(".")
    return ExecName(base, int(last)) if base and last.isdecimal() else ExecName(exec_id, 1)


class FillLedger:
    """What was executed, by execution; sums by child and by instrument are always of the newest revisions.

    `fees`: all fees that were said.
    """

    def __init__(self) -> None:
        self._fills: dict[str, OrderFilled] = {}
        self._filled: dict[int, Decimal] = {}
        self._fees: dict[str, tuple[int, Decimal]] = {}
        self._reported_fees: dict[str, Decimal] = {}
        self.positions: dict[int, Decimal] = {}
        self.spent: dict[int, Decimal] = {}
        self.fees = ZERO
        self._unpaid: set[str] = set()
        self._without_fee: frozenset[str] = frozenset()

    def filled(self, child_seq: int) -> Decimal:
        """The unsigned quantity executed for this child."""
        return self._filled.get(child_seq, ZERO)

    def enter(self, fill: OrderFilled) -> bool:
        """Take in an execution; False if it, or a newer revision of it, is already there."""
        known = self._fills.get(fill.exec_id)
        if known is not None and known.revision >= fill.revision:
            return False
        if known is not None:
            self._add(known, -1)
        self._fills[fill.exec_id] = fill
        self._add(fill, 1)
        self._look_for_fee(fill.exec_id)
        return True

    def fee(self, exec_id: str, commission: Decimal) -> list[CommissionReported]:
        """Take in a commission report: said once for an execution of ours, again if it changes."""
        base, revision = exec_name(exec_id)
        known = self._fees.get(base)
        if known is None or revision >= known[0]:
            self._fees[base] = (revision, commission)
            self._look_for_fee(base)
        return self.due_fee(base)

    def due_fee(self, base: str) -> list[CommissionReported]:
        """The fee of execution `base`, if both are known and it was not said before."""
        fee = self._fees.get(base)
        if fee is None or base not in self._fills or self._reported_fees.get(base) == fee[1]:
            return []
        self._report(base, fee[1])
        return [CommissionReported(base, fee[1])]

    def remember_fee(self, reported: CommissionReported) -> None:
        """Take in a fee that is in the log; it was of the newest revision in the log by then."""
        fill = self._fills.get(reported.exec_id)
        self._fees[reported.exec_id] = (fill.revision if fill else 0, reported.commission)
        self._look_for_fee(reported.exec_id)
        self._report(reported.exec_id, reported.commission)

    def unpaid(self) -> frozenset[str]:
        """Executions whose fee is not known, or is that of a revision that no longer holds."""
        return frozenset(self._unpaid)

    def long_unpaid(self) -> list[str]:
        """Executions whose fee was not known at the last reconciliation either; call it once at each."""
        before, self._without_fee = self._without_fee, self.unpaid()
        return sorted(before & self._without_fee)

    def _look_for_fee(self, base: str) -> None:
        fill = self._fills.get(base)
        revision, fee = self._fees.get(base, (0, ZERO))
        if fill is not None and revision < fill.revision and (fill.quantity or fee):
            self._unpaid.add(base)
        else:
            self._unpaid.discard(base)

    def _report(self, base: str, commission: Decimal) -> None:
        self.fees += commission - self._reported_fees.get(base, ZERO)
        self._reported_fees[base] = commission

    def _add(self, fill: OrderFilled, times: int) -> None:
        signed = fill.quantity * Side(fill.side).sign * times
        self._filled[fill.child_seq] = self.filled(fill.child_seq) + fill.quantity * times
        self.positions[fill.instrument] = self.positions.get(fill.instrument, ZERO) + signed
        self.spent[fill.instrument] = self.spent.get(fill.instrument, ZERO) + signed * fill.price
