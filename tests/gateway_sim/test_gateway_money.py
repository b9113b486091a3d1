"""Several currencies as clients see them: pairs, ledgers, P&L and margin in base; futures settling daily."""

from decimal import Decimal
from typing import Any

import pytest

from firm.errors import ConfigError, DataError, GatewayUnavailable
from firm.exchange import MarginRules, Money
from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.main import main
from firm.gateway_sim.process import start_gateway
from tests.gateway_sim.several_world import (
    CASH,
    FUTURE,
    PAIR,
    SAP,
    client_of,
    contracts,
    several,
    several_tape,
)
from tests.gateway_sim.test_gateway_contracts import world_of
from tests.gateway_sim.wire_world import ACCOUNT, Client


def buy(client: Client, order_id: int, quantity: int, **asked: Any) -> list[tuple[str, dict[str, Any]]]:
    order = {"action": "BUY", "totalQuantity": quantity, "orderType": "MKT", "tif": "DAY", "secType": "STK"}
    return client.ask("placeOrder", orderId=order_id, **{**order, **asked})


def ledger(client: Client, *tags: str) -> dict[str, str]:
    """`tag currency` to value, from an account summary."""
    heard = client.ask(
        "reqAccountSummary", reqId=99, group="All", tags="$LEDGER:ALL,NetLiquidation,InitMarginReq"
    )
    client.ask("cancelAccountSummary", reqId=99)
    values = {f"{v['tag']} {v['currency']}": v["value"] for name, v in heard if name == "accountSummary"}
    return {tag: values[tag] for tag in tags}


def test_the_ledger_has_each_currency_with_its_rate_and_all_of_it_in_base(tmp_path):
    client = client_of(tmp_path)

    assert ledger(
        *(client, "CashBalance EUR", "ExchangeRate EUR", "CashBalance USD", "ExchangeRate USD"),
        *("CashBalance BASE", "ExchangeRate BASE", "NetLiquidation USD"),
    ) == {
        "CashBalance EUR": "5000.00",
        "ExchangeRate EUR": "1.10",
        "CashBalance USD": "100000.00",
        "ExchangeRate USD": "1.00",
        "CashBalance BASE": "105500.00",
        "ExchangeRate BASE": "1.00",
        "NetLiquidation USD": "105500.00",
    }


def test_a_pair_is_found_by_its_two_currencies_and_trades_at_idealpro(tmp_path):
    client = client_of(tmp_path)
    ((_, details), _) = client.ask("reqContractDetails", reqId=1, **PAIR)
    heard = buy(client, 1, 20_000, **PAIR)
    ((_, fill),) = [m for m in heard if m[0] == "execDetails"]
    ((_, cost),) = [m for m in heard if m[0] == "commissionReport"]

    names = ("symbol", "secType", "currency", "localSymbol", "exchange", "validExchanges")
    assert [details[name] for name in names] == ["EUR", "CASH", "USD", "EUR.USD", "IDEALPRO", "IDEALPRO"]
    assert (fill["symbol"], fill["exchange"], fill["price"]) == ("EUR", "IDEALPRO", Decimal("1.1001"))
    assert (cost["commission"], cost["currency"]) == (2, "USD")
    assert ledger(client, "CashBalance EUR", "CashBalance USD", "CashBalance BASE") == {
        "CashBalance EUR": "25000.00",
        "CashBalance USD": "77996.00",
        "CashBalance BASE": "105496.00",
    }


def test_a_stock_in_euros_is_told_in_euros_and_its_profit_in_dollars(tmp_path):
    client = client_of(tmp_path)
    heard = buy(client, 1, 10, **SAP)
    costs = [v for name, v in heard if name == "commissionReport"]
    ((_, held),) = [
        m for m in client.ask("reqAccountUpdates", subscribe=True, account="") if m[0] == "updatePortfolio"
    ]
    ((_, profit),) = client.ask("reqPnL", reqId=1, account=ACCOUNT)
    ((_, single),) = client.ask("reqPnLSingle", reqId=2, account=ACCOUNT, conId=held["conId"])

    assert [(c["commission"], c["currency"]) for c in costs] == [(Decimal("1.25"), "EUR")]
    assert (held["currency"], held["marketValue"], held["unrealizedPNL"]) == ("EUR", 500.0, -1.0)
    assert (single["value"], single["unrealized"]) == (pytest.approx(550.0), pytest.approx(-1.1))
    assert (profit["unrealized"], profit["daily"]) == (pytest.approx(-1.1), pytest.approx(-1.1 - 1.25 * 1.1))
    assert ledger(
        client, "StockMarketValue EUR", "UnrealizedPnL EUR", "StockMarketValue BASE", "InitMarginReq USD"
    ) == {
        "StockMarketValue EUR": "500.00",
        "UnrealizedPnL EUR": "-1.00",
        "StockMarketValue BASE": "550.00",
        "InitMarginReq USD": "137.50",
    }


