"""What the market did: quotes, prints, history. All are inputs."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from firm.errors import DataError
from firm.events.base import Event

QUOTE = np.dtype(
    [("instrument", "<i4"), ("bid", "<f8"), ("ask", "<f8"), ("bid_size", "<f8"), ("ask_size", "<f8")]
)
PRINT = np.dtype([("instrument", "<i4"), ("price", "<f8"), ("size", "<f8")])


class MarketData(Event, frozen=True, array_like=True):
    """The latest quote of each instrument that changed (one row an instrument), conflated at the gateway."""

    KIND: ClassVar[int] = 101
    quotes: bytes

    def table(self) -> NDArray[np.void]:
        """The quotes as a read-only array of dtype `QUOTE`."""
        return np.frombuffer(self.quotes, dtype=QUOTE)


class Ticks(Event, frozen=True, array_like=True):
    """Public prints (trades of others) since the last batch, in the order received."""

    KIND: ClassVar[int] = 102
    prints: bytes

    def table(self) -> NDArray[np.void]:
        """The prints as a read-only array of dtype `PRINT`."""
        return np.frombuffer(self.prints, dtype=PRINT)


class HistoryLoaded(Event, frozen=True, array_like=True):
    """Closes before the first live bar, oldest first: float64[len(times), instruments], row-major."""

    KIND: ClassVar[int] = 103
    times: tuple[int, ...]
    instruments: int
    closes: bytes

    def matrix(self) -> NDArray[np.float64]:
        """The closes as a read-only array [bars, instruments]."""
        return np.frombuffer(self.closes, dtype="<f8").reshape(len(self.times), self.instruments)


def market_data(quotes: NDArray[np.void]) -> MarketData:
    """A batch of quotes, refused at the edge if any is NaN, not positive, or crossed."""
    bid, ask = quotes["bid"], quotes["ask"]
    sizes = np.minimum(quotes["bid_size"], quotes["ask_size"])
    for bad, what in (
        (~(np.isfinite(bid) & np.isfinite(ask)), "a price that is not a number"),
        (~((bid > 0) & (ask > 0)), "a price that is not positive"),
        (bid > ask, "a crossed quote (bid above ask)"),
        (~(np.isfinite(sizes) & (sizes >= 0)), "a size that is not a number or negative"),
    ):
        if bad.any():
            row = quotes[int(np.argmax(bad))]
            raise DataError(
                f"market data needs finite positive prices with bid <= ask; found {what}: instrument "
                f"{row['instrument']}, bid {row['bid']}, ask {row['ask']}, sizes {row['bid_size']} x "
                f"{row['ask_size']}. Repair or leave out that quote at its source."
            )
    return MarketData(np.ascontiguousarray(quotes, dtype=QUOTE).tobytes())


def ticks(prints: NDArray[np.void]) -> Ticks:
    """A batch of prints, refused at the edge if any is NaN or not positive."""
    bad = ~((prints["price"] > 0) & (prints["size"] > 0) & np.isfinite(prints["price"] * prints["size"]))
    if bad.any():
        row = prints[int(np.argmax(bad))]
        raise DataError(
            f"prints need finite positive price and size; found instrument {row['instrument']}, price "
            f"{row['price']}, size {row['size']}. Repair or leave out that print at its source."
        )
    return Ticks(np.ascontiguousarray(prints, dtype=PRINT).tobytes())
