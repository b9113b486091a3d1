"""`firm risk` on a terminal: tables of the analysis, most important first; what is unknown says why."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from firm.analysis.analysis import About, BookRisk, RiskAnalysis
from firm.analysis.contributions import Position
from firm.analysis.methods import Method, MonteCarlo
from firm.analysis.unknown import Unknown
from firm.report.terminal_more import backtests, drivers, greeks, margin, reverse, stresses, trims
from firm.report.terminal_tables import amount, cell, remark, table, title
from firm.report.words import NOTHING, money, number, percent

POSITIONS_SHOWN = 30


def terminal(analysis: RiskAnalysis) -> Group:
    """Everything, ready for a rich console."""
    return Group(*_parts(analysis))


def _parts(analysis: RiskAnalysis) -> Iterator[RenderableType]:
    yield from _about(analysis)
    risk = analysis.risk
    if not isinstance(risk, Unknown):
        yield from _measured(analysis, risk)
    yield from margin(analysis.margin)
    if not isinstance(risk, Unknown) and risk.trims is not None:
        yield from trims(risk.trims)
    yield from backtests(analysis.backtests)


def _measured(analysis: RiskAnalysis, risk: BookRisk) -> Iterator[RenderableType]:
    about = analysis.about
    assert not isinstance(about, Unknown), "a measured book has its marks"
    bars = f"{about.horizon_bars} bar{'s' if about.horizon_bars > 1 else ''}"
    levels = f"VaR {percent(about.confidence, 1)}", f"ES {percent(about.es_confidence, 1)}"
    yield title(f"Value at risk over {bars}, by method")
    yield _methods(levels, risk.methods, about.equity)
    yield remark(*_certainty(risk.monte_carlo))
    yield title(f"Over {risk.horizon_days} trading days")
    yield _methods(levels, risk.horizons, about.equity)
    yield from _liquidity(risk, levels)
    yield from _positions(risk.positions, levels)
    yield from drivers(risk.drivers)
    yield from stresses(risk.stresses)
    yield from reverse(risk.reverse)
    yield from greeks(risk.greeks)


def _about(analysis: RiskAnalysis) -> Iterator[RenderableType]:
    about = analysis.about
    yield Text(analysis.data_label, style="dim")
    if isinstance(about, Unknown):
        yield remark(f"No measured book: {about.unknown}.")
        return
    yield Text(
        f"Book marked {about.marked}: {about.positions} positions, equity {money(about.equity)}, gross "
        f"{money(about.gross)}, net {money(about.net)}. Losses are positive, account currency."
    )
    if isinstance(analysis.risk, Unknown):
        yield remark(f"{analysis.risk.unknown[0].upper()}{analysis.risk.unknown[1:]}.")
    yield from _cautions(about)


def _cautions(about: About) -> Iterator[RenderableType]:
    if about.marked_later:
        yield remark(
            "The book was marked again later and not measured: these figures are not of its last state."
        )
    if not about.as_requested:
        yield remark(
            "This machine rebuilds other inputs than the recorded run had: figures may differ from it."
        )
    if isinstance(about.limits_unknown, Unknown):
        yield remark(f"Limits: {about.limits_unknown.unknown}.")
    elif about.limits_unknown:
        yield remark("Limits that lack an input, and let no new risk pass:", *about.limits_unknown)


def _methods(levels: tuple[str, str], rows: Iterable[Method], equity: float) -> Table:
    body = table("Method", f">{levels[0]}", f">{levels[1]}", ">VaR of equity", "How")
    for row in rows:
        if isinstance(row.figures, Unknown):
            body.add_row(row.name, NOTHING, NOTHING, NOTHING, f"not valid: {row.figures.unknown}")
        else:
            share = percent(row.figures.var / equity) if equity > 0 else NOTHING
            body.add_row(row.name, money(row.figures.var), money(row.figures.es), share, row.note)
    return body


def _certainty(found: MonteCarlo | Unknown) -> Iterator[str]:
    if isinstance(found, Unknown):
        yield f"How certain Monte Carlo is: {found.unknown}."
        return
    var, es = found.var, found.es
    yield (
        f"Monte Carlo VaR {money(var.var)} has a standard error of {money(var.var_error)}, "
        f"{percent(var.level, 0)} interval {money(var.var_low)} to {amount(var.var_high)}; ES {money(es.es)} "
        f"one of {money(es.es_error)}."
    )
    yield {
        True: "It is the recorded run's figure, computed again to the bit.",
        False: "It is NOT the recorded run's figure: another machine or another version of the kernels.",
        None: "The recorded run did not come back; these are its scenarios, computed here.",
    }[found.recorded]
    sampled = found.sampled
    if isinstance(sampled, Unknown):
        yield f"Tail sampler: {sampled.unknown}."
    else:
        yield (
            f"Tail sampler ({sampled.method}: {sampled.reason}): VaR {money(sampled.var)}, interval "
            f"{amount(sampled.low)} to {amount(sampled.high)}; ES {money(sampled.es)}."
        )


def _liquidity(risk: BookRisk, levels: tuple[str, str]) -> Iterator[RenderableType]:
    found = risk.liquidity
    yield title("With what it costs and how long it takes to leave")
    body = table("Method", f">{levels[0]}", f">{levels[1]}", "How")
    for name, figures, how in (
        (
            "Monte Carlo and spread",
            found.by_spread,
            f"half of a bad day's spread paid on all: {cell(found.cost, money)}",
        ),
        (
            "normal, sold in parts",
            found.by_time,
            "each position held until it can be sold at our share of volume",
        ),
    ):
        if isinstance(figures, Unknown):
            body.add_row(name, NOTHING, NOTHING, f"unknown: {figures.unknown}")
        else:
            body.add_row(name, money(figures.var), money(figures.es), how)
    yield body
    if not isinstance(found.slowest, Unknown) and found.slowest:
        slowest = ", ".join(f"{row.symbol} {number(row.days, 2)}" for row in found.slowest)
        yield remark(f"Slowest positions, trading days: {slowest}.")


def _positions(found: Sequence[Position] | Unknown, levels: tuple[str, str]) -> Iterator[RenderableType]:
    yield title("Which position carries it (Monte Carlo; components add up, incremental is exact)")
    if isinstance(found, Unknown):
        yield remark(f"Unknown: {found.unknown}.")
        return
    yield remark(f"{levels[0]} and {levels[1]}; normal: component of the normal VaR.")
    body = table(
        "Symbol",
        ">Quantity",
        ">Value",
        ">VaR: component",
        ">incremental",
        ">ES: component",
        ">incremental",
        ">a unit more",
        ">normal",
    )
    for row in found[:POSITIONS_SHOWN]:
        body.add_row(
            row.symbol,
            number(row.quantity, 0 if row.quantity == int(row.quantity) else 4),
            money(row.value),
            money(row.var.component),
            cell(row.var.incremental, money),
            money(row.es.component),
            cell(row.es.incremental, money),
            number(row.es.marginal, 2),
            money(row.normal),
        )
    rest = found[POSITIONS_SHOWN:]
    body.add_section()
    body.add_row(
        "all",
        "",
        "",
        money(sum(row.var.component for row in found)),
        "",
        money(sum(row.es.component for row in found)),
        "",
        "",
        money(sum(row.normal for row in found)),
    )
    yield body
    if rest:
        yield remark(f"{len(rest)} positions with smaller components are not shown; `--json` has them all.")
