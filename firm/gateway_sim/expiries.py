"""When futures and options of the catalogue end, and what becomes of them then. Pure."""

from collections.abc import Sequence

from firm.domain.instrument import Instrument
from firm.domain.position import ZERO
from firm.domain.session import Sessions
from firm.exchange import Exchange, ExchangeEvent
from firm.exchange.corporate import exercise, settle
from firm.gateway_sim.times import local_date


class Expiries:
    """Contracts end at the close of the session on their day, at the last mark before it.

    A contract whose day has no session on the tape ends at the first close after it.
    """

    def __init__(self, instruments: Sequence[Instrument], sessions: Sessions) -> None:
        ends = {i.index: _end(i, sessions) for i in instruments if i.expiry}
        self._ends = {index: at for index, at in ends.items() if at is not None}
        self._instruments = instruments

    def over(self, instrument: Instrument, at: int) -> bool:
        """Whether the contract has ended by `at`."""
        return at >= self._ends.get(instrument.index, at + 1)

    def end(self, exchange: Exchange, until: int) -> list[ExchangeEvent]:
        """Bring everything that ends after the exchange's clock and by `until` to its end, in order."""
        due = sorted((at, i) for i, at in self._ends.items() if exchange.at < at <= until)
        events: list[ExchangeEvent] = []
        for at, index in due:
            mark = exchange.book.mark(index)
            events += exchange.advance_to(at)
            if self._instruments[index].sec_type == "OPT":
                events += exercise(exchange, index)
            else:
                events += settle(exchange, index, mark or ZERO)
        return events


def _end(instrument: Instrument, sessions: Sessions) -> int | None:
    return next((at for at in sessions.closes if f"{local_date(at):%Y%m%d}" >= instrument.expiry), None)
