import json
from pathlib import Path

import pytest
import whole_firm

from firm.cli import main
from firm.events.broker import AccountReported
from firm.events.risk import RiskMeasured, RiskRunCompleted
from firm.store.keys import Keys
from firm.store.memory import MemoryStore
from firm.store.sqlite import SqliteStore

MASTER, SEED = bytes(range(32)), bytes(range(32, 64))


@pytest.fixture(scope="module")
def lived() -> MemoryStore:
    """Four days of the whole firm in one thread."""
    config = whole_firm.settings(*whole_firm.QUICK, "risk.var.history_bars=300")
    return whole_firm.run(config, whole_firm.sample(4))


@pytest.fixture
def directory(lived: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run as it would lie on disk."""
    store = SqliteStore.open(tmp_path, Keys.from_bytes(MASTER, SEED))
    store.commit(lived.read())
    store.close()
    monkeypatch.setenv("FIRM_STORE_KEY", MASTER.hex())
    monkeypatch.setenv("FIRM_SIGNING_KEY", SEED.hex())
    return tmp_path


def test_the_command_says_what_the_firm_itself_said(
    directory: Path, lived: MemoryStore, capsys: pytest.CaptureFixture[str]
):
    assert main(["risk", str(directory), "--json", "--free-margin", "5000", "--loss", "20000"]) == 0
    said = json.loads(capsys.readouterr().out)
    *_, run = whole_firm.events(lived, RiskRunCompleted)
    *_, measured = whole_firm.events(lived, RiskMeasured)
    *_, account = whole_firm.events(lived, AccountReported)
    assert isinstance(run, RiskRunCompleted)
    assert isinstance(measured, RiskMeasured)
    assert isinstance(account, AccountReported)
    by_method = {method["name"]: method["figures"] for method in said["risk"]["methods"]}

    assert said["about"]["as_requested"] is True
    assert said["risk"]["monte_carlo"]["recorded"] is True
    assert by_method["Monte Carlo"] == {"var": run.var, "es": run.es}
    for name, var, es in (
        ("historical", measured.historical_var, measured.historical_es),
        ("normal", measured.parametric_var, measured.parametric_es),
    ):
        assert by_method[name]["var"] == pytest.approx(var, rel=1e-9)
        assert by_method[name]["es"] == pytest.approx(es, rel=1e-9)
    stress = {row["scenario"]: row["loss"] for row in said["risk"]["stresses"]["rows"]}
    assert stress == pytest.approx(dict(run.stress), rel=1e-9, abs=1e-6)
    assert said["risk"]["stresses"]["rows"][0]["scenario"] == measured.worst_stress
    assert said["risk"]["greeks"][-1]["delta"] == pytest.approx(measured.delta, rel=1e-9)
    stressed = {row["blend"]: row["var"] for row in said["risk"]["drivers"]["correlation"]["stressed"]}
    assert stressed[0.5] == pytest.approx(measured.stressed_var, rel=1e-9)
    normal = {p["symbol"]: p["normal"] for p in said["risk"]["positions"]}
    assert sum(normal.values()) == pytest.approx(sum(share for _, share in measured.components), rel=1e-9)
    assert said["margin"]["broker"]["excess_liquidity"] == pytest.approx(float(account.excess_liquidity))
    assert said["risk"]["reverse"]["target"] == 20_000
    assert said["risk"]["trims"]["wanted"] == 5_000


def test_the_record_has_every_measured_day_and_both_tests_of_es(
    directory: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["risk", str(directory), "--json"]) == 0
    records = json.loads(capsys.readouterr().out)["backtests"]

    assert [row["method"] for row in records] == ["historical", "parametric", "monte_carlo"]
    for row in records:
        assert row["var"]["observations"] == row["es"]["days"] >= 1, row
        assert row["var"]["traffic_light"]["zone"] in {"green", "yellow", "red"}


def test_the_tables_are_readable_and_the_same_each_time(directory: Path, capsys: pytest.CaptureFixture[str]):
    texts = []
    for _ in range(2):
        assert main(["risk", str(directory)]) == 0
        texts.append(capsys.readouterr().out)
    text = texts[0]

    assert texts[1] == text
    assert max(map(len, text.splitlines())) <= 130
    for words in (
        "VaR 99.0 %",
        "ES 97.5 %",
        "by method",
        "It is the recorded run's figure, computed again to the bit.",
        "Which position carries it",
        "Stress scenarios, worst first",
        "Reverse stress",
        "the authority",
        "estimate",
        "Daily record",
    ):
        assert words in text, words
    assert "−$0" not in text


@pytest.mark.parametrize(
    "wrong", [["--free-margin", "-5"], ["--loss", "nan"], ["--loss", "x"], ["--horizon-days", "0"]]
)
def test_a_question_that_makes_no_sense_is_refused(
    directory: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as refused:
        main(["risk", str(directory), *wrong])

    assert refused.value.code == 2
    assert "needed" in capsys.readouterr().err
