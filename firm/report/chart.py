"""Draws one chart over time as SVG: lines, areas, bars, dots and limits, in a wide and a narrow shape."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import Final, Literal, TypeAlias

from firm.report.timescale import time_ticks
from firm.report.words import NOTHING, Wording, ticks

Values: TypeAlias = Sequence[float | None]

BUCKETS: Final = 420
"""A curve with more points is drawn with the lowest and the highest of each of so many stretches."""

_TOP, _RIGHT, _BOTTOM, _LEFT = 10.0, 14.0, 24.0, 60.0


@dataclass(frozen=True)
class Series:
    """Values over the chart's times, None = nothing there. `css` is the class that gives it its colour."""

    kind: Literal["line", "area", "bars", "dots"]
    name: str
    css: str
    values: Values
    wording: Wording
    width: float = 1.0


@dataclass(frozen=True)
class Limit:
    """A level the firm may not pass, drawn across the chart and worded at its end."""

    level: float
    name: str


@dataclass(frozen=True)
class Chart:
    """A chart over `times` (ns UTC, ascending); `axis` words the marks of the value axis.

    `include` are values the axis shows even if no point is there.
    """

    key: str
    title: str
    description: str
    times: Sequence[int]
    series: Sequence[Series]
    axis: Callable[[list[float]], Wording]
    when: Callable[[int], str]
    limits: Sequence[Limit] = field(default=())
    include: Sequence[float] = ()
    height: int = 250


class Scale:
    """From times and values to the pixels of one drawing."""

    def __init__(self, chart: Chart, width: int, height: int) -> None:
        self.left, self.right = _LEFT, width - _RIGHT
        self.top, self.bottom = _TOP, height - _BOTTOM
        values = [v for series in chart.series for v in series.values if v is not None]
        values += [*(limit.level for limit in chart.limits), *chart.include]
        self.marks = ticks(min(values, default=0.0), max(values, default=0.0), 5 if height > 200 else 4)
        first, last = chart.times[0], chart.times[-1]
        slack = 0 if last > first else 1
        self._first, self._span = first - slack, max(last - first, 2 * slack)

    def share(self, at: int) -> float:
        """Where a time lies between the edges, 0 to 1."""
        return (at - self._first) / self._span

    def x(self, at: int) -> float:
        """The column of a time."""
        return self.left + self.share(at) * (self.right - self.left)

    def y(self, value: float) -> float:
        """The row of a value."""
        low, high = self.marks[0], self.marks[-1]
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)


def figure(chart: Chart) -> str:
    """The chart with its title, its legend and its data for the pointer, as an HTML figure."""
    legend = "".join(
        f'<span class="key {series.css} {series.kind}">{escape(series.name)}</span>'
        for series in chart.series
    )
    drawings = "".join(
        draw(chart, *shape) for shape in ((940, chart.height, "wide"), (400, chart.height - 20, "narrow"))
    )
    return (
        f'<figure id="{chart.key}"><figcaption><h3>{escape(chart.title)}</h3>'
        f'<div class="legend">{legend}</div></figcaption>'
        f'<div class="drawing">{drawings}<div class="tip" hidden></div></div>{_pointer_data(chart)}</figure>'
    )


