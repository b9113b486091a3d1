"""The whole firm in one thread: the crew for replay and simulation."""

from collections.abc import Iterable, Sequence

from firm.agents.signals.signal_agent import SignalAgent
from firm.bus.barrier import SignalBarrier
from firm.bus.crew import FanOut, Memory, RiskAsk, SignalAsk
from firm.bus.opinion import opinions
from firm.bus.relay import Listener, Relay, Stage
from firm.config import Settings
from firm.errors import FirmError
from firm.events import CODEC, Event, Record
from firm.events.risk import RiskRunCompleted, RiskRunFailed, RiskRunRequested
from firm.events.signals import LateAnswer
from firm.risk.cube import KeptCubes, plan
from firm.risk.run import conclude, kept_blocks, measure, stress_losses
from firm.risk.stress import stress_of
from firm.roster import agent_names, hire, hire_signals


class LocalCrew:
    """Runs every agent in the caller's thread, one after the other; everybody answers in time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cubes = KeptCubes()

        def listener(name: str) -> Listener:
            return Listener(lambda: hire(name, settings, self._cubes))

        self._listeners = {name: listener(name) for name in agent_names()}
        self._signals: dict[str, SignalAgent] = {a.name: a for a in hire_signals(settings)}

    def relay(self, stages: Sequence[Stage], relay: Relay, memory: Memory) -> Relay:
        """See Crew."""
        del memory
        for stage in stages:
            relay = self._listeners[stage.name].hear(stage.inbox, relay)
        return relay

    def recover(self, name: str, records: Iterable[Record]) -> None:
        """See Crew."""
        self._listeners[name].recover(records)

    def begin(self, signals: SignalAsk) -> None:
        """See Crew. In one thread nobody can start meanwhile."""

    def fan_out(self, signals: SignalAsk, risk: RiskAsk | None) -> FanOut:
        """See Crew."""
        barrier = SignalBarrier(signals.expected)
        for name, agent in self._signals.items():
            units = [unit for asked, unit in signals.expected if asked == name]
            for unit, payload in zip(units, opinions(agent, units, signals.window), strict=True):
                if payload is not None:
                    barrier.answer((name, unit), payload)
        return FanOut(barrier.answers(), self.risk_run(risk) if risk is not None else None)

    def risk_run(self, asked: RiskAsk) -> RiskRunCompleted | RiskRunFailed:
        """A whole risk run in this process."""
        request = CODEC.event(asked.record)
        assert isinstance(request, RiskRunRequested)
        shards = plan(request, 1)
        keep = kept_blocks(request, shards, self._settings.risk.cube_bytes_max)
        try:
            stress = stress_losses(request, stress_of(self._settings, asked.instruments))
        except FirmError as error:
            return RiskRunFailed(asked.record.seq, f"{type(error).__name__}: {error}")
        found = [measure(request, shard, kept) for shard, kept in zip(shards, keep, strict=True)]
        columns = [one.columns for one in found if one.columns.shape[1]]
        self._cubes.keep(request, lambda: columns)
        return conclude(
            asked.record.seq,
            request,
            [one.tail for one in found],
            stress,
            lambda i, k: measure(request, shards[i], 0, k).tail,
        )

    def late(self) -> list[LateAnswer]:
        """See Crew."""
        return []


class NoOperator:
    """An OperatorGateway for runs that nobody watches."""

    def take(self, halted: str | None) -> list[Event]:
        """See OperatorGateway."""
        del halted
        return []

    def done(self, halted: str | None) -> None:
        """See OperatorGateway."""
