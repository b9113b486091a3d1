"""Was the VaR right? Tests of how often, and in what order, losses exceeded it.

An exception is a day whose loss is larger than the VaR forecast for it. Sequences are oldest first; a day
without a forecast or a result is unknown (None) and is neither an exception nor none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import erfc, exp, log, sqrt

from firm.errors import DataError
from firm.risk.measure import require_confidence

BASEL_DAYS = 250
BASEL_CONFIDENCE = 0.99
_MULTIPLIERS = (3.0, 3.0, 3.0, 3.0, 3.0, 3.4, 3.5, 3.65, 3.75, 3.85, 4.0)


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A test statistic that is chi-square with `degrees` degrees of freedom if the model is right.

    `p_value` is the probability of a statistic at least as large from a right model.
    """

    statistic: float
    degrees: int
    p_value: float

    def rejects(self, significance: float = 0.05) -> bool:
        """Whether a right model would come out this badly more rarely than `significance`."""
        return self.p_value < significance


class Zone(StrEnum):
    """Basel's traffic light."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True, slots=True)
class TrafficLight:
    """The zone and the probability of at most as many exceptions from a right model."""

    zone: Zone
    probability: float


def exceptions_probability(observations: int, exceptions: int, confidence: float) -> float:
    """P(at least this many exceptions) of independent days from a right model, binomial.

    >>> round(exceptions_probability(600, 9, 0.99), 3)
    0.152
    """
    from scipy.special import bdtrc

    _require_counts(observations, exceptions)
    require_confidence(confidence)
    return 1.0 if exceptions == 0 else float(bdtrc(float(exceptions - 1), observations, 1.0 - confidence))


def kupiec(observations: int, exceptions: int, confidence: float) -> LikelihoodRatio:
    """Proportion of failures: is the share of exceptions 1 - confidence? Too few is as wrong as too many.

    Raises
    ------
    DataError
        If there are no observations or the exceptions are not within 0..observations.
    ValueError
        If confidence is not in (0, 1).

    Source
    ------
    Kupiec, Techniques for verifying the accuracy of risk measurement models (1995).

    >>> test = kupiec(1043, 57, 0.95)
    >>> round(test.statistic, 5), round(test.p_value, 5)
    (0.46147, 0.49694)
    """
    _require_counts(observations, exceptions)
    require_confidence(confidence)
    expected = _log_likelihood(observations - exceptions, exceptions, 1.0 - confidence)
    found = _log_likelihood(observations - exceptions, exceptions, exceptions / observations)
    return _ratio(expected, found)


def time_until_first_failure(days: int, confidence: float) -> LikelihoodRatio:
    """Kupiec's other test: whether the first exception, on day `days` from 1, is too early or too late.

    >>> round(time_until_first_failure(100, 0.99).statistic, 9), time_until_first_failure(2, 0.99).rejects()
    (0.0, True)
    """
    if days < 1:
        raise DataError(f"the first exception needs a day of at least 1, found {days}")
    require_confidence(confidence)
    expected = _log_likelihood(days - 1, 1, 1.0 - confidence)
    return _ratio(expected, _log_likelihood(days - 1, 1, 1.0 / days))


def christoffersen(exceptions: Sequence[bool | None]) -> LikelihoodRatio:
    """Independence: whether an exception makes another the next day likelier (or rarer).

    Counts n00, n01, n10, n11 of successive known days; the statistic compares one probability of an
    exception for all days with two, by what the day before was.

    Raises
    ------
    DataError
        If no two successive days are known.

    Source
    ------
    Christoffersen, Evaluating interval forecasts (1998).

    >>> clustered = [False] * 96 + [True] * 4
    >>> christoffersen(clustered).rejects(), christoffersen(([False] * 24 + [True]) * 4).rejects()
    (True, False)
    """
    counts = [[0, 0], [0, 0]]
    for before, after in pairwise(exceptions):
        if before is not None and after is not None:
            counts[before][after] += 1
    (n00, n01), (n10, n11) = counts
    transitions = n00 + n01 + n10 + n11
    if not transitions:
        raise DataError("independence needs two successive days with forecast and result, found none")
    one = _log_likelihood(n00 + n10, n01 + n11, (n01 + n11) / transitions)
    two = _log_likelihood(n00, n01, n01 / max(n00 + n01, 1)) + _log_likelihood(
        n10, n11, n11 / max(n10 + n11, 1)
    )
    return _ratio(one, two)


def conditional_coverage(exceptions: Sequence[bool | None], confidence: float) -> LikelihoodRatio:
    """Christoffersen's joint test: the right share of exceptions, and independent ones; the statistics add.

    >>> conditional_coverage([False] * 96 + [True] * 4, 0.99).degrees
    2
    """
    known = [exception for exception in exceptions if exception is not None]
    share = kupiec(len(known), sum(known), confidence)
    statistic = share.statistic + christoffersen(exceptions).statistic
    return LikelihoodRatio(statistic, 2, exp(-0.5 * statistic))


def traffic_light(observations: int, exceptions: int, confidence: float = BASEL_CONFIDENCE) -> TrafficLight:
    """Basel's zone: green while P(at most this many exceptions) is below 95 %, red from 99.99 %.

    Source: Basel Committee, Supervisory framework for the use of backtesting (January 1996).

    >>> [traffic_light(250, k).zone.value for k in (4, 5, 9, 10)]
    ['green', 'yellow', 'yellow', 'red']
    """
    from scipy.special import bdtr

    _require_counts(observations, exceptions)
    require_confidence(confidence)
    probability = float(bdtr(float(exceptions), observations, 1.0 - confidence))
    zone = Zone.GREEN if probability < 0.95 else Zone.YELLOW if probability < 0.9999 else Zone.RED
    return TrafficLight(zone, probability)


def basel_multiplier(exceptions: int) -> float:
    """The factor on VaR for capital, by exceptions among 250 days at 99 %; the table knows no other setting.

    Source: Basel Committee, Supervisory framework for the use of backtesting (January 1996), table 2.

    >>> basel_multiplier(4), basel_multiplier(7), basel_multiplier(25)
    (3.0, 3.65, 4.0)
    """
    _require_counts(BASEL_DAYS, exceptions)
    return _MULTIPLIERS[min(exceptions, 10)]


def _log_likelihood(hits_not: int, hits: int, probability: float) -> float:
    """Of that many successes and failures, with 0 log 0 = 0."""
    total = 0.0
    if hits:
        total += hits * log(probability)
    if hits_not:
        total += hits_not * log(1.0 - probability)
    return total


def _ratio(restricted: float, free: float) -> LikelihoodRatio:
    statistic = max(2.0 * (free - restricted), 0.0)  # negative only by rounding
    return LikelihoodRatio(statistic, 1, erfc(sqrt(0.5 * statistic)))


def _require_counts(observations: int, exceptions: int) -> None:
    if observations < 1 or not 0 <= exceptions <= observations:
        raise DataError(
            f"a backtest needs observations and exceptions within them, found {exceptions} in {observations}"
        )
