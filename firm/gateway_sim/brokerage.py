"""The gateway's memory: orders, executions and the place in the tape. Pure: commands in, messages out.

Every change goes through `apply`, and a command says everything it depends on, so the journal of commands is
the whole durable state: applying it again to a fresh brokerage on the same tape gives the same one.
"""

from datetime import date
from decimal import Decimal
from typing import NamedTuple, TypeAlias, assert_never

from msgspec import Struct

from firm.domain.position import ZERO
from firm.domain.session import NS_PER_MS
from firm.exchange import (
    Exchange,
    ExchangeEvent,
    MarginRules,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderTicket,
    RequestRefused,
    TieredFees,
)
from firm.gateway_sim.board import Board
from firm.gateway_sim.catalogue import Catalogue
from firm.gateway_sim.codec.place_order import PLACE_ORDER
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.history import Memory
from firm.gateway_sim.order_reports import OrderReports
from firm.gateway_sim.orders import Execution, Outgoing, PlacedOrder, error, ticket_of, unsupported
from firm.gateway_sim.times import local_date
from firm.tape.tape import Frame, Tape


class Step(Struct, frozen=True, tag="step", array_like=True):
    """Time moves to `at`; with `frame`, the next frame of the tape (which is at `at`) is played."""

    at: int
    frame: bool


class Place(Struct, frozen=True, tag="place", array_like=True):
    """A client's placeOrder request, as the wire fields of its protocol version."""

    client_id: int
    version: int
    fields: list[str]


class Cancel(Struct, frozen=True, tag="cancel", array_like=True):
    """A client's cancelOrder request."""

    client_id: int
    order_id: int


class CancelAll(Struct, frozen=True, tag="cancel_all", array_like=True):
    """A client's reqGlobalCancel request: every working order, whoever placed it."""

    client_id: int


class DayStart(NamedTuple):
    """What the account was worth, and had realised, when the exchange's calendar day began.

    `gains` are each instrument's realised and unrealised gains so far, before commissions.
    """

    day: date
    equity: Decimal
    realized: Decimal
    gains: tuple[Decimal, ...]


Command: TypeAlias = Step | Place | Cancel | CancelAll


