"""Sums of floats whose bits are the same everywhere: in the order given, one rounding a term."""

from collections.abc import Iterable


def plain_sum(values: Iterable[float]) -> float:
    """The sum from left to right. The built-in `sum` compensates from Python 3.12 on: other bits.

    >>> plain_sum([0.1] * 10)
    0.9999999999999999
    """
    total = 0.0
    for value in values:
        total += value
    return total
