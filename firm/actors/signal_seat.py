"""A seat for the signal agents: stateless, answers for the units it is asked about."""

import os
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firm.actors.risk_tasks import require_fingerprint
from firm.agents.signals.signal_agent import MarketWindow
from firm.bus.opinion import opinions
from firm.config import Settings
from firm.risk_kernels.fingerprint import array_fingerprint
from firm.roster import hire_signals


@cache
def _own_fingerprint() -> str:
    return array_fingerprint()


class WindowDelta(NamedTuple):
    """The bars since the shared base; the window is the base without its `skip` oldest bars, then these."""

    skip: int
    times: NDArray[np.int64]
    closes: NDArray[np.float64]


class SignalSeat:
    """Hosts every signal agent; which units it answers for is the caller's business."""

    def __init__(self, settings: str, fingerprint: str) -> None:
        """`settings`: the whole configuration as JSON. `fingerprint`: of numpy, where the run was started."""
        self._fingerprint = fingerprint
        self._agents = {agent.name: agent for agent in hire_signals(Settings.model_validate_json(settings))}

    def answer(
        self, asked: Sequence[tuple[str, Sequence[str]]], base: MarketWindow, delta: WindowDelta
    ) -> list[bytes | None]:
        """One encoded signal a unit of each agent, in the order asked, None where the agent failed.

        `base` comes from shared memory, read-only. A seat on a machine whose numpy computes other bits
        answers nothing: its units are missing, which is unknown and not flat.
        """
        require_fingerprint(_own_fingerprint(), self._fingerprint)
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
