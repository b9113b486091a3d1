"""How tables, headings and remarks of `firm risk` look on a terminal."""

from collections.abc import Callable
from math import isfinite
from typing import Literal, TypeVar

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from firm.analysis.unknown import Unknown
from firm.report.words import NOTHING, money

Value = TypeVar("Value")


def table(*columns: str) -> Table:
    """An empty table; a column whose name begins with > is of numbers."""
    made = Table(box=SIMPLE, pad_edge=False, header_style="bold", show_edge=False)
    for number, column in enumerate(columns):
        numeric = column.startswith(">")
        justify: Literal["right", "left"] = "right" if numeric else "left"
        made.add_column(column.removeprefix(">"), justify=justify, no_wrap=numeric or number == 0)
    return made


def title(words: str) -> Text:
    """A heading."""
    return Text(f"\n{words}", style="bold")


def remark(*sentences: str) -> Text:
    """A line or several below a heading or a table; never read as markup."""
    return Text("\n".join(sentences), style="italic")


def cell(value: Value | Unknown, worded: Callable[[Value], str]) -> str:
    """A figure, or the sign for none."""
    return NOTHING if isinstance(value, Unknown) else worded(value)


def amount(value: float) -> str:
    """Money; what has no bound is said so."""
    return money(value) if isfinite(value) else "unbounded"
