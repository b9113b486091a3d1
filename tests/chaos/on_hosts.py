"""Node and network faults: a campaign on a cluster of hosts, each a set of namespaces. Needs root; minutes.

As a script: `python tests/chaos/on_hosts.py --seed 1 --repeats 3 --results FILE` prints the fault table.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))

from hosts import Host, Hosts, missing
from running import CORE, Cluster

from firm.chaos.campaign import live
from firm.chaos.day import OPTIONS, Day
from firm.chaos.faults import WORKER_DIED, Fault, Strike, Struck, one_more
from firm.chaos.plan import plan
from firm.chaos.results import Results, markdown
from firm.chaos.running import ON_FREE_PORTS, RunningFirm, living, until

INSIDE = Path("opt/firm/runs/chaos")
SLOW_MS = 50.0
BACK_WITHIN_S = 400.0
NODE_GONE = "Node is dead"


class FirmOnHosts(RunningFirm):
    """A firm launched on the head of a cluster, watched through the head's disk."""

    def __init__(self, cluster: Cluster, run_dir: Path, options: Sequence[str]) -> None:
        self.run_dir, self._reader, self._cluster = run_dir, None, cluster
        self.printed = run_dir.with_name(f"{run_dir.name}.printed.txt")
        run_dir.parent.mkdir(parents=True, exist_ok=True)
        words = " ".join(f"'{word}'" for word in (*ON_FREE_PORTS, *options))
        with self.printed.open("ab") as printed:
            self.process = cluster.head.start(
                f"{CORE} exec python -m firm.launch --address auto --run-dir '/{INSIDE}' {words}",
                stdout=printed,
            )

    def processes(self) -> dict[int, str]:
        """Every process on the hosts, sshd aside."""
        return {pid: title for host in self._cluster.hosts for pid, title in on(host)}

    def ask(self, path: str) -> int:
        """See RunningFirm; the endpoints are on the head's loopback."""
        if not (self.run_dir / "ops.json").exists():
            return 0
        where = json.loads((self.run_dir / "ops.json").read_text())
        url = f"http://{where['host']}:{where['port']}{path}"
        said = self._cluster.head.run(f"curl -s -o /dev/null -w '%{{http_code}}' {url}", check=False).stdout
        return int(said) if said.isdecimal() else 0

    def end_everything(self) -> None:
        """Only the launcher: the cluster, and the firm on it, live on."""
        self.forget()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class DayOnHosts(Day):
    """See Day; node 0 is the head with the log, the others compute."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.head.disk / INSIDE.parent)
        self.cluster = cluster
        self.head_is_down = False

    @property
    def run_dir(self) -> Path:
        return self.cluster.head.disk / INSIDE

    def launched(self) -> RunningFirm:
        if self.head_is_down:
            self.cluster.head.boot()
            self.cluster.up()
            self.head_is_down = False
        return FirmOnHosts(self.cluster, self.run_dir, OPTIONS)

    @property
    def gcs_log(self) -> Path:
        """What Ray's control service says; the link to it is meant within the head."""
        ray = self.cluster.head.disk / "tmp/ray"
        return ray / (ray / "session_latest").readlink().name / "logs/gcs_server.out"

    def compute(self, pick: float) -> Host:
        """One of the compute nodes."""
        hosts = list(self.cluster.hosts)[1:]
        return hosts[int(pick * len(hosts))]

    def await_every_node(self) -> None:
        """Wait until all hosts are nodes of the cluster again."""
        until(lambda: self.cluster.nodes() == len(self.cluster.hosts), "every node is back", BACK_WITHIN_S)

    def end(self) -> None:
        if self._firm is not None:
            self._firm.end_everything()


def on(host: Host) -> list[tuple[int, str]]:
    """The processes of one host, as numbered on this machine."""
    space = Path(f"/proc/{host.pid}/ns/pid").readlink()
    found = []
    for pid, title in living():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/ns/pid").readlink() == space and "sshd" not in title:
                found.append((pid, title))
    return found


