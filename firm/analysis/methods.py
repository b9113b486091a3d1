"""VaR and ES of one book by every method, over the configured horizon; a method that does not hold says why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firm.analysis.book import MeasuredBook
from firm.analysis.unknown import Unknown, known
from firm.risk.measure import OutsideDomain
from firm.risk.var_calculator import (
    BASEL_DAYS,
    Moments,
    VarEs,
    VolatilityFilter,
    age_weighted_var,
    age_weights,
    book_deviation,
    cornish_fisher_var,
    delta_gamma,
    delta_gamma_var,
    effective_scenarios,
    filtered_returns,
    fit_garch,
    historical_var,
    normal_var,
    sample_moments,
    student_var,
)
from firm.risk_kernels.greeks_units import GAMMA_MOVE

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
AtLevel = Callable[[float], VarEs]

AGE_DECAY: Final = 0.995
"""Boudoukh, Richardson and Whitelaw's slower decay: half of the weight lies on the last 138 days."""
EWMA_DECAY: Final = 0.94
"""J.P. Morgan/Reuters, RiskMetrics Technical Document (1996), for daily returns."""
