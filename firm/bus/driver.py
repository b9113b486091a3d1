"""The loop that drives the firm: gather inputs, run a cycle, commit, hand the orders to the broker."""

from collections.abc import Callable, Sequence

from firm.bus.chain import GENESIS, link
from firm.bus.crew import Crew
from firm.bus.cycle import Cycle, Rules
from firm.bus.gateway import BrokerGateway, CommandBatch, OperatorGateway, Page
from firm.bus.log import Log
from firm.bus.recorded import Input, cycle_starts, recorded_batch
from firm.domain.session import NS_PER_SECOND
from firm.events import INPUT_AUTHORS, Event, Origin, Record, encode
from firm.events.external import ExternalEvent
from firm.events.market import MarketData, Ticks
from firm.events.record import EventStore
from firm.events.scheduled import SessionsLoaded
from firm.events.system import RunStarted, ShutdownRequested

END_OF_DATA = "end of data"


def run_name(first: Record) -> str:
    """The run's name in every order: the first eight hex digits of its first entry's hash."""
    return link(GENESIS, first)[:4].hex()


class Driver:
    """Owns the order of things in time. Has no clock: time is what the broker gateway reports."""

    def __init__(
        self,
        rules: Rules,
        crew: Crew,
        store: EventStore,
        broker: BrokerGateway,
        operator: OperatorGateway,
    ) -> None:
        self._crew, self._store, self._broker, self._operator = crew, store, broker, operator
        self.cycle = Cycle(rules, crew, store)
        self._commands: tuple[Record, ...] = ()
        self._page = Page(0, 0, (), done=False)
        self.finished = False

    def start(self, started: RunStarted, sessions: Callable[[], SessionsLoaded]) -> None:
        """Begin a new log, or live the last cycle of the present one again and go on from there.

        `sessions` is asked once, at the very first start, after the broker gateway has been opened.
        """
        if self._store.last_seq == 0:
            self._store.commit([Record(1, 0, Origin.INPUT, "bus", 0, 0, started.KIND, encode(started))])
        memory = self._store.read()
        self._resume(memory)
        # What resuming has just said is sent with the first turn; the gateway asks after what came before.
        self._page = self._broker.open(memory, run_name(memory[0]))
        if not self.finished:
            self._digest([] if self.cycle.schedule.sessions.opens else [sessions()])

    def _resume(self, memory: Sequence[Record]) -> None:
        opened = cycle_starts(memory)
        last = opened[-1] if opened else len(memory)
        self.cycle.rebuild(memory[:last])
        if opened:
            batch, at = recorded_batch(memory[last:])
            commands = self.cycle.run(Log(self._store, memory[last:]), batch, at)
            self._commands = tuple(commands)
            # An operator's shutdown ends a session, and a restart trades on; data that have ended stay so.
            self.finished = any(item.event == ShutdownRequested(END_OF_DATA) for item in batch)

    def step(self) -> bool:
        """One turn of the loop; False once the firm has shut down."""
        if self.finished:
            return False
        until = self.cycle.schedule.next_at()
        batch = CommandBatch(self._page.number + 1, self._commands)
        self._commands = ()
        self._page = self._broker.turn(self._page.number, batch, until)
        self._digest([])
        return not self.finished

    def close(self) -> None:
        """Send what the last cycle still said (a halt in it means cancels), and end the broker's session.

        The store belongs to the caller.
        """
        if self.finished and self._commands:
            batch = CommandBatch(self._page.number + 1, self._commands)
            self._page = self._broker.turn(self._page.number, batch, self.cycle.at + NS_PER_SECOND)
            if self._page.inputs:
                self._live(self._page.inputs)
        self._broker.close()

    def _digest(self, first: list[Event]) -> None:
        """Live a cycle with what the page and the operator bring; none if there is nothing."""
        for name, value in self._page.measured:
            self._store.operation(name, value)
        inputs = [*first, *self._ordered(list(self._page.inputs))]
        if self._page.done and not inputs and self._nothing_awaited():
            inputs = [ShutdownRequested(END_OF_DATA)]
        if any(isinstance(event, ShutdownRequested) for event in inputs):
            inputs = [*self._broker.reconcile(), *inputs]
        if inputs:
            self._live(inputs)

    def _nothing_awaited(self) -> bool:
        """Whether no tick is due before the close of the last session that had data."""
        awaited, close = self.cycle.schedule.next_at(), self.cycle.schedule.sessions.close_of(self._page.at)
        return awaited is None or close is None or awaited > close

    def _ordered(self, reports: list[Event]) -> list[Event]:
        """A batch in its fixed order: operator, broker reports, scheduled, external, market."""
        wishes = self._operator.take(self.cycle.halt.reason)
        market = [event for event in reports if isinstance(event, MarketData | Ticks)]
        broker = [event for event in reports if not isinstance(event, MarketData | Ticks)]
        external = [event for event in wishes if isinstance(event, ExternalEvent)]
        operator = [event for event in wishes if not isinstance(event, ExternalEvent)]
        scheduled = self.cycle.schedule.due(max(self._page.at, self.cycle.at))
        return [*self._crew.late(), *operator, *broker, *scheduled, *external, *market]

    def _live(self, events: Sequence[Event]) -> None:
        batch = [Input(INPUT_AUTHORS[type(event)], event) for event in events]
        at = max(self._page.at, self.cycle.at)
        log = Log(self._store, next_seq=self._store.last_seq + 1)
        self._commands += tuple(self.cycle.run(log, batch, at))
        self._operator.done(self.cycle.halt.reason)
        self.finished = any(isinstance(event, ShutdownRequested) for event in events)
