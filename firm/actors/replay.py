"""Replay on Ray: the recorded inputs, the agents in actors, every output compared."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray

from firm.actors.crew import RayCrew
from firm.actors.host import Host
from firm.actors.signal_seat import SignalSeat
from firm.bus.replay import Replayed, replay
from firm.config import Settings
from firm.events.record import LogReader
from firm.risk_kernels.fingerprint import array_fingerprint, numeric_fingerprint
from firm.roster import agent_names, rules


@contextmanager
def replay_actors(settings: Settings, replicas: int) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Unnamed actors for a replay: (hosts by agent, signal seats); ended with the block."""
    content = settings.model_dump_json()
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": 0}
    host, seat = ray.remote(Host).options(**options), ray.remote(SignalSeat).options(**options)
    hosts = {name: host.remote([name], content) for name in agent_names()}
    seats = [seat.remote(content, array_fingerprint()) for _ in range(replicas)]
    try:
        yield hosts, seats
    finally:
        for actor in (*hosts.values(), *seats):
            ray.kill(actor, no_restart=True)


def replay_on_ray(
    store: LogReader,
    settings: Settings,
    replicas: int,
    *,
    recompute_risk: bool = True,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Replayed:
    """Replay with the agents on the Ray that this process is connected to."""
    with replay_actors(settings, replicas) as (hosts, seats):
        crew = RayCrew(hosts, seats, settings, settings.cluster.num_cpus, numeric_fingerprint())
        return replay(store, rules(settings, recompute_risk=recompute_risk), crew, progress)
