"""The recorded inputs of one run give the same log on Ray, however many seats, and whoever is killed."""

import os
import signal
from functools import cache
from typing import Any

import pytest
import ray
import whole_firm

from firm.actors.crew import RayCrew
from firm.actors.replay import replay_actors, replay_on_ray
from firm.bus.replay import replay
from firm.local import LocalCrew
from firm.risk_kernels.fingerprint import numeric_fingerprint
from firm.roster import agent_names, rules
from firm.store.memory import MemoryStore

pytestmark = [pytest.mark.ray, pytest.mark.process, pytest.mark.usefixtures("ray_cluster")]

CONFIG = whole_firm.settings("risk.var.scenarios=19200")
DAYS = 8


@cache
def recorded() -> MemoryStore:
    """A run of a few days in the local runner."""
    return whole_firm.run(CONFIG, whole_firm.sample(DAYS))


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_local_run_replays_on_ray_to_the_same_head(replicas):
    replayed = replay_on_ray(recorded(), CONFIG, replicas)

    assert replayed.head == recorded().head
    assert replayed.recomputed == replayed.recorded
    assert set(agent_names()) | {"momentum", "stat_arb", "risk_run"} <= set(replayed.recorded)


def test_the_local_runner_replays_to_the_same_head():
    replayed = replay(recorded(), rules(CONFIG), LocalCrew(CONFIG))

    assert replayed.head == recorded().head
    assert replayed.entries == recorded().last_seq


class Assassin:
    """An actor whose process is killed once, on its third call, while that call is in flight.

    The process is stopped before the call is made and killed after: the call cannot have been answered.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._calls = 0
        self.pid = ray.get(actor.pid.remote())

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._actor, name)
        return KillingMethod(self, method) if name in {"hear", "answer"} else method

    def call(self, method: Any, *arguments: Any) -> Any:
        """Make the call; if it is the third, its process does not survive it."""
        self._calls += 1
        if self._calls != 3:
            return method.remote(*arguments)
        os.kill(self.pid, signal.SIGSTOP)
        ref = method.remote(*arguments)
        os.kill(self.pid, signal.SIGKILL)
        return ref

    def new_pid(self) -> int:
        """The process that answers now."""
        return int(ray.get(self._actor.pid.remote()))


class KillingMethod:
    """A method of an actor that may kill it."""

    def __init__(self, assassin: Assassin, method: Any) -> None:
        self._assassin, self._method = assassin, method

    def remote(self, *arguments: Any) -> Any:
        """As of a Ray method."""
        return self._assassin.call(self._method, *arguments)


def test_every_actor_killed_once_in_mid_call_changes_nothing():
    with replay_actors(CONFIG, 2) as (hosts, seats):
        chain = {name: Assassin(host) for name, host in hosts.items()}
        signals = [Assassin(seat) for seat in seats]
        crew = RayCrew(chain, signals, CONFIG, 2, numeric_fingerprint())

        replayed = replay(recorded(), rules(CONFIG), crew)

        assert replayed.head == recorded().head
        for victim in (*chain.values(), *signals):
            assert victim.new_pid() != victim.pid
