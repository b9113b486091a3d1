"""The codec: every table both ways at every version, with ib_async on the other side, and noise."""

import contextlib
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ib_async import IB, Contract, Order, OrderComboLeg, TagValue
from ib_async.client import Client
from ib_async.contract import ComboLeg, DeltaNeutralContract
from ib_async.decoder import Decoder
from ib_async.order import (
    ExecutionCondition,
    MarginCondition,
    PercentChangeCondition,
    PriceCondition,
    TimeCondition,
    VolumeCondition,
)

from firm.errors import GatewayProtocol
from firm.gateway_sim.codec import kinds
from firm.gateway_sim.codec.framing import Deframer, Greeter, agreed_version, fields_of, frame
from firm.gateway_sim.codec.place_order import PLACE_ORDER
from firm.gateway_sim.codec.replies import ALL, REPLIES
from firm.gateway_sim.codec.requests import REQUESTS, SERVED
from firm.gateway_sim.codec.table import Message
from tests.gateway_sim.wire_values import values_for

VERSIONS = st.integers(157, 178)


@pytest.mark.parametrize("message", [*ALL, *REQUESTS.values()], ids=lambda m: f"{m.id}-{m.name}")
def test_every_message_survives_encoding_and_decoding(message: Message):
    @settings(max_examples=15, deadline=None)
    @given(st.data(), VERSIONS)
    def round_trip(data: Any, version: int) -> None:
        values = values_for(data.draw, message.rows, version, {})

        wire = frame(message.encode(version, values))
        (payload,) = Deframer().feed(wire)
        fields = fields_of(payload)

        assert fields[0] == str(message.id)
        assert message.decode(fields[1:], version) == values

    round_trip()


@pytest.mark.parametrize(("unset", "kind"), [("", kinds.INTEGER), ("2147483647", kinds.INTEGER_MAX)])
def test_both_spellings_of_an_unset_integer_are_read(unset: str, kind: kinds.Kind):
    assert kind.read(unset) is None
    assert kind.write(None) == unset


@pytest.mark.parametrize("unset", ["", "1.7976931348623157E308", "1.7976931348623157e+308"])
@pytest.mark.parametrize("kind", [kinds.FLOAT, kinds.DECIMAL])
def test_both_spellings_of_an_unset_number_are_read(unset: str, kind: kinds.Kind):
    assert kind.read(unset) is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (kinds.INTEGER, "1.0"),
        (kinds.INTEGER, "1_000"),
        (kinds.INTEGER, "9" * 5000),
        (kinds.FLOAT, "nan"),
        (kinds.FLOAT, "inf"),
        (kinds.DECIMAL, "NaN"),
        (kinds.DECIMAL, "1e999999"),
        (kinds.DECIMAL, "1e-400"),
        (kinds.DECIMAL, "sNaN"),
        (kinds.BOOL, "yes"),
    ],
)
def test_what_is_no_number_is_refused(kind: kinds.Kind, text: str):
    with pytest.raises(ValueError, match="is "):
        kind.read(text)


def test_whole_sizes_are_written_without_a_point_and_infinity_in_words():
    assert [kinds.plain(Decimal(t)) for t in ("100", "100.0", "1E+2", "0.50")] == ["100", "100", "100", "0.5"]
    assert kinds.FLOAT.write(math.inf) == "Infinity"
    assert kinds.FLOAT.read("Infinite") == math.inf


def test_text_beyond_ascii_is_escaped():
    wire = frame(REPLIES["error"].encode(178, {"reqId": 1, "code": 201, "text": "Grüße\n£"}))

    assert b"Gr\\xfc\\xdfe\\n\\xa3" in wire


def test_a_field_left_over_or_missing_is_refused():
    request = REQUESTS[91]

    assert request.decode(["26"], 178) == {"ruleId": 26}
    with pytest.raises(GatewayProtocol, match="found 1 more, the first of them '7'"):
        request.decode(["26", "7"], 178)
    with pytest.raises(GatewayProtocol, match="ends after 0 fields, before ruleId"):
        request.decode([], 178)


