"""Ray itself: embedded or a running cluster, and how every plain class becomes a named actor."""

import os
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from firm.actors.broker import Broker
from firm.actors.event_bus import EventBus, seat_name
from firm.actors.host import Host
from firm.actors.plan import RunPlan
from firm.actors.reader import Reader
from firm.actors.signal_seat import SignalSeat
from firm.config import Cluster
from firm.errors import FirmError
from firm.numeric_env import numeric_environment
from firm.roster import agent_names


def connect(cluster: Cluster) -> str:
    """Start an embedded Ray, or join the running one; the dashboard's address, or nothing."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled" if cluster.address is None else "token")
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
        except ConnectionError as error:
            raise FirmError(
                f"a Ray cluster was needed at address {cluster.address!r}, found none: {error}. Start one with "
                "`ray up cluster.yaml`, or leave out --address to run an embedded Ray."
            ) from error
    else:
        context = ray.init(
            num_cpus=cluster.num_cpus,
            namespace=cluster.namespace,
            object_store_memory=cluster.object_store_mb * 1024 * 1024,
            include_dashboard=cluster.dashboard,
            dashboard_host="127.0.0.1",
            log_to_driver=False,
            logging_level="ERROR",
        )
    return str(context.dashboard_url or "")


def disconnect() -> None:
    """Leave the cluster; an embedded Ray ends with it."""
    ray.shutdown()


def actor_name(name: str) -> Any:
    """The running actor of that name in the firm's namespace."""
    return ray.get_actor(name)


def _actor(cls: type, name: str, *args: object) -> Any:
    """A named, detached actor on this node that comes back after a death; adopted if it is there already."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {
        "name": name,
        "num_cpus": 0,
        "max_restarts": -1,
        "max_task_retries": 0,
        "lifetime": "detached",
        "get_if_exists": True,
    }
    if cls is not SignalSeat:
        options["scheduling_strategy"] = here
    return ray.remote(cls).options(**options).remote(*args)


def create_actors(plan: RunPlan) -> dict[str, Any]:
    """Every actor of the firm but the supervisor, by name."""
    cluster = plan.config().cluster
    actors: dict[str, Any] = {}
    for name in dict.fromkeys(seat_name(agent, plan) for agent in agent_names()):
        seated = [agent for agent in agent_names() if seat_name(agent, plan) == name]
        actors[name] = _actor(Host, name, seated, plan.settings)
    for i in range(cluster.signal_replicas):
        actors[f"signals-{i}"] = _actor(SignalSeat, f"signals-{i}", plan.settings)
    actors["broker"] = _actor(Broker, "broker", plan)
    actors["bus"] = _actor(EventBus, "bus")
    actors["reader"] = _actor(Reader, "reader", plan)
    return actors
