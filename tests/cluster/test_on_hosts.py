"""The cluster for real: three hosts with nothing running, an operator with `cluster.yaml`, a firm.

Slow (a few minutes), needs root and Debian packages: `make cluster-test`. Prints how long each stage took.
"""

import json
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from hosts import Hosts, missing
from running import Cluster

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]
RUN = "runs/first"
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Hosts(3) as hosts:
        yield Cluster(hosts)


def refusal(cluster: Cluster, deed: str = "check") -> str:
    done = cluster.operator(f"python -m firm.cli cluster {deed}", check=False)
    assert done.returncode == 2, done.stdout
    return done.stdout


def test_hosts_without_a_key_are_refused_with_the_command_that_makes_one(cluster: Cluster):
    cluster.operator("mv ~/.ssh/firm_cluster ~/.ssh/away")

    said = refusal(cluster, "up")

    cluster.operator("mv ~/.ssh/away ~/.ssh/firm_cluster")
    assert "found no such file" in said
    assert "ssh-keygen -t ed25519" in said


def test_a_key_the_host_does_not_know_is_refused_with_what_to_put_where(cluster: Cluster):
    node = cluster.hosts[2]
    node.run("mv ~/.ssh/authorized_keys ~/.ssh/away")

    said = refusal(cluster)

    node.run("mv ~/.ssh/away ~/.ssh/authorized_keys")
    assert f"{node.address} needs to let in root over ssh" in said
    assert "firm_cluster.pub into ~/.ssh/authorized_keys of root there" in said


def test_a_host_that_cannot_be_reached_is_named(cluster: Cluster):
    node = cluster.hosts[1]
    node.cut()

    said = refusal(cluster)

    node.heal()
    assert said.count("  - ") == 1
    assert f"{node.address} needs to let in root over ssh, found: ssh: connect to host" in said


def test_a_host_listed_as_head_and_as_worker_is_refused(cluster: Cluster):
    nodes = list(cluster.hosts)
    cluster.address_hosts([nodes[0], nodes[0], nodes[1]])

    said = refusal(cluster, "up")

    cluster.address_hosts(nodes)
    assert f"found {nodes[0].address} more than once" in said


def test_a_host_that_belongs_to_another_head_is_refused(cluster: Cluster):
    node, ray = cluster.hosts[1], "RAY_AUTH_MODE=disabled /opt/firm/.venv/bin/ray"
    node.run(f"{ray} start --head --node-ip-address={node.address} --include-dashboard=false")

    said = refusal(cluster, "up")

    node.run(f"{ray} stop --force; rm -rf /tmp/ray")
    assert f"{node.address} needs to belong to one head, {cluster.head.address}" in said
    assert f"found Ray of {node.address}:6379" in said


def first_decision(firm: subprocess.Popen[str]) -> tuple[float, list[str]]:
    """Seconds until a launched firm has decided for the first time, and what it told until then."""
    assert firm.stdout is not None
    told = []
    for line in firm.stdout:
        told.append(line.rstrip())
        if re.search(r"cycle \d", line):
            return float(line.split(" s ")[0]), told
    raise AssertionError(f"the firm ended with {firm.wait()} before it decided:\n" + "\n".join(told))


@pytest.fixture(scope="module")
def firm(cluster: Cluster) -> subprocess.Popen[str]:
    """From nothing to the first decision: the launcher of the firm that trades."""
    began = time.monotonic()
    stages = cluster.ray_up()
    up_s = time.monotonic() - began
    launched = cluster.launch("--run-dir", RUN)
    decided_s, told = first_decision(launched)
    print(f"\nray up, three hosts: {up_s:.1f} s")
    print("\n".join(f"  {seconds:6.1f} s  {text}" for seconds, text in stages))
    print("firm.launch:\n  " + "\n  ".join(told))
    print(f"from nothing to the first decision: {up_s + decided_s:.1f} s")
    return launched


def test_a_cluster_comes_up_from_nothing_and_the_firm_on_it_decides(
    cluster: Cluster, firm: subprocess.Popen[str]
):
    assert cluster.nodes() == 3
    assert firm.poll() is None


