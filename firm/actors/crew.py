"""The crew on Ray: the chain passed by refs from actor to actor, deaths healed from the log."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import ray

from firm.actors.host import decode_relay, encode
from firm.actors.lost import LOST
from firm.actors.risk_tasks import RiskRun
from firm.actors.signal_crew import RETRY_S, SignalCrew
from firm.agents.risk import Risk
from firm.bus.crew import FanOut, Memory, RiskAsk, SignalAsk
from firm.bus.relay import Relay, Stage
from firm.config import Settings
from firm.errors import AgentStale, FirmError
from firm.events import Record
from firm.events.risk import RiskRunCompleted, RiskRunFailed
from firm.events.signals import LateAnswer

HEAL_WITHIN_S = 120.0
RISK = Risk.name


class RayCrew:
    """Runs agents in their actors. `hosts` maps each agent's name to its actor; several may share one."""

    def __init__(
        self,
        hosts: Mapping[str, Any],
        seats: Sequence[Any],
        settings: Settings,
        risk_shards: int,
        fingerprint: str,
        note: Callable[[str, object], None] = lambda _name, _value: None,
    ) -> None:
        """`fingerprint`: the run's; a risk task on a worker with another one fails.

        `note` takes down, by name, what is no part of the log: a loss, and which process an agent is in.
        """
        self._hosts, self._settings = hosts, settings
        self._signals = SignalCrew(seats)
        self._risk_shards, self._fingerprint, self._note = risk_shards, fingerprint, note

    def relay(self, stages: Sequence[Stage], relay: Relay, memory: Memory) -> Relay:
        """See Crew. The bus waits once, for the end of the chain; each actor gets the one before by ref."""
        deadline = time.monotonic() + HEAL_WITHIN_S
        while True:
            try:
                said = decode_relay(ray.get(self._chain(stages, relay)))
            except (*LOST, AgentStale) as error:
                if time.monotonic() > deadline:
                    raise FirmError(
                        f"agents {[stage.name for stage in stages]} did not come back within "
                        f"{HEAL_WITHIN_S:.0f} s ({error}); look at their logs in the Ray dashboard"
                    ) from error
                self._note("lost", f"{[stage.name for stage in stages]}: {type(error).__name__}")
                for stage in stages:
                    self._heal(stage.name, list(memory(stage.name)), deadline)
            else:
                return said

    def _chain(self, stages: Sequence[Stage], relay: Relay) -> Any:
        passed: Any = encode(relay)
        for _, seated in groupby(stages, key=lambda stage: self._hosts[stage.name]):
            together = tuple(seated)
            passed = self._hosts[together[0].name].hear.remote(encode(together), passed)
        return passed

    def _heal(self, name: str, records: Sequence[Record], deadline: float) -> None:
        while True:
            try:
                pid = ray.get(self._hosts[name].recover.remote(name, records))
            except LOST:
                if time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_S)
            else:
                self._note("seated", {"agent": name, "pid": pid})
                return

    def recover(self, name: str, records: Iterable[Record]) -> None:
        """See Crew."""
        self._heal(name, list(records), time.monotonic() + HEAL_WITHIN_S)

    def begin(self, signals: SignalAsk) -> None:
        """See Crew. The signal agents think while bookkeeper and risk hear."""
        self._signals.ask(signals)

    def fan_out(self, signals: SignalAsk, risk: RiskAsk | None) -> FanOut:
        """See Crew. The risk tasks run while the signal agents think."""
        if risk is None:
            return FanOut(self._signals.answers(signals), None)
        try:
            run = RiskRun(risk, self._settings, self._risk_shards, self._fingerprint)
        except ray.exceptions.RayError as error:
            failed = RiskRunFailed(risk.record.seq, f"could not be started: {type(error).__name__}: {error}")
            return FanOut(self._signals.answers(signals), failed)
        answers = self._signals.answers(signals)
        outcome = run.collect()
        if isinstance(outcome, RiskRunCompleted):
            self._hosts[RISK].keep.remote(run.request, list(run.cube))
        return FanOut(answers, outcome)

    def late(self) -> list[LateAnswer]:
        """See Crew."""
        return self._signals.late()
