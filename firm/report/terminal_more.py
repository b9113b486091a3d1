"""The later tables of `firm risk`: factors, stress, Greeks, margin and the daily record."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.markup import escape

from firm.analysis.daily import Judged
from firm.analysis.drivers import Correlation, Drivers, Factors
from firm.analysis.margins import GreeksRow, Margin, Trims
from firm.analysis.stresses import ReverseStresses, Stresses
from firm.analysis.unknown import Unknown
from firm.report.terminal_tables import cell, remark, table, title
from firm.report.words import METHOD_NAMES, NOTHING, money, number, p_value, percent, signed_money

PAYERS_SHOWN = 8


def drivers(found: Drivers) -> Iterator[RenderableType]:
    """Factor decompositions and correlations."""
    yield from _factors("principal components", found.statistical)
    yield from _factors("market and sectors", found.sectors)
    yield title("How closely things move together")
    if isinstance(found.correlation, Unknown):
        yield remark(f"Unknown: {found.correlation.unknown}.")
    else:
        yield from _correlation(found.correlation)


def _factors(kind: str, found: Factors | Unknown) -> Iterator[RenderableType]:
    yield title(f"What moves the book: {kind}")
    if isinstance(found, Unknown):
        yield remark(f"Unknown: {found.unknown}.")
        return
    body = table(
        "Factor", ">Dollar beta", ">One deviation moves", ">Share of variance", ">P&L of the last bar"
    )
    for row in found.rows:
        beta = NOTHING if row.money is None else signed_money(row.money)
        body.add_row(row.name, beta, money(row.deviation), percent(row.share, 1), signed_money(row.last_bar))
    yield body
    yield remark(f"One standard deviation of the whole book over one bar: {money(found.deviation)}.")


def _correlation(found: Correlation) -> Iterator[RenderableType]:
    regime = found.regime
    if isinstance(regime, Unknown):
        yield remark(f"Regime: {regime.unknown}.")
    else:
        yield remark(
            f"Regime: {regime.regime.value}. The last window's average correlation is "
            f"{regime.average:.2f}, above {percent(regime.quantile, 0)} of {regime.windows} earlier windows "
            f"(worth about {regime.independent:.0f} independent ones)."
        )
    yield remark(f"Estimate: {found.summary}.")
    body = table("Correlations", ">Average", ">Normal VaR")
    for row in found.stressed:
        name = "as estimated" if row.blend == 0 else f"{percent(row.blend, 0)} of the way to one"
        body.add_row(name, number(row.average, 2), money(row.var))
    yield body


def stresses(found: Stresses | Unknown) -> Iterator[RenderableType]:
    """Every scenario, worst first, and who pays in the worst."""
    yield title("Stress scenarios, worst first")
    if isinstance(found, Unknown):
        yield remark(f"Unknown: {found.unknown}.")
        return
    body = table("Scenario", "When", ">Loss", ">Of equity", ">Leaving costs more by")
    for row in found.rows:
        when = f"{row.start} to {row.end}" if row.kind == "historical" else row.kind
        body.add_row(
            escape(row.scenario), when, money(row.loss), percent(row.of_equity), cell(row.leaving, money)
        )
    yield body
    yield remark(f"Limit: {percent(found.limit, 0)} of equity in the worst scenario.")
    yield title(f"Who pays in {found.rows[0].scenario}")
    body = table("Position", ">Loss", ">Its price moves")
    shown = PAYERS_SHOWN // 2
    for payer in (*found.payers[:shown], *found.payers[shown:][-shown:]):
        body.add_row(payer.symbol, money(payer.loss), percent(payer.price_move, 1))
    yield body
    if len(found.payers) > PAYERS_SHOWN:
        yield remark(f"The {shown} that lose most and the {shown} that lose least of {len(found.payers)}.")


def reverse(found: ReverseStresses | Unknown) -> Iterator[RenderableType]:
    """The least unlikely moves that lose the target."""
    yield title("Reverse stress: the least unlikely moves that cost too much")
    if isinstance(found, Unknown):
        yield remark(f"Unknown: {found.unknown}.")
        return
    linear = cell(found.linear_distance, lambda distance: f"{distance:.2f}")
    yield remark(
        f"A loss of {money(found.target)}; {found.starts} starts, within {found.radius:g} standard "
        f"deviations; were the book linear: {linear} deviations."
    )
    if not found.found:
        yield remark("No move that was tried loses it: a statement about the search, no proof.")
        return
    body = table(">Deviations", ">Probability", ">Loss", "What moves (loss by it alone)")
    for answer in found.found:
        moves = ", ".join(
            f"{move.symbol} {percent(move.move, 1)} ({money(move.loss)})" for move in answer.moves
        )
        rest = "" if answer.settled else " (did not settle)"
        chance = f"{answer.probability:.1e}"
        body.add_row(number(answer.distance, 2), chance, money(answer.loss), moves + rest)
    yield body


def greeks(rows: Sequence[GreeksRow]) -> Iterator[RenderableType]:
    """By underlying."""
    yield title("Greeks by underlying")
    body = table(
        "Underlying", ">Delta", ">Gamma of 1 %", ">Vega of a point", ">Theta of a day", ">Rho of a point"
    )
    for row in rows:
        if row.underlying == "total":
            body.add_section()
        figures = (row.delta, row.gamma, row.vega, row.theta, row.rho)
        body.add_row(row.underlying, *(money(figure) for figure in figures))
    yield body


def margin(found: Margin | Unknown) -> Iterator[RenderableType]:
    """The broker's figures beside the estimates."""
    yield title("Margin")
    if isinstance(found, Unknown):
        yield remark(f"Unknown: {found.unknown}.")
        return
    body = table("Whose figure", ">Initial", ">Maintenance", ">Excess liquidity", ">Headroom", "What it is")
    if isinstance(found.broker, Unknown):
        body.add_row("broker", NOTHING, NOTHING, NOTHING, NOTHING, f"unknown: {found.broker.unknown}")
    else:
        broker = found.broker
        room = cell(found.headroom, lambda value: percent(value, 1))
        why = found.headroom.unknown if isinstance(found.headroom, Unknown) else "the authority"
        body.add_row(
            "broker",
            money(broker.initial),
            money(broker.maintenance),
            money(broker.excess_liquidity),
            room,
            why,
        )
    largest = ", ".join(f"{row.underlying} {money(row.charge)}" for row in found.largest)
    body.add_row(
        "estimate", NOTHING, money(found.estimate), NOTHING, NOTHING, f"scan; largest: {largest or 'none'}"
    )
    if isinstance(found.reg_t, Unknown):
        body.add_row("estimate", NOTHING, NOTHING, NOTHING, NOTHING, f"Reg-T unknown: {found.reg_t.unknown}")
    else:
        rules = found.reg_t
        body.add_row(
            "estimate", money(rules.initial), money(rules.maintenance), NOTHING, NOTHING, "Reg-T rules"
        )
    yield body
    yield remark(f"The limit asks for a headroom of {percent(found.needed, 0)} of equity after every order.")