WHERE = """
import json, ray
from ray.util.state import list_actors, list_nodes, list_tasks
ray.init(address="auto", logging_level="ERROR", log_to_driver=False)
node = {each.node_id: each.node_ip for each in list_nodes()}
actors = [(each.class_name, node[each.node_id]) for each in list_actors(filters=[("state", "=", "ALIVE")])]
tasks = list_tasks(filters=[("type", "=", "NORMAL_TASK"), ("state", "=", "FINISHED")], limit=1000)
print(json.dumps(sorted({*actors, *((each.name, node[each.node_id]) for each in tasks)})))
"""


@pytest.mark.usefixtures("firm")
def test_the_core_is_on_the_head_and_signals_and_risk_are_on_the_workers(cluster: Cluster):
    (cluster.head.disk / "tmp" / "where.py").write_text(WHERE)
    said = cluster.at_head("python /tmp/where.py").stdout
    places: dict[str, set[str]] = {}
    for name, address in json.loads(said.splitlines()[-1]):
        places.setdefault(name, set()).add(address)

    head, *workers = (host.address for host in cluster.hosts)
    assert {"Supervisor", "EventBus", "Broker", "Reader", "Host"} <= places.keys()
    assert all(places[name] == {head} for name in ("Supervisor", "EventBus", "Broker", "Reader", "Host"))
    assert places["SignalSeat"] == places["_warm"] == set(workers)
    assert places["_measure_and_stress"] | places["_measure"] <= set(workers)


def test_a_firm_that_trades_is_not_disturbed(cluster: Cluster, firm: subprocess.Popen[str]):
    assert "found a firm on" in refusal(cluster, "up")
    assert "a firm is trading on node0" in refusal(cluster, "down")
    elsewhere = cluster.launch(at=cluster.hosts[1])
    said, _ = elsewhere.communicate()
    assert elsewhere.returncode == 2
    assert f"found this one, {cluster.hosts[1].address}" in said
    assert firm.poll() is None


def test_a_firm_whose_core_lost_power_resumes_from_its_log(cluster: Cluster, firm: subprocess.Popen[str]):
    cluster.head.kill()
    firm.communicate()
    began = time.monotonic()
    cluster.head.boot()
    up = cluster.up()
    resumed = cluster.launch("--run-dir", RUN)
    first_decision(resumed)
    print(f"\nthe core is back: up after {up[-1][0]:.1f} s, decides after {time.monotonic() - began:.1f} s")

    cluster.at_head(f"firm stop --reason 'the test has seen enough' --run-dir {RUN}")
    rest, _ = resumed.communicate()
    assert resumed.returncode == 0, rest
    assert "verified" in cluster.at_head(f"firm verify {RUN}").stdout
    assert "identical" in cluster.at_head(f"firm replay {RUN}").stdout


def test_a_worker_that_loses_power_comes_back_by_itself(cluster: Cluster):
    node = cluster.hosts[2]
    node.kill()
    began = time.monotonic()
    while cluster.nodes() == 3:
        assert time.monotonic() - began < 60
    lost_s = time.monotonic() - began
    node.boot()
    began = time.monotonic()
    while cluster.nodes() < 3:
        assert time.monotonic() - began < 180
    back_s = time.monotonic() - began
    print(f"\na node without power is missed after {lost_s:.1f} s, and back {back_s:.1f} s after its start")


def launch_refusal(cluster: Cluster) -> str:
    launched = cluster.launch("--run-dir", "runs/never")
    said, _ = launched.communicate()
    assert launched.returncode == 2, said
    return said


def test_a_node_with_other_packages_is_refused_by_name_and_version(cluster: Cluster):
    node = cluster.hosts[1]
    package = "/opt/firm/.venv/lib/python3*/site-packages/{}-[0-9]*.dist-info/METADATA"
    files = [node.run(f"echo {package.format(name)}").stdout.strip() for name in ("numba", "ray")]
    for file in files:
        node.run(f"sed -i.away 's/^Version: .*/Version: 0.50.1/' {file}")

    told = [refusal(cluster), launch_refusal(cluster)]

    for file in files:
        node.run(f"mv {file}.away {file}")
    for said in told:
        assert f"{node.address} needs the packages of the head {cluster.head.address} (ray 2." in said
        assert "found ray 0.50.1, numba 0.50.1" in said


