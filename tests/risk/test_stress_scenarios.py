"""Scenario and map files: what is in them, what is refused and how it is said, and windows of history."""

import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from firm.errors import ConfigError, DataError, InsufficientHistory
from firm.risk.stress_map import load_stress_map, packaged_stress_map, read_stress_map
from firm.risk.stress_scenarios import (
    UNITS,
    chosen,
    historical_window,
    load_scenarios,
    packaged_scenarios,
    read_scenarios,
    scenario_from_window,
)

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"

PACKAGED, PACKAGED_MAP = packaged_scenarios(), packaged_stress_map()

SMALL = """
sources:
  house: {provenance: H, text: our own figure}
scenarios:
  - name: crash
    kind: hypothetical
    date: 2026-11-22
    shocks:
      - source: house
        relative: {equity.us: -0.2, volatility.us: 0.5}
        points: {volatility.us: 0.1}
        bp: {rates.usd: -50}
        unchanged: [fx]
"""

MAP = """
base_currency: USD
parents: {equity.us: equity, equity.us.*: equity.us}
regions: {USD: equity.us}
sectors: {Energy: energy}
instruments:
  FUT: {ZN: {factor: rates.usd, duration: 6}}
options: {volatility: {equity: volatility}, rate: {USD: rates.usd}, reference_days: 30}
"""


def packaged(name: str):
    return chosen(PACKAGED, [name])[0]


def relative(name: str, factor: str) -> float:
    return packaged(name).shocks[factor].relative


def refused(old: str, new: str) -> str:
    """The error of the small file with one thing changed."""
    assert old in SMALL
    with pytest.raises(ConfigError) as error:
        read_scenarios(SMALL.replace(old, new, 1), "mine.yaml")
    return str(error.value)


def refused_map(old: str, new: str) -> str:
    assert old in MAP
    with pytest.raises(ConfigError) as error:
        read_stress_map(MAP.replace(old, new, 1), "map.yaml")
    return str(error.value)


def test_a_small_file_is_read_with_its_units():
    (crash,) = read_scenarios(SMALL, "mine.yaml")

    assert (crash.name, crash.kind, crash.start, crash.end) == (
        "crash",
        "hypothetical",
        date(2026, 11, 22),
        date(2026, 11, 22),
    )
    assert crash.shocks["equity.us"].relative == -0.2
    assert (crash.shocks["volatility.us"].relative, crash.shocks["volatility.us"].shift) == (0.5, 0.1)
    assert crash.shocks["rates.usd"].shift == pytest.approx(-0.005, abs=1e-15)
    assert (crash.shocks["fx"].relative, crash.shocks["fx"].shift) == (0.0, 0.0)
    assert crash.shocks["equity.us"].source == "our own figure"
    assert (crash.spread_multiplier, crash.correlation_blend) == (1.0, 0.0)


