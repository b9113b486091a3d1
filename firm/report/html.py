"""The report of a run as one HTML file that needs nothing else: no server, no network, no library."""

from collections import Counter
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from shlex import quote

from firm.report.broker_tables import broker_section
from firm.report.chart import figure
from firm.report.figures import charts
from firm.report.risk_summary import worst_first
from firm.report.risk_tables import risk_section
from firm.report.summary import Summary, percentiles
from firm.report.tables import (
    happenings_table,
    note,
    orders_table,
    positions_table,
    refusals_by_reason,
    refusals_table,
)
from firm.report.times import day_of, minute
from firm.report.words import NOTHING, level, money, multiple, number, percent, signed_money


def render(summary: Summary, head: bytes, latencies_ms: Iterable[float] = (), run: str = "DIR") -> str:
    """The whole report. `head` is the log's, `run` the run's directory as the commands at the end name it."""
    ours = files("firm.report")
    css = ours.joinpath("report.css").read_text(encoding="utf-8")
    script = ours.joinpath("report.js").read_text(encoding="utf-8")
    drawn = {chart.key: figure(chart) for chart in charts(summary)}
    title = f"Run report, {_period(summary)}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{css}</style></head><body>"
        f"{_header(summary, head)}<main>"
        f"{_key_figures(summary, latencies_ms)}"
        f"{_performance(drawn)}{_risk(summary, drawn)}{_trading(summary, drawn)}"
        f"{_refusals(summary)}{_positions(summary)}{_broker(summary)}"
        f"{_incidents(summary)}{_verify(head, run)}"
        f"</main><script>{script}</script></body></html>\n"
    )


def _period(summary: Summary) -> str:
    if summary.first_at is None or summary.last_at is None:
        return "before the first cycle"
    first, last = day_of(summary.first_at), day_of(summary.last_at)
    return first.isoformat() if first == last else f"{first.isoformat()} to {last.isoformat()}"


def _header(summary: Summary, head: bytes) -> str:
    label = summary.started.data_label if summary.started else "unknown data"
    synthetic = '<span class="badge warn">synthetic data</span>' if "synthetic" in label.lower() else ""
    state = (
        f'<span class="badge bad">halted</span> {escape(summary.story.halted)}'
        if summary.story.halted
        else '<span class="badge good">not halted</span>'
    )
    facts = (
        ("Data", f"{escape(label)} {synthetic}"),
        ("State at the end", state),
        ("Mode", escape(str(summary.setting("system", "mode") or NOTHING))),
        ("Account", escape(summary.story.account or NOTHING)),
        ("Code", escape(summary.started.code_version if summary.started else NOTHING)),
        ("Log", f"{summary.entries:,} entries, head <code>{head.hex()}</code>"),
    )
    rows = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    return (
        f'<header><p class="over">Trading firm</p><h1>Run report</h1><p class="period">{_period(summary)}</p>'
        f'<dl class="facts">{rows}</dl></header>'
    )


def _section(key: str, title: str, content: str) -> str:
    return f'<section aria-labelledby="h-{key}"><h2 id="h-{key}">{escape(title)}</h2>{content}</section>'


def _key_figures(summary: Summary, latencies_ms: Iterable[float]) -> str:
    cells = "".join(
        f'<div class="{css}"><dt>{escape(name)}</dt><dd>{escape(value)}</dd>'
        f'<dd class="sub">{escape(detail)}</dd></div>'
        for name, value, detail, css in (*_money(summary), *_work(summary, latencies_ms))
    )
    return _section("key", "Key figures", f'<dl class="cards">{cells}</dl>')


def _money(summary: Summary) -> Iterable[tuple[str, str, str, str]]:
    book = summary.book
    first, last = book.first, book.last
    gain = last.equity - first.equity if first and last else None
    share = gain / first.equity if first and gain is not None and first.equity > 0 else None
    leverage = None
    if last and last.equity > 0:
        leverage = last.gross_exposure / last.equity
    yield "Final equity", money(last.equity if last else None), _marked(summary), ""
    yield (
        "Result",
        signed_money(gain),
        f"{percent(share)} since the first mark" if share is not None else "never marked",
        "" if not gain else "loss" if gain < 0 else "gain",
    )
    yield "Max drawdown", percent(book.max_drawdown if last else None), _limit(summary, "max_drawdown"), ""
    yield "Gross exposure", multiple(leverage), "of equity, last mark", ""
    var = summary.var_by_method.get("monte_carlo")
    yield f"VaR {level(summary.confidence)}", money(var), _of_equity(var, summary), ""
    es = summary.es_by_method.get("monte_carlo")
    yield f"ES {level(summary.es_confidence)}", money(es), _of_equity(es, summary), ""
    yield "Worst stress loss", money(summary.book.worst_stress_loss), _worst(summary), ""
    yield "Realised P&L", signed_money(summary.realized_pnl), "closed parts, before fees", ""
    fees, fills = summary.ledger.commissions, summary.ledger.filled.total()
    yield "Commissions", money(fees, 2), f"{money(fees / fills, 2)} a fill" if fills else "no fill", ""


