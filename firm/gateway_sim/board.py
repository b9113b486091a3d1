"""The last of everything: quote, trade and day statistics of each instrument, for ticks. Pure."""

from collections.abc import Sequence

import numpy as np

from firm.tape.tape import Frame


class Board:
    """Arrays over instruments; NaN where nothing is known yet."""

    def __init__(self, closes: Sequence[float]) -> None:
        """Start from the `closes` of the last session before the tape."""
        unknown = np.full(len(closes), np.nan)
        self.close = np.array(closes, dtype=np.float64)
        self.bid, self.ask = unknown.copy(), unknown.copy()
        self.bid_size, self.ask_size = np.zeros(len(closes)), np.zeros(len(closes))
        self.last, self.last_size, self.last_at = unknown.copy(), unknown.copy(), unknown.copy()
        self.open, self.high, self.low = unknown.copy(), unknown.copy(), unknown.copy()
        self.volume, self.value = np.zeros(len(closes)), np.zeros(len(closes))

    def new_day(self) -> None:
        """The last price becomes the previous close; the day's statistics start again."""
        middle = (self.bid + self.ask) / 2
        known = np.where(np.isfinite(self.last), self.last, middle)
        self.close = np.where(np.isfinite(known), known, self.close)
        for array in (self.open, self.high, self.low):
            array[:] = np.nan
        self.volume[:] = self.value[:] = 0.0

    def update(self, frame: Frame) -> None:
        """Take in a frame."""
        quotes = frame.quotes
        index = quotes["instrument"]
        self.bid[index], self.ask[index] = quotes["bid"], quotes["ask"]
        self.bid_size[index], self.ask_size[index] = quotes["bid_size"], quotes["ask_size"]
        for i, price, size in frame.prints.tolist():
            self.last[i], self.last_size[i], self.last_at[i] = price, size, frame.at
            self.open[i] = price if np.isnan(self.open[i]) else self.open[i]
            self.high[i], self.low[i] = np.fmax(self.high[i], price), np.fmin(self.low[i], price)
            self.volume[i] += size
            self.value[i] += size * price
