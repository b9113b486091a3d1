"""From many signals to one opinion an instrument, the same whatever order they came in. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from firm.domain.summing import plain_sum
from firm.errors import ConfigError
from firm.events.signals import Signal


class Share(NamedTuple):
    """What one agent adds to the opinion on one instrument: -1..1, from how many units."""

    agent: str
    conviction: float
    units: int


class Opinion(NamedTuple):
    """What the agents together think of one instrument: -1 (short, sure) to 1 (long, sure)."""

    conviction: float
    shares: tuple[Share, ...]

    def told(self) -> str:
        """In words, with the numbers: what each agent adds, and from how many units."""
        shares = ", ".join(f"{agent} {share:+.3f} ({units})" for agent, share, units in self.shares)
        return f"conviction {self.conviction:+.3f} from {shares or 'nobody'}"


FLAT = Opinion(0.0, ())
"""Of an instrument that nobody has a view on."""


def opinions(
    signals: Sequence[Signal],
    missing: Sequence[tuple[str, str]],
    symbols: Sequence[str],
    weights: Mapping[str, float],
) -> dict[int, Opinion]:
    """Combine one cycle's signals, instrument by instrument; the order they are given in does not matter.

    An agent's views on an instrument are added up and divided by the largest number of units that meet in one
    instrument, the same divisor for all: an average that leaves the two legs of a pair in proportion. A unit
    that answered without views adds nothing; a missing one counts in the divisor only, so that silence never
    makes an opinion stronger. Agents are then averaged by `weights` over those that were asked.
    """
    asked = sorted({signal.agent for signal in signals} | {agent for agent, _ in missing})
    if strangers := [agent for agent in asked if agent not in weights]:
        raise ConfigError(
            f"cio.weights needs a weight for every signal agent; found none for {', '.join(strangers)}, "
            f"only for {', '.join(sorted(weights))}. Add it, or leave the agent out."
        )
    total = plain_sum(weights[agent] for agent in asked)
    shares: dict[int, list[Share]] = {}
    conviction: dict[int, float] = {}
    for agent in asked:
        silent = [unit for name, unit in missing if name == agent]
        for instrument, share in _shares(agent, signals, silent, symbols).items():
            shares.setdefault(instrument, []).append(share)
            weighted = weights[agent] / total * share.conviction
            conviction[instrument] = conviction.get(instrument, 0.0) + weighted
    return {instrument: Opinion(conviction[instrument], tuple(shares[instrument])) for instrument in shares}


def _shares(
    agent: str, signals: Sequence[Signal], silent: Sequence[str], symbols: Sequence[str]
) -> dict[int, Share]:
    sums: dict[int, float] = {}
    units: Counter[int] = Counter()
    for signal in sorted((s for s in signals if s.agent == agent), key=lambda s: s.unit):
        for view in signal.views:
            assert 0 <= view.conviction <= 1, f"{agent} on {signal.unit}: conviction {view.conviction}"
            sums[view.instrument] = sums.get(view.instrument, 0.0) + view.direction * view.conviction
            units[view.instrument] += 1
    meeting = units + Counter(i for unit in silent for i in touched_by(unit, symbols))
    most = max(meeting.values(), default=1)
    return {instrument: Share(agent, sums[instrument] / most, units[instrument]) for instrument in sums}


def touched_by(unit: str, symbols: Sequence[str]) -> tuple[int, ...]:
    """The instruments a unit speaks about: a symbol, a pair `A/B`; all where its name does not say."""
    names = (unit,) if unit in symbols else tuple(unit.split("/"))
    if all(name in symbols for name in names):
        return tuple(symbols.index(name) for name in names)
    return tuple(range(len(symbols)))
