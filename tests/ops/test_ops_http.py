import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from prometheus_client.parser import text_string_to_metric_families
from test_ops_metrics import snapshot_of_a_year

from firm.errors import ConfigError, GatewayUnavailable, StoreError
from firm.ops.http import OpsServer, is_loopback
from firm.ops.snapshot import Snapshot

Get = Callable[..., tuple[int, str, http.client.HTTPMessage]]


class Served:
    """What the endpoints read; a test may put another snapshot or an error in its place."""

    def __init__(self) -> None:
        self.now: Snapshot | Exception = snapshot_of_a_year()[0]

    def __call__(self) -> Snapshot:
        if isinstance(self.now, Exception):
            raise self.now
        return self.now


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def get(served: Served) -> Iterator[Get]:
    server = OpsServer("127.0.0.1", 0, served)
    port = server.start()

    def fetch(path: str, host: str = "localhost") -> tuple[int, str, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": f"{host}:{port}"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    yield fetch
    server.stop()


def test_health_ready_and_live_say_how_the_firm_is(get: Get, served: Served):
    snapshot = snapshot_of_a_year()[0]
    well = replace(snapshot.status, quoted_at=snapshot.status.at, barrier=(21, 21))
    served.now = replace(snapshot, status=well)

    status, body, headers = get("/health")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    assert headers["Content-Type"].startswith("application/json")
    assert headers["Cache-Control"] == "no-store"
    assert json.loads(get("/ready")[1]) == {"ready": True, "reasons": []}
    assert get("/live")[0] == 200


def test_a_firm_that_is_not_ready_says_why_and_what_to_do(get: Get, served: Served):
    served.now = snapshot_of_a_year(latch="drill")[0]

    status, body, _ = get("/ready")
    assert status == 503
    assert any("firm rearm DIR" in reason for reason in json.loads(body)["reasons"])
    assert get("/health")[0] == 200
    served.now = snapshot_of_a_year(bus_alive=False)[0]
    assert get("/health")[0] == 503
    assert get("/live")[0] == 200


def test_a_state_that_cannot_be_read_is_down_and_not_ready(get: Get, served: Served):
    served.now = StoreError("the disk is gone")

    for path in ("/health", "/ready", "/status", "/metrics", "/"):
        status, body, _ = get(path)
        assert status == 503
        assert "the disk is gone" in body
    assert get("/live")[0] == 200


def test_metrics_are_what_prometheus_reads(get: Get):
    status, body, headers = get("/metrics")

    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    names = {family.name for family in text_string_to_metric_families(body)}
    assert {"firm_log_entries", "firm_equity_usd", "firm_ready"} <= names
    assert not any(name.startswith(("python_", "process_")) for name in names)


def test_the_front_page_shows_the_state_and_links_the_rest(get: Get, served: Served):
    served.now = snapshot_of_a_year(latch="<b>drill</b>")[0]
    status, body, _ = get("/")
    links: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            links.extend(value or "" for key, value in attrs if tag == "a" and key == "href")

    Reader().feed(body)
    assert status == 200
    assert links == ["/status", "/health", "/ready", "/live", "/metrics"]
    assert "not ready to trade" in body
    assert "&lt;b&gt;drill" in body
    assert "http://" not in body


def test_a_page_of_another_name_gets_nothing(get: Get):
    assert get("/health", host="evil.example")[0] == 403
    assert get("/health", host="127.0.0.1")[0] == 200
    assert get("/nothing")[0] == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.com", ""])
def test_an_address_that_others_can_reach_is_refused(host: str, served: Served):
    assert not is_loopback(host)
    with pytest.raises(ConfigError, match="loopback address"):
        OpsServer(host, 0, served)


def test_a_taken_port_is_named_with_the_way_out(served: Served):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = OpsServer("127.0.0.1", port, served)
        with pytest.raises(GatewayUnavailable, match=rf"port {port} .*--set ops\.port=0"):
            server.start()
        server.stop()


def test_the_endpoints_answer_within_100_ms_while_the_firm_computes(get: Get):
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            sum(i * i for i in range(10_000))

    busy = threading.Thread(target=compute)
    busy.start()
    try:
        took = []
        for path in ("/health", "/ready", "/live") * 5:
            began = time.perf_counter()
            assert get(path)[0] in (200, 503)
            took.append(time.perf_counter() - began)
    finally:
        stop.set()
        busy.join()
    assert sorted(took)[len(took) // 2] < 0.1, took


def test_a_server_stops_and_its_port_is_free_again(served: Served):
    server = OpsServer("localhost", 0, served)
    port = server.start()
    server.stop()
    server.stop()

    again = OpsServer("127.0.0.1", port, served)
    assert again.start() == port
    again.stop()


def test_the_status_is_whole_and_says_what_ready_says(get: Get):
    status, body, headers = get("/status")
    found, ready = json.loads(body), json.loads(get("/ready")[1])

    assert (status, headers["Cache-Control"]) == (200, "no-store")
    assert (found["ready"], found["reasons"]) == (ready["ready"], ready["reasons"])
    assert found["broker"]["account"] == "DU0000001"
    assert found["broker"]["gate"]["state"] is None
