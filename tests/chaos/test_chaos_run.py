"""A short campaign on a real firm: what was drawn from the seed happens, is noticed, and costs nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from firm.chaos.campaign import chaos
from firm.chaos.results import TableRow
from firm.errors import ConfigError

pytestmark = pytest.mark.process

SEED = 20261122
FAULTS = ("kill_broker", "kill_cio", "kill_signals", "halt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chaos")


@pytest.fixture(scope="module")
def rows(folder: Path) -> Iterator[dict[str, TableRow]]:
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRM_KEY_DIR", str(folder / "keys"))
        found = chaos(SEED, FAULTS, 1, folder / "runs", folder / "results.json", told.append)
        print(f"seed {SEED}", *told, sep="\n")
        yield {row.fault: row for row in found}


def test_every_fault_has_happened_and_the_firm_has_recovered(rows: dict[str, TableRow]):
    assert set(rows) == set(FAULTS)
    assert all(0 < row.recovered_s[1] < 120 for row in rows.values())


def test_the_firm_has_noticed_each(rows: dict[str, TableRow]):
    assert all(row.detected_s is not None and row.detected_s[1] < 60 for row in rows.values())


def test_nothing_was_lost_doubled_or_different(rows: dict[str, TableRow]):
    assert all(row.clean for row in rows.values()), rows


def test_a_finished_campaign_is_not_lived_again(rows: dict[str, TableRow], folder: Path):
    before = (folder / "results.json").read_bytes()
    told: list[str] = []
    again = chaos(SEED, FAULTS, 1, folder / "nowhere", folder / "results.json", told.append)

    assert told == ["day 1: done before"]
    assert {row.fault: row for row in again} == rows
    assert (folder / "results.json").read_bytes() == before
    assert not (folder / "nowhere").exists()
    assert json.loads(before)["plan"]["seed"] == SEED


def test_a_fault_that_there_is_not_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"--faults needs some of kill_bus, .* found flood"):
        chaos(1, ["flood"], 1, tmp_path, tmp_path / "results.json", print)
