"""Requests that are not simulated, and bytes that are no requests: answered, noted, and no harm done."""

from hypothesis import given, settings
from hypothesis import strategies as st

from firm.gateway_sim.control import answer
from tests.gateway_sim.wire_world import OPEN, Client, gateway

AAA = {"symbol": "AAA", "secType": "STK", "exchange": "SMART", "currency": "USD"}


def test_requests_that_are_not_simulated_are_answered_and_noted():
    gw = gateway()
    client = Client(gw)
    client.raw("82")
    client.raw("80")
    client.raw("79", "4")
    client.raw("88", "5", "whatever")
    client.raw("250", "1")
    client.raw("9", "8", "1")

    assert client.short(client.heard()) == [
        "mktDepthExchanges",
        "familyCodes",
        "softDollarTiers",
        "error 321",
        "error 321",
        "error 320",
    ]
    assert gw.unknown == {
        "reqFamilyCodes": 1,
        "reqSoftDollarTiers": 1,
        "reqHistogramData": 1,
        "message 250": 1,
        "malformed reqContractDetails": 1,
    }


def test_nothing_is_answered_before_start_api():
    gw = gateway()
    client = Client.__new__(Client)
    client.gateway, client.version, client.session = gw, 178, gw.connect(178)

    assert client.short(client.ask("reqPositions")) == ["error 321"]
    assert client.place(1, "BUY", 10) == ["error 321"]
    assert gw.brokerage.orders == {}


NOISE = st.lists(st.sampled_from([str(n) for n in range(105)]) | st.text(max_size=8), min_size=1, max_size=60)


@settings(max_examples=300, deadline=None)
@given(st.lists(NOISE, min_size=1, max_size=4))
def test_no_noise_from_one_client_disturbs_another(noise: list[list[str]]):
    gw = gateway()
    noisy, quiet = Client(gw, 1), Client(gw, 2)
    gw.step(None)
    noisy.session.out.clear()

    for fields in noise:
        noisy.raw(*fields)
    noisy.raw(*noise[0][:1], *(["1"] * 30))

    assert [name for name, _ in quiet.ask("reqCurrentTime")][-1] == "currentTime"
    gw.step(None)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_no_bytes_make_the_gateway_fail(payload: bytes):
    gw = gateway()
    gw.receive(Client(gw).session, payload)


def test_the_control_language_explains_its_refusals():
    gw = gateway()

    assert "needed" in answer(gw, b"nonsense\n", stepped=True)["error"]
    assert "needed" in answer(gw, b'{"cmd":"explode"}\n', stepped=True)["error"]
    assert "runs by itself" in answer(gw, b'{"cmd":"step"}\n', stepped=False)["error"]
    assert "cannot go back" in answer(gw, b'{"cmd":"step","until":5}\n', stepped=True)["error"]
    assert answer(gw, b'{"cmd":"step","until":null}\n', stepped=True) == {
        "at": OPEN,
        "advanced": "frame",
        "done": False,
        "frames_left": 5,
    }
    assert answer(gw, b'{"cmd":"orders"}\n', stepped=True) == {"orders": []}


def test_faults_withhold_double_and_inject_for_one_client():
    gw = gateway()
    first, second = Client(gw, 1), Client(gw, 2)
    gw.step(None)

    for line in (
        b'{"cmd":"withhold","client_id":1,"messages":["orderStatus","commissionReport"]}',
        b'{"cmd":"double","client_id":1,"messages":["execDetails"]}',
        b'{"cmd":"inject","client_id":1,"code":1100,"text":"Connectivity has been lost"}',
    ):
        assert answer(gw, line, stepped=True) == {"done": True}

    assert first.short(first.heard()) == ["error 1100"]
    fill = ["execDetails 10@101", "execDetails 10@101"]
    assert first.place(1, "BUY", 10) == [
        "openOrder PreSubmitted",
        *fill,
        "openOrder Filled",
        "openOrder Filled",
    ]
    assert second.place(1, "BUY", 10)[-1] == "commissionReport"
    assert gw.brokerage.exchange.account.positions[0].quantity == 20

    answer(gw, b'{"cmd":"withhold","client_id":1,"messages":["orderStatus"],"on":false}', stepped=True)
    assert "orderStatus Filled 10" in first.place(2, "BUY", 10)
    answer(gw, b'{"cmd":"withhold","messages":["*"]}', stepped=True)
    assert second.ask("reqCurrentTime") == []
