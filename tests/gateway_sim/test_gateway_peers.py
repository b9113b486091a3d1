"""Clients of several lineages hold the same conversation, and all understand the same.

ib_async is always there. The others live in environments of their own, below the directory that the variable
FIRM_PEERS names; docs/gateway.md says how to make them. Without it they are skipped, aloud.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from firm.gateway_sim.process import start_gateway

PEERS = Path(__file__).with_name("peers")
HOME = Path(os.environ.get("FIRM_PEERS", "/nonexistent"))
LOTS = {  # below version 159 sizes are round lots
    "ticks": [131.46, 131.5, 50.0, 50.0],
    "depth": [["bid", 131.46, 50.0], ["ask", 131.5, 50.0]],
    "every tick": [131.46, 131.5, 50.0],
}
NO_BID_SIZE = {"ticks": [131.46, 131.5, None, 5000.0]}  # @stoqey/ib 1.6.10 drops it: its tick type is 0
OTHERS = [
    ("insync", "bin/python", "insync_lineage.py", "ib_insync", {}),
    ("official", "bin/python", "official_lineage.py", "ibapi", {}),
    ("official-981", "bin/python", "official_lineage.py", "ibapi", LOTS),
    ("stoqey", "", "stoqey_lineage.mjs", "", NO_BID_SIZE),
]
WEEK = (
    "20221223:0930-20221223:1600;20221224:CLOSED;20221225:CLOSED;20221226:CLOSED;20221227:0930-20221227:1600"
)


def conversation(*command: str) -> dict[str, Any]:
    """The facts a client printed about a fresh gateway on three days of the packaged sample."""
    with start_gateway(days=3) as gateway:
        run = subprocess.run(
            [*command, str(gateway.port), str(gateway.control_port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode == 0, run.stderr[-3000:]
        assert gateway.status()["unknown_requests"] == {}
    facts: dict[str, Any] = json.loads(run.stdout)
    return facts


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    return conversation(sys.executable, str(PEERS / "insync_lineage.py"), "ib_async")


def test_ib_async_sees_the_account_and_the_contracts_as_they_are(ours):
    assert ours["accounts"] == ["DU1234567"]
    assert ours["summary"] == {
        "NetLiquidation USD": "1000000.00",
        "TotalCashValue USD": "1000000.00",
        "CashBalance BASE": "1000000.00",
        "ExchangeRate USD": "1.00",
    }
    assert ours["details"]["minTick"] == 0.01
    assert ours["details"]["tradingHours"].startswith(WEEK)
    assert ours["rule"] == [[0.0, 0.01]]
    assert ours["chain"] == [["CBOE", 4, 26], ["ISE", 4, 26], ["SMART", 4, 26]]
    assert (ours["options"], ours["matching"], ours["news"]) == (26, ["AAPL"], ["SIM"])


def test_ib_async_sees_the_market_as_it_is(ours):
    assert ours["ticks"] == [131.46, 131.5, 5000.0, 5000.0]
    assert ours["depth"] == [["bid", 131.46, 5000.0], ["ask", 131.5, 5000.0]]
    assert ours["every tick"] == [131.46, 131.5, 5000.0]
    assert ours["five seconds"] == [131.48, 131.48, 1_671_805_800]
    assert ours["history"][-1] == ["20221223", 131.48, 131.48, 131.48, 131.48]
    assert len(ours["history"]) == 5
    assert ours["past ticks"] == [[131.46, 131.5], [131.46, 131.5]]


def test_ib_async_trades_and_is_told_what_it_did(ours):
    assert ours["limit"] == ["Submitted", 117.31, "LMT"]
    assert ours["market"] == ["Filled", 10.0, 131.5, "ISLAND", 0.35, "USD"]
    assert ours["what if"] == [3287.0, 0.35, "USD"]
    assert ours["executions"] == [["BOT", 10.0, 131.5, "ISLAND"]]
    assert ours["positions"] == [["AAPL", 10.0, 131.5]]
    assert ours["profit"] == [-0.55, -0.2]
    assert ours["single profit"] == [10.0, 1314.8]
    assert ours["completed"].count(["LMT", "Cancelled", 0.0]) == 6
    assert ["MKT", "Filled", 10.0] in ours["completed"]
    assert ours["errors"] == []


def test_ib_async_gets_every_kind_of_order_back_as_it_was_sent(ours):
    far, apple = "20991231 23:59:59 US/Eastern", ours["contract"][0]
    assert [status for _, status, _, _ in ours["open"]] == [
        *("PreSubmitted", "PreSubmitted", "PreSubmitted", "Submitted", "Submitted", "Submitted"),
        "PreSubmitted",
    ]
    assert ours["conditions"] == [
        [1, "a", 1e6, True, apple, "SMART"],
        [3, "o", far, True],
        [4, "a", 1, False],
        [5, "a", "MSFT", "SMART"],
        [6, "a", 999_999_999, True, apple, "SMART"],
        [7, "a", 900.0, True, apple, "SMART"],
    ]
    assert ours["trail"] == 2.0
    assert ours["stop"] == [118.31, 118.31]
    assert ours["algo"] == ["Adaptive", ["adaptivePriority", "Patient"]]
    assert ours["display"] == [10, far]
    assert ours["family"]


def test_ib_async_hears_news_halts_and_option_values_and_the_polite_nothings(ours):
    assert (ours["bulletin"], ours["headline"]) == (["the exchange is late"], [["SIM", "up"]])
    assert (ours["article"], ours["past news"]) == ([0, "so it goes"], ["up"])
    assert ours["greeks"] == [0.562184, 6.683411]
    assert ours["option price"] == 4.862173
    assert (ours["venues"], ours["components"]) == (["ISLAND"], ["ISLAND"])
    assert (ours["scan"], ours["fundamentals"]) == (0, "")
    assert ours["grown"] == 131.48


@pytest.mark.parametrize(
    ("peer", "program", "script", "module", "differs"), OTHERS, ids=lambda v: str(v)[:14]
)
def test_a_client_of_another_lineage_understands_the_same(ours, peer, program, script, module, differs):
    place = HOME / peer
    if not place.exists():
        pytest.skip(f"no {place}: set FIRM_PEERS to a directory with the clients of docs/gateway.md")
    command = (
        [str(place / program), str(PEERS / script), module]
        if program
        else ["node", str(PEERS / script), str(place)]
    )

    assert conversation(*command) == {**ours, **differs}
