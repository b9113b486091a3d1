"""The cluster for real: three hosts with nothing running, an operator with `cluster.yaml`, a firm.

Slow (a few minutes), needs root and Debian packages: `make cluster-test`. Prints how long each stage took.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from hosts import Host, Hosts, missing
from running import CORE, Cluster

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]
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


def first_decision(firm: subprocess.Popen[str]) -> tuple[float, list[str]]:
    """Seconds until a launched firm has decided for the first time, and what it told until then."""
    assert firm.stdout is not None
    told = []
    for line in firm.stdout:
        told.append(line.rstrip())
        if re.search(r"cycle \d", line):
            return float(line.split(" s ")[0]), told
    raise AssertionError(f"the firm ended with {firm.wait()} before it decided:\n" + "\n".join(told))


def test_from_nothing_to_the_first_decision(cluster: Cluster):
    began = time.monotonic()
    stages = cluster.up()
    up_s = time.monotonic() - began
    firm = cluster.launch("--days", "3", "--run-dir", "runs/first")
    decided_s, told = first_decision(firm)
    print(f"\nfirm cluster up: {up_s:.1f} s")
    print("\n".join(f"  {seconds:6.1f} s  {text}" for seconds, text in stages))
    print("firm.launch:\n  " + "\n  ".join(told))
    print(f"from nothing to the first decision: {up_s + decided_s:.1f} s")

    rest, _ = firm.communicate()
    assert firm.returncode == 0, rest
    assert cluster.nodes() == 3


def test_the_run_can_be_verified_and_replayed_where_it_lives(cluster: Cluster):
    assert "verified" in cluster.at_head("firm verify runs/first").stdout
    assert "identical" in cluster.at_head("firm replay runs/first").stdout


def test_the_core_is_on_the_head_and_the_rest_on_the_workers(cluster: Cluster):
    firm = cluster.launch("--run-dir", "runs/placed")
    first_decision(firm)

    head, *workers = (actors_on(host) for host in cluster.hosts)
    assert {"EventBus", "Broker", "Reader", "Host", "Supervisor"} <= head
    assert not {"SignalSeat", "_measure", "_measure_and_stress"} & head
    assert {"SignalSeat", "_measure"} <= workers[0] | workers[1]
    assert not {"Host", "Broker", "EventBus"} & (workers[0] | workers[1])

    assert "found a firm on" in refusal(cluster, "up")
    assert "a firm is trading on node0" in refusal(cluster, "down")
    elsewhere = cluster.launch(at=cluster.hosts[1])
    said, _ = elsewhere.communicate()
    assert elsewhere.returncode == 2
    assert f"found this one, {cluster.hosts[1].address}" in said

    cluster.at_head("firm stop --reason 'the test has seen enough' --run-dir runs/placed")
    rest, _ = firm.communicate()
    assert firm.returncode == 0, rest


def actors_on(host: Host) -> set[str]:
    """The classes and functions of Ray's workers there."""
    names = (line.split()[0].removeprefix("ray::") for line in host.processes() if line.startswith("ray::"))
    return {name.split(".")[0] for name in names}


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


def test_a_node_with_other_packages_is_refused_by_name_and_version(cluster: Cluster):
    node = cluster.hosts[1]
    found = node.run(
        "echo /opt/firm/.venv/lib/python3*/site-packages/numba-*.dist-info/METADATA"
    ).stdout.strip()
    node.run(f"sed -i.away 's/^Version: .*/Version: 0.50.1/' {found}")

    said = refusal(cluster)

    launched = cluster.launch("--run-dir", "runs/never")
    told, _ = launched.communicate()
    node.run(f"mv {found}.away {found}")
    for text in (said, told):
        assert f"{node.address} needs the packages of the head {cluster.head.address} (numba 0." in text
        assert "found numba 0.50.1" in text
    assert launched.returncode == 2


def test_a_node_that_computes_other_bits_is_refused(cluster: Cluster):
    node = cluster.hosts[1]
    file = "/opt/firm/firm/risk_kernels/fingerprint.py"
    node.run(f"cp {file} {file}.away && sed -i 's/30.0 \\* values/30.1 * values/' {file}")

    said = refusal(cluster)

    launched = cluster.launch("--run-dir", "runs/never")
    told, _ = launched.communicate()
    node.run(f"mv {file}.away {file}")
    for text in (said, told):
        assert f"{node.address} needs the numeric fingerprint" in text
        assert "Use machines of one kind" in text
    assert launched.returncode == 2


def test_a_second_head_is_refused(cluster: Cluster):
    node = cluster.hosts[1]
    node.run(f"{CORE} bash deploy/stop.sh")
    node.run(f"{CORE} RAY_AUTH_MODE=token ray start --head --node-ip-address={node.address} --port=6399")

    said = refusal(cluster)

    node.run(f"{CORE} bash deploy/stop.sh")
    assert f"{node.address} needs to belong to one head, {cluster.head.address}" in said
    assert f"found Ray of {node.address}:6399" in said


@pytest.mark.skipif(not Path(FAKETIME).exists(), reason="needs the Debian package faketime")
def test_a_clock_that_is_off_is_refused_with_by_how_much(cluster: Cluster):
    node = cluster.hosts[2]
    node.run(f"echo +5s > /etc/faketimerc; echo {FAKETIME} > /etc/ld.so.preload")

    said = refusal(cluster)

    (node.disk / "etc" / "ld.so.preload").unlink()
    apart = re.search(
        rf"{node.address} needs a clock within 0.1 s of the head's, found (\d\.\d+) s apart", said
    )
    assert apart, said
    assert 4.0 < float(apart[1]) <= 5.1


def test_down_leaves_nothing_behind(cluster: Cluster):
    cluster.down()

    for host in cluster.hosts:
        assert host.processes() == []
        assert host.listening() == []
        assert not list(host.disk.glob("tmp/*ray*"))
        assert not list((host.disk / "root").glob("ray_bootstrap*"))
        assert not (host.disk / "root/.ray/auth_token").exists()
    assert (cluster.head.disk / "opt/firm/runs/first/report.html").exists()
    assert not list(cluster.hosts.operator.disk.glob("tmp/ray/cluster-firm*"))


def test_ray_up_alone_does_it_too_and_down_is_asked_twice(cluster: Cluster):
    took_s = cluster.ray_up()
    print(f"\nray up, three hosts alive after {took_s:.1f} s")

    cluster.down()
    cluster.down()

    assert all(host.listening() == [] for host in cluster.hosts)
