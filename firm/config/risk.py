"""Risk's settings: limits without defaults, and how everything is measured."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from firm.config.section import Fraction, Positive, PositiveInt, Scenarios, Section


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