@given(st.lists(st.integers(1, 9), max_size=6))
def test_a_stream_may_be_cut_anywhere(cuts: list[int]):
    stream = b"API\0" + frame(["v157..178"]) + frame(["71", "2", "1", ""]) + frame(["49", "1"])
    greeter, deframer, payloads = Greeter(), Deframer(), []
    while stream:
        size = cuts.pop() if cuts else len(stream)
        payloads += deframer.feed(greeter.feed(stream[:size]))
        stream = stream[size:]

    assert [fields_of(p) for p in payloads] == [["v157..178"], ["71", "2", "1", ""], ["49", "1"]]


@pytest.mark.parametrize("length", [b"\0\0\0\0", b"\x01\0\0\0", b"\xff\xff\xff\xff"])
def test_an_impossible_length_ends_the_stream(length: bytes):
    with pytest.raises(GatewayProtocol, match="frame length must be 1 to 16777215"):
        Deframer().feed(length)


def test_a_stream_that_does_not_greet_is_refused():
    with pytest.raises(GatewayProtocol, match="must begin with"):
        Greeter().feed(b"GET / HTTP/1.1")


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        (b"v157..178", 178),
        (b"v100..225", 178),
        (b"v100..157", 157),
        (b"v100..176 +PACEAPI", 176),
        (b"v176", 176),
        (b"v100..156", None),
        (b"v179..225", None),
    ],
)
def test_the_highest_common_version_is_agreed(offer: bytes, agreed: int | None):
    assert agreed_version(offer) == agreed


def sent_by_ib_async(version: int, contract: Contract, order: Order) -> list[str]:
    client = Client(wrapper=IB().wrapper)
    client._serverVersion, client.connState = version, Client.CONNECTED
    sent: list[str] = []
    client.sendMsg = sent.append  # type: ignore[method-assign]
    client.placeOrder(5, contract, order)
    fields = sent[0].split("\0")
    return fields[:-1]


STOCK = Contract(conId=8, symbol="AAA", secType="STK", exchange="SMART", currency="USD")
BAG = Contract(
    symbol="AAA",
    secType="BAG",
    exchange="SMART",
    currency="USD",
    comboLegs=[ComboLeg(1, 1, "BUY", "SMART"), ComboLeg(2, 1, "SELL", "SMART")],
)
ORDERS: dict[str, tuple[Contract, Order]] = {
    "market": (STOCK, Order(action="BUY", totalQuantity=1, orderType="MKT")),
    "limit": (STOCK, Order(action="SELL", totalQuantity=2.5, orderType="LMT", lmtPrice=9.5)),
    "trail": (STOCK, Order(orderType="TRAIL", trailingPercent=1.0, trailStopPrice=9.0)),
    "algo": (STOCK, Order(orderType="LMT", algoStrategy="Twap", algoParams=[TagValue("a", "b")] * 2)),
    "scale": (STOCK, Order(orderType="LMT", scalePriceIncrement=0.1, scaleInitLevelSize=5)),
    "hedge": (STOCK, Order(orderType="MKT", hedgeType="D", hedgeParam="1")),
    "volatility": (STOCK, Order(orderType="VOL", volatility=0.2, deltaNeutralOrderType="LMT")),
    "peg to benchmark": (STOCK, Order(orderType="PEG BENCH", referenceContractId=3)),
    "peg to best": (STOCK, Order(orderType="PEG BEST", minCompeteSize=1, competeAgainstBestOffset=math.inf)),
    "peg to best with offset": (STOCK, Order(orderType="PEGBEST", competeAgainstBestOffset=0.01)),
    "peg to midpoint": (STOCK, Order(orderType="PEG MID", midOffsetAtWhole=0.1)),
    "alternative venue": (
        Contract(symbol="AAA", secType="STK", exchange="IBKRATS"),
        Order(orderType="LMT", minTradeQty=5),
    ),
    "combination": (
        BAG,
        Order(
            orderType="LMT",
            orderComboLegs=[OrderComboLeg(1.0), OrderComboLeg(2.0)],
            smartComboRoutingParams=[TagValue("NonGuaranteed", "1")],
        ),
    ),
    "delta neutral": (
        Contract(symbol="AAA", deltaNeutralContract=DeltaNeutralContract(1, 0.5, 9.0)),
        Order(orderType="LMT"),
    ),
    "conditions": (
        STOCK,
        Order(
            orderType="LMT",
            conditions=[
                PriceCondition(price=9.0, conId=8, exch="SMART"),
                TimeCondition(time="20240102 09:30:00"),
                MarginCondition(percent=5),
                ExecutionCondition(secType="STK", exch="SMART", symbol="AAA"),
                VolumeCondition(volume=5, conId=8, exch="SMART"),
                PercentChangeCondition(changePercent=1.5, conId=8, exch="SMART"),
            ],
        ),
    ),
}


