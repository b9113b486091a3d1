"""Whether the columns of a data file can be trusted: presence, type, length, order, sign. All fail closed."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from firm.errors import DataError

Columns: TypeAlias = Mapping[str, NDArray[np.generic]]


def require(columns: Columns, names: Sequence[str], layout: str) -> None:
    """All of `names` are there."""
    if missing := [name for name in names if name not in columns]:
        raise DataError(
            f"a file of {layout} needs the columns {', '.join(names)}; missing: {', '.join(missing)} (found "
            f"{', '.join(columns)}). Add them; the layouts are in docs/data.md."
        )


def timestamps(columns: Columns) -> NDArray[np.int64]:
    """`ts`: int64, one-dimensional, at least one row."""
    times = columns["ts"]
    if times.dtype.kind not in "iu" or times.dtype.itemsize != 8 or times.ndim != 1:
        raise _wrong_type("ts", "one dimension of int64 UTC nanoseconds", times)
    if len(times) == 0:
        raise DataError("a data file needs at least one row, found none. Check how the file was written.")
    return times.astype(np.int64)


def positive(columns: Columns, name: str, rows: int) -> NDArray[np.float64]:
    """A column of finite numbers above zero, as float64.

    A float32 stands for the shortest decimal that names it (183.09, not 183.08999633789062).
    """
    raw = columns[name]
    if raw.dtype.kind not in "iuf" or raw.ndim != 1:
        raise _wrong_type(name, "one dimension of numbers", raw)
    same_length(columns, name, rows)
    values = (raw.astype("U32") if raw.dtype == np.float32 else raw).astype(np.float64)
    refuse_rows(~np.isfinite(values), f"column {name} must be finite", values)
    refuse_rows(values <= 0, f"column {name} must be above zero", values)
    return values


def symbols_of(columns: Columns, rows: int) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """The symbol table and each row's index into it."""
    table, index = columns["symbol_table"], columns["symbol"]
    if table.dtype.kind != "U" or table.ndim != 1:
        raise _wrong_type("symbol_table", "one dimension of text", table)
    if index.dtype.kind not in "iu" or index.ndim != 1:
        raise _wrong_type("symbol", "one dimension of whole numbers (indices into symbol_table)", index)
    same_length(columns, "symbol", rows)
    numbers = index.astype(np.intp)
    refuse_rows((numbers < 0) | (numbers >= len(table)), f"symbol must be 0 to {len(table) - 1}", numbers)
    names = tuple(str(name) for name in table)
    if len(set(names)) != len(names):
        raise DataError(f"symbol_table must name each symbol once, found {', '.join(names)}. Merge the rows.")
    return names, numbers


def same_length(columns: Columns, name: str, rows: int) -> None:
    """Column `name` has `rows` values: one a timestamp, as a rule."""
    if len(columns[name]) != rows:
        raise DataError(
            f"column {name} needs {rows} rows, found {len(columns[name])}. The file was written wrongly or "
            "cut; write it again."
        )


def increasing(times: NDArray[np.int64], symbol: NDArray[np.intp], names: Sequence[str]) -> None:
    """The timestamps of each symbol go up, none twice."""
    order = np.argsort(symbol, kind="stable")
    bad = (np.diff(times[order]) <= 0) & (np.diff(symbol[order]) == 0)
    if bad.any():
        row = order[int(np.argmax(bad)) + 1]
        raise DataError(
            f"timestamps of a symbol must increase; {int(bad.sum())} do not, first {names[symbol[row]]} at "
            f"row {row} (ts {times[row]}). Sort the file and remove double rows."
        )


def refuse_rows(bad: NDArray[np.bool_], rule: str, values: NDArray[np.generic]) -> None:
    """Raise with the count and the first row where `bad`."""
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{rule}; {int(bad.sum())} of {len(bad)} rows are not, first row {row} with {values[row]}. "
            "Repair or remove these rows at the source; nothing is guessed."
        )


def refuse_crossed(bid: NDArray[np.float64], ask: NDArray[np.float64]) -> None:
    """A bid may equal the ask (locked) but not exceed it."""
    crossed = bid > ask
    if crossed.any():
        row = int(np.argmax(crossed))
        raise DataError(
            f"a quote needs bid <= ask; {int(crossed.sum())} of {len(bid)} rows are crossed, first row {row} "
            f"with bid {bid[row]} and ask {ask[row]}. Remove these rows at the source."
        )


def _wrong_type(name: str, needed: str, found: NDArray[np.generic]) -> DataError:
    return DataError(
        f"column {name} must be {needed}, found {found.dtype} with shape {found.shape}. Convert it."
    )
