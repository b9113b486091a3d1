"""Market data for deciding within the day: the sample's own daily returns, slowed down, every 15 minutes.

The packaged sample has no prices within a day. Here each quarter of an hour moves as one of the sample's days
did, its log-return divided by the square root of the bars in a session, so that a session is about as risky
as a day. It serves to measure time, not to judge a strategy.
"""

from pathlib import Path

import numpy as np

from firm.tape.calendar import NS_PER_DAY, nyse_schedule
from firm.tape.load import SAMPLE

BAR_NS = 900_000_000_000
BARS_A_SESSION = 25
"""Those that end before the close; the last one would come with it."""

HISTORY_SESSIONS = 45
"""Before the first session played: half-hourly bars for the paper firm's 504 bars of history."""

LAG_DAYS = 250
HALF_SPREAD = 0.0001
SIZE = 5000.0


def write_quarter_hours(path: Path, sessions: int, shares: int = 20) -> None:
    """Write quote bars (npz, see docs/data.md) for the last so many sessions of the sample.

    With more `shares` than the sample has, the others move as those did that many days before.
    """
    with np.load(SAMPLE) as sample:
        symbols = [name for name in sample.files if name != "ts"]
        closes = np.column_stack([sample[name] for name in symbols])
        last = int(sample["ts"][-1])
    bars = sessions * BARS_A_SESSION
    returns = np.diff(np.log(closes), axis=0) / np.sqrt(BARS_A_SESSION)
    rounds = -(-shares // len(symbols))
    returns = np.hstack([np.roll(returns, i * LAG_DAYS, axis=0) for i in range(rounds)])[-bars:, :shares]
    symbols = [f"{name}{i or ''}" for i in range(rounds) for name in symbols][:shares]
    prices = (np.tile(closes[-bars - 1], rounds)[:shares] * np.exp(np.cumsum(returns, axis=0))).reshape(-1)
    opens = nyse_schedule(last - 2 * sessions * NS_PER_DAY, last).opens[-sessions:]
    starts = (opens[:, None] + np.arange(BARS_A_SESSION) * BAR_NS).reshape(-1)
    np.savez(
        path,
        ts=np.repeat(starts, len(symbols)),
        symbol_table=np.array(symbols),
        symbol=np.tile(np.arange(len(symbols)), bars),
        bc=np.floor(prices * (1 - HALF_SPREAD) * 100) / 100,
        ac=np.ceil(prices * (1 + HALF_SPREAD) * 100) / 100,
        bs=np.full(len(prices), SIZE),
        as_=np.full(len(prices), SIZE),
        bar_ns=np.array([BAR_NS]),
    )
