"""Several Ray nodes on this one machine, each with its own raylet, workers and object store.

`HostNodes`: every node a host of its own, in namespaces, with an address, a network between them and files
of its own (tests/cluster/hosts.py; needs Linux and root). `LoopbackNodes`: processes beside each other,
anywhere; their bytes pass through the kernel only. `Nodes` is what both offer:

    with host_nodes_or_loopback([Node(cpus=2), Node(cpus=2, resources={"signals": 1})], folder) as nodes:
        nodes.drive(["benchmarks/scale.py", "--address", nodes.address])
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

ROOT = Path(__file__).parent.parent
STARTS_WITHIN_S, ENDS_WITHIN_S = 120.0, 20.0
DRIVES_WITHIN_S = 1500.0
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "PYTHONPATH": str(ROOT)}


@dataclass(frozen=True)
class Node:
    """What a node offers; `store_mb` is its object store."""

    cpus: int
    resources: Mapping[str, float] = field(default_factory=dict)
    store_mb: int = 256
    options: tuple[str, ...] = ()

    def offered(self) -> list[str]:
        """The arguments of `ray start` that say what it offers."""
        return [
            "--block",
            f"--num-cpus={self.cpus}",
            f"--resources={json.dumps(dict(self.resources))}",
            f"--object-store-memory={self.store_mb * 2**20}",
            "--disable-usage-stats",
            *self.options,
        ]


class Nodes(Protocol):
    """A cluster that is up; the first node is its head."""

    address: str
    kind: str

    def drive(self, script: Sequence[str]) -> None:
        """Run a Python script of this repository on the head; CalledProcessError if it fails."""

    def file(self, name: str) -> tuple[str, Path]:
        """A file for a script to write: its path as the script sees it, and as we do."""

    def __enter__(self) -> Self:
        """Start."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""


def host_nodes_or_loopback(nodes: Sequence[Node], folder: Path) -> Nodes:
    """Hosts of their own where there can be some."""
    sys.path.insert(0, str(ROOT / "tests" / "cluster"))
    from hosts import missing

    reason = missing()
    if reason is None:
        return HostNodes(nodes)
    sys.stderr.write(f"nodes on loopback, not as hosts of their own: {reason}\n")
    return LoopbackNodes(nodes, folder)


RAY = str(Path(sys.executable).with_name("ray"))
BESIDE = ("--dashboard-agent-listen-port=0", "--min-worker-port=0", "--max-worker-port=0")
"""So that several nodes of one address do not want the same ports."""


class LoopbackNodes:
    """Nodes as processes. `folder` needs a short path: Ray's sockets are in it, at most 107 characters."""

    kind = "processes on loopback"

    def __init__(
        self, nodes: Sequence[Node], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """`environment`: instead of a token of their own (it is in `environment` afterwards)."""
        self._nodes, self._folder = nodes, folder
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.environment = dict(environment or own)
        self.address = f"127.0.0.1:{free_port()}"
        self.dashboard_port = free_port()
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            for number, node in enumerate(self._nodes):
                self.start(node, head=number == 0)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def start(self, node: Node, *, head: bool = False) -> subprocess.Popen[bytes]:
        """Start a node and wait until it has joined. RuntimeError, with what it said, if it does not."""
        log = self._folder / f"node{len(self._running)}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        where = self._head() if head else [f"--address={self.address}"]
        with log.open("wb") as said:
            process = subprocess.Popen(
                [RAY, "start", *node.offered(), *BESIDE, *where],
                env={**os.environ, **QUIET, **self.environment},
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append(process)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while b"Ray runtime started" not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"a Ray node was needed, found: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        return process

    def drive(self, script: Sequence[str]) -> None:
        """See Nodes."""
        subprocess.run(
            [sys.executable, *script],
            env={**os.environ, **QUIET, **self.environment},
            cwd=ROOT,
            check=True,
            timeout=DRIVES_WITHIN_S,
        )

    def file(self, name: str) -> tuple[str, Path]:
        """See Nodes."""
        return str(self._folder / name), self._folder / name

    def _head(self) -> list[str]:
        return [
            "--head",
            "--node-ip-address=127.0.0.1",
            f"--port={self.address.rpartition(':')[2]}",
            f"--temp-dir={self._folder}",
            f"--ray-client-server-port={free_port()}",
            "--dashboard-host=127.0.0.1",
            f"--dashboard-port={self.dashboard_port}",
        ]

    def _end(self) -> None:
        for process in reversed(self._running):
            process.send_signal(signal.SIGTERM)  # `ray start --block` then ends what it has started
        for process in reversed(self._running):
            try:
                process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._running.clear()


class HostNodes:
    """Nodes as hosts with their own network, with the environment of deploy/env.sh.

    `before_start` is called with the hosts, which have the project and the token by then.
    """

    kind = "hosts in network namespaces"

    def __init__(self, nodes: Sequence[Node]) -> None:
        from hosts import Hosts

        self._nodes, self.hosts = nodes, Hosts(len(nodes))
        self.before_start: Callable[[Any], None] = lambda _hosts: None
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with self._undo:
            hosts = self._undo.enter_context(self.hosts)
            self.address = f"{hosts[0].address}:6379"
            token = secrets.token_hex(32)
            for host in hosts:
                _prepare(host, hosts.operator.disk / "root" / "firm", token)
            self.before_start(hosts)
            for number, (host, node) in enumerate(zip(hosts, self._nodes, strict=True)):
                self._start(host, node, head=number == 0)
            self._undo = self._undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def drive(self, script: Sequence[str]) -> None:
        """See Nodes."""
        process = self.hosts[0].start(f"{IN_HOST} && python {' '.join(script)}", stdout=None, stderr=None)
        self._undo.callback(_end, process)
        if process.wait(DRIVES_WITHIN_S):
            raise subprocess.CalledProcessError(process.returncode, list(script))

    def file(self, name: str) -> tuple[str, Path]:
        """See Nodes."""
        return f"/tmp/{name}", self.hosts[0].disk / "tmp" / name

    def _start(self, host: Any, node: Node, *, head: bool) -> None:
        where = "--head --port=6379 --dashboard-host=127.0.0.1" if head else f"--address={self.address}"
        options = " ".join(f"'{each}'" for each in node.offered())
        log = host.disk / "tmp" / "ray-start.log"
        start = f"start_ray {options} --node-ip-address={host.address} {where}"
        process = host.start(f"{{ {IN_HOST}; {start}; }} > /tmp/ray-start.log 2>&1")
        self._undo.callback(_end, process)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not log.exists() or b"Ray runtime started" not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"a Ray node was needed on {host}, found: {log.read_text()[-2000:]}")
            time.sleep(0.1)


IN_HOST = "cd /opt/firm && . deploy/env.sh && export PYTHONPATH=/opt/firm"


def _prepare(host: Any, repository: Path, token: str) -> None:
    """What `ray up` would bring: the project, and the token."""
    shutil.copytree(repository, host.disk / "opt" / "firm", dirs_exist_ok=True)
    folder = host.disk / "root" / ".ray"
    folder.mkdir(mode=0o700)
    (folder / "auth_token").touch(mode=0o600)
    (folder / "auth_token").write_text(token)


def _end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
