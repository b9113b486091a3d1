"""Asks every node of the running cluster what it computes with; refuses those that could not be one firm."""

import platform
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from firm.actors.cluster import ROLES, Role
from firm.cluster.node import Clock, Node, differences
from firm.cluster.probe import packages
from firm.errors import FirmError
from firm.risk_kernels.fingerprint import array_fingerprint

GATEWAY: Role = "gateway"
ANSWERS_WITHIN_S = 60.0
"""A node imports the packages anew to answer: some 5 s, more where the disk is cold."""
EXCHANGES = 5
LOOK_EVERY_S = 0.5


def tell_who_joins(hosts: Sequence[str], within_s: float) -> int:
    """Write a line for each of these hosts when its Ray has joined ours; 0 once all have, 1 if too late."""
    ray.init(address="auto", logging_level="ERROR", log_to_driver=False)
    deadline = time.monotonic() + within_s
    waiting = set(hosts)
    while waiting and time.monotonic() < deadline:
        joined = waiting & {_name(node) for node in ray.nodes() if node["Alive"]}
        sys.stdout.writelines(f"{host}\n" for host in sorted(joined))
        sys.stdout.flush()
        waiting -= joined
        if waiting:
            time.sleep(LOOK_EVERY_S)
    ray.shutdown()
    return 1 if waiting else 0


class Witness:
    """Tells what its node computes with."""

    def clock(self) -> int:
        """Nanoseconds UTC."""
        return time.time_ns()

    def facts(self) -> tuple[str, dict[str, str], str]:
        """Python's version, the packages', and the fingerprint of numpy's results."""
        return platform.python_version(), packages(), array_fingerprint()


def require_core() -> None:
    """See that this node is the core, which has the log; FirmError says which one is."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    here = _of(alive, ray.get_runtime_context().get_node_id())
    if wrong := core_problem([_name(node) for node in alive if GATEWAY in node["Resources"]], _name(here)):
        raise FirmError(wrong)


def require_one_firm() -> int:
    """See that the nodes can be one firm, with this one as its core; how many they are.

    FirmError with everything that is wrong: two cores or none, a role nobody has, other versions, another
    fingerprint, a clock that is off.
    """
    alive = [node for node in ray.nodes() if node["Alive"]]
    here = ray.get_runtime_context().get_node_id()
    wrong = role_problems({_name(node): node["Resources"] for node in alive}, _name(_of(alive, here)))
    if not wrong:
        head, *others = _ask([_of(alive, here), *(node for node in alive if node["NodeID"] != here)])
        wrong = [what for node in others for what in differences(head, node)]
    if wrong:
        raise FirmError("the nodes cannot be one firm:\n" + "\n".join(f"  - {what}" for what in wrong))
    return len(alive)


def role_problems(offered: Mapping[str, Mapping[str, float]], here: str) -> list[str]:
    """What is wrong with the roles that the nodes, by name, offer; nothing if no node has any."""
    having = {role: [name for name, resources in offered.items() if role in resources] for role in ROLES}
    if not any(having.values()):
        return []
    found = [
        core_problem(having[GATEWAY], here)
        if having[GATEWAY]
        else f"one node with the role gateway is needed, found none: write it into /etc/firm-roles of {here}"
    ]
    found += [
        f"a node with the role {role} is needed, found none among {', '.join(offered)}: `firm cluster check` "
        "says which host is missing and why; on a single machine give head.sh all three roles"
        for role in ROLES
        if role != GATEWAY and not having[role]
    ]
    return [what for what in found if what is not None]


def core_problem(cores: Sequence[str], here: str) -> str | None:
    """What is wrong with the nodes that have the role gateway; nothing if there is none."""
    if len(cores) > 1:
        return (
            f"one node with the role gateway is needed, found {len(cores)}: {', '.join(cores)}. Two would "
            "both trade; correct /etc/firm-roles there and bring the cluster up again"
        )
    if cores and here not in cores:
        return (
            f"the firm is launched on the node with the role gateway ({cores[0]}), found this one, {here}: "
            "log in there, and start it in /opt/firm"
        )
    return None


def _ask(nodes: Sequence[Mapping[str, Any]]) -> list[Node]:
    remote = ray.remote(num_cpus=0)(Witness)
    witnesses = [
        remote.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote()
        for node in nodes
    ]
    asked = [witness.facts.remote() for witness in witnesses]
    done, late = ray.wait(asked, num_returns=len(asked), timeout=ANSWERS_WITHIN_S)
    if late:
        names = [_name(node) for node, ref in zip(nodes, asked, strict=True) if ref not in done]
        raise FirmError(
            f"every node needs to answer within {ANSWERS_WITHIN_S:.0f} s, found none from "
            f"{', '.join(names)}: look at `ray status`, or take it out of cluster.yaml "
            "and bring the cluster up again"
        )
    return [
        Node(_name(node), python, versions, fingerprint, _clock(witness))
        for node, witness, (python, versions, fingerprint) in zip(
            nodes, witnesses, ray.get(asked), strict=True
        )
    ]


def _clock(witness: Any) -> Clock:
    exchanges = []
    for _ in range(EXCHANGES):
        asked = time.time_ns()
        remote = ray.get(witness.clock.remote())
        exchanges.append((asked, remote, time.time_ns()))
    return Clock.of(exchanges)


def _of(nodes: Sequence[Mapping[str, Any]], node_id: str) -> Mapping[str, Any]:
    return next(node for node in nodes if node["NodeID"] == node_id)


def _name(node: Mapping[str, Any]) -> str:
    return str(node["NodeManagerAddress"])
