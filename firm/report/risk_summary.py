"""The risk figures of `summary.json`: the last measurement, and the daily record of the firm."""

from collections.abc import Mapping
from typing import Any, Protocol

from firm.analysis.daily import Judged
from firm.events.risk import RiskMeasured, RiskRunCompleted
from firm.report.book import BookSeries
from firm.risk.backtests import LikelihoodRatio


class Measured(Protocol):
    """What is told; `firm.report.summary.Summary` has it all."""

    book: BookSeries

    @property
    def confidence(self) -> float | None:
        """Of VaR."""

    @property
    def es_confidence(self) -> float | None:
        """Of ES."""

    @property
    def var_by_method(self) -> Mapping[str, float]:
        """The last VaR by method."""

    @property
    def es_by_method(self) -> Mapping[str, float]:
        """The last ES by method."""


def risk_summary(summary: Measured) -> dict[str, Any]:
    """A figure has its confidence in its name only where it was measured at that confidence."""
    run, measured = summary.book.risk_run, summary.book.measured
    return {
        "var_99": run.var if run and summary.confidence == 0.99 else None,
        "es_975": run.es if run and summary.es_confidence == 0.975 else None,
        "es_99": run.es if run and summary.es_confidence == 0.99 else None,
        "var_confidence": summary.confidence,
        "es_confidence": summary.es_confidence,
        "var": summary.var_by_method,
        "es": run.es if run else None,
        "es_by_method": summary.es_by_method,
        "stress": None if run is None else [{"scenario": name, "loss": x} for name, x in worst_first(run)],
        "greeks": None if measured is None else _greeks(measured),
        "stressed_var": None if measured is None else measured.stressed_var,
        "correlation": {
            "average": summary.book.average_correlation,
            "regime": None if measured is None else measured.regime,
        },
        "limits_unknown": None if measured is None else list(measured.unknown),
        "risk_runs_failed": summary.book.risk_runs_failed,
        "var_backtest": _backtests(summary.book),
    }


def worst_first(run: RiskRunCompleted) -> list[tuple[str, float]]:
    """Scenarios and losses, the largest loss first, equal ones by name."""
    return sorted(run.stress, key=lambda named: (-named[1], named[0]))


def _greeks(measured: RiskMeasured) -> dict[str, float]:
    return {"delta": measured.delta, "gamma": measured.gamma, "vega": measured.vega}


def _backtests(book: BookSeries) -> dict[str, Any]:
    records = {row.method: _record(row) for row in book.judged()}
    return {
        row.method: {
            "days": row.days,
            "expected": row.expected,
            "exceptions_actual": row.actual,
            "exceptions_static": row.static,
            "kupiec_p_value": row.p_value,
            "record": records.get(row.method),
        }
        for row in book.backtests()
    }


def _record(judged: Judged) -> dict[str, Any]:
    """The daily record: the last 250 days, horizons that do not overlap."""
    var, es = judged.var, judged.es
    return {
        "days": var.observations,
        "unknown": var.unknown,
        "exceptions": var.exceptions,
        "expected": var.expected_exceptions,
        "kupiec_p_value": _p(var.kupiec),
        "christoffersen_p_value": _p(var.independence),
        "conditional_coverage_p_value": _p(var.conditional_coverage),
        "basel_zone": var.traffic_light.zone.value if var.traffic_light else None,
        "basel_multiplier": var.multiplier,
        "acerbi_szekely": None
        if es is None
        else {
            "days": es.days,
            "z1": es.z1,
            "z1_p_value": es.z1_p,
            "z2": es.z2,
            "z2_p_value": es.z2_p,
        },
    }


def _p(test: LikelihoodRatio | None) -> float | None:
    return None if test is None else test.p_value
