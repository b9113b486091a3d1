"""Clocks that run by themselves: when the next frame is due in real time."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from firm.domain.session import NS_PER_SECOND, Sessions
from firm.errors import ConfigError
from firm.gateway_sim.server import Server
from firm.tape.tape import Frame

DEFAULT_FRAMES_PER_SECOND = 4
SPEED_MAX = 1_000_000.0
TICK_SECONDS = 0.25


class ClockChoice(NamedTuple):
    """`stepped`: time stands still between steps. Else `speed` times real time.

    Closed hours are skipped, unless it is `wall`.
    """

    stepped: bool
    wall: bool
    speed: float


def parse_clock(text: str, frames: Sequence[Frame]) -> ClockChoice:
    """`stepped`, `wall`, `xN`, or `auto` (several frames a second, whatever their spacing)."""
    match text:
        case "stepped":
            return ClockChoice(stepped=True, wall=False, speed=0.0)
        case "wall":
            return ClockChoice(stepped=False, wall=True, speed=1.0)
        case "auto":
            return ClockChoice(stepped=False, wall=False, speed=_comfortable(frames))
    try:
        speed = float(text.removeprefix("x"))
    except ValueError:
        speed = 0.0
    if not text.startswith("x") or not 0 < speed <= SPEED_MAX:
        raise ConfigError(
            f"--clock must be stepped, wall, auto or xN with 0 < N <= {SPEED_MAX:.0f}, found {text!r}"
        )
    return ClockChoice(stepped=False, wall=False, speed=speed)


def _comfortable(frames: Sequence[Frame]) -> float:
    times = [frame.at for frame in frames[:200]]
    if len(times) < 2:
        return 1.0
    spacing = float(np.median(np.diff(times))) / NS_PER_SECOND
    return min(max(1.0, spacing * DEFAULT_FRAMES_PER_SECOND), SPEED_MAX)


class TradingTime:
    """Maps gateway time to open time: nanoseconds in sessions, closed hours counting nothing."""

    def __init__(self, sessions: Sessions) -> None:
        self._opens = np.array(sessions.opens, dtype=np.int64)
        lengths = np.array(sessions.closes, dtype=np.int64) - self._opens
        self._lengths = lengths
        self._before = np.concatenate(([0], np.cumsum(lengths)))

    def of(self, at: int) -> int:
        """Open nanoseconds before `at`."""
        i = int(np.searchsorted(self._opens, at, side="right")) - 1
        if i < 0:
            return 0
        return int(self._before[i] + min(at - self._opens[i], self._lengths[i]))

    def at(self, opened: int) -> int:
        """The first instant with `opened` open nanoseconds before it."""
        i = min(int(np.searchsorted(self._before, opened, side="right")) - 1, len(self._opens) - 1)
        return int(self._opens[i] + (opened - self._before[i]))


async def run_clock(
    server: Server, choice: ClockChoice, monotonic: Callable[[], float] = time.monotonic
) -> None:
    """Play frames when they are due until the tape is over, moving the clock on in between."""
    brokerage = server.gateway.brokerage
    trading = TradingTime(brokerage.tape.sessions)
    started, from_at = monotonic(), brokerage.at
    from_open = trading.of(from_at)
    while (frame := brokerage.next_frame()) is not None:
        passed = int((monotonic() - started) * choice.speed * NS_PER_SECOND)
        now = from_at + passed if choice.wall else trading.at(from_open + passed)
        if frame.at <= now:
            await server.step(None)
            continue
        if now > brokerage.at:
            await server.step(now)
        left = frame.at - now if choice.wall else trading.of(frame.at) - (from_open + passed)
        await asyncio.sleep(min(TICK_SECONDS, max(left / choice.speed / NS_PER_SECOND, 0.001)))
