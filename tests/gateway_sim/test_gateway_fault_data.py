"""Faults of market data and contracts, over TCP: commanded in JSON, and seen by a client to happen."""

import pytest

from firm.gateway_sim.contracts import con_id_of
from tests.gateway_sim.fault_world import AAA, values_of
from tests.gateway_sim.tcp_world import TcpClient, TcpGateway
from tests.gateway_sim.wire_world import Client

# 24: history that begins with nothing


def test_history_kept_up_to_date_begins_empty_and_then_grows(world: TcpGateway, client: TcpClient):
    request = {**AAA, "reqId": 8, "barSize": "1 day", "duration": "10 D", "whatToShow": "TRADES"}
    world.do("rewrite", message="historicalData", values={"bars": []}, times=1)
    (first,) = client.ask("reqHistoricalData", **request, keepUpToDate=True)
    world.step()

    assert first[1]["bars"] == []
    assert [name for name, _ in client.heard()] == ["historicalDataUpdate"]


def test_history_is_paced(world: TcpGateway, client: TcpClient):
    world.do("pace")
    request = {**AAA, "reqId": 8, "duration": "10 D", "whatToShow": "TRADES"}

    first = client.ask("reqHistoricalData", **request, barSize="1 day")
    identical = client.ask("reqHistoricalData", **request, barSize="1 day")
    codes = [
        Client.short(client.ask("reqHistoricalData", **{**request, "duration": f"{n} D"}, barSize="1 day"))
        for n in range(1, 7)
    ]

    assert [name for name, _ in first] == ["historicalData"]
    assert "identical" in values_of(identical, "error")[0]["text"]
    assert codes == [["historicalData"]] * 4 + [["error 162"]] * 2


# 20, 13 of the users' pains: data one may not see


def test_an_entitlement_is_lost_and_comes_back_delayed(world: TcpGateway, client: TcpClient):
    client.ask("reqMktData", reqId=7, **AAA)
    world.do("entitle", symbol="AAA", level="none")
    world.step()
    lost = Client.short(client.heard())
    again = Client.short(client.ask("reqMktData", reqId=8, **AAA))
    world.do("entitle", symbol="AAA", level="delayed")
    live = Client.short(client.ask("reqMktData", reqId=9, **AAA))
    client.send("reqMarketDataType", type=3)
    delayed = client.ask("reqMktData", reqId=10, **AAA)

    assert (lost, again, live) == (["error 354"], ["error 354"], ["error 10089"])
    assert [v["code"] for v in values_of(delayed, "error")] == [10167]
    assert values_of(delayed, "marketDataType")[0]["type"] == 3
    assert {v["tickType"] for v in values_of(delayed, "tickPrice")} == {66, 67, 75}


def test_a_competing_session_takes_the_data(world: TcpGateway, client: TcpClient):
    client.ask("reqMktData", reqId=7, **AAA)
    world.do("compete", client_id=1)
    world.step()
    gone = client.heard()
    refused = client.ask("reqMktData", reqId=8, **AAA)
    world.do("compete", on=False, client_id=1)
    world.step()

    assert Client.short(gone) == Client.short(refused) == ["error 10197"]
    assert len(values_of(client.heard(), "tickPrice")) == 2


@pytest.mark.parametrize("mute", [False, True])
def test_a_market_data_farm_breaks_and_comes_back_perhaps_dead(
    world: TcpGateway, client: TcpClient, mute: bool
):
    client.ask("reqMktData", reqId=7, **AAA)
    world.do("farm", ok=False)
    world.step()
    broken = client.short()
    world.do("farm", ok=True, mute=mute)
    world.step()
    back = client.short()

    assert broken == ["error 2103"]
    assert back == ["error 2104", *([] if mute else ["tickPrice", "tickPrice"])]
    assert client.place(1, "BUY", 10)[0] == "openOrder PreSubmitted"


def test_the_history_farm_breaks_and_comes_back(world: TcpGateway, client: TcpClient):
    request = {**AAA, "reqId": 8, "barSize": "1 day", "duration": "10 D", "whatToShow": "TRADES"}
    world.do("farm", ok=False, farm="history")
    broken = Client.short(client.ask("reqHistoricalData", **request))
    world.do("farm", ok=True, farm="history")

    assert broken == ["error 2105", "error 162"]
    assert Client.short(client.ask("reqHistoricalData", **request)) == ["error 2106", "historicalData"]


def test_live_bars_are_lost_with_10182(world: TcpGateway, client: TcpClient):
    request = {**AAA, "reqId": 8, "barSize": "1 day", "duration": "10 D", "whatToShow": "TRADES"}
    client.ask("reqHistoricalData", **request, keepUpToDate=True)
    client.ask("reqRealTimeBars", reqId=9, **AAA, whatToShow="MIDPOINT")
    world.do("stale", client_id=1)
    world.step()

    assert [(v["reqId"], v["code"]) for v in values_of(client.heard(), "error")] == [(8, 10182), (9, 10182)]


# 27: two contracts for one name


def test_a_symbol_is_ambiguous_until_it_is_named_by_con_id(world: TcpGateway, client: TcpClient):
    world.do("ambiguous", symbol="AAA")
    two = values_of(client.ask("reqContractDetails", reqId=3, **AAA), "contractDetails")
    one = values_of(client.ask("reqContractDetails", reqId=3, conId=con_id_of("AAA")), "contractDetails")

    assert len({v["conId"] for v in two}) == 2
    assert [v["conId"] for v in one] == [con_id_of("AAA")]
