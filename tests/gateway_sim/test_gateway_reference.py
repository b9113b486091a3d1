"""Option chains, depth, past ticks, news, scanners and fundamentals, as clients ask for them."""

import math
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from firm.gateway_sim.contracts import con_id_of
from firm.gateway_sim.control import answer
from firm.gateway_sim.options import expiries, implied, value
from firm.gateway_sim.times import parse_time
from tests.gateway_sim.wire_world import OPEN, Client, gateway

AAA = {"symbol": "AAA", "secType": "STK", "exchange": "SMART", "currency": "USD"}
CALL = {
    "symbol": "AAA",
    "secType": "OPT",
    "exchange": "SMART",
    "lastTradeDate": "20240119",
    "strike": 100.0,
    "right": "C",
}


def started() -> Client:
    client = Client(gateway())
    client.step()
    return client


def test_expiries_are_the_next_third_fridays():
    assert expiries(date(2024, 1, 19))[:2] == (date(2024, 1, 19), date(2024, 2, 16))
    assert expiries(date(2024, 11, 16)) == (
        date(2024, 12, 20),
        date(2025, 1, 17),
        date(2025, 2, 21),
        date(2025, 3, 21),
    )


def test_a_chain_lists_expiries_and_strikes_for_each_venue():
    client = started()
    heard = client.ask("reqSecDefOptParams", reqId=4, symbol="AAA", secType="STK", conId=con_id_of("AAA"))
    none = client.ask("reqSecDefOptParams", reqId=5, symbol="ZZZ", secType="STK", conId=0)

    chain = heard[0][1]
    assert [name for name, _ in heard] == ["securityDefinitionOptionParameter"] * 3 + [
        "securityDefinitionOptionParameterEnd"
    ]
    assert (chain["exchange"], chain["multiplier"], chain["underlyingConId"]) == (
        "SMART",
        "100",
        con_id_of("AAA"),
    )
    assert [e["expiration"] for e in chain["expirations"]] == ["20240119", "20240216", "20240315", "20240419"]
    assert [s["strike"] for s in chain["strikes"]][:2] == [50.0, 55.0]
    assert [name for name, _ in none] == ["securityDefinitionOptionParameterEnd"]


def test_an_option_is_found_by_its_terms_and_by_its_con_id():
    client = started()
    (one, end) = client.ask("reqContractDetails", reqId=4, **CALL)
    many = client.ask("reqContractDetails", reqId=4, **{**CALL, "strike": 0.0, "right": ""})
    by_id = client.ask("reqContractDetails", reqId=4, conId=one[1]["conId"])
    none = client.ask("reqContractDetails", reqId=4, **{**CALL, "strike": 101.0})

    assert end[0] == "contractDetailsEnd"
    assert (one[1]["localSymbol"], one[1]["lastTradeDate"], one[1]["strike"], one[1]["right"]) == (
        "AAA   240119C00100000",
        "20240119",
        100.0,
        "C",
    )
    assert (one[1]["underConId"], one[1]["multiplier"]) == (con_id_of("AAA"), "100")
    assert len(many) == 2 * 20 + 1
    assert by_id[0] == one
    assert client.short(none) == ["error 200"]


def test_option_ticks_are_model_values_that_follow_the_stock():
    client = started()
    first = client.ask("reqMktData", reqId=4, **CALL)
    client.gateway.step(None)
    ((_, second),) = [m for m in client.heard() if m[0] == "tickOptionComputation"]
    client.ask("cancelMktData", reqId=4)
    client.gateway.step(None)

    tick = first[-1][1]
    assert [name for name, _ in first] == ["marketDataType", "tickOptionComputation"]
    assert (tick["tickType"], tick["undPrice"], tick["impliedVol"]) == (13, 100.0, 0.2)
    assert 0.5 < tick["delta"] < second["delta"] < 1
    assert second["undPrice"] == 101.0
    assert client.heard() == []
    assert client.place(1, "BUY", 1, **CALL) == ["error 201"]


def test_the_model_is_black_and_scholes_and_its_inverse():
    gw = gateway()
    at = parse_time("20240102 16:00:00 UTC")
    options = gw.brokerage.chains.listed(date(2024, 1, 2)).values()
    call, put = (
        next(o for o in options if o.strike == 100 and o.right == r and o.expiry == date(2024, 4, 19))
        for r in "CP"
    )
    years = (parse_time("20240419 21:00:00 UTC") - at) / 1e9 / 86_400 / 365
    at_the_money = 100 * math.erf(0.2 * math.sqrt(years) / 2 / math.sqrt(2))

    assert value(call, 100.0, 0.2, at).price == pytest.approx(at_the_money, rel=1e-12)
    assert value(call, 103.0, 0.2, at).price - value(put, 103.0, 0.2, at).price == pytest.approx(3.0)
    h = 1e-4
    slope = (value(put, 100 + h, 0.2, at).price - value(put, 100 - h, 0.2, at).price) / (2 * h)
    assert value(put, 100.0, 0.2, at).delta == pytest.approx(slope, abs=1e-6)
    assert implied(put, 100.0, value(put, 100.0, 0.31, at).price, at) == pytest.approx(0.31)
    assert implied(put, 100.0, 1000.0, at) is None


