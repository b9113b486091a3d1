"""Contracts, history, live bars and ticks as clients are told them."""

import pytest

from firm.gateway_sim.contracts import con_id_of
from tests.gateway_sim.wire_world import MINUTE, OPEN, Client, gateway

AAA = {"symbol": "AAA", "secType": "STK", "exchange": "SMART", "currency": "USD"}


def test_contract_details_carry_the_hours_and_the_market_rule():
    client = Client(gateway())
    heard = client.ask("reqContractDetails", reqId=9, **AAA)
    by_id = client.ask("reqContractDetails", reqId=9, conId=con_id_of("AAA"))
    unknown = client.ask("reqContractDetails", reqId=9, symbol="ZZZ", secType="STK")

    details = heard[0][1]
    assert client.short(heard) == ["contractDetails", "contractDetailsEnd"]
    assert heard == by_id
    assert client.short(unknown) == ["error 200"]
    assert details["conId"] == con_id_of("AAA")
    assert details["liquidHours"].split(";")[:3] == [
        "20240102:0930-20240102:1600",
        "20240103:0930-20240103:1600",
        "20240104:CLOSED",
    ]
    assert len(details["marketRuleIds"].split(",")) == len(details["validExchanges"].split(","))
    assert client.ask("reqMarketRule", ruleId=26)[0][1]["increments"] == [{"lowEdge": 0.0, "increment": 0.01}]


def bars(client: Client, **asked: object) -> list[tuple[object, ...]]:
    request = {**AAA, "reqId": 8, "barSize": "1 day", "duration": "10 D", "whatToShow": "TRADES", **asked}
    ((name, values),) = client.ask("reqHistoricalData", **request)
    assert name == "historicalData", values
    return [(b["date"], b["open"], b["high"], b["low"], b["close"], b["volume"]) for b in values["bars"]]


def test_history_ends_at_the_clock():
    client = Client(gateway())
    before = bars(client)
    client.step()
    client.step()

    assert before == [
        ("20231228", 96.0, 96.0, 96.0, 96.0, 0),
        ("20231229", 97.0, 97.0, 97.0, 97.0, 0),
        ("20240101", 98.0, 98.0, 98.0, 98.0, 0),
    ]
    assert bars(client)[-1] == ("20240102", 100.0, 101.0, 100.0, 101.0, 0)
    assert bars(client, endDateTime="20991231 00:00:00 UTC") == bars(client)
    assert bars(client, duration="2 D") == bars(client)[-2:]
    assert [b[4] for b in bars(client, barSize="1 min", duration="1 D")] == [100.0, 101.0]
    assert [b[0] for b in bars(client, barSize="1 min", duration="1 D", formatDate=2)] == [
        str(OPEN // 10**9),
        str((OPEN + MINUTE) // 10**9),
    ]
    assert bars(client, symbol="BBB", barSize="1 min", duration="1 D")[0][1:] == (50.0, 50.0, 50.0, 50.0, 10)
    assert bars(client, barSize="1 month", duration="1 Y")[0] == ("20231228", 96.0, 97.0, 96.0, 97.0, 0)


@pytest.mark.parametrize(
    "odd",
    [
        {"barSize": "7 mins"},
        {"duration": "x"},
        {"duration": "0 D"},
        {"whatToShow": "OPTION_IMPLIED_VOLATILITY"},
        {"endDateTime": "yesterday"},
        {"endDateTime": "20200101 00:00:00 UTC"},
        {"barSize": "1 min", "duration": "60 S"},
    ],
)
def test_history_that_cannot_be_served_is_error_162(odd: dict[str, str]):
    client = Client(gateway())
    request = {**AAA, "reqId": 8, "barSize": "1 day", "duration": "10 D", "whatToShow": "TRADES", **odd}

    assert client.short(client.ask("reqHistoricalData", **request)) == ["error 162"]


def test_bars_kept_up_to_date_grow_with_each_frame_and_five_second_bars_come_when_they_are_over():
    client = Client(gateway())
    client.step()
    request = {**AAA, "reqId": 8, "barSize": "1 day", "duration": "2 D", "whatToShow": "TRADES"}
    client.ask("reqHistoricalData", **request, keepUpToDate=True)
    client.ask("reqRealTimeBars", reqId=9, **AAA, whatToShow="MIDPOINT")
    client.gateway.step(None)
    first = client.heard()
    client.gateway.step(OPEN + MINUTE + 4_999_999_999)
    early = client.heard()
    client.gateway.step(OPEN + MINUTE + 5_000_000_000)

    assert [name for name, _ in first] == ["realtimeBar", "historicalDataUpdate"]
    assert (first[1][1]["open"], first[1][1]["close"]) == (100.0, 101.0)
    assert early == []
    (over,) = client.heard()
    assert (over[1]["time"], over[1]["close"]) == ((OPEN + MINUTE) // 10**9, 101.0)


def test_prints_come_as_last_volume_and_tick_by_tick():
    client = Client(gateway())
    client.ask("reqMktData", reqId=7, symbol="BBB", secType="STK", genericTicks="233")
    client.ask("reqTickByTickData", reqId=8, symbol="BBB", secType="STK", tickType="AllLast")
    client.gateway.step(None)
    payload = client.bytes()

    assert b"46\x006\x007\x0048\x0050.0;10;1704205800000;10;50.000000;true" in payload
    assert b"99\x008\x002\x001704205800\x0050.0\x0010\x000\x00ISLAND\x00\x00" in payload
