"""Which orders the exchange takes: within the account's margin, and (in `wellformed`) making sense at all."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.exchange.account import Account
from firm.exchange.book import DisplayedBook
from firm.exchange.fees import FeeSchedule
from firm.exchange.margin import Exposure, MarginEffect, MarginRules
from firm.exchange.orders import OrderTicket, WorkingOrder
from firm.exchange.wellformed import Objection, malformed

__all__ = ["Admission", "Objection", "malformed"]


class Admission:
    """The margin check: gross exposure with every working order, against the cap times equity.

    Of a group of which one cancels the others, only the largest order counts; children count beside their
    parent.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        account: Account,
        book: DisplayedBook,
        rules: MarginRules,
        fees: FeeSchedule,
    ) -> None:
        self._instruments, self._account, self._book = instruments, account, book
        self._rules, self._fees = rules, fees

    def effect(self, ticket: OrderTicket, others: Iterable[WorkingOrder]) -> MarginEffect:
        """What the well-formed order would do beside the working orders `others`, and any objection to it."""
        exposures, grouped = self._exposures(others)
        values = {i: self._unit_value(i, ticket) for i in sorted({*exposures, ticket.instrument})}
        before = _gross(exposures, values)
        held = exposures.get(ticket.instrument, Exposure())
        counted = grouped.get(_group(ticket), ZERO) if ticket.special.oca_group else ZERO
        added = max(ticket.quantity - counted, ZERO)
        exposures[ticket.instrument] = held.with_order(ticket.side, added)
        after = _gross(exposures, values)
        equity = self._account.equity
        commission = self._commission(ticket)
        return MarginEffect(
            requirement_before=self._rules.requirement(before),
            requirement_after=self._rules.requirement(after),
            equity_before=equity,
            equity_after=equity - commission,
            commission=commission,
            objection=self._objection(ticket, exposures[ticket.instrument], values, (before, after, equity)),
        )

    def _commission(self, ticket: OrderTicket) -> Decimal:
        """What the whole order costs at its price or the mark, in the base currency; venue fees left out."""
        price = self._price(ticket.instrument, ticket) or ZERO
        value = ticket.quantity * (price * self._instruments[ticket.instrument].multiplier)
        return self._in_base(
            ticket.instrument, self._fees.of(ticket.instrument).total(ticket.quantity, value)
        )

    def _objection(
        self,
        ticket: OrderTicket,
        exposure: Exposure,
        values: dict[int, Decimal | None],
        totals: tuple[Decimal, Decimal, Decimal],
    ) -> str | None:
        before, after, equity = totals
        if values[ticket.instrument] is None:
            return f"no price is known for {self._instruments[ticket.instrument].symbol}"
        short = exposure.position - exposure.selling
        borrowed = self._instruments[ticket.instrument].sec_type not in {"CASH", "FUT"}
        uncovered = borrowed and ticket.side is Side.SELL and short < 0 and not ticket.special.parent
        if uncovered and not self._rules.shorts_allowed:
            return f"short selling is not allowed in this account; the orders would sell {-short} short"
        limit = self._rules.gross_leverage_max * equity
        if after > before and after > limit:
            base = self._account.base
            return (
                f"insufficient funds: gross exposure with all working orders would be {after:.2f} {base}, "
                f"the limit is {limit:.2f} {base} "
                f"({self._rules.gross_leverage_max} times equity {equity:.2f})"
            )
        return None

    def _exposures(
        self, orders: Iterable[WorkingOrder]
    ) -> tuple[dict[int, Exposure], dict[tuple[str, int, Side], Decimal]]:
        exposures = {i: Exposure(p.quantity) for i, p in enumerate(self._account.positions) if p.quantity}
        grouped: dict[tuple[str, int, Side], Decimal] = {}
        for order in orders:
            ticket, quantity = order.ticket, order.leaves
            if ticket.special.parent and order.asleep:
                continue
            if ticket.special.oca_group:
                counted = grouped.get(_group(ticket), ZERO)
                grouped[_group(ticket)] = max(counted, quantity)
                quantity = max(quantity - counted, ZERO)
            i = ticket.instrument
            exposures[i] = exposures.get(i, Exposure()).with_order(ticket.side, quantity)
        return exposures, grouped

    def _unit_value(self, instrument: int, ticket: OrderTicket) -> Decimal | None:
        """Value of one unit at its price in the base currency; None while no price is known."""
        price = self._price(instrument, ticket)
        if price is None:
            return None
        return self._in_base(instrument, price * self._instruments[instrument].multiplier)

    def _price(self, instrument: int, ticket: OrderTicket) -> Decimal | None:
        """The mark; of the ticket's own instrument, its limit if that is more."""
        mark = self._book.mark(instrument)
        if instrument == ticket.instrument and ticket.limit_price is not None:
            mark = max(mark or ZERO, ticket.limit_price) if ticket.side is Side.SELL or mark is None else mark
        return mark

    def _in_base(self, instrument: int, amount: Decimal) -> Decimal:
        """An amount of the instrument's currency in the account's."""
        currency = self._instruments[instrument].currency
        return amount if currency == self._account.base else amount * self._account.rates.of(currency)


def _group(ticket: OrderTicket) -> tuple[str, int, Side]:
    return ticket.special.oca_group, ticket.instrument, ticket.side


def _gross(exposures: dict[int, Exposure], values: dict[int, Decimal | None]) -> Decimal:
    return sum((e.worst * (values[i] or ZERO) for i, e in exposures.items()), start=ZERO)
