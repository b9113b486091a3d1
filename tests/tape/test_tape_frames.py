"""Frames are cut from flat arrays; symbols are looked up or refused."""

import numpy as np
import pytest

from firm.errors import UnknownInstrument
from firm.tape.load import load_tape
from firm.tape.tape import PRINT, QUOTE, Frames


def frames() -> Frames:
    quotes = np.array(
        [(0, 9.0, 10.0, 1.0, 1.0), (1, 19.0, 20.0, 1.0, 1.0), (0, 9.5, 10.5, 1.0, 1.0)], dtype=QUOTE
    )
    prints = np.array([(0, 10.0, 5.0), (0, 10.0, 7.0)], dtype=PRINT)
    return Frames(np.array([100, 100, 300]), quotes, np.array([200, 300]), prints)


def test_everything_that_happens_at_one_timestamp_is_one_frame():
    at_100, at_200, at_300 = frames()

    assert (at_100.at, at_200.at, at_300.at) == (100, 200, 300)
    assert [len(frame.quotes) for frame in frames()] == [2, 0, 1]
    assert [len(frame.prints) for frame in frames()] == [0, 1, 1]
    assert at_300.quotes["bid"].tolist() == [9.5]
    assert at_300.prints["size"].tolist() == [7.0]


def test_frames_are_a_sequence_with_negative_indices_and_slices():
    tape = frames()

    assert len(tape) == 3
    assert tape[-1].at == 300
    assert [frame.at for frame in tape[1:]] == [200, 300]
    with pytest.raises(IndexError):
        tape[3]


def test_frames_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        frames()[0].quotes["bid"] = 0.0


def test_frames_out_of_time_order_are_a_bug():
    with pytest.raises(AssertionError, match="time order"):
        Frames(np.array([2, 1]), np.zeros(2, QUOTE), np.empty(0, np.int64), np.empty(0, PRINT))


def test_a_symbol_has_a_column_and_an_unknown_one_is_refused_with_the_list():
    tape = load_tape(None, days=1)

    assert tape.symbols[tape.index_of("MSFT")] == "MSFT"
    with pytest.raises(UnknownInstrument, match=r"'NOKIA' is not on this tape .* which has AAPL, AMD,"):
        tape.index_of("NOKIA")
