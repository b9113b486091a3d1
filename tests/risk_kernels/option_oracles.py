"""Published option values and independent pricing, nothing of the kernels.

Provenance of a row: S seen in a stored source, M from memory, C recomputed independently.
"""

from collections.abc import Sequence

import numpy as np

EUROPEAN_HAUG = (
    # sign, strike, spot, carry, rate, years, volatility, published; to 1e-4
    # Haug, The Complete Guide to Option Pricing Formulas (1998), by way of QuantLib's
    # test-suite/europeanoption.cpp: S, C
    (1, 65.0, 60.0, 0.00, 0.08, 0.25, 0.30, 2.1334),
    (-1, 19.0, 19.0, 0.10, 0.10, 0.75, 0.28, 1.7011),
    (-1, 70.0, 75.0, 0.05, 0.10, 0.50, 0.35, 4.0870),
)

PUTS_LONGSTAFF_SCHWARTZ = (
    # spot, years, American with 50 exercise dates a year (S up to spot 40, M above; C), European (S, C)
    # Longstaff and Schwartz, Valuing American options by simulation (2001), table 1: strike 40, rate 0.06,
    # volatility 0.2, no carry. European to 5.1e-4, American to 0.012 as exercise at any time is worth more.
    (36.0, 1.0, 4.478, 3.844),
    (36.0, 2.0, 4.840, 3.763),
    (38.0, 1.0, 3.250, 2.852),
    (38.0, 2.0, 3.745, 2.991),
    (40.0, 1.0, 2.314, 2.066),
    (40.0, 2.0, 2.885, 2.356),
    (42.0, 1.0, 1.617, 1.465),
    (42.0, 2.0, 2.212, 1.841),
    (44.0, 1.0, 1.110, 1.017),
    (44.0, 2.0, 1.690, 1.429),
)

PUTS_JU = (
    # strike, years, published approximation, tree; Ju, Pricing an American option by approximating its early
    # exercise boundary (1999), by way of QuantLib's test-suite/americanoption.cpp: S; to 0.02. Spot 40,
    # rate 0.0488, volatility 0.2, no carry. The tree is a recomputed Leisen-Reimer one: C.
    (35.0, 0.0833, 0.006, 0.006193010548017238),
    (40.0, 0.3333, 1.576, 1.5798221270381028),
    (45.0, 0.5833, 5.260, 5.266606279572595),
)

CALLS_BARONE_ADESI_WHALEY = (
    # spot, years, volatility, published approximation, tree; Barone-Adesi and Whaley (1987) as printed by
    # Haug (1998), by way of QuantLib's test-suite/americanoption.cpp: S; to 0.06. Strike 100, rate and
    # carry 0.1.
    (90.0, 0.10, 0.15, 0.0206, 0.020499052575122412),
    (110.0, 0.50, 0.25, 13.0170, 13.001198564697898),
)

Terms = tuple[float, float, float, float, float, float, float]
"""Spot, strike, years, volatility, rate, carry, sign."""


def tree(terms: Sequence[float], steps: int, exercise_every: int = 1) -> float:
    """Cox, Ross and Rubinstein (1979), exercised at every so-many-th step (0: never)."""
    spot, strike, years, volatility, rate, carry, sign = terms
    dt = years / steps
    up = np.exp(volatility * np.sqrt(dt))
    p = (np.exp((rate - carry) * dt) - 1.0 / up) / (up - 1.0 / up)
    discount = np.exp(-rate * dt)
    value = np.maximum(sign * (spot * up ** np.arange(-steps, steps + 1, 2.0) - strike), 0.0)
    for step in range(steps - 1, -1, -1):
        value = discount * (p * value[1:] + (1.0 - p) * value[:-1])
        if exercise_every and step % exercise_every == 0:
            payoff = sign * (spot * up ** np.arange(-step, step + 1, 2.0) - strike)
            value = np.maximum(value, payoff)
    return float(value[0])


def smooth_tree(terms: Sequence[float], steps: int) -> float:
    """The mean of an even and an odd tree, which err to opposite sides."""
    return 0.5 * (tree(terms, steps) + tree(terms, steps + 1))
