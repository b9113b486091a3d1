"""Whatever is wrong with a configuration, the firm does not start, and says which key and what to do."""

import copy
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from firm.config import Settings, load_settings, parse_settings
from firm.domain.instrument import Instrument
from firm.errors import ConfigError
from firm.risk.stress import stress_of

PAPER = Path(__file__).parent.parent / "config" / "paper.yaml"
CONTENT: dict[str, Any] = yaml.safe_load(PAPER.read_text(encoding="utf-8"))


NAMED_FREELY = {("cio", "weights"), ("universe", "reference")}


def paths(content: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key, as the way to it: sections too, but not what a person may name freely."""
    found = []
    for key, value in content.items():
        found.append((*above, key))
        if isinstance(value, dict) and (*above, key) not in NAMED_FREELY:
            found += paths(value, (*above, key))
    return found


KEYS = paths(CONTENT)
LEAVES = [path for path in KEYS if not any(other[: len(path)] == path for other in KEYS if other != path)]
name = ".".join


def without(path: tuple[str, ...]) -> dict[str, Any]:
    content = copy.deepcopy(CONTENT)
    section = content
    for key in path[:-1]:
        section = section[key]
    del section[path[-1]]
    return content


def refusal(content: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as error:
        parse_settings(content, "test.yaml")
    return str(error.value)


def overridden(*overrides: str) -> Settings:
    return load_settings(PAPER, overrides)


def test_the_paper_configuration_is_complete():
    assert len(LEAVES) >= 70
    assert load_settings(PAPER).model_dump().keys() == CONTENT.keys()


@pytest.mark.parametrize("path", KEYS, ids=name)
def test_a_missing_key_is_refused_and_named(path: tuple[str, ...]):
    lines = refusal(without(path)).splitlines()

    assert lines[0] == "configuration test.yaml is wrong:"
    needed = f"  {name(path)}: needed, not found; every key is required (see config/paper.yaml)"
    assert needed in lines
    assert len(lines) == 2


@pytest.mark.parametrize("path", [(), *(p for p in KEYS if p not in LEAVES)], ids=lambda p: name(p) or "top")
def test_an_unknown_key_is_refused_in_every_section(path: tuple[str, ...]):
    content = copy.deepcopy(CONTENT)
    section = content
    for key in path:
        section = section[key]
    section["max_levrage"] = 2

    if path == ("cio", "weights"):
        assert parse_settings(content, "test.yaml").cio.weights["max_levrage"] == 2
    else:
        key = name((*path, "max_levrage"))
        assert f"  {key}: unknown key (found 2); remove it or correct its name" in refusal(content)


FREE_TEXT = {
    ("broker", "gateway_host"),
    ("simulation", "account"),
    ("simulation", "clock"),
    ("cluster", "namespace"),
}
NULLABLE = {
    ("system", "lei"),
    ("broker", "account"),
    ("broker", "restart_at"),
    ("broker", "login_by"),
    ("cluster", "address"),
    ("standby", "address"),
    ("signals", "momentum"),
    ("signals", "stat_arb"),
    ("risk", "stress", "file"),
}


WRONG = {
    "list": ([1, {"a": 2}], LEAVES),
    "map": ({"a": [1]}, LEAVES),
    "words": ("neither this nor that", [p for p in LEAVES if p not in FREE_TEXT | NULLABLE]),
}


@pytest.mark.parametrize(
    ("path", "wrong"),
    [pytest.param(p, wrong, id=f"{name(p)} {kind}") for kind, (wrong, ps) in WRONG.items() for p in ps],
)
def test_a_value_of_the_wrong_type_is_refused_and_named(path: tuple[str, ...], wrong: object):
    content = without(path)
    section = content
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = wrong

    assert f"  {name(path)}" in refusal(content)


@pytest.mark.parametrize("path", [leaf for leaf in LEAVES if leaf not in NULLABLE], ids=name)
def test_null_is_no_value(path: tuple[str, ...]):
    with pytest.raises(ConfigError, match=re.escape(name(path))):
        overridden(f"{name(path)}=null")


@pytest.mark.parametrize(
    "override",
    [
        "barrier.quorum=1.01",
        "barrier.quorum=-0.01",
        "barrier.timeout_ms=0",
        "broker.client_id=-1",
        "broker.gateway_port=65536",
        "cio.gross_target=0",
        "cio.max_weight=1.5",
        "cio.weights={momentum: 0}",
        "compliance.max_order_value_usd=0",
        "compliance.max_order_quantity=-1",
        "compliance.max_quote_age_ms=0",
        "compliance.price_collar=5",
        "execution.default_algo=iceberg",
        "execution.twap_slices=0",
        "ops.host=0.0.0.0",
        "risk.max_daily_loss=5",
        "risk.max_drawdown=20",
        "risk.max_leverage=0",
        "risk.max_portfolio_var=-35000",
        "risk.max_position_var=0",
        "risk.max_position_weight=0",
        "risk.var.confidence=99",
        "risk.var.confidence=0.5",
        "risk.var.confidence=1",
        "risk.var.degrees_of_freedom=5",
        "risk.var.scenarios=0",
        "risk.var.seed=-1",
        "schedule.decide=0",
        "schedule.decide=whenever",
        "signals.stat_arb.adf_critical=0",
        "simulation.cash_usd=0",
        "simulation.days=0",
        "system.mode=demo",
        "system.base_currency=EUR",
    ],
)
def test_a_value_out_of_bounds_is_refused_with_what_was_found(override: str):
    path, _, value = override.partition("=")

    with pytest.raises(ConfigError) as error:
        overridden(override)

    line = next(line for line in str(error.value).splitlines() if line.startswith(f"  {path}"))
    assert line.endswith(")")
    assert value.strip("{}").removeprefix("momentum: ") in line.partition("(found ")[2]


@pytest.mark.parametrize("limit", ["max_portfolio_var", "max_position_var", "max_leverage", "max_drawdown"])
@pytest.mark.parametrize("value", [".nan", ".inf"])
def test_a_limit_that_cannot_be_exceeded_is_no_limit(limit: str, value: str):
    with pytest.raises(ConfigError, match=f"risk.{limit}"):
        overridden(f"risk.{limit}={value}")


@pytest.mark.parametrize(
    "form",
    ["risk.max_leverage", "max_leverage=2", "=2", ".=2", "risk.=2", ".max_leverage=2", "risk..x=2", ""],
)
def test_a_set_without_section_key_and_value_is_refused_with_an_example(form: str):
    message = f"--set needs section.key=value, found {form!r}; e.g. --set risk.max_leverage=1.5"

    with pytest.raises(ConfigError, match=re.escape(message)):
        overridden(form)


def test_a_set_of_no_such_section_or_key_is_refused():
    with pytest.raises(ConfigError, match=r"--set risq.max_leverage=2: there is no section 'risq'"):
        overridden("risq.max_leverage=2")
    with pytest.raises(ConfigError, match=r"there is no section 'max_leverage'"):
        overridden("risk.max_leverage.x=2")
    with pytest.raises(ConfigError, match=r"risk.max_levrage: unknown key \(found 2\)"):
        overridden("risk.max_levrage=2")


def test_a_set_that_is_not_yaml_is_refused():
    with pytest.raises(ConfigError, match=r"--set cio.weights=\{momentum: '\{momentum' is not a YAML value"):
        overridden("cio.weights={momentum")


def test_a_set_changes_that_key_and_the_last_one_wins():
    changed = overridden(
        "risk.max_leverage=2", "risk.max_leverage=2.5", "risk.var.seed=7", "signals.stat_arb=null"
    )

    assert (changed.risk.max_leverage, changed.risk.var.seed) == (2.5, 7)
    assert changed.signals.stat_arb is None
    assert changed.cio == load_settings(PAPER).cio


def test_no_file_is_refused_with_the_remedy(tmp_path: Path):
    missing = tmp_path / "none.yaml"

    with pytest.raises(ConfigError, match=f"found nothing at {missing}; copy config/paper.yaml"):
        load_settings(missing)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("risk: [1, 2", "is not YAML"),
        ("", "needs sections .see config/paper.yaml., found None"),
        ("- risk\n- cio\n", "needs sections"),
        ("just words", "needs sections"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, message: str):
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=message):
        load_settings(path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00risk", b"mode: \x80"])
def test_a_file_that_is_not_text_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match="is not YAML"):
        load_settings(path)


def test_a_key_that_is_given_twice_is_refused(tmp_path: Path):
    path = tmp_path / "twice.yaml"
    text = PAPER.read_text(encoding="utf-8")
    path.write_text(text.replace("  max_leverage:", "  max_leverage: 9\n  max_leverage:"), encoding="utf-8")

    with pytest.raises(ConfigError, match=r"(?s)the key 'max_leverage' is given twice; remove one.*line \d+"):
        load_settings(path)


@pytest.mark.parametrize("path", [("risk", "max_leverage"), ("execution", "twap_slices"), ("system", "lei")])
def test_yes_is_not_a_number(path: tuple[str, ...]):
    with pytest.raises(ConfigError, match=f"{name(path)}: .*true and false are not values of this key"):
        overridden(f"{name(path)}=yes")
    assert overridden("cluster.dashboard=no").cluster.dashboard is False


def test_a_directory_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"needs a YAML file, .* cannot be read: Is a directory"):
        load_settings(tmp_path)


def test_all_problems_are_told_at_once():
    content = copy.deepcopy(CONTENT)
    del content["risk"]["max_leverage"]
    content["cio"]["max_weight"] = 12
    content["extra"] = 1

    assert len(refusal(content).splitlines()) == 4


def test_every_key_of_the_paper_configuration_has_a_comment_with_unit_or_reason():
    lines = [line for line in PAPER.read_text(encoding="utf-8").splitlines() if re.match(r" +[a-z_]+:", line)]
    sections = {path[-1] for path in KEYS if path not in LEAVES} - {"weights"}
    bare = [
        line.strip()
        for line in lines
        if not re.search(r"# \S.{3,}", line) and line.strip().rstrip(":") not in sections
    ]

    # The names of signal agents are explained where their weights are introduced.
    assert bare == ["momentum: 1.0", "stat_arb: 1.0"]
    keys = [match.group(1) for line in lines if (match := re.match(r" +([a-z_]+):", line))]
    assert set(keys) >= {path[-1] for path in LEAVES}


def test_the_log_holds_every_figure_a_decision_depends_on_and_no_hosts_ports_or_seats():
    settings = load_settings(PAPER)
    logged = json.loads(settings.logged())
    words = settings.logged()

    assert set(logged) == set(CONTENT) - {"broker", "cluster", "standby", "ops"}
    assert logged["risk"]["var"] == CONTENT["risk"]["var"]
    for word in (
        "host",
        "gateway_port",
        '"port"',
        "replicas",
        "client_id",
        "namespace",
        "127.0.0.1",
        "num_cpus",
    ):
        assert word not in words
    assert settings.logged() == json.dumps(logged, sort_keys=True, separators=(",", ":"))


def test_where_the_firm_is_seated_does_not_change_what_is_logged():
    moved = overridden("broker.gateway_port=4001", "cluster.signal_replicas=7", "ops.port=0")

    assert moved.logged() == load_settings(PAPER).logged()
    assert overridden("risk.max_leverage=1.4").logged() != load_settings(PAPER).logged()


@pytest.mark.parametrize("path", sorted(PAPER.parent.glob("*.yaml")), ids=lambda path: path.name)
def test_every_configuration_that_is_shipped_is_whole(path: Path):
    assert load_settings(path).system.mode == "paper"


@pytest.mark.parametrize("name", ["paper", "intraday", "ib"])
def test_every_instrument_a_shipped_configuration_knows_is_mapped_in_every_stress_scenario(name: str):
    settings = load_settings(PAPER.parent / f"{name}.yaml")
    symbols = settings.universe.reference
    shares = tuple(
        Instrument(i, symbol, i, "STK", "SMART", "USD", Decimal(1), Decimal("0.01"), Decimal(1))
        for i, symbol in enumerate(symbols)
    )

    stress_of(settings, shares).require_mapped()


def test_the_text_of_a_stress_file_becomes_part_of_the_settings_and_so_of_the_log(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text("sources: {}\n")
    (tmp_path / "paper.yaml").write_text(PAPER.read_text())

    settings = load_settings(tmp_path / "paper.yaml", ["risk.stress.file=mine.yaml"])

    assert settings.risk.stress.scenarios == "sources: {}\n"
    assert json.loads(settings.logged())["risk"]["stress"]["scenarios"] == "sources: {}\n"
    with pytest.raises(ConfigError, match=r"risk\.stress\.file needs stress scenarios in YAML"):
        load_settings(tmp_path / "paper.yaml", ["risk.stress.file=nowhere.yaml"])


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("risk.correlation.calm_quantile=0.95", "calm_quantile needs to be below crisis_quantile 0.9"),
        ("cio.weights={momentum: true}", "true and false are not values of momentum"),
    ],
)
def test_values_that_make_no_sense_together_are_refused(override: str, reason: str):
    with pytest.raises(ConfigError, match=reason):
        overridden(override)
