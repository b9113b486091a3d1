"""A tape: everything the market did, frame by frame, and the closes known before the first frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from firm.domain.session import Sessions
from firm.errors import UnknownInstrument
from firm.events.market import PRINT, QUOTE

__all__ = ["PRINT", "QUOTE", "Frame", "Frames", "Tape"]


class Frame(NamedTuple):
    """Everything that happens at one timestamp.

    `at` is UTC nanoseconds; `quotes` has dtype `QUOTE` (at most one row an instrument), `prints` dtype
    `PRINT`. The arrays are read-only views of the tape.
    """

    at: int
    quotes: NDArray[np.void]
    prints: NDArray[np.void]


class Frames(Sequence[Frame]):
    """The frames of a tape, cut from flat arrays on demand, so a long tape costs its bytes and no more."""

    def __init__(
        self,
        quote_times: NDArray[np.int64],
        quotes: NDArray[np.void],
        print_times: NDArray[np.int64],
        prints: NDArray[np.void],
    ) -> None:
        assert len(quote_times) == len(quotes), "one time a quote"
        assert len(print_times) == len(prints), "one time a print"
        assert bool((np.diff(quote_times) >= 0).all()), "quotes must be in time order"
        assert bool((np.diff(print_times) >= 0).all()), "prints must be in time order"
        self._times = np.union1d(quote_times, print_times)
        self._quote_edges = _edges(quote_times, self._times)
        self._print_edges = _edges(print_times, self._times)
        self._quotes, self._prints = quotes.view(), prints.view()
        self._quotes.flags.writeable = self._prints.flags.writeable = False

    def __len__(self) -> int:
        return len(self._times)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        return Frame(
            int(self._times[i]),
            self._quotes[self._quote_edges[i] : self._quote_edges[i + 1]],
            self._prints[self._print_edges[i] : self._print_edges[i + 1]],
        )

    def __iter__(self) -> Iterator[Frame]:
        return (self[i] for i in range(len(self)))


@dataclass(frozen=True, eq=False)
class Tape:
    """A stretch of market data ready to be played.

    Attributes
    ----------
    symbols
        The instrument at column (and `QUOTE.instrument`) i is `symbols[i]`.
    sessions
        The trading sessions that are played; every frame lies inside one of them.
    label
        For people: where the data comes from, and whether any of it is synthetic.
    source_sha256
        Of the bytes of the file that was read.
    history_times, history_closes
        What was known before the first frame, oldest first: int64[n] UTC nanoseconds and
        float64[n, symbols]. May have no rows.
    bar_ns
        Spacing of the history; one day (24 hours) for daily data.
    frames
        In strictly increasing order of time, never empty.
    rows_dropped
        How many rows of the file lay outside the sessions of the exchange and are not played.
    """

    symbols: tuple[str, ...]
    sessions: Sessions
    label: str
    source_sha256: str
    history_times: NDArray[np.int64]
    history_closes: NDArray[np.float64]
    bar_ns: int
    frames: Sequence[Frame]
    rows_dropped: int = 0

    def index_of(self, symbol: str) -> int:
        """The column of `symbol`; `UnknownInstrument`, naming those that exist, if it is not on the tape."""
        if symbol not in self.symbols:
            raise UnknownInstrument(
                f"instrument {symbol!r} is not on this tape ({self.label}), which has "
                f"{', '.join(self.symbols)}. Correct the symbol or load a file that has it."
            )
        return self.symbols.index(symbol)


def _edges(times: NDArray[np.int64], frame_times: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.append(np.searchsorted(times, frame_times, side="left"), len(times))
