"""Intraday bars are known at their ends, and only inside the sessions of the exchange."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tape_files import Write, at, quote_bars, trade_bars

from firm.errors import DataError
from firm.tape.load import load_tape

MINUTE = 60_000_000_000


def test_a_quote_bar_is_known_at_its_end(write: Write):
    tape = load_tape(write(**quote_bars()))

    first, second = tape.frames
    assert (first.at, second.at) == (at("2013-10-08T14:01"), at("2013-10-08T14:02"))
    assert first.quotes.tolist() == [(0, 179.1, 179.12, 100.0, 200.0), (1, 166.5, 166.5, 2000.0, 2500.0)]
    assert tape.bar_ns == MINUTE
    assert len(first.prints) == 0


def test_the_only_session_is_that_of_the_data(write: Write):
    tape = load_tape(write(**quote_bars()))

    assert tape.sessions.opens == (at("2013-10-08T13:30"),)
    assert tape.sessions.closes == (at("2013-10-08T20:00"),)


def test_a_trade_bar_is_a_print_at_its_end_with_a_synthetic_quote_around_it(write: Write):
    tape = load_tape(write(**trade_bars()))

    assert tape.frames[0].prints.tolist() == [(0, 179.11, 900.0), (1, 166.5, 30_000.0)]
    assert tape.frames[0].quotes[["instrument", "bid", "ask"]].tolist() == [
        (0, 179.09, 179.13),
        (1, 166.48, 166.52),
    ]
    assert "synthetic quotes" in tape.label


def test_bars_that_start_before_the_open_or_end_at_the_close_are_left_out_and_counted(write: Write):
    starts = [at("2013-10-08T13:29"), at("2013-10-08T13:30"), at("2013-10-08T19:58"), at("2013-10-08T19:59")]
    tape = load_tape(write(**quote_bars(ts=np.array(starts), symbol=np.zeros(4, dtype=np.int16))))

    assert [frame.at for frame in tape.frames] == [at("2013-10-08T13:31"), at("2013-10-08T19:59")]
    assert tape.rows_dropped == 2
    assert "2 bars outside the session left out" in tape.label


def test_bars_on_a_weekend_are_refused_when_nothing_is_left(write: Write):
    columns = quote_bars(ts=np.asarray(quote_bars()["ts"]) + 4 * 24 * 60 * MINUTE)

    with pytest.raises(DataError, match="none of 4 bars lies inside a session"):
        load_tape(write(**columns))


def test_earlier_days_become_history_with_the_last_known_close_carried_forward(write: Write):
    day = 24 * 60 * MINUTE
    start = at("2013-10-08T14:00")
    starts = np.array([start, start + MINUTE, start + 2 * MINUTE, start + day, start + day])
    symbol = np.array([0, 1, 0, 0, 1], dtype=np.int16)
    close = np.array([179.0, 166.0, 179.5, 181.0, 165.0])
    path = write(**trade_bars(ts=starts, symbol=symbol, close=close, volume=np.full(5, 10)))
    tape = load_tape(path, days=1)

    assert tape.history_closes.tolist() == [[179.0, 166.0], [179.5, 166.0]]
    assert tape.history_times.tolist() == [start + 2 * MINUTE, start + 3 * MINUTE]
    assert [frame.at for frame in tape.frames] == [start + day + MINUTE]


def test_missing_bars_never_make_a_quote_known_early(write: Write):
    starts = at("2013-10-08T14:00") + np.array([0, 5, 5, 15]) * MINUTE
    tape = load_tape(write(**quote_bars(ts=starts)))

    assert tape.bar_ns == 5 * MINUTE


def test_the_file_may_say_how_long_its_bars_are(write: Write):
    tape = load_tape(write(**quote_bars(bar_ns=np.int64(30 * MINUTE))))

    assert tape.frames[0].at == at("2013-10-08T14:30")


@pytest.mark.parametrize("step", [1, 7_000_000_000, 86_400_000_000_000])
def test_a_bar_length_nobody_uses_is_refused(write: Write, step: int):
    starts = at("2013-10-08T14:00") + np.array([0, 0, step, step])

    with pytest.raises(DataError, match=rf"usual length; found {step} ns"):
        load_tape(write(**quote_bars(ts=starts)))


def test_one_timestamp_alone_cannot_tell_the_bar_length(write: Write):
    starts = np.full(4, at("2013-10-08T14:00"))
    columns = quote_bars(ts=starts, symbol=np.arange(4), symbol_table=np.array(["A", "B", "C", "D"]))

    with pytest.raises(DataError, match=r"found 0 ns. Put the length into the file as `bar_ns`"):
        load_tape(write(**columns))


def test_a_float32_price_is_the_decimal_it_was_written_as(write: Write):
    ibm = load_tape(write(**quote_bars())).frames[1].quotes[0]

    assert (ibm["bid"], ibm["ask"]) == (179.2, 179.23)


def test_the_shared_week_of_minute_quotes_loads_whole(shared_data: Callable[[str], Path]):
    tape = load_tape(shared_data("week201310_eq_min_quote.npz"))

    assert tape.symbols == ("AIG", "BAC", "IBM", "SPY")
    assert len(tape.sessions.opens) == 6
    assert len(tape.frames) == 6 * 389
    assert tape.rows_dropped + sum(len(frame.quotes) for frame in tape.frames) == 15_705
    assert all(tape.sessions.is_open(frame.at) for frame in tape.frames)


def test_the_shared_week_of_minute_trades_leaves_history(shared_data: Callable[[str], Path]):
    tape = load_tape(shared_data("week201310_eq_min_trade.npz"), days=2)

    assert len(tape.sessions.opens) == 2
    assert tape.history_times[-1] < tape.sessions.opens[0]
    assert np.isfinite(tape.history_closes).all()
    assert (np.diff(tape.history_times) > 0).all()


def test_a_real_file_with_missing_quotes_is_refused_by_count_and_row(shared_data: Callable[[str], Path]):
    with pytest.raises(DataError, match="column bc must be finite; 5 of 3981 rows are not, first row 2636"):
        load_tape(shared_data("twx_aapl_und_min_201406.npz"))
