"""The signal agents over nodes: seats on each layout, asked the same questions in turns."""

import statistics
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import numpy as np
import ray
from risk_cluster import CONFIG

from firm.actors.signal_crew import SignalCrew
from firm.actors.signal_seat import SignalSeat
from firm.agents.signals.signal_agent import MarketWindow
from firm.bus.crew import SignalAsk, Unit
from firm.config import load_settings
from firm.risk_kernels.fingerprint import array_fingerprint
from firm.roster import hire_signals, window_bars
from firm.tape.load import SAMPLE

QUESTIONS_A_ROUND = 10
InTurns = Callable[[Mapping[str, Callable[[], str]], int], tuple[dict[str, list[float]], str]]


def sample_window() -> MarketWindow:
    """The packaged sample's 20 shares: 190 pairs."""
    with np.load(SAMPLE) as sample:
        symbols = tuple(name for name in sample.files if name != "ts")
        closes = np.column_stack([sample[name] for name in symbols])
        return MarketWindow(symbols, sample["ts"].astype(np.int64), closes)


class Asked:
    """One layout's seats, asked with a bar more each time, as the bus does; answers with a deadline never."""

    def __init__(self, seats: list[Any], expected: tuple[Unit, ...], window: MarketWindow, bars: int) -> None:
        self._crew, self._expected, self._window, self._bars = SignalCrew(seats), expected, window, bars

    def round(self) -> str:
        """Ask about the last days of the sample, one after the other; all answers, as a hash."""
        said = sha256()
        days = len(self._window.times)
        for number in range(QUESTIONS_A_ROUND):
            end = days - QUESTIONS_A_ROUND + number + 1
            part = slice(end - self._bars, end)
            window = MarketWindow(self._window.symbols, self._window.times[part], self._window.closes[part])
            ask = SignalAsk(number, window, self._expected, None)
            self._crew.ask(ask)
            answers = self._crew.answers(ask)
            for unit in self._expected:
                said.update(answers[unit])
        return said.hexdigest()


def over_layouts(
    layouts: Mapping[str, dict[str, float]], at_a_time: int, rounds: int, in_turns: InTurns
) -> dict[str, Any]:
    """Seconds of a question in every layout, medians of each round; and the bits that all of them gave."""
    settings = load_settings(CONFIG)
    window = sample_window()
    expected = tuple(
        (agent.name, unit) for agent in hire_signals(settings) for unit in agent.units(window.symbols)
    )
    seat = ray.remote(SignalSeat)
    seats = {
        name: [
            seat.options(num_cpus=0, resources=layout, scheduling_strategy="SPREAD").remote(
                settings.model_dump_json(), array_fingerprint()
            )
            for _ in range(at_a_time)
        ]
        for name, layout in layouts.items()
    }
    try:
        ways = {
            name: Asked(each, expected, window, window_bars(settings)).round for name, each in seats.items()
        }
        taken, bits = in_turns(ways, rounds)
    finally:
        for each in seats.values():
            for actor in each:
                ray.kill(actor)
    a_question = {name: [each / QUESTIONS_A_ROUND for each in of] for name, of in taken.items()}
    return {
        "seconds": a_question,
        "bits": bits,
        "units": len(expected),
        "median_ms": {name: 1000 * statistics.median(each) for name, each in a_question.items()},
    }
