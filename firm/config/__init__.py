"""Typed settings from YAML, `--set` overrides and the environment. An unknown or missing key is an error.

Ratios are fractions (0.02, never 2 %); other units end the name: `_bps`, `_ms`, `_usd`, `_s`. Limits have no
defaults: a limit that nobody wrote down does not exist, and the firm does not start.
"""

from firm.config.load import load_settings, parse_settings
from firm.config.risk import Correlation, Greeks, Liquidity, Margin, Risk, Stress, Var
from firm.config.section import Section
from firm.config.settings import (
    Barrier,
    Broker,
    Cio,
    Circuit,
    Cluster,
    Compliance,
    Execution,
    Momentum,
    Ops,
    Reference,
    Restriction,
    Schedule,
    Settings,
    Signals,
    Simulation,
    StatArb,
    System,
    Universe,
)

__all__ = [
    "Barrier",
    "Broker",
    "Cio",
    "Circuit",
    "Cluster",
    "Compliance",
    "Correlation",
    "Execution",
    "Greeks",
    "Liquidity",
    "Margin",
    "Momentum",
    "Ops",
    "Reference",
    "Restriction",
    "Risk",
    "Schedule",
    "Section",
    "Settings",
    "Signals",
    "Simulation",
    "StatArb",
    "Stress",
    "System",
    "Universe",
    "Var",
    "load_settings",
    "parse_settings",
]