def trims(found: Trims | Unknown) -> Iterator[RenderableType]:
    """The proposal that frees margin."""
    yield title("Proposal to free margin")
    if isinstance(found, Unknown):
        yield remark(f"Unknown: {found.unknown}.")
        return
    body = table("Position", ">Trade", ">Of")
    for row in found.trades:
        body.add_row(row.symbol, number(row.quantity), number(row.held))
    yield body
    reached = "" if found.reached else " The target cannot be reached without ES rising."
    yield remark(
        f"To free {money(found.wanted)} by the estimate: margin {money(found.margin_before)} to "
        f"{money(found.margin_after)}, ES {money(found.es_before)} to {money(found.es_after)}.{reached} An "
        "estimate: ask the broker's what-if before trusting it."
    )


def backtests(found: Sequence[Judged]) -> Iterator[RenderableType]:
    """The daily record of the firm."""
    yield title("Daily record: VaR and ES against what the measured book then did")
    if not found:
        yield remark("No day has been measured yet.")
        return
    body = table(
        "Method",
        ">Days",
        ">Unknown",
        ">Exceptions",
        ">Expected",
        ">Kupiec",
        ">Independence",
        ">Both",
        ">Basel",
        ">Z1 (p)",
        ">Z2 (p)",
    )
    for row in found:
        var, es = row.var, row.es
        tests = (var.kupiec, var.independence, var.conditional_coverage)
        z1 = NOTHING if es is None or es.z1 is None else f"{number(es.z1, 2)} ({p_value(es.z1_p)})"
        z2 = NOTHING if es is None else f"{number(es.z2, 2)} ({p_value(es.z2_p)})"
        body.add_row(
            METHOD_NAMES[row.method],
            number(var.observations),
            number(var.unknown),
            number(var.exceptions),
            number(var.expected_exceptions, 1),
            *(p_value(None if test is None else test.p_value) for test in tests),
            var.traffic_light.zone.value if var.traffic_light else NOTHING,
            z1,
            z2,
        )
    yield body
    yield remark(
        "Kupiec, independence and both are p-values, as those in brackets: a small one says that the "
        "record is hard to explain by chance. Z1 and Z2 (Acerbi and Szekely, at the confidence of ES) are 0 "
        "for a right model and negative for one too mild."
    )
