"""The gateway's memory: orders, executions and the place in the tape. Pure: commands in, messages out.

Every change goes through `apply`, and a command says everything it depends on, so the journal of commands is
the whole durable state: applying it again to a fresh brokerage on the same tape gives the same one.
"""

from datetime import date
from decimal import Decimal
from typing import assert_never

from firm.domain.position import ZERO
from firm.domain.session import NS_PER_MS
from firm.exchange import (
    Exchange,
    ExchangeEvent,
    MarginRules,
    Money,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
    OrderElected,
    OrderExpired,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderTicket,
    RequestRefused,
    TieredFees,
)
from firm.exchange.corporate import pay_dividend, split
from firm.exchange.money import DOLLARS
from firm.gateway_sim.amendments import amended, told
from firm.gateway_sim.board import Board
from firm.gateway_sim.catalogue import Catalogue
from firm.gateway_sim.codec.place_order import PLACE_ORDER
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.commands import (
    Bust,
    Cancel,
    CancelAll,
    Command,
    Correct,
    Dividend,
    Halt,
    Lend,
    Manual,
    Place,
    Split,
    Step,
)
from firm.gateway_sim.consolidated import consolidated
from firm.gateway_sim.contracts import Contracts
from firm.gateway_sim.expiries import Expiries
from firm.gateway_sim.history import Memory
from firm.gateway_sim.intake import Intake
from firm.gateway_sim.ledger import Ledger
from firm.gateway_sim.options import Chains
from firm.gateway_sim.order_reports import OrderReports
from firm.gateway_sim.orders import Execution, Outgoing, PlacedOrder, error
from firm.gateway_sim.records import DayStart, NewsItem
from firm.gateway_sim.tickets import MANUAL_CLIENT, Refusal, manual_order, ticket_of
from firm.gateway_sim.times import local_date
from firm.tape.tape import Frame, Tape


