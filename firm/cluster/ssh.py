"""A command on a host of the cluster, over ssh, with the cluster's own key."""

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from firm.cluster.file import ClusterFile
from firm.cluster.node import Clock
from firm.errors import FirmError

CONNECTS_WITHIN_S = 10
EXCHANGES = 5
SSH_FAILED = 255


class HostUnreachable(FirmError):
    """A host does not answer, or does not accept the key."""


@dataclass(frozen=True)
class Answer:
    """How a command ended, and what it said (standard error included)."""

    code: int
    text: str


def _ssh(cluster: ClusterFile, host: str, command: str) -> list[str]:
    options = {
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "accept-new",
        "ConnectTimeout": str(CONNECTS_WITHIN_S),
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "LogLevel": "ERROR",
    }
    flags = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    return ["ssh", "-i", str(cluster.key), *flags, f"{cluster.user}@{host}", command]


def run(cluster: ClusterFile, host: str, command: str) -> Answer:
    """Run a bash command there to its end. HostUnreachable if it cannot be asked."""
    done = subprocess.run(  # noqa: S603 - the words come from the cluster's file
        _ssh(cluster, host, f"bash -c {shlex.quote(command)}"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode == SSH_FAILED:
        raise _unreachable(cluster, host, done.stdout)
    return Answer(done.returncode, done.stdout)


def lines(cluster: ClusterFile, host: str, command: str) -> Iterator[str]:
    """What a bash command there says, line by line while it runs, standard error included."""
    with subprocess.Popen(  # noqa: S603 - the words come from the cluster's file
        _ssh(cluster, host, f"bash -c {shlex.quote(command)}"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield line.rstrip()


def ask(cluster: ClusterFile, host: str) -> tuple[Clock, dict[str, object]]:
    """The host's clock less ours, and its facts, as `firm.cluster.probe` tells them."""
    probe = shlex.quote((Path(__file__).parent / "probe.py").read_text(encoding="utf-8"))
    installed, other = "/opt/firm/.venv/bin/python", shlex.quote(cluster.python)
    command = f"p={installed}; [ -x $p ] || p={other}; exec $p -u -c {probe}"
    with subprocess.Popen(  # noqa: S603 - the words come from the cluster's file
        _ssh(cluster, host, command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            exchanges = []
            for _ in range(EXCHANGES):
                asked = time.time_ns()
                process.stdin.write("clock\n")
                remote = json.loads(process.stdout.readline())
                exchanges.append((asked, remote, time.time_ns()))
            process.stdin.write("facts\n")
            facts = json.loads(process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            raise _unreachable(cluster, host, process.stderr.read()) from None
    return Clock.of(exchanges), facts


def _unreachable(cluster: ClusterFile, host: str, said: str) -> HostUnreachable:
    said = said.strip().replace("\r\n", "; ")
    if "Permission denied" in said:
        remedy = f"put {cluster.key}.pub into ~/.ssh/authorized_keys of {cluster.user} there"
    elif "not found" in said and cluster.python in said:
        remedy = f"install Python 3.11 to 3.13 there, or name another one in setup_commands of {cluster.path}"
    elif "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        remedy = f"if the host was set up anew: ssh-keygen -R {host}"
    else:
        remedy = f"see that it runs, and try: ssh -i {cluster.key} {cluster.user}@{host} true"
    return HostUnreachable(
        f"{host} needs to let in {cluster.user} over ssh, found: {said}. To mend it, {remedy}"
    )
