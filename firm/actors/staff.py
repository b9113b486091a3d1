"""The firm's actors: how every plain class becomes a named actor that comes back after a death."""

from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from firm.actors.broker import Broker
from firm.actors.cluster import place
from firm.actors.event_bus import EventBus, seat_name
from firm.actors.host import Host
from firm.actors.plan import RunPlan
from firm.actors.reader import Reader
from firm.actors.signal_seat import SignalSeat
from firm.risk_kernels.fingerprint import array_fingerprint
from firm.roster import agent_names

PENDING_CALLS_MAX = 100
"""Each caller waits for its answers, so a few calls are under way at most; one that does not is refused."""


def _actor(cls: type, name: str, *args: object) -> Any:
    """A named, detached actor that comes back after a death; adopted if it is there already.

    Signal seats are spread over the nodes with that role, all others are on this node.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {
        "name": name,
        "num_cpus": 0,
        "max_restarts": -1,
        "max_task_retries": 0,
        "lifetime": "detached",
        "get_if_exists": True,
        "max_pending_calls": PENDING_CALLS_MAX,
    }
    if cls is SignalSeat:
        options |= {"resources": place("signals"), "scheduling_strategy": "SPREAD"}
    else:
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
        actors[f"signals-{i}"] = _actor(SignalSeat, f"signals-{i}", plan.settings, array_fingerprint())
    actors["broker"] = _actor(Broker, "broker", plan)
    actors["bus"] = _actor(EventBus, "bus")
    actors["reader"] = _actor(Reader, "reader", plan)
    return actors
