"""Plays the gateway's part against a session: what the gateway says, in the fewest words."""

from collections.abc import Sequence
from decimal import Decimal

from trading import CLIENT, RUN

from firm.broker.ib_session import IbSession
from firm.broker.messages import (
    CommissionMessage,
    CompletedOrderMessage,
    ErrorMessage,
    ExecutionMessage,
    Message,
    OpenOrderMessage,
    PositionMessage,
    Query,
    StatusMessage,
)
from firm.domain.instrument import Instrument
from firm.domain.order import OrderType, Side, TimeInForce
from firm.events import Event, Origin, Record, encode
from firm.events.orders import Child
from firm.events.system import Reconciled

SEQ, ORDER_ID, PERM_ID = 7, 40, 9001
CON_ID = 265598

APPLE = Instrument(
    index=0,
    symbol="AAPL",
    con_id=CON_ID,
    sec_type="STK",
    venue="NASDAQ",
    currency="USD",
    multiplier=Decimal(1),
    tick_size=Decimal("0.01"),
    lot_size=Decimal(1),
)


def child(quantity: int = 10, side: Side = Side.BUY, limit: str | None = "100") -> Child:
    return Child(
        instrument=0,
        con_id=CON_ID,
        side=side,
        quantity=Decimal(quantity),
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit_price=None if limit is None else Decimal(limit),
        time_in_force=TimeInForce.DAY,
    )


def fresh_session() -> IbSession:
    session = IbSession(RUN, CLIENT, Decimal(1))
    session.books.know((APPLE,))
    session.positions.opening = {}
    session.new_connection()
    session.link.restored()
    return session


def submitted(quantity: int = 10, side: Side = Side.BUY) -> IbSession:
    """A session that has just sent child `SEQ` as order `ORDER_ID`."""
    session = fresh_session()
    session.submit(SEQ, child(quantity, side), ORDER_ID)
    return session


def working(quantity: int = 10) -> IbSession:
    """The same, and the gateway has it in its book."""
    session = submitted(quantity)
    hear(session, opened(), status("Submitted"))
    return session


def hear(session: IbSession, *messages: Message) -> list[Event]:
    return [event for message in messages for event in session.hear(message)]


def query(session: IbSession, *answers: Message) -> list[Event]:
    """One complete query with these answers."""
    session.begin_query()
    events = hear(session, *answers)
    return events + session.end_query()[0]


def reconciled(session: IbSession, cash: Decimal = Decimal(0)) -> Reconciled:
    """What the session says of its last query."""
    outcome = session.reconciled(cash)[-1]
    assert isinstance(outcome, Reconciled)
    return outcome


def asks(session: IbSession) -> bool:
    """Whether the session wants a query now."""
    return any(isinstance(want, Query) for want in session.wants())


def status(word: str, filled: int = 0, perm_id: int = PERM_ID, order_id: int = ORDER_ID) -> StatusMessage:
    return StatusMessage(order_id, CLIENT, perm_id, word, Decimal(filled))


def opened(
    word: str = "Submitted",
    perm_id: int = PERM_ID,
    order_id: int = ORDER_ID,
    ref: str = f"{RUN}-{SEQ}",
    client: int = CLIENT,
    quantity: int = 10,
) -> OpenOrderMessage:
    return OpenOrderMessage(order_id, client, perm_id, ref, CON_ID, word, Decimal(quantity))


def completed(
    word: str, filled: int = 0, reason: str = "", ref: str = f"{RUN}-{SEQ}"
) -> CompletedOrderMessage:
    return CompletedOrderMessage(PERM_ID, ref, CON_ID, word, Decimal(filled), reason)


def executed(
    quantity: int,
    exec_id: str = "0000e0d5.6553f7a8.01.01",
    price: str = "100",
    perm_id: int = PERM_ID,
    order_id: int = ORDER_ID,
    client: int = CLIENT,
    ref: str = f"{RUN}-{SEQ}",
    side: Side = Side.BUY,
) -> ExecutionMessage:
    amounts = (Decimal(quantity), Decimal(price))
    return ExecutionMessage(exec_id, order_id, client, perm_id, ref, CON_ID, side, *amounts, "ISLAND")


def fee(amount: str = "1.00", exec_id: str = "0000e0d5.6553f7a8.01.01") -> CommissionMessage:
    return CommissionMessage(exec_id, Decimal(amount))


def error(code: int, text: str = "words", about: int = ORDER_ID) -> ErrorMessage:
    return ErrorMessage(about, code, text)


def holding(quantity: int, con_id: int = CON_ID, symbol: str = "AAPL") -> PositionMessage:
    return PositionMessage(con_id, symbol, Decimal(quantity))


def log_of(*events: Event, first_seq: int = 1) -> list[Record]:
    """Records of these events, numbered from `first_seq`."""
    return [
        Record(seq, 1_000 * seq, Origin.INPUT, "broker", 0, 0, event.KIND, encode(event))
        for seq, event in enumerate(events, first_seq)
    ]


def kinds(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]
