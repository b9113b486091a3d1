"""The event bus as an actor: it drives the firm, and is the only writer of the log."""

import os
import secrets
import time
from collections.abc import Sequence
from typing import Any

import ray

from firm.actors.cluster import risk_workers
from firm.actors.crew import HEAL_WITHIN_S, RayCrew
from firm.actors.lost import LOST
from firm.actors.plan import RunPlan
from firm.actors.risk_tasks import warm_workers
from firm.actors.signal_crew import RETRY_S
from firm.agents.risk import Risk
from firm.bus.driver import Driver
from firm.bus.gateway import CommandBatch, Page
from firm.errors import AgentStale, GatewayClosed, GatewayError, GatewayUnavailable, StoreLocked
from firm.events import Event, Record
from firm.events.record import EventStore
from firm.ops.mailbox import Mailbox
from firm.roster import agent_names, rules
from firm.standby.link import Leader, Link
from firm.standby.replicated import STATUS, ReplicatedStore
from firm.standby.wire import Claim
from firm.store.keys import Keys, token_of
from firm.store.sqlite import SqliteStore

REOPEN_WITHIN_S, REOPEN_EVERY_S = 1800.0, 5.0
"""How long a gateway may be away while the broker actor has just died: IB's nightly restart takes minutes."""


class RayBroker:
    """The broker actor as a BrokerGateway. A dead one comes back, reconciles against the log, and reports."""

    def __init__(self, actor: Any, store: EventStore, claim: Claim) -> None:
        """`claim`: as whom this bus leads."""
        self._actor, self._store, self._claim = actor, store, claim
        self._run = ""

    def open(self, memory: Sequence[Record], run: str) -> Page:
        """See BrokerGateway."""
        self._run = run
        page: Page = self._retry(lambda: self._actor.open.remote(memory, run, self._claim))
        return page

    def turn(self, acked: int, batch: CommandBatch, until: int | None) -> Page:
        """See BrokerGateway. What a dead actor had not sent is found by reconciling, never sent blindly."""
        try:
            page: Page = ray.get(self._actor.turn.remote(acked, batch, until))
        except (*LOST, AgentStale) as error:
            self._store.operation("lost", f"broker: {type(error).__name__}")
            return self._reopen()
        return page

    def reconcile(self) -> tuple[Event, ...]:
        """See BrokerGateway."""
        try:
            found: tuple[Event, ...] = ray.get(self._actor.reconcile.remote())
        except (*LOST, AgentStale) as error:
            self._store.operation("lost", f"broker: {type(error).__name__}")
            return self._reopen().inputs
        return found

    def _reopen(self) -> Page:
        """A new session from the log; a gateway that is away just then is waited for."""
        deadline = time.monotonic() + REOPEN_WITHIN_S
        while True:
            try:
                return self.open(self._store.read(), self._run)
            except (GatewayUnavailable, GatewayClosed):
                if time.monotonic() > deadline:
                    raise
                time.sleep(REOPEN_EVERY_S)

    def close(self) -> None:
        """See BrokerGateway."""
        self._retry(self._actor.close.remote)

    def _retry(self, call: Any) -> Any:
        deadline = time.monotonic() + HEAL_WITHIN_S
        while True:
            try:
                return ray.get(call())
            except LOST as error:
                if time.monotonic() > deadline:
                    raise GatewayError(
                        f"the broker actor did not come back within {HEAL_WITHIN_S:.0f} s; look at its log "
                        "in the Ray dashboard"
                    ) from error
                time.sleep(RETRY_S)


class EventBus:
    """Runs the firm from start to shutdown. After a death it is asked again, and resumes from the store."""

    def warm(self, plan: RunPlan) -> None:
        """Compile the risk kernels on the workers: on ours, since Ray gives each detached actor its own.

        And those of the Risk agent in its own actor, meanwhile.
        """
        cluster = plan.config().cluster
        risk = ray.get_actor(seat_name(Risk.name, plan), cluster.namespace).warm.remote()
        warm_workers(risk_workers(cluster), plan.started.fingerprint)
        ray.get(risk)

    def __init__(self) -> None:
        self._ended_at: int | None = None

    def run(self, plan: RunPlan) -> int:
        """Drive the firm until it shuts down; the last seq of the log. Resumes where the log ends.

        A second call after the end (of a supervisor that lost the first one's answer) changes nothing.
        """
        if self._ended_at is None:
            self._ended_at = self._drive(plan)
        return self._ended_at

    def _drive(self, plan: RunPlan) -> int:
        settings = plan.config()
        store, claim = _lead(plan)
        namespace = settings.cluster.namespace
        hosts = {name: ray.get_actor(seat_name(name, plan), namespace) for name in agent_names()}
        seats = [ray.get_actor(f"signals-{i}", namespace) for i in range(settings.cluster.signal_replicas)]
        shards, fingerprint = risk_workers(settings.cluster), plan.started.fingerprint
        crew = RayCrew(hosts, seats, settings, shards, fingerprint, store.operation)
        broker = RayBroker(ray.get_actor("broker", namespace), store, claim)
        driver = Driver(rules(settings), crew, store, broker, Mailbox(plan.directory))
        try:
            driver.start(plan.started, lambda: plan.sessions)
            store.operation("started", {"epoch": store.epoch, "pid": os.getpid()})
            running = True
            while running:
                before, began = driver.cycle.number, time.perf_counter()
                running = driver.step()
                if driver.cycle.number != before:
                    store.operation("cycle_ms", round((time.perf_counter() - began) * 1000, 3))
            driver.close()
            return store.last_seq
        finally:
            store.close()

    def pid(self) -> int:
        """The process, for operators and for tests that kill it."""
        return os.getpid()


def seat_name(agent: str, plan: RunPlan) -> str:
    """The name of the actor that hosts a state agent."""
    return "desk" if plan.config().cluster.co_seated else agent


def _lead(plan: RunPlan) -> tuple[SqliteStore | ReplicatedStore, Claim]:
    """The store, opened to write, and the claim with which this opening of it leads."""
    keys, standby = Keys.load(), plan.config().standby
    store = _open_when_free(plan, keys)
    claim = Claim(store.log, store.epoch, secrets.token_hex(8))
    if standby.mode == "local" or standby.address is None:
        return store, claim
    try:
        host, _, port = standby.address.rpartition(":")
        leader = Leader((host, int(port)), token_of("standby", create=False), standby.timeout_ms / 1000)
        link = Link(plan.directory, keys, claim, leader)
        return ReplicatedStore(store, link, standby.mode, plan.directory / STATUS), claim
    except BaseException:
        store.close()
        raise


def _open_when_free(plan: RunPlan, keys: Keys) -> SqliteStore:
    """Open the store; a writer that is just dying is waited for, a living one is an error."""
    deadline = time.monotonic() + 30.0
    while True:
        try:
            return SqliteStore.open(plan.directory, keys)
        except StoreLocked:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
