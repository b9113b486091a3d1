"""A firm whose host is gone, disk and all, or wakes up too late. More moments: run lost_host.py."""

import random
import re
from pathlib import Path

import pytest
from lost_host import Outcome, freeze_host, lose_host, silence_standby

pytestmark = pytest.mark.process

SEED = 20261122


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """One host lost at a random moment."""
    seq = random.Random(SEED).randint(1, 3000)
    outcome = lose_host(tmp_path_factory.mktemp("lost"), seq)
    print(f"seed {SEED}: {outcome}")
    return outcome


def test_the_copy_is_the_lost_log_to_within_one_commit_that_was_never_reported(lost: Outcome):
    assert lost.is_the_same_log
    assert lost.local - lost.copied >= 0


def test_it_trades_on_without_an_order_doubled_or_unknown(lost: Outcome):
    assert lost.fills_after > 0
    assert lost.sent > 0
    assert (lost.sent_twice, lost.not_intended, lost.filled_twice) == ([], [], [])
    assert lost.books_agree


def test_its_whole_log_replays(lost: Outcome):
    assert lost.replay.startswith("identical: ")


def test_a_frozen_leader_that_wakes_up_neither_writes_nor_sends_and_names_the_new_epoch(tmp_path: Path):
    outcome, said, entries = freeze_host(tmp_path, 900)

    print(outcome, said)
    assert outcome.held
    assert said.code == 1
    assert "StaleEpoch" in said.err
    assert "start there to resume" not in said.err
    (told,) = re.findall(r"epoch (\d+) has taken over; this leader has epoch 1 and may not", said.err)
    assert told in ("1000", "1001"), "the standby knows of the promotion, the fence of the launch after it"
    assert outcome.local <= entries


def test_a_firm_cut_off_from_its_standby_stands_still_says_so_and_goes_on_when_it_answers(tmp_path: Path):
    silence, outcome = silence_standby(tmp_path, 500, days=6)

    print(silence, outcome)
    assert silence.ready == 503
    assert "the standby cannot be reached (timed out); it lacks" in silence.health
    assert silence.lag > 0
    assert (silence.entries, silence.orders) == (0, 0)
    assert outcome.held
    assert outcome.fills_after > 0
