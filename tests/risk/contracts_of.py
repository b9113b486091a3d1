"""Instruments and configurations for the tests of what a decision measures with."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from firm import config
from firm.domain.instrument import Instrument

ROOT = Path(__file__).resolve().parents[2]
D = Decimal


def ns(text: str) -> int:
    """A UTC time of ISO format in ns."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6) * 1000


NOW = ns("2022-12-16T21:00:00")


def settings(*overrides: str) -> config.Settings:
    """The paper configuration with a short history, changed."""
    quick = ("risk.var.scenarios=1920", "risk.var.history_bars=300", "risk.var.min_history_bars=250")
    return config.load_settings(ROOT / "config" / "paper.yaml", (*quick, *overrides))


def share(index: int, symbol: str, **changes: Any) -> Instrument:
    """A US share on the cent grid."""
    made = Instrument(index, symbol, 1000 + index, "STK", "XNYS", "USD", D(1), D("0.01"), D(1))
    return replace(made, **changes)


def option(index: int, underlying: int, strike: str, right: str = "C", **changes: Any) -> Instrument:
    """An option for 100 shares, to 16 June 2023."""
    made = Instrument(
        index,
        f"{underlying}{right}{strike}",
        1000 + index,
        "OPT",
        "CBOE",
        "USD",
        D(100),
        D("0.01"),
        D(1),
        "20230616",
        underlying,
        D(strike),
        right,
    )
    return replace(made, **changes)


def closes(last: list[float], bars: int = 301, seed: int = 7) -> NDArray[np.float64]:
    """Closes float64[bars, n] that move by about 1 % a bar and end at `last`."""
    steps = np.random.default_rng(seed).normal(0.0, 0.01, (bars, len(last)))
    steps[:, 1:] += 0.5 * steps[:, :1]
    paths = np.cumsum(steps, axis=0)
    return np.array(last) * np.exp(paths - paths[-1])
