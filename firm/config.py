"""Typed settings from YAML, `--set` overrides and the environment. An unknown or missing key is an error.

Ratios are fractions (0.02, never 2 %); other units end the name: `_bps`, `_ms`, `_usd`, `_s`. Limits have no
defaults: a limit that nobody wrote down does not exist, and the firm does not start.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from firm.errors import ConfigError

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveDecimal = Annotated[Decimal, Field(gt=0)]
Scenarios = Annotated[int, Field(gt=0, multiple_of=192)]
"""Whole blocks of the Monte Carlo kernel (`firm.risk_kernels.normals.BLOCK`)."""
Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """A part of the settings: frozen, strict about its keys; an infinite number would be no limit at all."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _yes_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError("true and false are not values of this key")
        named_freely = get_origin(cls.model_fields[str(info.field_name)].annotation) is dict
        if (
            named_freely
            and isinstance(value, dict)
            and any(isinstance(each, bool) for each in value.values())
        ):
            raise ValueError("true and false are not values of these keys")
        return value


class System(Section):
    """`mode: live` needs the flag `--i-understand-this-is-live` and a LEI (ISO 17442)."""

    mode: Literal["paper", "live"]
    log_level: Literal["debug", "info", "warning", "error"]
    lei: str | None
    base_currency: Literal["USD"]


class Circuit(Section):
    """When orders are held back because the broker keeps failing, and for how long."""

    failures_in_a_row: PositiveInt
    error_rate_max: Fraction
    outcomes_min: PositiveInt
    window_ms: PositiveInt
    cool_down_ms: PositiveInt


class Broker(Section):
    """Where the IB Gateway listens, and how far it is trusted. Account None: the only one it manages.

    `restart_at` (HH:MM) and `login_by` (a weekday and HH:MM) are New York times; None where nobody restarts.
    """

    gateway_host: str
    gateway_port: Port
    client_id: Annotated[int, Field(ge=0)]
    account: str | None
    connect_timeout_ms: PositiveInt
    request_timeout_ms: PositiveInt
    heartbeat_ms: PositiveInt
    reconcile_every_ms: PositiveInt
    data_stale_ms: PositiveInt
    cash_tolerance: PositiveDecimal
    restart_at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None
    restart_guard_ms: PositiveInt
    login_by: Annotated[str, Field(pattern=r"^(MON|TUE|WED|THU|FRI|SAT|SUN) ([01]\d|2[0-3]):[0-5]\d$")] | None
    circuit: Circuit


class Simulation(Section):
    """The simulated gateway: cash and account, how its clock runs, how much of the sample it plays."""

    cash_usd: PositiveDecimal
    account: str
    clock: str
    history_bars: PositiveInt
    days: PositiveInt


class Reference(Section):
    """What the broker does not tell of an instrument; volume in units a day."""

    sector: str
    average_daily_volume: Positive


class Universe(Section):
    """`all`: every instrument of the data file (simulated gateway only); else symbols.

    `reference` by symbol; who is missing there may not add risk, for its limits cannot be measured.
    """

    symbols: Literal["all"] | tuple[str, ...]
    reference: dict[str, Reference]


class Schedule(Section):
    """When the firm decides: at each session close, or every so many milliseconds inside a session."""

    decide: Literal["session_close"] | PositiveInt
    calendar: Literal["XNYS"]


class Barrier(Section):
    """How long signals may take, and below which share of answers no new risk is proposed."""

    timeout_ms: PositiveInt
    quorum: Fraction


class Momentum(Section):
    """Time-series momentum: trend over `lookback_bars`, the last `skip_bars` left out."""

    lookback_bars: PositiveInt
    skip_bars: Annotated[int, Field(ge=0)]
    volatility_bars: PositiveInt


class StatArb(Section):
    """Pairs whose log prices are cointegrated over `lookback_bars` (Engle-Granger)."""

    pairs: Literal["all"] | tuple[str, ...]
    lookback_bars: PositiveInt
    adf_lags: Annotated[int, Field(ge=0)]
    adf_critical: Annotated[float, Field(lt=0)]
    entry_z: Positive
    full_z: Positive


class Signals(Section):
    """The signal agents and their parameters; None leaves an agent out."""

    momentum: Momentum | None
    stat_arb: StatArb | None


