from firm.chaos.faults import FAULTS
from firm.chaos.plan import DELAY_S_MAX, ENTRIES_BETWEEN, INJECTIONS_A_DAY, plan

NEEDS = {name: fault.needs for name, fault in FAULTS.items()}


def test_the_same_seed_gives_the_same_plan_and_another_another():
    assert plan(7, NEEDS, 3) == plan(7, dict(reversed(NEEDS.items())), 3)
    assert plan(7, NEEDS, 3) != plan(8, NEEDS, 3)


def test_every_fault_happens_as_often_as_asked_and_each_has_its_number():
    days = plan(7, NEEDS, 3)
    injections = [injection for day in days for injection in day.injections]

    assert sorted((i.fault, i.repeat) for i in injections) == sorted((f, r) for f in NEEDS for r in (1, 2, 3))
    assert sorted(i.number for i in injections) == list(range(1, 3 * len(NEEDS) + 1))
    assert [day.number for day in days] == list(range(1, len(days) + 1))


def test_a_day_has_only_faults_of_its_set_up_and_not_too_many():
    for day in plan(7, NEEDS, 10):
        assert {NEEDS[injection.fault] for injection in day.injections} == {day.needs}
        assert 0 < len(day.injections) <= INJECTIONS_A_DAY


def test_the_moments_are_spread_over_their_range():
    injections = [injection for day in plan(7, NEEDS, 10) for injection in day.injections]
    entries = [injection.entries for injection in injections]

    assert min(entries) >= ENTRIES_BETWEEN[0]
    assert max(entries) <= ENTRIES_BETWEEN[1]
    assert len(set(entries)) > len(entries) / 3
    assert all(0 <= i.delay_s <= DELAY_S_MAX and 0 <= i.pick < 1 for i in injections)


def test_there_are_at_least_twelve_kinds_of_faults():
    assert len(FAULTS) >= 12
