"""One customer's money and positions: exact, in one currency."""

from collections.abc import Sequence
from decimal import Decimal

from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.domain.position import ZERO, Position
from firm.exchange.book import DisplayedBook


class Account:
    """Cash and positions.

    `cash` always equals the deposit minus signed purchases minus commissions plus `income` (dividends, and
    fractions of shares paid out).
    """

    def __init__(
        self, name: str, cash: Decimal, instruments: Sequence[Instrument], book: DisplayedBook
    ) -> None:
        self.name = name
        self.cash = cash
        self.commissions = self.income = ZERO
        self.positions = [Position() for _ in instruments]
        self._instruments = instruments
        self._book = book

    def enter(
        self, instrument: int, side: Side, quantity: Decimal, price: Decimal, commission: Decimal
    ) -> Decimal | None:
        """Enter a fill; the P&L it realised before fees, None when it only opened."""
        multiplier = self._instruments[instrument].multiplier
        before = self.positions[instrument]
        signed = quantity * side.sign
        after = before.filled(signed, price, multiplier)
        self.positions[instrument] = after
        self.cash -= signed * price * multiplier + commission
        self.commissions += commission
        closed = before.quantity != 0 and (before.quantity > 0) != (signed > 0)
        return after.realized_pnl - before.realized_pnl if closed else None

    def receive(self, amount: Decimal) -> None:
        """Money that no trade brought; negative if the account pays."""
        self.cash += amount
        self.income += amount

    def value(self, instrument: int) -> Decimal:
        """Signed market value of the position at the mark; at its cost while no price is known."""
        position = self.positions[instrument]
        if not position.quantity:
            return ZERO
        mark = self._book.mark(instrument)
        price = position.average_price if mark is None else mark
        return position.quantity * price * self._instruments[instrument].multiplier

    @property
    def equity(self) -> Decimal:
        """Cash plus positions at their marks: the net liquidation value."""
        return self.cash + sum((self.value(i) for i in range(len(self.positions))), start=ZERO)

    @property
    def gross(self) -> Decimal:
        """Sum of absolute position values."""
        return sum((abs(self.value(i)) for i in range(len(self.positions))), start=ZERO)
