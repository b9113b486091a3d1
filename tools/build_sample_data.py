"""Builds the packaged sample of market data and its provenance from the data set inside the skfolio wheel.

Run it as `python tools/build_sample_data.py [directory]`; the bytes come out the same every time.
"""

import csv
import gzip
import hashlib
import io
import sys
import zipfile
from importlib import metadata, resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NAME = "us20_daily.npz"
SAMPLE_DIR = Path(__file__).resolve().parents[1] / "firm" / "tape" / "sample"
SOURCE = ("datasets", "data", "sp500_dataset.csv.gz")
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


def read_source() -> tuple[bytes, NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """The source file's bytes, its days as UTC midnights in nanoseconds, and the closes by symbol."""
    raw = resources.files("skfolio").joinpath(*SOURCE).read_bytes()
    header, *rows = csv.reader(io.StringIO(gzip.decompress(raw).decode("ascii")))
    days = np.array([row[0] for row in rows], dtype="datetime64[ns]").astype(np.int64)
    closes = np.array([[float(cell) for cell in row[1:]] for row in rows])
    return raw, days, {symbol: closes[:, i] for i, symbol in enumerate(header[1:])}


def npz_bytes(columns: dict[str, NDArray[np.generic]]) -> bytes:
    """An npz whose bytes depend on nothing but the columns: no clock, no file attributes, stored order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, values in columns.items():
            member = io.BytesIO()
            np.lib.format.write_array(
                member, np.ascontiguousarray(values), version=(1, 0), allow_pickle=False
            )
            info = zipfile.ZipInfo(f"{name}.npy", date_time=ZIP_DATE)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, member.getvalue(), compress_type=zipfile.ZIP_DEFLATED, compresslevel=9)
    return buffer.getvalue()


def provenance(source: bytes, built: bytes, days: NDArray[np.int64], symbols: list[str]) -> str:
    """What a reader must know to trust or replace the file."""
    first, last = (str(np.datetime64(int(days[i]), "ns"))[:10] for i in (0, -1))
    return f"""# {NAME}

Daily adjusted closes in US dollars of {len(symbols)} US stocks, {len(days)} trading days, {first} to {last}.

| | |
|---|---|
| Symbols | {", ".join(symbols)} |
| Source | `skfolio/{"/".join(SOURCE)}` in the wheel of skfolio {metadata.version("skfolio")}; Yahoo Finance |
| Licence | BSD 3-Clause, copyright the skfolio developers; the text follows |
| SHA-256 of the source | `{hashlib.sha256(source).hexdigest()}` |
| SHA-256 of this file | `{hashlib.sha256(built).hexdigest()}` |
| Built by | `python tools/build_sample_data.py`, no value changed |

Columns: `ts` (int64, the trading date as midnight UTC in nanoseconds since 1970) and one float64 column a
symbol. The closes are **adjusted** for splits and dividends: returns are right, but old prices are not the
prices at which anything traded (AAPL begins at 0.264), and share counts derived from them are not real ones.
The list was drawn up in hindsight, so a strategy tested on it profits from knowing which companies survived.

## Licence of the data set

{licence()}
"""


def licence() -> str:
    """The licence text that ships with skfolio."""
    texts = [file for file in metadata.files("skfolio") or [] if file.name.upper().startswith("LICENSE")]
    assert texts, "the skfolio wheel must carry its licence"
    return str(texts[0].read_text()).strip()


def build(directory: Path) -> bytes:
    """Write the sample and its provenance into `directory`; the sample's bytes."""
    source, days, closes = read_source()
    built = npz_bytes({"ts": days, **closes})
    directory.mkdir(parents=True, exist_ok=True)
    (directory / NAME).write_bytes(built)
    (directory / "PROVENANCE.md").write_text(provenance(source, built, days, list(closes)), encoding="utf-8")
    return built


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE_DIR
    data = build(target)
    print(f"{NAME}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")
