"""Ray itself: an embedded one, or the running cluster."""

import os
from pathlib import Path
from typing import Literal, get_args

import ray

from firm.actors.access import require_closed, turn_on_token
from firm.config import Cluster
from firm.errors import FirmError
from firm.numeric_env import numeric_environment

Role = Literal["gateway", "signals", "risk"]
"""What a node of a cluster is for: a custom resource of that name, see deploy/env.sh."""

ROLES: tuple[Role, ...] = get_args(Role)

ROLE_SHARE = 0.001
"""Of a role, for each actor or task: a node offers 1 of it, so there is room for all, and only there."""

KEEP_IDLE_WORKERS_MS = 24 * 3600 * 1000
"""Workers between two risk runs are kept: a fresh one would compile its kernels first. See deploy/env.sh."""

WORKER_NICENESS = 0
"""Ray's own default is 15: whatever else runs on the machine would come before the firm."""

TASKS_REMEMBERED = 10_000
"""Calls whose story Ray keeps for its dashboard. Its own default, 100,000, is some 200 MB after a day."""

WORKERS_START_WITHIN_S = 600
"""Ray's own 60 s would end, on a busy machine, what is nearly up, and begin it again without end."""


def connect(cluster: Cluster) -> str:
    """Start an embedded Ray, or join the running one; the dashboard's address, or nothing.

    FirmError if there is no cluster, no token for it, or if it lets in who has none.
    """
    turn_on_token(os.environ, Path.home(), make=cluster.address is None)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    environment = {"env_vars": numeric_environment()}
    if cluster.address is not None:
        try:
            context = ray.init(
                address=cluster.address,
                namespace=cluster.namespace,
                runtime_env=environment,
                log_to_driver=False,
                logging_level="ERROR",
            )
        except (ConnectionError, ray.exceptions.AuthenticationError) as error:
            raise FirmError(
                f"a Ray cluster that takes our token was needed at {cluster.address!r}, found none: {error}. "
                "Start one with `firm cluster up`. If one runs, it has another token: take the one in "
                "~/.ray/auth_token of another node, or give all a new one with firm cluster down and up. "
                "Without --address the firm runs an embedded Ray"
            ) from error
        require_closed(ray.get_runtime_context().gcs_address)
    else:
        context = ray.init(
            address="local",  # never one that RAY_ADDRESS or a `ray start` on this machine offers
            num_cpus=cluster.num_cpus,
            namespace=cluster.namespace,
            object_store_memory=cluster.object_store_mb * 1024 * 1024,
            include_dashboard=cluster.dashboard,
            dashboard_host="127.0.0.1",
            log_to_driver=False,
            logging_level="ERROR",
            _system_config={
                "idle_worker_killing_time_threshold_ms": KEEP_IDLE_WORKERS_MS,
                "worker_niceness": WORKER_NICENESS,
                "task_events_max_num_task_in_gcs": TASKS_REMEMBERED,
                "worker_register_timeout_seconds": WORKERS_START_WITHIN_S,
            },
        )
    return str(context.dashboard_url or "")


def place(role: Role) -> dict[str, float]:
    """The resources that put an actor or task on the nodes with a role; none where no node has any role.

    The same for the whole life of a firm: its core has a role too, or no node has.
    """
    offered = ray.cluster_resources()
    return {role: ROLE_SHARE} if any(each in offered for each in ROLES) else {}


def risk_workers(cluster: Cluster) -> int:
    """How many tasks a risk run has: one for each CPU of the nodes that are for it, and `num_cpus` at least.

    Those that find no CPU wait, which is what a cloud's autoscaler starts nodes for.
    """
    if cluster.address is None:
        return cluster.num_cpus
    offered = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    needed = place("risk").keys()
    for_risk = [each for each in offered if needed <= each.keys()]
    return max(cluster.num_cpus, int(sum(each.get("CPU", 0.0) for each in for_risk)))


def disconnect() -> None:
    """Leave the cluster; an embedded Ray ends with it."""
    ray.shutdown()
