"""What operators see of the standby: the store's health and the lag."""

import os
import time
from pathlib import Path

import msgspec

from firm.ops.health import Facts, Tolerances, assess
from firm.ops.status import Status
from firm.standby.replicated import STATUS, StandbyStatus, read_status


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


def test_a_follower_that_gives_no_sign_of_life_degrades_the_store_though_it_reported_no_trouble(
    tmp_path: Path,
):
    path = tmp_path / STATUS
    path.write_bytes(msgspec.json.encode(StandbyStatus("async", 3, "")))
    fresh = read_status(tmp_path)
    then = time.time() - 90
    os.utime(path, (then, then))
    stale = read_status(tmp_path)

    assert fresh is not None
    assert fresh.trouble == ""
    assert stale is not None
    store = assess(Status().view(), facts(stale, 9), Tolerances(60, 60)).components["store"]
    assert store.state == "degraded"
    assert store.reason.startswith("nothing has been heard of the standby for 90 s")
    assert store.reason.endswith("look at the firm's log; it lacks 6 entries")


def test_the_lag_of_async_mode_is_what_is_not_acknowledged():
    assert StandbyStatus("async", 3, "").lag(9) == 6
    assert StandbyStatus("async", 9, "").lag(9) == 0
    assert StandbyStatus("sync", 3, "").lag(9) == 0
