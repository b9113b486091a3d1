"""A figure that is not known, with the reason: never a zero, never left out in silence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from firm.errors import FirmError

Figure = TypeVar("Figure")


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why there is no figure."""

    unknown: str


def known(figure: Callable[[], Figure]) -> Figure | Unknown:
    """What `figure` works out, or why it refused: the library's typed errors and its refused arguments.

    >>> known(lambda: int("seven"))
    Unknown(unknown="invalid literal for int() with base 10: 'seven'")
    """
    try:
        return figure()
    except (FirmError, ValueError) as refused:
        return Unknown(str(refused))
