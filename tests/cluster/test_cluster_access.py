"""A cluster of two hosts with token and certificates, and a third host that tries to get in."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import missing

from benchmarks.nodes import IN_HOST, HostNodes, Node
from firm.ops.certificates import make_certificates

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]

PYTHON = "/opt/firm/.venv/bin/python"


@pytest.fixture(scope="module", params=["token", "token and certificates"])
def nodes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostNodes]:
    """Two nodes; the stranger is the operator's host, which has the firm's code but no secret of theirs."""
    certificates = None
    cluster = HostNodes([Node(cpus=1), Node(cpus=1)])
    if request.param != "token":
        certificates = tmp_path_factory.mktemp("certificates")
        cluster.before_start = lambda hosts: _hand_out(hosts, certificates)
    with cluster:
        for name in ("wrong", "theirs"):
            folder = cluster.hosts.operator.disk / "tmp" / name
            make_certificates(folder, [cluster.hosts[0].address], 1)
            (folder / "token").write_text("d" * 64)
        yield cluster


def _hand_out(hosts: Any, certificates: Path) -> None:
    make_certificates(certificates, [host.address for host in hosts], 1)
    for host in hosts:
        shutil.copytree(certificates, host.disk / "opt" / "firm" / ".tls")
    shutil.copytree(certificates, hosts.operator.disk / "tmp" / "stolen")


def has_certificates(nodes: HostNodes) -> bool:
    return (nodes.hosts[0].disk / "opt" / "firm" / ".tls").exists()


def knock(nodes: HostNodes, *options: str, port: int = 6379) -> str:
    """What the head says to the stranger."""
    address = f"{nodes.hosts[0].address}:{port}"
    script = "firm/tests/cluster/knock.py"
    said = nodes.hosts.operator.run(f"{PYTHON} {script} {address} {' '.join(options)} 2>/dev/null")
    return str(said.stdout.strip())


def test_who_has_no_token_or_another_one_is_refused(nodes: HostNodes):
    way = ("--certificates", "/tmp/stolen") if has_certificates(nodes) else ()

    assert knock(nodes, *way) == "UNAUTHENTICATED"
    assert knock(nodes, *way, "--token", "/tmp/wrong/token") == "UNAUTHENTICATED"


def test_the_port_for_rays_own_clients_wants_the_token_too(nodes: HostNodes):
    way = ("--client", *(("--certificates", "/tmp/stolen") if has_certificates(nodes) else ()))
    token = nodes.hosts[0].disk / "root" / ".ray" / "auth_token"
    shutil.copy(token, nodes.hosts.operator.disk / "tmp" / "token")

    assert knock(nodes, *way, port=10001) == "UNAUTHENTICATED"
    assert knock(nodes, *way, "--token", "/tmp/wrong/token", port=10001) == "UNAUTHENTICATED"
    assert knock(nodes, *way, "--token", "/tmp/token", port=10001) == "OK"


def test_who_has_the_token_but_no_certificate_of_the_cluster_is_refused(nodes: HostNodes):
    token = nodes.hosts[0].disk / "root" / ".ray" / "auth_token"
    shutil.copy(token, nodes.hosts.operator.disk / "tmp" / "token")
    has_token = ("--token", "/tmp/token")

    if not has_certificates(nodes):
        assert knock(nodes, *has_token) == "OK"
        return
    assert knock(nodes, *has_token, "--certificates", "/tmp/stolen") == "OK"
    assert knock(nodes, *has_token) == "UNAVAILABLE"
    assert knock(nodes, *has_token, "--authority", "/tmp/stolen/ca.crt") == "UNAVAILABLE"
    theirs = ("--certificates", "/tmp/theirs", "--authority", "/tmp/stolen/ca.crt")
    assert knock(nodes, *has_token, *theirs) == "UNAVAILABLE"


def test_the_firm_joins_and_runs_on_both_nodes(nodes: HostNodes):
    script = f"""
import firm
from pathlib import Path
from firm.actors.cluster import connect, disconnect
from firm.config import load_settings
connect(load_settings(Path('config/paper.yaml'), ('cluster.address={nodes.address}',)).cluster)
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as Only
where = ray.remote(lambda: ray.get_runtime_context().get_node_id())
nodes = [node['NodeID'] for node in ray.nodes()]
there = ray.get([where.options(scheduling_strategy=Only(node, soft=False)).remote() for node in nodes])
print(len(set(there)))
disconnect()
"""
    (nodes.hosts[1].disk / "tmp" / "join.py").write_text(script)

    said = nodes.hosts[1].run(f"{IN_HOST} && python /tmp/join.py")

    assert said.stdout.splitlines()[-1] == "2"


def test_the_dashboard_and_its_jobs_answer_on_loopback_only_and_only_to_the_token(nodes: HostNodes):
    head, other, stranger = nodes.hosts[0], nodes.hosts[1], nodes.hosts.operator
    ask = "curl -s -m 10 -o /dev/null -w '%{http_code}'"
    post = f"{ask} -X POST -H 'Content-Type: application/json' -d '{{\"entrypoint\": \"id\"}}'"

    for host in (other, stranger):
        refused = host.run(f"{ask} http://{head.address}:8265/", check=False)
        assert (refused.returncode, refused.stdout) == (7, "000")  # 7: nobody listens there
    assert head.run(f"{ask} http://127.0.0.1:8265/api/jobs/").stdout == "401"
    assert head.run(f"{post} http://127.0.0.1:8265/api/jobs/").stdout == "401"
    token = '-H "Authorization: Bearer $(cat ~/.ray/auth_token)"'
    assert head.run(f"{ask} {token} http://127.0.0.1:8265/api/jobs/").stdout == "200"


def test_no_port_of_a_node_takes_a_job_from_who_has_no_token(nodes: HostNodes):
    paths = ("/api/job_agent/jobs/", "/api/jobs/")
    body = "-X POST -H 'Content-Type: application/json' -d '{\"entrypoint\": \"id\"}'"
    for host in nodes.hosts:
        for port in host.listening():
            for path in paths:
                url = f"http://{host.address}:{port}{path}"
                ask = f"curl -s -m 3 -o /dev/null -w '%{{http_code}}' {body} {url}"
                code = nodes.hosts.operator.run(ask, check=False).stdout
                assert code in {"000", "401", "404", "405"}, (
                    f"port {port} of {host} answered {code} to {path}"
                )


def test_no_command_line_of_a_node_shows_the_token(nodes: HostNodes):
    token = (nodes.hosts[0].disk / "root" / ".ray" / "auth_token").read_text()

    for host in nodes.hosts:
        lines = host.processes()
        assert any("raylet" in line for line in lines)
        assert not any(token in line for line in lines)
        logs = host.disk / "tmp" / "ray" / "session_latest" / "logs"
        found = host.run(f"grep -rlF {token} /tmp/ray/session_latest/logs", check=False)
        assert (found.returncode, found.stdout) == (1, ""), f"the token is in a log under {logs}"
