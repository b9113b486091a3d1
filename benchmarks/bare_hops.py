"""The firm's way from market data to order with nothing inside: what the hops alone cost on this machine.

python benchmarks/bare_hops.py [--decisions 160] [--co-seated] [--data FILE]

A broker actor polls a TCP server in a process of its own; a bus actor commits, asks empty seats, meanwhile
passes a value through two empty actors by ref and runs the firm's own Monte Carlo tasks, commits, passes a
value through four more, commits, and hands the order to the broker. The calls and commits that the real firm
makes in one decision are counted, and these hops must make the same.
Prints one JSON object: milliseconds of every decision from the first byte of a page to the order on the
socket, with the Monte Carlo tasks and without; the kernel alone; the counts.
"""

import argparse
import json
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from firm_counts import CountedActor, Counts, counted, firm_counts, groups
from quarter_hours import HISTORY_SESSIONS, write_quarter_hours

from firm.actors import cluster, risk_tasks
from firm.config import Settings, load_settings
from firm.domain.instrument import Instrument
from firm.events import Origin, Record
from firm.events.risk import RiskRunRequested
from firm.risk.cube import Shard, plan
from firm.risk.run import kept_blocks, measure
from firm.risk_kernels.fingerprint import numeric_fingerprint
from firm.store.keys import Keys
from firm.store.sqlite import SqliteStore

CONFIG = Path(__file__).parent.parent / "config" / "paper.yaml"
SETTINGS = ("cluster.dashboard=false", "schedule.decide=1800000", "execution.default_algo=market")
"""The paper firm, deciding within the session and sending at once."""

PAGE_BYTES, FENCE_BYTES, ORDER_BYTES = 1063, 20, 220
"""Seen on the firm's socket: quotes of 20 instruments, the answer to a time request, one market order."""

ASK_PAGE, ASK_FENCE = b"page".ljust(9), b"fence".ljust(9)
RECORD_PAYLOAD = b"x" * 120
BLOCKS = 4


def serve() -> None:
    """Answer one client: a page or a fence for the question of that name; orders are taken silently."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    client, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answers = {b"p": (len(ASK_PAGE), PAGE_BYTES), b"f": (len(ASK_FENCE), FENCE_BYTES), b"o": (ORDER_BYTES, 0)}
    waiting = b""
    while received := client.recv(65536):
        waiting += received
        while waiting and len(waiting) >= answers[waiting[:1]][0]:
            asked, answered = answers[waiting[:1]]
            waiting = waiting[asked:]
            client.sendall(bytes(answered))


class BareBroker:
    """A connection to the server, and the stopwatch."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._began = 0.0

    def turn(self, orders: Sequence[bytes]) -> tuple[bytes, float]:
        """Send the orders, fetch the next page; with it the ms from the page before to its first order."""
        took_ms = 0.0
        for number, order in enumerate(orders):
            self._socket.sendall(order)
            if number == 0:
                took_ms = (time.perf_counter() - self._began) * 1000
        self._socket.sendall(ASK_PAGE)
        page = self._socket.recv(65536)
        self._began = time.perf_counter()
        while len(page) < PAGE_BYTES:
            page += self._socket.recv(65536)
        self._socket.sendall(ASK_FENCE)
        left = FENCE_BYTES
        while left:
            left -= len(self._socket.recv(left))
        return page, took_ms


class BareHost:
    """Stands for the state agents: gives back what it got."""

    def hear(self, value: object) -> object:
        """Nothing is done."""
        return value

    def keep(self, request: RiskRunRequested, cube: Sequence[Any]) -> None:
        """Nothing is kept."""


class BareSeat:
    """Stands for the signal agents."""

    def answer(self, units: int) -> list[bytes]:
        """Nothing is computed."""
        return [b""] * units


