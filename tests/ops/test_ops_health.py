from dataclasses import replace

import pytest
from market_days import CASH, DAY, FIRST_CLOSE, Logbook, year
from risk_figures import measured

from firm.events import Event, Record
from firm.events.market import MarketData
from firm.events.risk import RiskRunCompleted, RiskRunFailed
from firm.events.signals import BarrierClosed
from firm.events.system import (
    BrokerConnected,
    BrokerDisconnected,
    CycleAborted,
    CycleKind,
    EntrySkipped,
    Reconciled,
    TradingHalted,
    TradingRearmed,
)
from firm.ops.health import MINOR, Facts, Health, Readiness, Tolerances, assess
from firm.ops.status import Status, StatusView

WELL = Facts(cycle_age_s=0.5, store_writable=True, bus_alive=True, latch="")
TOLERANCES = Tolerances(max_cycle_age_s=60, max_data_age_s=27_000)
MEASURED = measured(1.0)


def fold(records: list[Record]) -> StatusView:
    status = Status()
    for record in records:
        status.note(record)
    return status.view()


def trading() -> Logbook:
    """A firm that has connected, reconciled, heard quotes and decided once."""
    log = Logbook()
    log.open()
    log.say(MarketData(b""))
    log.cycle(FIRST_CLOSE, CycleKind.DECISION)
    log.say(RiskRunCompleted(1, 10, 1.0, 1.0, 1.0, ()))
    log.say(BarrierClosed(20, 20, ()))
    log.say(MEASURED, "risk")
    return log


def judge(log: Logbook, facts: Facts = WELL) -> Health:
    return assess(fold(log.records), facts, TOLERANCES)


def only_bad(health: Health) -> tuple[str, str, str]:
    ((name, part),) = [(name, p) for name, p in health.components.items() if p.state != "ok"]
    return name, part.state, part.reason


def test_a_firm_that_trades_is_ok_and_ready():
    health = judge(trading())

    assert health.status == "ok"
    assert health.readiness() == Readiness(True, ())
    assert health.as_dict()["components"]["risk"] == {  # type: ignore[index]
        "state": "ok",
        "reason": "VaR was measured at the last decision",
    }


def test_a_firm_that_has_heard_nothing_is_unknown_in_every_part_and_not_ready():
    health = assess(Status().view(), Facts(None, None, None, None), TOLERANCES)

    assert health.status == "degraded"
    assert {c.state for name, c in health.components.items() if name != "agents"} == {"unknown"}
    assert len(health.readiness().reasons) == len(health.components.keys() - MINOR) - 1
    assert all(len(reason) > 20 for reason in health.readiness().reasons)


@pytest.mark.parametrize(
    ("facts", "name", "state", "status", "words"),
    [
        (replace(WELL, bus_alive=False), "bus", "down", "down", "start the firm again"),
        (replace(WELL, bus_alive=None), "bus", "unknown", "degraded", "look whether its process runs"),
        (replace(WELL, store_writable=False), "store", "down", "down", "free the disk"),
        (replace(WELL, store_writable=None), "store", "unknown", "degraded", "look at the disk"),
        (replace(WELL, cycle_age_s=61), "cycles", "degraded", "degraded", "61 s ago, allowed are 60 s"),
        (replace(WELL, cycle_age_s=None), "cycles", "unknown", "degraded", "no cycle has finished yet"),
        (replace(WELL, latch="drill"), "trading", "degraded", "degraded", "halts all orders: drill"),
        (replace(WELL, latch=None), "trading", "unknown", "degraded", "could not be looked at"),
    ],
)
def test_each_fact_from_outside_can_alone_make_the_firm_unready(
    facts: Facts, name: str, state: str, status: str, words: str
):
    health = judge(trading(), facts)

    assert only_bad(health)[:2] == (name, state)
    assert words in only_bad(health)[2]
    assert health.status == status
    assert health.readiness().reasons == (f"{name}: {only_bad(health)[2]}",)


@pytest.mark.parametrize(
    ("event", "name", "words"),
    [
        (Reconciled((), CASH, ("KO: ours 10, theirs 12",)), "reconciliation", "KO: ours 10, theirs 12"),
        (BrokerConnected("DU0000001", CASH), "reconciliation", "not reconciled since the connection"),
        (RiskRunFailed(1, "no answer within 5000 ms"), "risk", "no answer within 5000 ms"),
        (measured(1.0, unknown=("margin: never",)), "risk", "let no new risk pass: margin: never"),
        (TradingHalted("risk: drawdown"), "trading", "firm rearm DIR --by NAME --reason TEXT"),
        (CycleAborted("cio", 812, "ValueError", 811), "agents", "cio on entry 812"),
        (BarrierClosed(20, 18, (("momentum", "KO"),)), "signals", "18 of 20 signals"),
    ],
)
def test_each_event_can_alone_degrade_the_firm(event: Event, name: str, words: str):
    log = trading()
    log.say(event)
    health = judge(log)

    assert only_bad(health)[:2] in ((name, "degraded"), (name, "unknown"))
    assert words in only_bad(health)[2]
    assert health.status == "degraded"
    assert health.readiness().ready == (name == "signals")


def test_a_lost_broker_is_not_connected_and_not_reconciled_until_both_are_said_again():
    log = trading()
    log.say(BrokerDisconnected("1100"))
    broken = judge(log)
    assert broken.components["broker"].state == "degraded"
    assert "1100" in broken.components["broker"].reason
    assert broken.components["reconciliation"].state == "unknown"
    log.say(BrokerConnected("DU0000001", CASH))
    assert not judge(log).readiness().ready
    log.say(Reconciled((), CASH, ()))
    assert judge(log).readiness().ready


def test_quotes_older_than_allowed_in_log_time_are_stale():
    log = trading()
    log.cycle(FIRST_CLOSE + DAY)
    health = judge(log)

    assert only_bad(health)[:2] == ("data", "degraded")
    assert "90000 s old in log time, allowed are 27000 s" in only_bad(health)[2]
    log.say(MarketData(b""))
    assert judge(log).readiness().ready


def test_a_decision_without_var_is_noticed_when_it_is_over_and_forgiven_when_measured_again():
    log = trading()
    log.cycle(FIRST_CLOSE + 10**9, CycleKind.DECISION)
    log.say(MarketData(b""))
    assert judge(log).readiness().ready
    log.cycle(FIRST_CLOSE + 2 * 10**9)
    assert only_bad(judge(log))[:2] == ("risk", "degraded")
    log.cycle(FIRST_CLOSE + 3 * 10**9, CycleKind.DECISION)
    log.say(MEASURED, "risk")
    assert judge(log).readiness().ready


def test_a_skipped_entry_and_a_rearm_make_the_firm_ready_again():
    log = trading()
    log.say(CycleAborted("cio", 812, "ValueError", 811))
    log.say(TradingHalted("cio failed twice"))
    log.say(EntrySkipped("cio", 1, "Ann Lee", "another entry"))
    assert len(judge(log).readiness().reasons) == 2
    log.say(EntrySkipped("cio", 812, "Ann Lee", "looked at it"))
    log.say(TradingRearmed("Ann Lee", "looked at it"))
    assert judge(log).readiness().ready


def test_a_view_does_not_change_when_the_fold_goes_on():
    status, records = Status(), year(seed=3, days=10)
    for record in records[:200]:
        status.note(record)
    view = status.view()
    for record in records[200:]:
        status.note(record)

    assert view == fold(records[:200])
    assert view.seq == 200
    assert status.view().seq == len(records)
