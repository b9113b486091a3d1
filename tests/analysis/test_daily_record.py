from decimal import Decimal

import pytest
from msgspec import structs
from risk_figures import measured
from studied import DAY, NOW, mark, shares

from firm.analysis.daily import DailyRecord, exact_tail_var, judged
from firm.events.risk import RiskMeasured
from firm.risk.parametric import normal_var
from firm.risk.shortfall_tests import Forecast, z1, z2

ONE = shares("KO")
VAR = 20.0


def lived(
    prices: list[float], quantities: list[int], horizon: int = 1, step: int = DAY, silent: int = -1
) -> DailyRecord:
    """A mark a step, each but the `silent` one measured at 20 (historical), 40 (ES parametric)..."""
    record = DailyRecord()
    record.horizon, record.multipliers = horizon, (Decimal(1),)
    for n, (price, quantity) in enumerate(zip(prices, quantities, strict=True)):
        at = NOW + n * step
        record.mark(at, mark(ONE, [price], [quantity]))
        if n != silent:
            record.measured(at, measured(VAR, 25.0, VAR, 25.0, VAR, 25.0))
    return record


def test_a_forecast_is_compared_with_what_the_measured_book_did_next():
    record = lived([50.0, 47.0, 48.0], [10, 4, 4])

    assert [day.pnl for day in record.days] == [-30.0, 4.0]
    found = judged(record.days, "historical")
    assert found is not None
    assert (found.var.observations, found.var.exceptions) == (2, 1)


def test_a_day_that_was_not_measured_is_unknown_and_not_good():
    found = judged(lived([50.0, 47.0, 48.0, 49.0], [10, 10, 10, 10], silent=1).days, "historical")
    assert found is not None

    assert (found.var.observations, found.var.unknown) == (2, 1)


def test_a_day_that_began_without_positions_is_not_counted():
    assert [day.pnl for day in lived([50.0, 47.0, 48.0], [0, 10, 0]).days] == [10.0]


def test_horizons_do_not_overlap():
    record = lived([50.0, 51.0, 52.0, 53.0, 54.0], [10] * 5, horizon=2)

    assert [day.pnl for day in record.days] == [20.0, 20.0]


def test_there_is_one_observation_a_day():
    record = lived([50.0, 51.0, 52.0, 53.0], [10] * 4, step=3_600 * 10**9)

    assert len(record.days) == 2  # 21, 22 and 23 h on one day, midnight on the next
    assert len({day.day for day in record.days}) == 2


def test_only_the_last_days_are_kept():
    record = DailyRecord(window=5)
    record.multipliers = (Decimal(1),)
    for n in range(20):
        record.mark(NOW + n * DAY, mark(ONE, [50.0 + n], [10]))

    assert len(record.days) == 5


def test_es_is_tested_only_where_var_is_known_at_its_confidence():
    record = lived([50.0, 40.0, 41.0], [10, 10, 10])
    said = record.days[0].said
    assert isinstance(said, RiskMeasured)
    tail = normal_var(1.0, 0.975).var / normal_var(1.0, 0.99).var * VAR
    found = judged(record.days, "parametric")
    assert found is not None
    assert found.es is not None

    assert exact_tail_var(record.days[0], "monte_carlo") is None
    assert exact_tail_var(record.days[0], "parametric") == pytest.approx(tail)
    direct = [Forecast(tail, 25.0, 100.0), Forecast(tail, 25.0, -10.0)]
    assert found.es.z1 == pytest.approx(z1(direct))
    assert found.es.z2 == pytest.approx(z2(direct, 0.975))
    assert 0 < found.es.z2_p < 0.01
    one_level = structs.replace(said, es_confidence=0.99)
    assert exact_tail_var(with_words(record, one_level), "monte_carlo") == VAR


def with_words(record: DailyRecord, said: RiskMeasured):
    day = record.days[0]
    return type(day)(day.day, day.opened_at, day.pnl, said)


def test_nothing_is_judged_before_the_first_measurement():
    assert judged([], "historical") is None
