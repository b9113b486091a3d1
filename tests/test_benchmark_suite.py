"""The suite runs every benchmark, says which failed, and compares ratios with a saved run."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.rows import APART, HERE, KNOWN, Row, constant
from benchmarks.suite import (
    BenchmarkFailed,
    How,
    Result,
    code,
    content,
    loaded_rows,
    machine,
    run_all,
    run_one,
    scripts,
    understood,
)
from benchmarks.table import against, drawing, markdown, table

END = 'if __name__ == "__main__":\n    main()\n'
GOOD = f"""import argparse, json, pathlib
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=pathlib.Path)
    row = {{"name": "hops", "value": 3.0, "unit": "ms", "peer": "bare", "peer_value": 2.0, "better": "lower"}}
    parser.parse_args().json.write_text(json.dumps({{"rows": [row]}}))
{END}"""
FAILING = f"def main():\n    raise SystemExit(3)\n{END}"
SILENT = f"def main():\n    pass\n{END}"
ENDLESS = f"import threading\ndef main():\n    threading.Event().wait()\n{END}"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, text in {"good": GOOD, "failing": FAILING, "silent": SILENT, "endless": ENDLESS}.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "part.py").write_text('"""No script: others import it."""\n')
    return tmp_path


def quiet(_line: str) -> None:
    """Nobody looks."""


def row(name: str = "hops", value: float = 3.0, **changes: Any) -> Row:
    return Row(**{"benchmark": "b", "name": name, "value": value, "unit": "ms", "peer": "bare"} | changes)


def test_every_script_that_can_be_run_alone_is_found_and_no_other_file(place: Path):
    runnable = {path.stem for path in HERE.glob("*.py") if 'if __name__ == "__main__"' in path.read_text()}

    assert set(scripts()) == runnable - {"__main__"} - APART
    assert set(KNOWN) <= set(scripts())
    assert scripts(place) == ["endless", "failing", "good", "silent"]


@pytest.mark.parametrize("name", scripts())
def test_every_script_can_say_its_figures_as_json(name: str):
    text = (HERE / f"{name}.py").read_text()

    assert "def main()" in text or "def main(argv" in text
    if name in KNOWN and KNOWN[name].prints:
        assert "print(json.dumps(" in text
    else:
        assert '"--json"' in text


def test_the_quick_arguments_are_ones_the_scripts_take():
    for name, known in KNOWN.items():
        text = (HERE / f"{name}.py").read_text()
        assert all(f'"{each}"' in text for each in known.quick if each.startswith("--"))


def test_only_scripts_that_can_use_a_cluster_or_draw_are_told_to(tmp_path: Path):
    how = How(quick=True, address="auto", plots=tmp_path)

    assert how.arguments(KNOWN["risk_cluster"]) == ["--rounds", "1", "--address", "auto"]
    assert how.arguments(KNOWN["scale"])[-4:] == ["--address", "auto", "--plots", str(tmp_path.resolve())]
    assert how.arguments(KNOWN["monte_carlo"]) == ["--rounds", "1"]
    for name, known in KNOWN.items():
        text = (HERE / f"{name}.py").read_text()
        assert known.on_cluster == ('"--address"' in text)
        assert known.plots == ('"--plots"' in text)


def test_a_script_in_a_process_of_its_own_gives_its_rows(place: Path):
    (found,) = run_one("good", How(timeout_s=60), place=place)

    assert found == Row("good", "hops", 3.0, "ms", "bare", 2.0, "lower")
    assert found.ratio == 1.5


@pytest.mark.parametrize(
    ("name", "reason"),
    [("failing", "exit code 3"), ("silent", "JSON file"), ("endless", "more than 1 s and was ended")],
)
def test_a_script_that_fails_is_named_with_the_reason(place: Path, name: str, reason: str):
    with pytest.raises(BenchmarkFailed, match=reason):
        run_one(name, How(timeout_s=1), place=place)


def test_one_that_fails_does_not_keep_the_others_from_running(place: Path):
    told: list[str] = []

    result = run_all(["failing", "good"], How(timeout_s=60), progress=told.append, place=place)

    assert [each.benchmark for each in result.rows] == ["good"]
    assert list(result.failed) == ["failing"]
    assert set(result.seconds) == {"failing", "good"}
    assert told[0] == "[1/2] failing"


def test_json_of_another_shape_is_a_failure_that_says_where_to_correct_it():
    with pytest.raises(
        BenchmarkFailed, match=r"benchmarks/rows.py expects of event_store: KeyError: 'table'"
    ):
        understood("event_store", "{}", KNOWN["event_store"])
    with pytest.raises(BenchmarkFailed, match="JSONDecodeError"):
        understood("event_store", "not JSON", KNOWN["event_store"])


def test_a_script_nobody_knows_shows_its_numbers_without_a_peer(place: Path):
    text = GOOD.replace('{"rows": [row]}', '{"machine": "x86", "p50": {"cancel_ms": 7}, "all": [1, 2]}')
    (place / "good.py").write_text(text)

    assert run_one("good", How(quick=True, timeout_s=60), place=place) == [
        Row("good", "p50, cancel_ms", 7.0, "")
    ]


def commits(batch: int, store: str, speed: float) -> dict[str, Any]:
    return {"batch": batch, "store": store, "events_per_second": speed}


SHAPES: dict[str, tuple[dict[str, Any], int, dict[str, float]]] = {
    "event_store": (
        {
            "table": [commits(1, *each) for each in
                      (("event store", 30.0), ("sqlite3 plain", 40.0), ("append + fsync", 60.0),
                       ("async standby", 15.0), ("sync standby", 15.0))],
            "others": {"read_events_per_second": 5.0, "verify_events_per_second": 6.0},
        },
        6,
        {"sqlite3, plain": 0.75, "append + fsync": 0.5, "without a standby": 0.5},
    ),
    "local_runner": (
        {"entries_per_second": 10.0, "decisions_per_second": 2.0, "replay_entries_per_second": 12.0},
        3,
        {"living it": 1.2},
    ),
    "monte_carlo": (
        {
            "scenarios_per_second": {"NumPy, low rank": 2.0, "firm, double": 26.0},
            "gigaflops": {"peak": 10.0, "Cholesky product": 7.0},
            "workers": {"one": 4.0, "two": 2.0, "idle": None},
        },
        3,
        {"NumPy, low rank": 13.0, "this core's peak": 0.7, "one thread": 2.0},
    ),
    "risk_cluster": (
        {
            "seconds": {"in this process": 1.0, "one Ray worker": 1.05, "two Ray workers": 0.6},
            "cycle_ms": {"risk run": 3.0, "risk agent": 1.0, "cycle": 8.0},
        },
        3,
        {"in process": 1.05, "one worker": 1.75, "the decision": 0.5},
    ),
    "options": (
        {
            "European, ns": {"value, ours": 10.0, "value and six Greeks, ours": 9.0, "value, tree": 50.0},
            "American, ns": {"value, ours": 100.0, "value, lattice": 400.0},
            "ladder": {"ns": {"ladder": 4.0, "European by formula": 2.0}},
        },
        3,
        {"tree": 5.0, "lattice": 4.0, "European by formula": 0.5},
    ),
    "bare_hops": (
        {"with_monte_carlo_ms": [9.0, 10.0, 90.0], "without_monte_carlo_ms": [5.0]},
        1,
        {"without Monte Carlo": 2.0},
    ),
    "tail_sampler": ({"hedged": {"gain with pilot": [3.0, 4.0]}}, 2, {"plain Monte Carlo": 4.0}),
    "tick_to_order": (
        {
            name: {
                "medians": {
                    "firm_first_p50_ms": 60.0,
                    "firm_first_p99_ms": 90.0,
                    "bare_p50_ms": 40.0,
                    "bare_p99_ms": 45.0,
                }
            }
            for name in ("separate", "co-seated")
        },
        4,
        {"the same hops, empty": 2.0},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_the_rows_of_each_script_have_the_ratios_that_its_figures_give(name: str):
    found, count, ratios = SHAPES[name]

    rows = understood(name, json.dumps(found), KNOWN[name])

    assert len(rows) == count
    assert {r.peer: pytest.approx(r.ratio) for r in rows if r.peer is not None} == ratios


def test_targets_are_those_the_scripts_themselves_state():
    monte_carlo = understood("monte_carlo", json.dumps(SHAPES["monte_carlo"][0]), KNOWN["monte_carlo"])
    hops = understood("tick_to_order", json.dumps(SHAPES["tick_to_order"][0]), KNOWN["tick_to_order"])

    assert [each.target for each in monte_carlo] == [12.0, 0.6, 1.7]
    assert [each.met for each in monte_carlo] == [True, True, True]
    assert [each.target for each in hops] == [1.5, None, 1.5, None]
    assert constant("risk_cluster", "WORKERS_RATIO_MIN") == 1.7
    with pytest.raises(LookupError, match="needs the constant NOT_THERE"):
        constant("risk_cluster", "NOT_THERE")


@pytest.mark.parametrize(
    ("ratio", "better", "met"), [(1.5, "lower", True), (1.51, "lower", False), (1.5, "higher", True)]
)
def test_a_target_bounds_the_ratio_from_the_side_that_is_worse(ratio: float, better: Any, met: bool):
    assert row(value=ratio, peer_value=1.0, better=better, target=1.5).met is met
    assert row(target=1.5).met is None


def test_only_ratios_that_became_worse_beyond_the_noise_are_told_as_worse():
    before = [
        row("slower", 2.0, peer_value=1.0),
        row("longer", 2.0, peer_value=1.0, better="lower"),
        row("within", 2.0, peer_value=1.0),
        row("gone", 2.0, peer_value=1.0),
        row("other machine, same ratio", 20.0, peer_value=10.0),
    ]
    now = [
        row("slower", 1.6, peer_value=1.0),
        row("longer", 2.5, peer_value=1.0, better="lower"),
        row("within", 1.8, peer_value=1.0),
        row("other machine, same ratio", 2.0, peer_value=1.0),
        row("came", 2.0, peer_value=1.0),
    ]

    lines = against(now, before)

    assert lines[1:] == [
        "  WORSE   b / longer / bare: 2.00 -> 2.50 (-20%)",
        "  WORSE   b / slower / bare: 2.00 -> 1.60 (-20%)",
        "  gone    b / gone / bare",
        "  new     b / came / bare",
    ]
    assert "nothing changed in 5 ratios" in against(before, before)[0]


def test_what_is_saved_says_the_machine_the_code_and_the_date_and_can_be_read_back():
    result = Result([row(peer_value=2.0, target=1.0)], {"bad": "exit code 1"}, {"b": 1.0, "bad": 0.1})

    saved = json.loads(json.dumps(content(result, How(quick=True))))

    assert saved["machine"]["cores"] >= 1
    assert saved["machine"]["cpu"]
    assert saved["machine"]["packages"]["numpy"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*\+00:00", saved["date"])
    assert saved["rows"][0]["ratio"] == 1.5
    assert list(loaded_rows(saved)) == result.rows
    assert machine() | {"load_average": 0} == saved["machine"] | {"load_average": 0}
    assert code()["commit"] == saved["code"]["commit"]


def test_the_table_shows_a_target_that_is_not_met():
    lines = table([row("quick", 1.0, peer_value=2.0, target=3.0), row("alone", 4.0, peer=None)]).splitlines()

    assert lines[1].split() == ["b", "quick", "1.00", "ms", "bare", "2.00", "0.500", ">=3", "NO"]
    assert lines[2].split() == ["b", "alone", "4.00", "ms"]


def test_the_table_for_the_readme_has_a_line_for_each_row_and_says_where_it_is_from():
    lines = markdown([row("a|b", 1.0, peer_value=2.0, target=3.0)], "x86; commit c; today").splitlines()

    assert lines[0] == "x86; commit c; today"
    assert lines[2].startswith("| benchmark | figure | value |")
    assert lines[3] == "|---|---|---:|---|---|---:|---:|---:|---|"
    assert lines[4] == "| b | a/b | 1.00 | ms | bare | 2.00 | 0.500 | >=3 | NO |"


def test_the_drawing_has_a_bar_for_each_ratio_with_its_words_escaped():
    svg = drawing([row("a < b", 4.0, peer_value=2.0, target=3.0), row("alone", 1.0, peer=None)], "x & y")

    assert svg.count("<rect") == 1
    assert "a &lt; b / bare" in svg
    assert "x &amp; y" in svg
    assert "#b3261e" in svg
    assert drawing([], "").startswith("<svg")


def test_the_exit_code_tells_of_a_failure_and_the_files_are_written(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file, kept, plots = tmp_path / "out" / "b.json", tmp_path / "kept.json", tmp_path / "plots"
    outputs = ["--json", str(file), "--plots", str(plots), "--baseline", str(kept)]

    fine = main(["--only", "good", "--save-baseline", str(kept)], place)
    bad = main(["--only", "good", "failing", *outputs], place)
    printed = capsys.readouterr().out

    assert (fine, bad) == (0, 1)
    assert "FAILED failing: it ended with exit code 3" in printed
    assert "nothing changed in 1 ratios" in printed
    assert json.loads(file.read_text())["failed"].keys() == {"failing"}
    assert (plots / "ratios.svg").read_text().startswith("<svg")


def test_a_baseline_that_is_not_there_is_refused_before_anything_runs(
    place: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit):
        main(["--only", "good", "--baseline", str(place / "none.json")], place)

    assert "--save-baseline" in capsys.readouterr().err


def test_the_command_lists_the_scripts_it_would_run():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "nonsense"],
        cwd=HERE.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert "tick_to_order" in done.stderr