def test_a_group_of_shocks_may_have_its_own_days():
    dated = SMALL.replace(
        "      - source: house", "      - source: house\n        from: 2020-03-01\n        to: 2020-03-16"
    )

    shock = read_scenarios(dated, "mine.yaml")[0].shocks["equity.us"]

    assert (shock.start, shock.end) == (date(2020, 3, 1), date(2020, 3, 16))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("        relative", "        relativ", "'crash'.shocks.0.relativ: unknown key"),
        ("    kind: hypothetical", "    kind: rumour", "'crash'.kind: Input should be 'historical'"),
        ("      - source: house\n  ", "      - note: x\n  ", "'crash'.shocks.0.source: needed, not found"),
        ("source: house", "source: hearsay", "the source 'hearsay' needs an entry under `sources`"),
        ("    date: 2026-11-22\n", "", "needs either `date`, or `from` and a later `to`; found date None"),
        ("date: 2026-11-22", "from: 2026-11-22", "needs either `date`, or `from` and a later `to`"),
        ("date: 2026-11-22", "date: yesterday", "'crash'.date: Input should be a valid date"),
        ("date: 2026-11-22", "date: 20261122", "'crash'.date: Input should be a valid date"),
        ("equity.us: -0.2", "equity.us: a lot", "relative.equity.us: Input should be a valid number"),
        (
            "equity.us: -0.2",
            "equity.us: yes",
            "relative: Value error, true and false are not values of equity.us",
        ),
        ("equity.us: -0.2", "equity.us: .nan", "relative.equity.us: Input should be a finite number"),
        ("equity.us: -0.2", "equity.us: -1", "equity.us needs a relative move above -1, found -1.0"),
        ("equity.us: -0.2", "stocks.us: -0.2", "a factor begins with equity, name, fx"),
        ("equity.us: -0.2", "equity..us: -0.2", "a factor begins with equity, name, fx"),
        ("equity.us: -0.2", "rates.usd.2y: -0.2", "rates.usd.2y moves by bp, found relative"),
        ("equity.us: -0.2", "equity.us: -0.2, equity.us: -0.3", "the key 'equity.us' is given twice"),
        ("unchanged: [fx]", "unchanged: [fx, rates.usd]", "rates.usd is given twice"),
        ("unchanged: [fx]", "unchanged: [volatility.us]", "volatility.us is given twice"),
        ("provenance: H", "provenance: sure", "sources.house.provenance"),
    ],
)
def test_what_is_wrong_in_a_scenario_file_is_said_with_its_place(old: str, new: str, said: str):
    message = refused(old, new)

    assert message.startswith("mine.yaml")
    assert said in message


def test_an_empty_group_a_wrong_order_of_days_and_no_scenarios_are_refused():
    lines = SMALL.splitlines()
    bare = "\n".join(line for line in lines if not line.startswith("        "))
    with pytest.raises(ConfigError, match="a group of shocks needs relative, points, bp or unchanged"):
        read_scenarios(bare, "mine.yaml")
    backwards = SMALL.replace("date: 2026-11-22", "from: 2026-11-22\n    to: 2026-11-21")
    with pytest.raises(ConfigError, match="`from` and a later `to`"):
        read_scenarios(backwards, "mine.yaml")
    inner = SMALL.replace("source: house\n  ", "source: house\n        to: 2020-01-01\n  ")
    with pytest.raises(ConfigError, match="need to end after they start"):
        read_scenarios(inner, "mine.yaml")
    with pytest.raises(ConfigError, match="needs at least one scenario"):
        read_scenarios("sources: {}\nscenarios: []\n", "mine.yaml")
    shockless = SMALL[: SMALL.index("    shocks:")] + "    shocks: []\n"
    with pytest.raises(ConfigError, match="'crash': needs at least one group of shocks"):
        read_scenarios(shockless, "mine.yaml")


def test_a_volatility_moved_relatively_in_two_groups_is_refused():
    other = "      - source: house\n        relative: {volatility.us: 0.2}\n"

    with pytest.raises(ConfigError, match=r"volatility\.us is given twice in the same unit"):
        read_scenarios(SMALL.replace("        points: {volatility.us: 0.1}\n", "") + other, "mine.yaml")


def test_two_scenarios_of_one_name_are_refused():
    twice = SMALL + SMALL[SMALL.index("  - name") :]

    with pytest.raises(ConfigError, match="scenario names need to differ, found twice: crash"):
        read_scenarios(twice, "mine.yaml")


def test_what_is_no_yaml_no_mapping_or_no_file_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"mine.yaml is not YAML"):
        read_scenarios("a: [", "mine.yaml")
    with pytest.raises(ConfigError, match="needs a mapping of keys"):
        read_scenarios("- a\n", "mine.yaml")
    with pytest.raises(ConfigError, match="No such file"):
        load_scenarios(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="No such file"):
        load_stress_map(tmp_path / "none.yaml")


def test_files_of_ones_own_are_read_from_disk(tmp_path: Path):
    (tmp_path / "s.yaml").write_text(SMALL, encoding="utf-8")
    (tmp_path / "m.yaml").write_text(MAP, encoding="utf-8")

    assert load_scenarios(tmp_path / "s.yaml")[0].name == "crash"
    assert load_stress_map(tmp_path / "m.yaml").base_currency == "USD"


