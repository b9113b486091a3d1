"""A broker without a network: the matching core and a tape, driven in process."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from firm.bus.gateway import CommandBatch, Page
from firm.config import Settings
from firm.domain.instrument import Instrument
from firm.domain.session import NS_PER_SECOND
from firm.events import CODEC, Event, Record
from firm.events.broker import AccountReported
from firm.events.market import HistoryLoaded, market_data, ticks
from firm.events.orders import (
    BrokerRejected,
    CommissionReported,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderSubmitted,
)
from firm.events.system import BrokerConnected, InstrumentsResolved, Reconciled
from firm.exchange import reports
from firm.exchange.exchange import Exchange
from firm.exchange.fees import TieredFees
from firm.exchange.margin import MarginRules
from firm.exchange.orders import OrderTicket
from firm.tape.tape import Tape

MARGIN = MarginRules(Decimal(4), shorts_allowed=True)
ACCOUNT_EVERY_NS, ACCOUNT_AT_LEAST_NS = 60 * NS_PER_SECOND, 3600 * NS_PER_SECOND


class LocalBroker:
    """A BrokerGateway around the matching core: a tape instead of a market, a call instead of a network.

    It outlives the firm that drives it: opened again, it hands out the page that was not committed once more,
    and carries out what was committed but had not reached it. So a firm cut off anywhere goes on identically.
    """

    def __init__(self, tape: Tape, settings: Settings) -> None:
        self._tape = tape
        self._account = settings.simulation.account
        self._history_bars = settings.simulation.history_bars
        self._instruments = instruments_of(tape)
        last = (
            tape.history_closes[-1].tolist()
            if len(tape.history_closes)
            else [float("nan")] * len(tape.symbols)
        )
        self._exchange = Exchange(
            self._instruments,
            settings.simulation.cash_usd,
            self._account,
            tape.sessions,
            TieredFees(),
            MARGIN,
            last,
        )
        self._next_frame = 0
        self._page = Page(0, tape.frames[0].at - 1_000_000, (), done=False)
        self._perms: dict[int, int] = {}
        self._carried_out: set[int] = set()
        self._unsent: tuple[Record, ...] = ()
        self._handed_out = 0
        self._run = ""
        self._figures: AccountReported | None = None
        self._figures_at = 0

    def open(self, memory: Sequence[Record], run: str) -> Page:
        """See BrokerGateway."""
        self._run = run
        if self._handed_out:
            return self._reopen(memory)
        bars = self._history_bars
        closes = self._tape.history_closes[-bars:]
        times = tuple(self._tape.history_times[-bars:].tolist())
        opening: list[Event] = [InstrumentsResolved(self._instruments)]
        if times:
            opening.append(HistoryLoaded(times, len(self._tape.symbols), closes.astype("<f8").tobytes()))
        cash = self._exchange.account.cash
        opening += [BrokerConnected(self._account, cash), Reconciled((), cash, ()), self._account_now()]
        return self._hand_out(opening, self._page.at, done=False)

    def _reopen(self, memory: Sequence[Record]) -> Page:
        commands = (r for r in memory if r.kind in (OrderSubmitted.KIND, OrderCancelRequested.KIND))
        self._unsent = tuple(record for record in commands if record.seq not in self._carried_out)
        committed = sum(record.author == "broker" for record in memory)
        if committed == self._handed_out:
            self._page = replace(self._page, inputs=())
        return self._page

    def _hand_out(self, inputs: Sequence[Event], at: int, *, done: bool) -> Page:
        self._handed_out += len(inputs)
        self._page = Page(self._page.number + 1, at, tuple(inputs), done)
        return self._page

    def turn(self, acked: int, batch: CommandBatch, until: int | None) -> Page:
        """See BrokerGateway."""
        assert acked == self._page.number, "pages are acknowledged one by one"
        inputs: list[Event] = []
        unsent, self._unsent = self._unsent, ()
        for record in (*unsent, *batch.commands):
            self._carried_out.add(record.seq)
            inputs += self._carry_out(record)
        at, frames = self._page.at, self._tape.frames
        if self._next_frame < len(frames) and (until is None or frames[self._next_frame].at <= until):
            frame = frames[self._next_frame]
            self._next_frame, at = self._next_frame + 1, frame.at
            inputs += self._reports(self._exchange.advance(frame))
            inputs += self._account_news(at)
            if len(frame.prints):
                inputs.append(ticks(frame.prints))
            if len(frame.quotes):
                inputs.append(market_data(frame.quotes))
        elif until is not None:
            at = max(until, at)
            inputs += self._reports(self._exchange.advance_to(at))
            inputs += self._account_news(at)
        return self._hand_out(inputs, at, done=self._next_frame == len(frames))

    def reconcile(self) -> tuple[Event, ...]:
        """See BrokerGateway."""
        self._handed_out += 2
        return (
            Reconciled(tuple(sorted(self.positions().items())), self.cash, ()),
            self._account_now(),
        )

    def close(self) -> None:
        """See BrokerGateway."""

    def positions(self) -> dict[int, Decimal]:
        """What the account holds: quantity by instrument index, zeros left out."""
        held = enumerate(self._exchange.account.positions)
        return {i: position.quantity for i, position in held if position.quantity}

    @property
    def cash(self) -> Decimal:
        """What the account has in cash."""
        return self._exchange.account.cash

    def _account_now(self) -> AccountReported:
        """The account's figures to the cent, as a gateway tells them; one requirement is both margins."""
        account = self._exchange.account
        needed = MARGIN.requirement(account.gross)
        figures = (account.cash, account.equity, needed, needed, account.equity - needed)
        report = AccountReported(self._account, *(round(figure, 2) for figure in figures))
        self._figures, self._figures_at = report, self._page.at
        return report

    def _account_news(self, at: int) -> list[Event]:
        """The figures if they changed, at most once a minute of the tape, and once an hour if they did not.

        Else a flat account would grow old for ever, and nothing new could be bought.
        """
        told, told_at = self._figures, self._figures_at
        if told is None or at - told_at < ACCOUNT_EVERY_NS:
            return []
        report = self._account_now()
        said = report != told or at - told_at >= ACCOUNT_AT_LEAST_NS
        self._figures_at = at if said else told_at
        return [report] if said else []

    def _carry_out(self, record: Record) -> list[Event]:
        at = self._page.at
        match CODEC.event(record):
            case OrderSubmitted(child=child):
                ticket = OrderTicket(
                    child.instrument,
                    child.side,
                    child.quantity,
                    child.order_type,
                    child.limit_price,
                    child.time_in_force,
                    f"{self._run}-{record.seq}",
                )
                return self._reports(self._exchange.submit(ticket, at))
            case OrderCancelRequested(child_seq=child_seq) if child_seq in self._perms:
                return self._reports(self._exchange.cancel(self._perms[child_seq], at))
            case _:
                return []

    def _reports(self, happened: Iterable[reports.ExchangeEvent]) -> list[Event]:
        said: list[Event] = []
        for report in happened:
            said += self._report(report)
        return said

    def _report(self, report: reports.ExchangeEvent) -> list[Event]:
        child = int(report.ref.rpartition("-")[2] or 0)
        match report:
            case reports.OrderFilled():
                return _fill(child, report)
            case reports.OrderAccepted(perm_id=perm_id):
                self._perms[child] = perm_id
                return [OrderAccepted(child, perm_id)]
            case reports.OrderCancelled(cumulative=filled, reason=reason):
                return [OrderCanceled(child, filled, reason)]
            case reports.OrderExpired(cumulative=filled):
                return [OrderExpired(child, filled)]
            case reports.OrderRejected(code=code, reason=reason):
                return [BrokerRejected(child, code, reason)]
            case _:
                return []


def instruments_of(tape: Tape) -> tuple[Instrument, ...]:
    """The tape's symbols as US stocks on the cent grid, in index order."""
    return tuple(
        Instrument(i, symbol, i + 1, "STK", "SIM", "USD", Decimal(1), Decimal("0.01"), Decimal(1))
        for i, symbol in enumerate(tape.symbols)
    )


def _fill(child: int, report: reports.OrderFilled) -> list[Event]:
    exec_id, _, revision = report.exec_id.rpartition(".")
    fill = OrderFilled(
        child, exec_id, int(revision), report.instrument, report.side, report.quantity, report.price, "SIM"
    )
    return [fill, CommissionReported(exec_id, report.commission)]
