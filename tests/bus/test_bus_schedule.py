"""What the clock waits for: decisions slept through are one, timers each have their tick."""

from hypothesis import given
from hypothesis import strategies as st

from firm.bus.schedule import Schedule, decision_times
from firm.domain.session import NS_PER_MS, Sessions
from firm.events import Event, Origin, Record, encode
from firm.events.scheduled import Occasion, ScheduledTick, SessionsLoaded, TimerRequested

DECIDE = ScheduledTick(Occasion.DECIDE)
SESSIONS = Sessions((0, 1000), (500, 1500))


def note(schedule: Schedule, event: Event, at: int = 0, seq: int = 1) -> None:
    schedule.note(Record(seq, at, Origin.INPUT, "clock", 0, 0, event.KIND, encode(event)))


def loaded(*decisions: int) -> Schedule:
    schedule = Schedule()
    note(schedule, SessionsLoaded(SESSIONS, decisions))
    return schedule


def test_nothing_is_awaited_before_the_calendar_is_known():
    assert Schedule().next_at() is None
    assert Schedule().due(10**18) == []


def test_a_decision_is_due_from_its_moment_on_and_until_it_was_taken():
    schedule = loaded(500, 1500)

    assert schedule.next_at() == 500
    assert schedule.due(499) == []
    assert schedule.due(500) == schedule.due(700) == [DECIDE]
    note(schedule, DECIDE, at=700)
    assert schedule.next_at() == 1500
    assert schedule.sessions == SESSIONS


def test_decisions_that_were_slept_through_are_one_decision():
    schedule = loaded(100, 200, 300, 1500)

    assert schedule.due(450) == [DECIDE]
    note(schedule, DECIDE, at=450)
    assert schedule.due(450) == []
    assert schedule.next_at() == 1500


def test_every_timer_has_its_tick_in_order_of_time_after_the_decision():
    schedule = loaded(300)
    note(schedule, TimerRequested(200, 1), seq=11)
    note(schedule, TimerRequested(100, 1), seq=12)
    note(schedule, TimerRequested(200, 2), seq=10)
    note(schedule, TimerRequested(400, 2), seq=13)

    assert schedule.next_at() == 100
    ticks = [ScheduledTick(Occasion.TIMER, seq) for seq in (12, 10, 11)]
    assert schedule.due(350) == [DECIDE, *ticks]
    for tick in schedule.due(350):
        note(schedule, tick, at=350)
    assert schedule.due(350) == []
    assert schedule.next_at() == 400


@given(
    st.lists(st.integers(1, 1000), unique=True, max_size=8).map(sorted),
    st.lists(st.integers(1, 1000), max_size=8),
    st.lists(st.integers(0, 300), min_size=1, max_size=12),
)
def test_however_long_the_clock_sleeps_each_moment_is_answered_once_and_none_before_its_time(
    decisions: list[int], timers: list[int], naps: list[int]
):
    schedule = loaded(*decisions)
    for seq, at in enumerate(timers, 10):
        note(schedule, TimerRequested(at, 1), seq=seq)
    now, decided, fired = 0, [], []
    for nap in [*naps, 1000]:
        now += nap
        for tick in schedule.due(now):
            if tick == DECIDE:
                decided.append(now)
                assert any(moment <= now for moment in decisions)
            else:
                fired.append(tick.timer_seq)
                assert timers[tick.timer_seq - 10] <= now
            note(schedule, tick, at=now)

    assert sorted(fired) == list(range(10, 10 + len(timers)))
    assert len(decided) <= len(decisions)
    for moment in decisions:  # each is followed by a decision, at the first waking
        assert min(at for at in decided if at >= moment) is not None
    assert schedule.next_at() is None


def test_the_moments_of_decision_follow_the_sessions():
    sessions = Sessions((0, 100 * NS_PER_MS), (50 * NS_PER_MS, 150 * NS_PER_MS))

    assert decision_times(sessions, "session_close") == sessions.closes
    assert decision_times(sessions, 25) == tuple(ms * NS_PER_MS for ms in (25, 50, 125, 150))
    assert decision_times(sessions, 60) == ()
