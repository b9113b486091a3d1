"""What a signal agent is: a stateless function of a market window and its parameters, unit by unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from firm.events.signals import Signal


@dataclass(frozen=True)
class MarketWindow:
    """Bars up to now, oldest first: `times` int64[bars], `closes` float64[bars, symbols], NaN = never quoted.

    Arrays may be read-only (they come from shared memory); bars need not be evenly spaced.
    """

    symbols: tuple[str, ...]
    times: NDArray[np.int64]
    closes: NDArray[np.float64]

    def column(self, symbol: str) -> NDArray[np.float64]:
        """Closes of one symbol, float64[bars]."""
        closes: NDArray[np.float64] = self.closes[:, self.symbols.index(symbol)]
        return closes


class SignalAgent(Protocol):
    """Says one `Signal` a unit. Units are spread over the signal actors; the answer may not depend on how."""

    name: ClassVar[str]

    def units(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """What it has an opinion on: an instrument's symbol, or a pair `A/B`; in a fixed order."""

    def signals(self, window: MarketWindow, units: Sequence[str]) -> list[Signal]:
        """The opinion on each unit, in order; views empty, with the reason, where it cannot say.

        What is said of a unit does not depend on which others are asked about with it.
        """
