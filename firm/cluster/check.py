"""Whether the hosts of a cluster can be one firm: everything that is wrong, before anything is started."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256

from firm.cluster import ssh
from firm.cluster.file import ClusterFile, require_key
from firm.cluster.node import Node, differences
from firm.errors import ConfigError, FirmError

FREE_MB_MIN = 5000
"""The packages take 1.4 GB, Ray's logs and spilled objects the rest."""
PYTHONS = ("3.11.", "3.12.", "3.13.")


@dataclass(frozen=True)
class Host:
    """What one host has told: its facts as `firm.cluster.probe` names them, or why there are none."""

    name: str
    node: Node | None
    facts: dict[str, object]
    unreachable: str | None


def ask_all(cluster: ClusterFile) -> list[Host]:
    """All hosts at the same time, the head first."""
    with ThreadPoolExecutor(len(cluster.hosts)) as threads:
        return list(threads.map(lambda host: _ask(cluster, host), cluster.hosts))


def _ask(cluster: ClusterFile, host: str) -> Host:
    try:
        clock, facts = ssh.ask(cluster, host)
    except ssh.HostUnreachable as error:
        return Host(host, None, {}, str(error))
    packages = facts["packages"]
    assert isinstance(packages, dict)
    fingerprint = facts["fingerprint"]
    node = Node(
        host, str(facts["python"]), packages, None if fingerprint is None else str(fingerprint), clock
    )
    return Host(host, node, facts, None)


def problems(cluster: ClusterFile, hosts: Sequence[Host]) -> list[str]:
    """Everything that must be put right, each with what was needed, what was found and what to do."""
    found = [host.unreachable for host in hosts if host.unreachable is not None]
    for host in hosts:
        if host.node is not None:
            found += _alone(cluster, host)
    head = hosts[0].node
    if head is not None:
        for host in hosts[1:]:
            if host.node is not None:
                found += differences(head, host.node)
    return found


def _alone(cluster: ClusterFile, host: Host) -> list[str]:
    """What is wrong with one host by itself."""
    facts, found = host.facts, []
    if not str(facts["python"]).startswith(PYTHONS):
        found.append(
            f"{host.name} needs Python 3.11 to 3.13, found {facts['python']}: install one and name it in "
            f"setup_commands of {cluster.path}"
        )
    if not facts["rsync"]:
        found.append(f"{host.name} needs rsync, found none: apt-get install rsync, or as the system has it")
    if not facts["writable"]:
        found.append(
            f"{host.name} needs /opt/firm to belong to {cluster.user}, found that it may not write there: "
            f"install -d -o {cluster.user} /opt/firm"
        )
    free_mb = facts["free_mb"]
    assert isinstance(free_mb, int)
    if free_mb < FREE_MB_MIN:
        found.append(f"{host.name} needs {FREE_MB_MIN} MB free under /tmp, found {free_mb}: make room")
    heads = facts["heads"]
    assert isinstance(heads, list)
    if heads and facts["token"] != sha256(cluster.token.read_bytes().strip()).hexdigest():
        found.append(
            f"{host.name} needs the cluster's token, {cluster.token}, found that Ray runs there with "
            f"{'another' if facts['token'] else 'none'}: copy it here from ~/.ray/auth_token of "
            f"{cluster.head}, or give all hosts this one with firm cluster down and up"
        )
    if strangers := [head for head in heads if head.partition(":")[0] != cluster.head]:
        found.append(
            f"{host.name} needs to belong to one head, {cluster.head}, found Ray of "
            f"{', '.join(strangers)}: two heads would give two firms. Take the host out of one cluster's "
            "file, or end the other cluster "
            "(there: firm cluster down; here: bash /opt/firm/deploy/stop.sh)"
        )
    return found


def require_sound(cluster: ClusterFile) -> list[Host]:
    """Ask every host, and refuse with everything that is wrong."""
    require_key(cluster)
    if not cluster.token.is_file():
        raise ConfigError(
            f"{cluster.path} needs the cluster's token in {cluster.token}, found no such file: make it with "
            "ray get-auth-token --generate (or let `firm cluster up` do it)"
        )
    hosts = ask_all(cluster)
    if wrong := problems(cluster, hosts):
        raise FirmError("the hosts cannot be one firm:\n" + "\n".join(f"  - {what}" for what in wrong))
    return hosts
