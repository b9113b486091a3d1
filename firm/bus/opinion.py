"""Asking a signal agent: an agent that fails on a unit has not answered; the others are not disturbed."""

import sys
import traceback
from collections.abc import Sequence

from firm.agents.signals.signal_agent import MarketWindow, SignalAgent
from firm.events import encode


def opinions(agent: SignalAgent, units: Sequence[str], window: MarketWindow) -> list[bytes | None]:
    """One encoded signal a unit, in order; None where the agent raised, which the barrier counts as missing.

    All are asked together; if that fails, one by one, so that only those are missing who cannot be answered.
    The trace goes to standard error: the log holds that nobody answered, not why.
    """
    together = _answers(agent, units, window)
    if together is not None:
        return list(together)
    alone = [_answers(agent, [unit], window) for unit in units]
    return [None if answer is None else answer[0] for answer in alone]


def _answers(agent: SignalAgent, units: Sequence[str], window: MarketWindow) -> list[bytes] | None:
    try:
        signals = agent.signals(window, units)
        assert [signal.unit for signal in signals] == list(units), f"{agent.name} answered other units"
        return [encode(signal) for signal in signals]
    except Exception:  # noqa: BLE001 - whatever a strategy does wrong, its unit is unknown and trading goes on
        traceback.print_exc(file=sys.stderr)
        return None