def kill_all(host: Host, word: str) -> None:
    """SIGKILL to every process of the host with this word in its title; not to a raylet's agents."""
    for pid, title in on(host):
        if word in title and "Agent" not in title:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def on_a_node(deed: Callable[[DayOnHosts, Host], Callable[[], object]]) -> Strike:
    """A fault of one compute node; `deed` does it and returns what ends it when the firm has gone on."""

    def strike(day: Day, pick: float) -> Struck:
        assert isinstance(day, DayOnHosts), "node faults need a day on hosts"
        noticed = one_more(day.gcs_log, NODE_GONE)
        end = deed(day, day.compute(pick))

        def afterwards() -> None:
            end()
            day.await_every_node()

        return Struck(noticed, afterwards=afterwards)

    return strike


def power(_day: DayOnHosts, host: Host) -> Callable[[], object]:
    host.kill()
    return host.boot


def raylet(_day: DayOnHosts, host: Host) -> Callable[[], object]:
    kill_all(host, "raylet/raylet")
    return bool


def cut(day: DayOnHosts, host: Host) -> Callable[[], object]:
    host.cut(day.cluster.head)
    return host.heal


def cut_one_way(day: DayOnHosts, host: Host) -> Callable[[], object]:
    host.cut_one_way(day.cluster.head)
    return host.heal


def slow(_day: DayOnHosts, host: Host) -> Callable[[], object]:
    host.delay(SLOW_MS, jitter_ms=SLOW_MS / 5, loss=0.01)
    return host.heal


def workers(day: Day, pick: float) -> Struck:
    """All at once; the node itself stays."""
    assert isinstance(day, DayOnHosts), "node faults need a day on hosts"
    noticed = one_more(day.gcs_log, WORKER_DIED)
    kill_all(day.compute(pick), "ray::")
    return Struck(noticed)


def head(day: Day, pick: float) -> Struck:
    """It is switched on again at once, the cluster brought up and the firm launched: as an operator would."""
    del pick
    assert isinstance(day, DayOnHosts), "node faults need a day on hosts"
    day.cluster.head.kill()
    day.head_is_down = True
    return Struck(lambda: not day.firm.alive, afterwards=day.await_every_node)


FAULTS = {
    "head_power": Fault("the head loses power; Ray and the firm start anew on its disk", head),
    "node_power": Fault("a compute node loses power", on_a_node(power)),
    "node_raylet": Fault("SIGKILL of a compute node's raylet", on_a_node(raylet)),
    "node_workers": Fault("SIGKILL of all of a compute node's Ray workers", workers),
    "net_cut": Fault("the network between a compute node and the head is cut", on_a_node(cut)),
    "net_one_way": Fault("what a compute node says does not reach the head", on_a_node(cut_one_way)),
    "net_slow": Fault(f"a compute node's network: {SLOW_MS:g} ms each way, 1 % lost", on_a_node(slow)),
}


def campaign(seed: int, names: Sequence[str], repeats: int, results: Path, hosts: int) -> Results:
    """Bring a cluster up, let it all happen to the firm on it, take it down."""
    kept = Results(results, {"seed": seed, "faults": sorted(names), "repeats": repeats, "hosts": hosts})
    for planned in plan(seed, dict.fromkeys(names, ""), repeats):
        if kept.has_day(planned.number):
            continue
        with Hosts(hosts) as made:
            cluster = Cluster(made)
            cluster.up()
            os.environ["FIRM_KEY_DIR"] = str(cluster.head.disk / "root/.firm/keys")
            day = DayOnHosts(cluster)
            try:
                kept.add_day(
                    planned.number, *live(day, planned, FAULTS, lambda line: print(line, flush=True))
                )
            finally:
                day.end()
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path("runs/chaos-hosts.json"))
    arguments = parser.parse_args()
    if why := missing():
        sys.exit(why)
    names = arguments.faults.split(",")
    kept = campaign(arguments.seed, names, arguments.repeats, arguments.results, arguments.hosts)
    print(markdown(kept.table(), {name: fault.does for name, fault in FAULTS.items()}))


if __name__ == "__main__":
    main()
