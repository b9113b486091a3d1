"""A gateway without sockets on a small hand-made tape, and a client that speaks raw fields."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from firm.domain.session import Sessions
from firm.exchange import MarginRules
from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.codec.framing import Deframer, fields_of
from firm.gateway_sim.codec.place_order import PLACE_ORDER
from firm.gateway_sim.codec.replies import ALL
from firm.gateway_sim.codec.requests import REQUESTS
from firm.gateway_sim.gateway import Gateway
from firm.gateway_sim.journal import FORMAT, Header, Journal
from firm.gateway_sim.session import Session
from firm.tape.tape import PRINT, QUOTE, Frame, Tape

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE
OPEN = 1_704_205_800_000_000_000  # 2024-01-02 09:30 in New York
CLOSE = OPEN + 390 * MINUTE
SYMBOLS = ("AAA", "BBB")
CASH = Decimal(100_000)
ACCOUNT = "DU1"
CON_ID = 0

BY_NUMBER = {str(message.id): message for message in ALL if message.id != 99}
NUMBERS = {message.name: message.id for message in REQUESTS.values()}


def tape(frames: int = 6) -> Tape:
    """Two sessions of three frames a minute apart: AAA at 99/101, rising by 1 a frame; BBB prints."""
    ats = [OPEN + i * MINUTE if i < 3 else OPEN + DAY + (i - 3) * MINUTE for i in range(frames)]
    return Tape(
        symbols=SYMBOLS,
        sessions=Sessions((OPEN, OPEN + DAY), (CLOSE, CLOSE + DAY)),
        label="hand-made",
        source_sha256="0" * 64,
        history_times=np.array([CLOSE - 5 * DAY, CLOSE - 4 * DAY, CLOSE - DAY], dtype=np.int64),
        history_closes=np.array([[96.0, 49.0], [97.0, 49.5], [98.0, 50.0]]),
        bar_ns=DAY,
        frames=[_frame(at, i) for i, at in enumerate(ats)],
    )


def _frame(at: int, i: int) -> Frame:
    quotes = [(0, 99.0 + i, 101.0 + i, 500.0, 600.0), (1, 49.9, 50.1, 300.0, 300.0)]
    return Frame(at, np.array(quotes, dtype=QUOTE), np.array([(1, 50.0 + i / 10, 10.0)], dtype=PRINT))


def gateway(journal: Path | None = None, *, preset_notice: bool = False) -> Gateway:
    world = tape()
    rules = MarginRules(Decimal(4), shorts_allowed=True)
    brokerage = Brokerage(world, CASH, ACCOUNT, rules, preset_notice=preset_notice)
    if journal is None:
        return Gateway(brokerage, None)
    return Gateway(brokerage, Journal(journal, header(world)))


def header(world: Tape, **more: str) -> Header:
    return Header(
        format=FORMAT,
        account=ACCOUNT,
        cash=str(CASH),
        leverage="4",
        shorts=True,
        source_sha256=world.source_sha256,
        first_at=world.frames[0].at,
        frames=len(world.frames),
        preset_notice=False,
        **more,
    )


def order(order_id: int, action: str, quantity: int, **values: Any) -> dict[str, Any]:
    """The values of a placeOrder request for AAA: limited if it has a limit price."""
    plain = {
        "orderId": order_id,
        "symbol": "AAA",
        "secType": "STK",
        "exchange": "SMART",
        "currency": "USD",
        "action": action,
        "totalQuantity": Decimal(quantity),
        "orderType": "LMT" if "lmtPrice" in values else "MKT",
        "tif": "DAY",
        "orderRef": f"ref-{order_id}",
    }
    return {**plain, **values}


class Client:
    """Sends requests by name and reads what the gateway queued, as (name, values)."""

    def __init__(self, gw: Gateway, client_id: int = 1, version: int = 178) -> None:
        self.gateway, self.version = gw, version
        self.session: Session = gw.connect(version)
        self.ask("startApi", clientId=client_id)
        self.client_id = client_id

    def send(self, name: str, **values: Any) -> None:
        message = PLACE_ORDER if name == "placeOrder" else REQUESTS[NUMBERS[name]]
        self.raw(*message.encode(self.version, values))

    def raw(self, *fields: str) -> None:
        self.gateway.receive(self.session, ("\0".join(fields) + "\0").encode())

    def bytes(self) -> bytes:
        self.gateway.commit()
        data = bytes(self.session.out)
        self.session.out.clear()
        return data

    def heard(self) -> list[tuple[str, dict[str, Any]]]:
        messages = []
        for payload in Deframer().feed(self.bytes()):
            fields = fields_of(payload)
            message = BY_NUMBER[fields[0]]
            messages.append((message.name, message.decode(fields[1:], self.version)))
        return messages

    def ask(self, name: str, **values: Any) -> list[tuple[str, dict[str, Any]]]:
        self.send(name, **values)
        return self.heard()

    def place(self, order_id: int, action: str, quantity: int, **values: Any) -> list[str]:
        """Place an order for AAA and return what was heard, in short."""
        return self.short(self.ask("placeOrder", **order(order_id, action, quantity, **values)))

    def step(self, until: int | None = None) -> list[str]:
        self.gateway.step(until)
        return self.short(self.heard())

    @staticmethod
    def short(messages: list[tuple[str, dict[str, Any]]]) -> list[str]:
        """`openOrder Submitted`, `orderStatus Filled 10`, `execDetails 10@101`, `error 201`, or the name."""
        words = []
        for name, v in messages:
            match name:
                case "openOrder":
                    words.append(f"{name} {v['status']}")
                case "orderStatus":
                    words.append(f"{name} {v['status']} {v['filled']}")
                case "execDetails":
                    words.append(f"{name} {v['shares']}@{v['price']}")
                case "error":
                    words.append(f"{name} {v['code']}")
                case _:
                    words.append(name)
        return words
