"""A firm that is cut off goes on where it was: nothing lost, nothing twice. More moments: run cut_off.py."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from cut_off import Outcome, cut_off

pytestmark = pytest.mark.process

SEED = 20261122
DAYS = 12
KILLED = ("the firm", "the firm and its gateway")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    """Two firms cut off at the same time, each at a random moment."""
    chance = random.Random(SEED)
    seqs = {killed: chance.randint(1, 3500) for killed in KILLED}
    print(f"seed {SEED}: {seqs}")
    folder = tmp_path_factory.mktemp("cut")
    with ThreadPoolExecutor() as pool:
        found = {
            killed: pool.submit(
                cut_off, folder / str(number) / "run", seq, gateway_too="gateway" in killed, days=DAYS
            )
            for number, (killed, seq) in enumerate(seqs.items())
        }
        yield {killed: outcome.result() for killed, outcome in found.items()}


@pytest.fixture(params=KILLED)
def outcome(request: pytest.FixtureRequest, outcomes: dict[str, Outcome]) -> Outcome:
    print(f"seed {SEED}: {outcomes[request.param]}")
    return outcomes[request.param]


def test_it_goes_on_and_trades(outcome: Outcome):
    assert outcome.fills_after > 0


def test_nothing_is_sent_twice_or_without_intent(outcome: Outcome):
    assert outcome.sent > 0
    assert outcome.sent_twice == []
    assert outcome.not_intended == []
    assert outcome.filled_twice == []


def test_the_books_are_still_the_brokers(outcome: Outcome):
    assert outcome.books_agree


def test_its_whole_log_replays(outcome: Outcome):
    assert outcome.replay.startswith("identical: ")
