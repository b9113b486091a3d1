"""The tests that judge VaR and ES: size, power, published tables, and the record kept day by day."""

from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from firm.errors import DataError
from firm.risk.var_calculator import (
    BacktestRecord,
    Forecast,
    Zone,
    basel_multiplier,
    christoffersen,
    conditional_coverage,
    critical_value,
    exceptions_probability,
    kupiec,
    normal_var,
    p_value,
    simulated_z1,
    simulated_z2,
    time_until_first_failure,
    traffic_light,
    z1,
    z2,
)

START = date(2025, 1, 1)
Known = float | None
marks = st.lists(st.booleans(), min_size=2, max_size=400)


@given(observations=st.integers(1, 2000), data=st.data(), confidence=st.floats(0.5, 0.999))
def test_kupiec_is_the_likelihood_ratio_of_two_binomials(
    observations: int, data: st.DataObject, confidence: float
):
    exceptions = data.draw(st.integers(0, observations))

    found = kupiec(observations, exceptions, confidence)

    expected, share = 1.0 - confidence, exceptions / observations
    ratio = 2 * (
        stats.binom.logpmf(exceptions, observations, share)
        - stats.binom.logpmf(exceptions, observations, expected)
    )
    assert found.statistic == pytest.approx(max(ratio, 0.0), rel=1e-6, abs=1e-7)
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 1), rel=1e-9)


def test_kupiec_accepts_two_to_eleven_exceptions_in_600_days():
    # Source: Hull RMFI.
    assert [k for k in range(20) if not kupiec(600, k, 0.99).rejects()] == list(range(2, 12))


def test_no_exception_at_all_is_judged_too():
    assert kupiec(250, 0, 0.99).statistic == pytest.approx(-2 * 250 * np.log(0.99))
    assert kupiec(1000, 0, 0.99).rejects()
    assert kupiec(100, 100, 0.99).rejects()


def test_the_first_failure_may_be_neither_too_early_nor_too_late():
    assert not time_until_first_failure(100, 0.99).rejects()
    assert time_until_first_failure(1, 0.99).statistic == pytest.approx(-2 * np.log(0.01))
    assert [n for n in range(1, 600) if not time_until_first_failure(n, 0.99).rejects()] == list(
        range(7, 439)
    )


@given(marks=marks)
def test_independence_is_the_likelihood_ratio_of_a_chain(marks: list[bool]):
    counts = np.zeros((2, 2))
    for before, after in pairwise(marks):
        counts[int(before), int(after)] += 1

    def likelihood(rows: np.ndarray) -> float:
        shares = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
        return float(np.sum(rows * np.log(np.where(rows > 0, shares, 1.0))))

    expected = 2 * (likelihood(counts) - likelihood(counts.sum(axis=0, keepdims=True)))

    assert christoffersen(marks).statistic == pytest.approx(max(expected, 0.0), abs=1e-9)


@given(marks=marks)
def test_conditional_coverage_is_the_sum_of_its_parts(marks: list[bool]):
    joint = conditional_coverage(marks, 0.99)

    parts = kupiec(len(marks), sum(marks), 0.99).statistic + christoffersen(marks).statistic
    assert joint.statistic == pytest.approx(parts)
    assert joint.p_value == pytest.approx(stats.chi2.sf(parts, 2), abs=1e-12)


def test_clustered_exceptions_fail_independence_though_their_number_is_right():
    clustered = [False] * 240 + [True] * 10
    spread_out = ([False] * 24 + [True]) * 10

    assert not kupiec(250, 10, 0.96).rejects()
    assert christoffersen(clustered).rejects()
    assert not christoffersen(spread_out).rejects()
    assert conditional_coverage(clustered, 0.96).rejects()


def test_an_unknown_day_breaks_the_chain():
    with_gap: list[bool | None] = [False, True, None, True, False]

    # what is left is one step up and one down, never the two exceptions in a row
    assert christoffersen(with_gap) == christoffersen([False, True, False])
    assert christoffersen(with_gap) != christoffersen([False, True, True, False])
    with pytest.raises(DataError, match="two successive days"):
        christoffersen([True, None, False])


def test_the_traffic_light_of_a_year():
    zones = [traffic_light(250, k).zone for k in range(12)]

    assert zones == [Zone.GREEN] * 5 + [Zone.YELLOW] * 5 + [Zone.RED] * 2
    assert [basel_multiplier(k) for k in (0, 4, 5, 9, 10, 250)] == [3.0, 3.0, 3.4, 3.85, 4.0, 4.0]


def test_the_size_of_kupiec_is_near_its_significance():
    counts = np.arange(1001)
    rejected = np.array([kupiec(1000, int(k), 0.99).rejects() for k in counts])

    assert float(stats.binom.pmf(counts, 1000, 0.01) @ rejected) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("nu", [None, 5.0])
def test_the_z_tests_expect_zero_of_a_right_model(nu: float | None):
    print("seed 7")
    both = simulated_z2(250, 0.975, 40_000, 7, nu), simulated_z1(6, 0.975, 40_000, 7, nu)

    for draws in both:
        assert draws.mean() == pytest.approx(0.0, abs=0.012)
        assert np.all(np.diff(draws) >= 0.0)
        assert 0.04 < p_value(draws, critical_value(draws, 0.05)) < 0.06


def test_simulated_values_are_those_of_whole_histories():
    print("seed 8")
    risk = normal_var(1.0, 0.975)
    losses = np.random.default_rng(8).standard_normal((20_000, 250))
    direct = 1.0 - np.where(losses > risk.var, losses / risk.es, 0.0).sum(axis=1) / (250 * 0.025)

    drawn = simulated_z2(250, 0.975, 40_000, seed=9)

    for level in (0.01, 0.05, 0.5, 0.95):
        assert np.quantile(drawn, level) == pytest.approx(np.quantile(direct, level), abs=0.04)


