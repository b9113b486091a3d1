"""Venues behind SMART as clients see them: details, quotes, depth, routing, fills; and halts, auctions."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from firm.errors import ConfigError
from firm.gateway_sim.commands import Halt
from firm.gateway_sim.consolidated import best
from firm.gateway_sim.contracts import con_id_of, load_contracts
from firm.gateway_sim.control import answer
from firm.gateway_sim.gateway import Gateway
from tests.gateway_sim.several_world import SAP, SEVERAL, client_of, several, several_tape
from tests.gateway_sim.wire_world import Client

AAA = {"symbol": "AAA", "secType": "STK", "currency": "USD"}


def executions(client: Client, **asked: Any) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    """(venue, shares, price, commission) of what an order brought at once."""
    order = {
        "orderId": 1,
        "action": "BUY",
        "tif": "DAY",
        "secType": "STK",
        "orderType": "MKT",
        **AAA,
        **asked,
    }
    heard = client.ask("placeOrder", **order)
    fills = [v for name, v in heard if name == "execDetails"]
    costs = {v["execId"]: v["commission"] for name, v in heard if name == "commissionReport"}
    assert all(v["exchange"] == v["execExchange"] for v in fills)
    return [(v["execExchange"], v["shares"], v["price"], costs[v["execId"]]) for v in fills]


def test_details_list_the_venues_with_a_market_rule_each(tmp_path):
    ((_, details), _) = client_of(tmp_path).ask("reqContractDetails", reqId=1, exchange="SMART", **AAA)

    assert (details["validExchanges"], details["marketRuleIds"]) == ("SMART,ARCA,BATS", "26,26,26")
    assert details["primaryExchange"] == "ARCA"


def test_a_column_that_is_a_venues_feed_is_no_contract(tmp_path):
    client = client_of(tmp_path)

    assert client.short(client.ask("reqContractDetails", reqId=1, symbol="AAA@ARCA")) == ["error 200"]
    feed = {"conId": con_id_of("AAA@ARCA"), "secType": "STK", "exchange": "SMART"}
    buy = {"action": "BUY", "totalQuantity": 50, "orderType": "MKT", "tif": "DAY"}
    assert client.short(client.ask("placeOrder", orderId=1, **buy, **feed)) == ["error 200"]
    assert client.short(client.ask("reqContractDetails", reqId=1, **feed)) == ["error 200"]
    assert len(client.ask("reqMatchingSymbols", reqId=2, pattern="AAA")[0][1]["samples"]) == 1


def test_every_symbol_of_the_status_is_a_contract(tmp_path):
    client = client_of(tmp_path)

    symbols = steered(client.gateway, cmd="status")["symbols"]

    assert symbols == ["AAA", "SAP", "EUR.USD", "ESH4"]
    for n, symbol in enumerate(symbols):
        heard = client.ask("reqContractDetails", reqId=n, localSymbol=symbol)
        assert client.short(heard) == ["contractDetails", "contractDetailsEnd"], symbol


def test_the_consolidated_quote_is_the_best_of_the_venues_and_says_whose_it_is(tmp_path):
    client = client_of(tmp_path)

    heard = client.ask("reqMktData", reqId=1, exchange="SMART", **AAA)
    prices = {v["tickType"]: (v["price"], v["size"]) for name, v in heard if name == "tickPrice"}
    letters = {v["tickType"]: v["value"] for name, v in heard if name == "tickString"}

    assert (prices[1], prices[2]) == ((99.0, 500), (101.0, 40))
    assert letters == {32: "QP", 33: "P"}
    components = client.ask("reqSmartComponents", reqId=2, bboExchange="x")[0][1]["components"]
    assert [(c["letter"], c["exchange"]) for c in components] == [("Q", "ARCA"), ("P", "BATS")]


def test_one_venues_quote_can_be_asked_for(tmp_path):
    heard = client_of(tmp_path).ask("reqMktData", reqId=1, exchange="ARCA", **AAA)

    prices = {v["tickType"]: (v["price"], v["size"]) for name, v in heard if name == "tickPrice"}
    assert (prices[1], prices[2]) == ((99.0, 300), (101.01, 50))


def test_smart_depth_has_a_row_for_each_venue_and_follows_them(tmp_path):
    client = client_of(tmp_path)

    first = client.ask("reqMktDepth", reqId=1, numRows=5, smartDepth=True, exchange="SMART", **AAA)
    client.gateway.step(None)
    later = [v for name, v in client.heard() if name == "updateMktDepthL2"]

    rows = [(v["side"], v["position"], v["marketMaker"], v["price"], v["size"]) for _, v in first]
    assert rows == [
        (1, 0, "ARCA", 99.0, 300),
        (1, 1, "BATS", 99.0, 200),
        (0, 0, "BATS", 101.0, 40),
        (0, 1, "ARCA", 101.01, 50),
    ]
    assert [(v["side"], v["position"], v["operation"], v["marketMaker"], v["price"]) for v in later] == [
        (1, 0, 1, "BATS", 99.01),
        (1, 1, 1, "ARCA", 99.0),
        (0, 0, 1, "ARCA", 101.01),
        (0, 1, 1, "BATS", 101.01),
    ]


def test_smart_takes_the_best_price_and_the_execution_names_the_venue(tmp_path):
    client = client_of(tmp_path)

    assert executions(client, totalQuantity=100, exchange="SMART") == [("BATS", 40, 101, Decimal("0.39"))]
    client.gateway.step(None)
    client.heard()
    # both offer at 101.01 now, and what BATS has is cheaper to take
    assert client.gateway.brokerage.exchange.account.positions[0].quantity == 100


def test_an_order_sent_to_a_venue_waits_there_for_the_best_price(tmp_path):
    client = client_of(tmp_path)

    assert executions(client, totalQuantity=10, exchange="ARCA") == []
    client.gateway.step(None)
    ((_, filled),) = [m for m in client.heard() if m[0] == "execDetails"]
    assert (filled["exchange"], filled["price"]) == ("ARCA", Decimal("101.01"))
    wrong = client.ask(
        "placeOrder", orderId=9, action="BUY", totalQuantity=1, orderType="MKT", exchange="IEX", **AAA
    )
    assert client.short(wrong) == ["error 200"]


def test_venues_without_quotes_of_their_own_share_the_consolidated_one(tmp_path):
    client = client_of(tmp_path)

    fills = executions(client, **{**SAP, "totalQuantity": 60})

    # TRADEGATE has 40 % and no fee; the commission is 0.1 % of the value, at least 1.25, in euros
    assert fills == [
        ("TRADEGATE", 40, Decimal("50.1"), Decimal("2.004")),
        ("XETRA", 20, Decimal("50.1"), Decimal("1.202")),
    ]
    venues = client.ask("reqMktDepthExchanges")[0][1]["exchanges"]
    assert [v["exchange"] for v in venues] == ["ISLAND", "ARCA", "BATS", "TRADEGATE", "XETRA"]


def test_routing_and_fills_by_venue_survive_a_restart(tmp_path):
    gateway = several(tmp_path, journal=True)
    client = Client(gateway)
    client.step()
    executions(client, totalQuantity=100, exchange="SMART")
    gateway.route(Halt(SEVERAL.index("AAA"), on=True))
    client.step()
    gateway.commit()
    gateway._journal.close()  # type: ignore[union-attr]
    again = several(tmp_path, journal=True)

    assert again.brokerage.exchange.state() == gateway.brokerage.exchange.state()
    assert again.brokerage.exchange.book.halted == {0}


def test_only_shares_pay_dividends_and_split(tmp_path):
    gateway = client_of(tmp_path).gateway
    cash = gateway.brokerage.exchange.account.cash

    for symbol in ("EUR.USD", "ESH4"):
        for action in ({"cmd": "dividend", "amount": "1"}, {"cmd": "split", "new": 2, "old": 1}):
            said = steered(gateway, symbol=symbol, **action)
            assert said == {"error": f"dividends and splits are of shares, {symbol} is none"}
    assert gateway.brokerage.exchange.account.cash == cash
    assert steered(gateway, cmd="split", symbol="SAP", new=2, old=1) == {"done": True}


def steered(gateway: Gateway, **command: Any) -> dict[str, Any]:
    return answer(gateway, json.dumps(command).encode(), stepped=True)


def test_a_halt_is_told_in_tick_49_and_nothing_fills_until_it_is_over(tmp_path):
    client = client_of(tmp_path)
    client.ask("reqMktData", reqId=1, exchange="SMART", **AAA)

    assert steered(client.gateway, cmd="halt", symbol="AAA") == {"done": True}
    halted = client.heard()
    waiting = executions(client, totalQuantity=10, exchange="SMART")
    subscribed = client.ask("reqMktData", reqId=2, exchange="SMART", **AAA)
    assert steered(client.gateway, cmd="halt", symbol="AAA", on=False) == {"done": True}
    resumed = client.heard()

    said = [(v["reqId"], v["tickType"], v["value"]) for name, v in halted + resumed if name == "tickGeneric"]
    assert said == [(1, 49, 1.0), (1, 49, 0.0), (2, 49, 0.0)]
    assert [v["value"] for name, v in subscribed if name == "tickGeneric"] == [1.0]
    assert waiting == []
    assert [v["shares"] for name, v in resumed if name == "execDetails"] == [10]
    assert "no symbol 'ZZZ'" in steered(client.gateway, cmd="halt", symbol="ZZZ")["error"]
    assert "no symbol 'AAA@ARCA'" in steered(client.gateway, cmd="halt", symbol="AAA@ARCA")["error"]


def test_who_watches_one_venue_hears_of_the_halt_and_the_news_of_its_contract(tmp_path):
    client = client_of(tmp_path)
    client.ask("reqMktData", reqId=1, exchange="ARCA", genericTicks="292", **AAA)

    steered(client.gateway, cmd="news", symbol="AAA", headline="AAA earns", text="A lot.")
    assert [name for name, _ in client.heard()] == ["tickNews"]
    steered(client.gateway, cmd="halt", symbol="AAA")
    halted = client.heard()
    subscribed = client.ask("reqMktData", reqId=2, exchange="BATS", **AAA)
    steered(client.gateway, cmd="halt", symbol="AAA", on=False)

    heard = halted + subscribed + client.heard()
    said = [(v["reqId"], v["tickType"], v["value"]) for name, v in heard if name == "tickGeneric"]
    assert said == [(1, 49, 1.0), (2, 49, 1.0), (1, 49, 0.0), (2, 49, 0.0)]


def test_the_last_minutes_show_what_the_close_would_be(tmp_path):
    client = client_of(tmp_path)
    client.ask("reqMktData", reqId=1, exchange="SMART", genericTicks="225", **AAA)
    buy = {**AAA, "exchange": "SMART", "action": "BUY", "orderType": "MOC", "tif": "DAY"}
    client.ask("placeOrder", orderId=1, totalQuantity=100, **buy)
    early = [client.gateway.step(None) and client.heard() for _ in range(2)]
    client.gateway.step(None)
    last = client.heard()

    def auction(heard: list[tuple[str, dict[str, Any]]]) -> dict[int, Any]:
        ticks = [
            v for name, v in heard if name in {"tickPrice", "tickSize"} and v["tickType"] in {34, 35, 36}
        ]
        return {v["tickType"]: v["price"] if "price" in v else v["size"] for v in ticks}

    # the last frame is the fourth: BATS at 101.03 with 40; ARCA, of the frame before, at 101.03 with 50
    assert [auction(heard) for heard in early] == [{}, {}]
    assert auction(last) == {35: 101.03, 34: 90, 36: 10}
    client.gateway.step(None)
    assert sum(v["shares"] for name, v in client.heard() if name == "execDetails") == 90


@pytest.mark.parametrize(
    "venues",
    [
        {"ARCA": {"feed": "AAA@ARCA"}, "BATS": {}},
        {"ARCA": {"feed": "AAA@ARCA"}, "BATS": {"feed": "AAA@ARCA"}},
        {"ARCA": {"feed": "ZZZ"}},
        {"ARCA": {"share": "0.5"}, "BATS": {"share": "0.6"}},
        {"ARCA": {"share": "0.5"}, "BATS": {}},
        {"SMART": {}},
    ],
)
def test_venues_that_do_not_add_up_are_refused(tmp_path: Path, venues: dict[str, Any]):
    path = tmp_path / "contracts.json"
    path.write_text(json.dumps({"AAA": {"venues": venues}}))

    with pytest.raises(ConfigError, match="the venues of AAA need either a feed each"):
        load_contracts(path, several_tape().symbols)


def test_a_contract_has_no_more_venues_than_there_are_letters(tmp_path: Path):
    path = tmp_path / "contracts.json"
    most = {f"V{n}": {} for n in range(26)}
    path.write_text(json.dumps({"AAA": {"venues": most}}))
    assert len(load_contracts(path, ["AAA"]).venues[0]) == 26
    path.write_text(json.dumps({"AAA": {"venues": {**most, "V26": {}}}}))

    with pytest.raises(ConfigError, match="AAA can have 26 venues, a letter each, and has 27"):
        load_contracts(path, ["AAA"])


ARCA_ALONE = {"venues": {"ARCA": {"feed": "AAA@ARCA"}}}


@pytest.mark.parametrize(
    ("symbol", "other"),
    [
        ("AAA@ARCA", {"tick": "0.05"}),
        ("AAA@ARCA", {"lot": "100"}),
        ("AAA@ARCA", {"bands": [["0", "0.0001"], ["1", "0.01"]]}),
        ("AAA@ARCA", {"venues": {"IEX": {}}}),
        ("SAP", ARCA_ALONE),
    ],
)
def test_a_feed_is_of_one_venue_and_moves_as_its_owner_does(
    tmp_path: Path, symbol: str, other: dict[str, Any]
):
    path = tmp_path / "contracts.json"
    path.write_text(json.dumps({"AAA": ARCA_ALONE}))
    load_contracts(path, several_tape().symbols)
    path.write_text(json.dumps({"AAA": ARCA_ALONE, symbol: other}))

    with pytest.raises(ConfigError, match="need either a feed each"):
        load_contracts(path, several_tape().symbols)


def test_the_best_of_venues_ignores_those_that_show_nothing():
    rows = [(99.0, 101.0, 5.0, 0.0), (98.0, 102.0, 7.0, 8.0), (99.0, 102.0, 2.0, 3.0), (0.0, 0.0, 0.0, 0.0)]

    assert best(rows) == (99.0, 102.0, 7.0, 11.0)
    assert best([]) == (0.0, 0.0, 0, 0)
