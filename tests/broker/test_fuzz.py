"""Orders and faults at random, by seed; and the scripts that once failed, cut down to what they took.

More seeds: `python tests/broker/fuzz.py --seeds 5000`.
"""

import os

import pytest
from chaos import Action, fails, play, script
from sabotage import SABOTAGES, noticed

SEEDS = int(os.environ.get("FIRM_FUZZ_SEEDS", "200"))
BATCH = 10
LENGTH = 60
NOTICED_WITHIN = 40

REGRESSIONS: dict[str, tuple[str, list[Action]]] = {
    "orders were lost when the first reconciliation of a day found a dead link": (
        "stepped",
        [
            *[("step",)] * 14,
            ("deaf",),
            ("submit", 1, "BUY", 14, "market", "DAY", False),
            ("cancel", 0, True),
        ],
    ),
    "a cancel sent into a lost link was never sent again": (
        "free",
        [
            ("submit", 0, "BUY", 10, "far", "GTC", True),
            ("mute",),
            ("cancel", 0, True),
            ("inject", 1100, True),
            ("inject", 1102, True),
        ],
    ),
    "a page that was lost had told a fill and a commission": (
        "free",
        [
            ("step",),
            ("submit", 2, "SELL", 259, "market", "GTC", False),
            ("lost_page",),
            ("withhold", ["commissionReport"], True),
            ("submit", 2, "BUY", 59, "market", "DAY", True),
            ("kill_firm",),
        ],
    ),
    "an execution was hidden until the day was nearly over": (
        "stepped",
        [
            ("step",),
            ("withhold", ["execDetails"], True),
            ("submit", 0, "BUY", 37, "market", "GTC", True),
            ("withhold", ["execDetails"], False),
            *[("step",)] * 14,
        ],
    ),
    "a commission could be had in the evening only, and was not asked for after the close": (
        "stepped",
        [
            ("step",),
            ("withhold", ["commissionReport"], True),
            ("submit", 0, "BUY", 37, "market", "GTC", True),
            *[("step",)] * 11,
            ("withhold", ["commissionReport"], False),
            ("step",),
        ],
    ),
    "the gateway kept back its answer to the last question of a day": (
        "stepped",
        [
            ("step",),
            ("withhold", ["commissionReport"], True),
            ("submit", 0, "BUY", 37, "market", "GTC", True),
            *[("step",)] * 11,
            ("ask", {"cmd": "withhold", "messages": ["commissionReport"], "times": 1}),
            ("step",),
        ],
    ),
    "a fill was heard and reconciled in one turn, which went on over midnight and was lost": (
        "stepped",
        [
            *[("step",)] * 12,
            ("submit", 0, "BUY", 37, "market", "DAY", False),
            ("inject", 1101, False),
            ("lost_page",),
        ],
    ),
}


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_whatever_goes_wrong_the_books_agree_in_the_end(first: int):
    for seed in range(first, min(first + BATCH, SEEDS)):
        clock = ("free", "stepped")[seed % 2]
        wrong = fails(script(seed, LENGTH), clock)
        assert wrong is None, f"seed {seed} at a {clock} clock: {wrong}"


@pytest.mark.parametrize("name", REGRESSIONS)
def test_what_once_went_wrong_does_not_again(name: str):
    clock, actions = REGRESSIONS[name]
    play(actions, clock)


@pytest.mark.parametrize("safeguard", SABOTAGES)
def test_the_fuzzer_notices_a_safeguard_that_is_taken_away(safeguard: str):
    assert noticed(SABOTAGES[safeguard], range(NOTICED_WITHIN)) is not None


def test_the_same_script_lives_the_same_life():
    first, second = (play(script(7, LENGTH), "stepped") for _ in range(2))

    assert [tuple(r) for r in first.store.read()] == [tuple(r) for r in second.store.read()]
