"""One customer's money and positions: exact in each currency, and valued in one of them."""

from collections.abc import Callable, Sequence
from decimal import Decimal

from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.domain.position import ZERO, Position
from firm.exchange.book import DisplayedBook
from firm.exchange.money import DOLLARS, Money, Purse, Rates, pair_of


class Account:
    """Cash in each currency, and positions.

    In each currency cash always equals the deposit minus signed purchases minus commissions plus income
    (dividends, and fractions of shares paid out). Buying a currency pair adds to one purse and takes from
    another; its position counts what was bought, and is no wealth beside the purses. A future is not paid
    for: its gains come into cash when they are settled, daily and when it is closed, and `settled` holds each
    future's position at the price of its last settlement. A currency that is not worth anything known in the
    base currency is a `DataError` from the start.
    """

    def __init__(
        self,
        name: str,
        cash: Decimal,
        instruments: Sequence[Instrument],
        book: DisplayedBook,
        money: Money = DOLLARS,
    ) -> None:
        self.name, self.base = name, money.base
        self.purses = {money.base: Purse(cash)}
        for currency, amount in money.deposits:
            self.purse(currency).cash += amount
        for pair in instruments:
            if pair.sec_type == "CASH":
                self.purse(pair_of(pair)[0])
        self.positions = [Position() for _ in instruments]
        self.settled = {i.index: Position() for i in instruments if i.sec_type == "FUT"}
        self.rates = Rates(instruments, book, money)
        for currency in sorted({*self.purses, *(i.currency for i in instruments)}):
            self.rates.of(currency)
        self._instruments = instruments
        self._book = book

    def purse(self, currency: str) -> Purse:
        """What the account holds of a currency."""
        return self.purses.setdefault(currency, Purse())

    def enter(
        self, instrument: int, side: Side, quantity: Decimal, price: Decimal, commission: Decimal
    ) -> Decimal | None:
        """Enter a fill; the P&L it realised before fees, None when it only opened."""
        traits = self._instruments[instrument]
        before = self.positions[instrument]
        signed = quantity * side.sign
        after = before.filled(signed, price, traits.multiplier)
        self.positions[instrument] = after
        purse = self.purse(traits.currency)
        if instrument in self.settled:
            purse.cash += self._settle_fill(instrument, signed, price) - commission
        else:
            purse.cash -= signed * price * traits.multiplier + commission
        if traits.sec_type == "CASH":
            self.purse(pair_of(traits)[0]).cash += signed * traits.multiplier
        purse.commissions += commission
        closed = before.quantity != 0 and (before.quantity > 0) != (signed > 0)
        return after.realized_pnl - before.realized_pnl if closed else None

    def receive(self, amount: Decimal, currency: str) -> None:
        """Money that no trade brought; negative if the account pays."""
        purse = self.purse(currency)
        purse.cash += amount
        purse.income += amount

    def settle_daily(self) -> None:
        """The gains of futures since their last settlement come into cash, at their marks."""
        for i, position in self.settled.items():
            mark = self._book.mark(i)
            if position.quantity and mark is not None:
                gain = self.open_gain(i)
                self.purse(self._instruments[i].currency).cash += gain
                self.settled[i] = Position(position.quantity, mark, position.realized_pnl + gain)

    def open_gain(self, instrument: int) -> Decimal:
        """What a future has gained since its last settlement, in its own currency."""
        position, mark = self.settled[instrument], self._book.mark(instrument)
        if not position.quantity or mark is None:
            return ZERO
        return (mark - position.average_price) * position.quantity * self._instruments[instrument].multiplier

    def value(self, instrument: int) -> Decimal:
        """Signed market value of the position at the mark (else its cost), in its own currency."""
        position = self.positions[instrument]
        if not position.quantity:
            return ZERO
        mark = self._book.mark(instrument)
        price = position.average_price if mark is None else mark
        return position.quantity * price * self._instruments[instrument].multiplier

    def worth(self, instrument: int) -> Decimal:
        """What the position adds to the account beside its cash, in its own currency."""
        if instrument in self.settled:
            return self.open_gain(instrument)
        return ZERO if self._instruments[instrument].sec_type == "CASH" else self.value(instrument)

    def by_currency(self, figure: Callable[[int], Decimal]) -> dict[str, Decimal]:
        """The sum of a figure over all positions, in each currency."""
        totals: dict[str, Decimal] = {}
        for i, position in enumerate(self.positions):
            if position.quantity:
                currency = self._instruments[i].currency
                totals[currency] = totals.get(currency, ZERO) + figure(i)
        return totals

    @property
    def cash(self) -> Decimal:
        """All cash, in the base currency."""
        return self.rates.total({c: purse.cash for c, purse in self.purses.items()})

    @property
    def commissions(self) -> Decimal:
        """All commissions, in the base currency at today's rates."""
        return self.rates.total({c: purse.commissions for c, purse in self.purses.items()})

    @property
    def income(self) -> Decimal:
        """Everything received, in the base currency at today's rates."""
        return self.rates.total({c: purse.income for c, purse in self.purses.items()})

    @property
    def realized(self) -> Decimal:
        """Realised P&L before fees, in the base currency at today's rates."""
        totals: dict[str, Decimal] = {}
        for traits, position in zip(self._instruments, self.positions, strict=True):
            if position.realized_pnl:
                totals[traits.currency] = totals.get(traits.currency, ZERO) + position.realized_pnl
        return self.rates.total(totals)

    @property
    def equity(self) -> Decimal:
        """Cash plus what positions are worth at their marks: the net liquidation value, in base currency."""
        return self.cash + self.rates.total(self.by_currency(self.worth))

    @property
    def gross(self) -> Decimal:
        """Sum of absolute position values, futures and currency pairs with all they stand for, in base."""
        return self.rates.total(self.by_currency(lambda i: abs(self.value(i))))

    def _settle_fill(self, instrument: int, signed: Decimal, price: Decimal) -> Decimal:
        """What a fill of a future brings into cash: the gains of what it closes since their settlement."""
        before = self.settled[instrument]
        after = before.filled(signed, price, self._instruments[instrument].multiplier)
        self.settled[instrument] = after
        return after.realized_pnl - before.realized_pnl
