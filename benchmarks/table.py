"""The suite's table, what became worse since a saved run, and the ratios as a drawing."""

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10

from benchmarks.rows import Row

NOISE = 0.15
"""Ratios of two runs on a shared two-core machine differ by this much without any change."""

_TITLES = ("benchmark", "figure", "value", "", "beside", "its value", "ratio", "target", "met")
_RIGHT = {"value", "its value", "ratio", "target"}


def table(rows: Sequence[Row]) -> str:
    """All rows, with what they are held against."""
    cells = [_TITLES, *(_cells(row) for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(_TITLES))]
    lines = []
    for row in cells:
        padded = [
            cell.rjust(width) if title in _RIGHT else cell.ljust(width)
            for cell, width, title in zip(row, widths, _TITLES, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def markdown(rows: Sequence[Row], told: str) -> str:
    """The same as a Markdown table, for the README; `told` says of which machine, code and day."""
    lines = [
        told,
        "",
        f"| {' | '.join(_TITLES)} |",
        f"|{'|'.join('---:' if t in _RIGHT else '---' for t in _TITLES)}|",
    ]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in _cells(row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    sign = ">=" if row.better == "higher" else "<="
    return (
        row.benchmark,
        row.name,
        number(row.value),
        row.unit,
        row.peer or "",
        number(row.peer_value),
        number(row.ratio),
        "" if row.target is None else f"{sign}{row.target:g}",
        "" if row.met is None else "yes" if row.met else "NO",
    )


def number(value: float | None) -> str:
    """Three significant digits at least, thousands apart.

    >>> [number(each) for each in (0.001234, 1.5, 98765.4, None)]
    ['0.00123', '1.50', '98,765', '']
    """
    if value is None:
        return ""
    digits = 2 - floor(log10(abs(value))) if value else 0
    return f"{value:,.{max(0, digits)}f}"


def against(rows: Sequence[Row], baseline: Sequence[Row], noise: float = NOISE) -> list[str]:
    """Lines that tell which ratios became worse (or better) than `noise`, and which rows came or went."""
    before = {key(row): row for row in baseline if row.ratio is not None}
    now = {key(row): row for row in rows if row.ratio is not None}
    worse, better = [], []
    for name in now.keys() & before.keys():
        change = _change(now[name], before[name])
        told = f"{' / '.join(name)}: {before[name].ratio:.2f} -> {now[name].ratio:.2f} ({change:+.0%})"
        if change < -noise:
            worse.append(told)
        elif change > noise:
            better.append(told)
    measured = {row.benchmark for row in rows}
    gone = sorted(name for name in before.keys() - now.keys() if name[0] in measured)
    lines = [f"beside the baseline, ratios only, beyond {noise:.0%}:"]
    lines += [f"  WORSE   {told}" for told in sorted(worse)]
    lines += [f"  better  {told}" for told in sorted(better)]
    lines += [f"  gone    {' / '.join(name)}" for name in gone]
    lines += [f"  new     {' / '.join(name)}" for name in sorted(now.keys() - before.keys())]
    return lines if len(lines) > 1 else [f"{lines[0]} nothing changed in {len(now)} ratios"]


def key(row: Row) -> tuple[str, str, str]:
    """What makes a row the same in two runs."""
    return (row.benchmark, row.name, row.peer or "")


def _change(now: Row, before: Row) -> float:
    """How much better the ratio is, as a fraction; negative is worse, whichever way is good."""
    assert now.ratio is not None
    assert before.ratio is not None
    return now.ratio / before.ratio - 1 if now.better == "higher" else before.ratio / now.ratio - 1


def drawing(rows: Sequence[Row], title: str) -> str:
    """The ratios as bars on a logarithmic axis, 1 = as the peer, each with its target: one SVG."""
    shown = [row for row in rows if row.ratio is not None and row.ratio > 0]
    if not shown:
        return '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"/>\n'
    values = [log10(each) for row in shown for each in (row.ratio, row.target or 1.0) if each]
    low, high = min(0.0, *values) - 0.02, max(0.3, *values)
    left, wide, step = 490, 520, 22
    height = 60 + step * len(shown)

    def x(ratio: float) -> float:
        return left + (log10(ratio) - low) / (high - low) * wide

    shape = f'viewBox="0 0 {left + wide + 70} {height}" role="img" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {shape}>',
        f"<title>{escape(title)}</title>",
        f'<text x="10" y="20" font-size="14">{escape(title)}</text>',
    ]
    for power in range(ceil(low), floor(high) + 1):
        at = x(10.0**power)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="32" y2="{height - 20}" stroke="#ccc"/>')
        parts.append(f'<text x="{at:.1f}" y="{height - 6}" text-anchor="middle">{10.0**power:g}</text>')
    for place, row in enumerate(shown):
        parts += _bar(row, 38 + step * place, x)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(row: Row, top: int, x: Callable[[float], float]) -> list[str]:
    assert row.ratio is not None
    start, end = sorted((x(1.0), x(row.ratio)))
    colour = "#b3261e" if row.met is False else "#2a6f97"
    name = escape(f"{row.name} / {row.peer}" + ", less is better" * (row.better == "lower"))
    parts = [
        f'<text x="480" y="{top + 11}" text-anchor="end">{name}</text>',
        f'<rect x="{start:.1f}" y="{top}" width="{max(end - start, 1):.1f}" height="14" fill="{colour}"/>',
        f'<text x="{max(end, x(row.target or row.ratio)) + 5:.1f}" y="{top + 11}">{number(row.ratio)}</text>',
    ]
    if row.target is not None:
        at = x(row.target)
        place = f'x1="{at:.1f}" x2="{at:.1f}" y1="{top - 2}" y2="{top + 16}"'
        parts.append(f'<line {place} stroke="#000" stroke-width="2"/>')
    return parts
