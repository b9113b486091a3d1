"""A seat for the signal agents: stateless, answers for the units it is asked about."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firm.agents.signals.signal_agent import MarketWindow
from firm.bus.opinion import opinions
from firm.config import Settings
from firm.roster import hire_signals


class WindowDelta(NamedTuple):
    """The bars since the shared base; the window is the base without its `skip` oldest bars, then these."""

    skip: int
    times: NDArray[np.int64]
    closes: NDArray[np.float64]


class SignalSeat:
    """Hosts every signal agent; which units it answers for is the caller's business."""

    def __init__(self, settings: str) -> None:
        """`settings`: the whole configuration as JSON."""
        self._agents = {agent.name: agent for agent in hire_signals(Settings.model_validate_json(settings))}

    def answer(
        self, asked: Sequence[tuple[str, Sequence[str]]], base: MarketWindow, delta: WindowDelta
    ) -> list[bytes | None]:
        """One encoded signal a unit of each agent, in the order asked, None where the agent failed.

        `base` comes from shared memory, read-only.
        """
        window = MarketWindow(
            base.symbols,
            np.concatenate([base.times[delta.skip :], delta.times]),
            np.concatenate([base.closes[delta.skip :], delta.closes]),
        )
        answers: list[bytes | None] = []
        for agent, units in asked:
            answers += opinions(self._agents[agent], units, window)
        return answers

    def pid(self) -> int:
        """The process, for operators and for tests that kill it."""
        return os.getpid()

    def stop(self) -> None:
        """Nothing to save."""
