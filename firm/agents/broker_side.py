"""What the broker's side says of itself, as a fold: whether orders can be sent, and whose data are live."""

from typing import TypeAlias

from firm.events.broker import CircuitChanged, CircuitState, DataStateChanged, GateChanged

BrokerFact: TypeAlias = GateChanged | CircuitChanged | DataStateChanged


class BrokerSide:
    """Nothing heard is nothing in the way: connection, reconciliation and age of quotes are others' business.

    `not_live`: by instrument, what is the matter with its quotes; who is not in it has live ones or none yet.
    """

    def __init__(self) -> None:
        self.not_live: dict[int, str] = {}
        self._gate: str | None = None
        self._circuit: str | None = None

    @property
    def shut(self) -> str | None:
        """Why no order can be sent now; None if orders can. A half-open circuit lets one through to try."""
        return self._gate or self._circuit

    def note(self, fact: BrokerFact) -> None:
        """Take in one fact."""
        match fact:
            case GateChanged(after=after, reason=reason):
                self._gate = None if after.passes_orders else f"the gate is {after}: {reason}"
            case CircuitChanged(after=after, reason=reason):
                is_open = after is CircuitState.OPEN
                self._circuit = f"the circuit breaker is open: {reason}" if is_open else None
            case DataStateChanged(instrument=instrument, after=after, reason=reason):
                self.not_live.pop(instrument, None)
                if after.stops_new_risk:
                    self.not_live[instrument] = f"its quotes are {after}: {reason}"
