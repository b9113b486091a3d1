"""Takes down what the gateway says, exactly: ib_async's decoder, without ib_async's own ideas about orders.

ib_async calls an order cancelled when an error bears its id, drops fills it has seen, and swallows what it
cannot decode. Here every message about orders goes to an inbox as it came, for `firm.broker.ib_session`.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from ib_async import IB, CommissionReport, Contract, Execution, Order
from ib_async import OrderState as IbOrderState
from ib_async.client import Client
from ib_async.decoder import Decoder
from ib_async.util import UNSET_DOUBLE
from ib_async.wrapper import RequestError, Wrapper

from firm.broker.account import AccountFigures
from firm.broker.codes import CLIENT_ID_IN_USE, NO_DATA
from firm.broker.messages import (
    CommissionMessage,
    CompletedOrderMessage,
    ErrorMessage,
    ExecutionMessage,
    Message,
    OpenOrderMessage,
    PositionMessage,
    StatusMessage,
    UnreadableMessage,
    exact,
)
from firm.broker.quotes import QuoteBoard
from firm.domain.order import Side

LOG = logging.getLogger("firm.broker")
UNDECODABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError)
EXECUTED = {"BOT": Side.BUY, "SLD": Side.SELL}


class Recorder(Wrapper):  # type: ignore[misc]
    """The receiving end of one connection. `arrived` is called after each read from the socket."""

    def __init__(self, ib: IB, arrived: Callable[[], None]) -> None:
        super().__init__(ib)
        self._arrived = arrived
        self.account = ""
        self.inbox: list[Message] = []
        self.client_id_in_use: Callable[[], None] | None = None
        self.board = QuoteBoard(())
        self.figures = AccountFigures()

    def tcpDataArrived(self) -> None:  # noqa: N802  the library's name
        """Nothing to prepare."""

    def tcpDataProcessed(self) -> None:  # noqa: N802
        """A read from the socket has been decoded."""
        self._arrived()

    def orderStatus(  # noqa: N802
        self,
        orderId: int,
        status: str,
        filled: float,
        remaining: float,  # noqa: ARG002
        avgFillPrice: float,  # noqa: ARG002
        permId: int,
        parentId: int,  # noqa: ARG002
        lastFillPrice: float,  # noqa: ARG002
        clientId: int,
        whyHeld: str,  # noqa: ARG002
        mktCapPrice: float = 0.0,  # noqa: ARG002
    ) -> None:
        """Into the inbox."""
        self.inbox.append(StatusMessage(orderId, clientId, permId, status, exact(filled)))

    def openOrder(  # noqa: N802
        self, orderId: int, contract: Contract, order: Order, orderState: IbOrderState
    ) -> None:
        """Into the inbox, if it is of our account."""
        self.ib.client.updateReqId(orderId + 1)
        if order.account in {"", self.account}:
            names = (orderId, order.clientId, order.permId, order.orderRef)
            quantity = exact(float(order.totalQuantity))
            self.inbox.append(OpenOrderMessage(*names, contract.conId, orderState.status, quantity))

    def completedOrder(  # noqa: N802
        self, contract: Contract, order: Order, orderState: IbOrderState
    ) -> None:
        """Into the inbox, if it is of our account."""
        if order.account in {"", self.account}:
            filled = exact(0.0 if order.filledQuantity == UNSET_DOUBLE else float(order.filledQuantity))
            names = (order.permId, order.orderRef, contract.conId)
            status = (orderState.status, filled, orderState.completedStatus)
            self.inbox.append(CompletedOrderMessage(*names, *status))

    def execDetails(self, reqId: int, contract: Contract, execution: Execution) -> None:  # noqa: ARG002, N802
        """Into the inbox, if it is of our account."""
        if execution.acctNumber != self.account:
            return
        self.inbox.append(
            ExecutionMessage(
                exec_id=execution.execId,
                order_id=execution.orderId,
                client_id=execution.clientId,
                perm_id=execution.permId,
                order_ref=execution.orderRef,
                con_id=contract.conId,
                side=EXECUTED[execution.side],
                quantity=exact(execution.shares),
                price=exact(execution.price),
                venue=execution.exchange,
            )
        )

    def commissionReport(self, commissionReport: CommissionReport) -> None:  # noqa: N802
        """Into the inbox, once the amount is known."""
        if commissionReport.commission != UNSET_DOUBLE:
            fee = exact(commissionReport.commission)
            self.inbox.append(CommissionMessage(commissionReport.execId, fee))

    def error(self, reqId: int, errorCode: int, errorString: str, advancedOrderRejectJson: str) -> None:
        """Into the inbox; and it fails the request of that id, if one is waiting."""
        if advancedOrderRejectJson:
            LOG.warning("order %s refused: %s", reqId, advancedOrderRejectJson)
        if reqId in self._futures:
            self._endReq(reqId, RequestError(reqId, errorCode, errorString), success=False)
            return
        if errorCode == CLIENT_ID_IN_USE and self.client_id_in_use is not None:
            self.client_id_in_use()
        if errorCode in NO_DATA:
            self.board.refused(reqId, f"{errorCode}: {errorString}")
        LOG.info("gateway notice %s about %s: %s", errorCode, reqId, errorString)
        self.inbox.append(ErrorMessage(reqId, errorCode, errorString))

    def position(self, account: str, contract: Contract, posSize: float, avgCost: float) -> None:  # noqa: ARG002
        """Into the inbox, if it is of our account."""
        if account == self.account:
            self.inbox.append(PositionMessage(contract.conId, contract.symbol, exact(posSize)))

    def accountSummary(  # noqa: N802
        self,
        _reqId: int,
        account: str,
        tag: str,
        value: str,
        currency: str,  # noqa: ARG002
    ) -> None:
        """Among the account's figures."""
        if account == self.account:
            self.figures.hear(tag, value)

    def priceSizeTick(self, reqId: int, tickType: int, price: float, size: float) -> None:  # noqa: N802
        """Onto the board."""
        self.board.price(reqId, tickType, price, size)

    def tickSize(self, reqId: int, tickType: int, size: float) -> None:  # noqa: N802
        """Onto the board."""
        self.board.size(reqId, tickType, size)

    def tickString(self, reqId: int, tickType: int, value: str) -> None:  # noqa: N802
        """Onto the board."""
        self.board.text(reqId, tickType, value)

    def tickGeneric(self, reqId: int, tickType: int, value: float) -> None:  # noqa: N802
        """Not used."""

    def tickReqParams(self, *params: Any) -> None:  # noqa: N802
        """Not used: tick sizes come from market rules."""

    def marketDataType(self, reqId: int, marketDataId: int) -> None:  # noqa: N802
        """Onto the board: delayed or frozen data are no quotes."""
        self.board.data_type(reqId, marketDataId)


