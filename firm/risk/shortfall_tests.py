"""Was the expected shortfall right? Acerbi and Szekely's tests Z1 and Z2, and their critical values.

Z1 asks whether losses beyond VaR were on average the ES; Z2 also whether there were as many as there should
be. Both expect 0 of a right model; negative is a model too mild: -0.7 in Z2 is about a twentieth's chance.

Source: Acerbi and Szekely, Back-testing expected shortfall (Risk, December 2014).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np
import numpy.typing as npt

from firm.errors import DataError
from firm.risk.measure import Vector, require_confidence
from firm.risk.parametric import normal_var, student_var


@dataclass(frozen=True, slots=True)
class Forecast:
    """A day with everything known: VaR and ES forecast and the loss, in account currency, loss positive."""

    var: float
    es: float
    loss: float


def z1(days: Sequence[Forecast]) -> float | None:
    """1 - mean of loss / ES over the exceptions; None if there was none: nothing is known of the tail then.

    >>> z1([Forecast(1.0, 1.25, 1.5), Forecast(1.0, 1.25, 0.2)]), z1([])
    (-0.19999999999999996, None)
    """
    ratios = _ratios(days)
    return 1.0 - sum(ratios) / len(ratios) if ratios else None


def z2(days: Sequence[Forecast], confidence: float) -> float:
    """1 - sum of loss / ES over the exceptions, over their expected number T (1 - confidence).

    Raises
    ------
    DataError
        If there are no days or a number is NaN or infinite.
    ValueError
        If confidence is not in (0, 1).

    >>> round(z2([Forecast(1.0, 1.25, 1.5)] + [Forecast(1.0, 1.25, 0.2)] * 39, 0.975), 9)
    -0.2
    """
    require_confidence(confidence)
    if not days:
        raise DataError("Z2 needs days with forecast and result, found none")
    return 1.0 - sum(_ratios(days)) / (len(days) * (1.0 - confidence))


def simulated_z1(
    exceptions: int, confidence: float, trials: int, seed: int, degrees_of_freedom: float | None = None
) -> Vector:
    """Z1 of a right model that had this many exceptions, float64[trials], sorted: see `simulated_z2`."""
    if exceptions < 1:
        raise DataError(f"Z1 needs an exception, found {exceptions}")
    ratios = _tail_ratios(np.full(trials, exceptions), confidence, seed, degrees_of_freedom)
    return np.sort(1.0 - ratios / exceptions)


def simulated_z2(
    observations: int, confidence: float, trials: int, seed: int, degrees_of_freedom: float | None = None
) -> Vector:
    """Z2 of a right model, float64[trials], sorted, so that `critical_value` and `p_value` can read it.

    The number of exceptions is drawn from the binomial, the losses beyond VaR from the tail itself: of the
    standard normal, or of a Student-t with these degrees of freedom (above 1). Counter-based draws: the same
    seed, the same values.

    >>> draws = simulated_z2(250, 0.975, trials=20_000, seed=1)
    >>> round(critical_value(draws, 0.05), 1)
    -0.7
    """
    from scipy.special import bdtr

    require_confidence(confidence)
    if observations < 1 or trials < 1:
        raise DataError(f"a simulation needs days and trials, found {observations} and {trials}")
    cumulative = bdtr(np.arange(observations + 1, dtype=np.float64), observations, 1.0 - confidence)
    counts = np.searchsorted(cumulative, _uniforms(trials, 0, seed)[0])
    ratios = _tail_ratios(np.minimum(counts, observations), confidence, seed, degrees_of_freedom)
    return np.sort(1.0 - ratios / (observations * (1.0 - confidence)))


def critical_value(simulated: Vector, significance: float) -> float:
    """Below this a test rejects: the value a right model falls below with that probability."""
    require_confidence(significance)
    return float(np.quantile(simulated, significance))


def p_value(simulated: Vector, observed: float) -> float:
    """The share of right models at least as negative, counting the observed one: never 0."""
    return (int(np.searchsorted(simulated, observed, "right")) + 1) / (len(simulated) + 1)


def _ratios(days: Sequence[Forecast]) -> list[float]:
    ratios = []
    for day in days:
        if not (isfinite(day.var) and isfinite(day.es) and isfinite(day.loss)):
            raise DataError(f"an ES test needs finite numbers, found {day}; leave the day out as unknown")
        if day.loss > day.var:
            ratios.append(day.loss / day.es if day.es > 0.0 else inf)
    return ratios


def _tail_ratios(
    counts: npt.NDArray[np.int64], confidence: float, seed: int, degrees_of_freedom: float | None
) -> Vector:
    """For each trial the sum of loss / ES over its exceptions."""
    from scipy.special import ndtri, stdtrit

    require_confidence(confidence)
    nu = degrees_of_freedom
    model = normal_var(1.0, confidence) if nu is None else student_var(1.0, confidence, nu, "scale")
    sums = np.zeros(len(counts))
    for quad in range(-(-int(counts.max()) // 4)):
        for word, uniform in enumerate(_uniforms(len(counts), quad + 1, seed)):
            probability = (1.0 - confidence) * uniform  # of a loss more severe
            loss = -(ndtri(probability) if nu is None else stdtrit(nu, probability))
            sums += np.where(4 * quad + word < counts, loss / model.es, 0.0)
    return sums


def _uniforms(trials: int, quad: int, seed: int) -> list[Vector]:
    """Four vectors of uniforms in (0, 1), one value a trial, from the counter (trial, 0, quad, 0)."""
    from firm.risk_kernels.philox import key_words, philox4x32  # numba is slow to import

    k0, k1 = key_words(seed)
    counter = np.arange(trials, dtype=np.uint64)
    zero, number = np.zeros_like(counter), np.full_like(counter, quad)
    words = philox4x32.py_func(counter, zero, number, zero, k0, k1)
    return [np.asarray((word.astype(np.float64) + 0.5) / 2.0**32) for word in words]
