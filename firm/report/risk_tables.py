"""The risk tables of the report: the last measurement, stress losses, and the daily record of the firm."""

from collections.abc import Sequence

from firm.analysis.daily import METHODS, Judged
from firm.report.book import Backtest
from firm.report.risk_summary import worst_first
from firm.report.summary import Summary
from firm.report.tables import Column, note, table
from firm.report.words import METHOD_NAMES, NOTHING, level, money, number, p_value, percent

STRESS_SHOWN = 12


def risk_section(summary: Summary, chart: str) -> str:
    """Everything about risk under one heading; `chart` is VaR against what followed."""
    rows = summary.book.backtests()
    if not rows:
        return note("Risk was never measured: there was too little history.")
    bars = summary.book.horizon
    return (
        chart
        + _measured(summary)
        + note(
            f"Over {bars} bar{'s' if bars > 1 else ''}, losses positive; VaR at "
            f"{level(summary.confidence)}, ES at {level(summary.es_confidence)}. Risk runs that failed: "
            f"{summary.book.risk_runs_failed}."
        )
        + _state(summary)
        + _stress(summary)
        + "<h3>Backtest over the whole run</h3>"
        + _whole_run(rows)
        + note(
            "An exception is a loss beyond VaR of the book as it was measured; “with trades and fees” uses "
            "the change of equity instead. A small p-value says that the number of exceptions is hard to "
            "explain by chance."
        )
        + "<h3>Daily record, at most the last 250 days</h3>"
        + _record(summary.book.judged())
        + note(
            "Kept as a daily record of the firm: one forecast a day, horizons that do not overlap, days "
            "without a forecast counted as unknown. Kupiec, independence (Christoffersen’s test that "
            "exceptions do not cluster) and coverage (both) are p-values, as those in brackets. Z1 and Z2 "
            "are Acerbi and Szekely’s tests of ES: 0 for a right model, negative for one too mild. They need "
            "VaR and ES at one confidence: where the log has them at two, only the normal method has them "
            "here, and “firm risk” works out the others."
        )
    )


def _measured(summary: Summary) -> str:
    columns = (
        Column("Method", css="strong"),
        Column(f"VaR {level(summary.confidence)}", numeric=True),
        Column("Of equity", numeric=True),
        Column(f"ES {level(summary.es_confidence)}", numeric=True),
        Column("Of equity", numeric=True),
    )
    var, es, equity = summary.var_by_method, summary.es_by_method, summary.equity or 0.0

    def share(value: float | None) -> str:
        return percent(value / equity) if value is not None and equity > 0 else NOTHING

    cells = (
        (METHOD_NAMES[m], money(var.get(m)), share(var.get(m)), money(es.get(m)), share(es.get(m)))
        for m in METHODS
    )
    return table(columns, cells, "VaR and ES at the last measurement")


def _state(summary: Summary) -> str:
    measured = summary.book.measured
    if measured is None:
        return ""
    average = summary.book.average_correlation
    rows = (
        ("Delta", money(measured.delta), "a move of all prices by 100 %, were the book linear"),
        ("Gamma", money(measured.gamma), "change of delta for a move of 1 %"),
        ("Vega", money(measured.vega), "one point of volatility"),
        ("Stressed VaR", money(measured.stressed_var), _stressed_words(summary)),
        ("Average correlation", number(average, 2), f"regime: {measured.regime}"),
    )
    columns = (Column("Figure", css="strong"), Column("Value", numeric=True), Column("What it is", css="why"))
    lacking = measured.unknown
    words = (
        "Limits that lack an input, and so let no new risk pass: " + "; ".join(lacking) + "."
        if lacking
        else "Every limit has its inputs."
    )
    return "<h3>Sensitivities and correlation</h3>" + table(columns, rows, "sensitivities") + note(words)


def _stressed_words(summary: Summary) -> str:
    blend = summary.setting("risk", "correlation", "crisis_blend")
    part = NOTHING if blend is None else percent(blend, 0)
    return f"normal VaR with correlations {part} of the way to one"


def _stress(summary: Summary) -> str:
    run = summary.book.risk_run
    if run is None or not run.stress:
        return note("No stress scenario was run.")
    equity, limit = summary.equity or 0.0, summary.setting("risk", "stress", "max_loss")
    columns = (
        Column("Scenario", css="strong"),
        Column("Loss", numeric=True),
        Column("Of equity", numeric=True),
    )
    found = worst_first(run)
    rows = (
        (name, money(loss), percent(loss / equity) if equity > 0 else NOTHING)
        for name, loss in found[:STRESS_SHOWN]
    )
    left = len(found) - STRESS_SHOWN
    words = f"The worst {STRESS_SHOWN} of {len(found)} scenarios; summary.json has all. " if left > 0 else ""
    words += "" if limit is None else f"Limit: {percent(limit, 0)} of equity in the worst."
    return "<h3>Stress losses, worst first</h3>" + table(columns, rows, "stress losses") + note(words)


def _whole_run(rows: Sequence[Backtest]) -> str:
    columns = (
        Column("Method", css="strong"),
        Column("Decisions compared", numeric=True),
        Column("Expected", numeric=True),
        Column("Exceptions", numeric=True),
        Column("With trades and fees", numeric=True),
        Column("Kupiec p-value", numeric=True),
    )
    cells = (
        (
            METHOD_NAMES[row.method],
            number(row.days),
            number(row.expected, 1),
            number(row.static),
            number(row.actual),
            p_value(row.p_value),
        )
        for row in rows
    )
    return table(columns, cells, "VaR backtest")


def _record(rows: Sequence[Judged]) -> str:
    columns = (
        Column("Method", css="strong"),
        Column("Days", numeric=True),
        Column("Unknown", numeric=True),
        Column("Exceptions", numeric=True),
        Column("Expected", numeric=True),
        Column("Basel zone"),
        Column("Kupiec", numeric=True),
        Column("Independence", numeric=True),
        Column("Coverage", numeric=True),
        Column("Z1 (p)", numeric=True),
        Column("Z2 (p)", numeric=True),
    )
    return table(columns, (_judged(row) for row in rows), "daily record")


def _judged(row: Judged) -> tuple[str, ...]:
    var, es = row.var, row.es
    tests = (var.kupiec, var.independence, var.conditional_coverage)
    z1 = NOTHING if es is None or es.z1 is None else f"{number(es.z1, 2)} ({p_value(es.z1_p)})"
    return (
        METHOD_NAMES[row.method],
        number(var.observations),
        number(var.unknown),
        number(var.exceptions),
        number(var.expected_exceptions, 1),
        NOTHING if var.traffic_light is None else var.traffic_light.zone.value,
        *(p_value(None if test is None else test.p_value) for test in tests),
        z1,
        NOTHING if es is None else f"{number(es.z2, 2)} ({p_value(es.z2_p)})",
    )
