"""Kill the firm between every two steps of its cycles: the log must come out the same."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
import whole_firm

from firm.bus.crew import FanOut, Memory, RiskAsk, SignalAsk
from firm.bus.gateway import CommandBatch, Page
from firm.bus.relay import Relay, Stage
from firm.events import Event, Record
from firm.events.orders import OrderFilled
from firm.events.signals import LateAnswer
from firm.local import LocalCrew
from firm.local_broker import LocalBroker
from firm.store.memory import MemoryStore


class Crash(BaseException):
    """The process is gone."""


class Fuse:
    """Counts the steps of the firm, and blows once at step `at`."""

    def __init__(self, at: int = -1) -> None:
        self.steps, self._at = 0, at

    def step(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """One step, with a crash point before and after it."""
        self._point()
        outcome = call(*arguments)
        self._point()
        return outcome

    def _point(self) -> None:
        self.steps += 1
        if self.steps == self._at:
            raise Crash


class FusedStore(MemoryStore):
    """A store that may take the firm down before or after a commit."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self.fuse = fuse

    def commit(self, records: Sequence[Record]) -> bytes:
        return self.fuse.step(super().commit, records)


class FusedCrew:
    """A crew that may take the firm down before or after any call."""

    def __init__(self, crew: LocalCrew, fuse: Fuse) -> None:
        self._crew, self._fuse = crew, fuse

    def relay(self, stages: Sequence[Stage], relay: Relay, memory: Memory) -> Relay:
        return self._fuse.step(self._crew.relay, stages, relay, memory)

    def recover(self, name: str, records: Iterable[Record]) -> None:
        self._crew.recover(name, records)

    def begin(self, signals: SignalAsk) -> None:
        self._fuse.step(self._crew.begin, signals)

    def fan_out(self, signals: SignalAsk, risk: RiskAsk | None) -> FanOut:
        return self._fuse.step(self._crew.fan_out, signals, risk)

    def late(self) -> list[LateAnswer]:
        return self._crew.late()


class FusedBroker:
    """A broker that survives, while the firm may die before or after any call to it."""

    def __init__(self, broker: LocalBroker, fuse: Fuse) -> None:
        self._broker, self._fuse = broker, fuse

    def open(self, memory: Sequence[Record], run: str) -> Page:
        return self._broker.open(memory, run)

    def turn(self, acked: int, batch: CommandBatch, until: int | None) -> Page:
        return self._fuse.step(self._broker.turn, acked, batch, until)

    def reconcile(self) -> tuple[Event, ...]:
        return self._broker.reconcile()

    def close(self) -> None:
        self._broker.close()


CONFIG = whole_firm.settings(*whole_firm.QUICK, "execution.twap_slices=2")
TAPE = whole_firm.sample(2)


def live(fuse: Fuse, *, agents_survive: bool) -> MemoryStore:
    """Run to the end of the data; after the crash, once more from the store."""
    store, broker, crew = FusedStore(fuse), LocalBroker(TAPE, CONFIG), LocalCrew(CONFIG)
    for _ in range(2):
        try:
            firm = whole_firm.driver(
                CONFIG,
                TAPE,
                store=store,
                crew=FusedCrew(crew, fuse),
                broker=FusedBroker(broker, fuse),
            )
            while firm.step():
                pass
            break
        except Crash:
            if not agents_survive:
                crew = LocalCrew(CONFIG)
    return store


@pytest.mark.parametrize("agents_survive", [False, True], ids=["all die", "only the bus dies"])
def test_a_firm_killed_between_any_two_steps_writes_the_same_log(agents_survive):
    unharmed = Fuse()
    expected = live(unharmed, agents_survive=False)
    assert len(whole_firm.events(expected, OrderFilled)) > 0
    assert unharmed.steps > 100

    for at in range(1, unharmed.steps + 1):
        harmed = live(Fuse(at), agents_survive=agents_survive)

        assert harmed.head == expected.head, f"crash point {at} of {unharmed.steps} changed the log"
