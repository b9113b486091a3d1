"""What the firm knows of the market, as a fold: the last quotes, and the closes at each decision."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from firm.domain.instrument import Instrument
from firm.events.market import HistoryLoaded, MarketData
from firm.events.scheduled import Occasion, ScheduledTick
from firm.events.system import InstrumentsResolved

MarketFact: TypeAlias = InstrumentsResolved | HistoryLoaded | MarketData | ScheduledTick


class Market:
    """Quotes and bars by instrument index. NaN means: never quoted. Unknown is never zero."""

    def __init__(self) -> None:
        self.instruments: tuple[Instrument, ...] = ()
        self.bid: NDArray[np.float64] = np.empty(0)
        self.ask: NDArray[np.float64] = np.empty(0)
        self.quoted_at: NDArray[np.int64] = np.empty(0, np.int64)
        self._times: list[int] = []
        self._rows: list[NDArray[np.float64]] = []

    def note(self, at: int, event: MarketFact) -> None:
        """Take in one fact; a decision tick closes a bar at the mids of the moment."""
        match event:
            case InstrumentsResolved(instruments=instruments):
                n = len(instruments)
                self.instruments = instruments
                self.bid, self.ask = np.full(n, np.nan), np.full(n, np.nan)
                self.quoted_at = np.zeros(n, np.int64)
            case HistoryLoaded(times=times):
                self._times, self._rows = list(times), list(event.matrix())
            case MarketData():
                table = event.table()
                column = table["instrument"]
                self.bid[column], self.ask[column] = table["bid"], table["ask"]
                self.quoted_at[column] = at
            case ScheduledTick(occasion=Occasion.DECIDE):
                self._times.append(at)
                self._rows.append(self.mids())
            case ScheduledTick():
                pass

    def mids(self) -> NDArray[np.float64]:
        """Mid prices, float64[instruments]; NaN where never quoted."""
        mids: NDArray[np.float64] = (self.bid + self.ask) / 2
        return mids

    @property
    def bars(self) -> int:
        """How many bars are known."""
        return len(self._rows)

    def times(self, last: int | None = None) -> NDArray[np.int64]:
        """Times of the last bars, int64[bars], oldest first."""
        return np.array(self._times[-last:] if last else self._times, np.int64)

    def closes(self, last: int | None = None) -> NDArray[np.float64]:
        """Closes of the last bars, float64[bars, instruments], oldest first."""
        rows = self._rows[-last:] if last else self._rows
        return np.array(rows) if rows else np.empty((0, len(self.instruments)))
