"""What operators see of the standby: the store's health and the lag."""

from firm.ops.health import Facts, Tolerances, assess
from firm.ops.status import Status
from firm.standby.replicated import StandbyStatus


def facts(standby: StandbyStatus, last_seq: int) -> Facts:
    lag = standby.lag(last_seq)
    return Facts(
        0.5, store_writable=True, bus_alive=True, latch="", standby_trouble=standby.trouble, standby_lag=lag
    )


def test_a_standby_in_step_leaves_the_store_well():
    found = assess(Status().view(), facts(StandbyStatus("sync", 3, ""), 9), Tolerances(60, 60))

    assert found.components["store"].state == "ok"


def test_a_standby_out_of_reach_degrades_the_store_and_the_firm_is_not_ready():
    away = StandbyStatus("sync", 3, "the standby cannot be reached (timed out)")
    found = assess(Status().view(), facts(away, 9), Tolerances(60, 60))

    assert found.components["store"].state == "degraded"
    assert found.components["store"].reason == f"{away.trouble}; it lacks 6 entries"
    assert not found.readiness().ready


def test_the_lag_of_async_mode_is_what_is_not_acknowledged():
    assert StandbyStatus("async", 3, "").lag(9) == 6
    assert StandbyStatus("async", 9, "").lag(9) == 0
    assert StandbyStatus("sync", 3, "").lag(9) == 0
