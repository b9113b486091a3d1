"""The tables of the report, every word of the log escaped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Final

from firm.report.ledger import Ledger, OrderRow, RefusalRow
from firm.report.story import Happening
from firm.report.summary import Summary
from firm.report.times import minute
from firm.report.words import NOTHING, money, number, percent, quantity, signed

ROWS_MAX: Final = 500


@dataclass(frozen=True)
class Column:
    """A column's heading, and whether it holds numbers (set to the right, figures of one width)."""

    name: str
    numeric: bool = False
    css: str = ""


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], label: str, filtered: bool = False
) -> str:
    """A table that scrolls sideways on a narrow screen; `filtered` gives it a filter box."""
    heads = "".join(f'<th scope="col"{_css(column)}>{escape(column.name)}</th>' for column in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td{_css(c)}>{escape(cell)}</td>" for c, cell in zip(columns, row, strict=True))
        + "</tr>"
        for row in rows
    )
    box = (
        f'<div class="filter" hidden><label>Filter <input type="search" placeholder="symbol, rule, reason …"'
        f' aria-label="Filter {escape(label)}"></label><output></output></div>'
        if filtered
        else ""
    )
    return (
        f'<div class="table">{box}'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div></div>"
    )


def _css(column: Column) -> str:
    names = " ".join(name for name in ("n" if column.numeric else "", column.css) if name)
    return f' class="{names}"' if names else ""


def note(text: str) -> str:
    """A remark under a heading or a table."""
    return f'<p class="note">{escape(text)}</p>'


def _newest(shown: int, total: int, what: str) -> str:
    left = total - shown
    words = (
        f"The newest {shown:,} of {total:,} {what}; {left:,} older ones are not shown. The log has them all."
    )
    return note(words) if left else ""


def orders_table(ledger: Ledger) -> str:
    """The newest orders first, with what became of each."""
    columns = (
        Column("Entry", numeric=True),
        Column("Proposed (UTC)"),
        Column("Symbol", css="strong"),
        Column("Side"),
        Column("Quantity", numeric=True),
        Column("Reference", numeric=True),
        Column("Filled", numeric=True),
        Column("Average", numeric=True),
        Column("Slippage bps", numeric=True),
        Column("Algo"),
        Column("Outcome"),
        Column("Reason", css="why"),
    )
    if not ledger.proposed:
        return note("No order was proposed.")
    newest = list(ledger.orders.values())[-ROWS_MAX:][::-1]
    body = table(columns, (_order(row) for row in newest), "orders", filtered=True)
    return _newest(len(newest), ledger.proposed, "orders") + body


def _order(row: OrderRow) -> tuple[str, ...]:
    return (
        str(row.seq),
        minute(row.at),
        row.symbol,
        row.side.value,
        quantity(row.quantity),
        number(row.reference_price, 2),
        quantity(row.filled) if row.filled else NOTHING,
        number(row.average_price, 2),
        signed(row.slippage_bps, 1),
        row.algo or NOTHING,
        row.state,
        row.reason,
    )


def refusals_by_reason(ledger: Ledger) -> str:
    """How often each limit, rule, gate or broker code refused, with a bar to the scale of the largest."""
    if not ledger.refused:
        return note("Nothing was refused.")
    largest = max(ledger.refused.values())
    rows = "".join(
        f'<tr><td>{escape(by)}</td><td class="strong">{escape(name)}</td><td class="n">{count:,}</td>'
        f'<td class="share"><i style="width:{100 * count / largest:.1f}%"></i></td></tr>'
        for (by, name), count in sorted(ledger.refused.items(), key=lambda item: (-item[1], item[0]))
    )
    names = (("By", ""), ("Limit, rule, gate or code", ""), ("Refusals", ' class="n"'))
    head = "".join(f'<th scope="col"{css}>{name}</th>' for name, css in names)
    return (
        '<div class="table"><div class="scroll" tabindex="0" role="region" aria-label="refusals by reason">'
        f'<table class="shares"><thead><tr>{head}<th><span class="unseen">share</span></th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></div>"
    )


def refusals_table(ledger: Ledger) -> str:
    """The newest refusals first, with the reason as it was given."""
    columns = (
        Column("Time (UTC)"),
        Column("Order", numeric=True),
        Column("Symbol", css="strong"),
        Column("Side"),
        Column("Quantity", numeric=True),
        Column("By"),
        Column("Name"),
        Column("Reason", css="why"),
    )
    if not ledger.refused:
        return ""
    newest = list(ledger.refusals)[-ROWS_MAX:][::-1]
    body = table(columns, (_refusal(row) for row in newest), "refusals", filtered=True)
    return _newest(len(newest), ledger.refused.total(), "refusals") + body


def _refusal(row: RefusalRow) -> tuple[str, ...]:
    order = row.order
    of = (
        (str(order.seq), order.symbol, order.side.value, quantity(order.quantity))
        if order
        else (NOTHING,) * 4
    )
    return (minute(row.at), *of, row.by, row.name, row.reason)


def positions_table(summary: Summary) -> str:
    """What the firm holds at the end, valued at the last mark, beside what the broker said it holds."""
    columns = (
        Column("Symbol", css="strong"),
        Column("Quantity", numeric=True),
        Column("Average cost", numeric=True),
        Column("Last mark", numeric=True),
        Column("Value", numeric=True),
        Column("Of equity", numeric=True),
        Column("Realised P&L", numeric=True),
        Column("At the broker", numeric=True),
    )
    rows = list(_positions(summary))
    return table(columns, rows, "positions") if rows else note("No position was ever held.")


def _positions(summary: Summary) -> Iterable[tuple[str, ...]]:
    last = summary.book.last
    broker = dict(summary.story.reconciled.positions) if summary.story.reconciled else None
    for i, held in sorted(summary.positions.items()):
        price = last.prices[i] if last and i < len(last.prices) else None
        size = summary.book.multipliers[i] if i < len(summary.book.multipliers) else Decimal(1)
        value = None if price is None else held.quantity * price * size
        of_equity = None if value is None or not last or last.equity <= 0 else value / last.equity
        yield (
            summary.ledger.symbol(i),
            quantity(held.quantity),
            number(held.average_price, 2) if held.quantity else NOTHING,
            number(price, 2),
            money(value),
            percent(of_equity, 1),
            signed(held.realized_pnl),
            NOTHING if broker is None else quantity(broker.get(i, Decimal(0))),
        )


def happenings_table(happenings: Sequence[Happening]) -> str:
    """Halts, disconnections and faults, oldest first."""
    columns = (Column("Time (UTC)"), Column("What", css="strong"), Column("Reason", css="why"))
    rows = ((minute(h.at), h.what, h.reason) for h in happenings)
    return table(columns, rows, "incidents")
