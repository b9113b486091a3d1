"""Contracts from a file, price bands, and what dividends, splits and expiries do to an account."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from firm.domain.order import Side
from firm.errors import ConfigError
from firm.exchange import Exchange, MarginRules
from firm.exchange.corporate import exercise, pay_dividend, split
from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.contracts import con_id_of, load_contracts
from firm.gateway_sim.control import answer
from firm.gateway_sim.gateway import Gateway
from tests.exchange.worlds import CASH, FREE, OPEN_1, OPEN_2, SESSIONS, exchange, frame, limit, market, stock
from tests.gateway_sim.wire_world import ACCOUNT, CLOSE, SYMBOLS, Client, gateway, tape

FUTURE = {"sec_type": "FUT", "multiplier": "50", "tick": "0.25", "expiry": "20240102", "venue": "CME"}
CALL = {
    "sec_type": "OPT",
    "multiplier": "100",
    "expiry": "20240102",
    "strike": "45",
    "right": "C",
    "underlying": "BBB",
}


def world_of(tmp_path: Path, **contracts: dict[str, Any]) -> Client:
    path = tmp_path / "contracts.json"
    path.write_text(json.dumps(contracts))
    found = load_contracts(path, SYMBOLS)
    rules = MarginRules(Decimal(50), shorts_allowed=True)
    brokerage = Brokerage(tape(), Decimal(10**7), ACCOUNT, rules, preset_notice=False, contracts=found)
    client = Client(Gateway(brokerage, None))
    client.step()
    return client


def test_without_a_file_everything_is_a_stock_in_cents():
    contracts = load_contracts(None, SYMBOLS)

    assert [(i.sec_type, i.con_id) for i in contracts.instruments] == [("STK", con_id_of(s)) for s in SYMBOLS]
    assert [rule.number for rule in contracts.rules] == [26, 26]


@pytest.mark.parametrize(
    ("contracts", "why"),
    [
        ({"ZZZ": {}}, "the tape has only AAA, BBB"),
        ({"AAA": {"sec_type": "FUT"}}, "futures and options have an expiry"),
        ({"AAA": {**CALL, "underlying": "ZZZ"}}, "options also a strike"),
        ({"AAA": {"tick": "0"}}, "needs steps above 0"),
        ({"AAA": {"bands": [["1", "0.01"]]}}, "bands rising from 0"),
        ({"AAA": {"colour": "red"}}, "is no file of contracts"),
    ],
)
def test_a_file_of_contracts_that_makes_no_sense_is_refused(tmp_path: Path, contracts: Any, why: str):
    path = tmp_path / "contracts.json"
    path.write_text(json.dumps(contracts))

    with pytest.raises(ConfigError, match=why):
        load_contracts(path, SYMBOLS)


def test_a_future_is_described_traded_with_its_multiplier_and_settled_at_its_expiry(tmp_path: Path):
    client = world_of(tmp_path, AAA=FUTURE)
    future = {"symbol": "AAA", "secType": "FUT", "exchange": "CME", "lastTradeDate": "202401"}
    details = client.ask("reqContractDetails", reqId=3, **future)[0][1]
    rule = client.ask("reqMarketRule", ruleId=int(details["marketRuleIds"].split(",")[0]))[0][1]

    assert (details["multiplier"], details["lastTradeDate"], details["contractMonth"]) == (
        "50",
        "20240102",
        "202401",
    )
    assert rule["increments"] == [{"lowEdge": 0.0, "increment": 0.25}]
    assert "execDetails 2@101" in client.place(1, "BUY", 2, **future)
    assert client.place(2, "BUY", 2, **future, lmtPrice=Decimal("90.10"))[-1] == "error 110"
    client.place(3, "BUY", 2, **future, lmtPrice=Decimal("90.25"), tif="GTC")
    client.step()
    client.step()
    ended = client.step(CLOSE)

    account = client.gateway.brokerage.exchange.account
    assert ended[-2:] == ["orderStatus Cancelled 0", "error 202"]
    assert account.positions[0].quantity == 0
    assert account.cash + account.commissions == 10**7 + 2 * 50 * (Decimal(102) - Decimal(101))
    assert client.place(4, "BUY", 2, **future) == ["error 201"]


def test_a_call_in_the_money_is_exercised_into_its_stock(tmp_path: Path):
    client = world_of(tmp_path, AAA=CALL)
    option = {"symbol": "AAA", "secType": "OPT", "strike": 45.0, "right": "C", "lastTradeDate": "20240102"}
    assert "execDetails 3@101" in client.place(1, "BUY", 3, **option)
    client.step(CLOSE)
    while client.gateway.brokerage.at < CLOSE:
        client.step(CLOSE)

    account = client.gateway.brokerage.exchange.account
    assert [p.quantity for p in account.positions] == [0, 300]
    assert account.cash + account.commissions == 10**7 - 3 * 100 * 101 - 300 * 45


@pytest.mark.parametrize(("strike", "shares", "paid"), [(110, 100, 110), (90, 0, 0)])
def test_a_short_put_is_assigned_and_one_out_of_the_money_just_ends(strike: int, shares: int, paid: int):
    put = msgspec.structs.replace(
        stock(1, "PUT"),
        sec_type="OPT",
        multiplier=Decimal(100),
        underlying=0,
        strike=Decimal(strike),
        right="P",
    )
    rules = MarginRules(Decimal(4), shorts_allowed=True)
    x = Exchange([stock(0, "AAA"), put], CASH, "DU1", SESSIONS, FREE, rules, [100.0, 5.0])
    x.advance(frame(OPEN_1, (0, 99.0, 101.0, 50.0, 60.0)))
    x.account.enter(1, Side.SELL, Decimal(1), Decimal(5), Decimal(0))

    exercise(x, 1)

    assert [p.quantity for p in x.account.positions] == [shares, 0]
    assert x.account.cash == CASH + 500 - shares * paid


def test_a_dividend_is_paid_by_the_short_to_the_long():
    x = exchange()
    x.advance(frame(OPEN_1, (0, 99.0, 101.0, 50.0, 60.0), (1, 49.0, 51.0, 50.0, 60.0)))
    x.submit(market(Side.BUY, 10), OPEN_1 + 1)
    before = x.account.cash

    assert pay_dividend(x, 0, Decimal("0.24")) == Decimal("2.40")
    assert pay_dividend(x, 1, Decimal("0.24")) == 0
    assert (x.account.cash - before, x.account.income) == (Decimal("2.40"), Decimal("2.40"))


def test_a_split_keeps_cost_and_value_pays_the_fraction_and_cancels_orders():
    x = exchange()
    x.advance(frame(OPEN_1, (0, 99.0, 101.0, 50.0, 60.0)))
    x.submit(market(Side.BUY, 15), OPEN_1 + 1)
    x.submit(limit(Side.BUY, 10, "90"), OPEN_1 + 1)
    value, equity = x.account.value(0), x.account.equity

    events = split(x, 0, 3, 2)

    held = x.account.positions[0]
    assert [type(e).__name__ for e in events] == ["OrderCancelled"]
    assert held.quantity == 22
    assert round(x.account.income, 6) == Decimal("33.333333")
    assert held.average_price == Decimal(101) * 2 / 3
    assert float(x.account.equity) == pytest.approx(float(equity), abs=1e-6)
    assert float(x.account.value(0)) == pytest.approx(float(value) * 22 / 22.5, abs=1e-6)
    x.advance(frame(OPEN_2, (0, 66.0, 67.0, 50.0, 60.0)))
    assert x.account.value(0) == 22 * Decimal("66.5")


def test_dividends_and_splits_are_commands_that_survive_a_restart(tmp_path: Path):
    gw = gateway(tmp_path / "journal")
    client = Client(gw)
    client.step()
    client.place(1, "BUY", 10)
    for line in (
        b'{"cmd":"dividend","symbol":"AAA","amount":"0.5"}',
        b'{"cmd":"split","symbol":"AAA","new":2,"old":1}',
    ):
        assert answer(gw, line, stepped=True) == {"done": True}
    gw.commit()
    gw._journal.close()  # type: ignore[union-attr]

    again = gateway(tmp_path / "journal").brokerage.exchange

    assert again.state() == gw.brokerage.exchange.state()
    assert again.account.positions[0].quantity == 20
    assert again.account.cash == CASH - 1010 - Decimal("0.35") + 5
