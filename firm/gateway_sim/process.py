"""Starts a simulated gateway as a process of its own and steers it, for tests and launchers."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from firm.errors import GatewayClosed, GatewayUnavailable

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
CONTROL_SECONDS = 60.0


class ControlLine:
    """A connection to a gateway's control port: one command, one answer."""

    def __init__(self, host: str, port: int) -> None:
        """Connect; `GatewayUnavailable` if nobody listens."""
        try:
            self._socket = socket.create_connection((host, port), timeout=CONTROL_SECONDS)
        except OSError as error:
            raise GatewayUnavailable(
                f"no control port at {host}:{port}: {error}. Is the simulated gateway running?"
            ) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Send a command and wait for its answer; `GatewayClosed` if the gateway goes away meanwhile."""
        try:
            self._socket.sendall(json.dumps(command).encode() + b"\n")
            line = self._file.readline()
        except OSError as error:
            raise GatewayClosed(f"the gateway's control port failed: {error}") from error
        if not line:
            raise GatewayClosed("the gateway closed its control port")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()


class GatewayProcess:
    """A running gateway. `host`, `port`, `control_port`, `pid` and `account` are facts of it."""

    def __init__(self, process: "subprocess.Popen[bytes]", host: str, ready: Mapping[str, str]) -> None:
        self._process = process
        self.host, self.pid = host, process.pid
        self.port, self.control_port = int(ready["port"]), int(ready["control"])
        self.account = ready["account"]
        self._control: ControlLine | None = None

    def ask(self, **command: Any) -> dict[str, Any]:
        """A command on the control port, such as `ask(cmd="status")`."""
        if self._control is None:
            self._control = ControlLine(self.host, self.control_port)
        return self._control.ask(command)

    def step(self, until: int | None = None) -> dict[str, Any]:
        """To the next frame, or to `until` (ns UTC) if that is earlier; see `Gateway.step`."""
        return self.ask(cmd="step", until=until)

    def status(self) -> dict[str, Any]:
        """Clock, tape, account."""
        return self.ask(cmd="status")

    def orders(self) -> list[dict[str, Any]]:
        """Every order ever placed."""
        orders: list[dict[str, Any]] = self.ask(cmd="orders")["orders"]
        return orders

    def kill(self) -> None:
        """SIGKILL, as a crash would; returns when the process is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL if it does not obey; returns when the process is gone."""
        try:
            self._end(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
        self._process.wait(timeout=STOP_SECONDS)
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextlib.contextmanager
def start_gateway(
    *,
    clock: str = "stepped",
    data: Path | None = None,
    days: int | None = None,
    journal: Path | None = None,
    cash: str = "1000000",
    account: str = "DU1234567",
    host: str = "127.0.0.1",
    port: int = 0,
    control_port: int = 0,
    options: Sequence[str] = (),
) -> Iterator[GatewayProcess]:
    """A gateway process for the length of a `with` block; see `python -m firm.gateway_sim --help`.

    It runs in a process group of its own, listens on free ports unless told otherwise, and is ready when the
    block begins. `GatewayUnavailable` carries what it printed if it does not come up.
    """
    gateway = launch_gateway(
        [
            *("--clock", clock, "--cash", cash, "--account", account, "--host", host),
            *("--port", str(port), "--control-port", str(control_port)),
            *(("--data", str(data)) if data else ()),
            *(("--days", str(days)) if days else ()),
            *(("--journal", str(journal)) if journal else ()),
            *options,
        ],
        host,
    )
    try:
        yield gateway
    finally:
        gateway.stop()


def launch_gateway(arguments: Sequence[str], host: str) -> GatewayProcess:
    """Start a gateway with these command line arguments and wait until it is ready; the caller stops it."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603  our own module, no shell
            [sys.executable, "-m", "firm.gateway_sim", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        words = _ready_line(process).split()
        if words[:1] != ["ready"]:
            process.kill()
            process.communicate()
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
    if words[:1] != ["ready"]:
        reason = said or f"it said {' '.join(words)!r} within {READY_SECONDS:.0f} s"
        raise GatewayUnavailable(f"the simulated gateway did not start: {reason}")
    return GatewayProcess(process, host, dict(word.split("=", 1) for word in words[1:]))


def _ready_line(process: "subprocess.Popen[bytes]") -> str:
    assert process.stdout is not None, "started with a pipe"
    descriptor, line = process.stdout.fileno(), b""
    deadline = time.monotonic() + READY_SECONDS
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
        chunk = os.read(descriptor, 4096) if readable else b""
        if not chunk:
            return ""
        line += chunk
    return line.decode()
