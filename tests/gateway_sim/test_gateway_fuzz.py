"""Any bytes on the API port and the control port: no crash, no hang, bounded memory, no harm to others."""

import contextlib
import json
import socket
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firm.errors import GatewayProtocol
from firm.gateway_sim.codec.framing import Deframer, Greeter, fields_of, frame
from firm.gateway_sim.codec.place_order import PLACE_ORDER
from firm.gateway_sim.codec.requests import REFERENCE, REQUESTS, SERVED
from firm.gateway_sim.codec.table import Message
from firm.gateway_sim.gateway import START_API
from firm.gateway_sim.server import GREETING_BYTES_MAX, READ_BYTES, REQUEST_BYTES_MAX
from tests.gateway_sim.tcp_world import DEADLINE, HOST, TcpClient, tcp_gateway
from tests.gateway_sim.wire_values import PLAUSIBLE, values_for
from tests.gateway_sim.wire_world import Client, gateway

NUMBERS = [str(number) for number in REQUESTS]
FIELDS = st.sampled_from(
    ["", "0", "1", "2", "-1", "AAA", "STK", "BUY", "LMT", "OPT", "9" * 19, "1e308", "nan"]
)
SENTENCES = st.lists(FIELDS | st.text(max_size=6), min_size=1, max_size=80)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.binary(max_size=64), max_size=30))
def test_the_parser_takes_any_bytes_in_any_pieces_and_holds_little(pieces: list[bytes]):
    deframer, fed, given_back = Deframer(1000), 0, 0
    with contextlib.suppress(GatewayProtocol):
        for piece in pieces:
            payloads = deframer.feed(piece)
            fed += len(piece)
            given_back += sum(len(payload) + 4 for payload in payloads)
            assert deframer.held == fed - given_back
            assert deframer.held <= 1000 + 4 + len(piece)


@settings(max_examples=200, deadline=None)
@given(st.lists(SENTENCES, min_size=1, max_size=8), st.lists(st.integers(1, 40), max_size=40))
def test_frames_survive_any_cut(sentences: list[list[str]], cuts: list[int]):
    clean = [[text.replace("\0", "").encode(errors="ignore").decode() for text in s] for s in sentences]
    stream, heard, deframer = b"".join(frame(s) for s in clean), [], Deframer()
    while stream:
        size = cuts.pop() if cuts else len(stream)
        heard += deframer.feed(stream[:size])
        stream = stream[size:]

    assert [fields_of(payload) for payload in heard] == [fields_of(frame(s)[4:]) for s in clean]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_the_greeting_is_the_only_way_in(data: bytes):
    greeter = Greeter()
    with contextlib.suppress(GatewayProtocol):
        greeter.feed(data)
        assert b"API\0".startswith(data[:4])


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(NUMBERS), SENTENCES), min_size=1, max_size=6), st.integers(157, 178)
)
def test_no_request_makes_the_gateway_fail(requests: list[tuple[str, list[str]]], version: int):
    gw = gateway()
    bad, good = Client(gw, 1, version), Client(gw, 2)
    gw.step(None)
    good.heard()
    for number, fields in requests:
        bad.raw(number, *(field.encode(errors="ignore").decode() for field in fields))
    gw.step(None)

    good.heard()
    assert [name for name, _ in good.ask("reqCurrentTime")] == ["currentTime"]


KNOWN = {
    "conId": 0,
    "symbol": "AAA",
    "secType": "STK",
    "exchange": "SMART",
    "currency": "USD",
    "strike": None,
}
KNOWN |= dict.fromkeys(("lastTradeDate", "right", "localSymbol", "primaryExchange"), "")
ASKED = [message for message in (*SERVED, *REFERENCE, PLACE_ORDER) if message.id != START_API]


