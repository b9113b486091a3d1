"""The firm's cluster on the hosts of a test: brought up as an operator does it, launched on, and taken down.

with Hosts(3) as hosts:
    cluster = Cluster(hosts)
    cluster.up()                                      # `firm cluster up`; `ray_up()` is `ray up` alone
    firm = cluster.launch("--days", "3", "--run-dir", "runs/a")
    firm.wait(); cluster.at_head("firm verify runs/a"); cluster.down()
"""

import re
import subprocess
import time
from collections.abc import Sequence

from hosts import Host, Hosts

OPERATOR = (
    "cd ~/firm && export PATH=/opt/firm/.venv/bin:$PATH RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 && "
)
CORE = "cd /opt/firm && . deploy/env.sh && "
MONITOR = "/tmp/ray/session_latest/logs/monitor.out"
STARTS_WITHIN_S = 400.0


class Cluster:
    """The hosts under one cluster.yaml: the first is the head, all others are workers."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts, self.head = hosts, hosts[0]
        self.file = hosts.operator.disk / "root" / "firm" / "cluster.yaml"
        self._original = self.file.read_text()
        self.address_hosts(list(hosts))

    def address_hosts(self, hosts: Sequence[Host]) -> None:
        """Do to cluster.yaml what its first line asks for: write the hosts' addresses into it."""
        workers = ", ".join(host.address for host in hosts[1:])
        text = re.sub(r"head_ip: \S+", f"head_ip: {hosts[0].address}", self._original)
        self.file.write_text(re.sub(r"worker_ips: \[.*?\]", f"worker_ips: [{workers}]", text))

    def operator(
        self, command: str, *, check: bool = True, timeout_s: float = STARTS_WITHIN_S
    ) -> subprocess.CompletedProcess[str]:
        """A command of the operator, in the repository."""
        return self.hosts.operator.run(OPERATOR + command, timeout_s, check=check)

    def at_head(
        self, command: str, *, check: bool = True, timeout_s: float = STARTS_WITHIN_S
    ) -> subprocess.CompletedProcess[str]:
        """A command on the core node, in /opt/firm."""
        return self.head.run(CORE + command, timeout_s, check=check)

    def up(self) -> list[tuple[float, str]]:
        """`firm cluster up`; its stages, with the seconds since it began."""
        said = self.operator("python -m firm.cli cluster up").stdout
        return [
            (float(seconds), text)
            for seconds, text in re.findall(r"^ *(\d+\.\d) s  (.*)$", said, re.MULTILINE)
        ]

    def ray_up(self) -> list[tuple[float, str]]:
        """`ray up` alone, then wait until every host has joined; its stages as of `up`."""
        began = time.monotonic()
        self.operator("test -e ~/.ray/auth_token || ray get-auth-token --generate >/dev/null")
        stages = [(time.monotonic() - began, "the token is made")]
        self.operator("ray up --yes --no-config-cache cluster.yaml")
        stages.append((time.monotonic() - began, "`ray up` has ended, the head runs"))
        while (alive := self.nodes()) < len(self.hosts):
            assert time.monotonic() < began + STARTS_WITHIN_S, self.at_head(f"tail -n 50 {MONITOR}")
        return [*stages, (time.monotonic() - began, f"{alive} hosts are one cluster")]

    def nodes(self) -> int:
        """The hosts that Ray counts as alive."""
        ask = (
            "from ray._raylet import GcsClient; import sys; "
            "nodes = GcsClient(address=sys.argv[1]).get_all_node_info().values(); "
            "print(sum(node.state == 0 for node in nodes))"
        )
        said = self.at_head(f"python -c '{ask}' {self.head.address}:6379", check=False).stdout.split()
        return int(said[-1]) if said and said[-1].isdigit() else 0

    def launch(self, *options: str, at: Host | None = None) -> subprocess.Popen[str]:
        """`python -m firm.launch --address auto` on the head, in the background; it tells on `stdout`."""
        return (at or self.head).start(
            f"{CORE} exec python -m firm.launch --address auto {' '.join(options)}"
        )

    def down(self, *options: str) -> str:
        """`firm cluster down`; what it said."""
        return self.operator(f"python -m firm.cli cluster down {' '.join(options)}").stdout
