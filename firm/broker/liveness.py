"""What each instrument's quotes are worth: live, delayed, frozen, stale, missing. Pure.

The state follows from what the gateway says of a subscription (its data type, a refusal) and from the age of
the last live tick, counted in sessions only. New risk needs live quotes; what is not live is subscribed
again, at most once in each span after which it counts as stale.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from firm.domain.instrument import Instrument
from firm.domain.session import NS_PER_MS, Sessions
from firm.events import Event
from firm.events.broker import DataState, DataStateChanged

TYPES: Final = {2: DataState.FROZEN, 3: DataState.DELAYED, 4: DataState.DELAYED}
"""marketDataType; 1 is live, and 4 is delayed and frozen."""


class Liveness:
    """One state for each instrument of the run; times are log times in ns UTC."""

    def __init__(self, instruments: Sequence[Instrument], stale_ms: int, sessions: Sessions) -> None:
        self._symbols = [i.symbol for i in instruments]
        self._stale_ns, self._stale_ms = stale_ms * NS_PER_MS, stale_ms
        self._sessions = sessions
        self.states = [DataState.AWAITED for _ in instruments]
        self._seen_at = [0] * len(instruments)
        self._asked_at = 0

    def subscribed(self, at: int) -> None:
        """All instruments have been asked for (again) at `at`; their states stay until something is heard."""
        self._asked_at = at

    def heard(
        self, live: Collection[int], types: Mapping[int, int], refused: Mapping[int, str], at: int
    ) -> list[Event]:
        """What the subscriptions brought up to `at`: live ticks, data types other than live, and refusals."""
        events: list[Event] = []
        for instrument in sorted(live):
            self._seen_at[instrument] = at
            events += self._go(instrument, DataState.LIVE, "live quotes")
        for instrument, kind in sorted(types.items()):
            state = TYPES.get(kind, DataState.MISSING)
            events += self._go(instrument, state, f"the gateway gives data of type {kind}")
        for instrument, reason in sorted(refused.items()):
            events += self._go(instrument, DataState.MISSING, reason)
        return events

    def look(self, at: int) -> tuple[list[Event], bool]:
        """Time has passed: what has become stale, and whether to subscribe again."""
        if not self._sessions.is_open(at):
            return [], False
        opened = max(o for o in self._sessions.opens if o <= at)
        events: list[Event] = []
        for instrument, state in enumerate(self.states):
            if state not in {DataState.LIVE, DataState.AWAITED}:
                continue
            since = max(self._seen_at[instrument], opened, 0 if self._seen_at[instrument] else self._asked_at)
            if at - since > self._stale_ns:
                to = DataState.STALE if state is DataState.LIVE else DataState.MISSING
                events += self._go(instrument, to, f"no live quote for more than {self._stale_ms} ms")
        blind = any(state in {DataState.STALE, DataState.MISSING} for state in self.states)
        again = blind and at - self._asked_at > self._stale_ns
        return events, again

    def objection(self, instrument: int) -> str | None:
        """Why no new risk may be taken on the instrument; None if its quotes are live or still awaited."""
        state = self.states[instrument]
        return f"market data of {self._symbols[instrument]} are {state}" if state.stops_new_risk else None

    @property
    def impaired(self) -> str | None:
        """Which instruments are not live, after they once were or should have been; None if all are well."""
        bad = [s for s, state in zip(self._symbols, self.states, strict=True) if state.stops_new_risk]
        return f"not live: {', '.join(bad)}" if bad else None

    def _go(self, instrument: int, to: DataState, reason: str) -> list[Event]:
        before = self.states[instrument]
        if before is to:
            return []
        self.states[instrument] = to
        return [DataStateChanged(instrument, before, to, reason)]
