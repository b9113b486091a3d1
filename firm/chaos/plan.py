"""What will happen to the firm, drawn from a seed: the same seed, faults and repeats give the same plan."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

INJECTIONS_A_DAY: Final = 20
"""More faults than this in one run would make its log long to replay, and a failure long to look for."""
ENTRIES_BETWEEN: Final = (50, 800)
"""So many entries the firm may commit after it has recovered, before the next fault: up to two decisions."""
DELAY_S_MAX: Final = 0.5
"""Then up to so long, so that a fault falls anywhere between two commits."""


@dataclass(frozen=True)
class Injection:
    """One fault at one moment.

    `number` counts through the plan, `repeat` through the repeats of one fault. The moment: after the firm
    has committed `entries` more, plus `delay_s`. `pick` in [0, 1) chooses among several possible targets.
    """

    number: int
    fault: str
    repeat: int
    entries: int
    delay_s: float
    pick: float


@dataclass(frozen=True)
class DayPlan:
    """The faults of one run, one after another. `needs`: how the firm is set up for them, "" as usual."""

    number: int
    needs: str
    injections: tuple[Injection, ...]


def plan(seed: int, needs: Mapping[str, str], repeats: int) -> tuple[DayPlan, ...]:
    """Every fault of `needs` (fault name to what it needs) `repeats` times, shuffled, cut into days."""
    chance = random.Random(seed)  # noqa: S311  not for secrets
    drawn = [(fault, repeat) for fault in sorted(needs) for repeat in range(1, repeats + 1)]
    chance.shuffle(drawn)
    injections = [
        Injection(
            number,
            fault,
            repeat,
            chance.randint(*ENTRIES_BETWEEN),
            round(chance.uniform(0, DELAY_S_MAX), 3),
            chance.random(),
        )
        for number, (fault, repeat) in enumerate(drawn, 1)
    ]
    days: list[tuple[str, tuple[Injection, ...]]] = []
    for need in sorted(set(needs.values())):
        mine = [injection for injection in injections if needs[injection.fault] == need]
        cuts = range(0, len(mine), INJECTIONS_A_DAY)
        days += [(need, tuple(mine[start : start + INJECTIONS_A_DAY])) for start in cuts]
    return tuple(DayPlan(number, need, mine) for number, (need, mine) in enumerate(days, 1))
