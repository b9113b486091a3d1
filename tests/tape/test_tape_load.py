"""A data file is untrusted: whatever is not provably right is refused, and the message says what to do."""

import hashlib
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tape_files import Write, at, daily, quote_bars, trade_bars

from firm.errors import DataError
from firm.tape.load import SAMPLE, load_tape
from firm.tape.tape import Tape


def test_the_packaged_sample_is_twenty_real_stocks():
    tape = load_tape(None, days=20)

    assert len(tape.symbols) == 20
    assert len(tape.frames) == 20 * 13
    assert tape.source_sha256 == hashlib.sha256(SAMPLE.read_bytes()).hexdigest()


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"absent.npz cannot be read: No such file or directory"):
        load_tape(tmp_path / "absent.npz")


def test_a_directory_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="cannot be read"):
        load_tape(tmp_path)


@pytest.mark.parametrize("content", [b"", b"date,close\n2013-10-08,1\n", pickle.dumps([1]), b"\x93NUMPY\x01"])
def test_a_file_that_is_not_an_npz_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "data.npz"
    path.write_bytes(content)

    with pytest.raises(DataError, match="is not a whole npz archive"):
        load_tape(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_file_cut_while_copying_is_refused(tmp_path: Path, kept: float):
    whole = SAMPLE.read_bytes()
    path = tmp_path / "data.npz"
    path.write_bytes(whole[: int(len(whole) * kept)])

    with pytest.raises(DataError, match=r"cut while copying|damaged"):
        load_tape(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_damaged_byte_never_passes_as_other_prices(tmp_path: Path, position: float, flip: int):
    whole = bytearray(SAMPLE.read_bytes())
    whole[int(position * len(whole))] ^= flip
    path = tmp_path / "data.npz"
    path.write_bytes(whole)

    try:
        tape = load_tape(path, days=1)
    except DataError:
        return
    assert same_market(tape, load_tape(None, days=1))  # the byte was one that means nothing, such as a date


def same_market(one: Tape, other: Tape) -> bool:
    return all(np.array_equal(a.quotes, b.quotes) for a, b in zip(one.frames, other.frames, strict=True))


def test_python_objects_in_a_file_are_refused(write: Write):
    with pytest.raises(DataError, match="damaged or holds Python objects"):
        load_tape(write(**daily(IBM=np.array([1.0, "two", None], dtype=object))))


def test_a_member_that_is_not_an_array_is_refused(tmp_path: Path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "prices")
    path = tmp_path / "data.npz"
    path.write_bytes(buffer.getvalue())

    with pytest.raises(DataError, match=r"members readme\.txt are not arrays"):
        load_tape(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"price": np.ones(3)}, "a data file must hold daily closes .* has price"),
        (dict.fromkeys(("ts", "OPEN", "HIGH", "LOW", "CLOSE"), np.ones(3)), "has CLOSE, HIGH, LOW, OPEN, ts"),
        ({"ts": daily()["ts"]}, "needs a column for each symbol beside ts"),
    ],
)
def test_a_layout_nobody_described_is_refused_with_those_that_are(write: Write, columns: dict, message: str):
    with pytest.raises(DataError, match=message):
        load_tape(write(**columns))


@pytest.mark.parametrize("column", ["ts", "symbol_table", "symbol", "bs", "ac", "as_"])
def test_a_quote_file_without_a_column_is_refused(write: Write, column: str):
    columns = quote_bars()
    del columns[column]

    with pytest.raises(DataError, match=f"quote bars needs the columns .*; missing: {column} "):
        load_tape(write(**columns))


