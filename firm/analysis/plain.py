"""Values as JSON knows them, without a minus before a zero."""

from collections.abc import Mapping, Sequence
from enum import Enum
from math import isfinite
from typing import Any


def plainly(value: Any) -> Any:
    """The value as JSON knows it: enums by their word, no -0.0, and what is not finite as unknown.

    >>> plainly({"a": -0.0, "b": (1, float("inf"))})
    {'a': 0.0, 'b': [1, {'unknown': 'no finite number: inf'}]}
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value + 0.0 if isfinite(value) else {"unknown": f"no finite number: {value}"}
    if isinstance(value, Mapping):
        return {key: plainly(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plainly(item) for item in value]
    return value