@pytest.mark.parametrize("version", [157, 158, 160, 162, 166, 169, 170, 176, 177, 178])
@pytest.mark.parametrize("name", list(ORDERS))
def test_every_order_ib_async_can_send_is_read_to_the_last_field(name: str, version: int):
    contract, order = ORDERS[name]
    fields = sent_by_ib_async(version, contract, order)

    values = PLACE_ORDER.decode(fields[1:], version)

    assert (values["orderId"], values["orderType"]) == (5, order.orderType)
    assert len(values.get("conditions", [])) == len(order.conditions)
    assert values["usePriceMgmtAlgo"] is False
    assert PLACE_ORDER.decode(PLACE_ORDER.encode(version, values)[1:], version) == values


def test_ib_async_reads_an_open_order_at_every_version():
    contract = {"conId": 8, "symbol": "AAA", "secType": "STK", "exchange": "SMART", "currency": "USD"}
    values = {
        **contract,
        "localSymbol": "AAA",
        "tradingClass": "NMS",
        "right": "?",
        "orderId": 3,
        "clientId": 1,
        "permId": 77,
        "action": "BUY",
        "totalQuantity": Decimal(10),
        "orderType": "LMT",
        "lmtPrice": Decimal("9.5"),
        "auxPrice": Decimal(0),
        "tif": "GTC",
        "account": "DU1",
        "orderRef": "r",
        "status": "Submitted",
        "filledQuantity": Decimal(4),
        "completedTime": "t",
        "completedStatus": "s",
        "duration": 5,
    }
    for version in range(157, 179):
        heard: list[Any] = []
        decoder = Decoder(_Listener(heard), version)  # type: ignore[arg-type]
        decoder.openOrder(REPLIES["openOrder"].encode(version, values))
        decoder.completedOrder(REPLIES["completedOrder"].encode(version, values))

        (_, opened, order, state), (closed, completed, done) = heard
        assert (opened.conId, order.permId, order.tif, order.lmtPrice) == (8, 77, "GTC", 9.5)
        assert (state.status, order.orderRef, order.usePriceMgmtAlgo) == ("Submitted", "r", False)
        assert (closed.conId, completed.filledQuantity, done.completedStatus) == (8, 4.0, "s")


class _Listener:
    def __init__(self, heard: list[Any]) -> None:
        self._heard = heard

    def openOrder(self, *what: Any) -> None:  # noqa: N802
        self._heard.append(what)

    def completedOrder(self, *what: Any) -> None:  # noqa: N802
        self._heard.append(what)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SERVED), st.lists(st.text(max_size=6), max_size=40), VERSIONS)
def test_noise_is_refused_with_our_own_error(message: Message, fields: list[str], version: int):
    with contextlib.suppress(GatewayProtocol):
        message.decode(fields, version)
