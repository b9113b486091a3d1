"""What the real firm calls and commits in one decision, counted: the bare hops must make the same."""

import secrets
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import ray

from firm.actors import risk_tasks
from firm.actors.crew import RayCrew
from firm.actors.host import Host
from firm.actors.signal_seat import SignalSeat
from firm.bus.driver import Driver
from firm.bus.schedule import decision_times
from firm.config import Settings
from firm.domain.instrument import Instrument
from firm.events import CODEC, Record
from firm.events.orders import OrderSubmitted
from firm.events.risk import RiskRunRequested
from firm.events.scheduled import SessionsLoaded
from firm.events.system import CycleKind, CycleOpened, InstrumentsResolved, RunStarted
from firm.local import NoOperator
from firm.local_broker import LocalBroker
from firm.risk_kernels.fingerprint import array_fingerprint, numeric_fingerprint
from firm.roster import agent_names, rules
from firm.store.keys import Keys
from firm.store.sqlite import SqliteStore
from firm.tape.load import load_tape

Counts = Counter[str]


def counted(call: Callable[..., Any], what: str, counts: Counts) -> Callable[..., Any]:
    """The same call, counted."""

    def counting(*arguments: Any, **options: Any) -> Any:
        counts[what] += 1
        return call(*arguments, **options)

    return counting


class CountedActor:
    """An actor handle whose calls are counted."""

    def __init__(self, actor: Any, what: str, counts: Counts) -> None:
        self._actor, self._what, self._counts = actor, what, counts

    def __getattr__(self, method: str) -> Any:
        return SimpleNamespace(remote=counted(getattr(self._actor, method).remote, self._what, self._counts))


class CountedTask:
    """A Ray task whose calls are counted, wherever it is placed."""

    def __init__(self, task: Any, counts: Counts) -> None:
        self._task, self._counts = task, counts
        self.remote = counted(task.remote, "risk tasks", counts)

    def options(self, **chosen: Any) -> "CountedTask":
        """The same task, with these options."""
        return CountedTask(self._task.options(**chosen), self._counts)


def groups(settings: Settings) -> list[list[str]]:
    """Which agents share an actor."""
    return [list(agent_names())] if settings.cluster.co_seated else [[name] for name in agent_names()]


def firm_counts(
    settings: Settings, data: Path, within: Path
) -> tuple[Counts, RiskRunRequested, tuple[Instrument, ...]]:
    """The real firm's bus on this Ray for two days: what a decision with orders calls and commits.

    Returns the counts that most such decisions have (the shared window is put anew now and then), and the
    last risk request, and the universe it is about.
    """
    counts: Counts = Counter()
    content = settings.model_dump_json()
    host, seat = (ray.remote(cls).options(num_cpus=0) for cls in (Host, SignalSeat))
    hosts: dict[str, Any] = {}
    for names in groups(settings):
        hosts |= dict.fromkeys(names, CountedActor(host.remote(names, content), "host calls", counts))
    seats = [
        CountedActor(seat.remote(content, array_fingerprint()), "seat calls", counts)
        for _ in range(settings.cluster.signal_replicas)
    ]
    tape = load_tape(data, 2)
    store = SqliteStore.open(within, Keys.from_bytes(secrets.token_bytes(32), secrets.token_bytes(32)))
    broker = LocalBroker(tape, settings)
    shard, stress = (
        CountedTask(each, counts) for each in (risk_tasks.measure_shard, risk_tasks.measure_and_stress)
    )
    seen: list[tuple[tuple[str, int], ...]] = []
    with (
        mock.patch.object(risk_tasks, "measure_shard", shard),
        mock.patch.object(risk_tasks, "measure_and_stress", stress),
        mock.patch.object(ray, "put", counted(ray.put, "puts", counts)),
        mock.patch.object(store, "commit", counted(store.commit, "commits", counts)),
        mock.patch.object(broker, "turn", counted(broker.turn, "broker turns", counts)),
    ):
        crew = RayCrew(hosts, seats, settings, settings.cluster.num_cpus, numeric_fingerprint())
        driver = Driver(rules(settings), crew, store, broker, NoOperator())
        sessions = SessionsLoaded(tape.sessions, decision_times(tape.sessions, settings.schedule.decide))
        driver.start(RunStarted(1, "benchmark", settings.logged(), "", tape.label), lambda: sessions)
        while True:
            counts.clear()
            since = store.last_seq
            if not driver.step():
                break
            if _decided_orders(store.read(since=since)):
                seen.append(tuple(sorted(counts.items())))
    (asked,) = store.read(kinds={RiskRunRequested.KIND})[-1:]
    (universe,) = store.read(kinds={InstrumentsResolved.KIND})[-1:]
    store.close()
    for actor in {id(a): a for a in (*hosts.values(), *seats)}.values():
        ray.kill(actor._actor, no_restart=True)  # noqa: SLF001 - the handle it counts for
    request = CODEC.event(asked)
    resolved = CODEC.event(universe)
    assert isinstance(request, RiskRunRequested)
    assert isinstance(resolved, InstrumentsResolved)
    return Counter(dict(statistics.mode(seen))), request, resolved.instruments


def _decided_orders(records: Sequence[Record]) -> bool:
    events = [CODEC.event(record) for record in records]
    deciding = any(isinstance(e, CycleOpened) and e.kind is CycleKind.DECISION for e in events)
    return deciding and any(isinstance(e, OrderSubmitted) for e in events)