@pytest.mark.parametrize("column", ["ts", "symbol_table", "close", "volume"])
def test_a_trade_file_without_a_column_is_refused(write: Write, column: str):
    columns = trade_bars()
    del columns[column]

    with pytest.raises(DataError, match=f"trade bars needs the columns .*; missing: {column} "):
        load_tape(write(**columns))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ts": np.array([1.0, 2.0, 3.0])}, "column ts must be .* int64 UTC nanoseconds, found float64"),
        (
            {"ts": np.array(["2013-10-07"] * 3, dtype="datetime64[D]")},
            "column ts must be .* found datetime64",
        ),
        ({"ts": np.empty(0, np.int64)}, "at least one row, found none"),
        ({"IBM": np.array(["1", "2", "3"])}, "column IBM must be one dimension of numbers, found <U1"),
        ({"IBM": np.ones((3, 2))}, r"column IBM must be one dimension of numbers, found float64 with shape"),
        ({"IBM": np.ones(2)}, "column IBM needs 3 rows, found 2"),
        (
            {"IBM": np.array([1.0, np.nan, np.nan])},
            "column IBM must be finite; 2 of 3 rows are not, first row 1",
        ),
        (
            {"IBM": np.array([1.0, 1.0, np.inf])},
            "column IBM must be finite; 1 of 3 rows are not, first row 2",
        ),
        ({"IBM": np.array([1.0, 0.0, 1.0])}, "column IBM must be above zero; 1 of 3 .* first row 1 with 0.0"),
        (
            {"IBM": np.array([-2.0, 1.0, 1.0])},
            "column IBM must be above zero; 1 of 3 .* first row 0 with -2.0",
        ),
    ],
)
def test_a_daily_file_with_a_bad_column_is_refused(write: Write, change: dict, message: str):
    with pytest.raises(DataError, match=message):
        load_tape(write(**daily(**change)))


def test_days_out_of_order_are_refused(write: Write):
    stamps = np.asarray(daily()["ts"])

    with pytest.raises(
        DataError, match="timestamps of a symbol must increase; 1 do not, first the file at row 2"
    ):
        load_tape(write(**daily(ts=stamps[[0, 2, 1]])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"ac": np.array([179.12, 166.5, 179.1, 166.3])},
            r"bid <= ask; 2 of 4 rows are crossed, first row 2 with",
        ),
        (
            {"bs": np.array([100, 0, 300, 1500])},
            "column bs must be above zero; 1 of 4 rows are not, first row 1",
        ),
        (
            {"as_": np.array([200, 5, -1, 9])},
            "column as_ must be above zero; 1 of 4 rows are not, first row 2",
        ),
        (
            {"bc": np.array([179.1, np.nan, 1, 1])},
            "column bc must be finite; 1 of 4 rows are not, first row 1",
        ),
        (
            {"symbol": np.array([0, 1, 0, 2])},
            "symbol must be 0 to 1; 1 of 4 rows are not, first row 3 with 2",
        ),
        (
            {"symbol": np.array([0, -1, 0, 1])},
            "symbol must be 0 to 1; 1 of 4 rows are not, first row 1 with -1",
        ),
        ({"symbol": np.array(["IBM"] * 4)}, "column symbol must be .* whole numbers"),
        ({"symbol": np.array([0, 1, 0])}, "column symbol needs 4 rows, found 3"),
        ({"symbol_table": np.array([1, 2])}, "column symbol_table must be one dimension of text"),
        ({"symbol_table": np.array(["SPY", "SPY"])}, "name each symbol once, found SPY, SPY"),
        ({"symbol": np.array([0, 0, 1, 1])}, "must increase; 2 do not, first IBM at row 1"),
    ],
)
def test_a_quote_file_with_a_bad_row_is_refused(write: Write, change: dict, message: str):
    with pytest.raises(DataError, match=message):
        load_tape(write(**quote_bars(**change)))


def test_a_locked_quote_is_a_quote(write: Write):
    spy = load_tape(write(**quote_bars())).frames[0].quotes[1]

    assert spy["bid"] == spy["ask"] == 166.5


@pytest.mark.parametrize("days", [0, -1, 4])
def test_more_days_than_there_are_or_fewer_than_one_are_refused(write: Write, days: int):
    with pytest.raises(DataError, match=rf"days must be 1 to 3, the days in the file; asked for {days}\."):
        load_tape(write(**daily()), days=days)


@pytest.mark.parametrize("stamp", [20131008, at("2013-10-08") // 1_000_000, 2**62])
def test_timestamps_that_are_not_nanoseconds_are_refused(write: Write, stamp: int):
    with pytest.raises(
        DataError, match="timestamps must be UTC nanoseconds between 1970-01-02 and 2100-01-01"
    ):
        load_tape(write(ts=np.array([stamp]), IBM=np.array([180.0])))