class Cio(Section):
    """How signals become positions."""

    weights: dict[str, Positive]
    gross_target: Positive
    max_weight: Fraction
    min_trade_usd: Positive


class Var(Section):
    """How VaR is measured: `horizon_bars` bars ahead at `confidence`; ES at `es_confidence`.

    A session has `bars_a_day` bars: the horizon in days is what options and liquidity are counted in.
    """

    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    es_confidence: Annotated[float, Field(gt=0.5, lt=1)]
    bars_a_day: PositiveInt
    horizon_bars: PositiveInt
    history_bars: PositiveInt
    min_history_bars: PositiveInt
    factors: PositiveInt
    scenarios: Scenarios
    degrees_of_freedom: Annotated[int, Field(ge=0, multiple_of=2)]
    seed: Annotated[int, Field(ge=0)]
    run_timeout_ms: PositiveInt


class Liquidity(Section):
    """How fast a position can be sold: `participation` is the share of a day's volume we may be."""

    max_days_to_liquidate: Positive
    participation: Annotated[float, Field(gt=0, le=1)]


class Greeks(Section):
    """Limits of the sensitivities of the whole book, account currency; each binds either way.

    Delta is the P&L of a move of all prices by 100 %, were it linear; gamma the change of delta for a move of
    1 %; vega the P&L of one point of volatility. `interest_rate` is continuous, a year, and prices options.
    """

    max_delta: Positive
    max_gamma: Positive
    max_vega: Positive
    interest_rate: Annotated[float, Field(gt=-0.5, lt=1)]


class Stress(Section):
    """The book may lose `max_loss` of its equity in the worst scenario. File None: the packaged scenarios.

    `scenarios` is the text of the file, put there when it is read: so it is in the log, and replay has it.
    """

    max_loss: Fraction
    file: str | None
    scenarios: str | None = None


class Margin(Section):
    """Excess liquidity over net liquidation may not fall below `min_headroom`; the broker's word ages."""

    min_headroom: Fraction
    max_age_ms: PositiveInt


class Correlation(Section):
    """How correlations are estimated, and when they are calm or in crisis: quantiles of their own past.

    `decay` is for ewma, `lags` for lead-lag. `crisis_blend` is the part of the way to correlation one at
    which the stressed VaR is measured.
    """

    method: Literal[
        "sample",
        "ewma",
        "ledoit-wolf, constant correlation",
        "ledoit-wolf, identity",
        "lead-lag",
        "pairwise",
    ]
    decay: Annotated[float, Field(gt=0, lt=1)]
    lags: PositiveInt
    regime_window_bars: Annotated[int, Field(ge=20)]
    regime_windows_min: PositiveInt
    regime_step_bars: PositiveInt
    calm_quantile: Annotated[float, Field(gt=0, lt=1)]
    crisis_quantile: Annotated[float, Field(gt=0, lt=1)]
    crisis_blend: Fraction

    @model_validator(mode="after")
    def _calm_is_below_crisis(self) -> "Correlation":
        if self.calm_quantile >= self.crisis_quantile:
            raise ValueError(f"calm_quantile needs to be below crisis_quantile {self.crisis_quantile}")
        return self


class Risk(Section):
    """Limits. VaR and ES in account currency; the others over equity. Leverage is gross exposure over equity.

    `max_factor_loss`: what one standard deviation of any one statistical factor may cost.
    `cube_bytes_max`: of the scenario cube that stays in the object store; the rest is computed again.
    """

    max_portfolio_var: Positive
    max_portfolio_es: Positive
    max_position_var: Positive
    max_leverage: Positive
    max_net_leverage: Positive
    max_position_weight: Positive
    max_sector_weight: Positive
    max_factor_loss: Positive
    max_drawdown: Fraction
    max_daily_loss: Fraction
    greeks: Greeks
    stress: Stress
    liquidity: Liquidity
    margin: Margin
    cube_bytes_max: PositiveInt
    correlation: Correlation
    var: Var


class Restriction(Section):
    """A symbol that may not be traded, and why."""

    symbol: str
    reason: str


class Compliance(Section):
    """Pre-trade controls; the numbers are the firm's own policy."""

    restricted: tuple[Restriction, ...]
    price_collar: Fraction
    max_order_value_usd: PositiveDecimal
    max_order_quantity: PositiveDecimal
    max_quote_age_ms: PositiveInt
    cleared_for_ms: PositiveInt


