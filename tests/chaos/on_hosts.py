"""Node and network faults: a campaign on a cluster of hosts, each a set of namespaces. Needs root; minutes.

As a script: `python tests/chaos/on_hosts.py --seed 1 --repeats 3 --results FILE` prints the fault table.
"""

import argparse
import contextlib
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
from firm.chaos.faults import Fault, Struck
from firm.chaos.plan import plan
from firm.chaos.results import Results, markdown
from firm.chaos.running import ON_FREE_PORTS, RunningFirm, living

INSIDE = Path("opt/firm/runs/chaos")
CUT_S, SLOW_S, SLOW_MS = 30.0, 10.0, 50.0
GCS_LOG = Path("tmp/ray/session_latest/logs/gcs_server.out")
NODE_GONE = "Removing node"


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
        port = f'$(python -c \'import json; print(json.load(open("/{INSIDE}/ops.json"))["port"])\')'
        url = f"http://127.0.0.1:{port}{path}"
        said = self._cluster.at_head(f"curl -s -o /dev/null -w '%{{http_code}}' {url}", check=False).stdout
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

    @property
    def run_dir(self) -> Path:
        return self.cluster.head.disk / INSIDE

    def launched(self) -> RunningFirm:
        return FirmOnHosts(self.cluster, self.run_dir, OPTIONS)

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


def node_lost(day: Day) -> Callable[[], bool]:
    """Whether Ray has declared a node dead since now."""
    log = day.cluster.head.disk / GCS_LOG  # type: ignore[attr-defined]
    before = log.read_text(errors="replace").count(NODE_GONE)
    return lambda: log.read_text(errors="replace").count(NODE_GONE) > before


def compute(day: Day, pick: float) -> Host:
    hosts = list(day.cluster.hosts)[1:]  # type: ignore[attr-defined]
    return hosts[int(pick * len(hosts))]


def kill_on_node(word: str, *, gone: bool) -> Callable[[Day, float], Struck]:
    def strike(day: Day, pick: float) -> Struck:
        host, noticed = compute(day, pick), node_lost(day)
        before = {pid for pid, title in on(host) if word in title}
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        return Struck(
            noticed if gone else lambda: bool({p for p, title in on(host) if word in title} - before)
        )

    return strike


def power(day: Day, pick: float) -> Struck:
    host, noticed = compute(day, pick), node_lost(day)
    host.kill()
    return Struck(noticed, host.boot, CUT_S)


def cut(day: Day, pick: float) -> Struck:
    host, noticed = compute(day, pick), node_lost(day)
    host.cut()
    return Struck(noticed, host.heal, CUT_S)


def cut_one_way(day: Day, pick: float) -> Struck:
    host, noticed = compute(day, pick), node_lost(day)
    host.cut_one_way(day.cluster.head)  # type: ignore[attr-defined]
    return Struck(noticed, host.heal, CUT_S)


def slow(day: Day, pick: float) -> Struck:
    host, noticed = compute(day, pick), node_lost(day)
    host.delay(SLOW_MS, jitter_ms=SLOW_MS / 5, loss=0.01)
    return Struck(noticed, host.heal, SLOW_S)


FAULTS = {
    "node_power": Fault("a compute node loses power", power),
    "node_raylet": Fault("SIGKILL of a compute node's raylet", kill_on_node("raylet/raylet", gone=True)),
    "node_workers": Fault("SIGKILL of all Ray workers of a node", kill_on_node("ray::", gone=False)),
    "net_cut": Fault("a compute node's network is cut", cut),
    "net_one_way": Fault("what a compute node says does not reach the head", cut_one_way),
    "net_slow": Fault(f"a node's network: {SLOW_MS:g} ms each way, 1 % lost, {SLOW_S:g} s", slow),
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