class BareBus:
    """Drives the hops as the firm's bus does, in an actor as that is."""

    def __init__(
        self,
        broker: Any,
        hosts: Sequence[Any],
        seats: Sequence[Any],
        asked: Counts,
        settings: Settings,
        instruments: tuple[Instrument, ...],
    ) -> None:
        """`hosts`: one, or bookkeeper, risk, cio, compliance, execution. `asked`: what the firm counts."""
        self._settings, self._instruments = settings, instruments
        self._counts: Counts = Counter()
        self._broker = CountedActor(broker, "broker turns", self._counts)
        self._hosts = [CountedActor(host, "host calls", self._counts) for host in hosts]
        self._seats = [CountedActor(seat, "seat calls", self._counts) for seat in seats]
        self._calls_a_seat = asked["seat calls"] // len(seats)
        self._task = counted(risk_tasks.measure_shard.remote, "risk tasks", self._counts)
        self._stress = counted(risk_tasks.measure_and_stress.remote, "risk tasks", self._counts)
        self._fingerprint = numeric_fingerprint()
        self._directory = tempfile.TemporaryDirectory()
        keys = Keys.from_bytes(secrets.token_bytes(32), secrets.token_bytes(32))
        self._store = SqliteStore.open(Path(self._directory.name), keys)

    def warm(self, workers: int) -> None:
        """Compile the kernels on this actor's workers."""
        risk_tasks.warm_workers(workers, self._fingerprint)

    def run(
        self, decisions: int, request: RiskRunRequested | None, shards: int
    ) -> tuple[list[float], Counts]:
        """Milliseconds of each decision, and the calls and commits of the last one."""
        took: list[float] = []
        ray.get(self._broker.turn.remote([]))
        for _ in range(decisions):
            self._counts.clear()
            self._decide(request, shards)
            _, took_ms = ray.get(self._broker.turn.remote([bytes([ord("o")]) * ORDER_BYTES]))
            took.append(took_ms)
        return took, Counter(self._counts)

    def _decide(self, request: RiskRunRequested | None, shards: int) -> None:
        one, *rest = self._hosts
        self._commit()
        answers = [seat.answer.remote(100) for seat in self._seats for _ in range(self._calls_a_seat)]
        self._pass([one, rest[0]] if rest else [one])
        cut = [] if request is None else plan(request, shards)
        tasks, cube = self._risk_run(request, cut)
        ray.wait(answers, num_returns=len(answers), timeout=5)
        ray.get(answers)
        ray.get(tasks, timeout=5)
        if request is not None:
            (rest[0] if rest else one).keep.remote(request, cube)
        self._commit()
        self._pass([rest[1], rest[0], rest[2], rest[3]] if rest else [one])
        self._commit()

    def _risk_run(
        self, request: RiskRunRequested | None, cut: Sequence[Shard]
    ) -> tuple[list[Any], list[Any]]:
        if request is None:
            return [], []
        keep = kept_blocks(request, cut, self._settings.risk.cube_bytes_max)
        first = self._stress(request, cut[0], keep[0], self._fingerprint, self._settings, self._instruments)
        shards = zip(cut[1:], keep[1:], strict=True)
        rest = [self._task(request, shard, kept, 0, self._fingerprint) for shard, kept in shards]
        return [tail for tail, _ in (first, *rest)], [columns for _, columns in (first, *rest)]

    def _pass(self, hosts: Sequence[Any]) -> None:
        value: Any = b""
        for host in hosts:
            value = host.hear.remote(value)
        ray.get(value)

    def _commit(self) -> None:
        self._counts["commits"] += 1
        seq = self._store.last_seq + 1
        self._store.commit([Record(seq, seq, Origin.INPUT, "bus", 0, 0, 7, RECORD_PAYLOAD)])


def kernel_ms(request: RiskRunRequested, shards: int) -> list[float]:
    """Each shard of the risk run alone, in this process: median of five."""
    took: list[list[float]] = []
    for shard in plan(request, shards):
        measure(request, shard, shard.blocks)
        took.append([])
        for _ in range(5):
            began = time.perf_counter()
            measure(request, shard, shard.blocks)
            took[-1].append((time.perf_counter() - began) * 1000)
    return [statistics.median(each) for each in took]


def measure_hops(settings: Settings, data: Path | None, decisions: int, port: int) -> dict[str, Any]:
    """The firm counted, then the bare hops in blocks: with Monte Carlo, without, with, ..."""
    shards = settings.cluster.num_cpus
    risk_tasks.warm_workers(shards, numeric_fingerprint())
    with tempfile.TemporaryDirectory() as place:
        if data is None:
            data = Path(place) / "quotes.npz"
            write_quarter_hours(data, HISTORY_SESSIONS + 2)
        asked, request, instruments = firm_counts(settings, data, Path(place))
    seated = [ray.remote(BareHost).options(num_cpus=0).remote() for _ in groups(settings)]
    seats = [
        ray.remote(BareSeat).options(num_cpus=0).remote() for _ in range(settings.cluster.signal_replicas)
    ]
    broker = ray.remote(BareBroker).options(num_cpus=0).remote(port)
    bus = ray.remote(BareBus).options(num_cpus=0).remote(broker, seated, seats, asked, settings, instruments)
    ray.get(bus.warm.remote(shards))
    with_mc: list[float] = []
    without: list[float] = []
    for _ in range(BLOCKS):
        took, made = ray.get(bus.run.remote(decisions // BLOCKS, request, shards))
        assert made == asked, f"the firm makes {dict(asked)} a decision, the bare hops {dict(made)}"
        with_mc += took
        without += ray.get(bus.run.remote(decisions // BLOCKS, None, shards))[0]
    return {
        "with_monte_carlo_ms": with_mc,
        "without_monte_carlo_ms": without,
        "kernel_ms": kernel_ms(request, shards),
        "counts": dict(asked),
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--decisions", type=int, default=160)
    parser.add_argument("--co-seated", action="store_true")
    parser.add_argument("--data", type=Path, default=None, help="quotes to count the firm on")
    parser.add_argument("--serve", action="store_true", help="be the server (used by the script itself)")
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    seating = f"cluster.co_seated={str(options.co_seated).lower()}"
    settings = load_settings(CONFIG, [*SETTINGS, seating])
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        cluster.connect(settings.cluster)
        try:
            figures = measure_hops(settings, options.data, options.decisions, port)
        finally:
            cluster.disconnect()
            server.terminate()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
