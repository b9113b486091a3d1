"""Reads a data file into a tape. The file is untrusted: what is not provably right is refused."""

import hashlib
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firm.errors import DataError
from firm.tape.bars import quote_bar_tape, trade_bar_tape
from firm.tape.columns import Columns
from firm.tape.daily import daily_tape
from firm.tape.tape import Tape

SAMPLE = Path(__file__).with_name("sample") / "us20_daily.npz"
SAMPLE_LABEL = "packaged sample, adjusted closes of 20 US stocks"
BYTES_MAX = 4 * 1024**3


def load_tape(path: Path | None, days: int | None = None) -> Tape:
    """The tape in `path` (None: the packaged sample).

    Parameters
    ----------
    path
        An npz file in one of the layouts of docs/data.md, recognised by its columns.
    days
        Play only the last so many trading days; the data before them becomes history. None plays all.

    Raises
    ------
    DataError
        The file is missing or unreadable, has no known layout, breaks a rule (the message names the
        column, the count and the first row), or has fewer days than asked for.
    """
    label = SAMPLE_LABEL if path is None else path.name
    columns, sha256 = _read(SAMPLE if path is None else path)
    names = set(columns)
    if names & {"bc", "ac"}:
        return quote_bar_tape(columns, days, label, sha256)
    if names & {"symbol", "symbol_table"}:
        return trade_bar_tape(columns, days, label, sha256)
    if "ts" in names and not {"OPEN", "HIGH", "LOW", "CLOSE"} <= {name.upper() for name in names}:
        return daily_tape(columns, days, label, sha256)
    raise DataError(
        f"a data file must hold daily closes (ts and a column for each symbol), quote bars (ts, "
        f"symbol_table, symbol, bc, bs, ac, as_) or trade bars (ts, symbol_table, symbol, close, volume); "
        f"{label} has {', '.join(sorted(names)) or 'no columns'}. See docs/data.md."
    )


def _read(path: Path) -> tuple[Columns, str]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"data file {path} cannot be read: {error.strerror}. Correct the path in the configuration, or "
            "leave it out to use the packaged sample."
        ) from error
    if not zipfile.is_zipfile(io.BytesIO(raw)):
        raise DataError(
            f"data file {path} is not a whole npz archive ({len(raw)} bytes). It is another format, or was "
            "cut while copying; write it with numpy.savez_compressed or copy it again."
        )
    try:
        return _arrays(raw), hashlib.sha256(raw).hexdigest()
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise DataError(
            f"data file {path} is damaged or holds Python objects: {error}. Copy it again, or write plain "
            "arrays."
        ) from error


def _arrays(raw: bytes) -> dict[str, NDArray[np.generic]]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > BYTES_MAX:
        raise ValueError(f"unpacked it would need {size} bytes, more than {BYTES_MAX}")
    with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if odd := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"members {', '.join(odd)} are not arrays")
    return {name: np.atleast_1d(array) for name, array in arrays.items()}
