"""The scaling model as a drawing: speed-up over workers, logarithmic, and predicted beside measured."""

from collections.abc import Mapping, Sequence
from html import escape
from math import floor, log10
from typing import Any

COLOURS = ("#1b6ca8", "#b3261e", "#2e7d32", "#7b5ea7")
WIDE, HIGH, LEFT, TOP = 520.0, 300.0, 60.0, 40.0
JUST_BELOW = 0.05
"""Of a power of ten: a speed-up of 0.99 needs no power of its own."""


class Axis:
    """Logarithmic, from the power of ten below the smallest value to the one above the largest."""

    def __init__(self, values: Sequence[float], start: float, length: float) -> None:
        self.low, self.high = floor(log10(min(values)) + JUST_BELOW), -floor(-log10(max(values)))
        self.high = max(self.high, self.low + 1)
        self._start, self._length = start, length

    def at(self, value: float) -> float:
        """Where a value is."""
        return self._start + (log10(value) - self.low) / (self.high - self.low) * self._length

    @property
    def powers(self) -> list[float]:
        """The lines to draw."""
        return [10.0**power for power in range(self.low, self.high + 1)]


def drawing(model: Mapping[str, Any]) -> str:
    """One SVG: strong and weak scaling to the left, the check against this machine to the right."""
    right = LEFT + WIDE + 130
    shape = f'viewBox="0 0 {right + HIGH + 40:.0f} {TOP + HIGH + 60:.0f}" role="img"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {shape} font-family="sans-serif" font-size="12">',
        "<title>Monte Carlo VaR over workers: model from measured costs</title>",
        *_speed_ups(model),
        *_check(model["checked"], right),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _speed_ups(model: Mapping[str, Any]) -> list[str]:
    lines = {f"{name} scenarios": points for name, points in model["strong"].items()}
    lines["1 million a worker"] = model["weak"]
    workers = [point["workers"] for points in lines.values() for point in points]
    gains = [point["speed-up"] for points in lines.values() for point in points]
    x, y = Axis(workers, LEFT, WIDE), Axis([*gains, *workers], TOP + HIGH, -HIGH)
    parts = [_text(LEFT, 24, "speed-up over one process (model; dashed: ideal)", 14)]
    parts += _frame(x, y, LEFT, "workers (cores)")
    ends = [(x.at(each), y.at(each)) for each in (min(workers), max(workers))]
    parts.append(_line(ends, "#888", dashed=True))
    for place, (name, points) in enumerate(lines.items()):
        colour = COLOURS[place % len(COLOURS)]
        parts.append(_line([(x.at(p["workers"]), y.at(p["speed-up"])) for p in points], colour))
        parts.append(_text(LEFT + 12, TOP + 18 + 18 * place, name, 12, colour))
    return parts


def _check(checked: Sequence[Mapping[str, Any]], left: float) -> list[str]:
    values = [each[which] for each in checked for which in ("measured", "predicted")]
    x, y = Axis(values, left, HIGH), Axis(values, TOP + HIGH, -HIGH)
    ends = [(x.at(each), y.at(each)) for each in (x.powers[0], x.powers[-1])]
    colours = dict(zip(sorted({each["nodes"] for each in checked}), COLOURS, strict=False))
    dots = [_dot(x, y, each, colours[each["nodes"]]) for each in checked]
    for place, (nodes, colour) in enumerate(colours.items()):
        name = f"{nodes} node{'s' * (nodes > 1)}"
        dots.append(_text(left + 12, TOP + 18 + 18 * place, name, 12, colour))
    frame = _frame(x, y, left, "measured here, s", HIGH)
    return [_text(left, 24, "predicted, s", 14), *frame, _line(ends, "#888", dashed=True), *dots]


def _dot(x: Axis, y: Axis, run: Mapping[str, Any], colour: str) -> str:
    place = f'cx="{x.at(run["measured"]):.1f}" cy="{y.at(run["predicted"]):.1f}"'
    told = f"{run['scenarios']:,} scenarios, {run['shards']} shards, {run['nodes']} nodes"
    return f'<circle {place} r="4" fill="{colour}"><title>{told}</title></circle>'


def _frame(x: Axis, y: Axis, left: float, label: str, wide: float = WIDE) -> list[str]:
    parts = []
    for value in x.powers:
        parts.append(_line([(x.at(value), TOP), (x.at(value), TOP + HIGH)], "#ddd"))
        parts.append(_text(x.at(value), TOP + HIGH + 18, f"{value:g}", 12, anchor="middle"))
    for value in y.powers:
        parts.append(_line([(left, y.at(value)), (left + wide, y.at(value))], "#ddd"))
        parts.append(_text(left - 8, y.at(value) + 4, f"{value:g}", 12, anchor="end"))
    return [*parts, _text(left + wide / 2, TOP + HIGH + 40, label, 12, anchor="middle")]


def _line(points: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>'


def _text(x: float, y: float, said: str, size: int, colour: str = "#222", anchor: str = "start") -> str:
    shape = f'font-size="{size}" fill="{colour}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {shape}>{escape(said)}</text>'
