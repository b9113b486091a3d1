"""Daily closes become synthetic sessions that know nothing of a later day."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from tape_files import Write, at, daily

from firm.errors import DataError
from firm.tape.daily import HISTORY_ROWS_MAX, quotes_around
from firm.tape.load import load_tape


def new_york(at_ns: int) -> str:
    instant = datetime.fromtimestamp(at_ns // 1_000_000_000, tz=UTC)
    return f"{instant.astimezone(ZoneInfo('America/New_York')):%Y-%m-%d %H:%M}"


def test_a_full_day_is_thirteen_half_hourly_quotes_from_the_open(write: Write):
    tape = load_tape(write(**daily()), days=1)

    times = [new_york(frame.at)[-5:] for frame in tape.frames]
    assert times == [f"{h:02}:{m:02}" for h in range(9, 16) for m in (0, 30) if (h, m) != (9, 0)]
    assert [new_york(edge) for edge in (*tape.sessions.opens, *tape.sessions.closes)] == [
        "2013-10-09 09:30",
        "2013-10-09 16:00",
    ]


def test_every_quote_of_a_day_stands_around_that_days_own_close(write: Write):
    tape = load_tape(write(**daily()))

    for number, frame in enumerate(tape.frames):
        ibm = frame.quotes[0]
        assert (ibm["bid"] + ibm["ask"]) / 2 == pytest.approx([182.01, 178.72, 181.32][number // 13])
    assert len(tape.frames) == 39
    assert "synthetic" in tape.label


def test_changing_a_later_close_changes_nothing_before_that_day(write: Write):
    before = load_tape(write(**daily()))
    after = load_tape(write(**daily(IBM=np.array([182.01, 178.72, 999.0]))))

    pairs = list(zip(before.frames, after.frames, strict=True))
    assert all(np.array_equal(old.quotes, new.quotes) for old, new in pairs[:26])
    assert not np.array_equal(pairs[26][0].quotes, pairs[26][1].quotes)


def test_the_days_not_played_are_history_stamped_at_their_session_closes(write: Write):
    tape = load_tape(write(**daily()), days=1)

    assert tape.history_closes.tolist() == [[182.01, 167.43], [178.72, 165.48]]
    assert [new_york(int(t)) for t in tape.history_times] == ["2013-10-07 16:00", "2013-10-08 16:00"]
    assert tape.history_times[-1] < tape.frames[0].at
    assert tape.bar_ns == 86_400_000_000_000


def test_history_is_the_latest_1500_days_at_most():
    tape = load_tape(None, days=2)

    assert tape.history_closes.shape == (HISTORY_ROWS_MAX, 20)
    assert np.isfinite(tape.history_closes).all()


def test_playing_all_days_leaves_no_history(write: Write):
    tape = load_tape(write(**daily()))

    assert tape.history_closes.shape == (0, 2)
    assert len(tape.history_times) == 0


def test_sessions_follow_new_york_across_both_clock_changes(write: Write):
    days = ["2013-03-08", "2013-03-11", "2013-11-01", "2013-11-04"]
    stamps = np.array(days, dtype="datetime64[ns]").astype(np.int64)
    tape = load_tape(write(ts=stamps, IBM=np.full(4, 180.0)))

    assert [new_york(t) for t in tape.sessions.opens] == [f"{day} 09:30" for day in days]
    hours = [datetime.fromtimestamp(t // 10**9, tz=UTC).hour for t in tape.sessions.opens]
    assert hours == [14, 13, 13, 14]


def test_a_half_day_ends_at_one_and_has_seven_quotes(write: Write):
    tape = load_tape(write(ts=np.array([at("2013-11-29")]), IBM=np.array([180.0])))

    assert new_york(tape.sessions.closes[0]) == "2013-11-29 13:00"
    assert [new_york(frame.at)[-5:] for frame in tape.frames][-1] == "12:30"
    assert len(tape.frames) == 7


@pytest.mark.parametrize(
    "stamp", ["2013-07-03T00:00", "2013-07-03T04:00", "2013-07-03T17:00", "2013-07-03T20:00"]
)
def test_a_day_may_be_stamped_midnight_utc_or_any_time_of_day_in_new_york(write: Write, stamp: str):
    tape = load_tape(write(ts=np.array([at(stamp)]), IBM=np.array([180.0])))

    assert new_york(tape.sessions.opens[0]) == "2013-07-03 09:30"


def test_a_day_the_exchange_was_closed_is_refused(write: Write):
    columns = daily(ts=np.array([at("2013-07-03"), at("2013-07-04"), at("2013-07-05")]))

    with pytest.raises(DataError, match=r"days the NYSE was open; 1 do not, first row 1 \(2013-07-04\)"):
        load_tape(write(**columns))


def test_two_closes_on_one_day_are_refused(write: Write):
    columns = daily(ts=np.array([at("2013-10-07"), at("2013-10-08T14:00"), at("2013-10-08T20:00")]))

    with pytest.raises(DataError, match="one close a day is needed, found two on 2013-10-08"):
        load_tape(write(**columns))


@pytest.mark.parametrize(
    ("price", "bid", "ask"),
    [
        (0.264, 0.25, 0.27),  # a tick each side where two basis points are less
        (100.0, 99.99, 100.01),  # two basis points are exactly two ticks
        (524.42, 524.36, 524.48),  # 5.2442 ticks each side, rounded up
    ],
)
def test_the_spread_is_two_basis_points_and_at_least_a_tick_each_side(price: float, bid: float, ask: float):
    quote = quotes_around(np.array([7]), np.array([price]))[0]

    assert (quote["instrument"], quote["bid"], quote["ask"]) == (7, bid, ask)


def test_a_price_too_small_to_quote_is_refused(write: Write):
    with pytest.raises(DataError, match=r"price of at least 0.02, found 0.012 of instrument 0"):
        load_tape(write(**daily(IBM=np.array([182.0, 0.012, 181.0]))))


def test_all_real_days_of_the_sample_have_sound_quotes():
    tape = load_tape(None)
    quotes = np.concatenate([frame.quotes for frame in tape.frames])

    assert len(tape.sessions.opens) == 8313
    assert len(quotes) == 20 * len(tape.frames)
    assert (quotes["bid"] > 0).all()
    assert (quotes["bid"] < quotes["ask"]).all()
    assert np.array_equal(quotes["bid"], np.round(quotes["bid"], 2))