class Execution(Section):
    """How cleared orders are worked."""

    default_algo: Literal["market", "limit", "twap"]
    max_slippage_bps: Positive
    twap_slices: PositiveInt
    twap_interval_ms: PositiveInt
    max_messages_per_cycle: PositiveInt


class Cluster(Section):
    """Ray: where, how many signal actors, how the chain is seated. Never part of the log."""

    address: str | None
    namespace: str
    signal_replicas: PositiveInt
    co_seated: bool
    num_cpus: PositiveInt
    object_store_mb: PositiveInt
    dashboard: bool
    shutdown_timeout_s: Positive


class Ops(Section):
    """Health and metrics endpoints, loopback only; port 0 takes a free one. Never part of the log."""

    host: Literal["127.0.0.1", "::1", "localhost"]
    port: Port
    max_cycle_age_s: Positive


class Settings(Section):
    """The whole configuration."""

    system: System
    broker: Broker
    simulation: Simulation
    universe: Universe
    schedule: Schedule
    barrier: Barrier
    signals: Signals
    cio: Cio
    risk: Risk
    compliance: Compliance
    execution: Execution
    cluster: Cluster
    ops: Ops

    def logged(self) -> str:
        """Canonical JSON of everything a decision can depend on: no hosts, ports, seats or secrets."""
        content = self.model_dump(mode="json", exclude={"cluster", "ops", "broker"})
        return json.dumps(content, sort_keys=True, separators=(",", ":"))


class _EachKeyOnce(yaml.SafeLoader):
    """Refuses a key that is given twice in one section, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} is given twice; remove one", problem_mark=key.start_mark
                )
        return super().construct_mapping(node, deep)


def load_settings(path: Path, overrides: Sequence[str] = ()) -> Settings:
    """Read the YAML file, apply `section.key=value` overrides (values are YAML), and check everything."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _EachKeyOnce)  # noqa: S506 - a SafeLoader
    except FileNotFoundError as error:
        raise ConfigError(
            f"configuration needs a YAML file, found nothing at {path}; copy config/paper.yaml"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"configuration needs a YAML file, {path} cannot be read: {error.strerror}"
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"configuration {path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"configuration {path} needs sections (see config/paper.yaml), found {content!r}")
    for override in overrides:
        _apply(content, override)
    _read_scenarios(content, path.parent)
    return parse_settings(content, str(path))


def parse_settings(content: dict[str, Any], source: str) -> Settings:
    """Check a configuration that was already read; errors name each key, what was needed and found."""
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"configuration {source} is wrong:\n" + "\n".join(_lines(error))) from error


def _read_scenarios(content: dict[str, Any], folder: Path) -> None:
    """Put the text of `risk.stress.file` (relative to the configuration's folder) beside its name."""
    risk = content.get("risk")
    stress = risk.get("stress") if isinstance(risk, dict) else None
    if not isinstance(stress, dict) or not isinstance(stress.get("file"), str):
        return
    file = folder / stress["file"]
    try:
        stress["scenarios"] = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"risk.stress.file needs stress scenarios in YAML, cannot read {file}: {error}"
        ) from error


def _lines(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        match problem["type"]:
            case "missing":
                lines.append(f"  {key}: needed, not found; every key is required (see config/paper.yaml)")
            case "extra_forbidden":
                lines.append(
                    f"  {key}: unknown key (found {problem['input']!r}); remove it or correct its name"
                )
            case _:
                lines.append(f"  {key}: {problem['msg']} (found {problem['input']!r})")
    return lines


def _apply(content: dict[str, Any], override: str) -> None:
    path, separator, value = override.partition("=")
    keys = path.split(".")
    if not separator or len(keys) < 2 or not all(keys):
        raise ConfigError(
            f"--set needs section.key=value, found {override!r}; e.g. --set risk.max_leverage=1.5"
        )
    target = content
    for key in keys[:-1]:
        if not isinstance(target.get(key), dict):
            raise ConfigError(f"--set {override}: there is no section {key!r} in the configuration")
        target = target[key]
    try:
        target[keys[-1]] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: {value!r} is not a YAML value: {error}") from error
