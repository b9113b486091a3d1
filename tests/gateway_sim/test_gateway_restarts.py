"""The same requests give the same bytes, and a journal brings everything back."""

from decimal import Decimal
from pathlib import Path

import pytest

from firm.errors import StoreError, StoreLocked
from firm.gateway_sim.control import answer
from firm.gateway_sim.journal import Journal
from tests.gateway_sim.wire_world import ACCOUNT, Client, gateway, header, tape

AAA = {"symbol": "AAA", "secType": "STK", "exchange": "SMART", "currency": "USD"}


def play(client: Client) -> bytes:
    """A fixed little day; returns every byte the client was sent."""
    heard = client.bytes()
    client.send("reqMktData", reqId=50, **AAA)
    client.send("reqAccountUpdates", account=ACCOUNT)
    for order_id, action, price in ((1, "BUY", None), (2, "SELL", Decimal(104)), (3, "BUY", Decimal(90))):
        client.gateway.step(None)
        order = {"orderId": order_id, **AAA, "action": action, "totalQuantity": Decimal(700), "tif": "GTC"}
        kind = {"orderType": "MKT"} if price is None else {"orderType": "LMT", "lmtPrice": price}
        client.send("placeOrder", **order, **kind)
        heard += client.bytes()
    for _ in range(3):
        client.gateway.step(None)
    client.send("reqExecutions", reqId=51)
    return heard + client.bytes()


def test_the_same_requests_and_steps_give_the_same_bytes():
    assert play(Client(gateway())) == play(Client(gateway()))


def test_a_gateway_restarted_on_its_journal_continues_exactly(tmp_path: Path):
    path = tmp_path / "journal"
    gw = gateway(path)
    client = Client(gw)
    client.step()
    client.place(1, "BUY", 700)
    client.place(2, "BUY", 10, lmtPrice=Decimal(90), tif="GTC")
    before = answer(gw, b'{"cmd":"status"}', stepped=True)
    path.rename(tmp_path / "moved")  # the first gateway keeps its lock; a crash would have released it

    (tmp_path / "journal").write_bytes((tmp_path / "moved").read_bytes())
    again = gateway(path)
    after = answer(again, b'{"cmd":"status"}', stepped=True)
    back = Client.__new__(Client)
    back.gateway, back.version, back.session = again, 178, again.connect(178)
    heard = back.ask("startApi", clientId=1)

    assert {k: v for k, v in after.items() if k != "clients"} == {
        k: v for k, v in before.items() if k != "clients"
    }
    assert heard[1] == ("nextValidId", {"version": 1, "orderId": 3})
    assert back.short(heard)[5:] == [
        "openOrder Submitted",
        "orderStatus Submitted 600",
        "openOrder Submitted",
        "orderStatus Submitted 0",
    ]
    assert again.step(None) == gw.step(None)
    assert again.brokerage.exchange.state() == gw.brokerage.exchange.state()


def test_a_torn_last_line_is_dropped_and_other_damage_is_refused(tmp_path: Path):
    path = tmp_path / "journal"
    gw = gateway(path)
    gw.step(None)
    gw.step(None)
    gw.commit()
    whole = path.read_bytes()

    (tmp_path / "torn").write_bytes(whole[:-5])
    assert gateway(tmp_path / "torn").brokerage.cursor == 1
    (tmp_path / "bent").write_bytes(whole.replace(b'"step"', b'"stop"', 1))
    with pytest.raises(StoreError, match="damaged at line 2 of 3"):
        gateway(tmp_path / "bent")


def test_a_journal_is_locked_and_belongs_to_one_run(tmp_path: Path):
    path = tmp_path / "journal"
    gw = gateway(path)
    gw.commit()

    with pytest.raises(StoreLocked):
        gateway(path)
    (tmp_path / "copy").write_bytes(path.read_bytes())
    short = header(tape(5))
    with pytest.raises(StoreError, match=r"it has frames 6 \(now 5\)"):
        Journal(tmp_path / "copy", short)