class Brokerage:
    """One account on one tape. `at` is the gateway's clock (ns UTC); `cursor` the number of frames played."""

    def __init__(
        self,
        tape: Tape,
        cash: Decimal,
        account: str,
        margin: MarginRules,
        *,
        preset_notice: bool,
        contracts: Contracts | None = None,
        money: Money = DOLLARS,
    ) -> None:
        """Start 1 ms before the first frame; `preset_notice`: orders without a TIF get notice 10349.

        Without `contracts`, the symbols of the tape are US stocks. `cash` is of the base currency of `money`;
        a currency without a rate is a `DataError`.
        """
        contracts = contracts or Contracts({}, tape.symbols, "")
        self.tape = tape = consolidated(tape, contracts.venues)
        self.account, self.margin = account, margin
        self.catalogue = Catalogue(contracts, tape.sessions)
        closes = tape.history_closes
        marks = closes[-1].tolist() if len(closes) else [float("nan")] * len(tape.symbols)
        instruments, rules = self.catalogue.instruments, dict(enumerate(self.catalogue.rules))
        self.exchange = Exchange(
            instruments,
            cash,
            account,
            tape.sessions,
            TieredFees(),
            margin,
            marks,
            rules,
            venues=contracts.venues,
            own_fees=contracts.own_fees,
            money=money,
        )
        self._expiries = Expiries(instruments, tape.sessions)
        self.cursor = 0
        self.exchange.advance_to(tape.frames[0].at - NS_PER_MS)
        self.ledger = Ledger()
        self.orders, self.executions = self.ledger.orders, self.ledger.executions
        self._placing: PlacedOrder | None = None
        self._preset_notice = preset_notice
        self._reports = OrderReports(account, money.base)
        self.memory = Memory(tape)
        self.chains = Chains(self.catalogue.instruments, tape)
        self._intake = Intake(account, self.catalogue, self.chains, self._expiries, self.ledger)
        self.news: list[NewsItem] = []
        self.board = Board(marks)
        self.day_start = self._new_day(local_date(self.at))

    @property
    def at(self) -> int:
        """The gateway's clock, ns UTC."""
        return self.exchange.at

    def next_frame(self) -> Frame | None:
        """The frame that comes next; None when the tape is over."""
        return self.tape.frames[self.cursor] if self.cursor < len(self.tape.frames) else None

    def apply(self, command: Command) -> list[Outgoing]:
        """Carry out the command; the messages it causes, in order."""
        match command:
            case Step(at=at, frame=with_frame):
                said = self._report(self._step(at, with_frame))
            case Place(client_id=client_id, version=version, fields=fields, twin=twin):
                said = self._place(client_id, PLACE_ORDER.decode(fields, version), twin=twin)
            case Cancel(client_id=client_id, order_id=order_id):
                said = self._cancel(client_id, order_id)
            case CancelAll():
                live = [order.perm_id for order in self.exchange.orders()]
                said = [message for perm_id in live for message in self._cancel_live(perm_id)]
            case Correct(exec_id=exec_id, quantity=quantity, price=price):
                said = self._amend(exec_id, quantity, price)
            case Bust(exec_id=exec_id):
                said = self._amend(exec_id, ZERO, None)
            case Manual():
                said = self._manual(command)
            case Lend(instrument=instrument, quantity=shares):
                said = self._report(self.exchange.lend(instrument, shares))
            case Dividend(instrument=instrument, amount=amount):
                pay_dividend(self.exchange, instrument, amount)
                said = []
            case Split(instrument=instrument, new=new, old=old):
                said = self._report(split(self.exchange, instrument, new, old))
            case Halt(instrument=instrument, on=on):
                said = self._report(self.exchange.halt(instrument, on=on))
            case _ as never:
                assert_never(never)
        return said

    def live_orders(self) -> list[PlacedOrder]:
        """Working orders, oldest first."""
        orders = []
        for working in self.exchange.orders():
            order = self.orders[working.perm_id]
            order.stop = working.stop
            orders.append(order)
        return orders

    def realized(self) -> Decimal:
        """Realised P&L of the account since its opening, after commissions."""
        account = self.exchange.account
        return account.realized - account.commissions

    def gain(self, instrument: int) -> Decimal:
        """Realised and unrealised gain of one instrument since the opening, before commissions."""
        position = self.exchange.account.positions[instrument]
        multiplier = self.catalogue.instruments[instrument].multiplier
        cost = position.quantity * position.average_price * multiplier
        return position.realized_pnl + self.exchange.account.value(instrument) - cost

    def _new_day(self, day: date) -> DayStart:
        gains = tuple(self.gain(i) for i in range(len(self.catalogue.instruments)))
        return DayStart(day, self.exchange.account.equity, self.realized(), gains)

    def _step(self, at: int, with_frame: bool) -> list[ExchangeEvent]:
        if local_date(at) != self.day_start.day:
            self.day_start = self._new_day(local_date(at))
            self.board.new_day()
        ended = self._expiries.end(self.exchange, at)
        if not with_frame:
            return ended + self.exchange.advance_to(at)
        frame = self.next_frame()
        assert frame is not None, "a step was recorded beyond the end of the tape"
        assert frame.at == at, f"the tape has a frame at {frame.at} where {at} was recorded"
        self.cursor += 1
        self.memory.extend(frame)
        self.board.update(frame)
        return ended + self.exchange.advance(frame)

    def _place(self, client_id: int, values: Values, *, twin: bool = False) -> list[Outgoing]:
        order_id = values["orderId"] or 0
        known = None if twin else self.ledger.named(client_id, order_id)
        try:
            ticket, instrument = self._intake.understood(client_id, values, known, self.at)
        except Refusal as refusal:
            return [error(client_id, order_id, refusal.code, str(refusal))]
        if values["whatIf"]:
            draft = PlacedOrder(0, client_id, order_id, instrument, ticket, values, "PreSubmitted")
            return self._reports.what_if(draft, self.exchange.what_if(ticket))
        if known is not None:
            return self._modify(known, ticket, values)
        self._placing = PlacedOrder(0, client_id, order_id, instrument, ticket, values, "PreSubmitted")
        before: list[Outgoing] = []
        if self._preset_notice and not values["tif"]:
            before = [error(client_id, order_id, 10349, "Order TIF was set to DAY based on order preset.")]
        if values["outsideRth"]:
            text = "Order Event Warning: Attribute 'Outside Regular Trading Hours' is ignored."
            before.append(error(client_id, order_id, 2109, text))
        return before + self._report(self.exchange.submit(ticket, self.at))

    def _modify(self, known: PlacedOrder, ticket: OrderTicket, values: Values) -> list[Outgoing]:
        working = self.exchange.order(known.perm_id)
        elected = working is not None and working.elected
        limit = (
            working.ticket.limit_price if working and elected and ticket.special.trail else ticket.limit_price
        )
        events = self.exchange.modify(known.perm_id, ticket.quantity, limit, self.at, ticket.special)
        if not any(isinstance(event, RequestRefused) for event in events):
            known.values = values
        return self._report(events)

    def _cancel(self, client_id: int, order_id: int) -> list[Outgoing]:
        mine = self.ledger.all_named(client_id, order_id)
        if not mine:
            text = f"OrderId {order_id} that needs to be cancelled is not found."
            return [error(client_id, order_id, 10147, text)]
        live = [o.perm_id for o in mine if o.live]
        if not live:
            state = mine[-1].status
            text = f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {state}."
            return [error(client_id, order_id, 10148, text)]
        return self._cancel_live(live[-1])

    def _cancel_live(self, perm_id: int) -> list[Outgoing]:
        if not self.orders[perm_id].live:
            return []
        return self._report(self.exchange.cancel(perm_id, self.at))

    def _amend(self, exec_id: str, quantity: Decimal | None, price: Decimal | None) -> list[Outgoing]:
        execution = self.ledger.execution(exec_id)
        assert execution is not None, f"execution {exec_id} does not stand"
        fill = execution.fill
        new = amended(
            self.exchange,
            execution,
            fill.quantity if quantity is None else quantity,
            fill.price if price is None else price,
            self.at,
        )
        self.executions.append(new)
        return told(new, self.account)

    def _manual(self, command: Manual) -> list[Outgoing]:
        instrument = self.catalogue.instruments[command.instrument]
        values = manual_order(instrument, command)
        ticket = ticket_of(values, instrument, 0, self.catalogue.find, self.at)
        order_id = values["orderId"]
        draft = PlacedOrder(0, MANUAL_CLIENT, order_id, instrument, ticket, values, "PreSubmitted")
        self._placing = draft
        return self._report(self.exchange.submit(ticket, self.at))

    def _report(self, events: list[ExchangeEvent]) -> list[Outgoing]:
        """Take each event into the orders, and say it, before the next one is looked at."""
        messages: list[Outgoing] = []
        for n, event in enumerate(events):
            if isinstance(event, OrderModified | OrderElected | OrderActivated):
                self._follow(event.perm_id)
            match event:
                case OrderAccepted() | OrderRejected():
                    order = self._enter(event)
                    filling = any(
                        isinstance(e, OrderFilled) and e.perm_id == event.perm_id for e in events[n:]
                    )
                    opens_at = self.tape.sessions.next_open(self.at)
                    messages += self._reports.entered(order, event, filling, opens_at)
                case OrderFilled():
                    execution = Execution(self.orders[event.perm_id], event)
                    self.executions.append(execution)
                    messages += self._reports.filled(execution)
                case OrderActivated():
                    messages += self._reports.activated(self.orders[event.perm_id], event)
                case OrderElected():
                    messages += self._reports.elected(self.orders[event.perm_id], event)
                case OrderModified():
                    messages += self._reports.modified(self.orders[event.perm_id], event)
                case OrderCancelled() | OrderExpired():
                    messages += self._reports.ended(self.orders[event.perm_id], event)
                case RequestRefused():
                    messages += self._reports.refused(self.orders[event.perm_id], event)
                case _ as never:
                    assert_never(never)
        return messages

    def _follow(self, perm_id: int) -> None:
        """Take over the terms the exchange works with now; an order it has not got any more keeps its own."""
        working = self.exchange.order(perm_id)
        if working is not None:
            order = self.orders[perm_id]
            order.ticket, order.stop = working.ticket, working.stop

    def _enter(self, event: OrderAccepted | OrderRejected) -> PlacedOrder:
        order = self._placing
        assert order is not None, "the exchange accepted an order nobody placed"
        self._placing = None
        order.perm_id = event.perm_id
        self.ledger.enter(order)
        return order
