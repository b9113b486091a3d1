"""The whole firm in one thread, for tests: real agents, the real matching core, any tape."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from firm.bus.crew import Crew
from firm.bus.driver import Driver
from firm.bus.gateway import BrokerGateway, OperatorGateway
from firm.bus.schedule import decision_times
from firm.config import Settings, load_settings
from firm.events import CODEC, Event
from firm.events.record import EventStore
from firm.events.scheduled import SessionsLoaded
from firm.events.system import RunStarted
from firm.local import LocalCrew, NoOperator
from firm.local_broker import LocalBroker
from firm.roster import rules
from firm.store.memory import MemoryStore
from firm.tape.load import load_tape
from firm.tape.tape import Tape

ROOT = Path(__file__).parent.parent
QUICK = ("risk.var.scenarios=1920", "signals.stat_arb=null", "cio.weights={momentum: 1.0}")
"""Overrides that make a day cost milliseconds: few scenarios, one signal agent."""


def settings(*overrides: str) -> Settings:
    """The paper configuration, changed."""
    return load_settings(ROOT / "config" / "paper.yaml", overrides)


@cache
def sample(days: int) -> Tape:
    """The last days of the packaged sample."""
    return load_tape(None, days)


def started(config: Settings, tape: Tape) -> RunStarted:
    """A first entry that does not depend on the machine."""
    return RunStarted(1, "test", config.logged(), "no fingerprint", tape.label)


def driver(
    config: Settings,
    tape: Tape,
    *,
    store: EventStore | None = None,
    crew: Crew | None = None,
    broker: BrokerGateway | None = None,
    operator: OperatorGateway | None = None,
) -> Driver:
    """A driver that has started (or resumed, if `store` has a log)."""
    made = Driver(
        rules(config),
        crew or LocalCrew(config),
        store or MemoryStore(),
        broker or LocalBroker(tape, config),
        operator or NoOperator(),
    )
    decisions = decision_times(tape.sessions, config.schedule.decide)
    made.start(started(config, tape), lambda: SessionsLoaded(tape.sessions, decisions))
    return made


def run(config: Settings, tape: Tape, operator: OperatorGateway | None = None) -> MemoryStore:
    """A whole run; its log."""
    store = MemoryStore()
    firm = driver(config, tape, store=store, operator=operator)
    while firm.step():
        pass
    firm.close()
    return store


def events(store: EventStore, *classes: type[Event]) -> list[Event]:
    """The log's events of these classes (all, if none are named), in order."""
    kinds = {cls.KIND for cls in classes} or None
    return [CODEC.event(record) for record in store.read(kinds=kinds)]


def day(at: int) -> str:
    """The UTC date of a timestamp."""
    return datetime.fromtimestamp(at / 1e9, UTC).date().isoformat()


class Wishes:
    """An operator who says what it is told to, at the turns it is told."""

    def __init__(self, *script: tuple[int, Event]) -> None:
        self._script: Sequence[tuple[int, Event]] = script
        self._turn = 0

    def take(self, halted: str | None) -> list[Event]:
        """See OperatorGateway."""
        del halted
        self._turn += 1
        return [event for turn, event in self._script if turn == self._turn]

    def done(self, halted: str | None) -> None:
        """See OperatorGateway."""
