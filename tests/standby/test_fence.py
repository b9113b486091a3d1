"""Before the gateway stands a relay that lets only the newest leader by: an old one cannot send an order."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from firm.broker.fenced import fenced
from firm.broker.ib import IbGateway
from firm.broker.recorder import RecordingIB
from firm.bus.gateway import CommandBatch, Page
from firm.config import Broker, load_settings
from firm.domain.order import OrderType, Side, TimeInForce
from firm.errors import GatewayUnavailable, StaleEpoch, StoreError
from firm.events import Record, encode
from firm.events.market import HistoryLoaded
from firm.events.orders import Child, OrderSubmitted
from firm.events.system import InstrumentsResolved
from firm.gateway_sim.process import GatewayProcess, start_gateway
from firm.standby.fence import Fence
from firm.standby.wire import Admitted, Claim, Line

pytestmark = pytest.mark.process
CONFIG = Path(__file__).resolve().parents[2] / "config" / "paper.yaml"
TOKEN = bytes(range(64, 96))
LOG, OTHER = "a" * 16, "b" * 16
RUN = "cafe0001"


@contextmanager
def relay(directory: Path, gateway: int) -> Iterator[int]:
    """`firm fence` before the gateway's port; its own port."""
    command = [sys.executable, "-m", "firm.cli", "fence", str(directory), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--gateway", f"127.0.0.1:{gateway}"],
        env=os.environ | {"FIRM_FENCE_TOKEN": TOKEN.hex()},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        try:
            yield int(said.split(" port ")[1].split(",")[0])
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0


class Leader:
    """A firm's broker side, opened as one claim; it buys one share of AAPL at a time."""

    def __init__(
        self, port: int, process: GatewayProcess, latch: Path, claim: Claim | None, token: bytes = TOKEN
    ) -> None:
        broker = load_settings(CONFIG).broker.model_copy(
            update={"gateway_port": port, "connect_timeout_ms": 5000, "request_timeout_ms": 5000}
        )
        client = RecordingIB if claim is None else fenced(claim, token)
        latch.mkdir(exist_ok=True)
        control = (process.host, process.control_port)
        self.gateway = IbGateway(
            Broker.model_validate(broker),
            ("AAPL",),
            latch / "halt.json",
            "stepped",
            control,
            30,
            client=client,
        )
        self.memory: list[Record] = []
        self.page = Page(0, 0, (), done=False)

    def open(self) -> "Leader":
        self.page = self.gateway.open(self.memory, RUN)
        for event in self.page.inputs:
            if isinstance(event, InstrumentsResolved | HistoryLoaded):
                self._record(event)
        return self

    def buy(self, seq: int) -> None:
        instruments = next(e for e in self.page_instruments())
        child = Child(0, instruments, Side.BUY, Decimal(1), OrderType.MARKET, None, TimeInForce.DAY)
        order = Record(seq, self.page.at, 1, "execution", 0, 0, OrderSubmitted.KIND, b"")
        order = order._replace(payload=encode(OrderSubmitted(1, "market", child)))
        self.memory.append(order)
        batch = CommandBatch(self.page.number + 1, (order,))
        self.page = self.gateway.turn(self.page.number, batch, None)

    def page_instruments(self) -> Iterator[int]:
        from firm.events import CODEC

        for record in self.memory:
            event = CODEC.event(record)
            if isinstance(event, InstrumentsResolved):
                yield event.instruments[0].con_id

    def _record(self, event: InstrumentsResolved | HistoryLoaded) -> None:
        seq = len(self.memory) + 1
        self.memory.append(Record(seq, self.page.at, 0, "broker", 0, 0, event.KIND, encode(event)))


@pytest.fixture
def process() -> Iterator[GatewayProcess]:
    with start_gateway(days=10) as gateway:
        gateway.step()
        yield gateway


def refs(process: GatewayProcess) -> list[str]:
    return [order["order_ref"] for order in process.orders()]


def test_a_newer_leader_ends_the_older_ones_connection_and_only_its_orders_arrive(
    tmp_path: Path, process: GatewayProcess
):
    with relay(tmp_path / "fence", process.port) as port:
        old = Leader(port, process, tmp_path / "old", Claim(LOG, 3, "1" * 16)).open()
        old.buy(101)
        assert refs(process) == [f"{RUN}-101"]
        new = Leader(port, process, tmp_path / "new", Claim(LOG, 1000, "2" * 16)).open()

        with pytest.raises(StaleEpoch, match="epoch 1000 has taken over; this leader has epoch 3"):
            old.buy(102)
        new.buy(201)

        assert refs(process) == [f"{RUN}-101", f"{RUN}-201"]
        for epoch in (3, 4, 999):
            with pytest.raises(StaleEpoch, match="epoch 1000 has taken over"):
                Leader(port, process, tmp_path / "old", Claim(LOG, epoch, "1" * 16)).open()
        new.buy(202)
        new.gateway.close()
        old.gateway.close()


def test_what_is_older_stays_refused_when_the_relay_was_started_again(
    tmp_path: Path, process: GatewayProcess
):
    with relay(tmp_path / "fence", process.port) as port:
        Leader(port, process, tmp_path / "new", Claim(LOG, 7, "2" * 16)).open().gateway.close()
    with relay(tmp_path / "fence", process.port) as port:
        with pytest.raises(StaleEpoch, match="epoch 7 has taken over"):
            Leader(port, process, tmp_path / "old", Claim(LOG, 6, "1" * 16)).open()
        with pytest.raises(StaleEpoch, match="epoch 7 is led by another process"):
            Leader(port, process, tmp_path / "twin", Claim(LOG, 7, "3" * 16)).open()
        Leader(port, process, tmp_path / "new", Claim(LOG, 7, "2" * 16)).open().gateway.close()


def test_two_launches_on_one_account_are_refused_while_the_first_is_connected(
    tmp_path: Path, process: GatewayProcess
):
    with relay(tmp_path / "fence", process.port) as port:
        first = Leader(port, process, tmp_path / "first", Claim(LOG, 3, "1" * 16)).open()

        with pytest.raises(GatewayUnavailable, match=f"this account is traded by log {LOG}, epoch 3"):
            Leader(port, process, tmp_path / "second", Claim(OTHER, 1, "2" * 16)).open()
        first.buy(101)
        first.gateway.close()
        second = Leader(port, process, tmp_path / "second", Claim(OTHER, 1, "2" * 16)).open()
        second.gateway.close()
        assert refs(process) == [f"{RUN}-101"]


def test_nobody_is_let_in_before_the_gateway_has_hung_up_on_the_older_leader(
    tmp_path: Path, process: GatewayProcess
):
    """A gateway that hangs may still hold an order of the old leader which it has not read."""
    with relay(tmp_path / "fence", process.port) as port, ThreadPoolExecutor() as aside:
        old = Leader(port, process, tmp_path / "old", Claim(LOG, 3, "1" * 16)).open()
        newer = Claim(LOG, 1000, "2" * 16)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            sent = aside.submit(old.buy, 102)
            for _ in range(2):
                with pytest.raises(GatewayUnavailable, match=r"has not hung up on .*, epoch 3, within 3 s"):
                    call(port, newer)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        with pytest.raises(StaleEpoch, match="epoch 1000 has taken over"):
            sent.result(timeout=60)
        new = Leader(port, process, tmp_path / "new", newer).open()
        known = refs(process)
        new.buy(201)

        assert known in ([], [f"{RUN}-102"])
        assert refs(process) == [*known, f"{RUN}-201"]
        new.gateway.close()
        old.gateway.close()


def call(port: int, claim: Claim) -> None:
    """Ask the relay to be let in."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        line = Line(connection, TOKEN, calls=True)
        line.send(claim)
        line.receive(Admitted)


def test_who_has_no_token_or_says_no_claim_does_not_reach_the_gateway(
    tmp_path: Path, process: GatewayProcess
):
    with relay(tmp_path / "fence", process.port) as port:
        with pytest.raises((StoreError, GatewayUnavailable)):
            Leader(port, process, tmp_path / "a", Claim(LOG, 3, "1" * 16), bytes(32)).open()
        with pytest.raises(GatewayUnavailable):
            Leader(port, process, tmp_path / "b", None).open()
    assert Fence(tmp_path / "fence" / "fence.json").newest(LOG) is None


def test_without_a_gateway_behind_it_the_relay_says_so(tmp_path: Path, process: GatewayProcess):
    with relay(tmp_path / "fence", 1) as port, pytest.raises(GatewayUnavailable, match="nobody listens at"):
        Leader(port, process, tmp_path / "a", Claim(LOG, 3, "1" * 16)).open()
