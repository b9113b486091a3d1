"""A second estimate of margin: the rules by position (Regulation T and exchange maintenance), no portfolio.

Requirements are against equity (net liquidation value), in which a sale's proceeds and the value of what was
sold cancel: the 150 % of a short sale is 50 % here. Spreads are not recognised, so option strategies come out
too high, never too low.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import ClassVar, Final

from firm.domain.summing import plain_sum
from firm.errors import DataError

# Source: Regulation T, 12 CFR 220.12 (initial); FINRA Rule 4210(c) and (f)(2) (maintenance, options). From
# memory but for the 50 % and 25 % of a long position, which IB publishes.
INITIAL: Final = 0.50
MAINTENANCE_LONG: Final = 0.25
MAINTENANCE_SHORT: Final = 0.30
SHORT_LEAST_A_SHARE: Final = 5.0
CHEAP_BELOW: Final = 5.0
CHEAP_LEAST_A_SHARE: Final = 2.5
OPTION_RATE: Final = 0.20
OPTION_LEAST_RATE: Final = 0.10


class Kind(StrEnum):
    """What rule a position falls under; RATED has rates its exchange or broker publishes (futures, FX)."""

    STOCK = "stock"
    OPTION = "option"
    RATED = "rated"


@dataclass(frozen=True, slots=True)
class RulePosition:
    """One position: signed `quantity`, `price` of one point, `multiplier`.

    An option also has the price of its underlying, strike and right (C or P); a RATED one its rates, as
    fractions of its market value.
    """

    kind: Kind
    quantity: float
    price: float
    multiplier: float = 1.0
    underlying_price: float = 0.0
    strike: float = 0.0
    right: str = ""
    initial_rate: float = 0.0
    maintenance_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class RuleMargin:
    """Requirements in account currency, against equity: an estimate; initial >= maintenance >= 0."""

    label: ClassVar[str] = "estimate"
    initial: float
    maintenance: float


def rule_margin(positions: Iterable[RulePosition]) -> RuleMargin:
    """The sum of each position's requirement by rule.

    Raises
    ------
    DataError
        If a number is NaN or infinite, a price negative (of a stock, zero), or an option lacks its contract.

    >>> rule_margin([RulePosition(Kind.STOCK, 100, 40.0), RulePosition(Kind.STOCK, -100, 40.0)])
    RuleMargin(initial=4000.0, maintenance=2200.0)
    """
    each = [_requirement(position) for position in positions]
    return RuleMargin(plain_sum(initial for initial, _ in each), plain_sum(kept for _, kept in each))


def _requirement(position: RulePosition) -> tuple[float, float]:
    _require_numbers(position)
    value = abs(position.quantity) * position.price * position.multiplier
    match position.kind:
        case Kind.RATED:
            value = abs(value)
            return value * position.initial_rate, value * position.maintenance_rate
        case Kind.STOCK if position.quantity >= 0.0:
            return value * INITIAL, value * MAINTENANCE_LONG
        case Kind.STOCK:
            shares = abs(position.quantity) * position.multiplier
            if position.price < CHEAP_BELOW:
                kept = max(CHEAP_LEAST_A_SHARE * shares, value)
            else:
                kept = max(SHORT_LEAST_A_SHARE * shares, MAINTENANCE_SHORT * value)
            return max(value * INITIAL, kept), kept
        case Kind.OPTION if position.quantity >= 0.0:
            return value, value
        case Kind.OPTION:
            naked = _naked(position) * abs(position.quantity) * position.multiplier
            return naked, naked


def _naked(option: RulePosition) -> float:
    """Requirement of one sold point of an option, beyond its own value."""
    call = option.right == "C"
    away = option.strike - option.underlying_price if call else option.underlying_price - option.strike
    least = OPTION_LEAST_RATE * (option.underlying_price if call else option.strike)
    return max(OPTION_RATE * option.underlying_price - max(away, 0.0), least)


def _require_numbers(position: RulePosition) -> None:
    numbers = (
        position.quantity,
        position.price,
        position.multiplier,
        position.underlying_price,
        position.strike,
    )
    rates = (position.initial_rate, position.maintenance_rate)
    fair = all(isfinite(number) for number in (*numbers, *rates)) and position.multiplier > 0.0
    if position.kind is Kind.RATED:
        fair = fair and position.initial_rate >= position.maintenance_rate > 0.0
    elif position.kind is Kind.STOCK:
        fair = fair and position.price > 0.0
    else:
        fair = fair and position.price >= 0.0 and position.underlying_price > 0.0 and position.strike > 0.0
        fair = fair and position.right in {"C", "P"}
    if not fair:
        raise DataError(
            "margin by rule needs finite numbers and a positive price (rated: initial >= maintenance > 0; "
            f"option: underlying, strike and right), found {position}"
        )