def test_values_and_volatilities_are_calculated_on_request():
    client = started()
    (priced,) = client.ask("calculateOptionPrice", reqId=4, **CALL, volatility=0.25, underPrice=100.0)
    price = priced[1]["optPrice"]
    (back,) = client.ask("calculateImpliedVolatility", reqId=5, **CALL, optionPrice=price, underPrice=100.0)
    wrong = client.ask("calculateImpliedVolatility", reqId=6, **CALL, optionPrice=500.0, underPrice=100.0)

    assert priced[1]["tickType"] == 53
    assert back[1]["impliedVol"] == pytest.approx(0.25, abs=1e-6)
    assert client.short(wrong) == ["error 321"]


@pytest.mark.parametrize("smart", [False, True])
def test_depth_is_the_touch_inserted_and_then_updated(smart: bool):
    client = started()
    first = client.ask("reqMktDepth", reqId=4, **AAA, rows=5, smartDepth=smart)
    client.gateway.step(None)
    second = client.heard()
    client.ask("cancelMktDepth", reqId=4, smartDepth=smart)
    client.gateway.step(None)

    name = "updateMktDepthL2" if smart else "updateMktDepth"
    rows = [[(n, v["operation"], v["side"], v["price"], v["size"]) for n, v in m] for m in (first, second)]
    assert rows[0] == [(name, 0, 1, 99.0, 500), (name, 0, 0, 101.0, 600)]
    assert rows[1] == [(name, 1, 1, 100.0, 500), (name, 1, 0, 102.0, 600)]
    assert client.heard() == []


def ticks(client: Client, what: str, **asked: Any) -> list[dict[str, Any]]:
    request = {**AAA, "reqId": 4, "numberOfTicks": 10, "whatToShow": what, **asked}
    ((_, values),) = client.ask("reqHistoricalTicks", **request)
    assert values["done"]
    return values["ticks"]


def test_past_ticks_come_from_the_frames_played_so_far():
    client = started()
    client.step()
    bids = ticks(client, "BID_ASK")
    since = ticks(client, "MIDPOINT", startDateTime="20240102 09:31:00 US/Eastern")
    prints = ticks(client, "TRADES", symbol="BBB", numberOfTicks=1)

    assert [(t["time"], t["priceBid"], t["sizeAsk"]) for t in bids] == [
        (OPEN // 10**9, 99.0, 600.0),
        (OPEN // 10**9 + 60, 100.0, 600.0),
    ]
    assert [t["price"] for t in since] == [101.0]
    assert [(t["price"], t["size"], t["exchange"]) for t in prints] == [(50.1, 10.0, "ISLAND")]
    request = {**AAA, "reqId": 4, "numberOfTicks": 0, "whatToShow": "TRADES"}
    assert client.short(client.ask("reqHistoricalTicks", **request)) == ["error 321"]


def test_news_is_told_kept_and_can_be_read():
    gw = gateway()
    client = Client(gw)
    client.ask("reqMktData", reqId=4, **AAA, genericTicks="292")
    client.ask("reqNewsBulletins", allMessages=True)
    for line in (
        b'{"cmd":"news","symbol":"AAA","headline":"AAA earns","text":"A lot."}',
        b'{"cmd":"bulletin","text":"The exchange opens late"}',
    ):
        assert answer(gw, line, stepped=True) == {"done": True}
    told, bulletin = client.heard()
    article = told[1]["articleId"]
    past = client.ask("reqHistoricalNews", reqId=5, conId=con_id_of("AAA"), totalResults=5)

    assert (told[0], told[1]["headline"], bulletin[1]["text"]) == (
        "tickNews",
        "AAA earns",
        "The exchange opens late",
    )
    assert [name for name, _ in past] == ["historicalNews", "historicalNewsEnd"]
    assert client.ask("reqNewsArticle", reqId=6, articleId=article)[0][1]["text"] == "A lot."
    assert client.short(client.ask("reqNewsArticle", reqId=6, articleId="x")) == ["error 10172"]
    assert client.ask("reqNewsProviders")[0][1]["providers"][0]["code"] == "SIM"


def test_what_is_not_there_is_answered_as_empty_or_with_its_code():
    client = started()

    assert client.ask("reqScannerSubscription", reqId=4, rest=["50"])[0] == (
        "scannerData",
        {"version": 3, "reqId": 4, "rows": []},
    )
    assert client.short(client.ask("reqScannerParameters")) == ["scannerParameters"]
    assert client.short(client.ask("reqFundamentalData", reqId=4, rest=["1"])) == ["error 430"]
    assert client.short(client.ask("requestFA")) == ["error 321"]
    assert client.short(client.ask("reqSmartComponents", reqId=3)) == ["smartComponents"]
    assert client.gateway.unknown == {}


def test_a_what_if_tells_the_margin_of_special_orders_too():
    client = started()
    heard = client.ask(
        "placeOrder",
        orderId=1,
        **AAA,
        action="BUY",
        totalQuantity=Decimal(100),
        orderType="STP",
        auxPrice=Decimal(105),
        whatIf=True,
    )

    assert (heard[0][1]["whatIf"], heard[0][1]["initMarginChange"]) == (True, "2500.00")
