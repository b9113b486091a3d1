"""The sections of the configuration, and the whole of it."""

import json
from typing import Annotated, Literal

from pydantic import Field, model_validator

from firm.config.risk import Risk
from firm.config.section import Fraction, Port, Positive, PositiveDecimal, PositiveInt, Section


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


class Standby(Section):
    """The copy of the log on another host, and the fence before the gateway. Never part of the log."""

    mode: Literal["local", "async", "sync"]
    address: Annotated[str, Field(pattern=r"^[^\s:]+:\d{1,5}$")] | None
    timeout_ms: PositiveInt
    gateway_is_fenced: bool

    @model_validator(mode="after")
    def _somewhere(self) -> "Standby":
        if self.mode != "local" and self.address is None:
            raise ValueError(f"mode {self.mode} needs the address of `firm standby`, found none")
        return self


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
    standby: Standby
    ops: Ops

    def logged(self) -> str:
        """Canonical JSON of everything a decision can depend on: no hosts, ports, seats or secrets."""
        content = self.model_dump(mode="json", exclude={"cluster", "standby", "ops", "broker"})
        return json.dumps(content, sort_keys=True, separators=(",", ":"))
