"""Asking a signal agent: an agent that fails on a unit has not answered; the others are not disturbed."""

import sys
import traceback
from collections.abc import Sequence

from firm.agents.signals.signal_agent import MarketWindow, SignalAgent
from firm.events import encode


def opinions(agent: SignalAgent, units: Sequence[str], window: MarketWindow) -> list[bytes | None]:
    """One encoded signal a unit, in order; None where the agent raised, which the barrier counts as missing.

    The trace goes to standard error: the log holds that nobody answered, not why.
    """
    answers: list[bytes | None] = []
    for unit in units:
        try:
            answers.append(encode(agent.signal(window, unit)))
        except Exception:  # noqa: BLE001 - whatever a strategy does wrong, its unit is unknown and trading goes on
            traceback.print_exc(file=sys.stderr)
            answers.append(None)
    return answers
