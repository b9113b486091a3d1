"""What the conditions of orders look at: the exchange's own book, clock and account."""

from decimal import Decimal

from firm.exchange.account import Account
from firm.exchange.book import DisplayedBook
from firm.exchange.margin import MarginRules
from firm.exchange.trading import Trading

HUNDRED = Decimal(100)


class MarketView:
    """See `conditions.View`."""

    def __init__(self, trading: Trading, book: DisplayedBook, account: Account, margin: MarginRules) -> None:
        self._trading, self._book, self._account, self._margin = trading, book, account, margin

    def price(self, instrument: int) -> Decimal | None:
        """The mark."""
        return self._book.mark(instrument)

    def change_percent(self, instrument: int) -> Decimal | None:
        """The mark against the last close."""
        mark, close = self._book.mark(instrument), self._book.closes[instrument]
        if mark is None or not close > 0:
            return None
        before = Decimal(repr(close))
        return (mark - before) / before * HUNDRED

    def volume(self, instrument: int) -> Decimal:
        """Shares printed in this session."""
        return Decimal(repr(self._book.volumes[instrument]))

    def cushion_percent(self) -> Decimal:
        """Excess liquidity over equity in percent; zero without equity."""
        equity = self._account.equity
        if equity <= 0:
            return Decimal(0)
        return (equity - self._margin.requirement(self._account.gross)) / equity * HUNDRED

    def now(self) -> int:
        """The clock."""
        return self._trading.at

    def executed(self, instrument: int) -> bool:
        """Whether the account has traded the instrument in this session."""
        return instrument in self._trading.executed