def other_python() -> str | None:
    """This machine's own Python, if it is not the one that the packages are for."""
    found = subprocess.run(["/usr/bin/python3", "-V"], capture_output=True, text=True, check=False).stdout
    version = found.removeprefix("Python ").strip()
    return version if version and version != platform.python_version() else None


@pytest.mark.skipif(other_python() is None, reason="needs a second Python in /usr/bin")
def test_a_node_with_another_python_is_refused_to_the_patch_level(cluster: Cluster):
    node, python = cluster.hosts[1], "/opt/firm/.venv/bin/python"
    node.run(f"mv {python} {python}.away && ln -s /usr/bin/python3 {python}")

    said = refusal(cluster)

    node.run(f"mv {python}.away {python}")
    assert f"needs Python {platform.python_version()} as on the head {cluster.head.address}" in said
    assert f"found {other_python()}: name one interpreter for all hosts" in said


def test_a_wrong_token_and_a_missing_one_are_refused(cluster: Cluster):
    token = cluster.head.disk / "root" / ".ray" / "auth_token"
    ours = token.read_text()
    token.write_text("0" * 64)

    checked, wrong = refusal(cluster), launch_refusal(cluster)
    token.unlink()
    missing = launch_refusal(cluster)

    token.write_text(ours)
    token.chmod(0o600)
    assert f"{cluster.head.address} needs the cluster's token" in checked
    assert "found that Ray runs there with another" in checked
    assert "a Ray cluster that takes our token was needed at 'auto', found none" in wrong
    assert "it has another token: take the one in ~/.ray/auth_token of another node" in wrong
    assert "the cluster's token was needed in" in missing
    assert ".ray/auth_token, found no such file" in missing


def test_a_node_that_computes_other_bits_is_refused(cluster: Cluster):
    node = cluster.hosts[1]
    file = "/opt/firm/firm/risk_kernels/fingerprint.py"
    node.run(f"cp -p {file} {file}.away && sed -i 's/30.0 \\* values/30.1 * values/' {file}")

    told = [refusal(cluster), launch_refusal(cluster)]

    node.run(f"mv {file}.away {file}")
    for said in told:
        assert f"{node.address} needs the numeric fingerprint" in said
        assert "Use machines of one kind" in said


@pytest.mark.skipif(not Path(FAKETIME).exists(), reason="needs the Debian package faketime")
def test_a_clock_that_is_off_is_refused_with_by_how_much(cluster: Cluster):
    node, python = cluster.hosts[2], "/opt/firm/.venv/bin/python"
    late = f'LD_PRELOAD={FAKETIME} FAKETIME=+5s exec {python}.away "$@"'
    node.run(f"mv {python} {python}.away; printf '#!/bin/sh\\n%s\\n' '{late}' > {python}; chmod 755 {python}")

    said = refusal(cluster)

    node.run(f"mv {python}.away {python}")
    apart = re.search(
        rf"{node.address} needs a clock within 0.1 s of the head's, found (\d\.\d+) s apart", said
    )
    assert apart, said
    assert 4.0 < float(apart[1]) <= 5.1


def test_down_leaves_nothing_behind_and_may_be_asked_twice(cluster: Cluster):
    cluster.down()
    cluster.down()

    for host in cluster.hosts:
        assert host.processes() == []
        assert host.listening() == []
        assert not list(host.disk.glob("tmp/*ray*"))
        assert not list((host.disk / "root").glob("ray_bootstrap*"))
        assert not (host.disk / "root/.ray/auth_token").exists()
    assert (cluster.head.disk / "opt/firm" / RUN / "report.html").exists()
    assert not list(cluster.hosts.operator.disk.glob("tmp/ray/cluster-firm*"))
