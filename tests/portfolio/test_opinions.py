from collections.abc import Sequence
from random import Random
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firm.errors import ConfigError
from firm.events.signals import Signal, View
from firm.portfolio.opinions import FLAT, Opinion, Share, opinions, touched_by

Heard: TypeAlias = dict[tuple[str, str], list[tuple[int, float]]]

SYMBOLS = ("A", "B", "C")
WEIGHTS = {"momentum": 1.0, "stat_arb": 3.0}


def signal(agent: str, unit: str, *views: tuple[int, float]):
    return Signal(agent, unit, tuple(View(i, (c > 0) - (c < 0), abs(c)) for i, c in views), 5, "why")


def convictions(signals: Sequence[Signal], missing: Sequence[tuple[str, str]] = ()):
    return {i: opinion.conviction for i, opinion in opinions(signals, missing, SYMBOLS, WEIGHTS).items()}


def test_one_agent_alone_is_heard_as_it_speaks():
    assert convictions([signal("momentum", "A", (0, 0.5)), signal("momentum", "B", (1, -0.25))]) == {
        0: 0.5,
        1: -0.25,
    }


def test_agents_are_averaged_by_their_weights():
    heard = [signal("momentum", "A", (0, 0.8)), signal("stat_arb", "A/B", (0, -0.4), (1, 0.4))]

    found = opinions(heard, (), SYMBOLS, WEIGHTS)

    assert found[0].conviction == pytest.approx(0.25 * 0.8 - 0.75 * 0.4)
    assert found[1].conviction == pytest.approx(0.75 * 0.4)
    assert found[0].shares == (Share("momentum", 0.8, 1), Share("stat_arb", -0.4, 1))


def test_an_agent_that_answered_without_views_halves_what_the_other_says():
    heard = [signal("momentum", "A", (0, 0.8)), Signal("stat_arb", "A/B", (), 1, "inside band")]

    assert convictions(heard) == {0: pytest.approx(0.2)}


def test_pairs_that_meet_in_a_leg_stay_in_proportion():
    heard = [
        signal("stat_arb", "A/B", (0, -1.0), (1, 0.5)),
        signal("stat_arb", "A/C", (0, -1.0), (2, 1.0)),
    ]

    assert convictions(heard) == {0: -1.0, 1: 0.25, 2: 0.5}


def test_pairs_that_disagree_on_a_leg_cancel_there():
    heard = [
        signal("stat_arb", "A/B", (0, 1.0), (1, -1.0)),
        signal("stat_arb", "A/C", (0, -1.0), (2, 1.0)),
    ]

    assert convictions(heard) == {0: 0.0, 1: -0.5, 2: 0.5}


def test_a_missing_unit_makes_no_opinion_stronger():
    heard = [signal("stat_arb", "A/B", (0, -1.0), (1, 1.0))]

    assert convictions(heard, [("stat_arb", "A/C")]) == {0: -0.5, 1: 0.5}
    assert convictions(heard, [("momentum", "C")]) == {0: -0.75, 1: 0.75}


def test_an_opinion_tells_who_holds_it():
    opinion = Opinion(0.25, (Share("momentum", 0.5, 1), Share("stat_arb", 0.0, 3)))

    assert opinion.told() == "conviction +0.250 from momentum +0.500 (1), stat_arb +0.000 (3)"
    assert FLAT.told() == "conviction +0.000 from nobody"


def test_a_unit_touches_its_symbol_or_its_legs_and_everything_if_it_does_not_say():
    assert touched_by("B", SYMBOLS) == (1,)
    assert touched_by("C/A", SYMBOLS) == (2, 0)
    assert touched_by("A/Z", SYMBOLS) == touched_by("universe", SYMBOLS) == (0, 1, 2)
    assert touched_by("EUR/USD", ("EUR/USD", "A")) == (0,)


def test_an_agent_nobody_gave_a_weight_is_a_mistake_in_the_configuration():
    with pytest.raises(ConfigError, match="found none for news, only for momentum, stat_arb"):
        opinions([signal("news", "A", (0, 1.0))], (), SYMBOLS, WEIGHTS)


def test_a_conviction_that_is_no_number_is_a_bug():
    bad = Signal("momentum", "A", (View(0, 1, float("nan")),), 1, "")

    with pytest.raises(AssertionError, match="momentum on A: conviction nan"):
        opinions([bad], (), SYMBOLS, WEIGHTS)


views = st.lists(st.tuples(st.integers(0, 2), st.floats(-1, 1)), max_size=2, unique_by=lambda v: v[0])
said = st.dictionaries(
    st.tuples(st.sampled_from(sorted(WEIGHTS)), st.sampled_from(["A", "B", "C", "A/B", "A/C", "B/C"])), views
)


@given(said, st.randoms(use_true_random=False))
def test_the_order_in_which_signals_are_listed_does_not_matter(heard: Heard, random: Random):
    signals = [signal(agent, unit, *spoken) for (agent, unit), spoken in heard.items()]
    shuffled = random.sample(signals, len(signals))

    assert opinions(signals, (), SYMBOLS, WEIGHTS) == opinions(shuffled, (), SYMBOLS, WEIGHTS)


@given(said)
def test_together_nobody_is_surer_than_sure(heard: Heard):
    signals = [signal(agent, unit, *spoken) for (agent, unit), spoken in heard.items()]

    assert all(abs(c) <= 1 + 1e-12 for c in convictions(signals).values())
