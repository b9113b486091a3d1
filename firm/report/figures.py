"""The charts of the report: equity, drawdown, exposure, VaR against what followed, and activity."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

from firm.analysis.daily import METHODS
from firm.report.book import Mark, VarPoint
from firm.report.chart import Chart, Limit, Series
from firm.report.summary import Summary
from firm.report.times import NS_PER_DAY, day_of, minute
from firm.report.words import (
    METHOD_NAMES,
    count_axis,
    level,
    money,
    money_axis,
    multiple,
    multiple_axis,
    number,
    percent,
    percent_axis,
    signed_money,
)


def charts(summary: Summary) -> list[Chart]:
    """The charts for which the run has data, in the order of the report."""
    drawn: list[Chart] = []
    marks = summary.book.marks
    if marks:
        drawn += [_equity(marks), _drawdown(summary, marks), _exposure(summary, marks)]
    points = [*summary.book.points, *summary.book.pending()]
    if points:
        drawn.append(_var(summary, points))
    ledger = summary.ledger
    if ledger.sent_by_day or ledger.refused_by_day or ledger.filled_by_day:
        drawn.append(_activity(ledger.sent_by_day, ledger.filled_by_day, ledger.refused_by_day))
    return drawn


def _equity(marks: Sequence[Mark]) -> Chart:
    low, high = min(m.equity for m in marks), max(m.equity for m in marks)
    return Chart(
        "equity",
        "Equity",
        f"Equity at each decision, from {money(marks[0].equity)} to {money(marks[-1].equity)}; "
        f"lowest {money(low)}, highest {money(high)}.",
        [m.at for m in marks],
        [Series("line", "Equity at the mid prices", "c-main", [m.equity for m in marks], money)],
        money_axis,
        minute,
        height=300,
    )


def _drawdown(summary: Summary, marks: Sequence[Mark]) -> Chart:
    limit = summary.setting("risk", "max_drawdown")
    near = limit is not None and summary.book.max_drawdown > limit / 4
    return Chart(
        "drawdown",
        "Drawdown from the highest equity",
        f"The deepest drawdown was {percent(summary.book.max_drawdown)}.",
        [m.at for m in marks],
        [Series("area", "Drawdown", "c-bad", [-m.drawdown for m in marks], percent)],
        percent_axis,
        minute,
        (Limit(-limit, f"halt at −{percent(limit, 0)}"),) if near else (),
        include=(0.0, -0.01),
        height=190,
    )


def _exposure(summary: Summary, marks: Sequence[Mark]) -> Chart:
    limit = summary.setting("risk", "max_leverage")
    gross = [_ratio(m.gross, m.equity) for m in marks]
    return Chart(
        "exposure",
        "Exposure as a multiple of equity",
        f"Gross and net exposure over equity; gross at the end {multiple(gross[-1])}.",
        [m.at for m in marks],
        [
            Series("area", "Gross", "c-main", gross, multiple),
            Series("line", "Net", "c-second", [_ratio(m.net, m.equity) for m in marks], multiple),
        ],
        multiple_axis,
        minute,
        () if limit is None else (Limit(limit, f"limit {multiple(limit, 1)}"),),
        include=(0.0,),
        height=220,
    )


def _ratio(amount: float, equity: float) -> float | None:
    return amount / equity if equity > 0 else None


def _var(summary: Summary, points: Sequence[VarPoint]) -> Chart:
    confidence = level(summary.confidence)
    limit = summary.setting("risk", "max_portfolio_var")
    static = [p.static for p in points]
    beyond = [p.static if p.static is not None and p.static < -p.var[2] else None for p in points]
    lines = [
        Series("line", f"−VaR {METHOD_NAMES[method]}", f"c-{css}", [-p.var[i] for p in points], money)
        for i, (method, css) in enumerate(zip(METHODS, ("second", "third", "main"), strict=True))
    ]
    return Chart(
        "var",
        f"VaR at {confidence} against the P&L that followed",
        "Bars: profit or loss of the measured book, unchanged, until the next decision. Lines: the loss VaR "
        f"said would be passed on one day in {round(1 / (1 - (summary.confidence or 0.99)))}. "
        f"{sum(b is not None for b in beyond)} exceptions of the Monte Carlo VaR are marked.",
        [p.at for p in points],
        [
            Series("bars", "P&L that followed", "c-quiet", static, signed_money),
            *lines,
            Series("dots", "Beyond Monte Carlo VaR", "c-bad", beyond, lambda _: "yes"),
        ],
        money_axis,
        minute,
        ()
        if limit is None or limit > 4 * max(p.var[2] for p in points)
        else (Limit(-limit, f"limit {money(limit)}"),),
        include=(0.0,),
        height=300,
    )


def _activity(sent: Counter[date], filled: Counter[date], refused: Counter[date]) -> Chart:
    days = sorted(sent.keys() | filled.keys() | refused.keys())
    return Chart(
        "activity",
        "Orders and fills per day",
        f"Orders sent and their fills upwards, refusals downwards, on {len(days)} days with any.",
        [(day.toordinal() - date(1970, 1, 1).toordinal()) * NS_PER_DAY for day in days],
        [
            Series("bars", "Orders sent", "c-pale", [float(sent[day]) for day in days], number),
            Series("bars", "Fills", "c-main", [float(filled[day]) for day in days], number, 0.5),
            Series("bars", "Refused", "c-bad", [-float(refused[day]) for day in days], lambda v: number(-v)),
        ],
        count_axis,
        lambda at: day_of(at).isoformat(),
        include=(0.0, 1.0),
        height=200,
    )