def test_what_if_is_in_the_base_currency(tmp_path):
    ((_, answer),) = buy(client_of(tmp_path), 1, 100, **SAP, whatIf=True)

    assert answer["initMarginChange"] == "1375.00"  # 100 at 50, in dollars, over a leverage of four
    assert (answer["commission"], answer["commissionCurrency"]) == (pytest.approx(5.5), "USD")


def test_a_future_settles_into_cash_at_the_close(tmp_path):
    client = client_of(tmp_path)
    heard = buy(client, 1, 1, **FUTURE)
    ((_, fill),) = [m for m in heard if m[0] == "execDetails"]
    bought = ledger(client, "CashBalance USD", "FuturesPNL USD", "StockMarketValue USD")
    for _ in range(3):
        client.gateway.step(None)
    before = ledger(client, "CashBalance USD", "FuturesPNL USD", "NetLiquidation USD")
    client.gateway.step(None)
    after = ledger(client, "CashBalance USD", "FuturesPNL USD")

    assert (fill["exchange"], fill["price"]) == ("CME", Decimal("4000.5"))
    # 0.35 of commission; the mark is 0.25 below the price, then rises by 0.25 a frame
    assert bought == {
        "CashBalance USD": "99999.65",
        "FuturesPNL USD": "-12.50",
        "StockMarketValue USD": "0.00",
    }
    assert before == {
        "CashBalance USD": "99999.65",
        "FuturesPNL USD": "25.00",
        "NetLiquidation USD": "105524.65",
    }
    assert after == {"CashBalance USD": "100024.65", "FuturesPNL USD": "12.50"}


def test_all_of_it_survives_a_restart(tmp_path):
    gateway = several(tmp_path, journal=True)
    client = Client(gateway)
    client.step()
    buy(client, 1, 20_000, **PAIR)
    buy(client, 2, 10, **SAP)
    buy(client, 3, 1, **FUTURE)
    for _ in range(5):
        gateway.step(None)
    gateway.commit()
    gateway._journal.close()  # type: ignore[union-attr]

    again = several(tmp_path, journal=True).brokerage.exchange
    assert again.state() == gateway.brokerage.exchange.state()
    assert again.account.purses["EUR"].cash == 25_000 - 501 - Decimal("1.25")


def test_a_currency_without_a_rate_stops_the_start(tmp_path):
    rules, money = MarginRules(Decimal(4), shorts_allowed=True), Money("GBP")

    with pytest.raises(DataError, match="no rate is known from EUR to GBP"):
        Brokerage(
            *(several_tape(), CASH, ACCOUNT, rules),
            preset_notice=False,
            contracts=contracts(tmp_path),
            money=money,
        )


@pytest.mark.parametrize(
    "words", [("--base", "dollars"), ("--rate", "EUR"), ("--deposit", "EUR=-1"), ("--rate", "eur=1")]
)
def test_currencies_on_the_command_line_are_checked(words, capsys):
    assert main(["--port", "0", "--clock", "stepped", "--days", "1", *words]) == 2
    assert f"gateway_sim: {words[0]} must be" in capsys.readouterr().err


def test_an_account_in_euros_runs_on_the_command_line(tmp_path):
    options = ("--base", "EUR", "--rate", "USD=0.9", "--deposit", "USD=1000")
    with start_gateway(days=1, cash="5000", journal=tmp_path / "j", options=options) as gateway:
        assert gateway.status()["equity"] == "5900"
    with (
        pytest.raises(GatewayUnavailable, match="belongs to another run"),
        start_gateway(days=1, cash="5000", journal=tmp_path / "j"),
    ):
        raise AssertionError("it started")


def test_a_pair_needs_two_currencies_in_its_name(tmp_path):
    with pytest.raises(ConfigError, match=r"AAA is CASH, and must be a pair such as EUR\.USD"):
        world_of(tmp_path, AAA={"sec_type": "CASH"})
