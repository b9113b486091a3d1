import json
from pathlib import Path
from typing import Any

import pytest

from firm.chaos.results import Results, markdown, table
from firm.errors import ConfigError

KEY = {"seed": 1, "faults": ["a"], "repeats": 2}
GOOD: dict[str, Any] = {
    "lost": [],
    "doubled": [],
    "positions": [],
    "after_halt": [],
    "not_accepted": 0,
    "replay": "identical: 12 entries, head ab",
}


def met(fault: str = "a", **changed: Any) -> dict[str, Any]:
    as_usual = {"fault": fault, "detected_s": 1.0, "recovered_s": 2.0, "entries_lost": 0, "complaints": []}
    return as_usual | changed


def day(*faults: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {"faults": list(faults), "ending": GOOD | changed}


def test_a_campaign_is_resumed_from_its_file_and_finished_days_are_not_lived_again(tmp_path: Path):
    path = tmp_path / "results.json"
    Results(path, KEY).add_day(1, [met()], GOOD)
    resumed = Results(path, KEY)

    assert resumed.has_day(1)
    assert not resumed.has_day(2)
    assert [row.fault for row in resumed.table()] == ["a"]
    assert json.loads(path.read_text())["plan"] == KEY


def test_the_results_of_another_plan_are_refused(tmp_path: Path):
    path = tmp_path / "results.json"
    Results(path, KEY).add_day(1, [met()], GOOD)

    with pytest.raises(ConfigError, match=r"the plan must be .*'seed': 1.* found .*'seed': 2"):
        Results(path, KEY | {"seed": 2})


def test_the_table_has_the_median_and_the_longest_of_the_repeats():
    (row,) = table(
        [day(met(detected_s=1.0), met(detected_s=None, recovered_s=9.0)), day(met(detected_s=3.0))]
    )

    assert (row.repeats, row.detected_s, row.recovered_s) == (3, (2.0, 3.0), (2.0, 9.0))
    assert row.clean
    assert "| what a does | 3 | 2.0 (3.0) | 2.0 (9.0) | 0 | 0 | 0 | 0 | yes | yes |" in markdown(
        [row], {"a": "what a does"}
    )


@pytest.mark.parametrize(
    "bad",
    [
        day(met(entries_lost=1)),
        day(met(complaints=["an order after the halt"])),
        day(met(), lost=["an order"]),
        day(met(), doubled=["an order"]),
        day(met(), positions=["AAPL"]),
        day(met(), after_halt=["an order"]),
        day(met(), replay="DIVERGED at seq 3"),
    ],
)
def test_whatever_is_wrong_with_a_day_is_in_the_table(bad: dict[str, Any]):
    rows = table([day(met()), bad])

    assert not rows[0].clean
    assert markdown(rows, {}) != markdown(table([day(met()), day(met())]), {}), "and can be seen there"


def test_what_a_day_lost_is_counted_once_for_each_fault_it_had():
    rows = table([day(met("a"), met("a"), met("b"), lost=["one"])])

    assert [(row.fault, row.orders_lost) for row in rows] == [("a", 1), ("b", 1)]