class StrictDecoder(Decoder):  # type: ignore[misc]
    """ib_async's decoder, but what cannot be decoded is reported instead of dropped."""

    def wrap(self, methodName: str, types: Sequence[type], skip: int = 2) -> Callable[[Sequence[str]], None]:
        """A handler that passes the fields after `skip` to the recorder's method, by their types."""

        def handler(fields: Sequence[str]) -> None:
            values = [_parsed(kind, field) for kind, field in zip(types, fields[skip:], strict=False)]
            method = getattr(self.wrapper, methodName, None)
            if method is not None:
                method(*values)

        return handler

    def interpret(self, fields: Sequence[str]) -> None:
        """Decode one message and hand it on."""
        try:
            self.handlers[int(fields[0])](fields)
        except UNDECODABLE as fault:
            LOG.exception("message %s could not be decoded", fields)
            self.wrapper.inbox.append(UnreadableMessage(fields[0], repr(fault)))


class RecordingIB(IB):  # type: ignore[misc]
    """An `ib_async.IB` that speaks and decodes, and leaves all state to us."""

    TimezoneTWS = "UTC"

    def __init__(self, arrived: Callable[[], None]) -> None:
        super().__init__()
        self.wrapper = Recorder(self, arrived)
        self.client = Client(self.wrapper)
        self.client.decoder = StrictDecoder(self.wrapper, 0)
        self.client.MaxRequests = 0
        self.client.apiEnd += self.disconnectedEvent

    def _onError(self, *_notice: Any) -> None:  # noqa: N802
        """The library would ask for an account summary after each outage; nobody here needs one."""


def _parsed(kind: type, field: str) -> str | int | float | bool:
    if kind is str:
        return field
    return bool(int(field or 0)) if kind is bool else int(field or 0) if kind is int else float(field or 0)