def test_the_same_seed_gives_the_same_values():
    np.testing.assert_array_equal(simulated_z2(100, 0.99, 500, 3), simulated_z2(100, 0.99, 500, 3))
    assert not np.array_equal(simulated_z2(100, 0.99, 500, 3), simulated_z2(100, 0.99, 500, 4))


def test_an_es_that_is_too_mild_is_found():
    print("seed 10")
    losses = 2.0 * np.random.default_rng(10).standard_normal(250)
    risk = normal_var(1.0, 0.975)
    days = [Forecast(risk.var, risk.es, float(loss)) for loss in losses]
    draws = simulated_z2(250, 0.975, 20_000, seed=11)

    assert z2(days, 0.975) < critical_value(draws, 0.0001)
    assert p_value(draws, z2(days, 0.975)) < 0.001
    first = z1(days)
    assert first is not None
    assert first < 0.0


def test_a_loss_where_no_shortfall_was_forecast_is_the_worst_there_is():
    assert z2([Forecast(0.0, 0.0, 1.0)], 0.975) == -np.inf
    assert z1([Forecast(-1.0, -0.5, 0.0)]) == -np.inf
    assert z1([Forecast(1.0, 1.2, 1.0)]) is None


def record_of(
    *days: tuple[float | None, float | None, float | None], confidence: float = 0.99
) -> BacktestRecord:
    record = BacktestRecord(confidence)
    for number, (var, es, pnl) in enumerate(days):
        record = record.with_day(START + timedelta(number), var, es, pnl)
    return record


def test_what_is_missing_is_unknown_and_never_no_exception():
    record = record_of((100, 120, -150), (None, 120, -150), (100, None, -90), (100, 120, None), (100, 120, 5))

    report = record.report()

    assert [day.exception for day in record.days] == [True, None, False, None, False]
    assert (report.observations, report.unknown, report.exceptions) == (3, 2, 1)
    assert report.es_observations == 2
    assert report.z1 == pytest.approx(1.0 - 150 / 120)
    assert report.z2 == pytest.approx(1.0 - 150 / 120 / (2 * 0.01))
    assert report.independence is None
    assert report.multiplier is None


def test_a_record_of_nothing_claims_nothing():
    for record in (record_of(), record_of((None, None, None), (100, 110, None))):
        report = record.report()

        assert report.observations == report.exceptions == 0
        assert report.unknown == len(record.days)
        assert report.kupiec is report.traffic_light is report.conditional_coverage is report.z2 is None


def test_a_loss_equal_to_var_is_within_it():
    assert [day.exception for day in record_of((100, 120, -100), (100, 120, -100.01)).days] == [False, True]


def test_a_full_year_gets_its_zone_and_multiplier():
    days = [(100.0, 115.0, -130.0 if number % 36 == 35 else 10.0) for number in range(250)]

    report = record_of(*days).report()

    assert (report.observations, report.exceptions, report.multiplier) == (250, 6, 3.5)
    assert report.traffic_light is not None
    assert report.traffic_light.zone is Zone.YELLOW
    assert report.conditional_coverage is not None
    assert report.expected_exceptions == pytest.approx(2.5)
    assert record_of(*days, confidence=0.975).report().multiplier is None
    assert record_of(*days[:-1], (None, None, 1.0)).report().multiplier is None


def test_the_window_keeps_the_last_days_and_the_fold_changes_nothing_before():
    before = record_of(*[(100.0, 120.0, -150.0)] * 250)
    after = before.with_day(START + timedelta(250), 100.0, 120.0, 0.0)

    assert len(before.days) == len(after.days) == 250
    assert (before.report().exceptions, after.report().exceptions) == (250, 249)
    assert after.days[0].day == START + timedelta(1)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_refused(poison: float):
    calls: list[Callable[[], object]] = [
        lambda: record_of((poison, 120, 0)),
        lambda: record_of((100, poison, 0)),
        lambda: record_of((100, 120, poison)),
        lambda: z2([Forecast(1.0, 1.0, poison)], 0.99),
    ]

    for call in calls:
        with pytest.raises(DataError, match="finite"):
            call()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kupiec(0, 0, 0.99), DataError, "found 0 in 0"),
        (lambda: kupiec(10, 11, 0.99), DataError, "found 11 in 10"),
        (lambda: kupiec(10, 1, 99.0), ValueError, "found 99.0"),
        (lambda: exceptions_probability(10, -1, 0.99), DataError, "found -1 in 10"),
        (lambda: traffic_light(10, 1, 0.0), ValueError, "found 0.0"),
        (lambda: basel_multiplier(251), DataError, "found 251 in 250"),
        (lambda: time_until_first_failure(0, 0.99), DataError, "found 0"),
        (lambda: z2([], 0.99), DataError, "found none"),
        (lambda: simulated_z1(0, 0.99, 10, 1), DataError, "found 0"),
        (lambda: simulated_z2(0, 0.99, 10, 1), DataError, "found 0 and 10"),
        (lambda: simulated_z2(10, 0.99, 10, -1), ValueError, "found -1"),
        (lambda: BacktestRecord(1.0), ValueError, "found 1.0"),
        (lambda: BacktestRecord(0.99, window=0), ValueError, "found 0"),
        (
            lambda: record_of((1, 1, 1)).with_day(START, 1, 1, 1),
            DataError,
            "found 2025-01-01 after 2025-01-01",
        ),
    ],
)
def test_what_has_no_answer_is_refused_with_the_numbers(
    call: Callable[[], object], error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        call()
