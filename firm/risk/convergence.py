"""How certain a simulated VaR and ES are: standard errors and an interval, from the tail alone.

Losses L_(1) >= L_(2) >= ... of S scenarios at confidence alpha, p = 1 - alpha. How many losses exceed the
true VaR is binomial(S, p), whatever the distribution: that gives an interval between two order statistics.
"""

from dataclasses import dataclass
from math import ceil, floor, inf, sqrt
from statistics import NormalDist

import numpy as np

from firm.risk.measure import require_confidence, require_tail
from firm.risk_kernels.tail import Tail, pairwise_sum, tail_size, var_es


@dataclass(frozen=True, slots=True)
class Convergence:
    """VaR and ES of a run in account currency, with what chance alone may have added.

    `var_low`..`var_high` holds the true VaR with probability of at least `level`; `var_high` is infinite if
    the run is too small to bound it. Standard errors are those of a repetition with another seed.
    """

    var: float
    es: float
    scenarios: int
    level: float
    var_low: float
    var_high: float
    var_error: float
    es_error: float


def convergence_tail_size(scenarios: int, confidence: float, level: float = 0.95) -> int:
    """How many worst scenarios `convergence` needs: more than VaR does, for the interval's mild end.

    >>> convergence_tail_size(100_000, 0.99)
    1063
    """
    require_confidence(confidence)
    require_tail(scenarios, confidence)
    mild = _interval_ranks(scenarios, confidence, level)[1]
    return min(max(mild, tail_size(scenarios, confidence) + _step(scenarios, confidence)), scenarios)


def convergence(tail: Tail, confidence: float, level: float = 0.95) -> Convergence:
    """VaR and ES of a run with their standard errors and the interval of VaR.

    The error of VaR is half the distance between the order statistics one standard deviation of the
    binomial count away (no density is estimated); that of ES is
    sqrt((variance of the tail losses + alpha (ES - VaR)^2) / (S p)).

    Parameters
    ----------
    tail : Tail
        At least `convergence_tail_size` worst scenarios of a plain run (equal weights).
    confidence, level : float
        Of VaR, and of the interval; both strictly between 0 and 1.

    Raises
    ------
    InsufficientHistory
        If the run has fewer than 1 / (1 - confidence) scenarios.
    ValueError
        If the tail is too short, unsorted or not finite, or a probability is none.

    Source
    ------
    David and Nagaraja, Order Statistics (2003), section 7.1; Manistre and Hancock, Variance of the CTE
    estimator (2005).
    """
    needed = convergence_tail_size(tail.scenarios, confidence, level)
    if len(tail.pnl) < needed:
        raise ValueError(f"convergence needs the {needed} worst scenarios, found {len(tail.pnl)}")
    var, es = var_es(tail, tail.scenarios, confidence)
    losses, rank = -tail.pnl, tail_size(tail.scenarios, confidence)
    severe, mild = _interval_ranks(tail.scenarios, confidence, level)
    step = _step(tail.scenarios, confidence)
    above, below = losses[max(rank - step, 1) - 1], losses[min(rank + step, len(losses)) - 1]
    beyond = losses[: max(rank - 1, 1)]
    spread = float(pairwise_sum((beyond - es) ** 2)) / len(beyond)
    return Convergence(
        var=var,
        es=es,
        scenarios=tail.scenarios,
        level=level,
        var_low=float(losses[min(mild, len(losses)) - 1]),
        var_high=float(losses[severe - 1]) if severe >= 1 else inf,
        var_error=0.5 * float(above - below),
        es_error=sqrt((spread + confidence * (es - var) ** 2) / (tail.scenarios * (1.0 - confidence))),
    )


def scenarios_needed(found: Convergence, relative_error: float) -> int:
    """How many scenarios bring the standard error of ES to this fraction of it (square-root law).

    >>> run = Convergence(90.0, 100.0, 10_000, 0.95, 88.0, 92.0, 1.0, 2.0)
    >>> scenarios_needed(run, 0.01)
    40000
    """
    if not relative_error > 0.0 or not found.es > 0.0:
        raise ValueError(
            f"a relative error needs to be above 0 and so does ES, found {relative_error} and {found.es}"
        )
    return ceil(found.scenarios * round((found.es_error / (relative_error * found.es)) ** 2, 9))


def _interval_ranks(scenarios: int, confidence: float, level: float) -> tuple[int, int]:
    """Ranks (severe, mild), counted from the worst as 1; severe 0 says there is no upper bound."""
    from scipy.special import bdtr

    require_confidence(level)
    p, miss = 1.0 - confidence, 0.5 * (1.0 - level)
    centre, reach = scenarios * p, (4.0 + NormalDist().inv_cdf(1.0 - miss)) * sqrt(scenarios * p) + 4.0
    counts = np.arange(max(floor(centre - reach), 0), min(ceil(centre + reach), scenarios) + 1)
    cumulative = bdtr(counts.astype(np.float64), scenarios, p)
    # losses above the true VaR are at least `severe` and fewer than `mild`, each but with probability `miss`
    severe = int(counts[np.searchsorted(cumulative, miss, "right")])
    mild = int(counts[min(int(np.searchsorted(cumulative, 1.0 - miss, "left")), len(counts) - 1)]) + 1
    return severe, mild


def _step(scenarios: int, confidence: float) -> int:
    return max(round(sqrt(scenarios * confidence * (1.0 - confidence))), 1)
