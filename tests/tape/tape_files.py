"""Columns of small sound data files, to be changed one at a time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

Write = Callable[..., Path]


def at(text: str) -> int:
    """UTC nanoseconds of an ISO time."""
    return int(np.datetime64(text, "ns").astype(np.int64))


def daily(**changes: object) -> dict[str, object]:
    """Three days of two symbols in October 2013, stamped as midnights UTC."""
    days = np.array(["2013-10-07", "2013-10-08", "2013-10-09"], dtype="datetime64[ns]").astype(np.int64)
    return {
        "ts": days,
        "IBM": np.array([182.01, 178.72, 181.32]),
        "SPY": np.array([167.43, 165.48, 165.6]),
    } | changes


def quote_bars(**changes: object) -> dict[str, object]:
    """Two minutes of two symbols from 10:00 New York on 2013-10-08."""
    start, minute = at("2013-10-08T14:00"), 60_000_000_000
    return {
        "ts": np.array([start, start, start + minute, start + minute]),
        "symbol_table": np.array(["IBM", "SPY"]),
        "symbol": np.array([0, 1, 0, 1], dtype=np.int16),
        "bc": np.array([179.1, 166.5, 179.2, 166.4], dtype=np.float32),
        "ac": np.array([179.12, 166.5, 179.23, 166.41], dtype=np.float32),
        "bs": np.array([100, 2000, 300, 1500], dtype=np.int32),
        "as_": np.array([200, 2500, 100, 900], dtype=np.int32),
    } | changes


def trade_bars(**changes: object) -> dict[str, object]:
    """Two minutes of two symbols from 10:00 New York on 2013-10-08."""
    bars = {name: values for name, values in quote_bars().items() if name in {"ts", "symbol_table", "symbol"}}
    prices = {
        "close": np.array([179.11, 166.5, 179.2, 166.405]),
        "volume": np.array([900, 30_000, 1100, 20_000]),
    }
    return bars | prices | changes