@pytest.mark.parametrize("message", ASKED, ids=lambda m: m.name)
def test_no_request_that_could_be_meant_makes_the_gateway_fail(message: Message):
    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data(), st.integers(157, 178))
    def asked(data: Any, version: int) -> None:
        gw = gateway()
        odd, plain = Client(gw, 1, version), Client(gw, 2)
        gw.step(None)
        for _ in range(3):
            values = values_for(data.draw, message.rows, version, {}, PLAUSIBLE)
            if "secType" in message.names() and data.draw(st.booleans(), label="known"):
                values |= KNOWN
            odd.raw(*message.encode(version, values))
            gw.step(gw.brokerage.at)
        gw.step(None)

        plain.heard()
        assert [name for name, _ in plain.ask("reqCurrentTime")] == ["currentTime"]

    asked()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_order_makes_the_gateway_fail(data: Any):
    odd = st.sampled_from([None, 0, 1, -1, 10**9])
    texts = st.sampled_from(["", "x", "Twap", "Vwap", "GTD", "OPG", "20240103 10:00:00 UTC", "g"])
    types = ["MKT", "LMT", "STP", "STP LMT", "TRAIL", "TRAIL LIMIT", "MOC", "LOC", "VOL", "PEG BEST"]
    client = Client(gateway())
    client.step()
    for order_id in range(1, 6):
        values = {
            "orderType": data.draw(st.sampled_from(types)),
            "tif": data.draw(st.sampled_from(["", "DAY", "GTC", "IOC", "FOK", "GTD", "OPG", "AUC"])),
            "triggerMethod": data.draw(st.sampled_from([0, 2, 3, 9])),
            "parentId": data.draw(st.integers(0, 3)),
            "transmit": data.draw(st.booleans()),
            "whatIf": data.draw(st.booleans()),
            "allOrNone": data.draw(st.booleans()),
            **{n: data.draw(odd) for n in ("lmtPrice", "auxPrice", "displaySize", "ocaType")},
            **{n: data.draw(odd) for n in ("trailStopPrice", "trailingPercent", "lmtPriceOffset")},
            **{n: data.draw(texts) for n in ("algoStrategy", "goodTillDate", "goodAfterTime", "ocaGroup")},
        }
        said = client.place(order_id, data.draw(st.sampled_from(["BUY", "SELL"])), 10, **values)
        assert said
    client.step()
    client.step()


@pytest.mark.parametrize("limit", [GREETING_BYTES_MAX, REQUEST_BYTES_MAX])
def test_a_frame_beyond_the_limit_ends_the_connection_before_it_is_stored(limit: int):
    with tcp_gateway() as world:
        good = TcpClient(world, 2)
        if limit == REQUEST_BYTES_MAX:
            bad = TcpClient(world, 1).socket
        else:
            bad = socket.create_connection((HOST, world.port), timeout=DEADLINE)
            bad.sendall(b"API\0")
        bad.sendall(struct.pack(">I", limit + 1) + b"x" * 100)
        with contextlib.suppress(ConnectionResetError):
            while bad.recv(READ_BYTES):
                pass

        assert good.place(1, "BUY", 10)[0] == "openOrder PreSubmitted"
        for each in (bad, good.socket):
            each.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=4), st.booleans())
def test_noise_on_a_socket_disturbs_nobody(running: Any, noise: list[bytes], started: bool):
    world, good = running
    bad = TcpClient(world, 1).socket if started else socket.create_connection((HOST, world.port), DEADLINE)
    with contextlib.suppress(ConnectionError):
        for data in noise:
            bad.sendall(data if not started else struct.pack(">I", len(data)) + data)
    good.send("reqCurrentTime")

    assert good.read()[0] == "currentTime"
    bad.close()
    good.until_clients([2])


class Quiet(TcpClient):
    """A client beside the noise, which can wait until the noisy one is gone."""

    def __init__(self, world: Any) -> None:
        super().__init__(world, 2)
        self._world = world
        self.heard()

    def until_clients(self, clients: list[int]) -> None:
        while self._world.ask("status")["clients"] != clients:
            self.heard()


@pytest.fixture(scope="module")
def running() -> Any:
    with tcp_gateway() as world:
        client = Quiet(world)
        yield world, client
        client.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.integers() | st.text(max_size=8), lambda x: st.lists(x, max_size=3)).map(
        lambda value: json.dumps({"cmd": value}).encode()
    )
)
def test_noise_on_the_control_port_is_answered_with_an_error(running: Any, line: bytes):
    world, _ = running
    with socket.create_connection((HOST, world.control_port), DEADLINE) as control:
        control.sendall(line.replace(b"\n", b" ") + b"\n")
        answer = json.loads(control.makefile("rb").readline())

    assert "error" in answer
