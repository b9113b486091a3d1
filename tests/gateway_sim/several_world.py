"""A gateway on a tape with venues, two currencies and a future, for tests of what they do on the wire."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from firm.domain.session import Sessions
from firm.exchange import MarginRules, Money
from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.contracts import Contracts, load_contracts
from firm.gateway_sim.gateway import Gateway
from firm.gateway_sim.journal import Journal
from firm.tape.tape import PRINT, QUOTE, Frame, Tape
from tests.gateway_sim.wire_world import ACCOUNT, CLOSE, DAY, MINUTE, OPEN, Client, header

SEVERAL = ("AAA", "AAA@ARCA", "AAA@BATS", "SAP", "EUR.USD", "ESH4")
CONTRACTS: dict[str, Any] = {
    "AAA": {
        "venues": {
            "ARCA": {"feed": "AAA@ARCA", "taker": "0.003", "maker": "-0.002"},
            "BATS": {"feed": "AAA@BATS", "taker": "0.001"},
        }
    },
    "SAP": {
        "currency": "EUR",
        "venues": {"XETRA": {"share": "0.6", "taker": "0.01"}, "TRADEGATE": {"share": "0.4"}},
        "fees": {"fraction": "0.001", "minimum": "1.25"},
    },
    "EUR.USD": {"sec_type": "CASH", "tick": "0.0001", "fees": {"fraction": "0.00002", "minimum": "2"}},
    "ESH4": {"sec_type": "FUT", "multiplier": "50", "tick": "0.25", "expiry": "20240315", "venue": "CME"},
}
MARKS = np.array([[100.0, 100.0, 100.0, 50.0, 1.1, 4000.0]])
CASH = Decimal(100_000)
MONEY = Money("USD", (("EUR", Decimal(5_000)),))


def several_tape() -> Tape:
    """Two sessions of four frames; the last of each in the last minute. Prices rise by a tick a frame."""
    ats = [day + at for day in (OPEN, OPEN + DAY) for at in (0, MINUTE, 2 * MINUTE, 389 * MINUTE)]
    return Tape(
        symbols=SEVERAL,
        sessions=Sessions((OPEN, OPEN + DAY), (CLOSE, CLOSE + DAY)),
        label="hand-made",
        source_sha256="1" * 64,
        history_times=np.array([CLOSE - DAY], dtype=np.int64),
        history_closes=MARKS,
        bar_ns=DAY,
        frames=[_frame(at, n) for n, at in enumerate(ats)],
    )


def _frame(at: int, n: int) -> Frame:
    """ARCA offers at a cent more than BATS, and quotes in every second frame only."""
    cent, tick = n / 100, n / 4
    rows = [
        (2, 99.0 + cent, 101.0 + cent, 200.0, 40.0),
        (3, 49.9, 50.1, 100.0, 100.0),
        (4, 1.0999, 1.1001, 1e6, 1e6),
        (5, 4000.0 + tick, 4000.5 + tick, 20.0, 20.0),
    ]
    if n % 2 == 0:
        rows.append((1, 99.0 + cent, 101.01 + cent, 300.0, 50.0))
    return Frame(at, np.array(rows, dtype=QUOTE), np.array([(1, 100.0 + cent, 10.0)], dtype=PRINT))


def contracts(folder: Path) -> Contracts:
    path = folder / "contracts.json"
    path.write_text(json.dumps(CONTRACTS))
    return load_contracts(path, SEVERAL)


def several(folder: Path, *, journal: bool = False) -> Gateway:
    """The gateway before its first frame."""
    found, rules, world = contracts(folder), MarginRules(Decimal(4), shorts_allowed=True), several_tape()
    brokerage = Brokerage(world, CASH, ACCOUNT, rules, preset_notice=False, contracts=found, money=MONEY)
    if not journal:
        return Gateway(brokerage, None)
    named = header(world, contracts=found.sha256, money="EUR")
    return Gateway(brokerage, Journal(folder / "journal", named))


def client_of(folder: Path) -> Client:
    """A client after the first frame."""
    client = Client(several(folder))
    client.step()
    return client


SAP = {"symbol": "SAP", "currency": "EUR", "exchange": "SMART"}
PAIR = {"symbol": "EUR", "secType": "CASH", "currency": "USD", "exchange": "IDEALPRO"}
FUTURE = {"symbol": "ESH4", "secType": "FUT", "exchange": "CME", "currency": "USD"}