def draw(chart: Chart, width: int, height: int, css: str) -> str:
    """One drawing of the chart, `width` x `height` units."""
    scale = Scale(chart, width, height)
    name = f"{chart.key}-{css}"
    opening = (
        f'<svg class="{css}" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-t {name}-d"'
        f' data-left="{scale.left:g}" data-right="{scale.right:g}" data-width="{width}">'
    )
    parts = [
        opening,
        f'<title id="{name}-t">{escape(chart.title)}</title>',
        f'<desc id="{name}-d">{escape(chart.description)}</desc>',
        _axes(chart, scale, max(4, width // 110)),
        *(_PAINTERS[series.kind](chart.times, series, scale) for series in chart.series),
        *(_limit(limit, scale) for limit in chart.limits),
        f'<line class="cross" x1="0" x2="0" y1="{scale.top:g}" y2="{scale.bottom:g}" visibility="hidden"/>',
        "</svg>",
    ]
    return "".join(parts)


def _axes(chart: Chart, scale: Scale, wanted: int) -> str:
    wording = chart.axis(scale.marks)
    parts = []
    for mark in scale.marks:
        y = scale.y(mark)
        css = "zero" if mark == 0 else "grid"
        parts.append(
            f'<line class="{css}" x1="{scale.left:g}" x2="{scale.right:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{scale.left - 8:g}" y="{y + 3.5:.1f}" text-anchor="end">'
            f"{escape(wording(mark))}</text>"
        )
    for at, words in time_ticks(chart.times[0], chart.times[-1], wanted):
        x = scale.x(at)
        low = scale.bottom
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{low:g}" y2="{low + 4:g}"/>')
        if scale.left + 12 <= x <= scale.right - 12:
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{low + 17:g}" text-anchor="middle">{words}</text>'
            )
    return "".join(parts)


def _limit(limit: Limit, scale: Scale) -> str:
    y = scale.y(limit.level)
    return (
        f'<line class="limit" x1="{scale.left:g}" x2="{scale.right:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="limit-name" x="{scale.right:g}" y="{y - 4 if y > scale.top + 14 else y + 12:.1f}"'
        f' text-anchor="end">{escape(limit.name)}</text>'
    )


def _known(times: Sequence[int], values: Values) -> list[tuple[int, float]]:
    """The points there are, and of too many the lowest and highest of each stretch."""
    points = [(at, value) for at, value in zip(times, values, strict=True) if value is not None]
    if len(points) <= 2 * BUCKETS:
        return points
    size = -(-len(points) // BUCKETS)
    kept: list[tuple[int, float]] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        low, high = min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])
        kept += sorted({low, high})
    return kept


def _path(points: Sequence[tuple[int, float]], scale: Scale) -> str:
    return "L".join(f"{scale.x(at):.1f} {scale.y(value):.1f}" for at, value in points)


def _line(times: Sequence[int], series: Series, scale: Scale) -> str:
    points = _known(times, series.values)
    if len(points) == 1:
        return _dots(times, series, scale)
    return f'<path class="line {series.css}" d="M{_path(points, scale)}"/>' if points else ""


def _area(times: Sequence[int], series: Series, scale: Scale) -> str:
    points = _known(times, series.values)
    if len(points) < 2:
        return _dots(times, series, scale)
    floor = scale.y(min(max(0.0, scale.marks[0]), scale.marks[-1]))
    first, last = scale.x(points[0][0]), scale.x(points[-1][0])
    path = _path(points, scale)
    return (
        f'<path class="area {series.css}" d="M{first:.1f} {floor:.1f}L{path}L{last:.1f} {floor:.1f}Z"/>'
        f'<path class="line {series.css}" d="M{path}"/>'
    )


def _bars(times: Sequence[int], series: Series, scale: Scale) -> str:
    points = _known(times, series.values)
    gaps = sorted(scale.x(after) - scale.x(before) for before, after in pairwise(times))
    room = gaps[len(gaps) // 2] if gaps else 16.0
    wide = max(0.8, min(room * 0.72, 16.0) * series.width)
    path = "".join(
        f"M{scale.x(at):.1f} {scale.y(0):.1f}V{scale.y(value):.1f}" for at, value in points if value != 0
    )
    return f'<path class="bars {series.css}" stroke-width="{wide:.1f}" d="{path}"/>' if path else ""


def _dots(times: Sequence[int], series: Series, scale: Scale) -> str:
    return "".join(
        f'<circle class="dot {series.css}" cx="{scale.x(at):.1f}" cy="{scale.y(value):.1f}" r="3.4"/>'
        for at, value in zip(times, series.values, strict=True)
        if value is not None
    )


_PAINTERS: Final[dict[str, Callable[[Sequence[int], Series, Scale], str]]] = {
    "line": _line,
    "area": _area,
    "bars": _bars,
    "dots": _dots,
}


def _pointer_data(chart: Chart) -> str:
    """What the pointer shows: shares of the axis, words of the moment, and words of each value."""
    scale = Scale(chart, 940, chart.height)
    step = -(-len(chart.times) // (2 * BUCKETS))
    chosen = range(0, len(chart.times), step)
    data = {
        "x": [round(scale.share(chart.times[i]), 4) for i in chosen],
        "when": [chart.when(chart.times[i]) for i in chosen],
        "names": [series.name for series in chart.series],
        "rows": [[_worded(series, i) for series in chart.series] for i in chosen],
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>'


def _worded(series: Series, i: int) -> str:
    value = series.values[i]
    return (
        "" if value is None and series.kind == "dots" else NOTHING if value is None else series.wording(value)
    )