def _marked(summary: Summary) -> str:
    return "never marked" if summary.book.last_at is None else f"marked {minute(summary.book.last_at)} UTC"


def _limit(summary: Summary, name: str) -> str:
    limit = summary.setting("risk", name)
    return "no limit in the log" if limit is None else f"halt beyond {percent(limit, 0)}"


def _of_equity(amount: float | None, summary: Summary) -> str:
    if amount is None or not summary.equity or summary.equity <= 0:
        return "never measured" if amount is None else "Monte Carlo"
    return f"{percent(amount / summary.equity)} of equity, Monte Carlo"


def _worst(summary: Summary) -> str:
    run = summary.book.risk_run
    return worst_first(run)[0][0] if run and run.stress else "no scenario was run"


def _work(summary: Summary, latencies_ms: Iterable[float]) -> Iterable[tuple[str, str, str, str]]:
    ledger, cycles = summary.ledger, summary.cycles_by_kind
    yield "Decisions", number(cycles["decision"]), f"{cycles['reaction']:,} reaction cycles", ""
    missing = summary.barrier_missing
    yield "Signals", number(summary.signals_by_agent.total()), f"{missing:,} missing at the barrier", ""
    yield "Orders proposed", number(ledger.proposed), "by the CIO", ""
    yield "Refusals", number(ledger.refused.total()), _refusers(summary), ""
    yield "Orders sent", number(ledger.sent.total()), _algos(summary), ""
    bought, sold = ledger.filled["BUY"], ledger.filled["SELL"]
    yield "Fills", number(bought + sold), f"{bought:,} buys, {sold:,} sells", ""
    latency = percentiles(latencies_ms)
    ninety_nine = f"median; 99th percentile {number(latency['p99'], 1)} ms" if latency else "not measured"
    yield "Tick to order", f"{number(latency['p50'], 1)} ms" if latency else NOTHING, ninety_nine, ""
    halted = summary.story.halted
    yield (
        "Halts",
        number(summary.story.halts),
        "halted now" if halted else "not halted now",
        "loss" * bool(halted),
    )


def _refusers(summary: Summary) -> str:
    by: Counter[str] = Counter()
    for (who, _), count in summary.refusals.items():
        by[who] += count
    return ", ".join(f"{who} {count:,}" for who, count in by.most_common()) or "nothing refused"


def _algos(summary: Summary) -> str:
    return ", ".join(f"{count:,} {algo}" for algo, count in summary.ledger.sent.most_common(3)) or "none"


def _performance(drawn: dict[str, str]) -> str:
    shown = "".join(drawn.get(key, "") for key in ("equity", "drawdown", "exposure"))
    empty = note("The book was never marked: no decision was taken, or cash or a price was not known.")
    return _section("performance", "Performance and exposure", shown or empty)


def _risk(summary: Summary, drawn: dict[str, str]) -> str:
    return _section("risk", "Risk", risk_section(summary, drawn.get("var", "")))


def _trading(summary: Summary, drawn: dict[str, str]) -> str:
    return _section("orders", "Orders", drawn.get("activity", "") + orders_table(summary.ledger))


def _refusals(summary: Summary) -> str:
    ledger = summary.ledger
    return _section("refusals", "Refusals", refusals_by_reason(ledger) + refusals_table(ledger))


def _positions(summary: Summary) -> str:
    story = summary.story
    if story.reconciled_at is None:
        words = note("The broker was never asked for its positions.")
    elif story.reconciled and story.reconciled.breaks:
        words = note("The broker disagrees: " + "; ".join(story.reconciled.breaks))
    else:
        words = note(f"Last reconciled with the broker at {minute(story.reconciled_at)} UTC, without breaks.")
    return _section("positions", "Positions at the end", positions_table(summary) + words)


def _broker(summary: Summary) -> str:
    return _section("broker", "Broker", broker_section(summary))


def _incidents(summary: Summary) -> str:
    story = summary.story
    body = happenings_table(list(story.happenings)) if story.happenings else note("None.")
    return _section("incidents", "Halts and incidents", body)


def _verify(head: bytes, run: str) -> str:
    where = escape(quote(run))
    return _section(
        "verify",
        "How to verify this report",
        "<p>Every figure above is computed from the log of the run and nothing else, times to order aside. "
        "Check that the log is whole and unchanged, then run every decision again:</p>"
        f"<pre>firm verify {where}\nfirm replay {where}</pre>"
        f"<p>Both must end with the head of this report: <code>{head.hex()}</code></p>",
    )
