from dataclasses import replace

import pytest
from market_days import year
from prometheus_client.parser import text_string_to_metric_families

from firm.ops.figures import LATENCY_BUCKETS_S, CycleLatency, Figures
from firm.ops.health import Facts, Tolerances
from firm.ops.metrics import exposition
from firm.ops.snapshot import Snapshot
from firm.ops.status import Status
from firm.report.summary import Summary

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(snapshot: Snapshot) -> Samples:
    families = text_string_to_metric_families(exposition(snapshot).decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def snapshot_of_a_year(**facts: object) -> tuple[Snapshot, Summary]:
    summary, status = Summary(), Status()
    for record in year(seed=7, days=40):
        summary.note(record)
        status.note(record)
    latency = CycleLatency()
    for seconds in (0.0009, 0.004, 0.02, 30.0):
        latency.observe(seconds)
    outside = replace(Facts(0.25, store_writable=True, bus_alive=True, latch=""), **facts)
    figures = Figures.of(summary, latency.view())
    return Snapshot(status.view(), figures, outside, Tolerances(60, 1e9)), summary


def test_every_figure_of_the_run_is_there_and_says_what_the_summary_says():
    snapshot, summary = snapshot_of_a_year()
    found, said = samples(snapshot), summary.as_dict(b"")

    assert found["firm_log_entries_total", ()] == said["events"]
    assert found["firm_cycles_total", (("kind", "decision"),)] == said["decisions"] == 40
    assert found["firm_signals_total", (("agent", "momentum"),)] == 40 * 20
    assert found["firm_orders_proposed_total", ()] == said["orders_proposed"]
    assert found["firm_orders_sent_total", (("algo", "twap"),)] == said["orders_sent"]
    assert found["firm_fills_total", (("side", "BUY"),)] == said["fills_buy"]
    assert found["firm_fills_total", (("side", "SELL"),)] == said["fills_sell"]
    refused = said["orders_refused_by"]["limit"]["max_leverage"]
    assert found["firm_orders_refused_total", (("by", "risk"), ("reason", "max_leverage"))] == refused > 0
    assert found["firm_equity_usd", ()] == said["final_equity"]
    assert found["firm_gross_exposure_usd", ()] == summary.gross_exposure
    assert found["firm_var_usd", (("method", "monte_carlo"),)] == said["var_99"]
    assert found["firm_var_usd", (("method", "historical"),)] == said["var"]["historical"]
    assert found["firm_es_usd", (("method", "monte_carlo"),)] == said["es_975"]
    assert found["firm_worst_stress_loss_usd", ()] == said["stress"][0]["loss"]
    assert found["firm_average_correlation_ratio", ()] == said["correlation"]["average"] == 0.4
    assert found["firm_limits_without_input", ()] == 0
    assert found["firm_drawdown_ratio", ()] == summary.drawdown
    assert found["firm_barrier_missing_total", ()] == said["barrier_missing"]
    assert found["firm_cycle_age_seconds", ()] == 0.25


def test_halted_connected_and_ready_are_flags_and_unknown_is_not_well():
    found = samples(snapshot_of_a_year()[0])
    assert [found[name, ()] for name in ("firm_halted", "firm_broker_connected")] == [0, 1]

    for facts in ({"latch": "drill"}, {"latch": None}):
        found = samples(snapshot_of_a_year(**facts)[0])
        assert found["firm_halted", ()] == 1
        assert found["firm_ready", ()] == 0
        assert found["firm_component_ok", (("component", "trading"),)] == 0


def test_what_is_not_known_is_left_out():
    nothing = Snapshot(Status().view(), Figures(), Facts(None, None, None, None), Tolerances(60, 60))
    names = {name for name, _ in samples(nothing)}

    assert "firm_equity_usd" not in names
    for name in ("worst_stress_loss_usd", "average_correlation_ratio", "limits_without_input", "es_usd"):
        assert f"firm_{name}" not in names
    assert "firm_cycle_age_seconds" not in names
    assert "firm_cycle_seconds_count" not in names
    assert samples(nothing)["firm_log_entries_total", ()] == 0
    assert samples(nothing)["firm_broker_connected", ()] == 0


def test_a_zero_is_never_minus_zero():
    snapshot, _ = snapshot_of_a_year()
    figures = replace(snapshot.figures, var_by_method={"historical": -0.0}, worst_stress_loss=-0.0)

    assert b"-0.0" not in exposition(replace(snapshot, figures=figures))


def test_the_latency_histogram_is_cumulative():
    found = samples(snapshot_of_a_year()[0])

    assert found["firm_cycle_seconds_bucket", (("le", "0.001"),)] == 1
    assert found["firm_cycle_seconds_bucket", (("le", "0.005"),)] == 2
    assert found["firm_cycle_seconds_bucket", (("le", "10.0"),)] == 3
    assert found["firm_cycle_seconds_bucket", (("le", "+Inf"),)] == 4
    assert found["firm_cycle_seconds_count", ()] == 4
    assert found["firm_cycle_seconds_sum", ()] == pytest.approx(30.0249)
    assert (
        len([name for name, _ in found if name == "firm_cycle_seconds_bucket"]) == len(LATENCY_BUCKETS_S) + 1
    )


def test_a_copy_of_the_figures_does_not_change_with_the_fold():
    summary = Summary()
    before = Figures.of(summary)
    for record in year(seed=1, days=2):
        summary.note(record)

    assert before == Figures.of(Summary())
    assert Figures.of(summary).entries == summary.entries > 0
