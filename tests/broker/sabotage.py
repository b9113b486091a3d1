"""Breaks one safeguard of the broker's side at a time, to see that the fuzzer notices that it is gone.

`python tests/broker/sabotage.py` prints, for each, how many seeds it took and what did not hold, as Markdown.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

from chaos import fails, script  # noqa: E402 - runs as a script, from anywhere
from msgspec import structs  # noqa: E402

from firm.broker import fills, ib_session, verdict  # noqa: E402
from firm.broker.children import ChildOrder, Children  # noqa: E402
from firm.broker.connection import Connection  # noqa: E402
from firm.broker.fills import ExecName, FillLedger  # noqa: E402
from firm.broker.ib_session import IbSession  # noqa: E402
from firm.broker.messages import ErrorMessage, OpenOrderMessage  # noqa: E402
from firm.broker.notebook import Notebook  # noqa: E402
from firm.broker.positions import Positions  # noqa: E402
from firm.broker.post import Post  # noqa: E402
from firm.events import Event  # noqa: E402

LENGTH = 60
Break = Callable[[], Any]
"""What makes a context in which the safeguard is gone."""


def _twice() -> Any:
    enter = FillLedger.enter

    def forgetful(self: FillLedger, fill: Any) -> bool:
        self._fills.pop(fill.exec_id, None)
        return enter(self, fill)

    return patch.object(FillLedger, "enter", forgetful)


@contextmanager
def _corrections_add() -> Iterator[None]:
    def name(exec_id: str) -> ExecName:
        return ExecName(exec_id, 1)

    with patch.object(fills, "exec_name", name), patch.object(ib_session, "exec_name", name):
        yield


def _fees_again() -> Any:
    due = FillLedger.due_fee

    def forgetful(self: FillLedger, base: str) -> Any:
        self._reported_fees.pop(base, None)
        return due(self, base)

    return patch.object(FillLedger, "due_fee", forgetful)


def _believes_errors() -> Any:
    heard = IbSession._error

    def believing(self: IbSession, message: ErrorMessage) -> list[Event]:
        child = self.children.by_order_id(message.about) if message.about > 0 else None
        if child is not None and not child.over and message.code in {161, 10147, 10148}:
            return verdict.gone(child, self.fills, message.text)
        return heard(self, message)

    return patch.object(IbSession, "_error", believing)


def _asks_nothing() -> Any:
    def doubt(_self: IbSession, child: ChildOrder, reason: str) -> list[Event]:
        return verdict.doubt(child, reason)

    return patch.object(IbSession, "_doubt", doubt)


@contextmanager
def _old_ids() -> Iterator[None]:
    connect = Connection.connect

    async def forgetful(self: Connection) -> None:
        self._used = 0
        await connect(self)

    def mark(_self: Notebook, _client_id: int) -> int:
        return 0

    with patch.object(Connection, "connect", forgetful), patch.object(Notebook, "mark", mark):
        yield


@contextmanager
def _sends_again() -> Iterator[None]:
    def order(self: Post, seq: int, child: Any) -> None:
        self._waiting.push(1, seq, child)

    def add(self: Children, child: ChildOrder) -> None:
        self._by_seq[child.seq] = self._unsettled[child.seq] = child

    with patch.object(Post, "order", order), patch.object(Children, "add", add):
        yield


def _never_differs() -> Any:
    def none(_self: Positions, _fills: Any) -> tuple[()]:
        return ()

    return patch.object(Positions, "breaks", none)


def _lets_twins_live() -> Any:
    def only_one(self: ChildOrder) -> list[int]:
        return [perm_id for perm_id, live in self.perm_ids.items() if live][:1]

    return patch.object(ChildOrder, "live_as", property(only_one))


def _no_executions() -> Any:
    async def query(self: Connection) -> None:
        await self.ask(lambda ib: ib.reqAllOpenOrdersAsync(), "open orders")
        await self.ask(lambda ib: ib.reqCompletedOrdersAsync(apiOnly=False), "completed orders")
        await self.ask(lambda ib: ib.reqPositionsAsync(), "positions")

    return patch.object(Connection, "query", query)


def _keeps_what_others_changed() -> Any:
    opened = IbSession._open_order

    def unchanged(self: IbSession, message: OpenOrderMessage) -> list[Event]:
        child = self.children.find(message.perm_id, message.order_ref, message.client_id, message.order_id)
        quantity = child.order.quantity if child else message.quantity
        return opened(self, structs.replace(message, quantity=quantity))

    return patch.object(IbSession, "_open_order", unchanged)


SABOTAGES: dict[str, Break] = {
    "an execution that is told again is booked again": _twice,
    "a correction is taken for another execution": _corrections_add,
    "a commission that is told again is booked again": _fees_again,
    "an error that says the order is gone is believed": _believes_errors,
    "an unknown order is not asked for": _asks_nothing,
    "order ids are taken as the gateway gives them": _old_ids,
    "an order is sent though the log has it already": _sends_again,
    "positions are not compared": _never_differs,
    "the second of twins is not seen": _lets_twins_live,
    "executions are not asked for": _no_executions,
    "a quantity that somebody changed is let be": _keeps_what_others_changed,
}


def noticed(sabotage: Break, seeds: Collection[int]) -> tuple[int, str] | None:
    """The first seed that notices, and what it says; None if all of them live without the safeguard."""
    with sabotage():
        for seed in seeds:
            if wrong := fails(script(seed, LENGTH), ("free", "stepped")[seed % 2]):
                return seed, wrong
    return None


def main() -> int:
    """Print the table; 1 if one went unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200, help="at most (default %(default)s)")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    unnoticed = 0
    sys.stdout.write(
        "| safeguard taken away | seeds until noticed | the first thing that does not hold |\n|---|---|---|\n"
    )
    for name, sabotage in SABOTAGES.items():
        found = noticed(sabotage, range(options.seeds))
        unnoticed += found is None
        seeds, wrong = (f"{found[0] + 1}", found[1][:110]) if found else (f"not in {options.seeds}", "-")
        sys.stdout.write(f"| {name} | {seeds} | {wrong} |\n")
        sys.stdout.flush()
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
