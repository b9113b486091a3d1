"""Numbers as people read them: thousands apart, a real minus, as many decimals as the scale needs."""

from collections.abc import Callable
from decimal import Decimal
from math import ceil, floor, log10
from typing import Final, TypeAlias

Number: TypeAlias = float | Decimal
Wording: TypeAlias = Callable[[float], str]

NOTHING: Final = "–"
"""Stands where a figure is not known; never 0."""
METHOD_NAMES: Final = {"historical": "Historical", "parametric": "Parametric", "monte_carlo": "Monte Carlo"}


def number(value: Number | None, decimals: int = 0) -> str:
    """A number with thousands apart.

    >>> number(-1234567.891, 1)
    '−1,234,567.9'
    """
    if value is None:
        return NOTHING
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "−") if text.strip("-0.,") else text.lstrip("-")


def quantity(value: Decimal | None) -> str:
    """A quantity with the decimals it has, and no more."""
    if value is None:
        return NOTHING
    exact = value.normalize()
    return number(value, max(0, -int(exact.as_tuple().exponent)))


def signed(value: Number | None, decimals: int = 0) -> str:
    """A number with its sign, also when it is positive."""
    text = number(value, decimals)
    return f"+{text}" if value is not None and value > 0 and text.strip("0.,") else text


def money(value: Number | None, decimals: int = 0) -> str:
    """An amount in US dollars.

    >>> money(-1500)
    '−$1,500'
    """
    text = number(value, decimals)
    return text if value is None else f"−${text[1:]}" if text.startswith("−") else f"${text}"


def signed_money(value: Number | None, decimals: int = 0) -> str:
    """An amount in US dollars with its sign, also when it is positive."""
    text = money(value, decimals)
    return f"+{text}" if value is not None and value > 0 and text.strip("$0.,") else text


def percent(value: Number | None, decimals: int = 2) -> str:
    """A fraction as per cent."""
    return NOTHING if value is None else f"{number(value * 100, decimals)} %"


def p_value(value: float | None) -> str:
    """A probability of a test.

    >>> p_value(0.0002), p_value(0.25)
    ('< 0.001', '0.250')
    """
    return "< 0.001" if value is not None and value < 0.001 else number(value, 3)


def level(value: float | None) -> str:
    """A confidence, with the decimals it has.

    >>> level(0.99), level(0.975)
    ('99 %', '97.5 %')
    """
    return NOTHING if value is None else f"{value * 100:.10g} %"


def multiple(value: Number | None, decimals: int = 2) -> str:
    """A ratio as a multiple."""
    return NOTHING if value is None else f"{number(value, decimals)}×"


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round values from at or below `low` to at or above `high`, about `wanted` of them.

    >>> ticks(0.3, 9.2)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    if high <= low:
        pad = abs(low) * 0.01 or 1.0
        low, high = low - pad, high + pad
    step = _nice((high - low) / wanted)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _nice(step: float) -> float:
    power = 10.0 ** floor(log10(step))
    return float(next(round_ * power for round_ in (1, 2, 2.5, 5, 10) if step <= round_ * power * 1.0001))


def _decimals(marks: list[float], unit: float) -> int:
    step = abs(marks[1] - marks[0]) / unit
    return next(d for d in range(7) if d == 6 or abs(step * 10**d - round(step * 10**d)) < 1e-6)


def money_axis(marks: list[float]) -> Wording:
    """Wording for an axis of amounts: $1.02M, $20k, with the decimals its steps need."""
    largest = max(abs(mark) for mark in marks)
    unit, letter = next(
        (u, a) for u, a in ((1e9, "bn"), (1e6, "M"), (1e3, "k"), (1, "")) if largest >= u or u == 1
    )
    decimals = _decimals(marks, unit)
    return lambda value: "0" if value == 0 else money(value / unit, decimals) + letter


def percent_axis(marks: list[float]) -> Wording:
    """Wording for an axis of fractions."""
    decimals = _decimals(marks, 0.01)
    return lambda value: percent(value, decimals)


def multiple_axis(marks: list[float]) -> Wording:
    """Wording for an axis of multiples."""
    decimals = _decimals(marks, 1)
    return lambda value: "0" if value == 0 else multiple(value, decimals)


def count_axis(marks: list[float]) -> Wording:
    """Wording for an axis of counts, downwards as well as upwards."""
    decimals = _decimals(marks, 1)
    return lambda value: number(abs(value), decimals)
