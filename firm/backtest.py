"""A backtest: the same agents and the same cycles in one thread, against the matching core in process."""

from collections.abc import Callable
from pathlib import Path

from firm import __version__
from firm.bus.driver import Driver
from firm.bus.gateway import BrokerGateway
from firm.bus.schedule import decision_times
from firm.config import Settings
from firm.events.record import EventStore
from firm.events.scheduled import SessionsLoaded
from firm.events.system import RunStarted
from firm.local import LocalCrew, NoOperator
from firm.local_broker import LocalBroker
from firm.risk_kernels.fingerprint import numeric_fingerprint
from firm.roster import rules
from firm.tape.load import load_tape
from firm.tape.tape import Tape

SCHEMA = 1
"""Version of the log's layout; see CHANGELOG.md."""


def backtest(
    settings: Settings,
    store: EventStore,
    data: Path | None,
    days: int | None,
    progress: Callable[[int], None],
    broker: Callable[[Tape, Settings], BrokerGateway] = LocalBroker,
) -> None:
    """Play the data (None: the packaged sample) to its end into `store`; `progress` hears the log time."""
    tape = load_tape(data, days)
    driver = Driver(rules(settings), LocalCrew(settings), store, broker(tape, settings), NoOperator())
    decisions = decision_times(tape.sessions, settings.schedule.decide)
    started = RunStarted(SCHEMA, __version__, settings.logged(), numeric_fingerprint(), tape.label)
    driver.start(started, lambda: SessionsLoaded(tape.sessions, decisions))
    while driver.step():
        progress(driver.cycle.at)
    driver.close()
