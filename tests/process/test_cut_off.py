"""A firm that loses its parts goes on where it was: nothing lost, nothing sent twice. More: `cut_off.py`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cut_off import Kill, Life, Outcome, planned

pytestmark = pytest.mark.process

SEED = 20261122
DAYS = 12
LIVES = ("broker, gateway, firm", "broker, gateway, firm and gateway")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    """Two firms at the same time, each killed in parts and then whole, at random moments."""
    folder = tmp_path_factory.mktemp("cut")
    kills = {name: planned(SEED, number, 3, DAYS) for number, name in enumerate(LIVES)}
    print(f"seed {SEED}: {kills}")

    def lived(name: str, planned: list[Kill]) -> Outcome:
        return Life(Path(folder) / str(LIVES.index(name)) / "run", DAYS).live(planned)

    with ThreadPoolExecutor() as pool:
        yield dict(zip(kills, pool.map(lived, *zip(*kills.items(), strict=True)), strict=True))


@pytest.fixture(params=LIVES)
def outcome(request: pytest.FixtureRequest, outcomes: dict[str, Outcome]) -> Outcome:
    print(f"seed {SEED}: {outcomes[request.param]}")
    return outcomes[request.param]


def test_every_loss_was_recovered_from(outcome: Outcome, request: pytest.FixtureRequest):
    victims = ", ".join(recovery.victim for recovery in outcome.recoveries)

    assert victims == request.node.callspec.params["outcome"]
    assert outcome.fills_after > 0


def test_nothing_is_sent_twice_filled_twice_or_lost_and_the_books_are_the_gateways(outcome: Outcome):
    assert outcome.sent > 0
    assert not any(outcome.wrong.values()), outcome.wrong


def test_its_whole_log_replays(outcome: Outcome):
    assert outcome.replay.startswith("identical: ")
