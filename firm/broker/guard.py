"""Why an order may not be sent now: the gate, the circuit, the data, the contract. Pure."""

from collections.abc import Iterable, Sequence

from firm.broker.calendar import SessionCalendar
from firm.broker.circuit_breaker import CircuitBreaker
from firm.broker.exposure import reduces
from firm.broker.gate import Signal
from firm.broker.ib_session import IbSession
from firm.broker.liveness import Liveness
from firm.broker.quotes import QuoteBoard
from firm.config import Broker
from firm.domain.instrument import Instrument
from firm.domain.session import Sessions
from firm.events import Event
from firm.events.orders import Child

RESTART_PAST = "the time of the restart is over"


class Guard:
    """Watches the session and the quotes; all times are log times in ns UTC."""

    def __init__(
        self, settings: Broker, session: IbSession, instruments: Sequence[Instrument], sessions: Sessions
    ) -> None:
        self.liveness = Liveness(instruments, settings.data_stale_ms, sessions)
        self.breaker = CircuitBreaker(settings.circuit)
        self._calendar = SessionCalendar(settings)
        self.sessions = sessions
        self._session = session
        self._impaired: str | None = None
        self._restart: str | None = None

    def hear(self, events: Iterable[Event], at: int) -> list[Event]:
        """The events, each followed by what the breaker makes of it."""
        return [said for event in events for said in (event, *self.breaker.hear(event, at))]

    def look(self, at: int, board: QuoteBoard) -> list[Event]:
        """What time and the quotes have changed. The session is told what must be asked for again."""
        events = self.breaker.look(at)
        events += self.liveness.heard(*board.signs(), at)
        stale, again = self.liveness.look(at)
        events += stale + self._calendar.login_due(at)
        if again:
            self._session.wanted.resubscribe()
        return events + self._impairment() + self._restarts(at)

    def objection(self, child: Child, at: int) -> str | None:
        """Why this order may not be sent; None if it may."""
        link = self._session.link
        if link.frozen is not None:
            return f"not sent, the broker cannot be reached: {link.frozen}"
        if not link.gate.orders:
            return f"not sent, the gate is {link.gate.state}: {link.gate.reason}"
        if reason := self.breaker.objection(at):
            return f"not sent, {reason}"
        if reduces(self._session, child):
            return None
        dull = self.liveness.objection(child.instrument)
        changed = self._session.books.contracts.objection(child.instrument)
        return f"not sent, {dull or changed}" if dull or changed else None

    def _impairment(self) -> list[Event]:
        impaired = self._session.link.farms or self.liveness.impaired
        before, self._impaired = self._impaired, impaired
        if impaired == before:
            return []
        gate = self._session.link.gate
        if impaired is None:
            return gate.hear(Signal.DATA_WELL, "all market data are live")
        return gate.hear(Signal.DATA_IMPAIRED, f"market data {impaired}")

    def _restarts(self, at: int) -> list[Event]:
        near = self._calendar.restart_near(at)
        before, self._restart = self._restart, near
        if near == before:
            return []
        gate = self._session.link.gate
        if near is not None:
            return gate.hear(Signal.RESTART_NEAR, near)
        events = gate.hear(Signal.RESTART_PAST, RESTART_PAST)
        self._session.wanted.query(RESTART_PAST)
        return events
