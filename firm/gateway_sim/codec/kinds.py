"""How single values are spelled on the wire, and how strictly they are read.

An unset number has two spellings, empty and the largest value of its type; both are read as None. Which one
is written depends on the field, as recorded from real gateways, hence the two variants of each number kind.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

UNSET_INT = 2_147_483_647
UNSET_FLOAT = 1.7976931348623157e308
UNSET_FLOAT_TEXT = "1.7976931348623157E308"
UNSET_DECIMAL = Decimal(2**127 - 1)
DECIMAL_MAX = Decimal(10) ** 15
DECIMAL_PLACES_MAX = 12
INT = re.compile(r"[+-]?[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Kind:
    """`read` turns wire text into a value (ValueError if it is none), `write` does the reverse."""

    name: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]


def _read_int(text: str) -> int | None:
    if text == "":
        return None
    if not INT.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not an integer")
    value = int(text)
    return None if value == UNSET_INT else value


def _read_float(text: str) -> float | None:
    if text == "":
        return None
    if text in {"Infinity", "Infinite"}:
        return math.inf
    if "_" in text or len(text) > 40:
        raise ValueError(f"{text[:40]!r} is not a number")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return None if value == UNSET_FLOAT else value


def _read_decimal(text: str) -> Decimal | None:
    if text == "":
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:40]!r} is not a decimal number") from None
    if "_" in text or not value.is_finite():
        raise ValueError(f"{text[:40]!r} is not a finite decimal number")
    if value == UNSET_DECIMAL or value == Decimal(UNSET_FLOAT_TEXT):
        return None
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int), "finite decimals have integer exponents"
    if abs(value) > DECIMAL_MAX or exponent < -DECIMAL_PLACES_MAX or exponent > DECIMAL_PLACES_MAX:
        raise ValueError(f"{text[:40]!r} is outside plus or minus {DECIMAL_MAX:f}, or has too many places")
    return value


def _read_bool(text: str) -> bool:
    if text.lower() in {"1", "true"}:
        return True
    if text.lower() in {"", "0", "false"}:
        return False
    raise ValueError(f"{text[:40]!r} is not a truth value")


def _read_text(text: str) -> str:
    return text


def _write_float(value: float) -> str:
    return "Infinity" if value == math.inf else repr(float(value))


def plain(value: Decimal) -> str:
    """A decimal without exponent or trailing zeros: `100`, never `100.0` or `1E+2`."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def shares(size: float, version: int) -> Decimal:
    """A size of market data as the wire has it: shares, and round lots of a hundred before version 159."""
    exact = Decimal(repr(size))
    return exact if version >= 159 else exact // 100


def _or(unset: str, write: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: unset if value is None else write(value)


def _write_text(value: str) -> str:
    return value.replace("\0", "")


def _escape(value: str) -> str:
    return value.replace("\0", "").encode("unicode_escape").decode("ascii")


def _unescape(text: str) -> str:
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape")


INTEGER = Kind("int", _read_int, _or("", str))
INTEGER_MAX = Kind("int", _read_int, _or(str(UNSET_INT), str))
FLOAT = Kind("float", _read_float, _or("", _write_float))
FLOAT_MAX = Kind("float", _read_float, _or(UNSET_FLOAT_TEXT, _write_float))
DECIMAL = Kind("decimal", _read_decimal, _or("", plain))
DECIMAL_MAX_UNSET = Kind("decimal", _read_decimal, _or(UNSET_FLOAT_TEXT, plain))
BOOL = Kind("bool", _read_bool, lambda value: "1" if value else "0")
TEXT = Kind("text", _read_text, _write_text)
ESCAPED = Kind("escaped", _unescape, _escape)
