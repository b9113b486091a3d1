"""Currencies: what the account holds of each, and what each is worth in its base currency. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from firm.domain.instrument import Instrument
from firm.domain.position import ZERO
from firm.errors import DataError
from firm.exchange.book import DisplayedBook

ONE = Decimal(1)


class Money(Struct, frozen=True, array_like=True):
    """The account's base currency, deposits in others, and rates (base for one unit) for unquoted pairs."""

    base: str = "USD"
    deposits: tuple[tuple[str, Decimal], ...] = ()
    rates: tuple[tuple[str, Decimal], ...] = ()


DOLLARS = Money()


class Purse(Struct, array_like=True):
    """One currency of an account: its cash, and the commissions and income (dividends) in it."""

    cash: Decimal = ZERO
    commissions: Decimal = ZERO
    income: Decimal = ZERO


def pair_of(instrument: Instrument) -> tuple[str, str]:
    """The two currencies of a pair such as EUR.USD: the one that is bought, and the one it is paid in."""
    bought, _, paid = instrument.symbol.partition(".")
    return bought, paid


class Rates:
    """What a currency is worth in the base currency: the mark of its pair with it, else the fixed rate."""

    def __init__(self, instruments: Sequence[Instrument], book: DisplayedBook, money: Money) -> None:
        self.base, self._book, self._fixed = money.base, book, dict(money.rates)
        self._pairs = {pair_of(i): i.index for i in instruments if i.sec_type == "CASH"}

    def known(self, currency: str) -> Decimal | None:
        """The base currency paid for one unit now; None if nobody says."""
        if currency == self.base:
            return ONE
        direct, inverse = self._pairs.get((currency, self.base)), self._pairs.get((self.base, currency))
        mark = None if direct is None else self._book.mark(direct)
        if mark is None and inverse is not None and (upside_down := self._book.mark(inverse)) is not None:
            mark = ONE / upside_down
        return self._fixed.get(currency) if mark is None else mark

    def of(self, currency: str) -> Decimal:
        """The same where it must be known; `DataError` if not."""
        rate = self.known(currency)
        if rate is None:
            raise DataError(
                f"no rate is known from {currency} to {self.base}: the tape quotes neither pair yet. Give "
                f"one with --rate {currency}=..."
            )
        return rate

    def total(self, amounts: Mapping[str, Decimal]) -> Decimal:
        """All `amounts` together, in the base currency."""
        mine = amounts.get(self.base, ZERO)
        others = (amount * self.of(c) for c, amount in amounts.items() if c != self.base and amount)
        return mine + sum(others, start=ZERO)