def test_scenarios_are_chosen_by_name_and_an_unknown_one_is_refused():
    names = ["covid-2020", "black-monday-1987"]

    assert [scenario.name for scenario in chosen(PACKAGED, names)] == names
    with pytest.raises(ConfigError, match="no stress scenario is called covid-2021; there are: black-monday"):
        chosen(PACKAGED, ["covid-2021"])


def test_every_packaged_shock_has_a_source_a_provenance_and_days_inside_its_scenario():
    scenarios = PACKAGED

    assert len(scenarios) >= 25
    for scenario in scenarios:
        assert scenario.shocks
        for factor, shock in scenario.shocks.items():
            assert len(shock.source) > 10, (scenario.name, factor)
            assert (
                shock.provenance in {"S", "C"} if scenario.kind == "historical" else shock.provenance == "H"
            )
            assert scenario.start <= shock.start <= shock.end <= scenario.end


def test_every_historical_episode_is_there_with_its_days():
    days = {s.name: (s.start, s.end) for s in PACKAGED if s.kind == "historical"}

    assert days["black-monday-1987"] == (date(1987, 10, 16), date(1987, 10, 19))
    assert {end.year for _, end in days.values()} == {
        1987,
        1998,
        2002,
        2008,
        2010,
        2011,
        2015,
        2018,
        2020,
        2022,
    }


def test_packaged_figures_are_those_of_record():
    assert relative("black-monday-1987", "equity.us") == -0.2047  # S&P 500, SHK-1
    assert packaged("black-monday-1987").shocks["volatility.us"].shift == pytest.approx(1.5019 - 0.3637)
    assert -0.42 < relative("lehman-2008", "equity.us") < -0.39  # S&P 500 1251.70 to 752.44: -39.9 %
    assert -0.36 < relative("covid-2020", "equity.us") < -0.33  # S&P 500 3386.15 to 2237.40: -33.9 %
    assert -0.51 < relative("dot-com-2000-2002", "equity.us") < -0.48  # S&P 500 1527.46 to 776.76: -49.1 %
    assert packaged("covid-2020").shocks["volatility.us"].shift == pytest.approx(
        (82.69 - 14.38) / 100, abs=1e-4
    )
    assert packaged("volatility-2018").shocks["volatility.us"].shift == pytest.approx(0.2001, abs=1e-4)
    assert packaged("rates-2022").shocks["rates.usd.2y"].shift == pytest.approx(0.0389)
    assert packaged("lehman-2008").shocks["credit"].shift == pytest.approx(0.0249)
    assert relative("lehman-2008", "equity.us.financials") < relative("lehman-2008", "equity.us")


@pytest.mark.parametrize("scenario", PACKAGED, ids=lambda scenario: scenario.name)
def test_every_packaged_scenario_covers_what_shares_options_bonds_currencies_and_gold_need(scenario):
    stress_map = PACKAGED_MAP
    needed = [
        "equity.us",
        "equity.europe",
        "equity.japan.energy",
        "equity.us.real-estate",
        "equity.us.nasdaq",
    ]
    needed += [
        "volatility.us",
        "rates.usd.3m",
        "rates.usd.2y",
        "rates.usd.5y",
        "rates.usd.10y",
        "rates.usd.30y",
    ]
    needed += ["fx.eur", "fx.gbp", "fx.jpy", "fx.aud", "fx.chf", "commodity.gold", "commodity.wheat"]
    if scenario.end.year > 1990:
        needed += ["commodity.oil", "commodity.gas", "commodity.copper", "credit"]

    assert [factor for factor in needed if stress_map.shock(scenario, factor) is None] == []


@pytest.mark.parametrize(
    "scenario",
    [s for s in PACKAGED if s.kind == "hypothetical"],
    ids=lambda scenario: scenario.name,
)
def test_every_hypothetical_scenario_says_something_about_every_kind_of_factor(scenario):
    roots = [kind for kind in UNITS if kind not in {"name", "rates"}] + ["rates.usd"]

    assert [root for root in roots if root not in scenario.shocks] == []