class Brokerage:
    """One account on one tape. `at` is the gateway's clock (ns UTC); `cursor` the number of frames played."""

    def __init__(
        self, tape: Tape, cash: Decimal, account: str, margin: MarginRules, *, preset_notice: bool
    ) -> None:
        """Start 1 ms before the first frame; `preset_notice`: orders without a TIF get notice 10349."""
        self.tape = tape
        self.account, self.margin = account, margin
        self.catalogue = Catalogue(tape.symbols, tape.sessions)
        closes = tape.history_closes
        marks = closes[-1].tolist() if len(closes) else [float("nan")] * len(tape.symbols)
        self.exchange = Exchange(
            self.catalogue.instruments, cash, account, tape.sessions, TieredFees(), margin, marks
        )
        self.cursor = 0
        self.exchange.advance_to(tape.frames[0].at - NS_PER_MS)
        self.orders: dict[int, PlacedOrder] = {}
        self.executions: list[Execution] = []
        self._by_client: dict[tuple[int, int], int] = {}
        self._placing: PlacedOrder | None = None
        self._preset_notice = preset_notice
        self._reports = OrderReports(account)
        self.memory = Memory(tape)
        self.board = Board(marks)
        self.day_start = self._new_day(local_date(self.at))

    @property
    def at(self) -> int:
        """The gateway's clock, ns UTC."""
        return self.exchange.at

    def next_frame(self) -> Frame | None:
        """The frame that comes next; None when the tape is over."""
        return self.tape.frames[self.cursor] if self.cursor < len(self.tape.frames) else None

    def next_order_id(self, client_id: int) -> int:
        """One more than the largest order id this client ever used, at least 1."""
        return max((o for c, o in self._by_client if c == client_id), default=0) + 1

    def apply(self, command: Command) -> list[Outgoing]:
        """Carry out the command; the messages it causes, in order."""
        match command:
            case Step(at=at, frame=with_frame):
                return self._report(self._step(at, with_frame))
            case Place(client_id=client_id, version=version, fields=fields):
                return self._place(client_id, PLACE_ORDER.decode(fields, version))
            case Cancel(client_id=client_id, order_id=order_id):
                return self._cancel(client_id, order_id)
            case CancelAll():
                live = [order.perm_id for order in self.exchange.orders()]
                return [m for perm_id in live for m in self._report(self.exchange.cancel(perm_id, self.at))]
            case _ as never:
                assert_never(never)

    def live_orders(self) -> list[PlacedOrder]:
        """Working orders, oldest first."""
        return [self.orders[order.perm_id] for order in self.exchange.orders()]

    def realized(self) -> Decimal:
        """Realised P&L of the account since its opening, after commissions."""
        account = self.exchange.account
        return sum((p.realized_pnl for p in account.positions), start=ZERO) - account.commissions

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
        if not with_frame:
            return self.exchange.advance_to(at)
        frame = self.next_frame()
        assert frame is not None, "a step was recorded beyond the end of the tape"
        assert frame.at == at, f"the tape has a frame at {frame.at} where {at} was recorded"
        self.cursor += 1
        self.memory.extend(frame)
        self.board.update(frame)
        return self.exchange.advance(frame)

    def _place(self, client_id: int, values: Values) -> list[Outgoing]:
        order_id = values["orderId"] or 0
        known = self.orders.get(self._by_client.get((client_id, order_id), 0))
        if objection := self._objection(values, known):
            return [error(client_id, order_id, *objection)]
        instrument = self.catalogue.find(values)
        assert instrument is not None, "objected to above"
        ticket = ticket_of(values, instrument)
        if values["whatIf"]:
            draft = PlacedOrder(0, client_id, order_id, instrument, ticket, values, "PreSubmitted")
            return self._reports.what_if(draft, self.exchange.what_if(ticket))
        if known is not None:
            return self._report(
                self.exchange.modify(known.perm_id, ticket.quantity, ticket.limit_price, self.at)
            )
        self._placing = PlacedOrder(0, client_id, order_id, instrument, ticket, values, "PreSubmitted")
        before: list[Outgoing] = []
        if self._preset_notice and not values["tif"]:
            before = [error(client_id, order_id, 10349, "Order TIF was set to DAY based on order preset.")]
        if values["outsideRth"]:
            text = "Order Event Warning: Attribute 'Outside Regular Trading Hours' is ignored."
            before.append(error(client_id, order_id, 2109, text))
        return before + self._report(self.exchange.submit(ticket, self.at))

    def _objection(self, values: Values, known: PlacedOrder | None) -> tuple[int, str] | None:
        order_id = values["orderId"] or 0
        if order_id < 1 or values["account"] not in {"", self.account}:
            what = f"order id {order_id}, account code {values['account']!r}"
            return 321, f"Error validating request: {what}; ids are 1 or more, the account is {self.account}"
        instrument = self.catalogue.find(values)
        if instrument is None:
            return 200, "No security definition has been found for the request"
        try:
            ticket = ticket_of(values, instrument)
        except ValueError as reason:
            return 387, str(reason)
        if odd := unsupported(values):
            return 201, f"Order rejected - reason: not simulated here: {', '.join(odd)}"
        return None if known is None or values["whatIf"] else _clash(ticket, known)

    def _cancel(self, client_id: int, order_id: int) -> list[Outgoing]:
        order = self.orders.get(self._by_client.get((client_id, order_id), 0))
        if order is None:
            text = f"OrderId {order_id} that needs to be cancelled is not found."
            return [error(client_id, order_id, 10147, text)]
        if not order.live:
            text = (
                f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {order.status}."
            )
            return [error(client_id, order_id, 10148, text)]
        return self._report(self.exchange.cancel(order.perm_id, self.at))

    def _report(self, events: list[ExchangeEvent]) -> list[Outgoing]:
        """Take each event into the orders, and say it, before the next one is looked at."""
        messages: list[Outgoing] = []
        for n, event in enumerate(events):
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
                    messages += self._reports.activated(self.orders[event.perm_id])
                case OrderModified():
                    messages += self._reports.modified(self.orders[event.perm_id], event)
                case OrderCancelled() | OrderExpired():
                    messages += self._reports.ended(self.orders[event.perm_id], event)
                case RequestRefused():
                    messages += self._reports.refused(self.orders[event.perm_id], event)
                case _ as never:
                    assert_never(never)
        return messages

    def _enter(self, event: OrderAccepted | OrderRejected) -> PlacedOrder:
        order = self._placing
        assert order is not None, "the exchange accepted an order nobody placed"
        self._placing = None
        order.perm_id = event.perm_id
        self.orders[order.perm_id] = order
        self._by_client[order.client_id, order.order_id] = order.perm_id
        return order


def _clash(ticket: OrderTicket, known: PlacedOrder) -> tuple[int, str] | None:
    """Why `ticket` cannot change the order that already has its id."""
    if not known.live:
        return 103, f"Duplicate order id: {known.order_id} is {known.status}"
    if ticket.order_type is not known.ticket.order_type:
        return 329, "Order modify failed. Cannot change to the new order type."
    same = (known.ticket.instrument, known.ticket.side, known.ticket.tif)
    if (ticket.instrument, ticket.side, ticket.tif) != same:
        return 105, "Order being modified does not match original order."
    return None