def test_the_liquidity_and_correlation_scenarios_say_so():
    assert packaged("liquidity-freeze").spread_multiplier == 10.0
    assert packaged("correlation-to-one").correlation_blend == 1.0
    assert packaged("equity-down-10").correlation_blend == 0.0


def test_the_packaged_historical_figures_are_what_the_tool_computes():
    if not DATA.is_dir():
        pytest.skip("the market data the tool reads are not here")
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import build_stress_scenarios as tool
    finally:
        sys.path.remove(str(ROOT / "tools"))

    built = tool.yaml_of(tool.Data(DATA))

    assert built == tool.TARGET.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("regions:", "region:", "region: unknown key"),
        ("reference_days: 30", "reference_days: 0", "greater than 0"),
        ("reference_days: 30", "reference_days: a month", "valid number"),
        ("duration: 6", "beta: 1", "FUT ZN: rates.usd needs just duration or points, found beta"),
        ("duration: 6", "duration: 6, points: 2", "needs just duration or points, found duration, points"),
        ("factor: rates.usd, duration: 6", "factor: equity", "equity needs just beta, found nothing"),
        (
            "factor: rates.usd, duration: 6",
            "factor: volatility, beta: 1",
            "volatility needs just points, found beta",
        ),
        ("factor: rates.usd,", "factor: bonds.usd,", "a factor begins with equity"),
        ("{ZN: {factor: rates.usd, duration: 6}}", "{ZN: []}", "needs at least one factor"),
        ("equity.us: equity,", "equity.us: fx,", "equity.us and its parent fx need to be of one kind"),
        ("equity.us: equity,", "equity.us: equity, equity: equity.us.energy,", "go in a circle"),
        ("{USD: equity.us}", "{USD: us}", "a factor begins with"),
    ],
)
def test_what_is_wrong_in_a_map_is_said_with_its_place(old: str, new: str, said: str):
    assert said in refused_map(old, new)


def test_a_window_of_history_compounds_the_returns_after_its_first_close():
    days = [date(2020, 3, day) for day in (2, 3, 4, 5)]
    returns = np.array([[0.5, 0.5], [0.1, -0.1], [0.1, -0.5], [0.5, 0.5]])

    assert historical_window(returns, days, date(2020, 3, 2), date(2020, 3, 4)) == pytest.approx(
        [0.21, -0.55]
    )


def test_a_window_becomes_a_scenario():
    days = [date(2020, 3, day) for day in (2, 3, 4)]
    scenario = scenario_from_window(
        "march", ["name.AAPL", "equity.us"], np.full((3, 2), -0.1), days, days[0], days[2], "own closes"
    )

    assert scenario.shocks["name.AAPL"].relative == pytest.approx(-0.19)
    assert (scenario.kind, scenario.start, scenario.end) == ("historical", days[0], days[2])
    with pytest.raises(ConfigError, match=r"rates\.usd moves by bp, found relative"):
        scenario_from_window("x", ["rates.usd"], np.full((3, 1), -0.1), days, days[0], days[2], "own")


def test_a_window_outside_the_data_or_with_holes_is_refused():
    days = [date(2020, 3, day) for day in (2, 3, 4, 5)]
    returns = np.zeros((4, 1))
    holed = returns.copy()
    holed[2] = np.nan

    with pytest.raises(InsufficientHistory, match="found 2020-03-02 to 2020-03-05"):
        historical_window(returns, days, date(2020, 3, 3), date(2020, 3, 9))
    with pytest.raises(InsufficientHistory):
        historical_window(returns, days, date(2020, 2, 3), date(2020, 3, 5))
    with pytest.raises(InsufficientHistory, match="found nothing"):
        historical_window(np.zeros((0, 1)), [], date(2020, 3, 3), date(2020, 3, 9))
    with pytest.raises(DataError):
        historical_window(holed, days, date(2020, 3, 2), date(2020, 3, 5))
    with pytest.raises(ValueError, match="end after it starts"):
        historical_window(returns, days, date(2020, 3, 4), date(2020, 3, 4))
    with pytest.raises(ValueError, match="one rising date a row"):
        historical_window(returns, days[::-1], date(2020, 3, 2), date(2020, 3, 4))
